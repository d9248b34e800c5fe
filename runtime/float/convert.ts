/** Conversions between the 80-bit format and single, double and integers. */
import { roundsUp } from "./round.ts";
import {
  exception as exceptionImported,
  type FloatUnit,
  isNaN80,
  isSignalling,
  isUnsupported,
  minInt32,
  normalize,
  propagateNaN,
  roundingControl as roundingControlImported,
  setResult,
  setZero,
  signBit,
} from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;
const roundingControl = roundingControlImported;

// ---- loads: exact

export function fromInt32(f: FloatUnit, value: number): void {
  if (value === 0) {
    setResult(f, 0, 0, 0);
    return;
  }
  const magnitude = value < 0 ? -value | 0 : value;
  const shift = Math.clz32(magnitude);
  setResult(f, 0, magnitude << shift, (value < 0 ? signBit : 0) | (0x3fff + 31 - shift));
}

export function fromInt64(f: FloatUnit, low: number, high: number): void {
  const sign = high < 0 ? signBit : 0;
  if (sign !== 0) {
    high = (~high + (low === 0 ? 1 : 0)) | 0;
    low = -low | 0;
  }
  if ((low | high) === 0) {
    setResult(f, 0, 0, 0);
    return;
  }
  f.signExponent = sign | (0x3fff + 63 - normalize(f, low, high));
}

/** m32fp as an operand: a denormal raises DE; a signalling NaN stays one, for the operation to judge. */
export function extendSingle(f: FloatUnit, bits: number): void {
  const sign = (bits >>> 16) & signBit;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = (bits << 8) | minInt32;
  if (exponent === 0xff) {
    setResult(f, 0, mantissa, sign | 0x7fff);
    return;
  }
  if (exponent === 0) {
    const value = bits & 0x7fffff;
    if (value === 0) {
      setZero(f, sign);
      return;
    }
    f.flags |= exception.denormal;
    const shift = Math.clz32(value);
    setResult(f, 0, value << shift, sign | (0x3fff - 126 + 8 - shift));
    return;
  }
  setResult(f, 0, mantissa, sign | (exponent + 0x3fff - 127));
}

/** m64fp, as extendSingle. */
export function extendDouble(f: FloatUnit, bitsLow: number, bitsHigh: number): void {
  const sign = (bitsHigh >>> 16) & signBit;
  const exponent = (bitsHigh >>> 20) & 0x7ff;
  const fraction = bitsHigh & 0xfffff;
  if (exponent === 0) {
    if ((fraction | bitsLow) === 0) {
      setZero(f, sign);
      return;
    }
    f.flags |= exception.denormal;
    f.signExponent = sign | (0x3fff - 1022 + 11 - normalize(f, bitsLow, fraction));
    return;
  }
  setResult(f, bitsLow << 11, minInt32 | (fraction << 11) | (bitsLow >>> 21), sign | (exponent === 0x7ff ? 0x7fff : exponent + 0x3fff - 1023));
}

/** After a load: a signalling NaN comes out quiet and is invalid. */
export function quietLoaded(f: FloatUnit): void {
  if (isSignalling(f.low, f.high, f.signExponent)) propagateNaN(f, f.low, f.high, f.signExponent);
}

// ---- stores to narrower formats: the bits come out in f.low (and f.high)

/**
 * Unmasked overflow and underflow leave their exception in the flags and no result: the instruction stores nothing (SDM vol. 1, 8.5.4
 * and 8.5.5).
 */
