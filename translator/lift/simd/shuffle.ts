/** Interleaving, packing, shuffling, and moves between lanes and general registers (SDM vol. 1, 5.4.3, 5.5.1.4, 5.6.1.4). */
import { operandKind } from "../../decode/instruction.ts";
import type { Value } from "../../ir/micro.ts";
import type { PureOp } from "../../ir/pure-ops.ts";
import type { Builder, LiftFunction } from "../builder.ts";
import { enterMmx, isMemory, isWhole, readVector, readWords, requireSse, requireVector, wordsOf, writeVector, writeWords } from "./operands.ts";

/** Result words from the words of target and source; a source narrower than the target (MMX's low unpacks) has fewer. Whole vectors by an op of their own. */
function combine(compute: (b: Builder, x: Value[], y: Value[]) => Value[], whole: PureOp): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireVector(b, target);
    if (isWhole(b, target)) {
      const from = readVector(b, source);
      return writeVector(b, target, b.pure(whole, readVector(b, target), from));
    }
    const y = readWords(b, source, Math.min(wordsOf(target), source.size >> 2));
    const x = readWords(b, target, wordsOf(target));
    writeWords(b, target, compute(b, x, y));
  };
}

/** Interleaves the low (high) halves; each source word gives two result words. */
function interleave(low: PureOp, high: PureOp, upperHalf: boolean, whole: PureOp): LiftFunction {
  return combine((b, x, y) => {
    const half = x.length / 2;
    const result: Value[] = [];
    for (let k = upperHalf ? half : 0; result.length < x.length; k++) result.push(b.pure(low, x[k], y[k]), b.pure(high, x[k], y[k]));
    return result;
  }, whole);
}
const unpackLowDoublewords = combine((_b, x, y) => (x.length === 2 ? [x[0], y[0]] : [x[0], y[0], x[1], y[1]]), "interleaveLow32");
const unpackHighDoublewords = combine((_b, x, y) => (x.length === 2 ? [x[1], y[1]] : [x[2], y[2], x[3], y[3]]), "interleaveHigh32");
const unpackLowQuadwords = combine((_b, x, y) => [x[0], x[1], y[0], y[1]], "interleaveLow64");
const unpackHighQuadwords = combine((_b, x, y) => [x[2], x[3], y[2], y[3]], "interleaveHigh64");

/** The 16-bit lanes of a word, sign-extended. */
const halves = (b: Builder, word: Value): [Value, Value] => [b.pure("signExtend16", word), b.sar(word, 16)];

function packWords(saturate: PureOp, whole: PureOp): LiftFunction {
  return combine((b, x, y) => {
    const result: Value[] = [];
    for (const words of [x, y]) {
      for (let k = 0; k < words.length; k += 2) {
        const lanes = [...halves(b, words[k]), ...halves(b, words[k + 1])].map((lane) => b.pure(saturate, lane));
        result.push(b.pure("packBytes", ...lanes));
      }
    }
    return result;
  }, whole);
}

const packDoublewords = combine((b, x, y) => {
  const result: Value[] = [];
  for (const words of [x, y]) {
    for (let k = 0; k < words.length; k += 2) {
      result.push(b.or(b.pure("saturateWord", words[k]), b.shl(b.pure("saturateWord", words[k + 1]), 16)));
    }
  }
  return result;
}, "i16x8.narrow_i32x4_s");

/** The four words of a lane list chosen by two bits of the immediate from bit `at` on. */
export const pick = (b: Builder, w: Value[], order: Value, at: number) =>
  b.pure("pickWord", w[0], w[1], w[2], w[3], at === 0 ? order : b.shr(order, at));

/** Four 16-bit lanes in (low, high), rearranged by an immediate. */
function shuffleHalves(b: Builder, low: Value, high: Value, order: Value): [Value, Value] {
  const half = (at: number) => b.pure("pickHalf", low, high, b.shr(order, at));
  return [b.or(half(0), b.shl(half(2), 16)), b.or(half(4), b.shl(half(6), 16))];
}

type WholeShuffle = (b: Builder, x: () => Value, y: Value, order: Value) => Value;
/** Of the source alone. */
const ofSource =
  (op: PureOp): WholeShuffle =>
  (b, _x, y, order) =>
    b.pure(op, y, order);
const ofBoth =
  (op: PureOp): WholeShuffle =>
  (b, x, y, order) =>
    b.pure(op, x(), y, order);

function shuffle(compute: (b: Builder, x: Value[], y: Value[], order: Value) => Value[], whole?: WholeShuffle): LiftFunction {
  return (b, i) => {
    const [target, source, immediate] = i.operands;
    requireVector(b, target);
    if (whole !== undefined && isWhole(b, target)) {
      const from = readVector(b, source);
      return writeVector(
        b,
        target,
        whole(b, () => readVector(b, target), from, b.read(immediate)),
      );
    }
    const y = readWords(b, source, wordsOf(target));
    const x = readWords(b, target, wordsOf(target));
    writeWords(b, target, compute(b, x, y, b.read(immediate)));
  };
}

