/**
 * What callouts of SSE do in line where registers are whole vectors (whole.ts): moves, and packed floating point. Arithmetic is done at once, and looked at then: where all operands and results are
 * normal numbers, and precision is recorded already, it was right. Zeros, and exact results while precision is not recorded, are looked for next; the callout does the rest.
 */
import type { CalloutName } from "../../contract/callouts.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import { isPlainAccess, isPlainPlace, isUsualAccess, placeAt } from "../plain-access.ts";
import { type Format, isStaging } from "./accesses.ts";
import { type Expand, type Expansion, fallBack, largest } from "./expand.ts";
import type { WholeVectors } from "./whole.ts";

const objects = { f64: "f64x2", f32: "f32x4" } as const;

const placesOf = (e: Expansion): WholeVectors => e.places as WholeVectors;
const zeros = (): Expression => js.method("v128", "zero", []);
const allOf = (...masks: Expression[]): Expression => masks.reduce((a, b) => js.method("v128", "and", [a, b]));
const anyOf = (...masks: Expression[]): Expression => masks.reduce((a, b) => js.method("v128", "or", [a, b]));

function constant(e: Expansion, value: Expression): Expression {
  const name = e.name("v");
  e.push(js.declare("const", name, value));
  return js.identifier(name);
}

/** What is said of all lanes of a format. */
class Lanes {
  private readonly object: "f64x2" | "f32x4";
  private readonly test: "i64x2" | "i32x4";
  private readonly every: number;
  /** In all lanes: the smallest normal number, and the limit. */
  readonly smallest: Expression;
  readonly limit: Expression;

  constructor(e: Expansion, format: Format) {
    const places = placesOf(e);
    this.object = objects[format];
    this.test = format === "f64" ? "i64x2" : "i32x4";
    this.every = format === "f64" ? 3 : 15;
    this.smallest = places.smallestInAll(format);
    this.limit = places.limitInAll(format);
    for (const name of ["v128", this.object, this.test]) e.free(name);
  }
  op(name: string, ...args: Expression[]): Expression {
    return js.method(this.object, name, args);
  }
  all(value: Expression): Expression {
    return this.op("splat", value);
  }
  isZero(a: Expression): Expression {
    return this.op("eq", a, zeros());
  }
  holds(mask: Expression): Expression {
    return js.binary("===", js.method(this.test, "bitmask", [mask]), js.literal(this.every));
  }
}

interface Arithmetic {
  readonly op: "add" | "sub" | "mul" | "div";
  /** Where a zero for a result is exact; everywhere, if undefined. */
  readonly isZeroExact?: (lanes: Lanes, a: Expression, b: Expression) => Expression;
  /** Where a normal result r is known to be exact. May miss some. */
  readonly isExact: (e: Expansion, lanes: Lanes, format: Format, a: Expression, b: Expression, r: Expression) => Expression;
}

/** Singles as doubles: both halves. */
function asDoubles(e: Expansion, a: Expression): readonly [Expression, Expression] {
  for (const name of ["f64x2", "i64x2"]) e.free(name);
  const promoted = (x: Expression): Expression => js.method("f64x2", "promote_low_f32x4", [x]);
  return [promoted(a), promoted(js.method("i64x2", "shuffle", [a, a, js.literal(1), js.literal(1)]))];
}
/** Masks of doubles as masks of singles. */
function masksOfSingles(e: Expansion, low: Expression, high: Expression): Expression {
  e.free("i32x4");
  return js.method("i32x4", "shuffle", [low, high, ...[0, 2, 4, 6].map((k) => js.literal(k))]);
}
const doubles = (op: string, a: Expression, b: Expression): Expression => js.method("f64x2", op, [a, b]);
/** Whether a double has no more bits than a single. */
function isShort(e: Expansion, a: Expression): Expression {
  e.free("f32x4");
  return doubles("eq", js.method("f64x2", "promote_low_f32x4", [js.method("f32x4", "demote_f64x2_zero", [a])]), a);
}
/** Where x is the product of y and z, singles that doubles can multiply. */
function isProduct(e: Expansion, x: Expression, y: Expression, z: Expression): Expression {
  const [xs, ys, zs] = [asDoubles(e, x), asDoubles(e, y), asDoubles(e, z)];
  const half = (k: 0 | 1): Expression => doubles("eq", doubles("mul", ys[k], zs[k]), xs[k]);
  return masksOfSingles(e, half(0), half(1));
}

