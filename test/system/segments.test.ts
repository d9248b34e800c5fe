import { describe, expect, it } from "vitest";
import { checkSegment } from "../../runtime/cpu/segments.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { segment, slot, vector } from "../../translator/contract/slots.ts";
import { callouts, Machine, place, sel, selectorOf } from "./machine.ts";

const { es, cs, ss, ds, fs, gs } = segment;
const unsigned = (value: number) => value >>> 0;

describe("segment loads in real mode", () => {
  it("set the base and leave limit and rights alone", () => {
    const m = new Machine();
    m.R[slot.segmentLimit + ds] = 0xfffff;
    callouts.loadSegment(m.cpu, ds, 0x1234);
    expect(m.R[slot.segmentBase + ds]).toBe(0x12340);
    expect(m.R[slot.segmentLimit + ds]).toBe(0xfffff);
    expect(selectorOf(m, ds)).toBe(0x1234);
  });

  it("keep a protected-mode limit after return to real mode (unreal mode)", () => {
    const m = new Machine().enterProtected();
    callouts.loadSegment(m.cpu, ds, sel.data0);
    callouts.writeControl(m.cpu, 0, 0x60000010);
    callouts.loadSegment(m.cpu, ds, 0x10);
    expect(m.R[slot.segmentBase + ds]).toBe(0x100);
    expect(unsigned(m.R[slot.segmentLimit + ds])).toBe(0xffffffff);
    expect(checkSegment(m.cpu, ds, 0x80000000 | 0, 4, true)).toBe(0x80000100 | 0);
    // CS becomes writable: all real-mode segments are.
    expect(checkSegment(m.cpu, cs, 0x10, 4, true)).toBe(0x10);
  });
});

