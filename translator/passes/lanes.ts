/** Algebra on the lanes of MMX and SSE integer instructions: counts and orders that are immediates, and the idioms for zero and all ones. */
import type { Value } from "../ir/micro.ts";
import type { PureOp } from "../ir/pure-ops.ts";

type Pure = Extract<Value, { kind: "pure" }>;
type Rule = (v: Pure, a: Value, b: Value, c: Value) => Value;

/** What the simplifier lends. */
export interface Algebra {
  make(op: PureOp, ...args: Value[]): Value;
  rewrite(v: Value): Value;
  constant(value: number): Value;
  same(a: Value, b: Value): boolean;
}

const numberIn = (v: Value): number | undefined => (v.kind === "constant" ? v.value : undefined);

export function laneRules({ make, rewrite, constant, same }: Algebra): Partial<Record<PureOp, Rule>> {
  const op = (name: PureOp, ...args: Value[]): Value => rewrite(make(name, ...args));
  /** A shift of one word by n, which may be as large as it likes. */
  const shiftWide =
    (name: PureOp): Rule =>
    (v, a, n) => {
      const count = numberIn(n);
      return count === undefined ? v : count >>> 0 < 32 ? op(name, a, n) : constant(0);
    };
  /** One word of a pair shifted by n: `near` is the word itself, `far` the one that bits come from. */
  const shiftPair = (v: Value, near: Value, far: Value, n: Value, towards: PureOp, from: PureOp): Value => {
    const count = numberIn(n);
    if (count === undefined) return v;
    if (count === 0) return near;
    if (count >>> 0 < 32) return op("or", op(towards, near, n), op(from, far, constant(32 - count)));
    return count >>> 0 < 64 ? op(towards, far, constant(count - 32)) : constant(0);
  };
  return {
    shlWide: shiftWide("shl"),
    shrWide: shiftWide("shr"),
    shlPairHigh: (v, low, high, n) => shiftPair(v, high, low, n, "shl", "shr"),
    shrPairLow: (v, low, high, n) => shiftPair(v, low, high, n, "shr", "shl"),
    shlWords: (v, a, n) => {
      const count = numberIn(n);
      if (count === undefined) return v;
      const mask = (0xffff << count) & 0xffff;
      return count >>> 0 < 16 ? op("and", op("shl", a, n), constant(mask | (mask << 16))) : constant(0);
    },
    shrWords: (v, a, n) => {
      const count = numberIn(n);
      if (count === undefined) return v;
      const mask = 0xffff >>> count;
      return count >>> 0 < 16 ? op("and", op("shr", a, n), constant(mask | (mask << 16))) : constant(0);
    },
    pickWord: (v) => {
      const n = numberIn(v.args[4]);
      return n === undefined ? v : v.args[n & 3];
    },
    pickHalf: (v, a, b, n) => {
      const k = numberIn(n);
      if (k === undefined) return v;
      const word = k & 2 ? b : a;
      return k & 1 ? op("shr", word, constant(16)) : op("zeroExtend16", word);
    },
    insertHalf: (v, a, value, n) => {
      const k = numberIn(n);
      if (k === undefined) return v;
      if (k & 1) return op("or", op("zeroExtend16", a), op("shl", value, constant(16)));
      return op("or", op("and", a, constant(0xffff0000)), op("zeroExtend16", value));
    },
    equalMask: (v, a, b) => (same(a, b) ? constant(-1) : v),
    greaterMask: (v, a, b) => (same(a, b) ? constant(0) : v),
    subBytes: (v, a, b) => (same(a, b) ? constant(0) : v),
    subWords: (v, a, b) => (same(a, b) ? constant(0) : v),
  };
}
