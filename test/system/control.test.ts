import { describe, expect, it } from "vitest";
import { deliverException } from "../../runtime/cpu/interrupts.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import { segment, slot, vector } from "../../translator/contract/slots.ts";
import { callouts, Machine, place, sel, selectorOf } from "./machine.ts";

const { cs, ds, ldtr, tr } = segment;
const hex = (value: number) => (value >>> 0).toString(16);

describe("privilege", () => {
  const everyPrivileged: [string, (m: Machine) => unknown][] = [
    ["MOV from CR0", (m) => callouts.readControl(m.cpu, 0)],
    ["MOV to CR3", (m) => callouts.writeControl(m.cpu, 3, 0)],
    ["MOV from DR0", (m) => callouts.readDebug(m.cpu, 0)],
    ["MOV to DR7", (m) => callouts.writeDebug(m.cpu, 7, 0)],
    ["LMSW", (m) => callouts.loadMachineStatusWord(m.cpu, -1, 0)],
    // Its operand is not looked at before the privilege.
    ["LMSW m", (m) => callouts.loadMachineStatusWord(m.cpu, ds, 0x7fffffff)],
    ["CLTS", (m) => callouts.clearTaskSwitched(m.cpu)],
    ["INVLPG", (m) => callouts.invalidatePage(m.cpu, ds, 0)],
    ["INVD", (m) => callouts.invalidateCaches(m.cpu)],
    ["WBINVD", (m) => callouts.writeBackCaches(m.cpu)],
    ["HLT", (m) => callouts.halt(m.cpu)],
    ["LGDT", (m) => callouts.loadGdt(m.cpu, ds, 0, 4)],
    ["LIDT", (m) => callouts.loadIdt(m.cpu, ds, 0, 4)],
    ["LLDT", (m) => callouts.loadLdt(m.cpu, -1, 0)],
    ["LTR", (m) => callouts.loadTask(m.cpu, -1, sel.tss2)],
    ["RDMSR", (m) => callouts.readMsr(m.cpu)],
    ["WRMSR", (m) => callouts.writeMsr(m.cpu)],
    ["RDPMC", (m) => callouts.readPerformanceCounter(m.cpu)],
  ];
  it.each(everyPrivileged)("%s is #GP(0) in ring 3, ring 1 and virtual-8086 mode", (_name, act) => {
    const ring3 = new Machine().enterProtected().enterRing(3);
    ring3.expectFault(() => act(ring3), vector.gp, 0);
    const ring1 = new Machine().enterProtected().enterRing(1);
    ring1.expectFault(() => act(ring1), vector.gp, 0);
    const v86 = new Machine().enterProtected().enterVirtual8086(0x3202);
    v86.expectFault(() => act(v86), vector.gp, 0);
  });
});

