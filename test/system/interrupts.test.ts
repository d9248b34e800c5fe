import { describe, expect, it } from "vitest";
import { deliverDebugException, deliverException, deliverHardwareInterrupt, deliverInterrupt, eventKind } from "../../runtime/cpu/interrupts.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { eflag, segment, slot, vector } from "../../translator/contract/slots.ts";
import { callouts, Machine, place, sel, selectorOf } from "./machine.ts";

const { es, cs, ss, ds, fs, gs } = segment;
const interruptGate32 = 0x8e;
const trapGate32 = 0x8f;
const dpl3 = 0x60;

describe("real mode", () => {
  it("pushes FLAGS, CS, IP and clears IF, TF, AC", () => {
    const m = new Machine();
    m.R[slot.eip] = 0x1234;
    m.R[slot.esp] = 0xaaaa1000 | 0;
    m.flags = 0x8d7 | eflag.if | eflag.tf | eflag.ac | eflag.df;
    m.write4(4 * 0x21, 0x50000123);
    callouts.softwareInterrupt(m.cpu, 0x21);
    expect(m.R[slot.esp]).toBe(0xaaaa0ffa | 0);
    expect(m.stack(3, 2)).toEqual([0x1234, 0xf000, 0x8d7 | eflag.if | eflag.tf | eflag.df]);
    expect(m.flags).toBe(0x8d7 | eflag.df);
    expect(m.R[slot.eip]).toBe(0x123);
    expect(m.R[slot.segmentBase + cs]).toBe(0x50000);
  });

  it("honours IDTR base and limit; no error codes", () => {
    const m = new Machine();
    m.R[slot.esp] = 0x1000;
    m.R[slot.idtBase] = 0x8000;
    m.write4(0x8000 + 4 * 13, 0x20000456);
    m.R[slot.idtLimit] = 4 * 0x21 - 1;
    m.expectFault(() => callouts.softwareInterrupt(m.cpu, 0x21), vector.gp, 0x21 * 8 + 2);
    deliverException(m.cpu, vector.gp, 0);
    expect(m.R[slot.eip]).toBe(0x456);
    expect(m.R[slot.esp]).toBe(0x1000 - 6);
  });

  it("a stack of no room is a triple fault in the end", () => {
    const m = new Machine();
    m.R[slot.esp] = 1;
    deliverException(m.cpu, vector.ud, -1);
    expect(m.cpu.shutdown).toBe(true);
  });
});

describe("protected mode, same ring", () => {
  it("interrupt gate: EFLAGS, CS, EIP; IF, TF, NT, RF cleared", () => {
    const m = new Machine().enterProtected();
    m.idtGate(0x30, sel.code0, 0x12345678, interruptGate32);
    m.flags = 0x202 | eflag.tf | eflag.nt | eflag.df | 0x41;
    m.R[slot.eip] = 0x777;
    deliverHardwareInterrupt(m.cpu, 0x30);
    expect(m.stack(3)).toEqual([0x777, sel.code0, 0x202 | eflag.tf | eflag.nt | eflag.df | 0x41]);
    expect(m.flags).toBe(eflag.df | 0x43);
    expect(m.R[slot.eip]).toBe(0x12345678);
    expect(m.R[slot.mode] & mode.singleStep).toBe(0);
  });

  it("trap gate keeps IF", () => {
    const m = new Machine().enterProtected();
    m.idtGate(0x30, sel.code0, 0x100, trapGate32);
    m.flags = 0x202;
    deliverHardwareInterrupt(m.cpu, 0x30);
    expect(m.flags & eflag.if).toBe(eflag.if);
  });

  it("16-bit gates push words and take 16 bits of offset", () => {
    const m = new Machine().enterProtected();
    m.idtGate(0x30, sel.code0, 0xffff1234, 0x86);
    m.flags = 0x44202;
    m.R[slot.eip] = 0xabcd5678 | 0;
    deliverHardwareInterrupt(m.cpu, 0x30);
    expect(m.stack(3, 2)).toEqual([0x5678, sel.code0, 0x4202]);
    expect(m.R[slot.eip]).toBe(0x1234);
  });

  it("faults push RF and their error code; traps and aborts do not set RF", () => {
    const m = new Machine().enterProtected();
    for (const v of [vector.gp, vector.bp, vector.ud, vector.db, vector.df]) m.idtGate(v, sel.code0, 0x100, interruptGate32);
    m.flags = 2;
    deliverException(m.cpu, vector.gp, 0x1234);
    expect(m.stack(4)).toEqual([0x1234, place.code, sel.code0, 2 | eflag.rf]);
    m.R[slot.esp] = 0x8000;
    deliverException(m.cpu, vector.ud, -1);
    expect(m.stack(3)[2]).toBe(2 | eflag.rf);
    deliverException(m.cpu, vector.df, 0);
    expect(m.stack(4)[3]).toBe(2);
    deliverDebugException(m.cpu, 1 << 14);
    expect(m.stack(3)[2]).toBe(2);
  });
});