describe("segment loads in protected mode", () => {
  it("take base, limit and rights apart and set the accessed bit in memory", () => {
    const m = new Machine().enterProtected();
    m.descriptor(sel.free, 0x12345678, 0xabcde, 0xf2, 0xc);
    callouts.loadSegment(m.cpu, es, sel.free | 3);
    expect(unsigned(m.R[slot.segmentBase + es])).toBe(0x12345678);
    expect(unsigned(m.R[slot.segmentLimit + es])).toBe(0xabcdefff);
    expect(m.R[slot.segmentAccess + es]).toBe(0x00c0f300);
    expect(m.accessByte(sel.free)).toBe(0xf3);
    m.descriptor(sel.free, 0x100, 0x234, 0xf3, 0);
    callouts.loadSegment(m.cpu, es, sel.free);
    expect(m.R[slot.segmentLimit + es]).toBe(0x234);
  });

  it("read the LDT for selectors with TI set", () => {
    const m = new Machine().enterProtected();
    m.descriptor(8, 0x7000, 0xfff, 0x92, 4, place.ldt);
    m.expectFault(() => callouts.loadSegment(m.cpu, ds, 0xc), vector.gp, 0xc);
    callouts.loadLdt(m.cpu, -1, sel.ldt);
    callouts.loadSegment(m.cpu, ds, 0xc);
    expect(m.R[slot.segmentBase + ds]).toBe(0x7000);
    expect(m.accessByte(8, place.ldt)).toBe(0x93);
    // Limit 7Fh: the entry at 78h is the last.
    m.expectFault(() => callouts.loadSegment(m.cpu, ds, 0x84), vector.gp, 0x84);
  });

  it("null: DS, ES, FS, GS become unusable, SS faults", () => {
    const m = new Machine().enterProtected();
    for (const s of [es, ds, fs, gs]) {
      callouts.loadSegment(m.cpu, s, 3);
      expect(selectorOf(m, s)).toBe(3);
      m.expectFault(() => checkSegment(m.cpu, s, 0, 1, false), vector.gp, 0);
    }
    m.expectFault(() => callouts.loadSegment(m.cpu, ss, 0), vector.gp, 0);
    m.expectFault(() => callouts.loadSegment(m.cpu, ss, 3), vector.gp, 0);
  });

  it.each([
    ["beyond the table", ds, 0xf8, vector.gp, 0xf8],
    ["a system segment", ds, sel.tss, vector.gp, sel.tss],
    ["execute-only code", ds, sel.executeOnly0, vector.gp, sel.executeOnly0],
    ["absent data", ds, sel.absentData, vector.np, sel.absentData],
    ["DPL below RPL", ds, sel.data0 | 3, vector.gp, sel.data0],
    ["SS beyond the table", ss, 0xf8, vector.gp, 0xf8],
    ["SS: RPL is not CPL", ss, sel.data0 | 3, vector.gp, sel.data0],
    ["SS: DPL is not CPL", ss, sel.data3, vector.gp, sel.data3],
    ["SS read-only", ss, sel.readOnly0, vector.gp, sel.readOnly0],
    ["SS code", ss, sel.code0, vector.gp, sel.code0],
    ["SS absent", ss, sel.absentData, vector.ss, sel.absentData],
  ])("%s", (_what, s, selector, exception, code) => {
    const m = new Machine().enterProtected();
    m.expectFault(() => callouts.loadSegment(m.cpu, s, selector), exception, code);
  });

  it.each([
    ["readable code", ds, sel.code0],
    ["read-only data", ds, sel.readOnly0],
    ["conforming code with RPL above DPL", ds, sel.conforming0 | 3],
    ["outer data with a lower RPL", ds, sel.data3],
    ["expand-down stack", ss, sel.expandDown0],
  ])("accepts %s", (_what, s, selector) => {
    const m = new Machine().enterProtected();
    callouts.loadSegment(m.cpu, s, selector);
    expect(selectorOf(m, s)).toBe(selector);
  });

  it("ring 3 sees no ring-0 data but conforming code", () => {
    const m = new Machine().enterProtected().enterRing(3);
    m.expectFault(() => callouts.loadSegment(m.cpu, ds, sel.data0), vector.gp, sel.data0);
    callouts.loadSegment(m.cpu, ds, sel.conforming0);
    m.expectFault(() => callouts.loadSegment(m.cpu, ss, sel.data0 | 3), vector.gp, sel.data0);
  });

  it("a load of SS holds off interrupts and debug traps; LSS does not", () => {
    const m = new Machine().enterProtected();
    callouts.loadSegment(m.cpu, ss, sel.data0);
    expect(m.R[slot.interruptShadow]).toBe(3);
    m.R[slot.interruptShadow] = 0;
    callouts.loadFarPointer(m.cpu, ss, 4, 4, 0x7000, sel.data0);
    expect(m.R[slot.interruptShadow]).toBe(0);
    expect(m.R[slot.esp]).toBe(0x7000);
    m.pushAll([sel.data0]);
    callouts.popSegment(m.cpu, ss, 4);
    expect(m.R[slot.interruptShadow]).toBe(3);
    expect(m.R[slot.esp]).toBe(0x7000);
  });

  it("follow into the mode key", () => {
    const m = new Machine().enterProtected();
    expect(m.R[slot.mode]).toBe(mode.code32 | mode.stack32 | mode.flat | mode.protected);
    callouts.loadSegment(m.cpu, ds, sel.data16);
    expect(m.R[slot.mode] & mode.flat).toBe(0);
    callouts.loadSegment(m.cpu, ds, sel.data0);
    expect(m.R[slot.mode] & mode.flat).toBe(mode.flat);
    callouts.loadSegment(m.cpu, ss, sel.data16);
    expect(m.R[slot.mode] & mode.stack32).toBe(0);
  });

  it("POP moves the pointer by the old stack's width, and not at all on a fault", () => {
    const m = new Machine().enterProtected();
    m.pushAll([0xdead0000 | sel.absentData, 0]);
    m.expectFault(() => callouts.popSegment(m.cpu, ds, 4), vector.np, sel.absentData);
    m.write4(m.R[slot.esp], 0xdead0000 | sel.data16);
    const esp = m.R[slot.esp];
    callouts.popSegment(m.cpu, ss, 4);
    expect(m.R[slot.esp]).toBe(esp + 4);
    callouts.loadSegment(m.cpu, ss, sel.data16);
    m.R[slot.esp] = 0x1234fffe;
    m.write2(0x2fffe, sel.data0);
    callouts.popSegment(m.cpu, es, 2);
    expect(m.R[slot.esp]).toBe(0x12340000);
  });

  it("LxS leaves its register alone when the load faults", () => {
    const m = new Machine().enterProtected();
    m.R[slot.ebx] = 0x11112222;
    m.expectFault(() => callouts.loadFarPointer(m.cpu, ds, 3, 2, 0x3333, sel.absentData), vector.np, sel.absentData);
    callouts.loadExtraFarPointer(m.cpu, fs, 3, 2, 0x3333, sel.data3);
    expect(m.R[slot.ebx]).toBe(0x11113333);
    expect(selectorOf(m, fs)).toBe(sel.data3);
  });
});

