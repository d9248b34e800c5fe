/**
 * x87 instructions in line where registers are to hold plain doubles (docs/X87.md, "Doubles instead"): what differs from the exact arithmetic of expand.ts.
 *
 * Arithmetic looks at the high parts alone, which are the doubles nearest to the values, and leaves a double: the low part -0. Only FILD and the images of FRSTOR and
 * FXRSTOR put something into a low part, for FISTP and FSTP m80 to give back: programs move 64-bit integers about that way. C1 and PE know of no rounding.
 */
import { constantPair, memoryFormat } from "../../contract/callouts/x87.ts";
import type { CalloutName } from "../../contract/callouts.ts";
import { slot } from "../../contract/slots.ts";
import type { Expression } from "../estree.ts";
import * as js from "../estree.ts";
import {
  all,
  arePairs,
  constant,
  type Expand,
  isSingle,
  isWithin,
  literalOf,
  memoryUnits,
  operands,
  peek,
  popped,
  truncates,
  type X87Expansion,
} from "./parts.ts";
import { Quoted } from "./quoted.ts";
import { type Effects, noLow, type Pair } from "./stack.ts";

/** A formula, and whether its result is in the range of pairs: no underflow that passes for zero, no infinity, no NaN. */
interface Formula {
  readonly value: Quoted;
  readonly isRight: Quoted;
}
const range = "Math.abs(s) < 3.99168061906944e+292 && (Math.abs(s) >= 1.1830521861667747e-271)";
const sum: Formula = { value: new Quoted("h1 + h2"), isRight: new Quoted(`${range} | (s === 0)`) };
const difference: Formula = { value: new Quoted("h1 - h2"), isRight: new Quoted(`${range} | (s === 0)`) };
const product: Formula = { value: new Quoted("h1 * h2"), isRight: new Quoted(`${range} | (s === 0) & ((h1 === 0) | (h2 === 0))`) };
const quotient: Formula = { value: new Quoted("h1 / h2"), isRight: new Quoted(`${range} | (s === 0) & (h1 === 0)`) };
/** The root of a pair's high part is in range; of what is below zero it is NaN. */
const root: Formula = { value: new Quoted("Math.sqrt(h1)"), isRight: new Quoted("s >= 0") };

interface Result {
  readonly pair: Pair;
  readonly test: Expression;
}

function compute(e: X87Expansion, { value, isRight }: Formula, a: Pair, b: Pair): Result {
  const names = operands(a, b);
  const s = constant(e, "s", value.fill(names));
  return { pair: { h: s, l: noLow, isSure: true }, test: isRight.fill({ ...names, s }) };
}

/** (info, destination, source, pops) */
function registerForm(formula: Formula, isReversed: boolean): Expand {
  return (e) => {
    const { stack, args } = e;
    const [info, destination, source, pops] = args;
    const d = stack.st(destination);
    const s = stack.st(source);
    const test = stack.test("rounds", stack.isSame(d, s) ? [d] : [d, s]);
    const [a, b] = [stack.pair(d), stack.pair(s)];
    const count = literalOf(pops);
    const result = isReversed ? compute(e, formula, b, a) : compute(e, formula, a, b);
    stack.commit(all(test, result.test), { info, values: [[d, result.pair]], tags: popped(e, count), pops: count }, e.callout());
  };
}

/** (info, linear, format) */
function memoryForm(formula: Formula, isReversed: boolean): Expand {
  return (e) => {
    const { stack, args } = e;
    const [info, linear, format] = args;
    const d = stack.st(0);
    const test = stack.test("rounds", [d]);
    const a = stack.pair(d);
    const { v, test: ordinary } = peek(e, literalOf(format), linear, false);
    const b = { h: v, l: noLow };
    const result = isReversed ? compute(e, formula, b, a) : compute(e, formula, a, b);
    stack.commit(all(test, ordinary, result.test), { info, operand: linear, values: [[d, result.pair]] }, e.callout());
  };
}

const squareRoot: Expand = (e) => {
  const { stack, args } = e;
  const d = stack.st(0);
  const test = stack.test("rounds", [d]);
  const a = stack.pair(d);
  const result = compute(e, root, a, a);
  stack.commit(all(test, result.test), { info: args[0], values: [[d, result.pair]] }, e.callout());
};

