/** Random kernels in whole machines, through the public API: what a program that embeds xlat86 goes through. */
import { BootError } from "../../src/boot/error.ts";
import { createMachine, type Machine } from "../../src/machine/machine.ts";
import { MachineError, type MachineOptions } from "../../src/machine/options.ts";
import { FuzzFailure } from "./cases.ts";
import { mutatedImage, randomKernel } from "./files.ts";
import { Random } from "./random.ts";

const reasons = new Set(["power-off", "reset", "debug-exit", "triple-fault", "timeout", "paused", "destroyed"]);
/** What keeps a program alive, or runs something later. */
const pendingResources = new Set(["Timeout", "Immediate", "MessagePort"]);

/** Creates, runs, pokes and destroys a machine. Returns what became of it. */
export async function runMachineCase(seed: number, number: number): Promise<string> {
  const random = new Random(seed, number ^ 0x40000000);
  const timersBefore = pending();
  const image = random.once(3) ? mutatedImage(random).bytes : randomKernel(random);
  const options: MachineOptions = {
    kernel: { name: "fuzz", bytes: image },
    memory: 4 * 2 ** 20,
    engine: random.pick(["translate", "interpret"] as const),
    clock: random.pick(["virtual", "host"] as const),
    ...(random.once(3) ? { append: "console=ttyS0" } : {}),
  };
  let machine: Machine;
  try {
    machine = createMachine(options);
  } catch (error) {
    if (error instanceof BootError || error instanceof MachineError) return `error ${error.name}`;
    throw error;
  }
  machine.on("serial", () => {});
  if (random.once(2)) machine.serial.write(random.bytes(random.below(200)));
  let result = "";
  for (let round = 0; round < 2; round++) {
    const running = machine.run({ timeout: 0.02 });
    if (random.once(4)) machine.pause();
    const destroys = random.once(10);
    if (destroys) machine.destroy();
    const exit = await running;
    result = exit.reason;
    if (!reasons.has(exit.reason)) throw new FuzzFailure(`run ended with ${exit.reason}`);
    // The guest may have ended before it was destroyed.
    if (destroys) break;
    machine.registers.describe();
    machine.stats();
    machine.blocks();
    if (exit.reason === "timeout" || exit.reason === "paused") for (let i = 0; i < 20 && !machine.step(); i++);
    machine.reset();
  }
  machine.destroy();
  if (pending() > timersBefore) throw new FuzzFailure(`left behind after destroy: ${process.getActiveResourcesInfo().join(" ")}`);
  return result;
}

function pending(): number {
  return process.getActiveResourcesInfo().filter((name) => pendingResources.has(name)).length;
}
