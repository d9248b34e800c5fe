/** Packed integer arithmetic, comparison, logic and shifts on MMX and XMM registers (SDM vol. 1, 5.4 and 5.6.3). */
import { slot } from "../../contract/slots.ts";
import { operandKind } from "../../decode/instruction.ts";
import type { Value } from "../../ir/micro.ts";
import type { PureOp } from "../../ir/pure-ops.ts";
import type { Builder, LiftFunction } from "../builder.ts";
import {
  addSigned,
  addUnsignedSaturated,
  andNotLane,
  bytes,
  compareEqual,
  compareGreater,
  type LaneFunction,
  maximumSigned,
  maximumUnsigned,
  minimumSigned,
  minimumUnsigned,
  pureLane,
  subtractSigned,
  subtractUnsignedSaturated,
  sumOfDifferences,
  words,
} from "./lanes.ts";
import {
  enterMmx,
  isMemory,
  isWhole,
  readVector,
  readWords,
  requireMmx,
  requireSse,
  requireVector,
  slotOf,
  wordsOf,
  writeVector,
  writeWords,
} from "./operands.ts";

/** The result from target and source, as a whole. */
type WholeFunction = (b: Builder, x: Value, y: Value) => Value;
export type Whole = PureOp | WholeFunction;
export const asFunction = (whole: Whole): WholeFunction => (typeof whole === "string" ? (b, x, y) => b.pure(whole, x, y) : whole);

/** A two-operand instruction on vectors: all result words from all words of target and source, or @param whole the same on whole ones */
export function vectorwise(compute: (b: Builder, x: Value[], y: Value[]) => Value[], whole: Whole): LiftFunction {
  const computeWhole = asFunction(whole);
  return (b, i) => {
    const [target, source] = i.operands;
    requireVector(b, target);
    if (isWhole(b, target)) {
      const from = readVector(b, source);
      return writeVector(b, target, computeWhole(b, readVector(b, target), from));
    }
    const y = readWords(b, source, wordsOf(target));
    const x = readWords(b, target, wordsOf(target));
    writeWords(b, target, compute(b, x, y));
  };
}

export const wordwise = (lane: LaneFunction, whole: Whole): LiftFunction => vectorwise((b, x, y) => x.map((word, k) => lane(b, word, y[k])), whole);

/** The same for each 64-bit half, given as (low, high) of target and source. */
export const pairwise = (compute: (b: Builder, x: [Value, Value], y: [Value, Value]) => [Value, Value], whole: Whole): LiftFunction =>
  vectorwise((b, x, y) => {
    const result: Value[] = [];
    for (let k = 0; k < x.length; k += 2) result.push(...compute(b, [x[k], x[k + 1]], [y[k], y[k + 1]]));
    return result;
  }, whole);

const liftAddQuadwords = pairwise((b, x, y) => {
  const low = b.add(x[0], y[0]);
  return [low, b.add(b.add(x[1], y[1]), b.shr(b.pure("carries", x[0], y[0], low), 31))];
}, "i64x2.add");
const liftSubtractQuadwords = pairwise((b, x, y) => {
  const low = b.sub(x[0], y[0]);
  return [low, b.sub(b.sub(x[1], y[1]), b.shr(b.pure("borrows", x[0], y[0], low), 31))];
}, "i64x2.sub");
const liftMultiplyDoublewords = pairwise((b, x, y) => [b.pure("mul", x[0], y[0]), b.pure("mulhu", x[0], y[0])], "mulEvenUnsigned");
const liftSumOfDifferences = pairwise(
  (b, x, y) => [b.add(sumOfDifferences(b, x[0], y[0]), sumOfDifferences(b, x[1], y[1])), b.constant(0)],
  (b, x, y) => b.pure("sumOfPairs", b.pure("sumOfBytes", b.pure("differenceOfBytes", x, y))),
);

/** All words shifted, and the same of a whole vector. */
interface Shift {
  readonly words: (b: Builder, words: Value[], count: Value) => Value[];
  readonly whole: (b: Builder, vector: Value, count: Value) => Value;
}

/**
 * The count is a byte immediate or the low 64 bits of the source; a count whose upper word is not zero is as good as the largest
 * lower word.
 */
function shift(compute: Shift): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireVector(b, target);
    let count: Value;
    if (source.kind === operandKind.immediate) count = b.read(source);
    else {
      const [low, high] = readWords(b, source, isMemory(source) ? wordsOf(target) : 2);
      count = b.select(b.equal(high, 0), low, -1);
    }
    if (isWhole(b, target)) writeVector(b, target, compute.whole(b, readVector(b, target), count));
    else writeWords(b, target, compute.words(b, readWords(b, target, wordsOf(target)), count));
  };
}

const shiftWordwise = (op: PureOp, whole: PureOp): Shift => ({
  words: (b, x, count) => x.map((word) => b.pure(op, word, count)),
  whole: (b, x, count) => b.pure(whole, x, count),
});
const shiftArithmetic = (op: PureOp, whole: PureOp, largest: number): Shift => {
  const limited = (b: Builder, count: Value): Value => b.pure("limitUnsigned", count, b.constant(largest));
  return {
    words: (b, x, count) => {
      const n = limited(b, count);
      return x.map((word) => b.pure(op, word, n));
    },
    whole: (b, x, count) => b.pure(whole, x, limited(b, count)),
  };
};
const shiftPairs = (compute: (b: Builder, low: Value, high: Value, count: Value) => Value[], whole: PureOp): Shift => ({
  words: (b, x, count) => {
    const result: Value[] = [];
    for (let k = 0; k < x.length; k += 2) result.push(...compute(b, x[k], x[k + 1], count));
    return result;
  },
  whole: (b, x, count) => b.pure(whole, x, count),
});

