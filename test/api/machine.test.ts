/** The API, with kernels of a few instructions. */
import { afterEach, describe, expect, it } from "vitest";
import { BootError, createMachine, type ExitInfo, type Machine, MachineError, type MachineOptions } from "../../src/index.ts";
import * as kernels from "./kernels.ts";

const machines: Machine[] = [];
function create(kernel: Uint8Array, options: Partial<MachineOptions> = {}): Machine {
  const machine = createMachine({ kernel, memory: 8 * 2 ** 20, ...options });
  machines.push(machine);
  return machine;
}
afterEach(() => {
  for (const machine of machines.splice(0)) machine.destroy();
});

function output(machine: Machine): () => string {
  let text = "";
  machine.on("serial", (bytes) => {
    text += new TextDecoder().decode(bytes);
  });
  return () => text;
}

describe.each(["translate", "interpret"] as const)("a machine (%s)", (engine) => {
  it("runs to the guest's exit and tells listeners", async () => {
    const machine = create(kernels.say("hi", 5), { engine });
    const text = output(machine);
    const exits: ExitInfo[] = [];
    machine.on("exit", (exit) => exits.push(exit));
    const wanted = { reason: "debug-exit", value: 5, code: 11 };
    expect(await machine.run()).toEqual(wanted);
    expect(exits).toEqual([wanted]);
    expect(text()).toBe("hi");
    await expect(machine.run()).rejects.toThrow(/the guest ended \(debug-exit\); call reset/);
  });

  it("starts in the state of the boot protocol", () => {
    const { registers } = create(kernels.spin, { engine });
    expect(registers.all()).toMatchObject({ eip: kernels.entry, eax: 0x2badb002, eflags: 2, cs: 0x10, ds: 0x18, ss: 0x18, cr3: 0 });
    expect(registers.read("cr0") & 0x80000001).toBe(1);
    expect(registers.segment("ss")).toMatchObject({ base: 0, limit: 0xffffffff });
  });

  it("steps instruction by instruction", () => {
    const machine = create(kernels.count, { engine });
    const { registers } = machine;
    const eax = registers.read("eax");
    const trace: number[] = [];
    for (let i = 0; i < 4; i++) {
      expect(machine.step()).toBeUndefined();
      trace.push(registers.read("eip") - kernels.entry);
    }
    expect(trace).toEqual([1, 2, 0, 1]);
    expect([registers.read("eax") - eax, registers.read("ebx") > 0]).toEqual([2, true]);
    machine.step(3 * 1000);
    expect(registers.read("eax") - eax).toBe(1002);
    expect(registers.read("eip") - kernels.entry).toBe(1);
  });

  it("returns how the guest ended from step", () => {
    expect(create(kernels.tripleFault, { engine }).step(10)).toMatchObject({ reason: "triple-fault" });
  });

  it("pauses, goes on, times out", async () => {
    const machine = create(kernels.count, { engine });
    setTimeout(() => machine.pause(), 30);
    expect(await machine.run()).toEqual({ reason: "paused" });
    const { instructions } = machine.stats();
    expect(instructions).toBeGreaterThan(0);
    expect(await machine.run({ timeout: 0.05 })).toEqual({ reason: "timeout" });
    expect(machine.stats().instructions).toBeGreaterThan(instructions);
  });

  it("resets to power-on", async () => {
    const machine = create(kernels.say("once"), { engine });
    const text = output(machine);
    machine.memory.writePhysical(0x200000, Uint8Array.of(1, 2, 3));
    await machine.run();
    machine.reset();
    expect(machine.registers.read("eip")).toBe(kernels.entry);
    expect([...machine.memory.readPhysical(0x200000, 3)]).toEqual([0, 0, 0]);
    expect(await machine.run()).toMatchObject({ reason: "debug-exit" });
    expect(text()).toBe("onceonce");
  });

  it("echoes what is written to the serial port, before and after the guest waits", async () => {
    const machine = create(kernels.echo, { engine });
    const text = output(machine);
    machine.serial.write("early ");
    const done = machine.run();
    setTimeout(() => machine.serial.write(new TextEncoder().encode("late q")), 50);
    await done;
    expect(text()).toBe("early late q");
  });

  it("takes changed registers, memory and code", async () => {
    const machine = create(kernels.count, { engine });
    const { registers, memory } = machine;
    registers.write("ebx", 0xfffffffe);
    machine.step(3 * 4);
    expect(registers.read("ebx")).toBe(2);
    expect([...memory.readLinear(kernels.entry, 4)]).toEqual([0x40, 0x43, 0xeb, 0xfc]);
    memory.writeLinear(kernels.entry + 1, Uint8Array.of(0x4b)); // dec ebx
    machine.step(3 * 4);
    expect(registers.read("ebx")).toBe(0xfffffffe);
    memory.writePhysical(kernels.entry + 1, Uint8Array.of(0x43));
    machine.step(3 * 4);
    expect(registers.read("ebx")).toBe(2);
    registers.write("eflags", 0x8d7);
    expect(registers.read("eflags")).toBe(0x8d7);
  });

  it("lists its blocks", async () => {
    const machine = create(kernels.loop, { engine });
    await machine.run();
    const blocks = machine.blocks();
    expect(blocks.length).toBeGreaterThan(0);
    const hottest = blocks[0]!;
    expect(hottest.address).toBeGreaterThanOrEqual(kernels.entry);
    expect(hottest.address).toBeLessThan(kernels.entry + 32);
  });
});