export function toDouble(f: FloatUnit, low: number, high: number, signExponent: number): void {
  const sign = (signExponent & signBit) << 16;
  const exponent = signExponent & 0x7fff;
  if (high >= 0 || exponent === 0 || exponent === 0x7fff) {
    if (isUnsupported(high, signExponent)) {
      f.flags |= exception.invalid;
      f.low = 0;
      f.high = 0xfff80000 | 0;
      return;
    }
    if ((low | high) === 0) {
      f.low = 0;
      f.high = sign;
      return;
    }
    if (exponent === 0x7fff) {
      const nan = isNaN80(low, high, signExponent);
      if (nan && (high & 0x40000000) === 0) f.flags |= exception.invalid;
      f.low = (low >>> 11) | (high << 21);
      f.high = sign | 0x7ff00000 | (nan ? 0x80000 | ((high >>> 11) & 0xfffff) : 0);
      return;
    }
  }
  narrow(f, low, high, signExponent, 1023, 0x7fe, 0x800, 0);
  const biased = f.signExponent;
  if (biased === infinite) {
    f.low = 0;
    f.high = sign | 0x7ff00000;
    return;
  }
  low = (f.low >>> 11) | (f.high << 21);
  f.high = sign | (biased << 20) | ((f.high >>> 11) & 0xfffff);
  f.low = low;
}

export function toSingle(f: FloatUnit, low: number, high: number, signExponent: number): void {
  const sign = (signExponent & signBit) << 16;
  const exponent = signExponent & 0x7fff;
  if (high >= 0 || exponent === 0 || exponent === 0x7fff) {
    if (isUnsupported(high, signExponent)) {
      f.flags |= exception.invalid;
      f.low = 0xffc00000 | 0;
      return;
    }
    if ((low | high) === 0) {
      f.low = sign;
      return;
    }
    if (exponent === 0x7fff) {
      const nan = isNaN80(low, high, signExponent);
      if (nan && (high & 0x40000000) === 0) f.flags |= exception.invalid;
      f.low = sign | 0x7f800000 | (nan ? 0x400000 | ((high >>> 8) & 0x7fffff) : 0);
      return;
    }
  }
  narrow(f, low, high, signExponent, 127, 0xfe, 0, 0x100);
  const biased = f.signExponent;
  f.low = sign | (biased === infinite ? 0x7f800000 : (biased << 23) | ((f.high >>> 8) & 0x7fffff));
}

/** In place of an exponent: the rounded value is infinite. */
const infinite = -1;

/** Rounds a non-zero finite value to a format; mantissa to f.high and f.low, biased exponent (0 when denormal) to f.signExponent. */
function narrow(
  f: FloatUnit,
  low: number,
  high: number,
  signExponent: number,
  bias: number,
  largest: number,
  unitLow: number,
  unitHigh: number,
): void {
  const sign = signExponent & signBit;
  let exponent = signExponent & 0x7fff;
  if (high >= 0) {
    exponent -= normalize(f, low, high);
    low = f.low;
    high = f.high;
  }
  if ((signExponent & 0x7fff) === 0) exponent++;
  exponent += bias - 0x3fff;
  let tiny = false;
  let extra = 0;
  if (exponent <= 0) {
    tiny = exponent < 0 || !wouldReachNormal(f, sign, low, high, unitHigh);
    if (tiny && (f.control & exception.underflow) === 0) {
      f.flags |= exception.underflow;
      f.roundedUp = 0;
      return;
    }
    const shift = 1 - exponent;
    if (shift > 65) {
      extra = 1;
      low = high = 0;
    } else {
      for (let left = shift; left > 0; ) {
        const step = Math.min(left, 31);
        extra = (low << (32 - step)) | (extra >>> step) | (extra << (32 - step) !== 0 ? 1 : 0);
        low = (low >>> step) | (high << (32 - step));
        high >>>= step;
        left -= step;
      }
    }
    exponent = 0;
  }
  if (unitLow !== 0) {
    extra = (low << 21) | (extra !== 0 ? 1 : 0);
    low &= ~0x7ff;
  } else {
    extra = (high << 24) | ((low | extra) !== 0 ? 1 : 0);
    high &= ~0xff;
    low = 0;
  }
  f.roundedUp = 0;
  if (extra !== 0) {
    f.flags |= exception.precision;
    if (tiny) f.flags |= exception.underflow;
    if (roundsUp(f.control, sign, ((low & unitLow) | (high & unitHigh)) !== 0, extra)) {
      f.roundedUp = 0x200;
      if (unitLow !== 0) {
        low = (low + unitLow) | 0;
        if (low === 0) high = (high + 1) | 0;
      } else high = (high + unitHigh) | 0;
      if (exponent > 0 && high >= 0) {
        high = minInt32;
        exponent++;
      }
    }
  }
  if (exponent === 0 && high < 0) exponent = 1;
  if (exponent > largest) {
    f.flags |= exception.overflow;
    if ((f.control & exception.overflow) === 0) {
      f.flags &= ~exception.precision;
      f.roundedUp = 0;
      return;
    }
    f.flags |= exception.precision;
    const rounding = f.control & roundingControl.mask;
    if (rounding === roundingControl.nearest || rounding === (sign !== 0 ? roundingControl.down : roundingControl.up)) {
      f.roundedUp = 0x200;
      exponent = infinite;
    } else {
      f.roundedUp = 0;
      exponent = largest;
      low = high = -1;
    }
  }
  f.low = low;
  f.high = high;
  f.signExponent = exponent;
}

