/**
 * Vector loads, stores and register moves of regions: one TLB look-up an access. A half register (64 bits) with a cached double goes through memory as a double,
 * for that is what reads it next, and a CPU cannot forward two 4-byte stores to an 8-byte load; but as words when it is not ordinary. Others go word by word.
 */
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import type { Expansion } from "./expand.ts";
import { formats, type VectorPlaces } from "./places.ts";

const pageOffset = (A: Expression): Expression => js.binary("&", A, js.literal(0xfff));

/** Valid translation, whole access inside the page, and aligned for the units it goes by. */
function fastTest(T: Expression, A: Expression, size: number, unit: number): Expression {
  const aligned = js.binary("===", js.binary("&", js.binary("|", T, A), js.literal(unit - 1)), js.literal(0));
  return js.mostly(unit === size ? aligned : js.logical("&&", aligned, js.binary("<=", pageOffset(A), js.literal(0x1000 - size))), true);
}

const isSame = (x: Expression): Expression => js.binary("===", x, x);

/** Halves [n, n + size) that go as doubles. */
const isDoubleHalf = (places: VectorPlaces, n: number): boolean => places.hasCache("f64", n);

interface Halves {
  readonly slots: readonly number[];
  /** Bytes by which the access must be aligned to go the fast way. */
  readonly unit: number;
  /** M64 or M32 index, by a local of the fast path. */
  readonly index: string;
  readonly declare: (T: Expression, A: Expression) => Statement;
  readonly double: (half: number) => Expression;
  readonly word: (k: number) => Expression;
  /** Moves one half by a helper, whatever it is. */
  readonly call: (helper: "readRam" | "writeRam", half: number, slot: number) => Expression;
}

function halvesOf(e: Expansion, n: number, size: 8 | 16, isAligned: boolean): Halves {
  const slots = size === 8 ? [n] : [n, n + 2];
  const asDoubles = slots.some((at) => isDoubleHalf(e.places, at));
  if (asDoubles) e.free("M64");
  e.free("M32");
  const index = e.name("p");
  const i = js.identifier(index);
  const at = (base: Expression, k: number): Expression => (k === 0 ? base : js.binary("+", base, js.literal(k)));
  return {
    slots,
    unit: isAligned ? size : asDoubles ? 8 : 4,
    index,
    declare: (T, A) => js.declare("const", index, js.binary(">>>", js.binary("^", T, A), js.literal(asDoubles ? 3 : 2))),
    double: (half) => js.index("M64", at(i, half)),
    word: (k) => js.index("M32", at(asDoubles ? js.binary("<<", i, js.literal(1)) : i, k)),
    call: (helper, half, slot) => {
      e.free(helper);
      return js.call(helper, [at(i, half), js.literal(slot)]);
    },
  };
}

export function expandLoad(e: Expansion, size: 8 | 16, isAligned: boolean): void {
  const { places } = e;
  const [A] = e.args;
  const [, n] = e.numbers;
  const T = e.tlbEntry("TR", A);
  const halves = halvesOf(e, n, size, isAligned);
  const fast = halves.slots.flatMap((at, half) => {
    const words = [0, 1].map((k) => places.assignWord(at + k, halves.word(2 * half + k)));
    if (!isDoubleHalf(places, at)) return [...words, ...places.refreshCaches(at, 2)];
    const d = places.cache("f64", at);
    const isOrdinary = places.op(formats.f64.isOrdinary, d);
    const store = js.expressionStatement(js.assign(places.number("f64", at) as never, d));
    return [
      places.assignCache("f64", at, halves.double(half)),
      js.ifStatement(isOrdinary, [store], [places.assignCache("f64", at, halves.call("readRam", half, at))]),
      ...places.refreshCaches(at, 2, "f32"),
    ];
  });
  const slow = [...e.callout(), ...places.refresh(n, size >> 2)];
  e.push(js.ifStatement(fastTest(T, A, size, halves.unit), [halves.declare(T, A), ...fast], slow));
}