describe("protected mode, from ring 3", () => {
  const ring3 = () => {
    const m = new Machine().enterProtected().enterRing(3);
    m.R[slot.eip] = 0x4321;
    return m;
  };

  it("takes SS:ESP from the TSS and pushes the old stack", () => {
    const m = ring3();
    m.idtGate(0x80, sel.code0, 0x5000, trapGate32 | dpl3);
    m.R[slot.esp] = 0xaff0;
    callouts.softwareInterrupt(m.cpu, 0x80);
    expect(m.R[slot.esp]).toBe(place.stack0 - 20);
    expect(m.stack(5)).toEqual([0x4321, sel.code3 | 3, 0x202, 0xaff0, sel.data3 | 3]);
    expect([selectorOf(m, cs), selectorOf(m, ss), m.R[slot.cpl]]).toEqual([sel.code0, sel.data0, 0]);
    expect([selectorOf(m, ds), selectorOf(m, es)]).toEqual([sel.data3 | 3, sel.data3 | 3]);
    expect(m.R[slot.mode]).toBe(mode.code32 | mode.stack32 | mode.flat | mode.protected);
    expect(m.R[slot.tlbHalf]).toBe(0);
    expect(m.accessByte(sel.data0) & 1).toBe(1);
  });

  it("error codes come last, then 24 bytes", () => {
    const m = ring3();
    m.idtGate(vector.pf, sel.code0, 0x5000, interruptGate32);
    deliverException(m.cpu, vector.pf, 7);
    expect(m.stack(6)).toEqual([7, 0x4321, sel.code3 | 3, 0x202 | eflag.rf, place.stack3, sel.data3 | 3]);
  });

  it("16-bit gate on a 32-bit stack", () => {
    const m = ring3();
    m.idtGate(0x80, sel.code0, 0x5000, 0x87 | dpl3);
    callouts.softwareInterrupt(m.cpu, 0x80);
    expect(m.R[slot.esp]).toBe(place.stack0 - 10);
    expect(m.stack(5, 2)).toEqual([0x4321, sel.code3 | 3, 0x202, place.stack3, sel.data3 | 3]);
  });

  it("16-bit inner stack segment: only SP moves", () => {
    const m = ring3();
    m.idtGate(0x80, sel.code0, 0x5000, trapGate32 | dpl3);
    m.write4(place.tss + 4, 0x12340100);
    m.write4(place.tss + 8, sel.data16);
    m.R[slot.esp] = 0xcccc7000 | 0;
    callouts.softwareInterrupt(m.cpu, 0x80);
    expect(m.R[slot.esp]).toBe(0xcccc00ec | 0);
    expect(m.stack(5)).toEqual([0x4321, sel.code3 | 3, 0x202, 0xcccc7000, sel.data3 | 3]);
  });

  it("conforming code stays in ring 3, on its stack", () => {
    const m = ring3();
    m.idtGate(0x80, sel.conforming0, 0x5000, trapGate32 | dpl3);
    callouts.softwareInterrupt(m.cpu, 0x80);
    expect([m.R[slot.cpl], selectorOf(m, cs), m.R[slot.esp]]).toEqual([3, sel.conforming0 | 3, place.stack3 - 12]);
  });

  it("ring 1 has its own stack, and its RPL in CS", () => {
    const m = ring3();
    m.idtGate(0x80, sel.code1, 0x5000, trapGate32 | dpl3);
    callouts.softwareInterrupt(m.cpu, 0x80);
    expect([m.R[slot.cpl], selectorOf(m, cs), m.R[slot.esp]]).toEqual([1, sel.code1 | 1, place.stack1 - 20]);
  });

  it("INT n and INT3 need the gate's DPL; exceptions, interrupts and ICEBP do not", () => {
    const m = ring3();
    for (const v of [vector.db, vector.bp, vector.of, 0x30]) m.idtGate(v, sel.code0, 0x5000, interruptGate32);
    m.expectFault(() => callouts.softwareInterrupt(m.cpu, 0x30), vector.gp, 0x30 * 8 + 2);
    m.expectFault(() => callouts.breakpointInterrupt(m.cpu), vector.gp, 3 * 8 + 2);
    callouts.overflowInterrupt(m.cpu);
    expect(m.R[slot.cpl]).toBe(3);
    m.flags |= eflag.of;
    m.expectFault(() => callouts.overflowInterrupt(m.cpu), vector.gp, 4 * 8 + 2);
    callouts.debugInterrupt(m.cpu);
    expect([m.R[slot.cpl], m.R[slot.eip]]).toEqual([0, 0x5000]);
  });

  const gate = (setUp: (m: Machine) => void, kind: number = eventKind.software) => {
    const m = ring3();
    m.idtGate(0x30, sel.code0, 0x5000, trapGate32 | dpl3);
    setUp(m);
    return { m, act: () => deliverInterrupt(m.cpu, 0x30, kind as 0, -1) };
  };
  it.each([
    ["beyond the IDT", (m: Machine) => void (m.R[slot.idtLimit] = 0x30 * 8 + 6), vector.gp, 0x182],
    ["not a gate", (m: Machine) => m.idtGate(0x30, sel.code0, 0, 0xec), vector.gp, 0x182],
    ["DPL before P", (m: Machine) => m.idtGate(0x30, sel.code0, 0, 0x0e), vector.gp, 0x182],
    ["absent gate", (m: Machine) => m.idtGate(0x30, sel.code0, 0, 0x6e), vector.np, 0x182],
    ["null code selector", (m: Machine) => m.idtGate(0x30, 3, 0, 0xee), vector.gp, 0],
    ["code beyond the GDT", (m: Machine) => m.idtGate(0x30, 0xf8, 0, 0xee), vector.gp, 0xf8],
    ["data as code", (m: Machine) => m.idtGate(0x30, sel.data0, 0, 0xee), vector.gp, sel.data0],
    ["absent code", (m: Machine) => m.idtGate(0x30, sel.absentCode, 0, 0xee), vector.np, sel.absentCode],
    ["null stack in the TSS", (m: Machine) => m.write4(place.tss + 8, 0), vector.ts, 0],
    ["stack of wrong RPL", (m: Machine) => m.write4(place.tss + 8, sel.data0 | 1), vector.ts, sel.data0],
    ["stack of wrong DPL", (m: Machine) => m.write4(place.tss + 8, sel.data3), vector.ts, sel.data3],
    ["read-only stack", (m: Machine) => m.write4(place.tss + 8, sel.readOnly0), vector.ts, sel.readOnly0],
    ["stack beyond the GDT", (m: Machine) => m.write4(place.tss + 8, 0xf8), vector.ts, 0xf8],
    ["absent stack", (m: Machine) => m.write4(place.tss + 8, sel.absentData), vector.ss, sel.absentData],
    ["TSS too small", (m: Machine) => void (m.R[slot.segmentLimit + segment.tr] = 10), vector.ts, sel.tss],
    [
      "no room",
      (m: Machine) => {
        m.write4(place.tss + 8, sel.data16);
        m.write4(place.tss + 4, 0x2);
      },
      vector.ss,
      sel.data16,
    ],
    [
      "EIP beyond the limit",
      (m: Machine) => {
        m.descriptor(sel.free, 0, 0xff, 0x9a, 4);
        m.idtGate(0x30, sel.free, 0x100, 0xee);
      },
      vector.gp,
      0,
    ],
  ])("%s", (_what, setUp, exception, code) => {
    const soft = gate(setUp as (m: Machine) => void);
    soft.m.expectFault(soft.act, exception, code);
    if (_what === "DPL before P") return;
    // The same during an external interrupt: EXT.
    const hard = gate(setUp as (m: Machine) => void, eventKind.hardware);
    hard.m.expectFault(hard.act, exception, code | 1);
  });

  it("an outward gate is refused", () => {
    const m = new Machine().enterProtected();
    m.idtGate(0x30, sel.code3, 0x5000, 0xee);
    m.expectFault(() => callouts.softwareInterrupt(m.cpu, 0x30), vector.gp, sel.code3);
  });
});

