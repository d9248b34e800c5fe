/**
 * Functions that a region takes in although they are many pages away: what faults in them is told by an offset from the region's entry, which must reach as far. And
 * small ones, which are taken in by whoever calls them.
 */
import { describe, expect, it } from "vitest";
import { linearCode, mode } from "../../translator/contract/mode-key.ts";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { assemble } from "../support/assembler.ts";
import { Core } from "../support/core.ts";

const near = 0x10000;
const memory = 1 << 22;
const away = memory - 0x1000;

/** A loop at `caller` calls a function at `callee`, which reads through EDX; `away` is not mapped. */
function run(caller: number, callee: number): { vector: number; eip: number; cr2: number; ecx: number; esi: number } {
  const program = assemble(
    `
      distant = ${callee}
    again:
      mov edx, offset again
      mov ebx, ${away + 8}
      cmp ecx, 7
      cmove edx, ebx
      call distant
      dec ecx
      jnz again
      int3`,
    caller,
  );
  const called = assemble("inc esi\n test esi, 1\n jz even\n nop\n even: mov eax, [edx]\n ret", callee);
  const core = new Core({ hot: true, memory }).protectedMode(0).load(program).load(called);
  core.map(away, 0, 0);
  core.R[slot.eip] = caller;
  core.R[slot.ecx] = 300;
  const { vector, eip, cr2 } = core.run(20_000);
  return { vector, eip: eip - callee, cr2, ecx: core.reg("ecx"), esi: core.reg("esi") };
}

describe("a fault in a function far away", () => {
  const expected = { vector: 14, eip: 10, cr2: away + 8, ecx: 7, esi: 294 };
  for (const pages of [1, 100, 127, 128, 400, 503, 504, 900]) {
    it(`${pages} pages behind its caller`, () => {
      expect(run(near, near + pages * 0x1000 + 0x123)).toEqual(expected);
    });
    it(`${pages} pages before it`, () => {
      expect(run(near + pages * 0x1000, near + 0x123)).toEqual(expected);
    });
  }
});

describe("a function of a few instructions", () => {
  const pages = 300;
  const thunk = [0x8b, 0x1c, 0x24, 0xc3]; // MOV EBX, [ESP]; RET
  const longer = [...Array<number>(8).fill(0x43), 0xc3]; // INC EBX eight times; RET
  const region = (callee: readonly number[], calls: boolean): { instructions: number; ranges: readonly (readonly [number, number])[] } => {
    const caller = new Uint8Array(0x1000).fill(0xf4);
    // INC EAX; CALL to the page's beginning, `pages` away; INC EAX; RET
    caller.set([0x40, 0xe8, 0, 0, 0, 0, 0x40, 0xc3]);
    new DataView(caller.buffer).setInt32(2, pages * 0x1000 - 6, true);
    const called = new Uint8Array(0x1000).fill(0xf4);
    called.set(callee);
    const code = new JavaScriptTranslator({ disabledPasses: new Set(calls ? [] : ["calls"]) }).region({
      page: (k) => (k === 0 ? { bytes: caller, address: near } : k === pages ? { bytes: called, address: 0x20000 } : undefined),
      entry: 0,
      mode: linearCode | mode.stack32,
      followsCalls: false,
      hotCall: 1000,
      name: "f",
      base: near,
      heat: () => 500,
      word: () => undefined,
      segmentBase: () => 0,
    });
    if (code === undefined) throw new Error("no region");
    return { instructions: code.instructions, ranges: code.ranges };
  };

  it("is taken in by its caller", () => {
    const { instructions, ranges } = region(thunk, true);
    expect(instructions).toBe(6);
    expect(ranges).toContainEqual([pages * 0x1000, thunk.length]);
  });

  it("is called if calls are not followed", () => {
    expect(region(thunk, false).instructions).toBe(2);
  });

  it("of nine is called", () => {
    expect(region(longer, true).instructions).toBe(2);
  });
});
