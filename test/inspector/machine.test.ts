/** The inspector on running machines, and what is counted and logged of them. */
import { describe, expect, it } from "vitest";
import { demoImage } from "../../src/demo/image.ts";
import { inspectAt, inspectHottest } from "../../src/inspector/machine.ts";
import { renderText } from "../../src/inspector/render.ts";
import { createMachine, type Machine } from "../../src/machine/machine.ts";
import type { DebugCategory, MachineOptions } from "../../src/machine/options.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { sensitiveRows } from "../../translator/lift/sensitive.ts";
import { entry, kernel, loop } from "../api/kernels.ts";

const memory = 16 << 20;
const machine = (image: Uint8Array, more: Partial<MachineOptions> = {}): Machine =>
  createMachine({ kernel: image, memory, clock: "virtual", ...more });

/** cli; cpuid (leaf 0); in al, 60h; out 80h, al (twice); int3 with an empty interrupt table: triple fault. */
const exits = kernel([0xfa, 0x31, 0xc0, 0x0f, 0xa2, 0xe4, 0x60, 0xe6, 0x80, 0xe6, 0x80, 0xcc]);

describe("inspectAt", () => {
  it("shows the kernel's entry before anything ran", () => {
    const block = inspectAt(machine(exits), entry);
    expect(block.instructions.map((i) => i.text)).toEqual(["cli", "xor eax, eax", "cpuid", "in al, 0x60", "out 0x80, al", "out 0x80, al", "int3"]);
    expect(block.instructions.map((i) => i.exit?.reason)).toEqual(["CLI", undefined, "CPUID", "IN", "OUT", "OUT", "INT3"]);
    expect(block.mode & mode.code32).not.toBe(0);
    expect(block.region).toMatchObject({ isInstalled: false, instructions: 7 });
    expect(block.executions).toBeUndefined();
    const text = renderText(block);
    expect(text).toMatch(/fa {2,}cli {2,}; VM exit "CLI" -> clearInterruptFlag/);
    expect(text).toContain("v_cpuid(cpu)");
  });

  it("shows code that ran with its count, and the region that the machine runs", async () => {
    const m = machine(loop);
    await m.run({ timeout: 30 });
    // The loop's body follows mov ecx, imm32.
    const block = inspectAt(m, entry + 5);
    expect(block.instructions.map((i) => i.text)).toEqual(["inc eax", "dec ecx", `jne 0x${(entry + 5).toString(16)}`]);
    expect(block.executions).toBeGreaterThan(0);
    expect(block.region?.isInstalled).toBe(true);
    m.destroy();
  });

  it("follows the guest's page tables", async () => {
    const m = machine(demoImage());
    await m.run({ timeout: 50 });
    const user = m.blocks().find((b) => (b.mode & mode.user) !== 0)!;
    const [shown] = inspectHottest(m, 400).filter((b) => b.physical === user.address && b.mode === user.mode);
    expect(m.memory.translate(shown!.address)).toBe(user.address);
    m.destroy();
  });

  it("refuses what is not RAM", () => {
    expect(() => inspectAt(machine(loop), 0xf000_0000)).toThrow(/no RAM behind address 0xf0000000/);
  });
});

describe("inspectHottest", () => {
  it("finds the loop, counted exactly on tier 0", async () => {
    const m = machine(loop, { engine: "interpret" });
    await m.run({ timeout: 50 });
    const [hottest, second] = inspectHottest(m, 2);
    expect(hottest!.instructions.map((i) => i.text)).toEqual(["inc eax", "dec ecx", `jne 0x${(entry + 5).toString(16)}`]);
    // The first time round belongs to the block that begins with mov ecx.
    expect(hottest!.executions).toBe(999_999);
    expect(second!.executions).toBe(1);
    m.destroy();
  });
});

describe("VM exits", () => {
  it.each(["translate", "interpret"] as const)("are counted by reason and ring (%s)", async (engine) => {
    const m = machine(exits, { engine });
    expect((await m.run({ timeout: 20 })).reason).toBe("triple-fault");
    const stats = m.stats();
    const found = Object.fromEntries(stats.exits.map((e) => [e.reason, [e.kind, ...e.byRing]]));
    // INT3's own delivery fails: the exception is the #GP of that.
    expect(found).toEqual({
      CLI: ["instruction", 1, 0, 0, 0],
      CPUID: ["instruction", 1, 0, 0, 0],
      IN: ["instruction", 1, 0, 0, 0],
      OUT: ["instruction", 2, 0, 0, 0],
      INT3: ["instruction", 1, 0, 0, 0],
      "exception #GP": ["exception", 1, 0, 0, 0],
    });
    expect(stats.ports).toEqual([
      { port: 0x80, accesses: 2 },
      { port: 0x60, accesses: 1 },
    ]);
    m.destroy();
  });

  it("see every sensitive instruction that the embedded guest executes, in both rings", async () => {
    const m = machine(demoImage());
    await m.run({ timeout: 50 });
    const { exits: all, interrupts, faults } = m.stats();
    const of = (reason: string) => all.find((e) => e.reason === reason);
    // What the guest says it does: its own texts name each of them.
    const missing = sensitiveRows.map((row) => row.mnemonic).filter((name) => of(name) === undefined);
    expect(missing.filter((name) => name !== "ICEBP")).toEqual([]);
    for (const name of ["POPF", "PUSHF", "SGDT", "SIDT", "SMSW", "STR"]) expect(of(name)!.byRing[3], name).toBeGreaterThan(0);
    expect(of("external interrupt")!.total).toBe(interrupts);
    expect(all.filter((e) => e.kind === "exception").reduce((sum, e) => sum + e.total, 0)).toBe(faults);
    m.destroy();
  });
});

