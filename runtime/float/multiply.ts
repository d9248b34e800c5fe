/** Multiplication. */
import { roundResult } from "./round.ts";
import {
  exception as exceptionImported,
  exponentBias,
  type FloatUnit,
  isDenormal,
  isInfinity,
  isNaN80,
  isUnsupported,
  normalize,
  propagateNaNs,
  setInfinity,
  setInvalid,
  setZero,
  signBit,
} from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;

/** Upper 32 bits of the unsigned 64-bit product. */
export function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const other = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) | 0;
}

/** Carry out of a + b = sum. */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31;
}

export function multiply(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  const sign = (aSign ^ bSign) & signBit;
  let exponent = (aSign & 0x7fff) + (bSign & 0x7fff) - exponentBias + 1;
  const a = aSign & 0x7fff;
  const b = bSign & 0x7fff;
  if (aHigh >= 0 || bHigh >= 0 || a === 0 || b === 0 || a === 0x7fff || b === 0x7fff) {
    if (multiplySpecial(f, aLow, aHigh, aSign, bLow, bHigh, bSign)) return;
    if (a === 0) {
      exponent += 1 - normalize(f, aLow, aHigh);
      aLow = f.low;
      aHigh = f.high;
    }
    if (b === 0) {
      exponent += 1 - normalize(f, bLow, bHigh);
      bLow = f.low;
      bHigh = f.high;
    }
  }

  // 64 x 64 -> p3 p2 p1 p0
  const p0 = Math.imul(aLow, bLow);
  const x0 = multiplyHigh(aLow, bLow);
  const x1 = Math.imul(aLow, bHigh);
  const x2 = multiplyHigh(aLow, bHigh);
  const y1 = Math.imul(aHigh, bLow);
  const y2 = multiplyHigh(aHigh, bLow);
  const z2 = Math.imul(aHigh, bHigh);
  const z3 = multiplyHigh(aHigh, bHigh);
  let p1 = (x0 + x1) | 0;
  let c = carry(x0, x1, p1);
  const sum1 = (p1 + y1) | 0;
  c += carry(p1, y1, sum1);
  p1 = sum1;
  // Two carries at most come in: x2 + y2 + z2 + c may carry out twice.
  let p2 = (x2 + y2) | 0;
  let d = carry(x2, y2, p2);
  const sum2 = (p2 + z2) | 0;
  d += carry(p2, z2, sum2);
  p2 = (sum2 + c) | 0;
  d += carry(sum2, c, p2);
  let p3 = (z3 + d) | 0;
  if (p3 >= 0) {
    p3 = (p3 << 1) | (p2 >>> 31);
    p2 = (p2 << 1) | (p1 >>> 31);
    p1 = (p1 << 1) | (p0 >>> 31);
    roundResult(f, sign, exponent - 1, p2, p3, p0 << 1 !== 0 ? p1 | 1 : p1);
  } else roundResult(f, sign, exponent, p2, p3, p0 !== 0 ? p1 | 1 : p1);
}

function multiplySpecial(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): boolean {
  if (isUnsupported(aHigh, aSign) || isUnsupported(bHigh, bSign)) {
    setInvalid(f);
    return true;
  }
  if (isNaN80(aLow, aHigh, aSign) || isNaN80(bLow, bHigh, bSign)) {
    propagateNaNs(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
    return true;
  }
  const sign = (aSign ^ bSign) & signBit;
  const infinite = isInfinity(aLow, aHigh, aSign) || isInfinity(bLow, bHigh, bSign);
  const zero = (aLow | aHigh) === 0 || (bLow | bHigh) === 0;
  if (infinite && zero) {
    setInvalid(f);
    return true;
  }
  if (isDenormal(aLow, aHigh, aSign) || isDenormal(bLow, bHigh, bSign)) f.flags |= exception.denormal;
  if (infinite) setInfinity(f, sign);
  else if (zero) setZero(f, sign);
  return infinite || zero;
}
