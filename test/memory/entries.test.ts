/** What generated code relies on in the TLB (runtime/memory/linear.ts): an entry says by its low bits, and by bit 31 of the place that it gives, whether it may be used in line. */
import { describe, expect, it } from "vitest";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Core, place, pte } from "../support/core.ts";

const all = pte.present | pte.writable | pte.user | pte.global;
const frame = 0x50000;
/** Linear addresses in both halves of the address space. */
const pages = [0x200000, 0x7fffe000, 0x80202000, 0xc0323000, 0xfffff000].map((A) => A | 0);
const halves = [0, 1 << 20];

function start(): Core {
  const core = new Core().protectedMode(0);
  pages.forEach((A, k) => {
    // One page table serves all.
    core.physical.write4(place.pageDirectory + 4 * (A >>> 22), place.pageTable | all);
    core.map(A & 0x3ff000, frame + 0x1000 * k, all);
  });
  core.flush();
  return core;
}

/** Of the entry of A: the place that it gives, or "nowhere"; the two ways to tell agree, wherever in the page. */
function entryOf(table: Int32Array, A: number, half = 0): number | "nowhere" {
  const T = table[half + (A >>> 12)];
  const usable = [0, 1, 0x7ff, 0xffe, 0xfff].map((k) => {
    const byBits = (T & 1) === 0;
    expect((T ^ (A | k)) >= 0).toBe(byBits);
    if (!byBits) expect(T & 0xfff).toBe(0xfff);
    return byBits;
  });
  return usable[0] ? (T ^ A) >>> 0 : "nowhere";
}

describe("entries of the TLB", () => {
  it("lead nowhere before they are made, and after they were dropped", () => {
    const { memory } = start().cpu;
    const everywhere = (): unknown[] =>
      pages.flatMap((A) => halves.flatMap((half) => [memory.TR, memory.TW, memory.TX].map((table) => entryOf(table, A, half))));
    expect(new Set(everywhere())).toEqual(new Set(["nowhere"]));
    const drops: (() => void)[] = [() => memory.flush(true), () => pages.forEach((A) => void memory.invalidatePage(A))];
    for (const drop of drops) {
      for (const A of pages) {
        memory.st4(A, 1);
        memory.translateFetch(A);
      }
      expect(everywhere().filter((x) => x !== "nowhere")).toHaveLength(3 * pages.length);
      drop();
      expect(new Set(everywhere())).toEqual(new Set(["nowhere"]));
    }
  });

  it("lead to the page; for a store not where it has code, until that is gone", () => {
    const { cpu, physical } = start();
    const { memory } = cpu;
    pages.forEach((A, k) => {
      const at = frame + 0x1000 * k;
      memory.st4(A, 7);
      expect([entryOf(memory.TR, A), entryOf(memory.TW, A)]).toEqual([at, at]);
      physical.codePages[at >>> 12] = 1;
      memory.protectPhysicalPage(at);
      expect([entryOf(memory.TR, A), entryOf(memory.TW, A)]).toEqual([at, "nowhere"]);
      memory.st4(A + 4, 8);
      expect(entryOf(memory.TW, A)).toBe("nowhere");
      physical.codePages[at >>> 12] = 0;
      memory.st4(A + 8, 9);
      expect(entryOf(memory.TW, A)).toBe(at);
      expect([0, 4, 8].map((offset) => physical.read4(at + offset))).toEqual([7, 8, 9]);
    });
  });

  it("are told by the place where all memory is below 2 GiB of the buffer", () => {
    expect(new Core().cpu.memory.hasLowPlaces).toBe(true);
    const over = new Core({ memory: 2 ** 31 + 0x1000 }).protectedMode(0, false);
    expect(over.cpu.memory.hasLowPlaces).toBe(false);
    expect(new PhysicalMemory(2 ** 31).bytes).toBe(2 ** 31);
    expect(place.code).toBeLessThan(2 ** 31);
  });
});
