/**
 * Callouts of SSE that regions do in line when nothing unusual is about, and call otherwise. Each expansion is the callout's own fast path (runtime/callouts/simd)
 * over the region's places: see places.ts for why no operand needs a look.
 */
import type { CalloutName } from "../../contract/callouts.ts";
import type { PureOp } from "../../ir/pure-ops.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import { type Format, isExpanded } from "./accesses.ts";
import { copyHalves, expandLoad, expandStore, expandStorePair, shiftBytes } from "./moves.ts";
import { formats, notANumber, type VectorPlaces } from "./places.ts";

/** What the emitter of statements lends. */
export interface Expansion {
  readonly places: VectorPlaces;
  /** The callout's arguments: simple expressions, and the numbers that constant ones are. */
  readonly args: readonly Expression[];
  readonly numbers: readonly number[];
  push(...statements: Statement[]): void;
  free(name: string): void;
  name(hint: string): string;
  /** The callout itself, with what goes around it. @param result a declared local */
  callout(result?: string): Statement[];
  /** Leaves the region behind the instruction if the callout said so: what a store does on its slow path. */
  leaveIfTold(): Statement[];
  /** Both as the target of statements has them. */
  readonly usualEntry: number | undefined;
  readonly hasLowPlaces: boolean;
  /** Declares a local with the TLB entry of the page at `address`. */
  tlbEntry(table: "TR" | "TW", address: Expression): Expression;
}

/** Yields the result, if the callout has one that is used. */
export type Expand = (e: Expansion) => Expression | void;

const assign = (name: string, value: Expression): Statement => js.expressionStatement(js.assign(js.identifier(name), value));
const isZero = (x: Expression): Expression => js.binary("===", x, js.literal(0));
const and = (...tests: Expression[]): Expression => tests.reduce((a, b) => js.logical("&&", a, b));
/** Neither is NaN. */
const isOrdered = (...numbers: Expression[]): Expression => and(...numbers.map((x) => js.binary("===", x, x)));

function constant(e: Expansion, hint: string, value: Expression): Expression {
  const name = e.name(hint);
  e.push(js.declare("const", name, value));
  return js.identifier(name);
}

/** What follows a call of the callout itself: it wrote words of the target and, it may be, MXCSR. */
export function fallBack(e: Expansion, target: number, words: number): Statement[] {
  return [...e.callout(), ...e.places.refresh(target, words), ...e.places.refreshLimits()];
}

const round = (e: Expansion, format: Format, value: Expression): Expression => (format === "f64" ? value : e.places.op("roundSingle", value));

/** A result must lie strictly above the smallest normal number: a tiny one may round up to exactly that and is still tiny. */
export const smallest = { f64: 2 ** -1022, f32: 2 ** -126 } as const;
export const largest = { f64: Number.MAX_VALUE, f32: (2 - 2 ** -23) * 2 ** 127 } as const;

interface Arithmetic {
  readonly op: PureOp;
  /** When a zero result is exact, given its operands; always, if undefined. */
  readonly isZeroExact?: (a: Expression, b: Expression) => Expression;
  /**
   * Whether a normal result r is known to be exact: then nothing is raised, whatever MXCSR says. `unrounded` is the double that r was rounded from, itself if r is
   * one. May miss some products and quotients of doubles.
   */
  readonly isExact: (places: VectorPlaces, format: Format, a: Expression, b: Expression, unrounded: Expression, r: Expression) => Expression;
}

const equal = (x: Expression, y: Expression): Expression => js.binary("===", x, y);

/** As JavaScript computes: with doubles, which a product of singles needs no more than. */
const operations: Readonly<Record<string, Arithmetic>> = {
  add: {
    op: "addF",
    isExact: (places, format, a, b, sum, r) => and(...(format === "f64" ? [] : [equal(sum, r)]), places.op("isExactSum", a, b, sum)),
  },
  sub: {
    op: "subF",
    isExact: (places, format, a, b, difference, r) =>
      and(...(format === "f64" ? [] : [equal(difference, r)]), places.op("isExactDifference", a, b, difference)),
  },
  mul: {
    op: "mulF",
    isZeroExact: (a, b) => js.logical("||", isZero(a), isZero(b)),
    isExact: (places, format, a, b, product, r) => (format === "f64" ? places.op("isShortProduct", a, b) : equal(product, r)),
  },
  div: {
    op: "divF",
    isZeroExact: (a) => isZero(a),
    isExact: (places, format, a, b, _quotient, r) =>
      and(...(format === "f64" ? [places.op("isShortProduct", r, b)] : []), equal(places.op("mulF", r, b), a)),
  },
};