describe("double and triple faults", () => {
  const machine = () => {
    const m = new Machine().enterProtected();
    for (let v = 0; v < 32; v++) m.idtGate(v, sel.code0, 0x1000 + v, interruptGate32);
    return m;
  };
  const breakGate = (m: Machine, v: number) => m.idtGate(v, sel.code0, 0, 0x0e);
  const entered = (m: Machine) => m.R[slot.eip] - 0x1000;

  it("a benign exception, then a contributory one: the second alone", () => {
    const m = machine();
    breakGate(m, vector.ud);
    deliverException(m.cpu, vector.ud, -1);
    expect(entered(m)).toBe(vector.np);
    expect(m.stack(1)).toEqual([vector.ud * 8 + 2 + 1]);
  });

  it("contributory on contributory: #DF with error code 0", () => {
    const m = machine();
    breakGate(m, vector.gp);
    deliverException(m.cpu, vector.gp, 0x10);
    expect(entered(m)).toBe(vector.df);
    expect(m.stack(3)).toEqual([0, place.code, sel.code0]);
  });

  it("#PF, then contributory: #DF; contributory, then #PF: #PF", () => {
    const m = machine();
    breakGate(m, vector.pf);
    deliverException(m.cpu, vector.pf, 2);
    expect(entered(m)).toBe(vector.df);
  });

  it("#DF undeliverable: shutdown", () => {
    const m = machine();
    breakGate(m, vector.gp);
    breakGate(m, vector.df);
    deliverException(m.cpu, vector.gp, 0);
    expect(m.cpu.shutdown).toBe(true);
  });

  it("an external interrupt's delivery fault is delivered by itself", () => {
    const m = machine();
    breakGate(m, 0x30);
    deliverHardwareInterrupt(m.cpu, 0x30);
    expect(entered(m)).toBe(vector.np);
    expect(m.stack(1)).toEqual([0x30 * 8 + 2 + 1]);
    expect(m.cpu.deliveringVector).toBe(-1);
  });
});

