/** FSIN, FCOS, FSINCOS, FPTAN and FPATAN. */
import { addPairs, coefficients, dividePairs, evaluate, factorial, mantissaPair, multiplyPairs, reciprocal, roundPair, setPair } from "./pairs.ts";
import {
  exception as exceptionImported,
  type FloatUnit,
  isDenormal,
  isInfinity,
  isNaN80,
  isUnsupported,
  normalize,
  propagateNaN,
  propagateNaNs,
  setInvalid,
  setZero,
  signBit,
} from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;

function alternating(k: number, [h, l]: readonly [number, number]): readonly [number, number] {
  return k % 2 === 0 ? [h, l] : [-h, -l];
}
/** sin(r) / r and cos(r) in powers of r^2, for |r| <= pi / 4; atan(t) / t in powers of t^2, for |t| <= 1 / 32. */
const sine = coefficients(13, 6, (k) => alternating(k, reciprocal(factorial(2 * k + 1))));
const cosine = coefficients(13, 6, (k) => alternating(k, reciprocal(factorial(2 * k))));
const arctangent = coefficients(10, 4, (k) => alternating(k, reciprocal(2 * k + 1)));

const piHigh = Math.PI;
const piLow = 1.2246467991473532e-16;

/**
 * Arguments are reduced with pi rounded to 66 bits, 0x3.243F6A8885A308D3, as every x87 does (SDM vol. 1, 8.3.8). Half of it in units of 2^-65,
 * and in three parts of at most 32 bits, so that products with a quotient below 2^21 are exact doubles.
 */
const halfPiUnits = 0x3243f6a8885a308d3n;
const halfPi1 = 0x3243f6a8 * 2 ** -29;
const halfPi2 = 0x885a308d * 2 ** -61;
const halfPi3 = 3 * 2 ** -65;

/** Operand out of range: |x| >= 2^63. C2 is set and nothing else happens. */
export const outOfRange = -1;
export const computed = 0;

/**
 * Handles what has no reduction: true when the results are set (both of them: sine-like in the result, cosine-like second). For tiny operands
 * sin x = tan x = x and cos x = 1 within 2^-130.
 */
function special(f: FloatUnit, low: number, high: number, signExponent: number): boolean {
  f.roundedUp = 0;
  if (isUnsupported(high, signExponent) || isInfinity(low, high, signExponent)) setInvalid(f);
  else if (isNaN80(low, high, signExponent)) propagateNaN(f, low, high, signExponent);
  else if ((low | high) === 0) {
    setZero(f, signExponent & signBit);
    setSecond(f, 0, 0x80000000 | 0, 0x3fff);
    return true;
  } else return false;
  setSecond(f, f.low, f.high, f.signExponent);
  return true;
}

function setSecond(f: FloatUnit, low: number, high: number, signExponent: number): void {
  f.secondLow = low;
  f.secondHigh = high;
  f.secondSignExponent = signExponent;
}

/** The operand as a pair in f, reduced to [-pi/4, pi/4]; returns the quadrant 0-3. |x| must be below 2^63 and above 2^-64. */
function reduce(f: FloatUnit, low: number, high: number, signExponent: number): number {
  const exponent = (signExponent & 0x7fff) - 0x3fff;
  const sign = (signExponent & signBit) !== 0 ? -1 : 1;
  if (exponent < 20) {
    mantissaPair(f, low, high);
    const scale = 2 ** exponent;
    const h = f.h * scale;
    const l = f.l * scale;
    const k = Math.round(h / (halfPi1 + halfPi2));
    setPair(f, h, l);
    if (k !== 0) {
      addPairs(f, h, l, -k * halfPi1, 0);
      addPairs(f, f.h, f.l, -k * halfPi2, -k * halfPi3);
    }
    f.h *= sign;
    f.l *= sign;
    return (sign * k) & 3;
  }
  const units = ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) << BigInt(exponent + 2);
  let k = units / halfPiUnits;
  let rest = units - k * halfPiUnits;
  if (2n * rest > halfPiUnits) {
    rest -= halfPiUnits;
    k++;
  }
  const h = Number(rest);
  const l = Number(rest - BigInt(h));
  f.h = sign * h * 2 ** -65;
  f.l = sign * l * 2 ** -65;
  return (sign * Number(k & 3n)) & 3;
}

function sineOf(f: FloatUnit, rh: number, rl: number): void {
  multiplyPairs(f, rh, rl, rh, rl);
  evaluate(f, sine.heads, sine.tail, f.h, f.l);
  multiplyPairs(f, f.h, f.l, rh, rl);
}
function cosineOf(f: FloatUnit, rh: number, rl: number): void {
  multiplyPairs(f, rh, rl, rh, rl);
  evaluate(f, cosine.heads, cosine.tail, f.h, f.l);
}