/** ADD, SUB, MUL, DIV: normal results, and zeros that are exact. */
function arithmetic({ op, isZeroExact, isExact }: Arithmetic, format: Format, lanes: number): Expand {
  const { words } = formats[format];
  return (e) => {
    const { places } = e;
    const [target, source] = e.numbers;
    const limit = places.limit(format);
    const results: Expression[] = [];
    const tests: Expression[] = [];
    for (let lane = 0; lane < lanes; lane++) {
      const a = places.cache(format, target + words * lane);
      const b = places.cache(format, source + words * lane);
      const unrounded = constant(e, "q", places.op(op, a, b));
      const r = format === "f64" ? unrounded : constant(e, "q", places.op("roundSingle", unrounded));
      const zero = and(isZero(r), js.binary(">=", limit, js.literal(0)), ...(isZeroExact === undefined ? [] : [isZeroExact(a, b)]));
      const magnitude = constant(e, "q", places.op("magnitude", r));
      const isBelow = (bound: Expression): Expression => js.binary("<=", magnitude, bound);
      const isFine = js.logical("||", isBelow(limit), and(isBelow(js.literal(largest[format])), isExact(places, format, a, b, unrounded, r)));
      tests.push(js.logical("||", and(js.binary(">", magnitude, js.literal(smallest[format])), isFine), zero));
      results.push(r);
    }
    const fast = results.flatMap((r, lane) => places.setNumber(format, target + words * lane, r));
    e.push(js.ifStatement(js.mostly(and(...tests), true), fast, fallBack(e, target, words * lanes)));
  };
}

/** The root of anything that is not negative is ordinary, and raises nothing but precision, if that. */
function squareRoot(format: Format, lanes: number): Expand {
  const { words } = formats[format];
  return (e) => {
    const { places } = e;
    const [target, source] = e.numbers;
    const results: Expression[] = [];
    for (let lane = 0; lane < lanes; lane++) {
      results.push(constant(e, "q", round(e, format, places.op("sqrtF", places.cache(format, source + words * lane)))));
    }
    const limit = places.limit(format);
    const tests = results.map((r, lane) => {
      const x = places.cache(format, source + words * lane);
      const isExact = and(equal(places.op("roundSingle", r), r), equal(places.op("mulF", r, r), x));
      return and(js.binary(">=", r, js.literal(0)), js.logical("||", js.binary(">", limit, js.literal(0)), isExact));
    });
    const fast = results.flatMap((r, lane) => places.setNumber(format, target + words * lane, r));
    e.push(js.ifStatement(js.mostly(and(...tests), true), fast, fallBack(e, target, words * lanes)));
  };
}

/** MIN and MAX: the target only where it is strictly the one. */
function extreme(operator: "<" | ">", format: Format, lanes: number): Expand {
  const { words } = formats[format];
  return (e) => {
    const { places } = e;
    const [target, source] = e.numbers;
    const fast: Statement[] = [];
    const operands: Expression[] = [];
    for (let lane = 0; lane < lanes; lane++) {
      const a = places.cache(format, target + words * lane);
      const b = places.cache(format, source + words * lane);
      operands.push(a, b);
      const name = e.name("q");
      fast.push(js.declare("const", name, js.conditional(js.binary(operator, a, b), a, b)));
      fast.push(...places.setNumber(format, target + words * lane, js.identifier(name)));
    }
    e.push(js.ifStatement(js.mostly(isOrdered(...operands), true), fast, fallBack(e, target, words * lanes)));
  };
}

/** Comparison by the low three bits of CMPxx's immediate, of numbers that are ordered: EQ LT LE UNORD NEQ NLT NLE ORD. */
const predicates: readonly (string | boolean)[] = ["===", "<", "<=", false, "!==", ">=", ">", true];

/** CMPxx: words of all ones or zeros. */
function compareInto(format: Format, lanes: number): Expand {
  const { words } = formats[format];
  return (e) => {
    const { places } = e;
    const [target, source, immediate] = e.numbers;
    const predicate = predicates[immediate & 7];
    const fast: Statement[] = [];
    const operands: Expression[] = [];
    for (let lane = 0; lane < lanes; lane++) {
      const at = target + words * lane;
      const a = places.cache(format, at);
      const b = places.cache(format, source + words * lane);
      operands.push(a, b);
      const holds = typeof predicate === "boolean" ? js.literal(predicate ? 1 : 0) : js.toInt32(js.binary(predicate, a, b));
      const name = e.name("q");
      const mask = js.identifier(name);
      fast.push(js.declare("const", name, js.toInt32(js.binary("-", js.literal(0), holds))));
      for (let k = 0; k < words; k++) fast.push(places.assignWord(at + k, mask));
      // All ones are a NaN.
      fast.push(places.assignCache(format, at, js.conditional(isZero(mask), js.literal(0), notANumber())));
      fast.push(...places.refreshCaches(at, words, format === "f64" ? "f32" : "f64"));
    }
    e.push(js.ifStatement(js.mostly(isOrdered(...operands), true), fast, fallBack(e, target, words * lanes)));
  };
}

