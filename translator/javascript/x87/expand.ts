/**
 * x87 callouts that generated code does in line when nothing unusual is about: registers held as pairs of doubles, results in their range, rounding to nearest.
 * What an expansion does is what the callout would have done, to the last flag; when in doubt it calls.
 */

import { constantPair, memoryFormat } from "../../contract/callouts/x87.ts";
import type { CalloutName } from "../../contract/callouts.ts";
import { slot } from "../../contract/slots.ts";
import type { Expression } from "../estree.ts";
import * as js from "../estree.ts";
import { isPlainAccess } from "../plain-access.ts";
import { doubleTable } from "./double.ts";
import * as formulas from "./formulas.ts";
import {
  all,
  and,
  arePairs,
  constant,
  type Expand,
  isOrdered,
  isSingle,
  isWithin,
  literalOf,
  memoryUnits,
  operands,
  peek,
  popped,
  truncates,
  wordsOf,
  type X87Expansion,
} from "./parts.ts";
import { Definitions, Quoted } from "./quoted.ts";
import { type Effects, noLow, type Pair, type Place, type Rounding } from "./stack.ts";

// ---- arithmetic

interface Result {
  readonly pair: Pair;
  readonly rounding: Rounding;
  readonly test: Expression;
  /** Another case that is not the callout's. */
  readonly isZero?: Expression | undefined;
}
type Formula = (e: X87Expansion, a: Pair, b: Pair) => Result;

function finished(
  e: X87Expansion,
  given: Readonly<Record<string, Expression>>,
  { s, t }: { readonly s: Expression; readonly t: Expression },
  accept: ((names: Readonly<Record<string, Expression>>) => Expression) | undefined,
  isZero?: Quoted,
): Result {
  const { constants, least } = e.stack;
  const names = { ...given, ...constants, s, t, least, ...formulas.finish.define(e, { ...constants, s, t }) };
  const test = and(formulas.inBinade.fill(names), accept?.(names));
  return {
    pair: { h: s, l: names.m, isSure: true },
    rounding: { r: names.r, s },
    test,
    isZero: isZero === undefined ? undefined : and(isZero.fill(names), e.stack.computes),
  };
}

const either =
  (...tests: Quoted[]) =>
  (names: Readonly<Record<string, Expression>>): Expression =>
    tests.map((t) => t.fill(names)).reduce((a, b) => js.logical("||", a, b));

const addition =
  (definitions: Definitions<"s" | "t">): Formula =>
  (e, a, b) => {
    const given = operands(a, b);
    return finished(e, given, definitions.define(e, given), either(formulas.comparable, formulas.certainOrDoubles));
  };
const plus = addition(formulas.sum);
const minus = addition(formulas.difference);
const isDoublable = new Quoted("Math.abs(h) < 1.99584030953472e+292");
const multiplication: Formula = (e, x, y) => {
  const [a, b] = x.l === noLow ? [y, x] : [x, y];
  const given = { ...e.stack.constants, ...operands(a, b) };
  const isExact = a.l === noLow;
  const general = b.l === noLow ? formulas.productByDouble : a.h === b.h && a.l === b.l ? formulas.square : formulas.product;
  const raw = (isExact ? formulas.productOfDoubles : general).define(e, given);
  return finished(e, given, raw, isExact ? undefined : either(formulas.certainOrDoubles), formulas.zeroFactor);
};
const division: Formula = (e, a, b) => {
  const given = { ...e.stack.constants, ...operands(a, b) };
  const formula = b.l === noLow ? formulas.quotientByDouble : formulas.quotient;
  return finished(e, given, formula.define(e, given), either(formulas.certain, formulas.noRemainder));
};

/** A result in its place. @param test what has to hold in any case */
function made(d: Place, { pair, rounding, isZero }: Result, test: Expression | undefined): Pick<Effects, "values" | "rounding" | "otherwise"> {
  const values = [[d, pair]] as const;
  if (isZero === undefined) return { values, rounding };
  const zero = { h: pair.h, l: noLow, isSure: true };
  return { values, rounding, otherwise: { condition: and(isZero, test), values: [[d, zero]], rounding: { r: js.literal(0), s: pair.h } } };
}

