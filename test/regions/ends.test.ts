/** Where a region ends that is made of more instructions in a row than it may have. */
import { describe, expect, it } from "vitest";
import { linearCode, mode } from "../../translator/contract/mode-key.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";

const limit = 400;
const INC_EAX = 0x40;

/** What a region from the beginning of a page full of INC EAX has: instructions of one byte, so their number is the offset it ends at. */
function regionWith(heat: (offset: number) => number): { instructions: number; exits: readonly number[] } {
  const code = new JavaScriptTranslator({ regionLimit: limit }).region({
    page: (k) => (k === 0 ? { bytes: new Uint8Array(0x1000).fill(INC_EAX), address: 0x10000 } : undefined),
    entry: 0,
    mode: linearCode | mode.stack32,
    followsCalls: false,
    hotCall: 1000,
    name: "f",
    base: 0x10000,
    heat,
    word: () => undefined,
    segmentBase: () => 0,
  });
  if (code === undefined) throw new Error("no region");
  return { instructions: code.instructions, exits: code.exits };
}

describe("a region of many instructions in a row", () => {
  it("has as many as it may have where nothing is known of them", () => {
    expect(regionWith((offset) => (offset === 0 ? 100 : 0))).toEqual({ instructions: limit, exits: [limit] });
  });

  it("ends where the last block of tier 0's begins", () => {
    expect(regionWith((offset) => (offset % 48 === 0 ? 100 : 0))).toEqual({ instructions: 384, exits: [384] });
  });

  it("ends at the hottest one of those about there", () => {
    expect(regionWith((offset) => (offset === 390 ? 1 : offset % 48 === 0 ? 100 : 0))).toEqual({ instructions: 384, exits: [384] });
  });

  it("ends where another region begins", () => {
    expect(regionWith((offset) => (offset === 200 ? -1 : offset % 48 === 0 ? 100 : 0))).toEqual({ instructions: 200, exits: [200] });
  });

  it("but begins where it is told to", () => {
    expect(regionWith((offset) => (offset === 0 ? -1 : 0)).instructions).toBe(limit);
  });
});