/** Rounds the pair in f, either sign. */
function roundSigned(f: FloatUnit, isNegated: boolean): void {
  const negative = f.h < 0;
  const sign = negative !== isNegated ? signBit : 0;
  if (negative) roundPair(f, sign, 0, -f.h, -f.l);
  else roundPair(f, sign, 0, f.h, f.l);
}

/** Tiny operands: the operand, a shade (2^-100 of it) smaller or larger. */
function roundOperand(f: FloatUnit, low: number, high: number, signExponent: number, shade: number): void {
  const exponent = (signExponent & 0x7fff || 1) - normalize(f, low, high) - 0x3fff;
  mantissaPair(f, f.low, f.high);
  roundPair(f, signExponent & signBit, exponent, f.h, f.l + shade);
}

const tinyExponent = 0x3fff - 64;

function noteDenormal(f: FloatUnit, low: number, high: number, signExponent: number): void {
  if (isDenormal(low, high, signExponent)) f.flags |= exception.denormal;
}

/** Sine in the result, cosine second (each only if asked for). */
export function sineCosine(f: FloatUnit, low: number, high: number, signExponent: number, wantsSine: boolean, wantsCosine: boolean): number {
  if (special(f, low, high, signExponent)) return computed;
  if ((signExponent & 0x7fff) >= 0x3fff + 63) return outOfRange;
  noteDenormal(f, low, high, signExponent);
  if ((signExponent & 0x7fff) < tinyExponent) {
    roundPair(f, 0, 0, 1, -(2 ** -100));
    setSecond(f, f.low, f.high, f.signExponent);
    if (wantsSine) roundOperand(f, low, high, signExponent, -(2 ** -100));
    return computed;
  }
  const quadrant = reduce(f, low, high, signExponent);
  const rh = f.h;
  const rl = f.l;
  if (wantsCosine) {
    if ((quadrant & 1) !== 0) sineOf(f, rh, rl);
    else cosineOf(f, rh, rl);
    roundSigned(f, quadrant === 1 || quadrant === 2);
    setSecond(f, f.low, f.high, f.signExponent);
  }
  if (wantsSine) {
    if ((quadrant & 1) !== 0) cosineOf(f, rh, rl);
    else sineOf(f, rh, rl);
    roundSigned(f, quadrant >= 2);
  }
  return computed;
}

/** Tangent in the result, 1 second (or the same NaN). */
export function tangent(f: FloatUnit, low: number, high: number, signExponent: number): number {
  if (special(f, low, high, signExponent)) return computed;
  if ((signExponent & 0x7fff) >= 0x3fff + 63) return outOfRange;
  noteDenormal(f, low, high, signExponent);
  setSecond(f, 0, 0x80000000 | 0, 0x3fff);
  if ((signExponent & 0x7fff) < tinyExponent) {
    roundOperand(f, low, high, signExponent, 2 ** -100);
    return computed;
  }
  const quadrant = reduce(f, low, high, signExponent);
  const rh = f.h;
  const rl = f.l;
  sineOf(f, rh, rl);
  const sh = f.h;
  const sl = f.l;
  cosineOf(f, rh, rl);
  if ((quadrant & 1) === 0) dividePairs(f, sh, sl, f.h, f.l);
  else dividePairs(f, -f.h, -f.l, sh, sl);
  roundSigned(f, false);
  return computed;
}

/** atan(k / 16), k = 0..16, as pairs, from atan(c) = atan(c - 1/16) + atan((1/16) / (1 + c (c - 1/16))). */
const arctangents = (() => {
  const f = { h: 0, l: 0 } as FloatUnit;
  const table = new Float64Array(34);
  for (let k = 1; k <= 16; k++) {
    // (1/16) / (1 + k (k - 1) / 256) = 16 / (256 + k (k - 1))
    dividePairs(f, 16, 0, 256 + k * (k - 1), 0);
    // Up to 1/16, beyond what the table of coefficients is good for.
    smallArctangent(f, f.h, f.l, 24);
    addPairs(f, table[2 * k - 2], table[2 * k - 1], f.h, f.l);
    table[2 * k] = f.h;
    table[2 * k + 1] = f.l;
  }
  return table;
})();

/** atan of a small pair by its series, `terms` of them, in pairs throughout: for the table. */
function smallArctangent(f: FloatUnit, th: number, tl: number, terms: number): void {
  multiplyPairs(f, th, tl, th, tl);
  const sh = f.h;
  const sl = f.l;
  setPair(f, 0, 0);
  for (let k = terms; k >= 0; k--) {
    const [h, l] = alternating(k, reciprocal(2 * k + 1));
    multiplyPairs(f, f.h, f.l, sh, sl);
    addPairs(f, h, l, f.h, f.l);
  }
  multiplyPairs(f, f.h, f.l, th, tl);
}