/** An exponent one below the smallest normal's: does rounding carry into it? */
function wouldReachNormal(f: FloatUnit, sign: number, low: number, high: number, unitHigh: number): boolean {
  if (unitHigh !== 0) return (high & ~0xff) === ~0xff && roundsUp(f.control, sign, true, (high << 24) | (low !== 0 ? 1 : 0));
  return high === -1 && (low & ~0x7ff) === ~0x7ff && roundsUp(f.control, sign, true, low << 21);
}

// ---- integers

/**
 * Rounds to an integer of `bits` (16, 32 or 64) in f.low and f.high (sign-extended). NaNs, infinities and values out of range are invalid and
 * give the integer indefinite, the most negative number.
 */
export function toInteger(f: FloatUnit, low: number, high: number, signExponent: number, bits: number): void {
  const sign = signExponent & signBit;
  f.roundedUp = 0;
  if (!isUnsupported(high, signExponent) && (signExponent & 0x7fff) <= 0x3fff + 63) {
    integerPart(f, low, high, signExponent);
    low = f.low;
    high = f.high;
    const negative = sign !== 0;
    let fits: boolean;
    if (bits === 64) fits = high >= 0 || (negative && high === minInt32 && low === 0);
    else {
      const limit = bits === 32 ? 0x80000000 : 0x8000;
      fits = high === 0 && (negative ? low >>> 0 <= limit : low >>> 0 < limit);
    }
    if (fits) {
      if (f.inexact) f.flags |= exception.precision;
      if (negative) {
        f.high = (~high + (low === 0 ? 1 : 0)) | 0;
        f.low = -low | 0;
      }
      return;
    }
  }
  f.flags |= exception.invalid;
  f.roundedUp = 0;
  f.low = bits === 64 ? 0 : bits === 32 ? minInt32 : -0x8000;
  f.high = bits === 64 ? minInt32 : -1;
}

/** The magnitude rounded to an integer in f.high and f.low, for exponents up to 2^63; sets f.inexact and f.roundedUp only. */
export function integerPart(f: FloatUnit, low: number, high: number, signExponent: number): void {
  const shift = 0x3fff + 63 - (signExponent & 0x7fff);
  let extra = 0;
  if (shift !== 0) {
    if (shift < 32) {
      extra = low << (32 - shift);
      low = (low >>> shift) | (high << (32 - shift));
      high >>>= shift;
    } else if (shift < 64) {
      extra = shift === 32 ? low : (high << (64 - shift)) | (low >>> (shift - 32)) | (low << (64 - shift) !== 0 ? 1 : 0);
      low = high >>> (shift - 32);
      high = 0;
    } else {
      extra = shift === 64 ? high | (low !== 0 ? 1 : 0) : (high | low) !== 0 ? 1 : 0;
      low = high = 0;
    }
  }
  f.inexact = extra !== 0;
  f.roundedUp = 0;
  if (roundsUp(f.control, signExponent & signBit, (low & 1) !== 0, extra)) {
    f.roundedUp = 0x200;
    low = (low + 1) | 0;
    if (low === 0) high = (high + 1) | 0;
  }
  f.low = low;
  f.high = high;
}
