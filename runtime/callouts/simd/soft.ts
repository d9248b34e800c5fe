/**
 * Exact SSE arithmetic for every rounding mode and exception, one lane at a time. Operands are taken apart into 80-bit form, the 80-bit unit
 * computes with truncation, and what it dropped is put into the last mantissa bit ("rounding to odd"). With 64 bits against the
 * destination's 53 or 24, rounding that once more, in any mode, gives the correctly rounded result (Boldo and Melquiond, "Emulation of a FMA and
 * correctly rounded sums", IEEE TC 57(4)).
 */
import { add, subtract } from "../../float/add.ts";
import { divide, squareRoot } from "../../float/divide.ts";
import { multiply } from "../../float/multiply.ts";
import { roundsUp } from "../../float/round.ts";
import { exponentBias, normalize } from "../../float/unit.ts";
import { denormalsAreZeros, flag, flushToZero, maskShift, roundDown, roundingMask } from "./control.ts";
import { kind, type ShiftedMantissa, type SimdUnit, type UnpackedFloat } from "./unit.ts";

/** The two element formats: single, or else double. */
export type IsSingle = boolean;

export const singles: IsSingle = true;
export const doubles: IsSingle = false;

export const operation = { add: 0, subtract: 1, multiply: 2, divide: 3, squareRoot: 4 } as const;
const binaryOperations = [add, subtract, multiply, divide];

/** x87 control word: all masked, 64 bits, truncating. */
const truncating = 0xf7f;
const signBit = 1 << 31;
const quietBit80 = 0x40000000;

const isMantissaEmpty = (low: number, high: number) => (low | high) === 0;

export function unpackDouble(u: SimdUnit, into: UnpackedFloat, low: number, high: number, mxcsr: number): void {
  const exponent = (high >>> 20) & 0x7ff;
  unpack(u, into, (high >>> 16) & 0x8000, exponent, 0x7ff, 1023, (high << 11) | (low >>> 21), low << 11, mxcsr);
}

export function unpackSingle(u: SimdUnit, into: UnpackedFloat, bits: number, mxcsr: number): void {
  unpack(u, into, (bits >>> 16) & 0x8000, (bits >>> 23) & 0xff, 0xff, 127, bits << 8, 0, mxcsr);
}

/** `high` and `low`: the fraction, left-aligned below bit 63; bit 63 itself is ignored. */
function unpack(
  u: SimdUnit,
  into: UnpackedFloat,
  sign: number,
  exponent: number,
  largest: number,
  bias: number,
  high: number,
  low: number,
  mxcsr: number,
): void {
  const fraction = high & 0x7fffffff;
  into.sign = sign;
  into.isDenormal = false;
  into.low = low;
  into.high = fraction | signBit;
  if (exponent === largest) {
    into.exponent = 0x7fff;
    into.kind = isMantissaEmpty(fraction, low) ? kind.infinity : fraction & quietBit80 ? kind.quietNaN : kind.signallingNaN;
  } else if (exponent !== 0) {
    into.exponent = exponent - bias + exponentBias;
    into.kind = kind.finite;
  } else if (isMantissaEmpty(fraction, low) || mxcsr & denormalsAreZeros) {
    into.exponent = into.low = into.high = 0;
    into.kind = kind.zero;
  } else {
    into.isDenormal = true;
    into.kind = kind.finite;
    into.exponent = 1 - bias + exponentBias - normalize(u.float, low, fraction);
    into.low = u.float.low;
    into.high = u.float.high;
  }
}

/** Sets the result from its fields; `high` and `low` hold the significand at the bottom of 64 bits, hidden bit cleared or added to the exponent. */
function setBits(u: SimdUnit, single: IsSingle, sign: number, exponent: number, high: number, low: number): void {
  if (single) u.low = ((sign << 16) | (exponent << 23)) + low;
  else {
    u.low = low;
    u.high = ((sign << 16) | (exponent << 20)) + high;
  }
}

export const setZero = (u: SimdUnit, single: IsSingle, sign: number): void => setBits(u, single, sign, 0, 0, 0);
export const setInfinity = (u: SimdUnit, single: IsSingle, sign: number): void => setBits(u, single, sign, single ? 0xff : 0x7ff, 0, 0);

/** The QNaN floating-point indefinite (SDM vol. 1, table 4-3). */
export function setIndefinite(u: SimdUnit, single: IsSingle): void {
  u.low = single ? 0xffc00000 | 0 : 0;
  u.high = 0xfff80000 | 0;
}

/** The quieted NaN `x`, with as much of its payload as the format holds. */
export function setNaN(u: SimdUnit, single: IsSingle, x: UnpackedFloat): void {
  const fraction = (x.high | quietBit80) & 0x7fffffff;
  if (single) setBits(u, single, x.sign, 0xff, 0, fraction >>> 8);
  else setBits(u, single, x.sign, 0x7ff, fraction >>> 11, (fraction << 21) | (x.low >>> 11));
}

/** (high, low) >>> count into the unit's `shifted`, with the bits that fall out in `extra`. */
function shiftRight(s: ShiftedMantissa, high: number, low: number, count: number): void {
  if (count < 32) {
    s.extra = low << (32 - count);
    s.low = (low >>> count) | (high << (32 - count));
    s.high = high >>> count;
  } else {
    s.high = 0;
    if (count < 64) {
      const n = count - 32;
      s.extra = n === 0 ? low : (high << (32 - n)) | (low >>> n) | (low << (32 - n) !== 0 ? 1 : 0);
      s.low = high >>> n;
    } else {
      s.extra = count === 64 ? high | (low !== 0 ? 1 : 0) : count === 65 ? (high >>> 1) | 1 : 1;
      s.low = 0;
    }
  }
}