describe("segment checks", () => {
  const withSegment = (access: number, flags: number, limit: number) => {
    const m = new Machine().enterProtected();
    m.descriptor(sel.free, 0x1000, limit, access, flags);
    callouts.loadSegment(m.cpu, ds, sel.free);
    return m;
  };

  it("expand-up: the last byte counts", () => {
    const m = withSegment(0x92, 4, 0xfff);
    expect(checkSegment(m.cpu, ds, 0xffc, 4, true)).toBe(0x1ffc);
    m.expectFault(() => checkSegment(m.cpu, ds, 0xffd, 4, false), vector.gp, 0);
    m.expectFault(() => checkSegment(m.cpu, ds, -1, 4, false), vector.gp, 0);
    m.expectFault(() => checkSegment(m.cpu, ds, -1, 1, false), vector.gp, 0);
  });

  it("expand-down: above the limit, up to 4 GiB or 64 KiB", () => {
    const big = withSegment(0x96, 4, 0xfff);
    expect(checkSegment(big.cpu, ds, 0x1000, 4, true)).toBe(0x2000);
    expect(checkSegment(big.cpu, ds, 0xfffffffc | 0, 4, true)).toBe(0xffc);
    big.expectFault(() => checkSegment(big.cpu, ds, 0xfff, 4, true), vector.gp, 0);
    big.expectFault(() => checkSegment(big.cpu, ds, 0xfffffffd | 0, 4, true), vector.gp, 0);
    const small = withSegment(0x96, 0, 0xfff);
    expect(checkSegment(small.cpu, ds, 0xfffc, 4, true)).toBe(0x10ffc);
    small.expectFault(() => checkSegment(small.cpu, ds, 0xfffd, 4, true), vector.gp, 0);
    small.expectFault(() => checkSegment(small.cpu, ds, 0x10000, 1, true), vector.gp, 0);
  });

  it("types: no writes to read-only data or code, no reads of execute-only code", () => {
    const readOnly = withSegment(0x90, 0xc, 0xfffff);
    expect(checkSegment(readOnly.cpu, ds, 4, 4, false)).toBe(0x1004);
    readOnly.expectFault(() => checkSegment(readOnly.cpu, ds, 4, 4, true), vector.gp, 0);
    const code = withSegment(0x9a, 0xc, 0xfffff);
    expect(checkSegment(code.cpu, ds, 4, 4, false)).toBe(0x1004);
    code.expectFault(() => checkSegment(code.cpu, ds, 4, 4, true), vector.gp, 0);
    const m = new Machine().enterProtected();
    callouts.farJump(m.cpu, sel.executeOnly0, 0);
    m.expectFault(() => checkSegment(m.cpu, cs, 4, 4, false), vector.gp, 0);
  });

  it("the stack segment raises #SS", () => {
    const m = new Machine().enterProtected();
    callouts.loadSegment(m.cpu, ss, sel.data16);
    m.expectFault(() => checkSegment(m.cpu, ss, 0xffff, 2, true), vector.ss, 0);
  });

  it("real mode: a word at FFFFh", () => {
    const m = new Machine();
    callouts.loadSegment(m.cpu, ds, 0x1000);
    expect(checkSegment(m.cpu, ds, 0xfffe, 2, true)).toBe(0x1fffe);
    m.expectFault(() => checkSegment(m.cpu, ds, 0xffff, 2, true), vector.gp, 0);
    m.expectFault(() => checkSegment(m.cpu, ss, 0xffff, 2, false), vector.ss, 0);
  });
});

