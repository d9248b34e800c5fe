/** `save` and `restore` of machines: what is in a saved machine, what goes on from it, and what is refused. Whole guests: test/guests/saved-machine.test.ts. */
import { describe, expect, test } from "vitest";
import { createMachine, MachineError, type MachineOptions } from "../../src/index.ts";
import { count, echo, say, spin } from "../api/kernels.ts";
import { elf32, join, multibootHeader } from "../boot/images.ts";
import { drive } from "../guests/boot-media.ts";
import { assemble } from "../support/assembler.ts";

const small = { memory: 4 << 20 } as const;
const build = (kernel: Uint8Array, options: Partial<MachineOptions> = {}) => createMachine({ kernel, ...small, ...options });

describe("a saved machine", () => {
  test("goes on in another machine, and can be taken up again and again", async () => {
    const machine = build(count, { clock: "virtual" });
    await machine.run({ instructions: 30_000 });
    const saved = structuredClone(machine.save());
    const [eax, time] = [machine.registers.read("eax"), machine.stats().guestSeconds];
    expect(saved.instructions).toBe(machine.stats().instructions);
    await machine.run({ instructions: 30_000 });
    expect(machine.registers.read("eax")).toBeGreaterThan(eax);
    for (let k = 0; k < 2; k++) {
      const other = build(say("never said"), { clock: "virtual" });
      other.restore(saved);
      expect([other.registers.read("eax"), other.stats().guestSeconds]).toEqual([eax, time]);
      await other.run({ instructions: 30_000 });
      expect(other.registers.read("eax")).toBe(machine.registers.read("eax"));
      expect(other.stats().guestSeconds).toBeCloseTo(machine.stats().guestSeconds, 4);
      other.restore(saved);
      expect(other.registers.read("eax")).toBe(eax);
      other.destroy();
    }
    machine.destroy();
  });

  test("keeps input that the guest has not read yet, and loses none that was sent", async () => {
    const machine = build(echo);
    // Not read: the guest has not run.
    machine.serial.write("abc");
    const other = build(echo);
    other.restore(machine.save());
    other.serial.write("dq");
    let sent = "";
    other.on("serial", (bytes) => {
      sent += new TextDecoder().decode(bytes);
    });
    expect((await other.run({ timeout: 20 })).reason).toBe("debug-exit");
    expect(sent).toBe("abcdq");
    machine.destroy();
    other.destroy();
  });

  test("of a guest that has ended: the other machine has not", async () => {
    const machine = build(say("x", 3));
    const start = machine.save();
    await machine.run({ timeout: 20 });
    expect(machine.ended).toMatchObject({ reason: "debug-exit", value: 3 });
    machine.restore(start);
    expect(machine.ended).toBeUndefined();
    expect(await machine.run({ timeout: 20 })).toMatchObject({ reason: "debug-exit", value: 3 });
    machine.destroy();
  });
});

describe("x87 and SSE registers", () => {
  /** Adds 1/k^2 in ST(0) with two values below it, and 1/k in XMM5, for k up to 200,000; the sums go to 200000h. */
  const code = assemble(
    `
    mov esp, 0x90000
    mov eax, cr4
    or eax, 0x600
    mov cr4, eax
    fninit
    fldpi
    fld1
    fldz
    xorps xmm5, xmm5
    mov dword ptr [0x200100], 1
  again:
    fild dword ptr [0x200100]
    fmul st(0), st(0)
    fdivr st(0), st(2)
    faddp st(1), st(0)
    cvtsi2sd xmm1, dword ptr [0x200100]
    fst qword ptr [0x200108]
    mov dword ptr [0x200110], 0
    mov dword ptr [0x200114], 0x3ff00000
    movsd xmm2, qword ptr [0x200110]
    divsd xmm2, xmm1
    addsd xmm5, xmm2
    inc dword ptr [0x200100]
    cmp dword ptr [0x200100], 200000
    jbe again
    fstp tbyte ptr [0x200000]
    fstp tbyte ptr [0x200010]
    fstp tbyte ptr [0x200020]
    movsd qword ptr [0x200030], xmm5
    mov al, 1
    out 0xf4, al`,
    0x10000c,
    32,
  ).bytes;
  const kernel = elf32(0x10000c, [{ virtual: 0x100000, physical: 0x100000, bytes: join(multibootHeader(0), code) }]);
  const result = (machine: ReturnType<typeof createMachine>) => [...machine.memory.readPhysical(0x200000, 0x38)];

  test.each(["exact", "double"] as const)("x87: %s", async (x87) => {
    for (const engine of ["translate", "interpret"] as const) {
      const whole = build(kernel, { x87, engine, clock: "virtual" });
      expect(await whole.run({ timeout: 60 })).toMatchObject({ reason: "debug-exit", value: 1 });
      for (const instructions of [50, 1_000_003, 2_000_000]) {
        const machine = build(kernel, { x87, engine, clock: "virtual" });
        expect(await machine.run({ instructions })).toEqual({ reason: "timeout" });
        const other = build(kernel, { x87, engine, clock: "virtual" });
        other.restore(structuredClone(machine.save()));
        expect(await other.run({ timeout: 60 })).toMatchObject({ reason: "debug-exit", value: 1 });
        expect(result(other), `after ${instructions}`).toEqual(result(whole));
        machine.destroy();
        other.destroy();
      }
      whole.destroy();
    }
  });

  test("saved with the one kind of x87 arithmetic, restored with the other: the same to a double's precision", async () => {
    for (const [from, to] of [
      ["exact", "double"],
      ["double", "exact"],
    ] as const) {
      const machine = build(kernel, { x87: from, clock: "virtual" });
      await machine.run({ instructions: 1_000_000 });
      const other = build(kernel, { x87: to, clock: "virtual" });
      other.restore(machine.save());
      expect(await other.run({ timeout: 60 })).toMatchObject({ reason: "debug-exit", value: 1 });
      // The sum to 200,000 of 1/k^2, by its asymptotic series.
      const sum = new DataView(other.memory.readPhysical(0x200108, 8).buffer).getFloat64(0, true);
      expect(sum).toBeCloseTo(Math.PI ** 2 / 6 - 1 / 200_000 + 1 / (2 * 200_000 ** 2), 11);
      machine.destroy();
      other.destroy();
    }
  });
});

