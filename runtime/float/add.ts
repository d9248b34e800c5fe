/** Addition and subtraction. */
import { roundResult } from "./round.ts";
import {
  exception as exceptionImported,
  type FloatUnit,
  isDenormal,
  isInfinity,
  isNaN80,
  isUnsupported,
  normalize,
  propagateNaNs,
  roundingControl as roundingControlImported,
  setInvalid,
  setResult,
  setZero,
  signBit,
} from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;
const roundingControl = roundingControlImported;

export function add(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  addOrSubtract(f, aLow, aHigh, aSign, bLow, bHigh, bSign, 0);
}

/** a - b. */
export function subtract(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  addOrSubtract(f, aLow, aHigh, aSign, bLow, bHigh, bSign, signBit);
}

/** `flip` is xored into b's sign, except that a NaN keeps its own. */
function addOrSubtract(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number, flip: number): void {
  let a = aSign & 0x7fff;
  let b = bSign & 0x7fff;
  if (aHigh >= 0 || bHigh >= 0 || a === 0 || b === 0 || a === 0x7fff || b === 0x7fff) {
    if (addSpecial(f, aLow, aHigh, aSign, bLow, bHigh, bSign, flip)) return;
    if (a === 0) a = 1;
    if (b === 0) b = 1;
  }
  const sign = aSign & signBit;
  const subtracting = ((aSign ^ bSign ^ flip) & signBit) !== 0;
  if (a > b || (a === b && (aHigh >>> 0 > bHigh >>> 0 || (aHigh === bHigh && aLow >>> 0 >= bLow >>> 0)))) {
    combine(f, sign, a, aLow, aHigh, a - b, bLow, bHigh, subtracting);
  } else combine(f, subtracting ? sign ^ signBit : sign, b, bLow, bHigh, b - a, aLow, aHigh, subtracting);
}

/** NaNs, infinities and zeros; true when the result is set. Denormals only raise their exception here. */
function addSpecial(f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number, flip: number): boolean {
  if (isUnsupported(aHigh, aSign) || isUnsupported(bHigh, bSign)) {
    setInvalid(f);
    return true;
  }
  if (isNaN80(aLow, aHigh, aSign) || isNaN80(bLow, bHigh, bSign)) {
    propagateNaNs(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
    return true;
  }
  const aInfinite = isInfinity(aLow, aHigh, aSign);
  const bInfinite = isInfinity(bLow, bHigh, bSign);
  const opposite = ((aSign ^ bSign ^ flip) & signBit) !== 0;
  if (aInfinite && bInfinite && opposite) {
    setInvalid(f);
    return true;
  }
  if (isDenormal(aLow, aHigh, aSign) || isDenormal(bLow, bHigh, bSign)) f.flags |= exception.denormal;
  if (aInfinite) {
    setResult(f, aLow, aHigh, aSign);
    return true;
  }
  if (bInfinite) {
    setResult(f, bLow, bHigh, bSign ^ flip);
    return true;
  }
  const aZero = (aLow | aHigh) === 0;
  const bZero = (bLow | bHigh) === 0;
  if (aZero && bZero) {
    setZero(f, opposite ? zeroDifferenceSign(f) : aSign & signBit);
    return true;
  }
  // The other operand still has to be rounded to the precision in force.
  if (aZero) {
    const shift = normalize(f, bLow, bHigh);
    const exponent = bSign & 0x7fff;
    roundResult(f, (bSign ^ flip) & signBit, (exponent === 0 ? 1 : exponent) - shift, f.low, f.high, 0);
    return true;
  }
  if (bZero) {
    const shift = normalize(f, aLow, aHigh);
    const exponent = aSign & 0x7fff;
    roundResult(f, aSign & signBit, (exponent === 0 ? 1 : exponent) - shift, f.low, f.high, 0);
    return true;
  }
  return false;
}

/** x - x is +0, or -0 when rounding down. */
function zeroDifferenceSign(f: FloatUnit): number {
  return (f.control & roundingControl.mask) === roundingControl.down ? signBit : 0;
}

/** |a| >= |b| > 0, exponents `distance` apart; `sign` is that of a. */
function combine(
  f: FloatUnit,
  sign: number,
  exponent: number,
  aLow: number,
  aHigh: number,
  distance: number,
  bLow: number,
  bHigh: number,
  subtracting: boolean,
): void {
  let extra = 0;
  if (distance !== 0) {
    if (distance < 32) {
      extra = bLow << (32 - distance);
      bLow = (bLow >>> distance) | (bHigh << (32 - distance));
      bHigh >>>= distance;
    } else if (distance < 64) {
      const s = distance - 32;
      if (s === 0) {
        extra = bLow;
        bLow = bHigh;
      } else {
        extra = (bHigh << (32 - s)) | (bLow >>> s) | (bLow << (32 - s) !== 0 ? 1 : 0);
        bLow = bHigh >>> s;
      }
      bHigh = 0;
    } else {
      const s = distance - 64;
      extra = s < 31 ? (bHigh >>> s) | ((bLow | (s === 0 ? 0 : bHigh << (32 - s))) !== 0 ? 1 : 0) : 1;
      bLow = bHigh = 0;
    }
  }
  let low: number;
  let high: number;
  if (!subtracting) {
    low = (aLow + bLow) | 0;
    high = (aHigh + bHigh + (((aLow & bLow) | ((aLow | bLow) & ~low)) >>> 31)) | 0;
    if (((aHigh & bHigh) | ((aHigh | bHigh) & ~high)) < 0) {
      extra = (low << 31) | (extra >>> 1) | (extra & 1);
      low = (low >>> 1) | (high << 31);
      high = (high >>> 1) | 0x80000000;
      exponent++;
    }
  } else {
    const borrow = extra !== 0 ? 1 : 0;
    extra = -extra | 0;
    low = (aLow - bLow) | 0;
    let borrowHigh = aLow >>> 0 < bLow >>> 0 ? 1 : 0;
    if (borrow !== 0) {
      if (low === 0) borrowHigh++;
      low = (low - 1) | 0;
    }
    high = (aHigh - bHigh - borrowHigh) | 0;
  }
  if (high < 0) {
    roundResult(f, sign, exponent, low, high, extra);
    return;
  }
  if ((high | low) === 0) {
    if (extra === 0) {
      setZero(f, zeroDifferenceSign(f));
      f.roundedUp = 0;
      return;
    }
    // Operands one place apart: one bit is left.
    low = extra;
    extra = 0;
    exponent -= 32;
  }
  let shift = Math.clz32(high);
  if (shift === 32) {
    high = low;
    low = extra;
    extra = 0;
    exponent -= 32;
    shift = Math.clz32(high);
  }
  if (shift !== 0) {
    high = (high << shift) | (low >>> (32 - shift));
    low = (low << shift) | (extra >>> (32 - shift));
    extra <<= shift;
  }
  roundResult(f, sign, exponent - shift, low, high, extra);
}
