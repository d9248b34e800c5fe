import { describe, expect, it } from "vitest";
import { deliverException, deliverHardwareInterrupt } from "../../runtime/cpu/interrupts.ts";
import { cr0bit, eflag, segment, slot, vector } from "../../translator/contract/slots.ts";
import { callouts, Machine, place, sel, selectorOf } from "./machine.ts";

const { es, cs, ss, ds, fs, gs, ldtr, tr } = segment;

/** A 32-bit TSS at tss2 for ring 0 with everything valid. */
function newTask(m: Machine, changes: { [offset: number]: number } = {}): Machine {
  const t = place.tss2;
  const words: { [offset: number]: number } = {
    28: 0,
    32: 0x5555,
    36: 0x46,
    40: 0xa0,
    44: 0xa1,
    48: 0xa2,
    52: 0xa3,
    56: 0x7000,
    60: 0xa5,
    64: 0xa6,
    68: 0xa7,
    72: sel.data0,
    76: sel.code0,
    80: sel.data0,
    84: sel.data3,
    88: 0,
    92: sel.data0,
    96: sel.ldt,
    100: 0,
    ...changes,
  };
  for (const [offset, value] of Object.entries(words)) m.write4(t + Number(offset), value);
  return m;
}

function machine(changes: { [offset: number]: number } = {}): Machine {
  const m = newTask(new Machine().enterProtected(), changes);
  m.gate(place.gdt + sel.taskGate, sel.tss2, 0, 0x85);
  m.R[slot.eip] = 0x777;
  m.flags = 0x202;
  for (let i = 0; i < 8; i++) if (i !== 4) m.R[slot.eax + i] = 0x10 + i;
  for (const v of [vector.ts, vector.np, vector.ss, vector.gp, vector.db]) m.idtGate(v, sel.code0, 0x9000 + v, 0x8f);
  return m;
}

describe("32-bit TSS", () => {
  it("JMP: saves the old task, loads the new one, moves the busy bit", () => {
    const m = machine();
    callouts.farJump(m.cpu, sel.tss2, 0x1234);
    const old = place.tss;
    expect([m.read4(old + 32), m.read4(old + 36)]).toEqual([0x777, 0x202]);
    expect([40, 44, 48, 52, 56, 60, 64, 68].map((o) => m.read4(old + o))).toEqual([0x10, 0x11, 0x12, 0x13, 0x8000, 0x15, 0x16, 0x17]);
    expect([72, 76, 80, 84, 88, 92].map((o) => m.read2(old + o))).toEqual([0x10, 8, 0x10, 0x10, 0x10, 0x10]);
    expect(m.read2(place.tss2)).toBe(0);
    expect([m.accessByte(sel.tss), m.accessByte(sel.tss2)]).toEqual([0x89, 0x8b]);
    const { R } = m;
    expect(Array.from(R.subarray(0, 9))).toEqual([0xa0, 0xa1, 0xa2, 0xa3, 0x7000, 0xa5, 0xa6, 0xa7, 0x5555]);
    expect(m.flags).toBe(0x46);
    expect([es, cs, ss, ds, fs, gs, ldtr, tr].map((s) => selectorOf(m, s))).toEqual([
      sel.data0,
      sel.code0,
      sel.data0,
      sel.data3,
      0,
      sel.data0,
      sel.ldt,
      sel.tss2,
    ]);
    expect([R[slot.segmentBase + tr], R[slot.segmentBase + ldtr], R[slot.segmentAccess + fs]]).toEqual([place.tss2, place.ldt, 0]);
    expect(R[slot.cr0] & cr0bit.ts).toBe(cr0bit.ts);
    expect(R[slot.segmentAccess + tr]).toBe(0x8b00);
  });

  it("CALL nests: link, NT, both busy; IRET returns", () => {
    const m = machine();
    callouts.farCall(m.cpu, sel.taskGate, 0, 4);
    expect(m.read2(place.tss2)).toBe(sel.tss);
    expect(m.flags).toBe(0x46 | eflag.nt);
    expect([m.accessByte(sel.tss), m.accessByte(sel.tss2)]).toEqual([0x8b, 0x8b]);
    m.R[slot.eax] = 0x99;
    m.R[slot.eip] = 0x6000;
    callouts.interruptReturn(m.cpu, 4);
    expect([m.R[slot.eip], m.R[slot.eax], m.flags, selectorOf(m, tr)]).toEqual([0x777, 0x10, 0x202, sel.tss]);
    expect([m.accessByte(sel.tss), m.accessByte(sel.tss2)]).toEqual([0x8b, 0x89]);
    // The image saved for the task left has NT clear.
    expect([m.read4(place.tss2 + 32), m.read4(place.tss2 + 36), m.read4(place.tss2 + 40)]).toEqual([0x6000, 0x46, 0x99]);
  });

  it("an exception through a task gate pushes its error code there; RF is saved", () => {
    const m = machine();
    m.gate(place.idt + 8 * vector.gp, sel.tss2, 0, 0x85);
    deliverException(m.cpu, vector.gp, 0x1234);
    expect([m.R[slot.eip], m.R[slot.esp], m.stack(1)[0]]).toEqual([0x5555, 0x6ffc, 0x1234]);
    expect(m.read4(place.tss + 36)).toBe(0x202 | eflag.rf);
    expect(m.read4(place.tss + 32)).toBe(0x777);
  });

  it("an external interrupt through a task gate", () => {
    const m = machine();
    m.gate(place.idt + 8 * 0x40, sel.tss2, 0, 0x85);
    deliverHardwareInterrupt(m.cpu, 0x40);
    expect([m.R[slot.eip], m.R[slot.esp], m.read2(place.tss2)]).toEqual([0x5555, 0x7000, sel.tss]);
  });

  it("loads CR3 when paging is on", () => {
    const m = machine({ 28: 0x81000 });
    for (const directory of [0x80000, 0x81000]) m.write4(directory, 0x83);
    callouts.writeControl(m.cpu, 4, 0x10);
    callouts.writeControl(m.cpu, 3, 0x80000);
    callouts.writeControl(m.cpu, 0, 0x80000011 | 0);
    callouts.farJump(m.cpu, sel.tss2, 0);
    expect(m.R[slot.cr3]).toBe(0x81000);
  });

  it("to ring 3 and to virtual-8086 mode", () => {
    const user = machine({ 76: sel.code3 | 3, 80: sel.data3 | 3, 72: 0, 92: 0 });
    callouts.farJump(user.cpu, sel.tss2, 0);
    expect([user.R[slot.cpl], user.R[slot.eip]]).toEqual([3, 0x5555]);
    const v86 = machine({ 36: 0x20202, 76: 0x1000, 80: 0x2000, 84: 0x3000, 32: 0x55 });
    callouts.farJump(v86.cpu, sel.tss2, 0);
    expect([v86.R[slot.cpl], v86.R[slot.segmentBase + cs], v86.R[slot.segmentBase + ds], v86.cpu.isVirtual8086]).toEqual([3, 0x10000, 0x30000, true]);
  });

  it("the T flag raises a debug trap after the switch; local breakpoints go", () => {
    const m = machine({ 100: 1 });
    m.R[slot.dr7] = 0x7ff;
    callouts.farJump(m.cpu, sel.tss2, 0);
    expect(m.cpu.pendingDebug).toBe(1 << 15);
    expect(m.R[slot.dr7]).toBe(0x6aa);
  });
});

