import { describe, expect, it } from "vitest";
import { segment, slot, vector } from "../../translator/contract/slots.ts";
import { callouts, Machine, place, sel, selectorOf } from "./machine.ts";

const { es, cs, ss, ds } = segment;
const callGate32 = 0x8c;
const callGate16 = 0x84;
const dpl3 = 0x60;

describe("real mode", () => {
  it("JMP, CALL, RETF", () => {
    const m = new Machine();
    m.R[slot.esp] = 0x1000;
    callouts.farJump(m.cpu, 0x2000, 0x10);
    expect([m.R[slot.segmentBase + cs], m.R[slot.eip]]).toEqual([0x20000, 0x10]);
    callouts.farCall(m.cpu, 0x3000, 0x20, 2);
    expect(m.stack(2, 2)).toEqual([0x10, 0x2000]);
    callouts.farReturn(m.cpu, 2, 6);
    expect([selectorOf(m, cs), m.R[slot.eip], m.R[slot.esp]]).toEqual([0x2000, 0x10, 0x1006]);
    callouts.farCall(m.cpu, 0x3000, 0x20, 4);
    expect(m.stack(2)).toEqual([0x10, 0x2000]);
  });

  it("offsets beyond the limit: #GP(0); no room: #SS(0)", () => {
    const m = new Machine();
    m.R[slot.esp] = 2;
    m.expectFault(() => callouts.farJump(m.cpu, 0, 0x10000), vector.gp, 0);
    m.R[slot.esp] = 1;
    m.expectFault(() => callouts.farCall(m.cpu, 0, 0, 2), vector.ss, 0);
    m.R[slot.esp] = 0x8000;
    m.expectFault(() => callouts.farCall(m.cpu, 0, 0x10000, 4), vector.gp, 0);
    m.pushAll([0x10000, 0]);
    m.expectFault(() => callouts.farReturn(m.cpu, 4, 0), vector.gp, 0);
  });

  it("virtual-8086 mode does the same, and gives CS its 64 KiB", () => {
    const m = new Machine().enterProtected().enterVirtual8086();
    callouts.farCall(m.cpu, 0x2222, 0x33, 2);
    expect([m.R[slot.segmentBase + cs], m.R[slot.eip], m.R[slot.segmentLimit + cs], m.R[slot.cpl]]).toEqual([0x22220, 0x33, 0xffff, 3]);
    expect(m.stack(2, 2)).toEqual([0x100, 0x1000]);
    callouts.farReturn(m.cpu, 2, 0);
    expect([m.R[slot.segmentBase + cs], m.R[slot.eip]]).toEqual([0x10000, 0x100]);
  });
});

describe("code segments", () => {
  it("JMP keeps CPL and puts it in CS", () => {
    const m = new Machine().enterProtected().enterRing(3);
    callouts.farJump(m.cpu, sel.code3, 0x55);
    expect([selectorOf(m, cs), m.R[slot.eip], m.R[slot.cpl]]).toEqual([sel.code3 | 3, 0x55, 3]);
    callouts.farJump(m.cpu, sel.conforming0, 0x66);
    expect([selectorOf(m, cs), m.R[slot.eip], m.R[slot.cpl]]).toEqual([sel.conforming0 | 3, 0x66, 3]);
  });

  it.each([
    ["null", 0, 0, vector.gp, 0],
    ["null with RPL", 3, 0, vector.gp, 0],
    ["beyond the table", 0xf8, 0, vector.gp, 0xf8],
    ["data", sel.data0, 0, vector.gp, sel.data0],
    ["an LDT", sel.ldt, 0, vector.gp, sel.ldt],
    ["RPL above CPL", sel.code0 | 1, 0, vector.gp, sel.code0],
    ["DPL is not CPL", sel.code3, 0, vector.gp, sel.code3],
    ["conforming of an outer ring", sel.conforming3, 0, vector.gp, sel.conforming3],
    ["absent", sel.absentCode, 0, vector.np, sel.absentCode],
    ["beyond the limit", sel.code16, 0x10000, vector.gp, 0],
  ])("%s", (_what, selector, offset, exception, code) => {
    const m = new Machine().enterProtected();
    m.expectFault(() => callouts.farJump(m.cpu, selector, offset), exception, code);
    m.expectFault(() => callouts.farCall(m.cpu, selector, offset, 4), exception, code);
  });

  it("CALL pushes CS and EIP by operand size; RETF takes them back", () => {
    const m = new Machine().enterProtected();
    m.R[slot.eip] = 0x12345678;
    callouts.farCall(m.cpu, sel.code16, 0x20, 4);
    expect(m.stack(2)).toEqual([0x12345678, sel.code0]);
    expect(m.R[slot.mode] & 1).toBe(0);
    callouts.farReturn(m.cpu, 4, 8);
    expect([selectorOf(m, cs), m.R[slot.eip], m.R[slot.esp]]).toEqual([sel.code0, 0x12345678, 0x8008]);
    callouts.farCall(m.cpu, sel.code0, 0x20, 2);
    expect(m.stack(2, 2)).toEqual([0x5678, sel.code0]);
    m.R[slot.esp] = 2;
    callouts.loadSegment(m.cpu, ss, sel.expandDown0);
    m.R[slot.interruptShadow] = 0;
    m.expectFault(() => callouts.farCall(m.cpu, sel.code0, 0, 4), vector.ss, 0);
  });
});

