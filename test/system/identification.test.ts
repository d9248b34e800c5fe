import { describe, expect, it } from "vitest";
import { slot, vector } from "../../translator/contract/slots.ts";
import { callouts, Machine } from "./machine.ts";

function cpuid(leaf: number): number[] {
  const m = new Machine();
  m.R[slot.eax] = leaf | 0;
  callouts.cpuid(m.cpu);
  return [slot.eax, slot.ebx, slot.ecx, slot.edx].map((s) => m.R[s] >>> 0);
}
const text = (...words: number[]) => String.fromCharCode(...words.flatMap((w) => [w & 255, (w >>> 8) & 255, (w >>> 16) & 255, w >>> 24]));

describe("CPUID", () => {
  it("names vendor, family 6 and the processor", () => {
    const [top, b, c, d] = cpuid(0);
    expect([top, text(b, d, c)]).toEqual([0x16, "GenuineIntel"]);
    expect((cpuid(1)[0] >>> 8) & 15).toBe(6);
    expect(new Machine().R[slot.edx]).toBe(cpuid(1)[0]);
    const brand = [0x80000002, 0x80000003, 0x80000004].map((leaf) => text(...cpuid(leaf))).join("");
    expect(brand.replace(/\0+$/, "")).toBe("xlat86");
  });

  it("lists FPU VME DE PSE TSC MSR PAE CX8 SEP PGE CMOV CLFSH MMX FXSR SSE SSE2, SSE3 SSSE3 SSE4.1 SSE4.2 MOVBE POPCNT AES and NX, no more", () => {
    const bits = (word: number) => Array.from({ length: 32 }, (_, i) => i).filter((i) => (word >>> i) & 1);
    expect(bits(cpuid(1)[3])).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 11, 13, 15, 19, 23, 24, 25, 26]);
    expect(bits(cpuid(1)[2])).toEqual([0, 9, 19, 20, 22, 23, 25]);
    expect(bits(cpuid(0x80000001)[3])).toEqual([20]);
    expect(cpuid(0x80000001)[2]).toBe(0);
  });

  it("answers leaves out of range as the last basic one", () => {
    for (const leaf of [0x17, 0x40000000, 0x80000005, 0xffffffff]) expect(cpuid(leaf)).toEqual(cpuid(0x16));
    expect(cpuid(0x80000000)[0]).toBe(0x80000004);
  });

  it("ends where the board says", () => {
    const m = new Machine();
    const leaf = (number: number, level: number): number[] => {
      (m.cpu.board as { cpuidLevel?: number }).cpuidLevel = level;
      m.R[slot.eax] = number;
      callouts.cpuid(m.cpu);
      return [slot.eax, slot.ebx, slot.ecx, slot.edx].map((s) => m.R[s] >>> 0);
    };
    expect(leaf(0, 2)[0]).toBe(2);
    for (const number of [3, 0x15, 0x16, 0x40000000]) expect(leaf(number, 2)).toEqual(cpuid(2));
    expect(leaf(0x16, 0x15)).toEqual(cpuid(0x15));
  });

  it("lists SHA of the structured extended features, in subleaf 0 alone", () => {
    const m = new Machine();
    const ofSubleaf = (subleaf: number): number[] => {
      m.R[slot.eax] = 7;
      m.R[slot.ecx] = subleaf;
      callouts.cpuid(m.cpu);
      return [slot.eax, slot.ebx, slot.ecx, slot.edx].map((s) => m.R[s] >>> 0);
    };
    expect(ofSubleaf(0)).toEqual([0, 1 << 29, 0, 0]);
    for (const subleaf of [1, 2, -1]) expect(ofSubleaf(subleaf)).toEqual([0, 0, 0, 0]);
  });

  it("has no MONITOR, thermal sensor, performance counters, topology, XSAVE", () => {
    for (let leaf = 3; leaf < 0x15; leaf++) if (leaf !== 7) expect(cpuid(leaf)).toEqual([0, 0, 0, 0]);
  });

  it("tells the frequencies of the time-stamp counter and of the local APIC's timer", () => {
    const [denominator, numerator, crystal] = cpuid(0x15);
    const m = new Machine();
    callouts.readTimeStamp(m.cpu);
    const before = m.R[slot.eax];
    m.now += 1_000_000;
    callouts.readTimeStamp(m.cpu);
    expect((crystal * numerator) / denominator).toBe((m.R[slot.eax] - before) * 1000);
    // A count of the timer is a nanosecond: test/devices/apic.
    expect(crystal).toBe(1e9);
    expect(cpuid(0x16)).toEqual([1000, 1000, 100, 0]);
  });
});

describe("RDTSC and MSRs", () => {
  const msr = (m: Machine, number: number, value?: [number, number]) => {
    m.R[slot.ecx] = number | 0;
    if (value !== undefined) {
      [m.R[slot.edx], m.R[slot.eax]] = value;
      callouts.writeMsr(m.cpu);
    }
    callouts.readMsr(m.cpu);
    return [m.R[slot.edx] >>> 0, m.R[slot.eax] >>> 0];
  };

  it("RDTSC follows the clock, CR4.TSD guards it", () => {
    const m = new Machine().enterProtected();
    m.now = 5 * 2 ** 32 + 7.5;
    callouts.readTimeStamp(m.cpu);
    expect([m.R[slot.edx], m.R[slot.eax]]).toEqual([5, 7]);
    callouts.writeControl(m.cpu, 4, 4);
    callouts.readTimeStamp(m.cpu);
    m.enterRing(3);
    m.expectFault(() => callouts.readTimeStamp(m.cpu), vector.gp, 0);
  });

  it("WRMSR sets the time-stamp counter", () => {
    const m = new Machine();
    m.now = 1000;
    expect(msr(m, 0x10, [3, 0xfffffff0])).toEqual([3, 0xfffffff0]);
    m.now = 1000 + 0x20;
    callouts.readTimeStamp(m.cpu);
    expect([m.R[slot.edx], m.R[slot.eax]]).toEqual([4, 0x10]);
  });

  it("SYSENTER's registers and EFER.NXE", () => {
    const m = new Machine();
    expect(msr(m, 0x174, [0, 0x60])).toEqual([0, 0x60]);
    expect(msr(m, 0x175, [0, 0xc0001000])).toEqual([0, 0xc0001000]);
    expect(msr(m, 0x176, [0, 0xc0002000])).toEqual([0, 0xc0002000]);
    expect([m.R[slot.sysenterCs], m.R[slot.sysenterEip] >>> 0]).toEqual([0x60, 0xc0002000]);
    expect(msr(m, 0xc0000080, [0, 0x800])).toEqual([0, 0x800]);
    m.R[slot.eax] = 0x100;
    m.R[slot.edx] = 0;
    m.expectFault(() => callouts.writeMsr(m.cpu), vector.gp, 0);
  });

  it("the microcode revision reads as 0 after the ritual", () => {
    expect(msr(new Machine(), 0x8b, [0, 0])).toEqual([0, 0]);
  });

  it("unknown numbers: #GP(0), reading and writing", () => {
    const m = new Machine();
    for (const number of [0xfe, 0x277, 0xc0000081, 0x12345678]) {
      m.R[slot.ecx] = number | 0;
      m.expectFault(() => callouts.readMsr(m.cpu), vector.gp, 0);
      m.expectFault(() => callouts.writeMsr(m.cpu), vector.gp, 0);
    }
    m.R[slot.ecx] = 0x17;
    m.expectFault(() => callouts.writeMsr(m.cpu), vector.gp, 0);
  });
});
