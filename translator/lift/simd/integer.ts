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
import { enterMmx, isMemory, readWords, requireMmx, requireSse, requireVector, slotOf, wordsOf, writeWords } from "./operands.ts";

/** A two-operand instruction on whole vectors: all result words from all words of target and source. */
function vectorwise(compute: (b: Builder, x: Value[], y: Value[]) => Value[]): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireVector(b, target);
    const y = readWords(b, source, wordsOf(target));
    const x = readWords(b, target, wordsOf(target));
    writeWords(b, target, compute(b, x, y));
  };
}

const wordwise = (lane: LaneFunction): LiftFunction => vectorwise((b, x, y) => x.map((word, k) => lane(b, word, y[k])));

/** The same for each 64-bit half, given as (low, high) of target and source. */
const pairwise = (compute: (b: Builder, x: [Value, Value], y: [Value, Value]) => [Value, Value]): LiftFunction =>
  vectorwise((b, x, y) => {
    const result: Value[] = [];
    for (let k = 0; k < x.length; k += 2) result.push(...compute(b, [x[k], x[k + 1]], [y[k], y[k + 1]]));
    return result;
  });

const liftAddQuadwords = pairwise((b, x, y) => {
  const low = b.add(x[0], y[0]);
  return [low, b.add(b.add(x[1], y[1]), b.shr(b.pure("carries", x[0], y[0], low), 31))];
});
const liftSubtractQuadwords = pairwise((b, x, y) => {
  const low = b.sub(x[0], y[0]);
  return [low, b.sub(b.sub(x[1], y[1]), b.shr(b.pure("borrows", x[0], y[0], low), 31))];
});
const liftMultiplyDoublewords = pairwise((b, x, y) => [b.pure("mul", x[0], y[0]), b.pure("mulhu", x[0], y[0])]);
const liftSumOfDifferences = pairwise((b, x, y) => [b.add(sumOfDifferences(b, x[0], y[0]), sumOfDifferences(b, x[1], y[1])), b.constant(0)]);

type Shift = (b: Builder, words: Value[], count: Value) => Value[];

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
    writeWords(b, target, compute(b, readWords(b, target, wordsOf(target)), count));
  };
}

const shiftWordwise =
  (op: PureOp): Shift =>
  (b, x, count) =>
    x.map((word) => b.pure(op, word, count));
const shiftArithmetic =
  (op: PureOp, largest: number): Shift =>
  (b, x, count) => {
    const limited = b.pure("limitUnsigned", count, b.constant(largest));
    return x.map((word) => b.pure(op, word, limited));
  };
const shiftPairs =
  (compute: (b: Builder, low: Value, high: Value, count: Value) => Value[]): Shift =>
  (b, x, count) => {
    const result: Value[] = [];
    for (let k = 0; k < x.length; k += 2) result.push(...compute(b, x[k], x[k + 1], count));
    return result;
  };

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

const and = wordwise(pureLane("and"));
const or = wordwise(pureLane("or"));
const xor = wordwise(pureLane("xor"));
const andNot = wordwise(andNotLane);

export const integerLifts: Record<string, LiftFunction> = {
  paddb: wordwise(pureLane("addBytes")),
  paddw: wordwise(pureLane("addWords")),
  paddd: wordwise(pureLane("add")),
  paddq: liftAddQuadwords,
  paddsb: wordwise(addSigned(bytes)),
  paddsw: wordwise(addSigned(words)),
  paddusb: wordwise(addUnsignedSaturated(bytes)),
  paddusw: wordwise(addUnsignedSaturated(words)),
  psubb: wordwise(pureLane("subBytes")),
  psubw: wordwise(pureLane("subWords")),
  psubd: wordwise(pureLane("sub")),
  psubq: liftSubtractQuadwords,
  psubsb: wordwise(subtractSigned(bytes)),
  psubsw: wordwise(subtractSigned(words)),
  psubusb: wordwise(subtractUnsignedSaturated(bytes)),
  psubusw: wordwise(subtractUnsignedSaturated(words)),
  pmullw: wordwise(pureLane("mulWordsLow")),
  pmulhw: wordwise(pureLane("mulWordsHigh")),
  pmulhuw: wordwise(pureLane("mulWordsHighUnsigned")),
  pmuludq: liftMultiplyDoublewords,
  pmaddwd: wordwise(pureLane("mulAddWords")),
  psadbw: liftSumOfDifferences,
  pavgb: wordwise(pureLane("averageBytes")),
  pavgw: wordwise(pureLane("averageWords")),
  pminub: wordwise(minimumUnsigned(bytes)),
  pmaxub: wordwise(maximumUnsigned(bytes)),
  pminsw: wordwise(minimumSigned(words)),
  pmaxsw: wordwise(maximumSigned(words)),

  pcmpeqb: wordwise(compareEqual(bytes)),
  pcmpeqw: wordwise(compareEqual(words)),
  pcmpeqd: wordwise(pureLane("equalMask")),
  pcmpgtb: wordwise(compareGreater(bytes)),
  pcmpgtw: wordwise(compareGreater(words)),
  pcmpgtd: wordwise(pureLane("greaterMask")),

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

  psllw: shift(shiftWordwise("shlWords")),
  pslld: shift(shiftWordwise("shlWide")),
  psllq: shift(shiftPairs((b, low, high, n) => [b.pure("shlWide", low, n), b.pure("shlPairHigh", low, high, n)])),
  psrlw: shift(shiftWordwise("shrWords")),
  psrld: shift(shiftWordwise("shrWide")),
  psrlq: shift(shiftPairs((b, low, high, n) => [b.pure("shrPairLow", low, high, n), b.pure("shrWide", high, n)])),
  psraw: shift(shiftArithmetic("sarWords", 15)),
  psrad: shift(shiftArithmetic("sar", 31)),
  pslldq: shiftBytes("shiftLeftBytes"),
  psrldq: shiftBytes("shiftRightBytes"),

  emms: liftEmms,
};
