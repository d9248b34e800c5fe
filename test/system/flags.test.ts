import { describe, expect, it } from "vitest";
import { mode } from "../../translator/contract/mode-key.ts";
import { arithmeticFlags, eflag, slot, vector } from "../../translator/contract/slots.ts";
import { callouts, Machine } from "./machine.ts";

const vme = 1;
const pvi = 2;

/** A machine in the mode named, with these EFLAGS. */
function machine(where: "real" | "ring 0" | "ring 3" | "v8086", flags: number, cr4 = 0): Machine {
  const m = new Machine();
  if (where === "real") {
    m.R[slot.esp] = 0x8000;
    m.R[slot.cr4] = cr4;
    m.flags = flags;
    return m;
  }
  m.enterProtected();
  callouts.writeControl(m.cpu, 4, cr4);
  if (where === "ring 0") m.flags = flags;
  else if (where === "ring 3") m.enterRing(3, flags);
  else m.enterVirtual8086(flags);
  return m;
}

describe("PUSHF", () => {
  it("shows all but VM and RF: here what is not arithmetic", () => {
    const m = machine("ring 0", 0x3c7fd7 | eflag.rf);
    expect(callouts.systemFlags(m.cpu)).toBe(0x3c7fd7 & ~arithmeticFlags);
  });
  it("virtual-8086 mode: #GP(0) below IOPL 3 without VME", () => {
    const m = machine("v8086", 0x2202);
    m.expectFault(() => callouts.readFlags(m.cpu, 2), vector.gp, 0);
    expect(callouts.readFlags(machine("v8086", 0x3202).cpu, 2) & 0xffff).toBe(0x3202);
    expect(callouts.readFlags(machine("v8086", 0x3202).cpu, 4)).toBe(0x3202);
  });
  it("VME: VIF as IF, IOPL as 3; not with a 32-bit operand", () => {
    const m = machine("v8086", 0x0202, vme);
    expect(callouts.readFlags(m.cpu, 2)).toBe(0x3002);
    expect(callouts.readFlags(machine("v8086", 0x0002 | eflag.vif, vme).cpu, 2)).toBe(0x3202);
    m.expectFault(() => callouts.readFlags(m.cpu, 4), vector.gp, 0);
  });
});

