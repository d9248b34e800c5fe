/** Where immediates, displacements and branch targets stand in an instruction, judged by the decoder: other bytes there are other numbers in those fields, and the instruction is the same. */
import { expect, it } from "vitest";
import { isLinearCode, linearCode, mode } from "../../translator/contract/mode-key.ts";
import { operandKind } from "../../translator/decode/instruction.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import type { PureOp } from "../../translator/ir/pure-ops.ts";
import { fieldPlaces } from "../../translator/lift/field-places.ts";
import { countsShifts } from "../../translator/lift/shape.ts";
import { Random } from "../fuzz/random.ts";

const pageOffset = 0x100;
const evaluate: Partial<Record<PureOp, (x: number) => number>> = {
  signExtend8: (x) => (x << 24) >> 24,
  signExtend16: (x) => (x << 16) >> 16,
  zeroExtend16: (x) => x & 0xffff,
};

it.each([
  ["32-bit", linearCode | mode.code32 | mode.stack32 | mode.protected],
  ["16-bit", 0],
])("%s code", (_, key) => {
  const random = new Random(7);
  const translator = new JavaScriptTranslator({ disabledPasses: new Set(["encodings"]) });
  const decode = (bytes: Uint8Array): number => translator.decode(bytes, 0, bytes.length, key, pageOffset);
  const sizes = new Map<string, number>();
  for (let n = 0; n < 60_000; n++) {
    const bytes = Uint8Array.from({ length: 16 }, () => random.below(256));
    // Prefixes and the maps of two and three bytes come up often enough this way.
    if (random.below(4) === 0) bytes[0] = [0x66, 0x67, 0x0f, 0x2e][random.below(4)];
    if (random.below(8) === 0) bytes.set([0x66, 0x0f, random.below(2) === 0 ? 0x38 : 0x3a]);
    const shape = decode(bytes);
    if (shape < 0) continue;
    const { length, fieldCount } = translator;
    const fields = translator.fields.slice(0, fieldCount);
    const places = fieldPlaces(translator.instruction);
    for (const { index, kind, fromEnd, size, extend } of places) {
      const at = length - fromEnd;
      const read = (): number => {
        let value = 0;
        for (let k = 0; k < size; k++) value |= bytes[at + k] << (8 * k);
        const number = extend.reduce((x, op) => (evaluate[op] as (x: number) => number)(x), value);
        return kind === operandKind.relative ? pageOffset + length + number : number;
      };
      expect(read(), `${bytes.slice(0, length)}`).toBe(fields[index]);
      sizes.set(`${size} ${extend}`, (sizes.get(`${size} ${extend}`) ?? 0) + 1);
      // Shapes of their own: to shift by nothing, to leave the page.
      if ((kind === operandKind.immediate && countsShifts(translator.instruction.row)) || (kind === operandKind.relative && !isLinearCode(key)))
        continue;
      for (let k = 0; k < size; k++) bytes[at + k] = random.below(256);
      expect(decode(bytes)).toBe(shape);
      expect(translator.length).toBe(length);
      fields[index] = read();
      expect([...translator.fields.slice(0, fieldCount)]).toEqual([...fields]);
    }
  }
  // Bytes, words and doublewords, as they are and with a sign.
  expect([...sizes.keys()].sort()).toEqual(["1 ", "1 signExtend8", "1 signExtend8,zeroExtend16", "2 ", "2 signExtend16", "4 "]);
});