describe("several machines in one process", () => {
  it("run side by side without knowing of each other", async () => {
    const [a, b, c] = [create(kernels.say("A", 1)), create(kernels.say("B", 2)), create(kernels.count)];
    const [textA, textB] = [output(a!), output(b!)];
    const counting = c!.run({ timeout: 0.2 });
    const exits = await Promise.all([a!.run(), b!.run()]);
    expect(exits).toMatchObject([{ value: 1 }, { value: 2 }]);
    expect([textA(), textB()]).toEqual(["A", "B"]);
    expect(await counting).toEqual({ reason: "timeout" });
  });
});

describe("a halted guest", () => {
  it("lets the host sleep", async () => {
    const machine = create(kernels.sleep);
    const before = process.cpuUsage();
    await machine.run({ timeout: 1 });
    const used = process.cpuUsage(before);
    // One second asleep: a busy wait would use all of it.
    expect((used.user + used.system) / 1e6).toBeLessThan(0.3);
    expect(machine.stats().idleSeconds).toBeGreaterThan(0.7);
  });
});

describe("mistakes", () => {
  it("throws typed errors before anything exists", () => {
    expect(() => create(new Uint8Array(4000))).toThrow(BootError);
    for (const options of [
      { memory: 2 ** 20 },
      { memory: 8e6 + 1 },
      { memory: 2 ** 40 },
      { engine: "fast" as never },
      { clock: "sun" as never },
      { initrd: "file" as never },
    ]) {
      expect(() => create(kernels.spin, options)).toThrow(MachineError);
    }
  });

  it("says what cannot be done now", async () => {
    const machine = create(kernels.spin);
    const done = machine.run();
    await expect(machine.run()).rejects.toThrow(/running already/);
    expect(() => machine.step()).toThrow(/running already/);
    expect(() => machine.reset()).toThrow(/pause it first/);
    machine.destroy();
    expect(await done).toEqual({ reason: "destroyed" });
    await expect(machine.run()).rejects.toThrow(/destroyed/);
  });

  it("refuses memory and registers that are not there", () => {
    const { memory, registers } = create(kernels.spin);
    expect(() => memory.readPhysical(8 * 2 ** 20 - 2, 4)).toThrow(/outside the 8 MiB of RAM/);
    expect(() => memory.readLinear(0xf0000000, 4)).toThrow(MachineError);
    expect(() => registers.read("rax" as never)).toThrow(/no register "rax"/);
    expect(() => registers.write("cr3", 0)).toThrow(/cannot be written/);
  });
});
