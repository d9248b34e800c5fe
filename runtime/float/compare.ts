/** Comparison and classification. Results are EFLAGS-shaped: CF = 1 below, ZF = 0x40 equal, 0x45 unordered, 0 above. */
import { exception as exceptionImported, type FloatUnit, isDenormal, isNaN80, isUnsupported, signBit } from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;

export const comparison = { above: 0, below: 1, equal: 0x40, unordered: 0x45 } as const;

/** Compares a with b. A quiet NaN is invalid only when `ordered` (FCOM, not FUCOM). */
export function compare(
  f: FloatUnit,
  aLow: number,
  aHigh: number,
  aSign: number,
  bLow: number,
  bHigh: number,
  bSign: number,
  ordered: boolean,
): number {
  if (isUnsupported(aHigh, aSign) || isUnsupported(bHigh, bSign)) {
    f.flags = (f.flags & ~exception.denormal) | exception.invalid;
    return comparison.unordered;
  }
  const aNaN = isNaN80(aLow, aHigh, aSign);
  const bNaN = isNaN80(bLow, bHigh, bSign);
  if (aNaN || bNaN) {
    f.flags &= ~exception.denormal;
    if (ordered || (aNaN && (aHigh & 0x40000000) === 0) || (bNaN && (bHigh & 0x40000000) === 0)) f.flags |= exception.invalid;
    return comparison.unordered;
  }
  let a = aSign & 0x7fff;
  let b = bSign & 0x7fff;
  if (isDenormal(aLow, aHigh, aSign) || isDenormal(bLow, bHigh, bSign)) f.flags |= exception.denormal;
  // A pseudo-denormal is the same number as the normal one with exponent 1.
  if (a === 0) a = 1;
  if (b === 0) b = 1;
  if ((aLow | aHigh | (bLow | bHigh)) === 0) return comparison.equal;
  const aNegative = (aSign & signBit) !== 0;
  if (aNegative !== ((bSign & signBit) !== 0)) return aNegative ? comparison.below : comparison.above;
  if (a === b && aHigh === bHigh && aLow === bLow) return comparison.equal;
  const larger = a !== b ? a > b : aHigh !== bHigh ? aHigh >>> 0 > bHigh >>> 0 : aLow >>> 0 > bLow >>> 0;
  return larger !== aNegative ? comparison.above : comparison.below;
}

/** FXAM's C3, C2 and C0 in status word positions, without the sign and the empty case (SDM vol. 2, FXAM). */
export function examine(low: number, high: number, signExponent: number): number {
  const exponent = signExponent & 0x7fff;
  if (exponent === 0) return (low | high) === 0 ? 0x4000 : 0x4400;
  if (high >= 0) return 0;
  if (exponent !== 0x7fff) return 0x400;
  return ((high << 1) | low) === 0 ? 0x500 : 0x100;
}