describe("LAR, LSL, VERR, VERW", () => {
  const zf = (m: Machine) => (m.flags & 0x40) !== 0;

  it("LAR: rights of visible descriptors, ZF alone changes", () => {
    const m = new Machine().enterProtected();
    m.flags = 0x8d7 & ~0x40;
    callouts.loadAccessRights(m.cpu, sel.data3, 0, 4);
    expect(unsigned(m.R[slot.eax])).toBe(0x00cff200);
    expect(m.flags & 0x8d5).toBe(0x8d5);
    m.R[slot.eax] = -1;
    callouts.loadAccessRights(m.cpu, sel.data3, 0, 2);
    expect(unsigned(m.R[slot.eax])).toBe(0xfffff200);
    for (const hidden of [0, 3, 0xf8, sel.data0 | 3]) {
      m.R[slot.eax] = 0x55;
      callouts.loadAccessRights(m.cpu, hidden, 0, 4);
      expect(zf(m)).toBe(false);
      expect(m.R[slot.eax]).toBe(0x55);
      expect(m.flags & 0x895).toBe(0x895);
    }
  });

  it("LAR takes gates, LSL does not; interrupt gates neither", () => {
    const m = new Machine().enterProtected();
    m.gate(place.gdt + sel.callGate, sel.code0, 0, 0xec);
    callouts.loadAccessRights(m.cpu, sel.callGate, 0, 4);
    expect(zf(m)).toBe(true);
    callouts.loadSegmentLimit(m.cpu, sel.callGate, 0, 4);
    expect(zf(m)).toBe(false);
    m.gate(place.gdt + sel.callGate, sel.code0, 0, 0xee);
    callouts.loadAccessRights(m.cpu, sel.callGate, 0, 4);
    expect(zf(m)).toBe(false);
    for (const valid of [sel.tss, sel.ldt]) {
      callouts.loadSegmentLimit(m.cpu, valid, 0, 4);
      expect(zf(m)).toBe(true);
    }
    expect(m.R[slot.eax]).toBe(0x7f);
  });

  it("LSL scales by granularity and truncates to 16 bits", () => {
    const m = new Machine().enterProtected();
    callouts.loadSegmentLimit(m.cpu, sel.data0, 1, 4);
    expect(m.R[slot.ecx]).toBe(-1);
    m.R[slot.ecx] = 0;
    callouts.loadSegmentLimit(m.cpu, sel.data0, 1, 2);
    expect(m.R[slot.ecx]).toBe(0xffff);
  });

  it.each([
    ["data", sel.data0, true, true],
    ["read-only data", sel.readOnly0, true, false],
    ["code", sel.code0, true, false],
    ["execute-only code", sel.executeOnly0, false, false],
    ["conforming code from outside", sel.conforming0 | 3, true, false],
    ["inner data from outside", sel.data0 | 3, false, false],
    ["a TSS", sel.tss, false, false],
    ["null", 0, false, false],
    ["absent data", sel.absentData, true, true],
  ])("VERR and VERW: %s", (_what, selector, readable, writable) => {
    const m = new Machine().enterProtected();
    callouts.verifyRead(m.cpu, selector);
    expect(zf(m)).toBe(readable);
    callouts.verifyWrite(m.cpu, selector);
    expect(zf(m)).toBe(writable);
  });
});