/** (info, index) */
const loadConstant: Expand = (e) => {
  const { stack, args } = e;
  const [info, index] = args;
  const { h, isExact } = constantPair(literalOf(index));
  const target = stack.st(-1);
  const test = stack.test(isExact ? "available" : "rounds", [], [target]);
  // The high part is the double nearest to the constant.
  stack.commit(test, { info, values: [[target, { h: js.literal(h), l: noLow }]], tags: [[target, false]], pops: -1 }, e.callout());
};

const rounded = new Quoted("Math.fround(d)");

/** (info, linear, pops) */
function store(format: number): Expand {
  return (e) => {
    const { stack } = e;
    const [info, linear, pops] = e.args;
    const source = stack.st(0);
    const test = stack.test("rounds", [source]);
    const pair = stack.pair(source);
    const d = pair.h;
    const f = format === memoryFormat.single ? constant(e, "f", rounded.fill({ d })) : undefined;
    const T = e.tlbEntry("TW", linear);
    const { array, size } = memoryUnits[format];
    e.free(array);
    const aligned = js.binary("===", js.binary("&", js.binary("|", T, linear), js.literal(size - 1)), js.literal(0));
    const place = js.index(array, js.binary(">>>", js.binary("^", T, linear), js.literal(31 - Math.clz32(size))));
    const count = literalOf(pops);
    const effects: Effects = { info, operand: linear, tags: popped(e, count), pops: count, statements: [js.set(place, f ?? d)] };
    stack.commit(all(test, aligned, f === undefined ? arePairs(pair) : isSingle.fill({ d, f })), effects, e.callout());
  };
}

/** To the nearest integer, ties to even, or towards zero; of magnitudes below 2^51. */
const toInteger = new Quoted("chops ? Math.trunc(d) : d + 6755399441055744 - 6755399441055744");
const truncated = new Quoted("Math.trunc(d)");

/** (info, linear, pops) @param isTruncating whatever RC says */
function storeInteger(bits: 16 | 32, isTruncating = false): Expand {
  return (e) => {
    const { stack } = e;
    const [info, linear, pops] = e.args;
    const source = stack.st(0);
    const test = stack.test("roundsToInteger", [source]);
    const d = stack.pair(source).h;
    const chops = truncates.fill({ control: js.literal(slot.fpuControl) });
    const i = constant(e, "i", isTruncating ? truncated.fill({ d }) : toInteger.fill({ chops, d }));
    const limit = 2 ** (bits - 1);
    const inRange = isWithin.fill({ i, least: js.literal(-limit), most: js.literal(limit - 1) });
    const T = e.tlbEntry("TW", linear);
    const array = bits === 16 ? "M16" : "M32";
    e.free(array);
    const aligned = js.binary("===", js.binary("&", js.binary("|", T, linear), js.literal(bits / 8 - 1)), js.literal(0));
    const place = js.binary(">>>", js.binary("^", T, linear), js.literal(bits === 16 ? 1 : 2));
    const count = literalOf(pops);
    const statements = [js.set(js.index(array, place), js.toInt32(i))];
    stack.commit(all(test, aligned, inRange), { info, operand: linear, tags: popped(e, count), pops: count, statements }, e.callout());
  };
}

export const doubleTable: Partial<Record<CalloutName, Expand>> = {
  fadd: registerForm(sum, false),
  fsub: registerForm(difference, false),
  fsubr: registerForm(difference, true),
  fmul: registerForm(product, false),
  fdiv: registerForm(quotient, false),
  fdivr: registerForm(quotient, true),
  faddMemory: memoryForm(sum, false),
  fsubMemory: memoryForm(difference, false),
  fsubrMemory: memoryForm(difference, true),
  fmulMemory: memoryForm(product, false),
  fdivMemory: memoryForm(quotient, false),
  fdivrMemory: memoryForm(quotient, true),
  fsqrt: squareRoot,
  fldConstant: loadConstant,
  fstSingle: store(memoryFormat.single),
  fstDouble: store(memoryFormat.double),
  fistWord: storeInteger(16),
  fistDword: storeInteger(32),
  fisttWord: storeInteger(16, true),
  fisttDword: storeInteger(32, true),
};
