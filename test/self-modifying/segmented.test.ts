/** Real mode and code segments with a base, also one that is not a multiple of the page size: self-modifying code is exact there too. */
import { describe, expect, it } from "vitest";
import { segment, slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, tiers } from "../support/core.ts";
import { sumTo } from "./scenario.ts";

/** A real-mode program at CS:0100 with DS = ES = CS, ending with INT3. */
function runReal(core: Core, source: string, cs: number): Core {
  const program = assemble(source, 0x100, 16);
  core.realMode();
  core.physical.writeBytes(cs * 16 + 0x100, program.bytes);
  for (const s of [segment.cs, segment.ds, segment.es]) {
    core.R[slot.selector + s] = cs;
    core.R[slot.segmentBase + s] = cs * 16;
  }
  core.R[slot.eip] = 0x100;
  core.eflags = 2;
  const stop = core.run(40_000);
  expect({ kind: stop.kind, vector: stop.vector }).toEqual({ kind: "exception", vector: 3 });
  return core;
}

const programs: readonly { name: string; source: string; dx: number }[] = [
  { name: "the next instruction", source: "xor dx, dx\nmov cx, 100\na: mov [t + 1], cx\nt: mov ax, 0\nadd dx, ax\nloop a\nint3", dx: sumTo(100) },
  { name: "earlier in the loop", source: "xor dx, dx\nmov cx, 100\na: mov ax, 0\nadd dx, ax\ninc word ptr [a + 1]\nloop a\nint3", dx: sumTo(99) },
  {
    name: "an instruction that straddles pages of linear memory",
    dx: sumTo(100),
    // With CS = 1001h the page edge is at offset FF0h.
    source:
      "xor dx, dx\nmov cx, 100\njmp a\n.org 0xee4\na: mov [t + 1], cx\njmp t\n.org 0xeee\nt: mov ax, 0\nadd dx, ax\ndec cx\njz d\njmp a\nd: int3",
  },
  {
    name: "REP STOSW over what follows",
    source:
      "xor dx, dx\nmov bp, 50\na: mov ax, 0x4242\ntest bp, 1\njz b\nmov ax, 0x4a4a\nb: mov di, offset t\nmov cx, 8\ncld\nrep stosw\nt: .fill 16, 1, 0x90\ndec bp\njnz a\nint3",
    dx: 0,
  },
  {
    name: "PUSH",
    source:
      "xor dx, dx\nmov cx, 100\nmov ax, cs\nmov ss, ax\nmov bx, sp\na: mov sp, offset t + 3\npush cx\nt: mov ax, 0\nadd dx, ax\nloop a\nmov sp, 0xf000\nint3",
    dx: sumTo(100),
  },
];

describe.each(tiers.filter(({ name }) => /cold|25/.test(name)))("real mode, $name", (tier) => {
  for (const cs of [0x1000, 0x1001, 0x1fff]) {
    it.each(programs)(`CS = ${cs.toString(16)}: $name`, ({ source, dx }) => {
      expect(runReal(tier.core(), source, cs).reg("edx") & 0xffff).toBe(dx & 0xffff);
    });
  }
});

describe.each(tiers.filter(({ name }) => /cold|25/.test(name)))("protected mode, code segment with a base, $name", (tier) => {
  for (const base of [0x10000, 0x10ffc, 0x1f123]) {
    it(`base ${base.toString(16)}`, () => {
      // Through DS, whose base is 0, the code is at another offset.
      const program = assemble(
        "xor edx, edx\nmov ecx, 150\na: mov [ebx + t + 1], ecx\nt: mov eax, 0\nadd edx, eax\ncall f\ndec ecx\njnz a\nint3\nf: mov eax, 1\nadd edx, eax\nret",
        0x40,
      );
      const core = tier.core().protectedMode(0);
      core.physical.writeBytes(base + 0x40, program.bytes);
      core.R[slot.segmentBase + segment.cs] = base;
      core.R[slot.ebx] = base;
      core.R[slot.eip] = 0x40;
      core.eflags = 0x202;
      expect(core.run(20_000).vector).toBe(3);
      expect(core.reg("edx")).toBe(sumTo(150) + 150);
    });
  }
});

describe("the end of a code segment", () => {
  it.each([0xffff, 0x10fff, 0x10801])("instructions up to the limit %i run, the one beyond faults", (limit) => {
    const core = tiers[0].core().protectedMode(0);
    // INC EAX up to the last byte but two, then a three-byte instruction that ends one byte beyond.
    const count = 20;
    const start = limit - 1 - count;
    core.physical.u8.fill(0x40, start, start + count);
    core.physical.writeBytes(start + count, Uint8Array.from([0x83, 0xc0, 0x01]));
    core.R[slot.segmentLimit + segment.cs] = limit;
    core.R[slot.eip] = start;
    core.R[slot.eax] = 0;
    core.eflags = 2;
    const stop = core.run(100);
    // The handler lies within the limit in all cases, so it is entered.
    expect({ vector: stop.vector, errorCode: stop.errorCode, eip: stop.eip, eax: core.reg("eax") }).toEqual({
      vector: 13,
      errorCode: 0,
      eip: start + count,
      eax: count,
    });
  });
});
