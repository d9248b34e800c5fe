/**
 * flagCarry in regions. A load may fault and show the guest the flags of the compare before it, so that a loop with a load in it would compute the vector of carries in every
 * round although nothing looks at it. A region therefore keeps two addends whose sum has those carries, and computes the vector where it is seen: where the region leaves,
 * and in the few instructions that read it.
 *
 *     a + b       addends a, b
 *     r = a - b   addends r, b:   the borrows of a - b are the carries of r + b
 *     a vector v  addends v, v:   (v & v) | ... is v again
 *
 * What ADC and SBB add or subtract besides, 0 or 1, is a third addend, in regions that have such ones.
 *
 * Rotations change CF and OF alone: what they come from is kept beside the addends, as the word whose upper two bits they are once it is rotated to the right by `cr`, and a mask of what
 * of the addends' vector still counts. (OpenSSL's SHA-256 has six of them a round, and loads between them.)
 *
 * INC and DEC leave CF as it was: the lower of their two numbers is kept beside the addends, and whether they were last. A loop that counts by them need not take CF out of the vector and
 * put it into the next one in every round. (Not where there are rotations; there they make a vector.)
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
const third = js.identifier("cz");
const shift = js.identifier("cs");
const scratch = js.identifier("cv");
/** Of rotations: the word, by how much it is rotated, which bits come from the addends. */
const rotatedWord = js.identifier("co");
const rotatedBy = js.identifier("cr");
const kept = js.identifier("ck");
/** Of INC and DEC: the lower number, and 1 where they were last. */
const lower = js.identifier("cl");
const isStep = js.identifier("ci");
const beforeStep = js.identifier("cb");
const keepsAll = -1;
const keepsLower = 0x3fffffff;

export class LazyCarry {
  private readonly hasNarrow: boolean;
  private readonly hasThird: boolean;
  private readonly hasRotations: boolean;
  private readonly hasSteps: boolean;

  /** @param isPlain nothing but the addends is to be kept, if that can be */
  constructor(blocks: readonly MicroBlock[], isPlain: boolean) {
    const some = (test: (vector: Value) => boolean): boolean =>
      blocks.some(({ statements }) => statements.some(({ s }) => s.kind === "set" && vectorsIn(s.value).some(test)));
    this.hasNarrow = some((vector) => (addendsOf(vector)?.shift ?? 0) > 0);
    this.hasThird = some((vector) => addendsOf(vector)?.c !== undefined);
    this.hasRotations = some((vector) => rotationOf(vector) !== undefined);
    this.hasSteps = !isPlain && !this.hasRotations && some((vector) => isStepped(vector));
  }

  /** Declared with the vector in them. */
  declarations(vector: Expression): Statement[] {
    const zero = this.hasNarrow ? [shift, scratch].map(({ name }) => js.declare("let", name, js.literal(0))) : [];
    const more = this.hasThird ? [js.declare("let", third.name, js.literal(0))] : [];
    const whole = [rotatedWord, rotatedBy].map(({ name }) => js.declare("let", name, js.literal(0)));
    const rotations = this.hasRotations ? [...whole, js.declare("let", kept.name, js.literal(keepsAll))] : [];
    const steps = this.hasSteps ? [lower, isStep, beforeStep].map(({ name }) => js.declare("let", name, js.literal(0))) : [];
    return [js.declare("let", first.name, vector), js.declare("let", second.name, first), ...more, ...zero, ...rotations, ...steps];
  }

  /** The vector of carries. */
  vector(): Expression {
    const sum = this.sumVector();
    if (this.hasSteps) return js.sequence(js.assign(beforeStep, sum), js.conditional(js.binary("!==", isStep, js.literal(0)), stepped(), beforeStep));
    if (!this.hasRotations) return sum;
    const back = js.binary("-", js.literal(0), rotatedBy);
    const word = js.binary("|", js.binary(">>>", rotatedWord, rotatedBy), js.binary("<<", rotatedWord, back));
    return js.binary("|", js.binary("&", sum, kept), js.binary("&", word, js.unary("~", kept)));
  }