describe("16-bit TSS", () => {
  it("loads words and null FS, GS; 42 bytes of old state are a 32-bit TSS's", () => {
    const m = machine();
    const t = place.tss2;
    const words: [number, number][] = [
      [14, 0x5555],
      [16, 0x46],
      [18, 1],
      [20, 2],
      [22, 3],
      [24, 4],
      [26, 0x7000],
      [28, 6],
      [30, 7],
      [32, 8],
      [34, sel.data0],
      [36, sel.code0],
      [38, sel.data0],
      [40, sel.data0],
      [42, 0],
    ];
    for (const [offset, value] of words) m.write2(t + offset, value);
    callouts.farCall(m.cpu, sel.tss16, 0, 4);
    expect([m.R[slot.eax] & 0xffff, m.R[slot.edi] & 0xffff, m.R[slot.eip], m.R[slot.esp] & 0xffff]).toEqual([1, 8, 0x5555, 0x7000]);
    expect([selectorOf(m, fs), selectorOf(m, gs), selectorOf(m, ds)]).toEqual([0, 0, sel.data0]);
    expect(m.read2(t)).toBe(sel.tss);
    expect(m.flags).toBe(0x46 | eflag.nt);
    m.R[slot.eip] = 0x1234;
    callouts.interruptReturn(m.cpu, 4);
    expect([m.read2(t + 14), m.read2(t + 16), m.R[slot.eip]]).toEqual([0x1234, 0x46, 0x777]);
  });
});

