/**
 * flagCarry in regions. A load may fault and show the guest the flags of the compare before it, so that a loop with a load in it would compute the vector of carries in every
 * round although nothing looks at it. A region therefore keeps two addends whose sum has those carries, and computes the vector where it is seen: where the region leaves,
 * and in the few instructions that read it.
 *
 *     a + b       addends a, b
 *     r = a - b   addends r, b:   the borrows of a - b are the carries of r + b
 *     a vector v  addends v, v:   (v & v) | ... is v again
 */
import type { Value } from "../ir/micro.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";

const first = js.identifier("cx");
const second = js.identifier("cy");

/** Declared with the vector in them. */
export function declareCarry(vector: Expression): Statement[] {
  return [js.declare("let", first.name, vector), js.declare("let", second.name, first)];
}

/** The vector of carries. */
export function carryVector(): Expression {
  const sum = js.toInt32(js.binary("+", first, second));
  const propagated = js.binary("&", js.binary("|", first, second), js.unary("~", sum));
  return js.binary("|", js.binary("&", first, second), propagated);
}

export function assignCarry(vector: Value, print: (v: Value) => Expression): Statement[] {
  const addends = addendsOf(vector);
  if (addends === undefined) return setBoth(print(vector));
  const [a, b] = addends.map(print);
  return [js.expressionStatement(js.assign(first, a)), js.expressionStatement(js.assign(second, b))];
}

/** Both from an expression for the vector. */
export function setBoth(vector: Expression): Statement[] {
  return [js.expressionStatement(js.assign(first, vector)), js.expressionStatement(js.assign(second, first))];
}

function addendsOf(vector: Value): readonly [Value, Value] | undefined {
  if (vector.kind !== "pure" || (vector.op !== "carries" && vector.op !== "borrows")) return undefined;
  const [a, b, r] = vector.args;
  if (r.kind !== "pure") return undefined;
  if (vector.op === "carries") {
    const isSum = (r.op === "add" && isSame(r.args[0], a) && isSame(r.args[1], b)) || (b.kind === "constant" && differBy(r, a, b.value));
    return isSum ? [a, b] : undefined;
  }
  const isDifference = r.op === "sub" ? isSame(r.args[0], a) && isSame(r.args[1], b) : r.op === "neg" && isZero(a) && isSame(r.args[0], b);
  return isDifference || (b.kind === "constant" && differBy(r, a, -b.value)) ? [r, b] : undefined;
}

/** Whether r = a + n for certain: constants that were added one after the other have been made one. */
function differBy(r: Value, a: Value, n: number): boolean {
  const [x, y] = [termsOf(r), termsOf(a)];
  return isSame(x.value, y.value) && ((x.plus - y.plus - n) | 0) === 0;
}

function termsOf(v: Value): { value: Value; plus: number } {
  if (v.kind === "pure" && v.args[1]?.kind === "constant") {
    if (v.op === "add") return { value: v.args[0], plus: v.args[1].value };
    if (v.op === "sub") return { value: v.args[0], plus: -v.args[1].value };
  }
  return { value: v, plus: 0 };
}

function isSame(a: Value, b: Value): boolean {
  return a === b || (a.kind === "constant" && b.kind === "constant" && a.value === b.value);
}

function isZero(v: Value): boolean {
  return v.kind === "constant" && v.value === 0;
}