  /** That of the addends. */
  private sumVector(): Expression {
    const sum = js.toInt32(this.hasThird ? js.binary("+", js.binary("+", first, second), third) : js.binary("+", first, second));
    const propagated = js.binary("&", js.binary("|", first, second), js.unary("~", sum));
    const carries = js.binary("|", js.binary("&", first, second), propagated);
    if (!this.hasNarrow) return carries;
    return js.sequence(js.assign(scratch, carries), js.binary("|", js.binary("<<", scratch, shift), js.binary("&", scratch, js.literal(8))));
  }

  assign(vector: Value, print: (v: Value) => Expression): Statement[] {
    if (this.hasSteps && isStepped(vector)) {
      const from = print(vector.args[1]);
      return [...this.assignBeforeStep(vector.args[0], print), js.set(lower, from), js.set(isStep, js.literal(1))];
    }
    const rotation = rotationOf(vector);
    if (rotation === undefined) return [...this.assignSum(vector, print), ...this.rotated(js.literal(0), 0, keepsAll)];
    return [...this.assignOld(rotation.old, print), ...this.rotated(print(rotation.word), rotation.by, keepsLower)];
  }

  /** Of what INC and DEC find only CF is left, which other ones before them have left as it was. */
  private assignBeforeStep(old: Value, print: (v: Value) => Expression): Statement[] {
    if (isStepped(old)) return this.assignBeforeStep(old.args[0], print);
    return isAsItWas(old) ? [] : this.assignSum(old, print);
  }

  private assignSum(vector: Value, print: (v: Value) => Expression): Statement[] {
    const addends = addendsOf(vector);
    if (addends === undefined) return this.setSum(print(vector), first, 0);
    return this.setSum(print(addends.a), print(addends.b), addends.shift, addends.c && print(addends.c));
  }

  /** What a rotation leaves as it was, of a vector that may never have been assigned, for nothing could see it. */
  private assignOld(old: Value, print: (v: Value) => Expression): Statement[] {
    const before = rotationOf(old);
    if (before !== undefined) return this.assignOld(before.old, print);
    return isAsItWas(old) ? [] : this.assignSum(old, print);
  }

  /** Both from an expression for the vector. */
  setBoth(vector: Expression): Statement[] {
    return [...this.setSum(vector, first, 0), ...this.rotated(js.literal(0), 0, keepsAll)];
  }

  /** Whether the vector is the addends' and nothing else, so that these two words are all there is to it. */
  get isPlain(): boolean {
    return !this.hasNarrow && !this.hasThird && !this.hasRotations && !this.hasSteps;
  }
  /** To two words of memory, and from there. */
  store([a, b]: readonly [Expression, Expression]): Statement[] {
    return [js.set(a, first), js.set(b, second)];
  }
  load([a, b]: readonly [Expression, Expression]): Expression[] {
    return [js.assign(first, a), js.assign(second, b)];
  }

  private setSum(a: Expression, b: Expression, by: number, c?: Expression): Statement[] {
    const both = [js.set(first, a), js.set(second, b)];
    const more = this.hasThird ? [js.set(third, c ?? js.literal(0))] : [];
    // What may come from the vector as it was is first: the carry that ADC and SBB take in, or else a whole vector made of it.
    const [zero, width] = [js.literal(0), js.literal(by)];
    const steps = this.hasSteps ? [js.set(lower, zero), js.set(isStep, zero)] : [];
    return [...(c === undefined ? [...both, ...more] : [...more, ...both]), ...(this.hasNarrow ? [js.set(shift, width)] : []), ...steps];
  }

  /** Constants where there is no rotation, so that nothing of one is held in registers from there on. */
  private rotated(word: Expression, by: 0 | 1, mask: number): Statement[] {
    return this.hasRotations ? [js.set(rotatedWord, word), js.set(rotatedBy, js.literal(by)), js.set(kept, js.literal(mask))] : [];
  }
}

type Stepped = Pure & { readonly op: "stepped" };
const isStepped = (vector: Value): vector is Stepped => vector.kind === "pure" && vector.op === "stepped";