describe("#DB", () => {
  it("notes its causes in DR6, keeping the sticky ones, and clears DR7.GD", () => {
    const m = new Machine().enterProtected();
    m.idtGate(vector.db, sel.code0, 0x100, interruptGate32);
    m.R[slot.dr6] = 0xffff4ff3 | 0;
    m.R[slot.dr7] = 0x2400;
    deliverDebugException(m.cpu, 1 << 13);
    expect(m.R[slot.dr6] >>> 0).toBe(0xffff6ff0);
    expect(m.R[slot.dr7]).toBe(0x400);
  });
});

describe("IRET", () => {
  it("real mode: 16- and 32-bit", () => {
    const m = new Machine();
    m.R[slot.esp] = 0x1000;
    m.pushAll([0x1234, 0x5678, 0x7fd7], 2);
    callouts.interruptReturn(m.cpu, 2);
    expect([m.R[slot.eip], m.R[slot.segmentBase + cs], m.flags]).toEqual([0x1234, 0x56780, 0x7fd7]);
    m.pushAll([0x4321, 0x8765, 0xffffffff | 0]);
    callouts.interruptReturn(m.cpu, 4);
    // VM, VIF, VIP untouched. TF is set, so RF stays to hold off breakpoints.
    expect([m.R[slot.eip], m.flags]).toEqual([0x4321, 0x257fd7]);
    m.pushAll([0x10000, 0, 2]);
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.gp, 0);
  });

  it("ring 0 to ring 3: both stacks, data segments dropped", () => {
    const m = new Machine().enterProtected();
    callouts.loadSegment(m.cpu, es, sel.data3);
    callouts.loadSegment(m.cpu, fs, sel.conforming0);
    callouts.loadSegment(m.cpu, gs, 2);
    m.pushAll([0x4444, sel.code3 | 3, 0x3246, 0xbeef0, sel.data3 | 3]);
    callouts.interruptReturn(m.cpu, 4);
    expect([m.R[slot.cpl], m.R[slot.eip], m.R[slot.esp], m.flags]).toEqual([3, 0x4444, 0xbeef0, 0x3246]);
    expect([ds, es, fs, gs].map((s) => selectorOf(m, s))).toEqual([0, sel.data3, sel.conforming0, 0]);
    expect(m.R[slot.segmentAccess + ds]).toBe(0);
    expect(m.R[slot.tlbHalf]).toBe(1 << 20);
  });

  it("ring 3 cannot change IF or IOPL, nor VM, VIF, VIP", () => {
    const m = new Machine().enterProtected().enterRing(3);
    m.pushAll([0x4444, sel.code3 | 3, (0x3fd7 & ~0x200 & ~0x100) | 0x1a0000]);
    callouts.interruptReturn(m.cpu, 4);
    expect(m.flags).toBe(0x202 | (0xfd7 & ~0x100));
    m.pushAll([0x4444, sel.code3 | 3, 0x240002]);
    callouts.interruptReturn(m.cpu, 4);
    expect(m.flags).toBe(0x240202);
  });

  it("with CPL <= IOPL ring 3 changes IF but not IOPL", () => {
    const m = new Machine().enterProtected().enterRing(3, 0x3202);
    m.pushAll([0x4444, sel.code3 | 3, 0x0002]);
    callouts.interruptReturn(m.cpu, 4);
    expect(m.flags).toBe(0x3002);
  });

  it("a 16-bit operand keeps the upper half of EFLAGS", () => {
    const m = new Machine().enterProtected();
    m.flags = 0x240202;
    m.pushAll([0x4444, sel.code0, 0x3046], 2);
    callouts.interruptReturn(m.cpu, 2);
    expect([m.R[slot.eip], m.flags]).toEqual([0x4444, 0x243046]);
  });

  it.each([
    ["null CS", [0, 0, 2], vector.gp, 0],
    ["CS beyond the table", [0, 0xf8, 2], vector.gp, 0xf8],
    ["data as CS", [0, sel.data0, 2], vector.gp, sel.data0],
    ["nonconforming: DPL is not RPL", [0, sel.code0 | 3, 2], vector.gp, sel.code0],
    ["conforming: DPL above RPL", [0, sel.conforming3, 2], vector.gp, sel.conforming3],
    ["absent CS", [0, sel.absentCode, 2], vector.np, sel.absentCode],
    ["null SS", [0, sel.code3 | 3, 2, 0, 0], vector.gp, 0],
    ["SS beyond the table", [0, sel.code3 | 3, 2, 0, 0xfb], vector.gp, 0xf8],
    ["SS: RPL", [0, sel.code3 | 3, 2, 0, sel.data3], vector.gp, sel.data3],
    ["SS: DPL", [0, sel.code3 | 3, 2, 0, sel.data0 | 3], vector.gp, sel.data0],
    ["SS: type", [0, sel.code3 | 3, 2, 0, sel.code3 | 3], vector.gp, sel.code3],
  ])("%s", (_what, image, exception, code) => {
    const m = new Machine().enterProtected();
    m.pushAll(image as number[]);
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), exception as number, code as number);
  });

  it("absent SS: #NP(selector), unlike RETF", () => {
    const m = new Machine().enterProtected();
    m.descriptor(sel.free, 0, 0xfffff, 0x72, 0xc);
    m.pushAll([0, sel.code3 | 3, 2, 0, sel.free | 3]);
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.np, sel.free);
  });

  it("to an inner ring is #GP", () => {
    const m = new Machine().enterProtected().enterRing(3);
    m.pushAll([0, sel.code0, 2]);
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.gp, sel.code0);
  });

  it("beyond the stack segment: #SS(0)", () => {
    const m = new Machine().enterProtected();
    callouts.loadSegment(m.cpu, ss, sel.data16);
    m.R[slot.interruptShadow] = 0;
    m.R[slot.esp] = 0xfffe;
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.ss, 0);
  });

  it("to a 16-bit stack only SP is loaded", () => {
    const m = new Machine().enterProtected();
    m.R[slot.esp] = 0x7000;
    m.pushAll([0x10, sel.code3 | 3, 2, 0xaaaa0080, sel.free | 3]);
    m.descriptor(sel.free, 0x30000, 0xffff, 0xf2, 0);
    const esp = m.R[slot.esp];
    callouts.interruptReturn(m.cpu, 4);
    expect(m.R[slot.esp] >>> 0).toBe(((esp & 0xffff0000) | 0x80) >>> 0);
  });
});