/**
 * Rounds sign, exponent (biased by 16383) and a normalized mantissa, whose last bit is sticky, to the destination format under
 * MXCSR; raises overflow, underflow and precision.
 */
export function pack(u: SimdUnit, single: IsSingle, mxcsr: number, sign: number, exponent80: number, low: number, high: number): void {
  const control = (mxcsr & roundingMask) >>> 3;
  const bias = single ? 127 : 1023;
  const largest = single ? 0xff : 0x7ff;
  const s = u.shifted;
  let exponent = exponent80 - exponentBias + bias;
  let drop = single ? 40 : 11;
  let tiny = false;
  if (exponent <= 0) {
    // Tiny after rounding (SDM vol. 1, 4.9.1.5): smaller than the smallest normal number even when rounded with an unbounded exponent.
    shiftRight(s, high, low, drop);
    const allOnes = single ? s.low === 0xffffff : s.low === -1 && s.high === 0x1fffff;
    tiny = exponent < 0 || !(allOnes && roundsUp(control, sign, true, s.extra));
    if (tiny) {
      if ((mxcsr & (flag.underflow << maskShift)) === 0) {
        // The result is not delivered; what is left is whether it would have been exact.
        u.flags |= flag.underflow | (s.extra !== 0 ? flag.precision : 0);
        setZero(u, single, sign);
        return;
      }
      if (mxcsr & flushToZero) {
        u.flags |= flag.underflow | flag.precision;
        setZero(u, single, sign);
        return;
      }
    }
    drop += 1 - exponent;
    exponent = 1;
  }
  shiftRight(s, high, low, drop);
  if (s.extra !== 0) {
    u.flags |= tiny ? flag.precision | flag.underflow : flag.precision;
    if (roundsUp(control, sign, (s.low & 1) !== 0, s.extra)) {
      s.low = (s.low + 1) | 0;
      if (s.low === 0) s.high++;
    }
  }
  // The significand's hidden bit adds the last 1 to the exponent; a carry out of rounding, and a denormal, come out right by themselves.
  setBits(u, single, sign, exponent - 1, s.high, s.low);
  const finalExponent = single ? (u.low >>> 23) & 0xff : (u.high >>> 20) & 0x7ff;
  if (exponent - 1 < largest - 1 && finalExponent !== largest) return;
  u.flags |= mxcsr & (flag.overflow << maskShift) ? flag.overflow | flag.precision : flag.overflow;
  const toInfinity = control === 0 || control === (sign !== 0 ? 0x400 : 0x800);
  if (toInfinity) setInfinity(u, single, sign);
  else setBits(u, single, sign, largest - 1, single ? 0 : 0xfffff, single ? 0x7fffff : -1);
}

/** Rounds what the 80-bit unit, truncating, has computed. */
function finish(u: SimdUnit, single: IsSingle, mxcsr: number): void {
  const { float } = u;
  const sign = float.signExponent & 0x8000;
  const exponent = float.signExponent & 0x7fff;
  if (exponent === 0x7fff) {
    setInfinity(u, single, sign);
    return;
  }
  if (isMantissaEmpty(float.low, float.high)) {
    setZero(u, single, sign);
    return;
  }
  pack(u, single, mxcsr, sign, exponent, float.flags & flag.precision ? float.low | 1 : float.low, float.high);
}

/** One lane of ADD, SUB, MUL or DIV on the operands in `u.a` and `u.b`. */
export function computeBinary(u: SimdUnit, op: number, single: IsSingle, mxcsr: number): void {
  const { a, b, float } = u;
  if (a.kind >= kind.quietNaN || b.kind >= kind.quietNaN) {
    if (a.kind === kind.signallingNaN || b.kind === kind.signallingNaN) u.flags |= flag.invalid;
    setNaN(u, single, a.kind >= kind.quietNaN ? a : b);
    return;
  }
  float.control = truncating;
  float.flags = 0;
  binaryOperations[op](float, a.low, a.high, a.sign | a.exponent, b.low, b.high, b.sign | b.exponent);
  if (float.flags & flag.invalid) {
    u.flags |= flag.invalid;
    setIndefinite(u, single);
    return;
  }
  // A denormal divided by zero is a division by zero and nothing else (SDM vol. 1, 4.9.2: the order of priorities).
  if (float.flags & flag.zeroDivide) u.flags |= flag.zeroDivide;
  else if (a.isDenormal || b.isDenormal) u.flags |= flag.denormal;
  if (op <= operation.subtract && isMantissaEmpty(float.low, float.high)) {
    // Like zeros keep their sign; any other zero sum is +0, or -0 when rounding down.
    const bSign = op === operation.subtract ? b.sign ^ 0x8000 : b.sign;
    float.signExponent = a.sign === bSign ? a.sign : (mxcsr & roundingMask) === roundDown ? 0x8000 : 0;
  }
  finish(u, single, mxcsr);
}

/** One lane of SQRT on the operand in `u.b`. */
export function computeSquareRoot(u: SimdUnit, single: IsSingle, mxcsr: number): void {
  const { b, float } = u;
  if (b.kind >= kind.quietNaN) {
    if (b.kind === kind.signallingNaN) u.flags |= flag.invalid;
    setNaN(u, single, b);
    return;
  }
  float.control = truncating;
  float.flags = 0;
  squareRoot(float, b.low, b.high, b.sign | b.exponent);
  if (float.flags & flag.invalid) {
    u.flags |= flag.invalid;
    setIndefinite(u, single);
    return;
  }
  if (b.isDenormal) u.flags |= flag.denormal;
  finish(u, single, mxcsr);
}
