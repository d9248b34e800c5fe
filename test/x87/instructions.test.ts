/** What surrounds x87 arithmetic: availability, pending exceptions, restartability, last-instruction registers (SDM vol. 1, 8; vol. 3, 6.15). */
import { describe, expect, it } from "vitest";
import { spillAll } from "../../runtime/callouts/x87/registers.ts";
import { x87Implementations as x87 } from "../../runtime/callouts/x87.ts";
import { cr0bit, eflag, slot, vector } from "../../translator/contract/slots.ts";
import { GuestException, instructionFor, TestHost } from "../float/engine.ts";

const base = 0x1000;

function host(cr0 = cr0bit.pe | cr0bit.ne | cr0bit.et): TestHost {
  const cpu = new TestHost();
  cpu.R[slot.cr0] = cr0;
  x87.fninit(cpu);
  cpu.ferr = [];
  return cpu;
}

/** The slots with every register's integers up to date. */
function stateOf(cpu: TestHost): Int32Array {
  spillAll(cpu);
  const state = cpu.R.slice();
  state.fill(0, slot.fpuPairHigh, slot.count);
  // Where callouts find the address of the next instruction.
  state[slot.eip] = 0;
  return state;
}

function raised(f: () => void): number {
  try {
    f();
  } catch (e) {
    if (e instanceof GuestException) return e.vector;
    throw e;
  }
  return -1;
}

/** Every encoding of the tables: memory forms once, register forms each. */
function everyInstruction(): { esc: number; modrm: number; isMemory: boolean }[] {
  const list: { esc: number; modrm: number; isMemory: boolean }[] = [];
  for (let esc = 0xd8; esc < 0xe0; esc++) {
    for (let reg = 0; reg < 8; reg++) if (instructionFor(esc, reg << 3)) list.push({ esc, modrm: reg << 3, isMemory: true });
    for (let modrm = 0xc0; modrm < 0x100; modrm++) if (instructionFor(esc, modrm)) list.push({ esc, modrm, isMemory: false });
  }
  return list;
}

const nonWaiting = new Set(["fninit", "fnclex", "fnstcw", "fnstsw", "fnstenv", "fnsave", "fneni", "fndisi", "fnsetpm"]);

describe("device not available", () => {
  it("every escape raises #NM under EM or TS", () => {
    for (const { esc, modrm } of everyInstruction()) {
      for (const bit of [cr0bit.em, cr0bit.ts]) {
        const cpu = host();
        cpu.R[slot.cr0] |= bit;
        const before = stateOf(cpu);
        expect(
          raised(() => instructionFor(esc, modrm)!.run(cpu)),
          `${esc.toString(16)} ${modrm.toString(16)}`,
        ).toBe(vector.nm);
        expect(stateOf(cpu)).toEqual(before);
      }
    }
  });

  it("FWAIT raises #NM under MP and TS together only", () => {
    for (const [bits, expected] of [
      [cr0bit.ts, -1],
      [cr0bit.mp, -1],
      [cr0bit.em, -1],
      [cr0bit.mp | cr0bit.ts, vector.nm],
    ]) {
      const cpu = host();
      cpu.R[slot.cr0] |= bits;
      expect(raised(() => x87.fwait(cpu))).toBe(expected);
    }
  });

  it("EMMS: #UD under EM, #NM under TS", () => {
    const cpu = host();
    cpu.R[slot.cr0] |= cr0bit.em | cr0bit.ts;
    expect(raised(() => x87.emms(cpu))).toBe(vector.ud);
    cpu.R[slot.cr0] &= ~cr0bit.em;
    expect(raised(() => x87.emms(cpu))).toBe(vector.nm);
  });
});