describe("RETF to an outer ring", () => {
  it("drops parameters from both stacks", () => {
    const m = new Machine().enterProtected();
    callouts.loadSegment(m.cpu, es, sel.data3);
    m.pushAll([0x4444, sel.code3 | 3, 0xaaaa, 0xbbbb, 0x5000, sel.data3 | 3]);
    callouts.farReturn(m.cpu, 4, 8);
    expect([m.R[slot.cpl], m.R[slot.eip], m.R[slot.esp], selectorOf(m, ss)]).toEqual([3, 0x4444, 0x5008, sel.data3 | 3]);
    expect([selectorOf(m, ds), selectorOf(m, es)]).toEqual([0, sel.data3]);
  });

  it.each([
    ["null CS", [0, 0], vector.gp, 0],
    ["RPL below CPL", [0, sel.code0], vector.gp, sel.code0],
    ["SS null", [0, sel.code3 | 3, 0, 0], vector.gp, 0],
    ["SS of ring 0", [0, sel.code3 | 3, 0, sel.data0], vector.gp, sel.data0],
    ["SS read-only", [0, sel.code1 | 1, 0, sel.readOnly0 | 1], vector.gp, sel.readOnly0],
  ])("%s", (what, image, exception, code) => {
    const m = new Machine().enterProtected();
    if (what === "RPL below CPL") m.enterRing(1);
    m.pushAll(image as number[]);
    m.expectFault(() => callouts.farReturn(m.cpu, 4, 0), exception as number, code as number);
  });

  it("absent SS: #SS(selector)", () => {
    const m = new Machine().enterProtected();
    m.descriptor(sel.free, 0, 0xfffff, 0x72, 0xc);
    m.pushAll([0, sel.code3 | 3, 0, sel.free | 3]);
    m.expectFault(() => callouts.farReturn(m.cpu, 4, 0), vector.ss, sel.free);
  });
});