describe("media changed since the machine was built", () => {
  const empty = { hdc: { storage: null, media: "cdrom" }, fda: { storage: null } } as const;
  const disc = () => ({ storage: drive(new Uint8Array(1 << 20), "disc", "cdrom").storage, name: "disc" });
  const floppy = () => ({ storage: drive(new Uint8Array(1440 << 10), "floppy").storage, name: "floppy" });

  test("are put in before the machine is restored: then the guest notices nothing", () => {
    const machine = build(spin, { drives: empty });
    machine.drives.insert("hdc", disc());
    machine.drives.insert("fda", floppy());
    const saved = machine.save();
    const other = build(spin, { drives: empty });
    other.drives.insert("hdc", disc());
    other.drives.insert("fda", floppy());
    other.restore(saved);
    expect(other.save().board).toEqual(saved.board);
    expect(other.drives.list()).toEqual(machine.drives.list());
    machine.drives.eject("hdc");
    const ejected = machine.save();
    other.drives.eject("hdc");
    other.restore(ejected);
    expect(other.save().board).toEqual(ejected.board);
    machine.destroy();
    other.destroy();
  });
});

describe("is refused", () => {
  const saved = () => {
    const machine = build(spin);
    const state = machine.save();
    machine.destroy();
    return state;
  };

  test.each<[string, Partial<MachineOptions>, RegExp]>([
    ["other memory", { memory: 8 << 20 }, /memory: the saved machine had 4194304, this one has 8388608; build it from the same options/],
    ["a screen", { vga: true }, /deviceMemory: .*build it from the same options/],
    ["another clock", { clock: "virtual" }, /clock: the saved machine had host, this one has virtual/],
    ["a drive more", { drives: { virtio: [drive(new Uint8Array(1 << 20), "disk")] } }, /this machine is with virtio.* too; build it/],
  ])("by a machine with %s, which stays as it is", async (_, options, message) => {
    const machine = build(say("ok", 5), options);
    const state = saved();
    expect(() => machine.restore(state)).toThrow(MachineError);
    expect(() => machine.restore(state)).toThrow(message);
    expect(await machine.run({ timeout: 20, instructions: 1e6 })).toMatchObject({ reason: "debug-exit", value: 5 });
    machine.destroy();
  });

  test("by a machine without a drive that was there", () => {
    const withDisk = build(spin, { drives: { virtio: [drive(new Uint8Array(1 << 20), "disk")] } });
    const machine = build(spin);
    expect(() => machine.restore(withDisk.save())).toThrow(/this machine is without virtio/);
  });

  test("while running, once destroyed, and when it is nothing that save returned", async () => {
    const machine = build(spin);
    const state = machine.save();
    expect(() => machine.restore({ ...state, format: 0 })).toThrow(/restore: expected what save\(\) of this version returned \(format 1\), found 0/);
    expect(() => machine.restore(undefined as never)).toThrow(MachineError);
    const run = machine.run({ timeout: 5 });
    expect(() => machine.save()).toThrow(/save: the machine is running; pause it first/);
    expect(() => machine.restore(state)).toThrow(/restore: the machine is running; pause it first/);
    machine.pause();
    await run;
    machine.destroy();
    expect(() => machine.save()).toThrow(/save: the machine is destroyed/);
  });
});
