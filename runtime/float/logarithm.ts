/** F2XM1, FYL2X and FYL2XP1. */
import { addPairs, coefficients, dividePairs, evaluate, factorial, mantissaPair, multiplyPairs, reciprocal, roundPair, twoSum } from "./pairs.ts";
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
  setInfinity,
  setInvalid,
  setResult,
  setZero,
  signBit,
} from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;

const ln2High = Math.LN2;
const ln2Low = 2.3190468138462996e-17;
const log2eHigh = Math.LOG2E;
const log2eLow = 2.0355273740931033e-17;

/** (e^t - 1) / t = sum of t^k / (k + 1)!. */
const exponential = coefficients(15, 6, (k) => reciprocal(factorial(k + 1)));
/** atanh(s) / s = sum of s^2k / (2k + 1). */
const inverseTangent = coefficients(17, 6, (k) => reciprocal(2 * k + 1));

/** 2^x - 1 for |x| <= 1. */
export function exponentialMinusOne(f: FloatUnit, low: number, high: number, signExponent: number): void {
  f.roundedUp = 0;
  if (isUnsupported(high, signExponent)) {
    setInvalid(f);
    return;
  }
  if (isNaN80(low, high, signExponent)) {
    propagateNaN(f, low, high, signExponent);
    return;
  }
  const sign = signExponent & signBit;
  const biased = signExponent & 0x7fff;
  if (isInfinity(low, high, signExponent)) {
    if (sign === 0) setInfinity(f, 0);
    else setResult(f, 0, 0x80000000 | 0, 0xbfff);
    return;
  }
  if ((low | high) === 0) {
    setZero(f, sign);
    return;
  }
  if (isDenormal(low, high, signExponent)) f.flags |= exception.denormal;
  const exponent = (biased || 1) - normalize(f, low, high) - 0x3fff;
  if (exponent >= 0) {
    f.flags |= exception.precision;
    // Outside the range results are undefined (SDM vol. 2, F2XM1): the operand, as here; the ends are exact.
    if (exponent === 0 && f.high << 1 === 0 && f.low === 0) {
      setResult(f, 0, 0x80000000 | 0, sign === 0 ? 0x3fff : 0xbffe);
      return;
    }
    setResult(f, f.low, f.high, signExponent);
    return;
  }
  mantissaPair(f, f.low, f.high);
  multiplyPairs(f, f.h, f.l, ln2High, ln2Low);
  if (exponent < -100) {
    roundPair(f, sign, exponent, f.h, f.l);
    return;
  }
  // u = e^(t/8) - 1, then three times u = u (u + 2).
  const scale = (sign === 0 ? 1 : -1) * 2 ** (exponent - 3);
  const th = f.h * scale;
  const tl = f.l * scale;
  evaluate(f, exponential.heads, exponential.tail, th, tl);
  multiplyPairs(f, f.h, f.l, th, tl);
  for (let i = 0; i < 3; i++) {
    const uh = f.h;
    const ul = f.l;
    addPairs(f, uh, ul, 2, 0);
    multiplyPairs(f, uh, ul, f.h, f.l);
  }
  if (f.h < 0) roundPair(f, signBit, 0, -f.h, -f.l);
  else roundPair(f, 0, 0, f.h, f.l);
}

/** f.h, f.l = 2 log2(e) atanh(s) of the pair s. */
function doubledInverseTangent(f: FloatUnit, sh: number, sl: number): void {
  multiplyPairs(f, sh, sl, sh, sl);
  evaluate(f, inverseTangent.heads, inverseTangent.tail, f.h, f.l);
  multiplyPairs(f, f.h, f.l, sh, sl);
  multiplyPairs(f, f.h, f.l, 2 * log2eHigh, 2 * log2eLow);
}

/** The result: the pair in f times y times 2^exponent. */
function timesY(f: FloatUnit, sign: number, yLow: number, yHigh: number, ySign: number, exponent: number): void {
  let h = f.h;
  let l = f.l;
  if (h < 0) {
    h = -h;
    l = -l;
    sign ^= signBit;
  }
  exponent += (ySign & 0x7fff || 1) - normalize(f, yLow, yHigh) - 0x3fff;
  mantissaPair(f, f.low, f.high);
  multiplyPairs(f, f.h, f.l, h, l);
  // The logarithm of a power of two is exact, and so is its product in a pair; it counts as inexact all the same.
  roundPair(f, sign, exponent, f.h, f.l, l === 0 && Math.round(h) === h);
  f.flags |= (f.signExponent & 0x7fff) === 0 ? exception.precision | exception.underflow : exception.precision;
}