describe("virtual-8086 mode", () => {
  it("IRET enters it, an interrupt leaves it", () => {
    const m = new Machine().enterProtected().enterVirtual8086(0x3202);
    expect(m.flags).toBe(0x23202);
    expect([m.R[slot.cpl], m.R[slot.eip], m.R[slot.esp]]).toEqual([3, 0x100, 0xfff0]);
    expect([cs, ss, es, ds, fs, gs].map((s) => m.R[slot.segmentBase + s])).toEqual([0x10000, 0x20000, 0x30000, 0x40000, 0x50000, 0x60000]);
    expect(m.R[slot.segmentLimit + ds]).toBe(0xffff);
    expect(m.R[slot.mode]).toBe(mode.virtual8086 | mode.user | mode.wide);
    m.idtGate(vector.gp, sel.code0, 0x9000, interruptGate32);
    deliverException(m.cpu, vector.gp, 0);
    expect(m.R[slot.esp]).toBe(place.stack0 - 40);
    expect(m.stack(10)).toEqual([0, 0x100, 0x1000, (0x33202 & ~0x10000) | eflag.rf, 0xfff0, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000]);
    expect([ds, es, fs, gs].map((s) => selectorOf(m, s))).toEqual([0, 0, 0, 0]);
    expect([m.R[slot.cpl], m.flags & eflag.vm, m.R[slot.mode]]).toEqual([0, 0, mode.code32 | mode.stack32 | mode.protected]);
    m.R[slot.esp] += 4;
    callouts.interruptReturn(m.cpu, 4);
    expect([m.R[slot.eip], selectorOf(m, ds)]).toEqual([0x100, 0x4000]);
  });

  it("EIP above FFFFh in the image: #GP(0)", () => {
    const m = new Machine().enterProtected();
    m.pushAll([0x10000, 0, 0x20002, 0, 0, 0, 0, 0, 0]);
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.gp, 0);
  });

  it("handlers must be in ring 0 and not conforming", () => {
    const m = new Machine().enterProtected().enterVirtual8086();
    m.idtGate(0x30, sel.conforming0, 0, 0xee);
    m.idtGate(0x31, sel.code1, 0, 0xee);
    m.expectFault(() => deliverInterrupt(m.cpu, 0x30, eventKind.hardware, -1), vector.gp, sel.conforming0 | 1);
    m.expectFault(() => deliverInterrupt(m.cpu, 0x31, eventKind.hardware, -1), vector.gp, sel.code1 | 1);
  });

  it("INT n: #GP(0) below IOPL 3, the IDT at 3; INT3 always the IDT", () => {
    const m = new Machine().enterProtected().enterVirtual8086();
    m.idtGate(0x21, sel.code0, 0x1000, 0xee);
    m.idtGate(3, sel.code0, 0x1003, 0xee);
    m.expectFault(() => callouts.softwareInterrupt(m.cpu, 0x21), vector.gp, 0);
    callouts.breakpointInterrupt(m.cpu);
    expect(m.R[slot.eip]).toBe(0x1003);
    m.enterVirtual8086(0x3202);
    callouts.softwareInterrupt(m.cpu, 0x21);
    expect(m.R[slot.eip]).toBe(0x1000);
  });

  describe("VME", () => {
    const vme = (flags: number, redirect: boolean) => {
      const m = new Machine().enterProtected();
      callouts.writeControl(m.cpu, 4, 1);
      // The redirection bitmap lies below the I/O map at offset 104 + 32.
      m.descriptor(sel.tss, place.tss, 0x100, 0x8b, 0);
      m.R[slot.segmentLimit + segment.tr] = 0x100;
      m.write2(place.tss + 102, 136);
      for (let i = 0; i < 32; i++) m.physical.write1(place.tss + 104 + i, redirect ? 0 : 0xff);
      m.write4(4 * 0x21, 0x70000077);
      m.idtGate(0x21, sel.code0, 0x1000, 0xee);
      return m.enterVirtual8086(flags);
    };

    it("redirected with IOPL 3: IF and TF cleared", () => {
      const m = vme(0x3202, true);
      callouts.softwareInterrupt(m.cpu, 0x21);
      expect([m.R[slot.eip], m.R[slot.segmentBase + cs], m.flags]).toEqual([0x77, 0x70000, 0x23002]);
      expect(m.stack(3, 2)).toEqual([0x100, 0x1000, 0x3202]);
    });

    it("redirected below IOPL 3: VIF stands for IF", () => {
      const m = vme(0x0202 | eflag.vif, true);
      callouts.softwareInterrupt(m.cpu, 0x21);
      expect(m.flags).toBe(0x20202);
      expect(m.stack(3, 2)).toEqual([0x100, 0x1000, 0x3202]);
      callouts.interruptReturn(m.cpu, 2);
      expect(m.flags).toBe(0x20202 | eflag.vif);
    });

    it("not redirected: the IDT with IOPL 3, else #GP(0)", () => {
      const m = vme(0x3202, false);
      callouts.softwareInterrupt(m.cpu, 0x21);
      expect(m.R[slot.eip]).toBe(0x1000);
      const low = vme(0x0202, false);
      low.expectFault(() => callouts.softwareInterrupt(low.cpu, 0x21), vector.gp, 0);
    });

    it("IRET below IOPL 3: #GP for TF, or IF with VIP pending, or 32-bit", () => {
      for (const image of [0x102, 0x202]) {
        const m = vme(0x0202 | eflag.vip, true);
        m.pushAll([0, 0, image], 2);
        m.expectFault(() => callouts.interruptReturn(m.cpu, 2), vector.gp, 0);
        m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.gp, 0);
      }
    });
  });
});

