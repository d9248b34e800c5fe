import { describe, expect, it } from "vitest";
import { segment, slot, vector } from "../../translator/contract/slots.ts";
import { callouts, Machine, place } from "./machine.ts";

const mapBase = 0x68;

/** In ring 3 or virtual-8086 mode with an I/O map of `bytes`, then the byte of ones. */
function machine(where: "ring 3" | "v8086", bytes: number[], iopl = 0): Machine {
  const m = new Machine().enterProtected();
  for (const [i, value] of [...bytes, 0xff].entries()) m.physical.write1(place.tss + mapBase + i, value);
  m.R[slot.segmentLimit + segment.tr] = mapBase + bytes.length;
  if (where === "ring 3") m.enterRing(3, 0x202 | (iopl << 12));
  else m.enterVirtual8086(0x202 | (iopl << 12));
  return m;
}

describe("IN and OUT", () => {
  it("reach the port space with their size", () => {
    const m = new Machine();
    m.portValue = 0xffffffff;
    expect(callouts.portRead(m.cpu, 0x60, 4)).toBe(-1);
    m.portValue = 0x12;
    expect(callouts.portRead(m.cpu, 0x61, 1)).toBe(0x12);
    callouts.portWrite(m.cpu, 0x3f8, 2, 0x1234);
    expect(m.accesses).toEqual([
      { port: 0x60, size: 4 },
      { port: 0x61, size: 1 },
      { port: 0x3f8, size: 2, value: 0x1234 },
    ]);
  });

  it("ring 3 with IOPL 3 needs no map; virtual-8086 mode always does", () => {
    const ring3 = machine("ring 3", [0xff, 0xff], 3);
    callouts.portRead(ring3.cpu, 0, 1);
    const v86 = machine("v8086", [0xff, 0xff], 3);
    v86.expectFault(() => callouts.portRead(v86.cpu, 0, 1), vector.gp, 0);
    expect(v86.accesses).toEqual([]);
  });

  it.each(["ring 3", "v8086"] as const)("%s: each byte's bit must be clear", (where) => {
    // Ports 0-7 free, 8-15: 9 denied; 16-23 free.
    const m = machine(where, [0x00, 0x02, 0x00]);
    for (const [port, size] of [
      [0, 4],
      [7, 1],
      [8, 1],
      [10, 4],
      [7, 2],
      [14, 4],
      [23, 1],
    ])
      callouts.portRead(m.cpu, port, size);
    for (const [port, size] of [
      [9, 1],
      [8, 2],
      [6, 4],
      [23, 2],
      [21, 4],
    ]) {
      m.expectFault(() => callouts.portRead(m.cpu, port, size), vector.gp, 0);
      m.expectFault(() => callouts.portWrite(m.cpu, port, size, 0), vector.gp, 0);
    }
    // Two bytes are read: the second beyond the limit denies.
    for (const port of [24, 32, 0xffff]) m.expectFault(() => callouts.portRead(m.cpu, port, 1), vector.gp, 0);
  });

  it("a map base beyond the limit, a short or a 16-bit TSS deny everything", () => {
    const m = machine("ring 3", [0, 0]);
    m.write2(place.tss + 102, 0x1000);
    m.expectFault(() => callouts.portRead(m.cpu, 0, 1), vector.gp, 0);
    m.write2(place.tss + 102, mapBase);
    callouts.portRead(m.cpu, 0, 1);
    m.R[slot.segmentAccess + segment.tr] = 0x8300;
    m.expectFault(() => callouts.portRead(m.cpu, 0, 1), vector.gp, 0);
  });

  it("I/O breakpoints, with CR4.DE", () => {
    const m = new Machine();
    m.R[slot.dr0] = 0x60;
    m.R[slot.dr0 + 1] = 0x3fa;
    m.R[slot.dr7] = 0x400 | 5 | (2 << 16) | (2 << 20) | (1 << 22);
    callouts.portRead(m.cpu, 0x60, 1);
    expect(m.cpu.pendingDebug).toBe(0);
    m.R[slot.cr4] = 8;
    callouts.portRead(m.cpu, 0x61, 1);
    expect(m.cpu.pendingDebug).toBe(0);
    callouts.portWrite(m.cpu, 0x3fb, 1, 0);
    expect(m.cpu.pendingDebug).toBe(2);
    callouts.portRead(m.cpu, 0x5e, 4);
    expect(m.cpu.pendingDebug).toBe(3);
  });
});
