/**
 * Exact 80-bit floating point in 32-bit integers, bit for bit what an x87 does. A value is three words, as in the state slots:
 * mantissa low, mantissa high (bit 31 = the explicit integer bit J), and sign << 15 | biased exponent. All words are int32.
 *
 * Each operation is a plain function of a FloatUnit and its operand words. The unit belongs to one CPU. It carries the control word in
 * (masks decide whether overflow and underflow give their masked results or exponents wrapped by 24576), and the result words, the
 * exceptions and the rounding direction out, so that nothing is allocated. Exceptions accumulate: the caller clears `flags` and
 * `roundedUp` before an instruction. What an *unmasked* invalid, denormal or zero-divide exception means (no result) is the caller's
 * affair: the unit always computes the masked response to those.
 */
export class FloatUnit {
  /** Registers hold doubles (docs/X87.md, "Doubles instead"); set once, before anything runs. */
  isDouble = false;
  /** The x87 control word. */
  control = 0x37f;
  low = 0;
  high = 0;
  signExponent = 0;
  /** Exceptions raised, in status word positions (bits 0-5). */
  flags = 0;
  /** C1 in its status word position (0x200): the last rounding went away from zero. */
  roundedUp = 0;
  /** The last conversion to an integer discarded something. */
  inexact = false;
  /** FPREM's low quotient bits; and -1 there says that the reduction is incomplete. */
  quotient = 0;
  /** Second result (FSINCOS, FPTAN, FXTRACT). */
  secondLow = 0;
  secondHigh = 0;
  secondSignExponent = 0;
  /** The pair of doubles that the transcendental functions compute in: value = h + l. Also the result of exact-pairs.ts. */
  h = 0;
  l = 0;
  /** What exact-pairs.ts rounded off. */
  residue = 0;
}

/** Exceptions in the status word and their masks in the control word (SDM vol. 1, figures 8-4 and 8-6). */
export const exception = { invalid: 1, denormal: 2, zeroDivide: 4, overflow: 8, underflow: 16, precision: 32 } as const;

export const roundingControl = { nearest: 0, down: 0x400, up: 0x800, zero: 0xc00, mask: 0xc00 } as const;
/** Precision control; the reserved encoding 0x100 acts as 64 bits. */
export const precisionControl = { single: 0, double: 0x200, extended: 0x300, mask: 0x300 } as const;

export const exponentBias = 16383;
/** Exponent adjustment of unmasked overflow and underflow: 3 * 2^13 (SDM vol. 1, 8.5.4). */
export const exponentWrap = 24576;
export const signBit = 0x8000;
export const minInt32 = -0x80000000;

export function setResult(f: FloatUnit, low: number, high: number, signExponent: number): void {
  f.low = low;
  f.high = high;
  f.signExponent = signExponent;
}

export function setZero(f: FloatUnit, sign: number): void {
  setResult(f, 0, 0, sign);
}

export function setInfinity(f: FloatUnit, sign: number): void {
  setResult(f, 0, minInt32, sign | 0x7fff);
}

/** The QNaN floating-point indefinite (SDM vol. 1, 4.8.3.7). */
export function setIndefinite(f: FloatUnit): void {
  setResult(f, 0, 0xc0000000 | 0, 0xffff);
}

/** An invalid operation outranks a denormal operand that a load may have noted (SDM vol. 1, 8.7). */
export function setInvalid(f: FloatUnit): void {
  f.flags = (f.flags & ~exception.denormal) | exception.invalid;
  setIndefinite(f);
}

/** Pseudo-NaN, pseudo-infinity, unnormal: J clear with a non-zero exponent. Invalid as an operand since the 80387. */
export function isUnsupported(high: number, signExponent: number): boolean {
  return high >= 0 && (signExponent & 0x7fff) !== 0;
}

/** True for a NaN with J set; false for unsupported encodings. */
export function isNaN80(low: number, high: number, signExponent: number): boolean {
  return (signExponent & 0x7fff) === 0x7fff && high < 0 && ((high << 1) | low) !== 0;
}

export function isSignalling(low: number, high: number, signExponent: number): boolean {
  return isNaN80(low, high, signExponent) && (high & 0x40000000) === 0;
}

export function isInfinity(low: number, high: number, signExponent: number): boolean {
  return (signExponent & 0x7fff) === 0x7fff && high === minInt32 && low === 0;
}

/** Denormal or pseudo-denormal. */
export function isDenormal(low: number, high: number, signExponent: number): boolean {
  return (signExponent & 0x7fff) === 0 && (low | high) !== 0;
}

/**
 * Shifts (high, low), which is not zero, left until J is set; leaves the mantissa in `f.high` and `f.low` and returns the count.
 */
export function normalize(f: FloatUnit, low: number, high: number): number {
  let shift = Math.clz32(high);
  if (shift === 32) {
    shift = 32 + Math.clz32(low);
    f.high = low << (shift - 32);
    f.low = 0;
  } else {
    f.high = shift === 0 ? high : (high << shift) | (low >>> (32 - shift));
    f.low = low << shift;
  }
  return shift;
}

/** One-operand NaN response: quieted, invalid when it was signalling. */
export function propagateNaN(f: FloatUnit, low: number, high: number, signExponent: number): void {
  if ((high & 0x40000000) === 0) f.flags |= exception.invalid;
  setResult(f, low, high | 0x40000000, signExponent);
}

/**
 * Two-operand NaN response (SDM vol. 1, table 4-7, x87 rules); at least one operand is a NaN and none is unsupported. A quiet NaN
 * wins over a signalling one; of two of a kind the larger significand wins, and of equal ones the positive. A NaN also outranks a denormal
 * operand that a load may have noted.
 */
export function propagateNaNs(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  const aNaN = isNaN80(aLow, aHigh, aSign);
  const bNaN = isNaN80(bLow, bHigh, bSign);
  const aQuiet = aNaN && (aHigh & 0x40000000) !== 0;
  const bQuiet = bNaN && (bHigh & 0x40000000) !== 0;
  if ((aNaN && !aQuiet) || (bNaN && !bQuiet)) f.flags |= exception.invalid;
  f.flags &= ~exception.denormal;
  let takeA = aNaN;
  if (aNaN && bNaN) {
    if (aQuiet !== bQuiet) takeA = aQuiet;
    else if (aHigh !== bHigh) takeA = aHigh >>> 0 > bHigh >>> 0;
    else if (aLow !== bLow) takeA = aLow >>> 0 > bLow >>> 0;
    else takeA = (aSign & signBit) === 0;
  }
  if (takeA) setResult(f, aLow, aHigh | 0x40000000, aSign);
  else setResult(f, bLow, bHigh | 0x40000000, bSign);
}