describe("SYSENTER and SYSEXIT", () => {
  it("go to the MSRs' address and back", () => {
    const m = new Machine().enterProtected();
    m.R[slot.sysenterCs] = sel.code0;
    m.R[slot.sysenterEsp] = 0x6000;
    m.R[slot.sysenterEip] = 0x5000;
    m.enterRing(3, 0x202);
    callouts.sysenter(m.cpu);
    expect([m.R[slot.cpl], m.R[slot.eip], m.R[slot.esp], m.flags]).toEqual([0, 0x5000, 0x6000, 2]);
    expect([selectorOf(m, cs), selectorOf(m, ss)]).toEqual([8, 0x10]);
    m.R[slot.ecx] = 0x7000;
    m.R[slot.edx] = 0x8000;
    callouts.sysexit(m.cpu);
    expect([m.R[slot.cpl], m.R[slot.eip], m.R[slot.esp]]).toEqual([3, 0x8000, 0x7000]);
    expect([selectorOf(m, cs), selectorOf(m, ss)]).toEqual([0x1b, 0x23]);
    m.expectFault(() => callouts.sysexit(m.cpu), vector.gp, 0);
  });

  it("#GP(0) without a CS, or in real mode", () => {
    const m = new Machine().enterProtected();
    m.expectFault(() => callouts.sysenter(m.cpu), vector.gp, 0);
    const real = new Machine();
    real.R[slot.sysenterCs] = 8;
    real.expectFault(() => callouts.sysenter(real.cpu), vector.gp, 0);
  });
});