/** MOVMSKPS and its like: sign bits of some words into a general register. */
function signMask(compute: (b: Builder, words: Value[]) => Value, whole: PureOp): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireVector(b, source);
    if (isWhole(b, source)) return b.write(target, b.pure(whole, readVector(b, source)));
    const mask = compute(b, readWords(b, source, wordsOf(source)));
    if (source.kind === operandKind.mmx) enterMmx(b);
    b.write(target, mask);
  };
}
const signs = (b: Builder, words: Value[]) => words.map((word, k) => b.shl(b.shr(word, 31), k)).reduce((x, y) => b.or(x, y));

const liftInsertWord: LiftFunction = (b, i) => {
  const [target, source, immediate] = i.operands;
  requireVector(b, target);
  const value = isMemory(source) ? b.load(b.address(source, 2), 2) : b.read(source);
  const index = b.read(immediate);
  if (isWhole(b, target)) return writeVector(b, target, b.pure("insertWord", readVector(b, target), index, value));
  const x = readWords(b, target, wordsOf(target));
  const wanted = b.and(b.shr(index, 1), x.length - 1);
  writeWords(
    b,
    target,
    x.map((word, k) => b.select(b.equal(wanted, k), b.pure("insertHalf", word, value, index), word)),
  );
};

const liftExtractWord: LiftFunction = (b, i) => {
  const [target, source, immediate] = i.operands;
  requireVector(b, source);
  const index = b.read(immediate);
  if (isWhole(b, source)) return b.write(target, b.pure("extractWord", readVector(b, source), index));
  const x = readWords(b, source, wordsOf(source));
  if (source.kind === operandKind.mmx) enterMmx(b);
  const value = x.length === 2 ? b.pure("pickHalf", x[0], x[1], index) : extractHalf(b, pick(b, x, index, 1), index);
  b.write(target, value);
};
const extractHalf = (b: Builder, word: Value, index: Value) => b.zeroExtend(b.shr(word, b.shl(b.and(index, 1), 4)), 2);

/** MOVHLPS and MOVLHPS. */
function moveHalf(from: number, to: number, whole: PureOp): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    if (isWhole(b, target)) {
      const vector = readVector(b, source);
      return writeVector(b, target, b.pure(whole, readVector(b, target), vector));
    }
    const words = readWords(b, source, 4);
    for (let k = 0; k < 2; k++) b.setAt(b.field(target.field), to + k, words[from + k]);
  };
}

export const shuffleLifts: Record<string, LiftFunction> = {
  punpcklbw: interleave("interleaveBytesLow", "interleaveBytesHigh", false, "interleaveLow8"),
  punpcklwd: interleave("interleaveWordsLow", "interleaveWordsHigh", false, "interleaveLow16"),
  punpckldq: unpackLowDoublewords,
  punpcklqdq: unpackLowQuadwords,
  punpckhbw: interleave("interleaveBytesLow", "interleaveBytesHigh", true, "interleaveHigh8"),
  punpckhwd: interleave("interleaveWordsLow", "interleaveWordsHigh", true, "interleaveHigh16"),
  punpckhdq: unpackHighDoublewords,
  punpckhqdq: unpackHighQuadwords,
  unpcklps: unpackLowDoublewords,
  unpckhps: unpackHighDoublewords,
  unpcklpd: unpackLowQuadwords,
  unpckhpd: unpackHighQuadwords,
  movhlps: moveHalf(2, 0, "highToLow"),
  movlhps: moveHalf(0, 2, "lowToHigh"),

  packsswb: packWords("saturateByte", "i8x16.narrow_i16x8_s"),
  packuswb: packWords("saturateByteUnsigned", "i8x16.narrow_i16x8_u"),
  packssdw: packDoublewords,

  pshufw: shuffle((b, _x, y, order) => shuffleHalves(b, y[0], y[1], order)),
  pshufd: shuffle((b, _x, y, order) => [0, 2, 4, 6].map((at) => pick(b, y, order, at)), ofSource("shuffleDoublewords")),
  pshuflw: shuffle((b, _x, y, order) => [...shuffleHalves(b, y[0], y[1], order), y[2], y[3]], ofSource("shuffleLowWords")),
  pshufhw: shuffle((b, _x, y, order) => [y[0], y[1], ...shuffleHalves(b, y[2], y[3], order)], ofSource("shuffleHighWords")),
  shufps: shuffle(
    (b, x, y, order) => [pick(b, x, order, 0), pick(b, x, order, 2), pick(b, y, order, 4), pick(b, y, order, 6)],
    ofBoth("shuffleSingles"),
  ),
  shufpd: shuffle((b, x, y, order) => {
    const first = b.pure("notEqual", b.and(order, 1), b.constant(0));
    const second = b.pure("notEqual", b.and(order, 2), b.constant(0));
    return [b.select(first, x[2], x[0]), b.select(first, x[3], x[1]), b.select(second, y[2], y[0]), b.select(second, y[3], y[1])];
  }, ofBoth("shuffleDoubles")),

  movmskps: signMask(signs, "signsOfVectorWords"),
  movmskpd: signMask((b, words) => signs(b, [words[1], words[3]]), "signsOfVectorHalves"),
  pmovmskb: signMask(
    (b, words) => words.map((word, k) => b.shl(b.pure("signsOfBytes", word), 4 * k)).reduce((x, y) => b.or(x, y)),
    "signsOfVectorBytes",
  ),
  pinsrw: liftInsertWord,
  pextrw: liftExtractWord,
};
