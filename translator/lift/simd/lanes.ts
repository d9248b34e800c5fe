/**
 * Packed integer arithmetic on one 32-bit word of each operand: four bytes, two words or a doubleword side by side (SDM vol. 1, 9.4 and
 * 11.4.2). Carries are kept from crossing lanes by working on the lane-top bits apart.
 */
import type { Value } from "../../ir/micro.ts";
import type { PureOp } from "../../ir/pure-ops.ts";
import type { Builder } from "../builder.ts";

export type LaneFunction = (b: Builder, x: Value, y: Value) => Value;

interface LaneWidth {
  readonly add: PureOp;
  readonly sub: PureOp;
  readonly spread: PureOp;
  readonly zero: PureOp;
  readonly saturation: PureOp;
  /** The top bit of every lane. */
  readonly tops: number;
}
export const bytes: LaneWidth = {
  add: "addBytes",
  sub: "subBytes",
  spread: "spreadBytes",
  zero: "zeroBytes",
  saturation: "saturationBytes",
  tops: 0x80808080 | 0,
};
export const words: LaneWidth = {
  add: "addWords",
  sub: "subWords",
  spread: "spreadWords",
  zero: "zeroWords",
  saturation: "saturationWords",
  tops: 0x80008000 | 0,
};

/** A mask word from a vector whose lane-top bits say which lanes. */
const spread = (b: Builder, w: LaneWidth, vector: Value) => b.pure(w.spread, b.and(vector, w.tops));
/** Lanes where x < y, unsigned. */
const below = (b: Builder, w: LaneWidth, x: Value, y: Value) => spread(b, w, b.pure("borrows", x, y, b.pure(w.sub, x, y)));
/** Turns signed order into unsigned order. */
const bias = (b: Builder, w: LaneWidth, x: Value) => b.xor(x, w.tops);
const lessSigned = (b: Builder, w: LaneWidth, x: Value, y: Value) => below(b, w, bias(b, w, x), bias(b, w, y));
const andNot = (b: Builder, x: Value, y: Value) => b.and(b.pure("not", x), y);

export const pureLane =
  (op: PureOp): LaneFunction =>
  (b, x, y) =>
    b.pure(op, x, y);
/** PANDN and ANDNPS invert their first operand. */
export const andNotLane: LaneFunction = andNot;

export const addUnsignedSaturated =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) => {
    const r = b.pure(w.add, x, y);
    return b.or(r, spread(b, w, b.pure("carries", x, y, r)));
  };

export const subtractUnsignedSaturated =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) => {
    const r = b.pure(w.sub, x, y);
    return andNot(b, spread(b, w, b.pure("borrows", x, y, r)), r);
  };

export const addSigned =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) => {
    const r = b.pure(w.add, x, y);
    const overflow = spread(b, w, b.and(b.xor(x, r), b.xor(y, r)));
    return b.pure("blend", overflow, b.pure(w.saturation, x), r);
  };

export const subtractSigned =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) => {
    const r = b.pure(w.sub, x, y);
    const overflow = spread(b, w, b.and(b.xor(x, y), b.xor(x, r)));
    return b.pure("blend", overflow, b.pure(w.saturation, x), r);
  };

export const compareEqual =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) =>
    b.pure(w.spread, b.pure(w.zero, b.xor(x, y)));
export const compareGreater =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) =>
    lessSigned(b, w, y, x);

export const minimumUnsigned =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) =>
    b.pure("blend", below(b, w, x, y), x, y);
export const maximumUnsigned =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) =>
    b.pure("blend", below(b, w, x, y), y, x);
export const minimumSigned =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) =>
    b.pure("blend", lessSigned(b, w, x, y), x, y);
export const maximumSigned =
  (w: LaneWidth): LaneFunction =>
  (b, x, y) =>
    b.pure("blend", lessSigned(b, w, x, y), y, x);

/** Sum of the absolute differences of four unsigned bytes. */
export const sumOfDifferences: LaneFunction = (b, x, y) => {
  const difference = subtractUnsignedSaturated(bytes);
  return b.pure("sumBytes", b.or(difference(b, x, y), difference(b, y, x)));
};