/** (info, destination, source, pops) */
function registerForm(formula: Formula, isReversed: boolean): Expand {
  return (e) => {
    const { stack, args } = e;
    const [info, destination, source, pops] = args;
    const d = stack.st(destination);
    const s = stack.st(source);
    const test = stack.test("computes", stack.isSame(d, s) ? [d] : [d, s]);
    const [a, b] = [stack.pair(d), stack.pair(s)];
    const count = literalOf(pops);
    if (formula === plus && a === b) {
      // Twice as much is exact.
      const pair = { h: js.binary("+", a.h, a.h), l: js.binary("+", a.l, a.l), isSure: true };
      const effects: Effects = { info, values: [[d, pair]], rounding: { r: js.literal(0), s: pair.h }, tags: popped(e, count), pops: count };
      return stack.commit(all(test, stack.computes, isDoublable.fill({ h: a.h })), effects, e.callout());
    }
    const result = isReversed ? formula(e, b, a) : formula(e, a, b);
    const effects: Effects = { info, ...made(d, result, test), tags: popped(e, count), pops: count };
    stack.commit(all(test, result.test), effects, e.callout());
  };
}

/** (info, linear, format) */
function memoryForm(formula: Formula, isReversed: boolean): Expand {
  return (e) => {
    const { stack, args } = e;
    const [info, linear, format] = args;
    const d = stack.st(0);
    const test = stack.test("computes", [d]);
    const a = stack.pair(d);
    const { v, test: ordinary } = peek(e, literalOf(format), linear, false);
    const b = { h: v, l: noLow };
    const result = isReversed ? formula(e, b, a) : formula(e, a, b);
    stack.commit(all(test, ordinary, result.test), { info, operand: linear, ...made(d, result, all(test, ordinary)) }, e.callout());
  };
}

const squareRoot: Expand = (e) => {
  const { stack, args } = e;
  const d = stack.st(0);
  const test = stack.test("computes", [d]);
  const { h, l } = stack.pair(d);
  const raw: Record<string, Expression> & { s: Expression; t: Expression } = formulas.root.define(e, { ...e.stack.constants, h1: h, l1: l });
  const result = finished(e, raw, raw, either(formulas.certain, formulas.noRemainderOfRoot));
  stack.commit(all(test, result.test), { info: args[0], values: [[d, result.pair]], rounding: result.rounding }, e.callout());
};

const isZeroPair = new Quoted("h === 0");

const changeSign: Expand = (e) => {
  const { stack, args } = e;
  const d = stack.st(0);
  const test = stack.test("available", [d]);
  const old = stack.pair(d);
  const { h, l } = old;
  const pair = { h: js.unary("-", h), l: js.conditional(isZeroPair.fill({ h }), l, js.unary("-", l)), isSure: old.isSure };
  stack.commit(all(test, arePairs(old)), { info: args[0], values: [[d, pair]] }, e.callout());
};

const isNegative = new Quoted("h < 0");
const absolute = new Quoted("Math.abs(h)");
const absoluteValue: Expand = (e) => {
  const { stack, args } = e;
  const d = stack.st(0);
  const test = stack.test("available", [d]);
  const old = stack.pair(d);
  const { h, l } = old;
  const pair = { h: absolute.fill({ h }), l: js.conditional(isNegative.fill({ h }), js.unary("-", l), l), isSure: old.isSure };
  stack.commit(all(test, arePairs(old)), { info: args[0], values: [[d, pair]] }, e.callout());
};

// ---- loads

function pushed(e: X87Expansion, condition: (Expression | undefined)[], effects: Effects, pair: Pair, target: Place): void {
  const { stack } = e;
  stack.commit(all(...condition), { ...effects, values: [[target, pair]], tags: [[target, false]], pops: -1 }, e.callout());
}

/** (info, linear) */
function load(format: number): Expand {
  return (e) => {
    const [info, linear] = e.args;
    const target = e.stack.st(-1);
    const test = e.stack.test("available", [], [target]);
    const { v, test: ordinary } = peek(e, format, linear, true);
    pushed(e, [test, ordinary], { info, operand: linear }, { h: v, l: noLow }, target);
  };
}

/** (info, i) */
const loadRegister: Expand = (e) => {
  const [info, i] = e.args;
  const source = e.stack.st(i);
  const target = e.stack.st(-1);
  const test = e.stack.test("available", [source], [target]);
  const pair = e.stack.pair(source);
  pushed(e, [test, arePairs(pair)], { info, copies: true }, pair, target);
};

