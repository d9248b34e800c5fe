/** Division and square root: digits of 32 bits estimated in doubles and corrected exactly. */
import { multiplyHigh } from "./multiply.ts";
import { roundResult } from "./round.ts";
import {
  exception as exceptionImported,
  exponentBias,
  type FloatUnit,
  isDenormal,
  isInfinity,
  isNaN80,
  isUnsupported,
  minInt32,
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

/**
 * One step of long division: for a remainder r = (f.high, f.low) below the divisor b (bit 63 set), returns floor(r * 2^32 / b) and leaves
 * the new remainder in f.high and f.low.
 */
export function divisionDigit(f: FloatUnit, bLow: number, bHigh: number): number {
  const rHigh = f.high;
  const rLow = f.low;
  // Off by one at most: the double quotient is good to 2^-51 relative, so to 2^-19 absolute.
  let digit = Math.floor((((rHigh >>> 0) * 4294967296 + (rLow >>> 0)) / ((bHigh >>> 0) * 4294967296 + (bLow >>> 0))) * 4294967296);
  if (digit > 0xffffffff) digit = 0xffffffff;
  let q = digit | 0;
  // r * 2^32 - q * b, modulo 2^96; the true value is in (-b, 2b), so the third word is its sign.
  const p0 = Math.imul(q, bLow);
  const t1 = multiplyHigh(q, bLow);
  const u1 = Math.imul(q, bHigh);
  const p1 = (t1 + u1) | 0;
  const p2 = (multiplyHigh(q, bHigh) + (p1 >>> 0 < t1 >>> 0 ? 1 : 0)) | 0;
  let low = -p0 | 0;
  let borrow = p0 !== 0 ? 1 : 0;
  let high = (rLow - p1 - borrow) | 0;
  borrow = rLow >>> 0 < p1 >>> 0 || (rLow === p1 && borrow !== 0) ? 1 : 0;
  let top = (rHigh - p2 - borrow) | 0;
  while (top < 0) {
    q = (q - 1) | 0;
    const sum = (low + bLow) | 0;
    const c = sum >>> 0 < low >>> 0 ? 1 : 0;
    const sumHigh = (high >>> 0) + (bHigh >>> 0) + c;
    low = sum;
    high = sumHigh | 0;
    if (sumHigh > 0xffffffff) top = (top + 1) | 0;
  }
  while (top > 0 || high >>> 0 > bHigh >>> 0 || (high === bHigh && low >>> 0 >= bLow >>> 0)) {
    q = (q + 1) | 0;
    const c = low >>> 0 < bLow >>> 0 ? 1 : 0;
    const difference = (high >>> 0) - (bHigh >>> 0) - c;
    low = (low - bLow) | 0;
    high = difference | 0;
    if (difference < 0) top = (top - 1) | 0;
  }
  f.high = high;
  f.low = low;
  return q;
}

/** a / b. */
export function divide(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  const sign = (aSign ^ bSign) & signBit;
  const a = aSign & 0x7fff;
  const b = bSign & 0x7fff;
  let exponent = a - b + exponentBias;
  if (aHigh >= 0 || bHigh >= 0 || a === 0 || b === 0 || a === 0x7fff || b === 0x7fff) {
    if (divideSpecial(f, aLow, aHigh, aSign, bLow, bHigh, bSign)) return;
    if (a === 0) {
      exponent += 1 - normalize(f, aLow, aHigh);
      aLow = f.low;
      aHigh = f.high;
    }
    if (b === 0) {
      exponent -= 1 - normalize(f, bLow, bHigh);
      bLow = f.low;
      bHigh = f.high;
    }
  }
  if (aHigh >>> 0 > bHigh >>> 0 || (aHigh === bHigh && aLow >>> 0 >= bLow >>> 0)) {
    // 1.d1 d2: 65 bits, the last of which is the first to be rounded away.
    f.low = (aLow - bLow) | 0;
    f.high = (aHigh - bHigh - (aLow >>> 0 < bLow >>> 0 ? 1 : 0)) | 0;
    const d1 = divisionDigit(f, bLow, bHigh);
    const d2 = divisionDigit(f, bLow, bHigh);
    const sticky = (f.low | f.high) !== 0 ? 1 : 0;
    roundResult(f, sign, exponent, (d1 << 31) | (d2 >>> 1), (d1 >>> 1) | minInt32, (d2 << 31) | sticky);
  } else {
    f.low = aLow;
    f.high = aHigh;
    const high = divisionDigit(f, bLow, bHigh);
    const low = divisionDigit(f, bLow, bHigh);
    roundResult(f, sign, exponent - 1, low, high, remainderBits(f.low, f.high, bLow, bHigh));
  }
}

/** What follows the quotient's last bit: a remainder r as rounding bits of r / b. */
function remainderBits(rLow: number, rHigh: number, bLow: number, bHigh: number): number {
  if ((rLow | rHigh) === 0) return 0;
  const doubledHigh = (rHigh << 1) | (rLow >>> 31);
  const doubledLow = rLow << 1;
  if (rHigh < 0 || doubledHigh >>> 0 > bHigh >>> 0 || (doubledHigh === bHigh && doubledLow >>> 0 > bLow >>> 0)) return minInt32 | 1;
  return doubledHigh === bHigh && doubledLow === bLow ? minInt32 : 1;
}

function divideSpecial(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): boolean {
  if (isUnsupported(aHigh, aSign) || isUnsupported(bHigh, bSign)) {
    setInvalid(f);
    return true;
  }
  if (isNaN80(aLow, aHigh, aSign) || isNaN80(bLow, bHigh, bSign)) {
    propagateNaNs(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
    return true;
  }
  const sign = (aSign ^ bSign) & signBit;
  const aInfinite = isInfinity(aLow, aHigh, aSign);
  const bInfinite = isInfinity(bLow, bHigh, bSign);
  const aZero = (aLow | aHigh) === 0;
  const bZero = (bLow | bHigh) === 0;
  if ((aInfinite && bInfinite) || (aZero && bZero)) {
    setInvalid(f);
    return true;
  }
  if (bZero && !aInfinite) {
    f.flags = (f.flags & ~exception.denormal) | exception.zeroDivide;
    setInfinity(f, sign);
    return true;
  }
  if (isDenormal(aLow, aHigh, aSign) || isDenormal(bLow, bHigh, bSign)) f.flags |= exception.denormal;
  if (aInfinite) {
    setInfinity(f, sign);
    return true;
  }
  if (bInfinite || aZero) {
    setZero(f, sign);
    return true;
  }
  return false;
}

export function squareRoot(f: FloatUnit, low: number, high: number, signExponent: number): void {
  let exponent = signExponent & 0x7fff;
  if (high >= 0 || exponent === 0 || exponent === 0x7fff || (signExponent & signBit) !== 0) {
    if (isUnsupported(high, signExponent)) {
      setInvalid(f);
      return;
    }
    if (isNaN80(low, high, signExponent)) {
      propagateNaN(f, low, high, signExponent);
      return;
    }
    if ((low | high) === 0) {
      setResult(f, 0, 0, signExponent);
      return;
    }
    if ((signExponent & signBit) !== 0) {
      setInvalid(f);
      return;
    }
    if (exponent === 0x7fff) {
      setInfinity(f, 0);
      return;
    }
    if (exponent === 0) {
      f.flags |= exception.denormal;
      exponent = 1 - normalize(f, low, high);
      low = f.low;
      high = f.high;
    }
  }
  // Radicand in [1/4, 1) * 2^128: an even power of two outside.
  let tail = 0;
  if ((exponent & 1) !== 0) {
    tail = low << 31;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
  }
  // Zimmermann's step: the root of the upper half, then a division by twice that root.
  const upper = (high >>> 0) * 4294967296 + (low >>> 0);
  let s = Math.floor(Math.sqrt(upper));
  if (s > 0xffffffff) s = 0xffffffff;
  let squareLow = Math.imul(s | 0, s | 0);
  let squareHigh = multiplyHigh(s | 0, s | 0);
  if (squareHigh >>> 0 > high >>> 0 || (squareHigh === high && squareLow >>> 0 > low >>> 0)) {
    s--;
    squareLow = Math.imul(s | 0, s | 0);
    squareHigh = multiplyHigh(s | 0, s | 0);
  }
  // At most 2s < 2^33, so exact in a double.
  let rest = (low >>> 0) - (squareLow >>> 0) + ((high - squareHigh) | 0) * 4294967296;
  if (rest > 2 * s) {
    rest -= 2 * s + 1;
    s++;
  }
  // (rest * 2^32 + tail) / 2s, in two steps of 16 bits so that every intermediate value is an exact double.
  const divisor = 2 * s;
  const tailBits = tail >>> 0;
  const n1 = rest * 65536 + Math.floor(tailBits / 65536);
  const q1 = Math.floor(n1 / divisor);
  let r1 = n1 - q1 * divisor;
  const n0 = r1 * 65536 + (tailBits % 65536);
  const q0 = Math.floor(n0 / divisor);
  r1 = n0 - q0 * divisor;
  let q = q1 * 65536 + q0;
  if (q > 0xffffffff) {
    r1 += (q - 0xffffffff) * divisor;
    q = 0xffffffff;
  }
  // The remainder r1 * 2^32 - q * q; when it is negative the root is one too large.
  const qLow = Math.imul(q | 0, q | 0);
  let restHigh = r1 - (multiplyHigh(q | 0, q | 0) >>> 0) - (qLow !== 0 ? 1 : 0);
  let restLow = -qLow >>> 0;
  if (restHigh < 0) {
    const step = 2 * q - 1;
    const sum = restLow + (step >>> 0);
    restHigh += divisor + (step > 0xffffffff ? 1 : 0) + (sum > 0xffffffff ? 1 : 0);
    restLow = sum >>> 0;
    q--;
  }
  // The remainder is at most 2 * root; half way is remainder > root.
  let extra = 0;
  if (restHigh !== 0 || restLow !== 0) extra = restHigh > s || (restHigh === s && restLow > q) ? minInt32 | 1 : 1;
  roundResult(f, 0, (exponent + exponentBias) >> 1, q | 0, s | 0, extra);
}