export function expandStore(e: Expansion, size: 8 | 16, isAligned: boolean): void {
  const { places } = e;
  const [A] = e.args;
  const [, n] = e.numbers;
  const T = e.tlbEntry("TW", A);
  const halves = halvesOf(e, n, size, isAligned);
  const write = (to: Expression, value: Expression): Statement => js.expressionStatement(js.assign(to as never, value));
  const fast = halves.slots.flatMap((at, half) => {
    const words = [0, 1].map((k) => write(halves.word(2 * half + k), places.word(at + k)));
    if (!isDoubleHalf(places, at)) return words;
    const d = places.cache("f64", at);
    return [js.ifStatement(isSame(d), [write(halves.double(half), d)], [js.expressionStatement(halves.call("writeRam", half, at))])];
  });
  const slow = [...places.commit(n, size >> 2), ...e.callout()];
  e.push(js.ifStatement(fastTest(T, A, size, halves.unit), [halves.declare(T, A), ...fast], slow));
}

/** An MMX register, whose words are values. */
export function expandStorePair(e: Expansion): void {
  const [A, low, high] = e.args;
  const T = e.tlbEntry("TW", A);
  e.free("M32");
  const index = e.name("p");
  const at = js.identifier(index);
  const fast = [
    js.declare("const", index, js.binary(">>>", js.binary("^", T, A), js.literal(2))),
    js.expressionStatement(js.assign(js.index("M32", at) as never, low)),
    js.expressionStatement(js.assign(js.index("M32", js.binary("+", at, js.literal(1))) as never, high)),
  ];
  e.push(js.ifStatement(fastTest(T, A, 8, 4), fast, e.callout()));
}

/** Register to register, whatever the bits. */
export function copyHalves(e: Expansion, count: 1 | 2): void {
  const { places } = e;
  const [target, source] = e.numbers;
  if (target === source) return;
  for (let half = 0; half < count; half++) {
    const [to, from] = [target + 2 * half, source + 2 * half];
    const words = [0, 1].map((k) => places.assignWord(to + k, places.word(from + k)));
    if (!places.hasCache("f64", from) || places.isLocal(to)) {
      e.push(...words);
      const caches = (["f64", "f32"] as const).flatMap((format) => copyCaches(places, format, to, from));
      e.push(...caches);
      continue;
    }
    const d = places.cache("f64", from);
    e.push(js.ifStatement(isSame(d), [js.expressionStatement(js.assign(places.number("f64", to) as never, d))], words));
    e.push(...copyCaches(places, "f64", to, from), ...copyCaches(places, "f32", to, from));
  }
}

/** The caches of half `to`: from those of half `from` where it has them. */
function copyCaches(places: VectorPlaces, format: "f64" | "f32", to: number, from: number): Statement[] {
  const { words } = formats[format];
  const out: Statement[] = [];
  for (let k = 0; k < 2; k += words) {
    if (!places.hasCache(format, to + k)) continue;
    if (places.hasCache(format, from + k)) out.push(places.assignCache(format, to + k, places.cache(format, from + k)));
    else out.push(...places.refreshCaches(to + k, words, format));
  }
  return out;
}

/** PSLLDQ (direction 1) and PSRLDQ (-1) by a constant. */
export function shiftBytes(e: Expansion, direction: 1 | -1): void {
  const { places } = e;
  const n = e.numbers[0];
  const count = Math.min(e.numbers[1] & 0xff, 16);
  const words = count >> 2;
  const bits = 8 * (count & 3);
  const old = [0, 1, 2, 3].map((k) => {
    const name = e.name("g");
    e.push(js.declare("const", name, places.word(n + k)));
    return js.identifier(name);
  });
  const at = (k: number): Expression => (k >= 0 && k < 4 ? old[k] : js.literal(0));
  for (let k = 0; k < 4; k++) {
    const near = at(k - direction * words);
    const far = at(k - direction * (words + 1));
    const value =
      bits === 0
        ? near
        : js.binary(
            "|",
            js.binary(direction > 0 ? "<<" : ">>>", near, js.literal(bits)),
            js.binary(direction > 0 ? ">>>" : "<<", far, js.literal(32 - bits)),
          );
    e.push(places.assignWord(n + k, value));
  }
  e.push(...places.refreshCaches(n, 4));
}