describe("call gates", () => {
  const ring3 = (type: number, target: number, offset = 0x12345, parameters = 0) => {
    const m = new Machine().enterProtected();
    m.gate(place.gdt + sel.callGate, target, offset, type, parameters);
    m.enterRing(3);
    m.R[slot.eip] = 0x777;
    return m;
  };

  it("to ring 0: new stack with old SS:ESP, parameters, CS:EIP; RETF n goes back", () => {
    const m = ring3(callGate32 | dpl3, sel.code0, 0x12345, 2);
    m.pushAll([0x1111, 0x2222]);
    callouts.farCall(m.cpu, sel.callGate | 3, 0x9999, 4);
    expect([m.R[slot.cpl], selectorOf(m, cs), m.R[slot.eip], m.R[slot.esp]]).toEqual([0, sel.code0, 0x12345, place.stack0 - 24]);
    expect(m.stack(6)).toEqual([0x777, sel.code3 | 3, 0x1111, 0x2222, place.stack3 - 8, sel.data3 | 3]);
    callouts.farReturn(m.cpu, 4, 8);
    expect([m.R[slot.cpl], m.R[slot.eip], m.R[slot.esp]]).toEqual([3, 0x777, place.stack3]);
  });

  it("16-bit gate: words", () => {
    const m = ring3(callGate16 | dpl3, sel.code0, 0x12345, 1);
    m.pushAll([0x1111], 2);
    callouts.farCall(m.cpu, sel.callGate | 3, 0, 4);
    expect([m.R[slot.cpl], m.R[slot.eip], m.R[slot.esp]]).toEqual([0, 0x2345, place.stack0 - 10]);
    expect(m.stack(5, 2)).toEqual([0x777, sel.code3 | 3, 0x1111, place.stack3 - 2, sel.data3 | 3]);
  });

  it("same ring and conforming: the current stack, no parameters", () => {
    for (const target of [sel.code3, sel.conforming0]) {
      const m = ring3(callGate32 | dpl3, target, 0x500, 2);
      callouts.farCall(m.cpu, sel.callGate, 0, 2);
      expect([m.R[slot.cpl], selectorOf(m, cs), m.R[slot.eip], m.R[slot.esp]]).toEqual([3, target | 3, 0x500, place.stack3 - 8]);
      expect(m.stack(2)).toEqual([0x777, sel.code3 | 3]);
    }
  });

  it("JMP keeps the ring: conforming or equal DPL only", () => {
    const m = ring3(callGate32 | dpl3, sel.conforming0, 0x500);
    callouts.farJump(m.cpu, sel.callGate, 0);
    expect([m.R[slot.cpl], selectorOf(m, cs), m.R[slot.eip]]).toEqual([3, sel.conforming0 | 3, 0x500]);
    const inner = ring3(callGate32 | dpl3, sel.code0);
    inner.expectFault(() => callouts.farJump(inner.cpu, sel.callGate, 0), vector.gp, sel.code0);
  });

  it.each([
    ["gate DPL below CPL", callGate32, sel.code0, sel.callGate, vector.gp, sel.callGate],
    ["gate DPL below RPL", callGate32 | 0x20, sel.code0, sel.callGate | 3, vector.gp, sel.callGate],
    ["absent gate", 0x0c | dpl3, sel.code0, sel.callGate, vector.np, sel.callGate],
    ["null target", callGate32 | dpl3, 0, sel.callGate, vector.gp, 0],
    ["target beyond the table", callGate32 | dpl3, 0xf8, sel.callGate, vector.gp, 0xf8],
    ["target data", callGate32 | dpl3, sel.data0, sel.callGate, vector.gp, sel.data0],
    ["absent target", callGate32 | dpl3, sel.absentCode, sel.callGate, vector.np, sel.absentCode],
  ])("%s", (_what, type, target, selector, exception, code) => {
    const m = ring3(type, target);
    m.expectFault(() => callouts.farCall(m.cpu, selector, 0, 4), exception, code);
  });

  it("an outward target is #GP(target)", () => {
    const m = new Machine().enterProtected();
    m.gate(place.gdt + sel.callGate, sel.code3, 0, callGate32);
    m.expectFault(() => callouts.farCall(m.cpu, sel.callGate, 0, 4), vector.gp, sel.code3);
  });

  it.each([
    ["null stack", 0, vector.ts, 0],
    ["wrong RPL", sel.data0 | 3, vector.ts, sel.data0],
    ["absent", sel.absentData, vector.ss, sel.absentData],
    ["expand-down without room", sel.expandDown0, vector.ss, sel.expandDown0],
  ])("inner stack: %s", (_what, selector, exception, code) => {
    const m = ring3(callGate32 | dpl3, sel.code0);
    m.write4(place.tss + 8, selector);
    m.write4(place.tss + 4, 0x100c);
    m.expectFault(() => callouts.farCall(m.cpu, sel.callGate, 0, 4), exception, code);
  });
});
