/**
 * REP MOVS onto itself: elements are copied one after the other, each read after the one before it is written (SDM vol. 2, REP and MOVS), so that an overlap in the direction of the copy
 * repeats a pattern and one against it does not. In one page, across two, and at every small distance.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { Core } from "../support/core.ts";

const area = 0x20000;
const bytes = 0x2000;
const count = 37;

/** What the definition says. */
function copied(memory: Uint8Array, from: number, to: number, size: number, step: number): Uint8Array {
  const out = memory.slice();
  for (let k = 0; k < count; k++) {
    const element = out.slice(from + k * step, from + k * step + size);
    out.set(element, to + k * step);
  }
  return out;
}

const pattern = Uint8Array.from({ length: bytes }, (_, k) => (k * 7 + (k >> 8)) & 0xff);

describe.each([
  ["rep movsb", 1],
  ["rep movsw", 2],
  ["rep movsd", 4],
] as const)("%s", (instruction, size) => {
  const core = new Core();
  for (const direction of ["cld", "std"] as const) {
    const program = assemble(`${direction}\n${instruction}\nint3`);
    it.each([0x400, 0xf80, 0xff1])(`${direction}, at %i of the first page`, (start) => {
      const step = direction === "cld" ? size : -size;
      for (let distance = -3 * size - 8; distance <= 3 * size + 8; distance++) {
        core.reset().protectedMode(0).load(program);
        core.physical.u8.set(pattern, area);
        const { R } = core;
        R[slot.esi] = area + start;
        R[slot.edi] = area + start + distance;
        R[slot.ecx] = count;
        expect(core.run(10_000).vector).toBe(3);
        const wanted = copied(pattern, start, start + distance, size, step);
        expect(Buffer.compare(core.physical.u8.slice(area, area + bytes), wanted), `distance ${distance}`).toBe(0);
        expect([R[slot.ecx], R[slot.esi] - area, R[slot.edi] - area]).toEqual([0, start + count * step, start + distance + count * step]);
      }
    });
  }
});