const operations: Readonly<Record<string, Arithmetic>> = Object.freeze({
  // Knuth, TAOCP 4.2.2.
  add: {
    op: "add",
    isExact: (_e, lanes, _format, a, b, r) => allOf(lanes.op("eq", lanes.op("sub", r, a), b), lanes.op("eq", lanes.op("sub", r, b), a)),
  },
  sub: {
    op: "sub",
    isExact: (_e, lanes, _format, a, b, r) => allOf(lanes.op("eq", lanes.op("sub", a, r), b), lanes.op("eq", lanes.op("add", r, b), a)),
  },
  mul: {
    op: "mul",
    isZeroExact: (lanes, a, b) => anyOf(lanes.isZero(a), lanes.isZero(b)),
    isExact: (e, _lanes, format, a, b, r) => (format === "f64" ? allOf(isShort(e, a), isShort(e, b)) : isProduct(e, r, a, b)),
  },
  div: {
    op: "div",
    isZeroExact: (lanes, a) => lanes.isZero(a),
    isExact: (e, lanes, format, a, b, r) =>
      format === "f64" ? allOf(isShort(e, r), isShort(e, b), lanes.op("eq", lanes.op("mul", r, b), a)) : isProduct(e, a, r, b),
  },
});

/** Zero, or not below the smallest normal number. */
const isOrdinary = (lanes: Lanes, a: Expression): Expression => anyOf(lanes.op("ge", lanes.op("abs", a), lanes.smallest), lanes.isZero(a));

function set(e: Expansion, value: Expression): Statement[] {
  const places = placesOf(e);
  const [target] = e.numbers;
  return [places.assignVector(target, value), ...places.refreshCaches(target, 4)];
}

function arithmetic({ op, isZeroExact, isExact }: Arithmetic, format: Format): Expand {
  return (e) => {
    const places = placesOf(e);
    const lanes = new Lanes(e, format);
    const [target, source] = e.numbers;
    const [a, b] = [places.vector(target), places.vector(source)];
    const r = constant(e, lanes.op(op, a, b));
    const magnitude = constant(e, lanes.op("abs", r));
    const limit = places.limit(format);
    const least = lanes.op("pmin", lanes.op("pmin", lanes.op("abs", a), lanes.op("abs", b)), magnitude);
    // A NaN is below no limit; the least may be what stands beside it.
    const isNormal = allOf(lanes.op("gt", least, lanes.smallest), lanes.op("le", magnitude, lanes.limit));
    const isFine = js.mostly(lanes.holds(isNormal), true);

    const isLarge = lanes.op("gt", magnitude, lanes.smallest);
    const isInRange = allOf(isLarge, lanes.op("le", magnitude, lanes.all(js.literal(largest[format]))));
    const isRecorded = lanes.op("le", magnitude, lanes.limit);
    const isZero = isZeroExact === undefined ? lanes.isZero(r) : allOf(lanes.isZero(r), isZeroExact(lanes, a, b));
    const isRight = anyOf(allOf(isInRange, anyOf(isRecorded, isExact(e, lanes, format, a, b, r))), isZero);
    const isRightToo = lanes.holds(allOf(isOrdinary(lanes, a), isOrdinary(lanes, b), isRight));
    const isAllowed = js.logical("&&", js.binary(">=", limit, js.literal(0)), isRightToo);
    e.push(js.ifStatement(js.logical("||", isFine, isAllowed), set(e, r), fallBack(e, target, 4)));
  };
}