describe("CR0", () => {
  it("reserved bits are ignored, ET is 1", () => {
    const m = new Machine();
    callouts.writeControl(m.cpu, 0, 0x1ffaffc0 | 0x60000000);
    expect(hex(callouts.readControl(m.cpu, 0))).toBe(hex(0x60000010 | (0x1ffaffc0 & 0x50000)));
  });

  it.each([
    ["PG without PE", 0x80000010],
    ["NW without CD", 0x20000011],
  ])("%s: #GP(0)", (_what, value) => {
    const m = new Machine();
    m.expectFault(() => callouts.writeControl(m.cpu, 0, value | 0), vector.gp, 0);
  });

  it("PE switches the mode key at once, CS stays", () => {
    const m = new Machine();
    callouts.writeControl(m.cpu, 0, 0x60000011);
    expect(m.R[slot.mode]).toBe(mode.protected);
    callouts.writeControl(m.cpu, 0, 0x60000010);
    expect(m.R[slot.mode]).toBe(mode.wide);
  });

  it("paging makes the page tables rule at once, and WP protects from ring 0", () => {
    const m = new Machine().enterProtected();
    const directory = 0x80000;
    const table = 0x81000;
    m.write4(directory, table | 7);
    for (let i = 0; i < 256; i++) m.write4(table + 4 * i, (i << 12) | 7);
    m.write4(table + 4 * 0x50, 0x60001);
    m.physical.write1(0x60000, 0x77);
    expect(m.cpu.memory.ld1(0x50000)).toBe(0);
    callouts.writeControl(m.cpu, 3, directory);
    callouts.writeControl(m.cpu, 0, 0xe0000011 | 0);
    expect(m.cpu.memory.ld1(0x50000)).toBe(0x77);
    m.cpu.memory.st1(0x50000, 0x78);
    callouts.writeControl(m.cpu, 0, 0xe0010011 | 0);
    m.expectFault(() => m.cpu.memory.st1(0x50000, 0x79), vector.pf, 3);
    expect(m.R[slot.cr2]).toBe(0x50000);
    // A stale translation survives a store to the table until INVLPG or a CR3 write.
    expect(m.cpu.memory.ld1(0x50000)).toBe(0x78);
    m.write4(table + 4 * 0x50, 0x61001);
    expect(m.cpu.memory.ld1(0x50000)).toBe(0x78);
    callouts.invalidatePage(m.cpu, ds, 0x50123);
    expect(m.cpu.memory.ld1(0x50000)).toBe(0);
    m.write4(table + 4 * 0x50, 0x60001);
    callouts.writeControl(m.cpu, 3, directory);
    expect(m.cpu.memory.ld1(0x50000)).toBe(0x78);
    callouts.writeControl(m.cpu, 0, 0x60000011);
    expect(m.cpu.memory.ld1(0x50000)).toBe(0);
  });

  it("global pages survive a CR3 write, not a change of CR4.PGE", () => {
    const m = new Machine().enterProtected();
    m.write4(0x80000, 0x81007);
    for (let i = 0; i < 256; i++) m.write4(0x81000 + 4 * i, (i << 12) | 7);
    m.write4(0x81000 + 4 * 0x50, 0x60107);
    callouts.writeControl(m.cpu, 4, 0x80);
    callouts.writeControl(m.cpu, 3, 0x80000);
    callouts.writeControl(m.cpu, 0, 0xe0000011 | 0);
    m.physical.write1(0x60000, 1);
    m.physical.write1(0x61000, 2);
    expect(m.cpu.memory.ld1(0x50000)).toBe(1);
    m.write4(0x81000 + 4 * 0x50, 0x61107);
    callouts.writeControl(m.cpu, 3, 0x80000);
    expect(m.cpu.memory.ld1(0x50000)).toBe(1);
    callouts.writeControl(m.cpu, 4, 0);
    expect(m.cpu.memory.ld1(0x50000)).toBe(2);
  });

  it("PAE: the PDPTRs are loaded and checked when paging goes on and by CR3 writes", () => {
    const m = new Machine().enterProtected();
    callouts.writeControl(m.cpu, 4, 0x20);
    m.write4(0x80000, 0x81000 | 1);
    m.write4(0x81000, 0x83);
    callouts.writeControl(m.cpu, 3, 0x80000);
    callouts.writeControl(m.cpu, 0, 0xe0000011 | 0);
    m.physical.write1(0x50000, 9);
    expect(m.cpu.memory.ld1(0x50000)).toBe(9);
    m.write4(0x82000, 0x81000 | 3);
    m.expectFault(() => callouts.writeControl(m.cpu, 3, 0x82000), vector.gp, 0);
    // Changing the PDPTR in memory alone does nothing.
    m.write4(0x80000, 0);
    expect(m.cpu.memory.ld1(0x51000)).toBe(0);
    m.write4(0x80000, 0x81003);
    callouts.writeControl(m.cpu, 0, 0x60000011);
    m.expectFault(() => callouts.writeControl(m.cpu, 0, 0xe0000011 | 0), vector.gp, 0);
  });

  it("LMSW sets but does not clear PE, and reaches four bits", () => {
    const m = new Machine();
    callouts.loadMachineStatusWord(m.cpu, -1, 0xffff);
    expect(hex(m.R[slot.cr0])).toBe("6000001f");
    callouts.loadMachineStatusWord(m.cpu, -1, 0);
    expect(hex(m.R[slot.cr0])).toBe("60000011");
    expect(hex(callouts.storeMachineStatusWord(m.cpu))).toBe("60000011");
    m.R[slot.cr0] |= 8;
    callouts.clearTaskSwitched(m.cpu);
    expect(m.R[slot.cr0] & 8).toBe(0);
  });
});

describe("CR2, CR3, CR4 and those that do not exist", () => {
  it("are read back", () => {
    const m = new Machine();
    for (const [number, value] of [
      [2, 0x12345678],
      [3, 0x5000],
      [4, 0x6bf],
    ]) {
      callouts.writeControl(m.cpu, number, value);
      expect(callouts.readControl(m.cpu, number)).toBe(value);
    }
  });
  it("CR4's reserved bits, and features CPUID does not list: #GP(0)", () => {
    const m = new Machine();
    for (const bit of [6, 8, 11, 13, 31]) m.expectFault(() => callouts.writeControl(m.cpu, 4, 1 << bit), vector.gp, 0);
  });
  it("CR1, CR5, CR6, CR7: #UD, at any ring", () => {
    for (const m of [new Machine(), new Machine().enterProtected().enterRing(3)]) {
      for (const n of [1, 5, 6, 7]) {
        m.expectFault(() => callouts.readControl(m.cpu, n), vector.ud, -1);
        m.expectFault(() => callouts.writeControl(m.cpu, n, 0), vector.ud, -1);
      }
    }
  });
});