/** y * log2(x). */
export function logarithm(f: FloatUnit, xLow: number, xHigh: number, xSign: number, yLow: number, yHigh: number, ySign: number): void {
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
  const xZero = (xLow | xHigh) === 0;
  const yZero = (yLow | yHigh) === 0;
  const yInfinite = isInfinity(yLow, yHigh, ySign);
  if (xZero) {
    if (yZero) {
      setInvalid(f);
      return;
    }
    if (!yInfinite) f.flags |= exception.zeroDivide;
    setInfinity(f, sign ^ signBit);
    return;
  }
  if ((xSign & signBit) !== 0) {
    setInvalid(f);
    return;
  }
  if (isInfinity(xLow, xHigh, xSign)) {
    if (yZero) {
      setInvalid(f);
      return;
    }
    if (isDenormal(yLow, yHigh, ySign)) f.flags |= exception.denormal;
    setInfinity(f, sign);
    return;
  }
  const isOne = xSign === 0x3fff && xHigh << 1 === 0 && xLow === 0;
  if (yInfinite && isOne) {
    setInvalid(f);
    return;
  }
  if (isDenormal(xLow, xHigh, xSign) || isDenormal(yLow, yHigh, ySign)) f.flags |= exception.denormal;
  const below = xSign < 0x3fff;
  if (yInfinite) {
    setInfinity(f, below ? sign ^ signBit : sign);
    return;
  }
  if (yZero || isOne) {
    setZero(f, below ? sign ^ signBit : sign);
    return;
  }

  const k = (xSign || 1) - normalize(f, xLow, xHigh) - 0x3fff;
  mantissaPair(f, f.low, f.high);
  logarithmOfPair(f, f.h, f.l, k);
  timesY(f, sign, yLow, yHigh, ySign, 0);
}

/** y * log2(x + 1). */
export function logarithmPlusOne(f: FloatUnit, xLow: number, xHigh: number, xSign: number, yLow: number, yHigh: number, ySign: number): void {
  f.roundedUp = 0;
  if (isUnsupported(xHigh, xSign) || isUnsupported(yHigh, ySign)) {
    setInvalid(f);
    return;
  }
  if (isNaN80(xLow, xHigh, xSign) || isNaN80(yLow, yHigh, ySign)) {
    propagateNaNs(f, xLow, xHigh, xSign, yLow, yHigh, ySign);
    return;
  }
  const sign = (xSign ^ ySign) & signBit;
  const xZero = (xLow | xHigh) === 0;
  const yZero = (yLow | yHigh) === 0;
  const yInfinite = isInfinity(yLow, yHigh, ySign);
  if (isInfinity(xLow, xHigh, xSign)) {
    if (yZero || (xSign & signBit) !== 0) {
      setInvalid(f);
      return;
    }
    if (isDenormal(yLow, yHigh, ySign)) f.flags |= exception.denormal;
    setInfinity(f, sign);
    return;
  }
  if (yInfinite && xZero) {
    setInvalid(f);
    return;
  }
  if (isDenormal(xLow, xHigh, xSign) || isDenormal(yLow, yHigh, ySign)) f.flags |= exception.denormal;
  if (yInfinite) {
    setInfinity(f, sign);
    return;
  }
  if (xZero || yZero) {
    setZero(f, sign);
    return;
  }
  // At or below -1 the result is undefined (SDM vol. 2, FYL2XP1): the operand.
  if ((xSign & signBit) !== 0 && (xSign & 0x7fff) >= 0x3fff) {
    f.flags |= exception.precision;
    setResult(f, xLow, xHigh, xSign);
    return;
  }
  const exponent = (xSign & 0x7fff || 1) - normalize(f, xLow, xHigh) - 0x3fff;
  if (exponent >= 1) largeLogarithmPlusOne(f, f.low, f.high, exponent);
  else {
    mantissaPair(f, f.low, f.high);
    if (exponent < -120) {
      // log2(1 + x) = x log2(e), far beyond the precision.
      multiplyPairs(f, f.h, f.l, log2eHigh, log2eLow);
      timesY(f, sign, yLow, yHigh, ySign, exponent);
      return;
    }
    const scale = ((xSign & signBit) === 0 ? 1 : -1) * 2 ** exponent;
    const xh = f.h * scale;
    const xl = f.l * scale;
    if (xh > 0.45 || xh < -0.3) {
      twoSum(f, 1, xh);
      addPairs(f, f.h, f.l, xl, 0);
      logarithmOfPair(f, f.h, f.l, 0);
    } else {
      addPairs(f, xh, xl, 2, 0);
      dividePairs(f, xh, xl, f.h, f.l);
      doubledInverseTangent(f, f.h, f.l);
    }
  }
  timesY(f, ySign & signBit, yLow, yHigh, ySign, 0);
}

/** Beyond the documented range, as hardware: log2(1 + x) = exponent + log2(m + 2^-exponent). */
function largeLogarithmPlusOne(f: FloatUnit, low: number, high: number, exponent: number): void {
  mantissaPair(f, low, high);
  addPairs(f, f.h, f.l, exponent > 900 ? 0 : 2 ** -exponent, 0);
  logarithmOfPair(f, f.h, f.l, exponent);
}

/** f = k + log2(m) for a pair m between 2^-70 and 4. */
function logarithmOfPair(f: FloatUnit, mh: number, ml: number, k: number): void {
  while (mh > Math.SQRT2) {
    mh /= 2;
    ml /= 2;
    k++;
  }
  while (mh < Math.SQRT1_2) {
    mh *= 2;
    ml *= 2;
    k--;
  }
  addPairs(f, mh, ml, 1, 0);
  const dh = f.h;
  const dl = f.l;
  addPairs(f, mh, ml, -1, 0);
  if (f.h !== 0) {
    dividePairs(f, f.h, f.l, dh, dl);
    doubledInverseTangent(f, f.h, f.l);
  }
  addPairs(f, k, 0, f.h, f.l);
}