/** (info, index) */
const loadConstant: Expand = (e) => {
  const [info, index] = e.args;
  const { h, l, isExact } = constantPair(literalOf(index));
  const target = e.stack.st(-1);
  const test = e.stack.test(isExact ? "available" : "rounds", [], [target]);
  pushed(e, [test], { info }, { h: js.literal(h), l: Object.is(l, -0) ? noLow : js.literal(l) }, target);
};

// ---- stores

/** (info, i, pops) */
const storeRegister: Expand = (e) => {
  const { stack } = e;
  const [info, i, pops] = e.args;
  const source = stack.st(0);
  const target = stack.st(i);
  const isItself = stack.isSame(source, target);
  const test = stack.test("available", isItself || stack.isTagKnown(target) ? [source] : [source, target]);
  const pair = stack.pair(source);
  const count = literalOf(pops);
  const tags: (readonly [Place, boolean])[] = isItself ? [] : [[target, false]];
  const values = isItself ? [] : [[target, pair] as const];
  stack.commit(all(test, arePairs(pair)), { info, values, copies: true, tags: [...tags, ...popped(e, count)], pops: count }, e.callout());
};

const toDouble = new Definitions<"d" | "e">("d = h + l; e = h - d + l");
/** The nearest single, ties to even: f, but for a double that lies half-way between two singles only because it was rounded. */
const toSingle = new Definitions<"f" | "r">(`
    c = Math.fround(d);
    g = d - c + d;
    f = e !== 0 && g !== d && Math.fround(g) === g && g > c === e > 0 ? g : c;
    r = d - f + e`);

/** (info, linear, pops) */
function store(format: number): Expand {
  return (e) => {
    const { stack } = e;
    const [info, linear, pops] = e.args;
    const source = stack.st(0);
    const test = stack.test("rounds", [source]);
    const pair = stack.pair(source);
    const { h, l } = pair;
    const { d, e: low } = toDouble.define(e, { h, l });
    const narrow = format === memoryFormat.single ? toSingle.define(e, { d, e: low }) : undefined;
    const T = e.tlbEntry("TW", linear);
    const { array, size } = memoryUnits[format];
    e.free(array);
    const isPlain = isPlainAccess(T, linear, size, true);
    const place = js.index(array, js.binary(">>>", js.binary("^", T, linear), js.literal(31 - Math.clz32(size))));
    const value = narrow === undefined ? d : narrow.f;
    const count = literalOf(pops);
    const effects: Effects = {
      info,
      operand: linear,
      rounding: { r: narrow === undefined ? low : narrow.r, s: d },
      tags: popped(e, count),
      pops: count,
      statements: [js.set(place, value)],
    };
    const inRange = narrow === undefined ? arePairs(pair) : isSingle.fill({ d, f: narrow.f });
    stack.commit(all(test, isPlain, inRange), effects, e.callout());
  };
}

/** (info, i) */
const exchange: Expand = (e) => {
  const { stack } = e;
  const [info, i] = e.args;
  const a = stack.st(0);
  const b = stack.st(i);
  const test = stack.test("available", [a, b]);
  const [x, y] = [stack.pair(a), stack.pair(b)];
  const values = [[a, y] as const, [b, x] as const];
  stack.commit(all(test, arePairs(x, y)), { info, values, copies: true }, e.callout());
};

/** To the nearest integer, ties to even, of magnitudes below 2^51; what looks like a tie only because d was rounded goes where e points. */
const nearest = new Definitions<"i">(`
    c = d + 6755399441055744 - 6755399441055744;
    i = Math.abs(d - c) === 0.5 && e !== 0 ? d + (e > 0 ? 0.5 : -0.5) : c`);
/** Towards zero; an integer that is one only because d was rounded up gives the one before. */
const truncated = new Quoted("Math.trunc(d) === d && (d > 0 ? e < 0 : e > 0) ? d - (d > 0 ? 1 : -1) : Math.trunc(d)");
const integerResidue = new Quoted("d - i + e");

