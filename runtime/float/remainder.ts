/** FPREM and FPREM1: exact remainders, by long division. */
import { divisionDigit } from "./divide.ts";
import { roundExtended } from "./round.ts";
import {
  exception as exceptionImported,
  type FloatUnit,
  isDenormal,
  isInfinity,
  isNaN80,
  isUnsupported,
  normalize,
  propagateNaNs,
  setInvalid,
  signBit,
} from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;

/** f.quotient after an incomplete reduction. */
export const incomplete = -1;
/** f.quotient after an invalid operation or a NaN. */
export const undivided = -2;

/**
 * a - b * q with q = a / b truncated (FPREM) or, when `nearest`, rounded to nearest even (FPREM1). f.quotient holds the low three bits of q; when
 * the exponents are 64 or more apart the reduction is partial and f.quotient is `incomplete`.
 */
export function remainder(
  f: FloatUnit,
  aLow: number,
  aHigh: number,
  aSign: number,
  bLow: number,
  bHigh: number,
  bSign: number,
  nearest: boolean,
): void {
  f.quotient = undivided;
  f.roundedUp = 0;
  if (isUnsupported(aHigh, aSign) || isUnsupported(bHigh, bSign)) {
    setInvalid(f);
    return;
  }
  if (isNaN80(aLow, aHigh, aSign) || isNaN80(bLow, bHigh, bSign)) {
    propagateNaNs(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
    return;
  }
  if (isInfinity(aLow, aHigh, aSign) || (bLow | bHigh) === 0) {
    setInvalid(f);
    return;
  }
  f.quotient = 0;
  if (isDenormal(aLow, aHigh, aSign) || isDenormal(bLow, bHigh, bSign)) f.flags |= exception.denormal;
  let sign = aSign & signBit;
  f.low = aLow;
  f.high = aHigh;
  f.signExponent = aSign;
  if ((aLow | aHigh) === 0) return;

  let a = aSign & 0x7fff || 1;
  let b = bSign & 0x7fff || 1;
  a -= normalize(f, aLow, aHigh);
  aLow = f.low;
  aHigh = f.high;
  if (isInfinity(bLow, bHigh, bSign)) {
    roundExtended(f, sign, a, aLow, aHigh, 0);
    return;
  }
  b -= normalize(f, bLow, bHigh);
  bLow = f.low;
  bHigh = f.high;
  let distance = a - b;
  if (distance < (nearest ? -1 : 0)) {
    roundExtended(f, sign, a, aLow, aHigh, 0);
    return;
  }
  if (distance === -1) {
    // a lies in (b/4, b): nearer to b than to 0 when 2a > b.
    if (aHigh >>> 0 > bHigh >>> 0 || (aHigh === bHigh && aLow >>> 0 > bLow >>> 0)) {
      f.quotient = 1;
      sign ^= signBit;
      const doubledLow = bLow << 1;
      const low = (doubledLow - aLow) | 0;
      const high = (((bHigh << 1) | (bLow >>> 31)) - aHigh - (doubledLow >>> 0 < aLow >>> 0 ? 1 : 0)) | 0;
      finish(f, sign, a, low, high);
      return;
    }
    roundExtended(f, sign, a, aLow, aHigh, 0);
    return;
  }

  let q = 0;
  const partial = distance >= 64;
  if (partial) {
    // Any reduction by 32 to 63 bits is allowed (SDM vol. 2, FPREM).
    const bits = 32 + (distance & 31);
    b += distance - bits;
    distance = bits;
  }
  f.low = aLow;
  f.high = aHigh;
  if (aHigh >>> 0 > bHigh >>> 0 || (aHigh === bHigh && aLow >>> 0 >= bLow >>> 0)) {
    q = 1;
    subtractInPlace(f, bLow, bHigh);
  }
  for (let bit = distance & 31; bit > 0; bit--) {
    const carry = f.high < 0;
    f.high = (f.high << 1) | (f.low >>> 31);
    f.low <<= 1;
    q <<= 1;
    if (carry || f.high >>> 0 > bHigh >>> 0 || (f.high === bHigh && f.low >>> 0 >= bLow >>> 0)) {
      q |= 1;
      subtractInPlace(f, bLow, bHigh);
    }
  }
  if (distance >= 32) q = divisionDigit(f, bLow, bHigh);
  if (nearest && !partial) {
    const doubledHigh = (f.high << 1) | (f.low >>> 31);
    const doubledLow = f.low << 1;
    const isTie = f.high >= 0 && doubledHigh === bHigh && doubledLow === bLow;
    const above = f.high < 0 || doubledHigh >>> 0 > bHigh >>> 0 || (doubledHigh === bHigh && doubledLow >>> 0 > bLow >>> 0);
    if (above || (isTie && (q & 1) !== 0)) {
      q++;
      sign ^= signBit;
      const low = (bLow - f.low) | 0;
      f.high = (bHigh - f.high - (bLow >>> 0 < f.low >>> 0 ? 1 : 0)) | 0;
      f.low = low;
    }
  }
  f.quotient = partial ? incomplete : q & 7;
  finish(f, sign, b, f.low, f.high);
}

function subtractInPlace(f: FloatUnit, bLow: number, bHigh: number): void {
  const low = f.low;
  f.low = (low - bLow) | 0;
  f.high = (f.high - bHigh - (low >>> 0 < bLow >>> 0 ? 1 : 0)) | 0;
}

function finish(f: FloatUnit, sign: number, exponent: number, low: number, high: number): void {
  if ((low | high) === 0) {
    f.low = f.high = 0;
    f.signExponent = sign;
    return;
  }
  const shift = normalize(f, low, high);
  roundExtended(f, sign, exponent - shift, f.low, f.high, 0);
}
