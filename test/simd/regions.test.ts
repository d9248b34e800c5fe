/** What a region must keep although it computes with JavaScript numbers: the bits of NaNs, denormal operands, sticky exceptions, and registers at its exits. */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { assemble } from "../support/assembler.ts";
import { Core, place } from "../support/core.ts";

const data = place.data;
const rounds = 200;

/** Runs `body` many times, hot; ECX counts. */
function run(body: string, words: readonly number[], mxcsr = 0x1f80): Core {
  const core = new Core({ hot: true });
  core.load(assemble(`mov ecx, ${rounds}\nagain:\n${body}\ndec ecx\njnz again\nint3`, place.code));
  core.protectedMode(0);
  core.R[slot.mxcsr] = mxcsr;
  for (const [k, word] of words.entries()) core.physical.write4(data + 4 * k, word);
  const stop = core.run();
  expect(stop.vector).toBe(3);
  expect(core.dispatcher.regions.translated).toBeGreaterThan(0);
  return core;
}
const words = (core: Core, at: number, count: number): number[] => Array.from({ length: count }, (_, k) => core.physical.i32[(at >>> 2) + k] >>> 0);
const xmm = (core: Core, n: number): number[] => [...core.R.slice(slot.xmm + 4 * n, slot.xmm + 4 * n + 4)].map((word) => word >>> 0);
const [one, two] = [
  [0, 0x3ff00000],
  [0, 0x40000000],
];