/** A vector, and those that INC, DEC and rotations have left parts of: they may be set with it alone. */
function vectorsIn(vector: Value): Value[] {
  const old = isStepped(vector) ? vector.args[0] : rotationOf(vector)?.old;
  return old === undefined ? [vector] : [vector, ...vectorsIn(old)];
}

/** Whether the vector is what it was. One that was written since would stand here itself. */
const isAsItWas = (vector: Value): boolean => vector.kind === "result" && vector.statement.kind === "get";

/** The vector behind INC or DEC from what it was before: as pureOps.stepped has it. */
function stepped(): Expression {
  const { binary, literal } = js;
  const upper = js.toInt32(binary("+", lower, literal(1)));
  const sign = binary("&", upper, js.unary("~", lower));
  const carry = binary("&", beforeStep, literal(1 << 31));
  const overflow = binary("&", binary(">>>", binary("^", beforeStep, sign), literal(1)), literal(1 << 30));
  const adjust = binary("&", binary(">>>", binary("^", lower, upper), literal(1)), literal(8));
  return binary("|", binary("|", carry, overflow), adjust);
}

/** Whether a vector of carries takes operations of its own. */
export function needsVector(vector: Value): boolean {
  return vector.kind === "pure" && addendsOf(vector) === undefined && rotationOf(vector) === undefined;
}

interface Rotation {
  /** The vector before it, whose AF stays. */
  readonly old: Value;
  readonly word: Value;
  readonly by: 0 | 1;
}

/** What a rotation makes of the vector: see lift/shifts.ts. */
function rotationOf(vector: Value): Rotation | undefined {
  if (vector.kind !== "pure" || vector.op !== "or") return undefined;
  const [before, flags] = vector.args;
  const old = masked(before, 8);
  const word = masked(flags, 0xc0000000 | 0);
  if (old === undefined || word === undefined) return undefined;
  return word.kind === "pure" && word.op === "rotatedRight1" ? { old, word: word.args[0], by: 1 } : { old, word, by: 0 };
}

function masked(v: Value, mask: number): Value | undefined {
  if (v.kind !== "pure" || v.op !== "and") return undefined;
  const [value, by] = v.args;
  return by.kind === "constant" && by.value === mask ? value : undefined;
}

interface Addends {
  readonly a: Value;
  readonly b: Value;
  /** 0 or 1 besides. */
  readonly c: Value | undefined;
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
  return found && { ...found, shift: by };
}

/** Addends whose sum has the carries that are asked for. */
function sameCarries({ op, args }: Pure): Omit<Addends, "shift"> | undefined {
  if (op !== "carries" && op !== "borrows") return undefined;
  const [a, b, r] = args;
  if (r.kind !== "pure") return undefined;
  const addend = op === "carries" ? a : r;
  const isPlain = op === "carries" ? isSumOf : isDifferenceOf;
  if (isPlain(r, a, b)) return { a: addend, b, c: undefined };
  const isWithCarry = r.op === (op === "carries" ? "add" : "sub") && isPlain(r.args[0], a, b) && isZeroOrOne(r.args[1]);
  return isWithCarry ? { a: addend, b, c: r.args[1] } : undefined;
}

function isSumOf(r: Value, a: Value, b: Value): boolean {
  if (b.kind === "constant" && differBy(r, a, b.value)) return true;
  return r.kind === "pure" && r.op === "add" && isSame(r.args[0], a) && isSame(r.args[1], b);
}

function isDifferenceOf(r: Value, a: Value, b: Value): boolean {
  if (b.kind === "constant" && differBy(r, a, -b.value)) return true;
  if (r.kind !== "pure") return false;
  return r.op === "sub" ? isSame(r.args[0], a) && isSame(r.args[1], b) : r.op === "neg" && isZero(a) && isSame(r.args[0], b);
}

function isZeroOrOne(v: Value): boolean {
  if (v.kind !== "pure") return false;
  return v.op === "toInt" || (v.op === "shr" && v.args[1].kind === "constant" && v.args[1].value === 31);
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
