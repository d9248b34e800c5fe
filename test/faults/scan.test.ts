/** REPNE SCASB, which WebAssembly does sixteen bytes at a time and page by page, against JavaScript, which looks at one after the other: found, not found, and a page that is not there. */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { Random } from "../differential/random.ts";
import { assemble } from "../support/assembler.ts";
import { Core, place } from "../support/core.ts";

const text = 0x20000;
const pages = 3;
const program = assemble("mov ebx, 5\nrepne scasb\nint3");

function scan(core: Core, seed: number): object {
  const random = new Random(seed);
  // Not reset: what was translated is to stay.
  core.protectedMode(3);
  const { R, physical } = core;
  for (let k = 0; k < pages * 0x1000; k++) physical.u8[text + k] = 1 + random.below(255);
  const byte = random.below(256);
  // Mostly rare, or not there.
  for (let k = 0; k < pages * 0x1000; k++) if (physical.u8[text + k] === byte) physical.u8[text + k] = byte ^ 0xff || 1;
  const start = random.below(3) === 0 ? random.below(pages * 0x1000) : 0x1000 * (1 + random.below(2)) - random.below(40);
  for (let k = random.below(3); k > 0; k--) physical.u8[text + start + random.below(random.pick([20, 100, 5000]))] = byte;
  // The page behind the text is not there.
  physical.i32[(place.pageTable >>> 2) + (text >>> 12) + pages] = 0;
  core.cpu.memory.flush(true);
  R[slot.edi] = text + start;
  R[slot.ecx] = random.pick([-1, -1, 0, 1, 15, 16, 17, random.below(0x3000)]);
  R[slot.eax] = byte | (random.next() << 8);
  if (random.below(2) === 0) core.eflags = 0x8d7;
  const stop = core.run();
  return { stop, registers: [...R.slice(0, 8)], eflags: core.eflags };
}

describe("REPNE SCASB", () => {
  it("finds what a search byte by byte finds, and stops where it stops", () => {
    const fast = new Core({ hot: true, step: 1 }).load(program);
    const slow = new Core({ disabled: new Set(["wasm", "wasmRegions"]) }).load(program);
    const ends = new Set<string>();
    for (let seed = 1; seed <= 400; seed++) {
      const found = scan(fast, seed) as { stop: { vector: number } };
      expect(found, `seed ${seed}`).toEqual(scan(slow, seed));
      ends.add(`${found.stop.vector}`);
    }
    // Both INT3 and a page fault.
    expect([...ends].sort()).toEqual(["14", "3"]);
  });
});
