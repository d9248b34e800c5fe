/**
 * Exact arithmetic in pairs of doubles, behind what generated code does in line (translator/javascript/x87/formulas.ts, whose notation this uses): results that
 * are exact though operands have low parts, results of zero, operands of very different size, and 53-bit precision. Each function answers whether it could; then
 * f.h + f.l is the rounded result and f.residue what was rounded off. All round to nearest.
 */
import { productError } from "./pairs.ts";
import type { FloatUnit } from "./unit.ts";

const smallest = 2 ** -899;
const largest = 2 ** 972;

/** The rounding error of s = a + b. */
function sumError(a: number, b: number, s: number): number {
  const z = s - a;
  return a - (s - z) + (b - z);
}

function setExact(f: FloatUnit, h: number, l: number): true {
  f.h = h;
  f.l = l;
  f.residue = 0;
  return true;
}

/** Rounds s + t, which is exact, to 64 bits; |t| <= ulp(s) / 2 is not asked for. */
function round64(f: FloatUnit, s: number, t: number): boolean {
  const h = s + t;
  const l = sumError(s, t, h);
  // Exact cancellation is +0; both operands -0 was somebody else's case.
  if (h === 0) return setExact(f, 0, -0);
  const magnitude = Math.abs(h);
  if (!(magnitude >= smallest && magnitude < largest)) return false;
  const q = h * 2251799813685248.5;
  let H = q - q * 0.9999999999999999;
  // A power of two, with the value in the binade below.
  if (magnitude === 2 * Math.abs(H) && (h > 0 ? l < 0 : l > 0)) H /= 2;
  const C = H * 0.00146484375;
  const n = C - (l + C);
  f.h = h;
  f.l = -n;
  f.residue = l + n;
  return true;
}

export function addExact(f: FloatUnit, h1: number, l1: number, h2: number, l2: number): boolean {
  const s = h1 + h2;
  if (h1 === 0 && h2 === 0) return setExact(f, s, -0);
  const e = sumError(h1, h2, s);
  const u = l1 + l2;
  const t = e + u;
  if (sumError(l1, l2, u) !== 0 || sumError(e, u, t) !== 0) return false;
  return round64(f, s, t);
}

export function multiplyExact(f: FloatUnit, h1: number, l1: number, h2: number, l2: number): boolean {
  const p = h1 * h2;
  if (h1 === 0 || h2 === 0) return p === 0 && setExact(f, p, -0);
  // One factor without low part, and the products of the other's exact: powers of two and small integers, above all.
  if (l2 !== 0) {
    if (l1 !== 0) return false;
    l1 = l2;
    const h = h1;
    h1 = h2;
    h2 = h;
  }
  if (!(Math.abs(p) >= smallest && Math.abs(p) < largest)) return false;
  const e = productError(h1, h2, p);
  const w = l1 * h2;
  const t = e + w;
  if (productError(l1, h2, w) !== 0 || sumError(e, w, t) !== 0) return false;
  return round64(f, p, t);
}

/** A divisor that is a power of two, with a low part above it that stays exact. */
export function divideExact(f: FloatUnit, h1: number, l1: number, h2: number, l2: number): boolean {
  if (l2 !== 0 || h2 === 0) return false;
  const s = h1 / h2;
  if (h1 === 0) return s === 0 && setExact(f, s, -0);
  if (!(Math.abs(s) >= smallest && Math.abs(s) < largest)) return false;
  const l = l1 / h2;
  const p = s * h2;
  if (p !== h1 || productError(s, h2, p) !== 0 || l * h2 !== l1 || (l !== 0 && productError(l, h2, l1) !== 0)) return false;
  return round64(f, s, l);
}

// ---- 53-bit precision: the operations of doubles, for operands that are doubles

function setRounded(f: FloatUnit, h: number, residue: number): boolean {
  const magnitude = Math.abs(h);
  if (!(magnitude >= smallest && magnitude < largest)) return false;
  f.h = h;
  f.l = -0;
  f.residue = residue;
  return true;
}

export function addDoubles(f: FloatUnit, h1: number, h2: number): boolean {
  const s = h1 + h2;
  return s === 0 ? setExact(f, s, -0) : setRounded(f, s, sumError(h1, h2, s));
}

export function multiplyDoubles(f: FloatUnit, h1: number, h2: number): boolean {
  const p = h1 * h2;
  if (h1 === 0 || h2 === 0) return p === 0 && setExact(f, p, -0);
  return setRounded(f, p, productError(h1, h2, p));
}

export function divideDoubles(f: FloatUnit, h1: number, h2: number): boolean {
  if (h2 === 0) return false;
  const s = h1 / h2;
  if (h1 === 0) return s === 0 && setExact(f, s, -0);
  const p = s * h2;
  return setRounded(f, s, (h1 - p - productError(s, h2, p)) / h2);
}

export function rootOfDouble(f: FloatUnit, h: number): boolean {
  if (!(h > 0)) return h === 0 && setExact(f, h, -0);
  const s = Math.sqrt(h);
  const p = s * s;
  return setRounded(f, s, (h - p - productError(s, s, p)) / s);
}