/** (info, linear, pops) @param isTruncating whatever RC says */
function storeInteger(bits: 16 | 32 | 64, isTruncating = false): Expand {
  return (e) => {
    const { stack } = e;
    const [info, linear, pops] = e.args;
    const source = stack.st(0);
    const test = stack.test("roundsToInteger", [source]);
    const { h, l } = stack.pair(source);
    const { d, e: low } = toDouble.define(e, { h, l });
    const toZero = truncated.fill({ d, e: low });
    const chops = truncates.fill({ control: js.literal(slot.fpuControl) });
    const i = constant(e, "i", isTruncating ? toZero : js.conditional(chops, toZero, nearest.define(e, { d, e: low }).i));
    const limit = bits === 64 ? 2 ** 51 : 2 ** (bits - 1);
    const inRange = isWithin.fill({ i, least: js.literal(-limit), most: js.literal(limit - 1) });
    const T = e.tlbEntry("TW", linear);
    const array = bits === 16 ? "M16" : "M32";
    e.free(array);
    const aligned = js.binary("===", js.binary("&", js.binary("|", T, linear), js.literal(bits / 8 - 1)), js.literal(0));
    const place = js.binary(">>>", js.binary("^", T, linear), js.literal(bits === 16 ? 1 : 2));
    const statements = [js.set(js.index(array, place), js.toInt32(i))];
    if (bits === 64) statements.push(js.set(js.index(array, js.binary("+", place, js.literal(1))), wordsOf.fill({ i })));
    const count = literalOf(pops);
    const rounding = stack.inDoubles ? undefined : { r: integerResidue.fill({ d, i, e: low }), s: d };
    const effects: Effects = { info, operand: linear, rounding, tags: popped(e, count), pops: count, statements };
    stack.commit(all(test, aligned, inRange), effects, e.callout());
  };
}

const highPart = new Quoted("M32[index + 1] * 4294967296");
const lowPart = new Quoted("M32[index] >>> 0");
const integerPair = new Definitions<"h" | "l">("h = high + low; l = -(h - high - low)");

/** (info, linear) */
const loadQword: Expand = (e) => {
  const [info, linear] = e.args;
  const target = e.stack.st(-1);
  const test = e.stack.test("available", [], [target]);
  const T = e.tlbEntry("TR", linear);
  e.free("M32");
  const aligned = js.binary("===", js.binary("&", js.binary("|", T, linear), js.literal(7)), js.literal(0));
  const index = constant(e, "p", js.conditional(aligned, js.binary(">>>", js.binary("^", T, linear), js.literal(2)), js.literal(0)));
  const high = constant(e, "v", highPart.fill({ index }));
  const low = constant(e, "v", lowPart.fill({ index }));
  const pair = integerPair.define(e, { high, low });
  pushed(e, [test, aligned], { info, operand: linear }, { h: pair.h, l: pair.l }, target);
};

// ---- control and status words

const isQuietControl = new Quoted("v === v && (R[status] & ~v & 63 | ~v & 32) === 0");

/** (linear) */
const loadControl: Expand = (e) => {
  const [linear] = e.args;
  const test = e.stack.test("available", []);
  const { v } = peek(e, memoryFormat.word, linear, true);
  const control = js.index("R", js.literal(slot.fpuControl));
  const value = js.binary("|", js.binary("&", v, js.literal(0x1f3f)), js.literal(0x40));
  const quiet = isQuietControl.fill({ v, status: js.literal(slot.fpuStatus) });
  e.stack.commit(all(test, quiet), { rounding: "kept", statements: [js.set(control, value)] }, e.callout());
  e.stack.controlLoaded();
};

/** (linear) */
const storeControl: Expand = (e) => {
  const [linear] = e.args;
  const test = e.stack.test("available", []);
  const T = e.tlbEntry("TW", linear);
  e.free("M16");
  const isPlain = isPlainAccess(T, linear, 2, false);
  const place = js.index("M16", js.binary(">>>", js.binary("^", T, linear), js.literal(1)));
  const store = js.set(place, js.index("R", js.literal(slot.fpuControl)));
  e.stack.commit(all(test, isPlain), { rounding: "kept", statements: [store] }, e.callout());
};

const storeStatus: Expand = (e) => {
  const test = e.stack.test("available", []);
  const result = e.name("r");
  e.push(js.declare("let", result, e.stack.statusWord()));
  e.stack.commit(test, { rounding: "kept", goesOn: true }, e.callout(result));
  return js.identifier(result);
};

// ---- comparisons

const relation = new Definitions<"c">("c = h1 - h2 + (l1 - l2)");
/** CF and ZF where EFLAGS has them. */
const asFlags = new Quoted("c < 0 | (c === 0) << 6");
/** C0 and C3 in the status word. */
const asConditions = new Quoted("R[status] & -17665 | (c < 0) << 8 | (c === 0) << 14");