function squareRoot(format: Format): Expand {
  return (e) => {
    const places = placesOf(e);
    const lanes = new Lanes(e, format);
    const [target, source] = e.numbers;
    const x = places.vector(source);
    const r = constant(e, lanes.op("sqrt", x));
    const isRecorded = js.binary(">", places.limit(format), js.literal(0));
    const isRight = lanes.holds(allOf(lanes.op("ge", r, zeros()), isOrdinary(lanes, x)));
    e.push(js.ifStatement(js.mostly(js.logical("&&", isRecorded, isRight), true), set(e, r), fallBack(e, target, 4)));
  };
}

/** Ordered, and with nothing to record: a NaN is not ordinary. */
const isComparable = (lanes: Lanes, a: Expression, b: Expression): Expression =>
  js.mostly(lanes.holds(allOf(isOrdinary(lanes, a), isOrdinary(lanes, b))), true);

/** MIN and MAX: the target only where it is strictly the one. */
function extreme(op: "pmin" | "pmax", format: Format): Expand {
  return (e) => {
    const places = placesOf(e);
    const lanes = new Lanes(e, format);
    const [target, source] = e.numbers;
    const [a, b] = [places.vector(target), places.vector(source)];
    e.push(js.ifStatement(isComparable(lanes, a, b), set(e, lanes.op(op, b, a)), fallBack(e, target, 4)));
  };
}

/** By the low three bits of CMPxx's immediate, of numbers that are ordered: EQ LT LE UNORD NEQ NLT NLE ORD. */
const predicates = ["eq", "lt", "le", undefined, "ne", "ge", "gt", "eq"] as const;

function compareInto(format: Format): Expand {
  return (e) => {
    const places = placesOf(e);
    const lanes = new Lanes(e, format);
    const [target, source, immediate] = e.numbers;
    const [a, b] = [places.vector(target), places.vector(source)];
    const predicate = predicates[immediate & 7];
    const mask = predicate === undefined ? zeros() : lanes.op(predicate, a, (immediate & 7) === 7 ? a : b);
    e.push(js.ifStatement(isComparable(lanes, a, b), set(e, mask), fallBack(e, target, 4)));
  };
}

const integersToDoubles: Expand = (e) => {
  e.free("f64x2");
  e.push(...set(e, js.method("f64x2", "convert_low_i32x4_s", [placesOf(e).vector(e.numbers[1])])));
};

// ---- moves

interface Access {
  readonly test: Expression;
  readonly place: Expression;
}

/** An access as that of general registers is (../accesses.ts). */
function accessTo(e: Expansion, table: "TR" | "TW", size: 8 | 16, isAligned: boolean): Access {
  const [A] = e.args;
  const T = e.tlbEntry(table, A);
  e.free("v128");
  const usual = isAligned && table === "TR" ? e.usualEntry : undefined;
  if (usual !== undefined) return { test: isUsualAccess(T, A, size, usual), place: placeAt(usual, A) };
  const place = js.binary("^", T, A);
  if (!e.hasLowPlaces) return { test: isPlainAccess(T, A, size, !isAligned), place };
  const name = e.name("E");
  e.push(js.declare("const", name, place));
  return { test: isPlainPlace(js.identifier(name), size, !isAligned), place: js.identifier(name) };
}

function load(size: 8 | 16, isAligned: boolean): Expand {
  return (e) => {
    const places = placesOf(e);
    const [, n] = e.numbers;
    const { test, place } = accessTo(e, "TR", size, isAligned);
    const loaded = js.method("v128", size === 16 ? "loadPlace" : "loadHalf", [place]);
    const value = size === 16 || isStaging(n) ? loaded : withHalf(e, places.vector(n), loaded, n);
    const slow = [...e.callout(), ...places.refresh(n, size >> 2)];
    e.push(js.ifStatement(test, [places.assignVector(n, value), ...places.refreshCaches(n, size >> 2)], slow));
  };
}

