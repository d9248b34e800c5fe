/** Where computed jumps led, by linear address and by physical. */
import { beforeEach, describe, expect, it } from "vitest";
import { JumpCache, jumpCacheMask, jumpCacheWords, sharedJumpWords } from "../../runtime/execute/jump-cache.ts";
import { linearCode } from "../../translator/contract/mode-key.ts";
import { slot } from "../../translator/contract/slots.ts";

const header = 100;
const other = 200;
const physical = 0x345000;
const here = 0x0804_8123;
const there = 0xb7f0_1123 | 0;
const nowhere = 0x5555_5123;

let C: Int32Array;
let R: Int32Array;
let TX: Int32Array;
let jumps: JumpCache;

/** The instruction TLB's entry. */
const map = (linear: number, to: number): void => {
  TX[linear >>> 12] = (linear ^ to) & ~0xfff;
};

beforeEach(() => {
  C = new Int32Array(1024);
  R = new Int32Array(slot.count);
  TX = new Int32Array(1 << 20).fill(1);
  R[slot.mode] = linearCode;
  jumps = new JumpCache(C, R, TX, new Int32Array(jumpCacheWords), new Int32Array(sharedJumpWords));
  C[header - 3] = physical + 0x123;
  C[header - 2] = linearCode;
  map(here, physical);
  jumps.note(here, header);
});

describe("the jump cache", () => {
  it("finds a block where it was noted", () => {
    expect(jumps.find(here)).toBe(header);
    expect(jumps.find(here + 1)).toBe(0);
  });

  it("finds it wherever else its page is mapped", () => {
    expect(jumps.find(there)).toBe(0);
    map(there, physical);
    expect(jumps.find(there)).toBe(header);
    // By its linear address from now on: what is noted at the place of its physical one may change.
    jumps.shared.fill(other);
    expect(jumps.find(there)).toBe(header);
  });

  it("does not find it where its page is mapped no more", () => {
    map(there, physical);
    jumps.find(there);
    map(there, physical + 0x1000);
    expect(jumps.find(there)).toBe(0);
    TX[here >>> 12] = 1;
    expect(jumps.find(here)).toBe(0);
  });

  it("does not find one that has died", () => {
    C[header - 3] = -1;
    expect(jumps.find(here)).toBe(0);
  });

  it("does not find one of another mode", () => {
    R[slot.mode] = 0;
    expect(jumps.find(here)).toBe(0);
  });

  it("keeps one of two at the same place, and the other by its physical address", () => {
    const rival = here ^ ((jumpCacheMask + 1) | ((jumpCacheMask + 1) << 10));
    C[other - 3] = physical + 0x2123;
    C[other - 2] = linearCode;
    map(rival, physical + 0x2000);
    jumps.note(rival, other);
    for (let k = 0; k < 3; k++) expect([jumps.find(here), jumps.find(rival)]).toEqual([header, other]);
  });

  it("finds nothing at physical address 0 when it is empty", () => {
    jumps.clear();
    map(nowhere, 0);
    R[slot.mode] = 0;
    expect(jumps.find(nowhere & ~0xfff)).toBe(0);
    expect(jumps.find(here)).toBe(0);
  });
});