describe("pending exceptions", () => {
  /** 1 / 0 with ZE unmasked. */
  function divideByZero(cpu: TestHost): void {
    cpu.memory.st2(base, 0x37b);
    x87.fldcw(cpu, base);
    instructionFor(0xd9, 0xee)!.run(cpu); // fldz
    instructionFor(0xd9, 0xe8)!.run(cpu); // fld1
    instructionFor(0xd8, 0xf1)!.run(cpu); // fdiv st0, st1
  }

  it("with NE: #MF at the next waiting instruction, whichever it is, and not before", () => {
    for (const { esc, modrm } of everyInstruction()) {
      const instruction = instructionFor(esc, modrm)!;
      const cpu = host();
      divideByZero(cpu);
      expect(cpu.R[slot.fpuStatus] & 0x8084).toBe(0x8084);
      expect(stateOf(cpu)[slot.fpuSignExponent + cpu.R[slot.fpuTop]], "the dividend is still there").toBe(0x3fff);
      const before = stateOf(cpu);
      const outcome = raised(() => instruction.run(cpu));
      expect(outcome, `${instruction.name} ${instruction.operands}`).toBe(nonWaiting.has(instruction.name) ? -1 : vector.mf);
      if (outcome === vector.mf) expect(stateOf(cpu)).toEqual(before);
      expect(cpu.ferr).toEqual([]);
    }
  });

  it("without NE: FERR# goes high at the exception and at the next waiting instruction, low when cleared", () => {
    const cpu = host(cr0bit.pe | cr0bit.et);
    divideByZero(cpu);
    expect(cpu.ferr).toEqual([true]);
    x87.fwait(cpu);
    expect(cpu.ferr).toEqual([true, true]);
    x87.fnclex(cpu);
    expect(cpu.ferr).toEqual([true, true, false]);
    x87.fwait(cpu);
    expect(cpu.ferr.length).toBe(3);
  });

  it("unmasking a recorded exception makes it pending, masking it again withdraws it", () => {
    const cpu = host();
    instructionFor(0xd9, 0xee)!.run(cpu);
    instructionFor(0xd9, 0xe8)!.run(cpu);
    instructionFor(0xd8, 0xf1)!.run(cpu);
    expect(cpu.R[slot.fpuStatus] & 0x8084).toBe(4);
    cpu.memory.st2(base, 0x37b);
    x87.fldcw(cpu, base);
    expect(cpu.R[slot.fpuStatus] & 0x8084).toBe(0x8084);
    expect(raised(() => x87.fwait(cpu))).toBe(vector.mf);
  });
});

describe("memory faults", () => {
  it("leave state and memory as they were, at every byte of every operand", () => {
    for (const { esc, modrm, isMemory } of everyInstruction()) {
      if (!isMemory) continue;
      const instruction = instructionFor(esc, modrm)!;
      const sizes: Record<string, number> = { Md: 4, Mq: 8, Mw: 2, Mt: 10, Menv: 28, Mstate: 108 };
      const size = sizes[instruction.operands];
      for (let visible = 0; visible < size; visible++) {
        const cpu = host();
        instructionFor(0xd9, 0xeb)!.run(cpu); // fldpi: inexact and not an integer
        cpu.R[slot.fpuStatus] = 0;
        for (let i = 0; i < 200; i++) cpu.bytes.setUint8(i, 0x55);
        cpu.limit = base + visible;
        const before = stateOf(cpu);
        expect(
          raised(() => instruction.run(cpu)),
          `${instruction.name} ${instruction.operands} with ${visible} bytes`,
        ).toBe(vector.pf);
        expect(stateOf(cpu), `${instruction.name} ${instruction.operands} with ${visible} bytes`).toEqual(before);
        for (let i = 0; i < 200; i++) expect(cpu.bytes.getUint8(i)).toBe(0x55);
      }
    }
  });

  it("FXSAVE and FXRSTOR ask for 16-byte alignment, FXRSTOR for a valid MXCSR", () => {
    const cpu = host();
    expect(raised(() => x87.fxsave(cpu, base + 8))).toBe(vector.gp);
    expect(raised(() => x87.fxrstor(cpu, base + 8))).toBe(vector.gp);
    x87.fxsave(cpu, base);
    expect(raised(() => x87.fxrstor(cpu, base))).toBe(-1);
    cpu.memory.st4(base + 24, 0x10000);
    const before = stateOf(cpu);
    expect(raised(() => x87.fxrstor(cpu, base))).toBe(vector.gp);
    expect(stateOf(cpu)).toEqual(before);
  });

  it("FXSAVE and FXRSTOR carry everything", () => {
    const cpu = host();
    const R = cpu.R;
    for (let i = 0; i < 32; i++) R[slot.xmm + i] = i * 0x01010101;
    R[slot.mxcsr] = 0x1fa0;
    instructionFor(0xd9, 0xeb)!.run(cpu);
    instructionFor(0xd9, 0xe8)!.run(cpu);
    R[slot.fpuIp] = 0x1234;
    R[slot.fpuDp] = 0x5678;
    const saved = stateOf(cpu);
    x87.fxsave(cpu, base);
    x87.fninit(cpu);
    R.fill(0, slot.xmm, slot.xmm + 32);
    R[slot.mxcsr] = 0x1f80;
    x87.fxrstor(cpu, base);
    expect(stateOf(cpu)).toEqual(saved);
  });
});

