/** FRNDINT, FSCALE and FXTRACT. */
import { fromInt32, integerPart } from "./convert.ts";
import { roundExtended } from "./round.ts";
import {
  exception as exceptionImported,
  exponentWrap,
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

export function roundToIntegral(f: FloatUnit, low: number, high: number, signExponent: number): void {
  f.roundedUp = 0;
  if (isUnsupported(high, signExponent)) {
    setInvalid(f);
    return;
  }
  if (isNaN80(low, high, signExponent)) {
    propagateNaN(f, low, high, signExponent);
    return;
  }
  if (isDenormal(low, high, signExponent)) f.flags |= exception.denormal;
  const sign = signExponent & signBit;
  if ((signExponent & 0x7fff) >= 0x3fff + 63 || (low | high) === 0) {
    setResult(f, low, high, signExponent);
    return;
  }
  integerPart(f, low, high, signExponent);
  if (f.inexact) f.flags |= exception.precision;
  f.signExponent = (f.low | f.high) === 0 ? sign : sign | (0x3fff + 63 - normalize(f, f.low, f.high));
}

/** a * 2^trunc(b). Ignores precision control. */
export function scale(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  f.roundedUp = 0;
  if (isUnsupported(aHigh, aSign) || isUnsupported(bHigh, bSign)) {
    setInvalid(f);
    return;
  }
  if (isNaN80(aLow, aHigh, aSign) || isNaN80(bLow, bHigh, bSign)) {
    propagateNaNs(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
    return;
  }
  const sign = aSign & signBit;
  const aZero = (aLow | aHigh) === 0;
  const aInfinite = isInfinity(aLow, aHigh, aSign);
  if (isInfinity(bLow, bHigh, bSign)) {
    const upwards = (bSign & signBit) === 0;
    if (upwards ? aZero : aInfinite) {
      setInvalid(f);
      return;
    }
    if (isDenormal(aLow, aHigh, aSign)) f.flags |= exception.denormal;
    if (upwards) setInfinity(f, sign);
    else setZero(f, sign);
    return;
  }
  if (isDenormal(aLow, aHigh, aSign) || isDenormal(bLow, bHigh, bSign)) f.flags |= exception.denormal;
  if (aZero || aInfinite) {
    setResult(f, aLow, aHigh, aSign);
    return;
  }

  // Beyond 2^17 every scaling overflows or underflows all the way.
  const distance = (bSign & 0x7fff) - 0x3fff;
  let n = 0;
  if (distance >= 17) n = 0x20000;
  else if (distance >= 0) n = bHigh >>> (31 - distance);
  if ((bSign & signBit) !== 0) n = -n;
  const exponent = (aSign & 0x7fff || 1) - normalize(f, aLow, aHigh) + n;
  // Where even the wrapped exponent of an unmasked response has no room, the result is infinity or zero whatever the rounding control.
  if (exponent - exponentWrap >= 0x7fff && (f.control & exception.overflow) === 0) {
    f.flags |= exception.overflow | exception.precision;
    f.roundedUp = 0x200;
    setInfinity(f, sign);
    return;
  }
  if (exponent + exponentWrap <= 0 && (f.control & exception.underflow) === 0) {
    f.flags |= exception.underflow | exception.precision;
    setZero(f, sign);
    return;
  }
  roundExtended(f, sign, exponent, f.low, f.high, 0);
}

/** Splits into exponent (the result) and significand (the second result, to be pushed on top of it). */
export function extract(f: FloatUnit, low: number, high: number, signExponent: number): void {
  f.roundedUp = 0;
  if (isUnsupported(high, signExponent) || isNaN80(low, high, signExponent)) {
    if (isUnsupported(high, signExponent)) setInvalid(f);
    else propagateNaN(f, low, high, signExponent);
    setSecond(f, f.low, f.high, f.signExponent);
    return;
  }
  if ((low | high) === 0) {
    f.flags |= exception.zeroDivide;
    setInfinity(f, signBit);
    setSecond(f, low, high, signExponent);
    return;
  }
  if (isInfinity(low, high, signExponent)) {
    setInfinity(f, 0);
    setSecond(f, low, high, signExponent);
    return;
  }
  let exponent = signExponent & 0x7fff;
  if (exponent === 0) {
    f.flags |= exception.denormal;
    exponent = 1;
  }
  exponent -= normalize(f, low, high);
  setSecond(f, f.low, f.high, (signExponent & signBit) | 0x3fff);
  fromInt32(f, exponent - 0x3fff);
}

function setSecond(f: FloatUnit, low: number, high: number, signExponent: number): void {
  f.secondLow = low;
  f.secondHigh = high;
  f.secondSignExponent = signExponent;
}