describe("debug registers", () => {
  it("DR4 and DR5 are DR6 and DR7, or #UD with CR4.DE", () => {
    const m = new Machine();
    callouts.writeDebug(m.cpu, 5, 0xffffffff & ~0x2000);
    expect(hex(callouts.readDebug(m.cpu, 7))).toBe("ffff07ff");
    callouts.writeDebug(m.cpu, 4, 0);
    expect(hex(callouts.readDebug(m.cpu, 6))).toBe("ffff0ff0");
    callouts.writeDebug(m.cpu, 6, 0xffffffff | 0);
    expect(hex(callouts.readDebug(m.cpu, 4))).toBe("ffffefff");
    callouts.writeControl(m.cpu, 4, 8);
    m.expectFault(() => callouts.readDebug(m.cpu, 4), vector.ud, -1);
    m.expectFault(() => callouts.writeDebug(m.cpu, 5, 0), vector.ud, -1);
  });

  it("DR7.GD: #DB with BD, once", () => {
    const m = new Machine().enterProtected();
    m.idtGate(vector.db, sel.code0, 0x100, 0x8e);
    callouts.writeDebug(m.cpu, 7, 0x2000);
    m.expectFault(() => callouts.readDebug(m.cpu, 0), vector.db, -1);
    deliverException(m.cpu, vector.db, -1);
    expect(hex(callouts.readDebug(m.cpu, 6))).toBe("ffff2ff0");
    expect(m.R[slot.dr7]).toBe(0x400);
  });

  it("enabled breakpoints turn on single-stepping; data ones, watching", () => {
    const m = new Machine();
    callouts.writeDebug(m.cpu, 7, 1);
    expect(m.R[slot.mode] & mode.singleStep).toBe(mode.singleStep);
    expect(m.cpu.memory.watching).toBe(false);
    callouts.writeDebug(m.cpu, 7, 0x10001);
    expect(m.cpu.memory.watching).toBe(true);
    callouts.writeDebug(m.cpu, 7, 0);
    expect([m.cpu.memory.watching, m.R[slot.mode]]).toEqual([false, mode.wide]);
  });
});

describe("descriptor tables", () => {
  it("LGDT and LIDT: 32 bits of base, 24 with a 16-bit operand", () => {
    const m = new Machine();
    m.write2(0x500, 0x1234);
    m.write4(0x502, 0xfedcba98);
    callouts.loadGdt(m.cpu, ds, 0x500, 4);
    expect([m.R[slot.gdtLimit], hex(m.R[slot.gdtBase])]).toEqual([0x1234, "fedcba98"]);
    callouts.loadIdt(m.cpu, ds, 0x500, 2);
    expect([m.R[slot.idtLimit], hex(m.R[slot.idtBase])]).toEqual([0x1234, "dcba98"]);
    callouts.storeGdt(m.cpu, ds, 0x600);
    expect([m.read2(0x600), hex(m.read4(0x602))]).toEqual([0x1234, "fedcba98"]);
    m.expectFault(() => callouts.loadGdt(m.cpu, ds, 0xfffb, 4), vector.gp, 0);
    m.expectFault(() => callouts.storeIdt(m.cpu, ds, 0xfffb), vector.gp, 0);
  });

  it.each([
    ["TI set", sel.ldt | 4, vector.gp, sel.ldt | 4],
    ["beyond the table", 0xf8, vector.gp, 0xf8],
    ["not an LDT", sel.tss2, vector.gp, sel.tss2],
  ])("LLDT: %s", (_what, selector, exception, code) => {
    const m = new Machine().enterProtected();
    m.expectFault(() => callouts.loadLdt(m.cpu, -1, selector), exception, code);
  });

  it("LLDT null makes it unusable; absent is #NP", () => {
    const m = new Machine().enterProtected();
    callouts.loadLdt(m.cpu, -1, sel.ldt);
    expect(callouts.storeLdt(m.cpu)).toBe(sel.ldt);
    callouts.loadLdt(m.cpu, -1, 3);
    expect([callouts.storeLdt(m.cpu), m.R[slot.segmentAccess + ldtr]]).toEqual([3, 0]);
    m.descriptor(sel.ldt, place.ldt, 0x7f, 0x02);
    m.expectFault(() => callouts.loadLdt(m.cpu, -1, sel.ldt), vector.np, sel.ldt);
  });

  it.each([
    ["null", 0, vector.gp, 0],
    ["TI set", sel.tss2 | 4, vector.gp, sel.tss2 | 4],
    ["not a TSS", sel.ldt, vector.gp, sel.ldt],
    ["busy", sel.tss, vector.gp, sel.tss],
    ["absent", sel.absentTss, vector.np, sel.absentTss],
  ])("LTR: %s", (_what, selector, exception, code) => {
    const m = new Machine().enterProtected();
    m.expectFault(() => callouts.loadTask(m.cpu, -1, selector), exception, code);
  });

  it("LTR from memory marks the TSS busy", () => {
    const m = new Machine().enterProtected();
    m.write2(0x500, sel.tss2);
    callouts.loadTask(m.cpu, ds, 0x500);
    expect([callouts.storeTask(m.cpu), selectorOf(m, tr), m.accessByte(sel.tss2), m.R[slot.segmentAccess + tr]]).toEqual([
      sel.tss2,
      sel.tss2,
      0x8b,
      0x8b00,
    ]);
  });
});

describe("HLT", () => {
  it("halts", () => {
    const m = new Machine();
    callouts.halt(m.cpu);
    expect(m.R[slot.halted]).toBe(1);
    expect(selectorOf(m, cs)).toBe(0xf000);
  });
});
