/**
 * Arithmetic in pairs of doubles, value = h + l with |l| <= ulp(h) / 2: about 104 bits (Dekker 1971; Knuth, TAOCP vol. 2, 4.2.2). The
 * transcendental functions work in it, with exponents kept apart so that no operand comes near the ends of a double's range. Results go
 * to f.h and f.l.
 */
import { roundExtended } from "./round.ts";
import type { FloatUnit } from "./unit.ts";

/** 2^27 + 1: splits a double into halves of 26 bits. */
const splitter = 134217729;

export function setPair(f: FloatUnit, h: number, l: number): void {
  f.h = h;
  f.l = l;
}

/** The exact sum of two doubles. */
export function twoSum(f: FloatUnit, a: number, b: number): void {
  const s = a + b;
  const t = s - a;
  f.h = s;
  f.l = a - (s - t) + (b - t);
}

export function addPairs(f: FloatUnit, ah: number, al: number, bh: number, bl: number): void {
  const s = ah + bh;
  let t = s - ah;
  let e = ah - (s - t) + (bh - t);
  const low = al + bl;
  t = low - al;
  const lowError = al - (low - t) + (bl - t);
  e += low;
  const h = s + e;
  e = e - (h - s) + lowError;
  f.h = h + e;
  f.l = e - (f.h - h);
}

/** The rounding error of p = a * b. */
export function productError(a: number, b: number, p: number): number {
  let t = splitter * a;
  const a1 = t - (t - a);
  const a2 = a - a1;
  t = splitter * b;
  const b1 = t - (t - b);
  const b2 = b - b1;
  return a1 * b1 - p + a1 * b2 + a2 * b1 + a2 * b2;
}

export function multiplyPairs(f: FloatUnit, ah: number, al: number, bh: number, bl: number): void {
  const p = ah * bh;
  const e = productError(ah, bh, p) + (ah * bl + al * bh);
  f.h = p + e;
  f.l = e - (f.h - p);
}

export function dividePairs(f: FloatUnit, ah: number, al: number, bh: number, bl: number): void {
  const q = ah / bh;
  const p = q * bh;
  const r = ah - p - productError(q, bh, p) + (al - q * bl);
  const e = r / (bh + bl);
  // A second correction: the first leaves about 2^-104.
  f.h = q + e;
  f.l = e - (f.h - q);
}

/** A mantissa of 64 bits, J set, as a number in [1, 2): exact. */
export function mantissaPair(f: FloatUnit, low: number, high: number): void {
  twoSum(f, (high >>> 0) * 2 ** -31, (low >>> 0) * 2 ** -63);
}

/** The result (h + l) * 2^exponent; h > 0 and normal. The pair stands for a value that no 64-bit mantissa has, unless `isExact`. */
export function roundPair(f: FloatUnit, sign: number, exponent: number, h: number, l: number, isExact = false): void {
  // Bring h into [1, 2).
  const k = binaryExponent(h);
  const scale = 2 ** -k;
  h *= scale;
  l *= scale;
  exponent += k;
  if (h === 1 && l < 0) {
    // The value lies in the binade below.
    h = 2;
    l *= 2;
    exponent--;
  }
  h *= 2 ** 31;
  let high = Math.floor(h);
  l *= 2 ** 63;
  let low = (h - high) * 2 ** 32;
  const whole = Math.floor(l);
  const fraction = l - whole;
  low += whole;
  if (low < 0) {
    low += 2 ** 32;
    high -= 1;
  } else if (low >= 2 ** 32) {
    low -= 2 ** 32;
    high += 1;
  }
  const extra = Math.floor(fraction * 2 ** 32);
  roundExtended(f, sign, exponent + 0x3fff, low | 0, high | 0, isExact && extra === fraction * 2 ** 32 ? extra : extra | 1);
}

/** floor(log2(h)) for a positive normal double. */
function binaryExponent(h: number): number {
  let k = Math.round(Math.log2(h));
  if (2 ** k > h) k--;
  return k;
}

/** 1 / n as a pair, for tables. */
export function reciprocal(n: number): readonly [number, number] {
  const h = 1 / n;
  const p = h * n;
  return [h, (1 - p - productError(h, n, p)) / n];
}

/**
 * c[0] + x (c[1] + x (c[2] + ...)), with the coefficients in `heads` as pairs (h, l alternating) and the `tail` after them, whose terms are
 * below 2^-27 of the sum, as doubles.
 */
export function evaluate(f: FloatUnit, heads: Float64Array, tail: Float64Array, xh: number, xl: number): void {
  let t = 0;
  for (let i = tail.length - 1; i >= 0; i--) t = tail[i] + xh * t;
  f.h = t;
  f.l = 0;
  for (let i = heads.length - 2; i >= 0; i -= 2) {
    multiplyPairs(f, f.h, f.l, xh, xl);
    addPairs(f, heads[i], heads[i + 1], f.h, f.l);
  }
}

/** Tables for `evaluate`: coefficient(k) = [h, l] for k < count, of which the first `pairs` are kept as pairs. */
export function coefficients(
  count: number,
  pairs: number,
  coefficient: (k: number) => readonly [number, number],
): { heads: Float64Array; tail: Float64Array } {
  const heads = new Float64Array(2 * pairs);
  const tail = new Float64Array(count - pairs);
  for (let k = 0; k < count; k++) {
    const [h, l] = coefficient(k);
    if (k < pairs) heads.set([h, l], 2 * k);
    else tail[k - pairs] = h;
  }
  return { heads, tail };
}

export function factorial(n: number): number {
  let product = 1;
  for (let i = 2; i <= n; i++) product *= i;
  return product;
}