function shiftBytes(callout: "shiftLeftBytes" | "shiftRightBytes"): LiftFunction {
  return (b, i) => {
    requireSse(b);
    b.call(callout, slotOf(b, i.operands[0]), b.read(i.operands[1]));
  };
}

const liftEmms: LiftFunction = (b) => {
  requireMmx(b);
  enterMmx(b);
  b.set(slot.fpuEmpty, 0xff);
};

const and = wordwise(pureLane("and"), "v128.and");
const or = wordwise(pureLane("or"), "v128.or");
const xor = wordwise(pureLane("xor"), "v128.xor");
const andNot = wordwise(andNotLane, "notAnd");

export const integerLifts: Record<string, LiftFunction> = {
  paddb: wordwise(pureLane("addBytes"), "i8x16.add"),
  paddw: wordwise(pureLane("addWords"), "i16x8.add"),
  paddd: wordwise(pureLane("add"), "i32x4.add"),
  paddq: liftAddQuadwords,
  paddsb: wordwise(addSigned(bytes), "i8x16.add_sat_s"),
  paddsw: wordwise(addSigned(words), "i16x8.add_sat_s"),
  paddusb: wordwise(addUnsignedSaturated(bytes), "i8x16.add_sat_u"),
  paddusw: wordwise(addUnsignedSaturated(words), "i16x8.add_sat_u"),
  psubb: wordwise(pureLane("subBytes"), "i8x16.sub"),
  psubw: wordwise(pureLane("subWords"), "i16x8.sub"),
  psubd: wordwise(pureLane("sub"), "i32x4.sub"),
  psubq: liftSubtractQuadwords,
  psubsb: wordwise(subtractSigned(bytes), "i8x16.sub_sat_s"),
  psubsw: wordwise(subtractSigned(words), "i16x8.sub_sat_s"),
  psubusb: wordwise(subtractUnsignedSaturated(bytes), "i8x16.sub_sat_u"),
  psubusw: wordwise(subtractUnsignedSaturated(words), "i16x8.sub_sat_u"),
  pmullw: wordwise(pureLane("mulWordsLow"), "i16x8.mul"),
  pmulhw: wordwise(pureLane("mulWordsHigh"), "mulHighSigned"),
  pmulhuw: wordwise(pureLane("mulWordsHighUnsigned"), "mulHighUnsigned"),
  pmuludq: liftMultiplyDoublewords,
  pmaddwd: wordwise(pureLane("mulAddWords"), "i32x4.dot_i16x8_s"),
  psadbw: liftSumOfDifferences,
  pavgb: wordwise(pureLane("averageBytes"), "i8x16.avgr_u"),
  pavgw: wordwise(pureLane("averageWords"), "i16x8.avgr_u"),
  pminub: wordwise(minimumUnsigned(bytes), "i8x16.min_u"),
  pmaxub: wordwise(maximumUnsigned(bytes), "i8x16.max_u"),
  pminsw: wordwise(minimumSigned(words), "i16x8.min_s"),
  pmaxsw: wordwise(maximumSigned(words), "i16x8.max_s"),

  pcmpeqb: wordwise(compareEqual(bytes), "i8x16.eq"),
  pcmpeqw: wordwise(compareEqual(words), "i16x8.eq"),
  pcmpeqd: wordwise(pureLane("equalMask"), "i32x4.eq"),
  pcmpgtb: wordwise(compareGreater(bytes), "i8x16.gt_s"),
  pcmpgtw: wordwise(compareGreater(words), "i16x8.gt_s"),
  pcmpgtd: wordwise(pureLane("greaterMask"), "i32x4.gt_s"),

  pand: and,
  andps: and,
  andpd: and,
  pandn: andNot,
  andnps: andNot,
  andnpd: andNot,
  por: or,
  orps: or,
  orpd: or,
  pxor: xor,
  xorps: xor,
  xorpd: xor,

  psllw: shift(shiftWordwise("shlWords", "shlVectorWords")),
  pslld: shift(shiftWordwise("shlWide", "shlVectorDoublewords")),
  psllq: shift(shiftPairs((b, low, high, n) => [b.pure("shlWide", low, n), b.pure("shlPairHigh", low, high, n)], "shlVectorQuadwords")),
  psrlw: shift(shiftWordwise("shrWords", "shrVectorWords")),
  psrld: shift(shiftWordwise("shrWide", "shrVectorDoublewords")),
  psrlq: shift(shiftPairs((b, low, high, n) => [b.pure("shrPairLow", low, high, n), b.pure("shrWide", high, n)], "shrVectorQuadwords")),
  psraw: shift(shiftArithmetic("sarWords", "sarVectorWords", 15)),
  psrad: shift(shiftArithmetic("sar", "sarVectorDoublewords", 31)),
  pslldq: shiftBytes("shiftLeftBytes"),
  psrldq: shiftBytes("shiftRightBytes"),

  emms: liftEmms,
};
