/** `xlat86 dump`: what the translator makes of blocks - one by address, or the hottest after a run. */
import { inspectAt, inspectHottest } from "../inspector/machine.ts";
import { renderText } from "../inspector/render.ts";
import { createMachine, type Machine } from "../machine/machine.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { exitCode } from "./options.ts";
import { bootImages } from "./run.ts";

/** How long --hot lets the guest run when it is not told. */
const defaultSeconds = 10;

/** Errors: `UsageError`, `BootError`. */
export async function dump(options: RunOptions): Promise<number> {
  if (options.at === undefined && options.hot === undefined) throw new UsageError("dump needs --at ADDRESS or --hot N");
  const images = bootImages("dump", options);
  const machine = createMachine({
    ...images,
    memory: options.memory,
    engine: options.engine,
    clock: options.clock,
    x87: options.x87,
    disable: options.disable,
  });
  try {
    // --at alone looks at the kernel as it was loaded; --after and --timeout say how far to run first.
    if (options.hot !== undefined || options.after !== undefined || options.timeout !== undefined) process.stdout.write(await run(machine, options));
    if (options.at !== undefined) process.stdout.write(at(machine, options.at));
    if (options.hot !== undefined) process.stdout.write(hottest(machine, options.hot));
  } finally {
    machine.destroy();
  }
  return exitCode.success;
}

async function run(machine: Machine, options: RunOptions): Promise<string> {
  const { after } = options;
  const timeout = options.timeout ?? after?.seconds ?? (after?.instructions === undefined ? defaultSeconds : undefined);
  const limits = {
    ...(timeout === undefined ? {} : { timeout: Math.min(timeout, after?.seconds ?? timeout) }),
    ...(after?.instructions === undefined ? {} : { instructions: after.instructions }),
  };
  const exit = await machine.run(limits);
  const { instructions, regions, blocks } = machine.stats();
  const number = (n: number): string => n.toLocaleString("en-US");
  return `the guest ran ${number(instructions)} instructions (${exit.reason}); ${number(blocks)} blocks decoded, ${number(regions)} regions translated\n\n`;
}

function at(machine: Machine, address: number): string {
  const { size } = machine.memory;
  if (address >= size && (machine.memory.translate(address) ?? size) >= size) {
    throw new UsageError(`--at 0x${address.toString(16)}: neither mapped by the guest nor inside its ${size / 2 ** 20} MiB of memory`);
  }
  return renderText(inspectAt(machine, address));
}

function hottest(machine: Machine, count: number): string {
  const total = machine.stats().instructions;
  return inspectHottest(machine, count)
    .map((block, k) => {
      const work = (block.executions ?? 0) * block.instructions.length;
      return `#${k + 1}, ${((100 * work) / Math.max(1, total)).toFixed(1)}% of all instructions: ${renderText(block)}`;
    })
    .join("\n");
}