describe("last-instruction registers", () => {
  /** fld qword [ds:...] of three bytes, ending at EIP 0x12348; then fnstenv. */
  function afterLoad(cpu: TestHost): void {
    const R = cpu.R;
    R[slot.selector + 1] = 0x23;
    R[slot.selector + 3] = 0x2b;
    R[slot.segmentBase + 3] = 0x800;
    R[slot.eip] = 0x12348;
    // Where the instructions behind it are, as far as it matters.
    R[slot.page] = 0x12346;
    x87.fldDouble(cpu, 0x507 | (3 << 11) | (3 << 16), base + 16);
    x87.fwait(cpu);
    instructionFor(0xd9, 0x3f)!.run(cpu); // control instructions leave them alone
  }

  it("32-bit protected format", () => {
    const cpu = host();
    afterLoad(cpu);
    x87.fnstenv(cpu, base + 64, 4);
    expect(cpu.memory.ld4(base + 76)).toBe(0x12345);
    expect(cpu.memory.ld4(base + 80)).toBe(0x23 | (0x507 << 16));
    expect(cpu.memory.ld4(base + 84)).toBe(0x810);
    expect(cpu.memory.ld2(base + 88)).toBe(0x2b);
  });

  it("16-bit protected format", () => {
    const cpu = host();
    afterLoad(cpu);
    x87.fnstenv(cpu, base + 64, 2);
    expect([70, 72, 74, 76].map((at) => cpu.memory.ld2(base + at))).toEqual([0x2345, 0x23, 0x810, 0x2b]);
  });

  // SDM vol. 1, figures 8-10 and 8-12: linear addresses, split at bit 16.
  const realIp = (0x23 << 4) + 0x12345;
  const realDp = (0x2b << 4) + 0x810;
  for (const [name, change] of [
    ["real", (cpu: TestHost): void => void (cpu.R[slot.cr0] &= ~cr0bit.pe)],
    ["virtual-8086", (cpu: TestHost): void => void (cpu.R[slot.eflags] |= eflag.vm)],
  ] as const) {
    it(`32-bit ${name} format`, () => {
      const cpu = host();
      change(cpu);
      afterLoad(cpu);
      x87.fnstenv(cpu, base + 64, 4);
      expect(cpu.memory.ld2(base + 76)).toBe(realIp & 0xffff);
      expect(cpu.memory.ld4(base + 80)).toBe(((realIp >>> 16) << 12) | 0x507);
      expect(cpu.memory.ld2(base + 84)).toBe(realDp & 0xffff);
      expect(cpu.memory.ld4(base + 88)).toBe((realDp >>> 16) << 12);
    });
    it(`16-bit ${name} format`, () => {
      const cpu = host();
      change(cpu);
      afterLoad(cpu);
      x87.fnstenv(cpu, base + 64, 2);
      expect([70, 72, 74, 76].map((at) => cpu.memory.ld2(base + at))).toEqual([
        realIp & 0xffff,
        ((realIp >>> 16) << 12) | 0x507,
        realDp & 0xffff,
        (realDp >>> 16) << 12,
      ]);
    });
  }

  it("FNSTENV masks all exceptions and withdraws a pending one; FNSAVE initializes", () => {
    const cpu = host();
    cpu.memory.st2(base, 0x340);
    x87.fldcw(cpu, base);
    instructionFor(0xd9, 0xfa)!.run(cpu); // fsqrt of an empty register
    expect(cpu.R[slot.fpuStatus]).toBe(0x80c1);
    x87.fnstenv(cpu, base + 64, 4);
    expect(cpu.memory.ld2(base + 68)).toBe(0x80c1);
    expect(cpu.R[slot.fpuControl]).toBe(0x37f);
    expect(cpu.R[slot.fpuStatus]).toBe(0x41);
    x87.fnsave(cpu, base + 64, 4);
    expect([cpu.R[slot.fpuControl], cpu.R[slot.fpuStatus], cpu.R[slot.fpuTop], cpu.R[slot.fpuEmpty]]).toEqual([0x37f, 0, 0, 0xff]);
  });
});
