/**
 * flagCarry in regions. A load may fault and show the guest the flags of the compare before it, so that a loop with a load in it would compute the vector of carries in every
 * round although nothing looks at it. A region therefore keeps two addends whose sum has those carries, and computes the vector where it is seen: where the region leaves,
 * and in the few instructions that read it.
 *
 *     a + b       addends a, b
 *     r = a - b   addends r, b:   the borrows of a - b are the carries of r + b
 *     a vector v  addends v, v:   (v & v) | ... is v again
 *
 * Of operations on bytes and 16-bit words the carries go to the upper end of the vector, all but AF's at bit 3: by how much is a third local, in regions that have such ones.
 */
import type { MicroBlock } from "../ir/block.ts";
import type { Value } from "../ir/micro.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";

type Pure = Extract<Value, { kind: "pure" }>;

const first = js.identifier("cx");
const second = js.identifier("cy");
const shift = js.identifier("cs");
const scratch = js.identifier("cv");

export class LazyCarry {
  private readonly hasNarrow: boolean;

  constructor(blocks: readonly MicroBlock[]) {
    this.hasNarrow = blocks.some(({ statements }) => statements.some(({ s }) => s.kind === "set" && (addendsOf(s.value)?.shift ?? 0) > 0));
  }

  /** Declared with the vector in them. */
  declarations(vector: Expression): Statement[] {
    const zero = this.hasNarrow ? [shift, scratch].map(({ name }) => js.declare("let", name, js.literal(0))) : [];
    return [js.declare("let", first.name, vector), js.declare("let", second.name, first), ...zero];
  }

  /** The vector of carries. */
  vector(): Expression {
    const sum = js.toInt32(js.binary("+", first, second));
    const propagated = js.binary("&", js.binary("|", first, second), js.unary("~", sum));
    const carries = js.binary("|", js.binary("&", first, second), propagated);
    if (!this.hasNarrow) return carries;
    return js.sequence(js.assign(scratch, carries), js.binary("|", js.binary("<<", scratch, shift), js.binary("&", scratch, js.literal(8))));
  }

  assign(vector: Value, print: (v: Value) => Expression): Statement[] {
    const addends = addendsOf(vector);
    return addends === undefined ? this.setBoth(print(vector)) : this.set(print(addends.a), print(addends.b), addends.shift);
  }

  /** Both from an expression for the vector. */
  setBoth(vector: Expression): Statement[] {
    return this.set(vector, first, 0);
  }

  private set(a: Expression, b: Expression, by: number): Statement[] {
    const set = (place: Expression, value: Expression): Statement => js.expressionStatement(js.assign(place as never, value));
    return [set(first, a), set(second, b), ...(this.hasNarrow ? [set(shift, js.literal(by))] : [])];
  }
}

interface Addends {
  readonly a: Value;
  readonly b: Value;
  /** From where the carries come to where flagCarry has them. */
  readonly shift: 0 | 16 | 24;
}

function addendsOf(vector: Value): Addends | undefined {
  if (vector.kind !== "pure") return undefined;
  if (vector.op === "carryVector8") return addendsAt(vector.args[0], 24);
  return vector.op === "carryVector16" ? addendsAt(vector.args[0], 16) : addendsAt(vector, 0);
}

function addendsAt(carries: Value, by: Addends["shift"]): Addends | undefined {
  const found = carries.kind === "pure" ? sameCarries(carries) : undefined;
  return found && { a: found[0], b: found[1], shift: by };
}

/** Addends whose sum has the carries that are asked for. */
function sameCarries({ op, args }: Pure): readonly [Value, Value] | undefined {
  if (op !== "carries" && op !== "borrows") return undefined;
  const [a, b, r] = args;
  if (r.kind !== "pure") return undefined;
  if (op === "carries") {
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