describe("faults before the switch leave the old task as it was", () => {
  it.each([
    ["busy TSS", (m: Machine) => m.descriptor(sel.tss2, place.tss2, 0x67, 0x8b), sel.tss2, vector.gp, sel.tss2],
    ["DPL below RPL", () => {}, sel.tss2 | 3, vector.gp, sel.tss2],
    ["absent TSS", () => {}, sel.absentTss, vector.np, sel.absentTss],
    ["TSS too small", (m: Machine) => m.descriptor(sel.tss2, place.tss2, 0x66, 0x89), sel.tss2, vector.ts, sel.tss2],
    ["absent gate", (m: Machine) => m.gate(place.gdt + sel.taskGate, sel.tss2, 0, 0x05), sel.taskGate, vector.np, sel.taskGate],
    ["gate to the LDT", (m: Machine) => m.gate(place.gdt + sel.taskGate, sel.tss2 | 4, 0, 0x85), sel.taskGate, vector.gp, sel.tss2 | 4],
    ["gate to code", (m: Machine) => m.gate(place.gdt + sel.taskGate, sel.code0, 0, 0x85), sel.taskGate, vector.gp, sel.code0],
    ["gate to null", (m: Machine) => m.gate(place.gdt + sel.taskGate, 0, 0, 0x85), sel.taskGate, vector.gp, 0],
    ["gate to an absent TSS", (m: Machine) => m.gate(place.gdt + sel.taskGate, sel.absentTss, 0, 0x85), sel.taskGate, vector.np, sel.absentTss],
  ])("%s", (_what, change, selector, exception, code) => {
    const m = machine();
    change(m);
    m.expectFault(() => callouts.farCall(m.cpu, selector, 0, 4), exception, code);
    m.expectFault(() => callouts.farJump(m.cpu, selector, 0), exception, code);
  });

  it("IRET with NT: the link must name a busy TSS", () => {
    const m = machine();
    m.flags = 0x4002;
    m.write2(place.tss, sel.tss2);
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.ts, sel.tss2);
    m.write2(place.tss, 4);
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.ts, 4);
    m.write2(place.tss, 0xf8);
    m.expectFault(() => callouts.interruptReturn(m.cpu, 4), vector.ts, 0xf8);
  });
});

describe("faults after the switch belong to the new task", () => {
  it.each([
    ["LDT not in the GDT", { 96: sel.ldt | 4 }, vector.ts, sel.ldt | 4],
    ["LDT selector of a TSS", { 96: sel.tss }, vector.ts, sel.tss],
    ["null CS", { 76: 0 }, vector.ts, 0],
    ["CS data", { 76: sel.data0 }, vector.ts, sel.data0],
    ["CS: DPL is not RPL", { 76: sel.code3 }, vector.ts, sel.code3],
    ["absent CS", { 76: sel.absentCode }, vector.np, sel.absentCode],
    ["SS read-only", { 80: sel.readOnly0 }, vector.ts, sel.readOnly0],
    ["DS beyond the table", { 84: 0xf8 }, vector.ts, 0xf8],
    ["absent ES", { 72: sel.absentData }, vector.np, sel.absentData],
    ["GS out of reach", { 92: sel.data0 | 3 }, vector.ts, sel.data0],
  ])("%s", (_what, changes, exception, code) => {
    const m = machine(changes as { [offset: number]: number });
    // The handler runs in a task of its own, so that a broken stack or code segment does not matter.
    m.gate(place.idt + 8 * exception, sel.free, 0, 0x85);
    const third = 0x5000;
    m.descriptor(sel.free, third, 0x67, 0x89);
    const words: [number, number][] = [
      [32, 0x8888],
      [36, 2],
      [56, 0x6000],
      [72, 0],
      [76, sel.code0],
      [80, sel.data0],
      [84, 0],
    ];
    for (const [offset, value] of words) m.write4(third + offset, value);
    callouts.farJump(m.cpu, sel.tss2, 0);
    expect([m.R[slot.eip], m.stack(1)[0], m.cpu.shutdown]).toEqual([0x8888, code, false]);
    // It interrupted the new task at its first instruction, not the old one.
    expect([m.read2(third), m.read4(place.tss2 + 32), m.read4(place.tss2 + 40)]).toEqual([sel.tss2, 0x5555, 0xa0]);
  });

  it("absent SS: #SS(selector)", () => {
    const m = machine({ 80: sel.absentData });
    m.gate(place.idt + 8 * vector.ss, sel.free, 0, 0x85);
    m.descriptor(sel.free, 0x5000, 0x67, 0x89);
    const words: [number, number][] = [
      [32, 0x8888],
      [36, 2],
      [56, 0x6000],
      [76, sel.code0],
      [80, sel.data0],
    ];
    for (const [offset, value] of words) m.write4(0x5000 + offset, value);
    callouts.farJump(m.cpu, sel.tss2, 0);
    expect([m.R[slot.eip], m.stack(1)[0]]).toEqual([0x8888, sel.absentData]);
  });

  it("EIP beyond the limit: #GP(0) on the new task's stack", () => {
    const m = machine({ 76: sel.code16, 32: 0x10000 });
    callouts.farJump(m.cpu, sel.tss2, 0);
    expect(m.R[slot.eip]).toBe(0x9000 + vector.gp);
    expect(m.stack(3)).toEqual([0, 0x10000, sel.code16]);
  });
});
