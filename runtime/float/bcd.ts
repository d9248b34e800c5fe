/** Packed decimal: 18 digits in nine bytes, least significant first, and a sign byte (SDM vol. 1, 4.7). Rare, so BigInt does it. */
import { integerPart } from "./convert.ts";
import { exception as exceptionImported, type FloatUnit, isUnsupported, normalize, setResult, signBit } from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const exception = exceptionImported;

/** The ten bytes as three little-endian words, the last of 16 bits. Digits above 9 count with their value, as hardware does. */
export function fromBcd(f: FloatUnit, word0: number, word1: number, word2: number): void {
  const sign = word2 & signBit;
  let value = 0n;
  for (let digit = 17; digit >= 0; digit--) {
    const word = digit < 8 ? word0 : digit < 16 ? word1 : word2;
    value = value * 10n + BigInt((word >>> ((digit & 7) * 4)) & 15);
  }
  if (value === 0n) {
    setResult(f, 0, 0, sign);
    return;
  }
  const shift = normalize(f, Number(value & 0xffffffffn) | 0, Number(value >> 32n) | 0);
  f.signExponent = sign | (0x3fff + 63 - shift);
}

/** Words in f.low, f.high and f.signExponent (16 bits, sign byte above). Out of range: invalid, the packed BCD indefinite. */
export function toBcd(f: FloatUnit, low: number, high: number, signExponent: number): void {
  if (!isUnsupported(high, signExponent) && (signExponent & 0x7fff) < 0x3fff + 63) {
    integerPart(f, low, high, signExponent);
    let value = (BigInt(f.high >>> 0) << 32n) | BigInt(f.low >>> 0);
    if (value < 1_000_000_000_000_000_000n) {
      if (f.inexact) f.flags |= exception.precision;
      let packed = 0n;
      for (let digit = 0n; digit < 18n; digit++) {
        packed |= (value % 10n) << (4n * digit);
        value /= 10n;
      }
      f.low = Number(packed & 0xffffffffn) | 0;
      f.high = Number((packed >> 32n) & 0xffffffffn) | 0;
      f.signExponent = Number(packed >> 64n) | (signExponent & signBit);
      return;
    }
  }
  f.flags |= exception.invalid;
  f.roundedUp = 0;
  f.low = 0;
  f.high = 0xc0000000 | 0;
  f.signExponent = 0xffff;
}