describe("POPF", () => {
  const all = 0xffffffff | 0;
  const pop = (m: Machine, size: 2 | 4, image: number) => {
    if (!m.cpu.isVirtual8086) {
      callouts.restoreFlags(m.cpu, image, size);
      return m.flags & ~arithmeticFlags;
    }
    m.pushAll([image], size);
    callouts.popFlags(m.cpu, size);
    return m.flags;
  };
  const most = 0x7fd7;

  it.each([
    // where, EFLAGS before, operand size, image, EFLAGS after
    ["real", 0x0002, 4, all, most | eflag.ac | eflag.id],
    ["real", 0x180002, 4, 0, 0x180002],
    ["real", 0x0002, 2, all, most],
    ["ring 0", 0x0002, 4, all, most | eflag.ac | eflag.id],
    ["ring 0", 0x240002, 2, 0, 0x240002],
    ["ring 3", 0x0202, 4, all, (most & ~0x3000) | eflag.ac | eflag.id],
    ["ring 3", 0x0202, 4, 0, 0x0202],
    ["ring 3", 0x1202, 4, 0x2000, 0x1202],
    ["ring 3", 0x3202, 4, 0, 0x3002],
    ["ring 3", 0x3002, 2, all, most],
    ["v8086", 0x3202, 2, 0, 0x23002],
    ["v8086", 0x3202, 4, all, most | 0x20000 | eflag.ac | eflag.id],
  ] as const)("%s, EFLAGS %i, %i bytes of %i", (where, before, size, image, after) => {
    const m = machine(where, before);
    const esp = m.R[slot.esp];
    expect(pop(m, size, image).toString(16)).toBe((where === "v8086" ? after : after & ~arithmeticFlags).toString(16));
    expect(m.R[slot.esp]).toBe(esp);
  });

  it("virtual-8086 mode below IOPL 3: #GP(0)", () => {
    const m = machine("v8086", 0x2202);
    m.expectFault(() => callouts.popFlags(m.cpu, 2), vector.gp, 0);
    m.expectFault(() => callouts.popFlags(m.cpu, 4), vector.gp, 0);
  });

  it("VME: IF goes to VIF; TF, and IF with VIP, are #GP(0)", () => {
    expect(pop(machine("v8086", 0x0202, vme), 2, 0x3fd7 & ~0x100)).toBe(0x20202 | eflag.vif | (0xfd7 & ~0x300));
    expect(pop(machine("v8086", 0x0202 | eflag.vif, vme), 2, 2)).toBe(0x20202);
    const m = machine("v8086", 0x0202 | eflag.vip, vme);
    for (const image of [0x102, 0x202]) {
      m.pushAll([image], 2);
      m.expectFault(() => callouts.popFlags(m.cpu, 2), vector.gp, 0);
    }
    m.expectFault(() => callouts.popFlags(m.cpu, 4), vector.gp, 0);
    expect(pop(m, 2, 2)).toBe(0x20202 | eflag.vip);
  });

  it("TF takes the mode key along", () => {
    const m = machine("ring 0", 2);
    pop(m, 4, 0x102);
    expect(m.R[slot.mode] & mode.singleStep).toBe(mode.singleStep);
    pop(m, 4, 2);
    expect(m.R[slot.mode] & mode.singleStep).toBe(0);
  });
});

describe("CLI and STI", () => {
  it.each([
    ["real", 0x0202, 0, "if"],
    ["ring 0", 0x0202, 0, "if"],
    ["ring 3", 0x3202, 0, "if"],
    ["ring 3", 0x2202, 0, "#GP"],
    ["ring 3", 0x0202, vme, "#GP"],
    ["ring 3", 0x0202, pvi, "vif"],
    ["v8086", 0x3202, 0, "if"],
    ["v8086", 0x0202, 0, "#GP"],
    ["v8086", 0x0202, pvi, "#GP"],
    ["v8086", 0x0202, vme, "vif"],
  ] as const)("%s, EFLAGS %i, CR4 %i: %s", (where, flags, cr4, effect) => {
    const m = machine(where, flags, cr4);
    const before = m.flags;
    if (effect === "#GP") {
      m.expectFault(() => callouts.clearInterruptFlag(m.cpu), vector.gp, 0);
      m.expectFault(() => callouts.setInterruptFlag(m.cpu), vector.gp, 0);
      return;
    }
    const bit = effect === "if" ? eflag.if : eflag.vif;
    callouts.setInterruptFlag(m.cpu);
    expect(m.flags).toBe(before | bit);
    expect(m.R[slot.interruptShadow]).toBe(0);
    callouts.clearInterruptFlag(m.cpu);
    expect(m.flags).toBe(before & ~bit);
    callouts.setInterruptFlag(m.cpu);
    // STI that turns IF on holds interrupts off for one instruction.
    expect(m.R[slot.interruptShadow]).toBe(effect === "if" ? 1 : 0);
  });

  it("STI with VIP pending: #GP(0)", () => {
    for (const [where, cr4] of [
      ["v8086", vme],
      ["ring 3", pvi],
    ] as const) {
      const m = machine(where, 0x0202 | eflag.vip, cr4);
      m.expectFault(() => callouts.setInterruptFlag(m.cpu), vector.gp, 0);
    }
  });

  it("ring 1 with IOPL 0 has no PVI", () => {
    const m = machine("ring 0", 2, pvi);
    m.enterRing(1);
    m.expectFault(() => callouts.clearInterruptFlag(m.cpu), vector.gp, 0);
  });
});
