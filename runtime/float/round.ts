/**
 * Rounding to the destination: every arithmetic result ends here as sign, biased exponent (any int32), a normalized 64-bit mantissa and
 * 32 further bits `extra` whose bit 0 is sticky (set when anything non-zero lies beyond).
 */
import {
  exception as exceptionImported,
  exponentWrap,
  type FloatUnit,
  minInt32,
  precisionControl as precisionControlImported,
  roundingControl as roundingControlImported,
  setResult,
} from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;
const precisionControl = precisionControlImported;
const roundingControl = roundingControlImported;

/** Rounds at the precision that the control word asks for. `high` has bit 31 set; `sign` is 0 or 0x8000. */
export function roundResult(f: FloatUnit, sign: number, exponent: number, low: number, high: number, extra: number): void {
  // Almost everything: extended precision, to nearest, exponent in range whatever the rounding does.
  if ((f.control & 0xf00) === precisionControl.extended && exponent > 0 && exponent < 0x7ffe) {
    if (extra !== 0) {
      f.flags |= exception.precision;
      if (extra < 0 && (extra !== minInt32 || (low & 1) !== 0)) {
        f.roundedUp = 0x200;
        low = (low + 1) | 0;
        if (low === 0) {
          high = (high + 1) | 0;
          if (high === 0) {
            high = minInt32;
            exponent++;
          }
        }
      } else f.roundedUp = 0;
    } else f.roundedUp = 0;
    f.low = low;
    f.high = high;
    f.signExponent = sign | exponent;
    return;
  }
  roundAt(f, f.control & precisionControl.mask, sign, exponent, low, high, extra);
}

/** The same whatever the precision control says: FSCALE, loads, transcendentals. */
export function roundExtended(f: FloatUnit, sign: number, exponent: number, low: number, high: number, extra: number): void {
  roundAt(f, precisionControl.extended, sign, exponent, low, high, extra);
}

/** Whether a magnitude with discarded bits `extra` (bit 31 = one half) goes up; `odd` is its last kept bit. */
export function roundsUp(control: number, sign: number, odd: boolean, extra: number): boolean {
  switch (control & roundingControl.mask) {
    case roundingControl.nearest:
      return extra < 0 && (extra !== minInt32 || odd);
    case roundingControl.down:
      return extra !== 0 && sign !== 0;
    case roundingControl.up:
      return extra !== 0 && sign === 0;
    default:
      return false;
  }
}

function roundAt(f: FloatUnit, precision: number, sign: number, exponent: number, low: number, high: number, extra: number): void {
  let unitLow = 1;
  let unitHigh = 0;
  if (precision === precisionControl.double) unitLow = 0x800;
  else if (precision === precisionControl.single) {
    unitLow = 0;
    unitHigh = 0x100;
  }

  let tiny = false;
  if (exponent <= 0) {
    // Tiny after rounding: the result rounded as if the exponent were unbounded is still below the smallest normal number.
    tiny = exponent < 0 || !roundsToNextBinade(f.control, sign, unitLow, unitHigh, low, high, extra);
    if (tiny && (f.control & exception.underflow) === 0) {
      f.flags |= exception.underflow;
      tiny = false;
      exponent += exponentWrap;
    } else {
      const shift = 1 - exponent;
      if (shift >= 66) {
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
  }

  if (unitLow === 0x800) {
    extra = (low << 21) | (extra !== 0 ? 1 : 0);
    low &= ~0x7ff;
  } else if (unitHigh !== 0) {
    extra = (high << 24) | ((low | extra) !== 0 ? 1 : 0);
    high &= ~0xff;
    low = 0;
  }
  const up = roundsUp(f.control, sign, ((low & unitLow) | (high & unitHigh)) !== 0, extra);
  f.roundedUp = up ? 0x200 : 0;
  if (up) {
    const before = low;
    low = (low + unitLow) | 0;
    if (unitHigh !== 0) high = (high + unitHigh) | 0;
    else if (low >>> 0 < before >>> 0) high = (high + 1) | 0;
    if (exponent > 0 && high >= 0) {
      high = minInt32;
      exponent++;
    }
  }
  if (exponent === 0 && high < 0) exponent = 1;
  if (extra !== 0) {
    f.flags |= exception.precision;
    if (tiny) f.flags |= exception.underflow;
  }
  if (exponent >= 0x7fff) overflow(f, sign, exponent, low, high, unitLow, unitHigh);
  else setResult(f, low, high, sign | exponent);
}

function roundsToNextBinade(control: number, sign: number, unitLow: number, unitHigh: number, low: number, high: number, extra: number): boolean {
  if (unitHigh !== 0) {
    return (high & ~0xff) === ~0xff && roundsUp(control, sign, true, (high << 24) | ((low | extra) !== 0 ? 1 : 0));
  }
  if (high !== -1) return false;
  if (unitLow === 0x800) return (low & ~0x7ff) === ~0x7ff && roundsUp(control, sign, true, (low << 21) | (extra !== 0 ? 1 : 0));
  return low === -1 && roundsUp(control, sign, true, extra);
}

function overflow(f: FloatUnit, sign: number, exponent: number, low: number, high: number, unitLow: number, unitHigh: number): void {
  f.flags |= exception.overflow;
  if ((f.control & exception.overflow) === 0) {
    setResult(f, low, high, sign | ((exponent - exponentWrap) & 0x7fff));
    return;
  }
  f.flags |= exception.precision;
  const rounding = f.control & roundingControl.mask;
  if (rounding === roundingControl.nearest || rounding === (sign !== 0 ? roundingControl.down : roundingControl.up)) {
    f.roundedUp = 0x200;
    setResult(f, 0, minInt32, sign | 0x7fff);
  } else {
    f.roundedUp = 0;
    setResult(f, -unitLow | 0, unitHigh !== 0 ? -unitHigh | 0 : -1, sign | 0x7ffe);
  }
}