describe("vector registers in regions", () => {
  it("keep the bits of a signalling NaN that is only moved, beside arithmetic on the same registers", () => {
    const core = run(
      `movsd xmm0, [${data}]
       movapd xmm1, xmm0
       movsd [${data + 16}], xmm1
       movsd xmm0, [${data + 8}]
       addsd xmm0, xmm0
       movsd xmm1, [${data + 8}]
       mulsd xmm1, xmm0`,
      [0x12345678, 0x7ff00001, ...one],
    );
    expect(words(core, data + 16, 2)).toEqual([0x12345678, 0x7ff00001]);
    expect(xmm(core, 1)).toEqual([...two, 0, 0]);
    expect(core.R[slot.mxcsr]).toBe(0x1f80);
  });

  it("record a denormal operand though the result is normal", () => {
    const core = run(`movsd xmm0, [${data}]\naddsd xmm0, [${data + 8}]`, [1, 0, ...one], 0x1fa0);
    expect(core.R[slot.mxcsr]).toBe(0x1fa2);
    expect(xmm(core, 0)).toEqual([...one, 0, 0]);
  });

  it.each([
    ["exact sum", "addsd xmm0, xmm1", 0x1f80],
    ["exact product", "mulsd xmm0, xmm1", 0x1f80],
    ["exact quotient", "divsd xmm0, xmm1", 0x1f80],
    ["inexact quotient", "divsd xmm0, xmm2", 0x1fa0],
    ["inexact sum", "addsd xmm0, xmm3", 0x1fa0],
    ["inexact single", "cvtsd2ss xmm4, xmm3", 0x1fa0],
    ["exact single", "cvtsd2ss xmm4, xmm1", 0x1f80],
    ["inexact truncation", "cvttsd2si eax, xmm3", 0x1fa0],
  ])("record precision as they must: %s", (_, instruction, mxcsr) => {
    // 1, 2, 3 and 2^-60 + 2^-30.
    const body = `movsd xmm0, [${data}]\nmovsd xmm1, [${data + 8}]\nmovsd xmm2, [${data + 16}]\nmovsd xmm3, [${data + 24}]\n${instruction}`;
    expect(run(body, [...one, ...two, 0, 0x40080000, 1 << 22, 0x3e100000]).R[slot.mxcsr]).toBe(mxcsr);
  });

  it("are whole at an exit where one register held integers before, or will after", () => {
    const body = `movdqa xmm0, [${data}]
       paddd xmm0, xmm0
       movdqa xmm2, xmm0
       cmp ecx, 3
       je over
       movapd xmm0, [${data + 16}]
       addpd xmm0, xmm0
     over:
       nop`;
    const integers = [1, 2, 3, 0x80000004];
    const core = run(body, [...integers, ...one, ...two]);
    expect(xmm(core, 0)).toEqual([...two, 0, 0x40100000]);
    expect(xmm(core, 2)).toEqual([2, 4, 6, 8]);
    // The same, stopping where it holds integers.
    const stopped = run(`${body}\ncmp ecx, 3\njne on\nint3\non:`, [...integers, ...one, ...two]);
    expect(xmm(stopped, 0)).toEqual([2, 4, 6, 8]);
  });

  it("take the second of two zeros, whichever is the smaller", () => {
    const minusZero = [0, 0x80000000];
    const body = `movapd xmm0, [${data}]\nmovapd xmm1, xmm0\nminpd xmm0, [${data + 16}]\nmaxpd xmm1, [${data + 16}]`;
    const core = run(body, [0, 0, ...minusZero, ...minusZero, 0, 0]);
    expect(xmm(core, 0)).toEqual([...minusZero, 0, 0]);
    expect(xmm(core, 1)).toEqual([...minusZero, 0, 0]);
  });

  /** The same body first on one piece of data, until there is a region, and then on another: what tier 0 has recorded is no longer news. */
  function runLate(body: string, before: readonly number[], after: readonly number[], mxcsr: number): Core {
    // Without a branch: what lies behind one that was never taken is no part of the region.
    const change = `lea esi, [ecx - 5]\nsar esi, 31\nand esi, 64\nadd esi, ${data}`;
    return run(`${change}\n${body}`, [...before, ...Array.from({ length: 16 - before.length }, () => 0), ...after], mxcsr);
  }

  it("record that a comparison met a NaN, in either operand", () => {
    const nan = [0, 0x7ff80000];
    for (const [x, y] of [
      [one, nan],
      [nan, one],
    ]) {
      const core = runLate("movapd xmm0, [esi]\ncmpltpd xmm0, [esi + 16]", [...one, ...one, ...two, ...two], [...one, ...x, ...two, ...y], 0x1f80);
      expect(core.R[slot.mxcsr]).toBe(0x1f81);
      expect(xmm(core, 0)).toEqual([0xffffffff, 0xffffffff, 0, 0]);
    }
  });

  it("record a quotient that is too small to be told from zero", () => {
    // 2^-1000 / 2^1000.
    const ordinary = [...one, ...one, ...two, ...two];
    const core = runLate("movapd xmm0, [esi]\ndivpd xmm0, [esi + 16]", ordinary, [...one, 0, 0x01700000, ...two, 0, 0x7e700000], 0x1fa0);
    expect(core.R[slot.mxcsr]).toBe(0x1fb0);
    expect(xmm(core, 0)).toEqual([0, 0x3fe00000, 0, 0]);
  });

  it("are read anew after they were written as a whole", () => {
    const body = `movdqa xmm0, [${data}]
       movdqa xmm1, [${data + 16}]
       movdqa xmm2, xmm1
       psllq xmm1, xmm0
       paddd xmm0, [${data + 16}]
       psllq xmm2, xmm0`;
    // A count of 4, then one with something in its upper word.
    const core = run(body, [4, 0, 7, 7, 1, 1, 1, 1]);
    expect(xmm(core, 1)).toEqual([16, 16, 16, 16]);
    expect(xmm(core, 2)).toEqual([0, 0, 0, 0]);
  });

  it("raise #NM when CR0.TS is set behind a region's back", () => {
    const core = new Core({ hot: true });
    core.load(
      assemble(
        `mov ecx, ${rounds}\nagain: paddd xmm0, xmm1\ndec ecx\njnz again\nmov ecx, ${rounds}\nmov eax, cr0\nor eax, 8\nmov cr0, eax\njmp again`,
        place.code,
      ),
    );
    core.protectedMode(0);
    core.R[slot.xmm + 4] = 1;
    expect(core.run().vector).toBe(7);
    expect(xmm(core, 0)[0]).toBe(rounds);
  });
});

describe("a region full of floating point", () => {
  it("stays under the size that V8 optimises", () => {
    const { bytes } = assemble(`${"addsd xmm0, [ebx]\nmulpd xmm1, xmm2\n".repeat(400)}ret`, 0);
    const page = new Uint8Array(0x1000);
    page.set(bytes.subarray(0, 0x1000));
    const core = new Core({ hot: true, translator: new JavaScriptTranslator({ regionLimit: 400 }) });
    core.load({ origin: place.code, bytes: page } as never);
    core.protectedMode(0);
    core.R[slot.ebx] = data;
    core.run(2000);
    const lengths = [...core.dispatcher.regions.live.values()].map(({ code }) => code.text.length);
    expect(lengths.length).toBeGreaterThan(0);
    expect(Math.max(...lengths)).toBeLessThan(100_000);
  });
});