/** A vector with the half at slot `n` from the low half of another. */
function withHalf(e: Expansion, vector: Expression, from: Expression, n: number): Expression {
  e.free("i64x2");
  return (n & 2) === 0
    ? js.method("i64x2", "shuffle", [from, vector, js.literal(0), js.literal(3)])
    : js.method("i64x2", "shuffle", [vector, from, js.literal(0), js.literal(2)]);
}

function store(size: 8 | 16, isAligned: boolean): Expand {
  return (e) => {
    const places = placesOf(e);
    const [, n] = e.numbers;
    const { test, place } = accessTo(e, "TW", size, isAligned);
    const fast =
      size === 16
        ? js.method("v128", "storePlace", [place, places.vector(n)])
        : js.method("v128", "storeHalf", [place, places.vector(n), js.literal((n & 2) >> 1)]);
    e.push(js.ifStatement(test, [js.expressionStatement(fast)], [...e.callout(), ...e.leaveIfTold()]));
  };
}

const copy: Expand = (e) => {
  const places = placesOf(e);
  const [target, source] = e.numbers;
  if (target !== source) e.push(places.assignVector(target, places.vector(source)), ...places.copyCaches(target, source, 4));
};
/** The half at one slot from the half at another. */
const copyHalf: Expand = (e) => {
  const places = placesOf(e);
  const [target, source] = e.numbers;
  if (target === source) return;
  e.free("i64x2");
  const lane = (n: number, of: 0 | 2): Expression => js.literal(of + ((n & 2) >> 1));
  const old = places.vector(target);
  const from = places.vector(source);
  const lanes = (target & 2) === 0 ? [lane(source, 2), js.literal(1)] : [js.literal(0), lane(source, 2)];
  e.push(places.assignVector(target, js.method("i64x2", "shuffle", [old, from, ...lanes])), ...places.copyCaches(target, source, 2));
};

/** PSLLDQ (direction 1) and PSRLDQ (-1) by a constant. */
function shiftBytes(direction: 1 | -1): Expand {
  return (e) => {
    const places = placesOf(e);
    const [n, immediate] = e.numbers;
    const count = Math.min(immediate & 0xff, 16);
    for (const name of ["v128", "i8x16"]) e.free(name);
    const bytes = Array.from({ length: 16 }, (_, k) => k - direction * count).map((k) => js.literal(k >= 0 && k < 16 ? k : 16));
    e.push(places.assignVector(n, js.method("i8x16", "shuffle", [places.vector(n), zeros(), ...bytes])), ...places.refreshCaches(n, 4));
  };
}

const packed: Readonly<Partial<Record<string, Expand>>> = Object.freeze({
  load64: load(8, false),
  load128: load(16, false),
  load128Aligned: load(16, true),
  store64: store(8, false),
  store128: store(16, false),
  store128Aligned: store(16, true),
  copy64: copyHalf,
  copy128: copy,
  shiftLeftBytes: shiftBytes(1),
  shiftRightBytes: shiftBytes(-1),
  cvtdq2pd: integersToDoubles,
  ...Object.fromEntries(
    (
      [
        ["pd", "f64"],
        ["ps", "f32"],
      ] as const
    ).flatMap(([suffix, format]) => [
      ...Object.entries(operations).map(([name, operation]) => [name + suffix, arithmetic(operation, format)]),
      [`sqrt${suffix}`, squareRoot(format)],
      [`min${suffix}`, extreme("pmin", format)],
      [`max${suffix}`, extreme("pmax", format)],
      [`cmp${suffix}`, compareInto(format)],
    ]),
  ),
});

/** The expansion of a callout on whole vectors, if it has one of its own. */
export function packedExpansionOf(callout: CalloutName): Expand | undefined {
  return packed[callout];
}

/** It looks itself whether the region is to be left. */
export function isStoreInLine(callout: CalloutName): boolean {
  return callout === "store64" || callout === "store128" || callout === "store128Aligned";
}