describe("debug output", () => {
  async function log(categories: readonly DebugCategory[], image: Uint8Array, more: Partial<MachineOptions> = {}): Promise<string[]> {
    const lines: string[] = [];
    const m = machine(image, { debug: { categories, write: (_, text) => lines.push(text) }, ...more });
    await m.run({ timeout: 50 });
    m.destroy();
    return lines;
  }

  it("in_asm: instructions when first decoded", async () => {
    const lines = await log(["in_asm"], loop);
    expect(lines.filter((line) => line.endsWith("dec ecx")).length).toBeLessThanOrEqual(3);
    expect(lines).toContain(`${(entry + 5).toString(16).padStart(8, "0")}  inc eax`);
  });

  it("ir and js: shapes and regions", async () => {
    const lines = await log(["ir", "js"], loop);
    expect(lines.find((line) => line.startsWith("IR of inc r32"))).toContain("set R[$reg] = ");
    expect(lines.find((line) => line.startsWith("JS of inc r32"))).toContain("function");
    expect(lines.find((line) => line.startsWith("JS of region"))).toContain(`function f_${(entry + 5).toString(16)}`);
  });

  it("exec: each block once each time it runs", async () => {
    // mov ecx, 5; again: dec ecx; jnz again; out 0f4h (exit)
    const image = kernel([0xb9, 5, 0, 0, 0, 0x49, 0x75, 0xfd, 0xe6, 0xf4]);
    const lines = await log(["exec"], image);
    const eips = lines.map((line) => Number.parseInt(line.split(" ")[1]!, 16) - entry);
    // The first time round is part of the block that begins with mov.
    expect(eips.slice(0, 6)).toEqual([0, 5, 5, 5, 5, 8]);
  });

  it("int: vector, error code, where and in which ring", async () => {
    const lines = await log(["int"], exits);
    // INT3 with IDT limit 0 or no gate: #GP(3 * 8 + 2), then #GP again: double fault, triple fault.
    expect(lines[0]).toMatch(/^int 03 {2}at 0010:0010002c ring 0, INT3 or INTO$/);
    expect(lines[1]).toMatch(/^int 0d #GP error 001a {2}at 0010:0010002b ring 0, exception$/);
    expect(lines[2]).toMatch(/^int 08 #DF error 0000/);
    expect(lines).toHaveLength(3);
  });

  it("callout: arguments and results", async () => {
    const lines = await log(["callout"], exits);
    expect(lines.slice(0, 5)).toEqual([
      "callout clearInterruptFlag()",
      "callout cpuid()",
      expect.stringMatching(/^callout portRead\(0x60, 1\) = 0x/),
      expect.stringMatching(/^callout portWrite\(0x80, 1, /),
      expect.stringMatching(/^callout portWrite\(0x80, 1, /),
    ]);
  });

  it("callout: those of hot code, too, which are VM exits even where a region does them in line", async () => {
    // mov esp, 80000h; mov ecx, 40000; again: pushfd; popfd; cli; dec ecx; jnz again; out 0f4h (exit)
    const rounds = 0x9c40;
    const image = kernel([...Buffer.from("bc00000800b9409c00009c9dfa4975fae6f4", "hex")]);
    const called = (await log(["callout"], image)).map((line) => line.slice("callout ".length, line.indexOf("(")));
    const count = (name: string): number => called.filter((other) => other === name).length;
    expect(["systemFlags", "restoreFlags", "clearInterruptFlag"].map(count)).toEqual([rounds, rounds, rounds]);
    const m = machine(image);
    await m.run({ timeout: 50 });
    const { exits: all, regions } = m.stats();
    for (const reason of ["PUSHF", "POPF", "CLI"]) expect(all.find((exit) => exit.reason === reason)?.total, reason).toBe(rounds);
    expect(regions).toBeGreaterThan(0);
    m.destroy();
  });
});