/** COMISD and its like: CF and ZF as EFLAGS has them. */
function compareFlags(format: Format): Expand {
  return (e) => {
    const { places } = e;
    const [a, b] = e.numbers.map((n) => places.cache(format, n));
    const result = e.name("r");
    e.push(js.declare("let", result, js.literal(0)));
    const flags = js.binary("|", js.binary("<", a, b), js.binary("<<", js.binary("===", a, b), js.literal(6)));
    e.push(js.ifStatement(js.mostly(isOrdered(a, b), true), [assign(result, flags)], [...e.callout(result), ...places.refreshLimits()]));
    return js.identifier(result);
  };
}

/** To an int32, rounding to nearest or truncating. */
function toInteger(format: Format, truncates: boolean): Expand {
  return (e) => {
    const { places } = e;
    const x = places.cache(format, e.numbers[0]);
    const result = e.name("r");
    e.push(js.declare("let", result, js.literal(0)));
    const rounded = truncates ? x : constant(e, "q", places.op("roundToNearest", x));
    const isInRange = places.op(truncates ? "truncatesToInt32" : "isInt32", rounded, places.limit(format));
    e.push(js.ifStatement(js.mostly(isInRange, true), [assign(result, js.toInt32(rounded))], [...e.callout(result), ...places.refreshLimits()]));
    return js.identifier(result);
  };
}

const integerToDouble: Expand = (e) => {
  e.push(...e.places.setNumber("f64", e.numbers[0], e.args[1]));
};

const integerToSingle: Expand = (e) => {
  const { places } = e;
  const target = e.numbers[0];
  const r = constant(e, "q", places.op("roundSingle", e.args[1]));
  const isFine = js.logical("||", js.binary(">", places.limit("f32"), js.literal(0)), equal(r, e.args[1]));
  e.push(js.ifStatement(js.mostly(isFine, true), places.setNumber("f32", target, r), fallBack(e, target, 1)));
};

const singleToDouble: Expand = (e) => {
  const { places } = e;
  const [target, source] = e.numbers;
  const x = places.cache("f32", source);
  e.push(js.ifStatement(js.mostly(isOrdered(x), true), places.setNumber("f64", target, x), fallBack(e, target, 2)));
};

const doubleToSingle: Expand = (e) => {
  const { places } = e;
  const [target, source] = e.numbers;
  const x = places.cache("f64", source);
  const limit = places.limit("f32");
  const r = constant(e, "q", places.op("roundSingle", x));
  const isExact = and(equal(r, x), places.op("isOrdinarySingle", r));
  const test = js.logical("||", places.op("isNormalSingle", r, limit), isExact);
  e.push(js.ifStatement(js.mostly(test, true), places.setNumber("f32", target, r), fallBack(e, target, 1)));
};

const integersToDoubles: Expand = (e) => {
  const { places } = e;
  const [target, source] = e.numbers;
  const words = [0, 1].map((k) => constant(e, "g", places.word(source + k)));
  words.forEach((word, k) => {
    e.push(...places.setNumber("f64", target + 2 * k, word));
  });
};

const suffixes = { sd: ["f64", 1], pd: ["f64", 2], ss: ["f32", 1], ps: ["f32", 4] } as const;

const expansions: Readonly<Record<string, Expand | undefined>> = {
  load64: (e) => expandLoad(e, 8, false),
  load128: (e) => expandLoad(e, 16, false),
  load128Aligned: (e) => expandLoad(e, 16, true),
  store64: (e) => expandStore(e, 8, false),
  store128: (e) => expandStore(e, 16, false),
  store128Aligned: (e) => expandStore(e, 16, true),
  storePair: expandStorePair,
  copy64: (e) => copyHalves(e, 1),
  copy128: (e) => copyHalves(e, 2),
  shiftLeftBytes: (e) => shiftBytes(e, 1),
  shiftRightBytes: (e) => shiftBytes(e, -1),
  ...Object.fromEntries(
    Object.entries(suffixes).flatMap(([suffix, [format, lanes]]) => [
      ...Object.entries(operations).map(([name, operation]) => [name + suffix, arithmetic(operation, format, lanes)]),
      [`sqrt${suffix}`, squareRoot(format, lanes)],
      [`min${suffix}`, extreme("<", format, lanes)],
      [`max${suffix}`, extreme(">", format, lanes)],
      [`cmp${suffix}`, compareInto(format, lanes)],
    ]),
  ),
  comisd: compareFlags("f64"),
  ucomisd: compareFlags("f64"),
  comiss: compareFlags("f32"),
  ucomiss: compareFlags("f32"),
  cvtsi2sd: integerToDouble,
  cvtsi2ss: integerToSingle,
  cvttsd2si: toInteger("f64", true),
  cvtsd2si: toInteger("f64", false),
  cvttss2si: toInteger("f32", true),
  cvtss2si: toInteger("f32", false),
  cvtss2sd: singleToDouble,
  cvtsd2ss: doubleToSingle,
  cvtdq2pd: integersToDoubles,
};
Object.freeze(expansions);

/** The expansion of a callout, if it has one. */
export function expansionOf(callout: CalloutName): Expand | undefined {
  return isExpanded(callout) ? expansions[callout] : undefined;
}