/** atan of a pair in [0, 1]. */
function arctangentOf(f: FloatUnit, qh: number, ql: number): void {
  const k = Math.round(qh * 16);
  if (k !== 0) {
    // t = (q - c) / (1 + q c)
    const c = k / 16;
    multiplyPairs(f, qh, ql, c, 0);
    addPairs(f, f.h, f.l, 1, 0);
    const dh = f.h;
    const dl = f.l;
    addPairs(f, qh, ql, -c, 0);
    dividePairs(f, f.h, f.l, dh, dl);
    qh = f.h;
    ql = f.l;
  }
  multiplyPairs(f, qh, ql, qh, ql);
  evaluate(f, arctangent.heads, arctangent.tail, f.h, f.l);
  multiplyPairs(f, f.h, f.l, qh, ql);
  if (k !== 0) addPairs(f, arctangents[2 * k], arctangents[2 * k + 1], f.h, f.l);
}

/** The angle of (x, y), y = ST(1) (SDM vol. 2, table 3-31). */
export function angle(f: FloatUnit, xLow: number, xHigh: number, xSign: number, yLow: number, yHigh: number, ySign: number): void {
  f.roundedUp = 0;
  if (isUnsupported(xHigh, xSign) || isUnsupported(yHigh, ySign)) {
    setInvalid(f);
    return;
  }
  if (isNaN80(xLow, xHigh, xSign) || isNaN80(yLow, yHigh, ySign)) {
    propagateNaNs(f, xLow, xHigh, xSign, yLow, yHigh, ySign);
    return;
  }
  const sign = ySign & signBit;
  const xNegative = (xSign & signBit) !== 0;
  const xInfinite = isInfinity(xLow, xHigh, xSign);
  const yInfinite = isInfinity(yLow, yHigh, ySign);
  const xZero = (xLow | xHigh) === 0;
  const yZero = (yLow | yHigh) === 0;
  noteDenormal(f, xLow, xHigh, xSign);
  noteDenormal(f, yLow, yHigh, ySign);
  if (yInfinite) {
    if (!xInfinite) {
      roundMultipleOfPi(f, sign, 0.5);
      return;
    }
    roundMultipleOfPi(f, sign, xNegative ? 0.75 : 0.25);
    return;
  }
  if (xInfinite || yZero) {
    xNegative ? roundMultipleOfPi(f, sign, 1) : setZero(f, sign);
    return;
  }
  if (xZero) {
    roundMultipleOfPi(f, sign, 0.5);
    return;
  }

  let distance = (ySign & 0x7fff || 1) - normalize(f, yLow, yHigh);
  mantissaPair(f, f.low, f.high);
  const yh = f.h;
  const yl = f.l;
  distance -= (xSign & 0x7fff || 1) - normalize(f, xLow, xHigh);
  mantissaPair(f, f.low, f.high);
  const xh = f.h;
  const xl = f.l;
  // |y / x| = (y's mantissa / x's mantissa) * 2^distance; the smaller over the larger is what the series takes.
  const steep = distance > 0 || (distance === 0 && (yh > xh || (yh === xh && yl > xl)));
  if (steep) dividePairs(f, xh, xl, yh, yl);
  else dividePairs(f, yh, yl, xh, xl);
  const shift = steep ? -distance : distance;
  // atan q is a shade below q, which from about here on no pair of doubles can show.
  if (shift < -45 && !steep && !xNegative) {
    roundPair(f, sign, distance, f.h, f.l - f.h * 2 ** -100);
    return;
  }
  if (shift < -150) setPair(f, 2 ** -150, 0);
  else {
    const scale = 2 ** shift;
    arctangentOf(f, f.h * scale, f.l * scale);
  }
  // From the octant back: pi/2 -+ a when steep, pi - a when flat and to the left.
  if (steep) {
    if (xNegative) addPairs(f, piHigh / 2, piLow / 2, f.h, f.l);
    else addPairs(f, piHigh / 2, piLow / 2, -f.h, -f.l);
  } else if (xNegative) addPairs(f, piHigh, piLow, -f.h, -f.l);
  roundPair(f, sign, 0, f.h, f.l);
}

function roundMultipleOfPi(f: FloatUnit, sign: number, factor: number): void {
  if (factor === 0.75) {
    multiplyPairs(f, piHigh, piLow, 0.75, 0);
    roundPair(f, sign, 0, f.h, f.l);
    return;
  }
  roundPair(f, sign, 0, piHigh * factor, piLow * factor);
}