function compared(e: X87Expansion, tests: (Expression | undefined)[], a: Pair, b: Pair, effects: Effects): void {
  const { c } = relation.define(e, operands(a, b));
  const conditions = asConditions.fill({ c, status: js.literal(slot.fpuStatus) });
  const status = js.set(js.index("R", js.literal(slot.fpuStatus)), conditions);
  e.stack.commit(all(...tests, isOrdered.fill({ c })), { ...effects, statements: [status] }, e.callout());
}

/** (info, i, pops) */
const compare: Expand = (e) => {
  const { stack } = e;
  const [info, i, pops] = e.args;
  const a = stack.st(0);
  const b = stack.st(i);
  const test = stack.test("available", [a, b]);
  const count = literalOf(pops);
  const pairs = [stack.pair(a), stack.pair(b)] as const;
  compared(e, [test], ...pairs, { info, tags: popped(e, count), pops: count });
};

/** (info, linear, pops, format) */
const compareMemory: Expand = (e) => {
  const { stack } = e;
  const [info, linear, pops, format] = e.args;
  const a = stack.st(0);
  const test = stack.test("available", [a]);
  const pair = stack.pair(a);
  const { v, test: ordinary } = peek(e, literalOf(format), linear, true);
  const count = literalOf(pops);
  compared(e, [test, ordinary], pair, { h: v, l: noLow }, { info, operand: linear, tags: popped(e, count), pops: count });
};

/** (info) */
const compareWithZero: Expand = (e) => {
  const { stack } = e;
  const a = stack.st(0);
  const test = stack.test("available", [a]);
  compared(e, [test], stack.pair(a), { h: js.literal(0), l: noLow }, { info: e.args[0] });
};

/** (info, i, pops): the answer is for EFLAGS. */
const compareToFlags: Expand = (e) => {
  const { stack } = e;
  const [info, i, pops] = e.args;
  const a = stack.st(0);
  const b = stack.st(i);
  const test = stack.test("available", [a, b]);
  const { c } = relation.define(e, operands(stack.pair(a), stack.pair(b)));
  const result = e.name("r");
  e.push(js.declare("let", result, asFlags.fill({ c })));
  const count = literalOf(pops);
  const effects: Effects = { info, rounding: "kept", tags: popped(e, count), pops: count, goesOn: true };
  stack.commit(all(test, isOrdered.fill({ c })), effects, e.callout(result));
  return js.identifier(result);
};

const table: Partial<Record<CalloutName, Expand>> = {
  fadd: registerForm(plus, false),
  fsub: registerForm(minus, false),
  fsubr: registerForm(minus, true),
  fmul: registerForm(multiplication, false),
  fdiv: registerForm(division, false),
  fdivr: registerForm(division, true),
  faddMemory: memoryForm(plus, false),
  fsubMemory: memoryForm(minus, false),
  fsubrMemory: memoryForm(minus, true),
  fmulMemory: memoryForm(multiplication, false),
  fdivMemory: memoryForm(division, false),
  fdivrMemory: memoryForm(division, true),
  fsqrt: squareRoot,
  fchs: changeSign,
  fabs: absoluteValue,
  fldSingle: load(memoryFormat.single),
  fldDouble: load(memoryFormat.double),
  fildDword: load(memoryFormat.dword),
  fildWord: load(memoryFormat.word),
  fld: loadRegister,
  fldConstant: loadConstant,
  fst: storeRegister,
  fstSingle: store(memoryFormat.single),
  fstDouble: store(memoryFormat.double),
  fistWord: storeInteger(16),
  fistDword: storeInteger(32),
  fistQword: storeInteger(64),
  fisttWord: storeInteger(16, true),
  fisttDword: storeInteger(32, true),
  fisttQword: storeInteger(64, true),
  fildQword: loadQword,
  fldcw: loadControl,
  fnstcw: storeControl,
  fnstswAx: storeStatus,
  fxch: exchange,
  fcom: compare,
  fucom: compare,
  fcomMemory: compareMemory,
  ftst: compareWithZero,
  fcomi: compareToFlags,
  fucomi: compareToFlags,
};

const tableForDoubles: Partial<Record<CalloutName, Expand>> = { ...table, ...doubleTable };

/** @param inDoubles registers hold plain doubles */
export const x87ExpansionOf = (callout: CalloutName, inDoubles = false): Expand | undefined => (inDoubles ? tableForDoubles : table)[callout];
