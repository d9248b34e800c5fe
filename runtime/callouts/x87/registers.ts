/**
 * The x87 register file. A register's value has two homes. The *integers* (mantissa low, mantissa high, sign and exponent) hold anything. The *pair* of
 * doubles high + low holds zeros and normal numbers of 64 bits from 2^-899 up to about 2^972, and arithmetic on it is several times as fast
 * (docs/X87.md). A NaN as the pair's high part says that the value is in the integers; otherwise the pair counts and the integers are stale.
 *
 * A pair is exact: |low| <= 2^-32 ufp(high), and low is a multiple of 2^-64 ufp(high), where ufp is the power of two at or below a magnitude. High need not
 * be the double nearest to the value. Beside a zero low is -0, so that high + low keeps the sign of either zero.
 *
 * C1 and PE are kept in doubles too (contract/slots.ts): most are never asked for.
 *
 * Everything that looks at the register file in integers does so through this module: `spill` before it reads, `writeIntegers` to write.
 */
import { slot as slotImported } from "../../../translator/contract/slots.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const { fpuMantissaLow, fpuMantissaHigh, fpuSignExponent, fpuPairs, fpuBits } = slot;

/** Elements of F: the rows of high and low parts, and the double that `slot.fpuBits` takes apart. */
export const pairHigh = slot.fpuPairHigh / 2;
export const pairLow = slot.fpuPairLow / 2;
const bits = slot.fpuBits / 2;
const residue = slot.fpuResidue / 2;
const rounded = slot.fpuRounded / 2;
const inexact = slot.fpuInexact / 2;

const bias = 0x3fff;
const smallestExponent = bias - 899;
/** Exponents from the smallest to that of 2^970: rounding to a double must not reach 2^972. */
const exponents = 899 + 970;
const minInt32 = -0x80000000;

/** The register file and status words, as a CPU has them. */
export interface RegisterFile {
  readonly R: Int32Array;
  readonly F: Float64Array;
}

/** Brings the integers of `register` up to date; the pair stays. */
export function spill({ R, F }: RegisterFile, register: number): void {
  const h = F[pairHigh + register];
  const l = F[pairLow + register];
  const d = h + l;
  if (Number.isNaN(d)) return;
  const e = h - d + l;
  F[bits] = d;
  const low = R[fpuBits];
  const high = R[fpuBits + 1];
  const sign = (high >>> 16) & 0x8000;
  if (d === 0) {
    R[fpuMantissaLow + register] = R[fpuMantissaHigh + register] = 0;
    R[fpuSignExponent + register] = sign;
    return;
  }
  let exponent = (high >>> 20) & 0x7ff;
  let mantissaLow = low << 11;
  let mantissaHigh = minInt32 | ((high & 0xfffff) << 11) | (low >>> 21);
  if (e !== 0) {
    // e in units of the 64-bit mantissa's last place: at most half a place of the double's, 2^10.
    R[fpuBits] = 0;
    R[fpuBits + 1] = (1023 + 63 + 1023 - exponent) << 20;
    let units = e * F[bits];
    if (sign !== 0) units = -units;
    if (units < 0 && ((high & 0xfffff) | low) === 0) {
      // A power of two, pulled into the binade below, whose places are half as large.
      exponent--;
      mantissaHigh = -1;
      mantissaLow = (units * 2) | 0;
    } else {
      if (units < 0 && mantissaLow === 0) mantissaHigh = (mantissaHigh - 1) | 0;
      mantissaLow = (mantissaLow + units) | 0;
    }
  }
  R[fpuMantissaLow + register] = mantissaLow;
  R[fpuMantissaHigh + register] = mantissaHigh;
  R[fpuSignExponent + register] = sign | (exponent - 1023 + bias);
}

/** The integers become those of the high part alone; the pair stays. */
export function spillHigh(file: RegisterFile, register: number): void {
  const { F } = file;
  const low = F[pairLow + register];
  F[pairLow + register] = -0;
  spill(file, register);
  F[pairLow + register] = low;
}

/** Makes each high part the double nearest to its value, which arithmetic on doubles takes for granted and exact arithmetic does not see to. */
export function nearestHighs({ F }: RegisterFile): void {
  for (let register = 0; register < 8; register++) {
    const h = F[pairHigh + register];
    const d = h + F[pairLow + register];
    // Beside a zero low stays -0.
    if (d === h || Number.isNaN(d)) continue;
    F[pairLow + register] = h - d + F[pairLow + register];
    F[pairHigh + register] = d;
  }
}

export function spillAll(file: RegisterFile): void {
  for (let register = 0; register < 8; register++) spill(file, register);
}

/** Gives a register a value in integers, which becomes a pair if it can. */
export function writeIntegers({ R, F }: RegisterFile, register: number, low: number, high: number, signExponent: number): void {
  const exponent = signExponent & 0x7fff;
  if (high < 0 && (exponent - smallestExponent) >>> 0 <= exponents) {
    R[fpuBits] = 0;
    R[fpuBits + 1] = ((exponent - bias - 63 + 1023) << 20) | ((signExponent & 0x8000) << 16);
    const scale = F[bits];
    const a = (high >>> 0) * (scale * 4294967296);
    const b = (low >>> 0) * scale;
    const h = a + b;
    F[pairHigh + register] = h;
    F[pairLow + register] = b - (h - a);
    R[fpuPairs] = 1;
  } else if ((exponent | high | low) === 0) {
    F[pairHigh + register] = signExponent !== 0 ? -0 : 0;
    F[pairLow + register] = -0;
    R[fpuPairs] = 1;
  } else {
    F[pairHigh + register] = NaN;
    R[fpuMantissaLow + register] = low;
    R[fpuMantissaHigh + register] = high;
    R[fpuSignExponent + register] = signExponent;
  }
}

/** C1: "rounded up" after arithmetic, "overflow" after a stack fault (SDM vol. 1, 8.1.3.2). */
export function setC1({ F }: RegisterFile, on: boolean): void {
  F[residue] = on ? -1 : 0;
  F[rounded] = 1;
}

export function isC1(F: Float64Array): boolean {
  const r = F[residue];
  return r !== 0 && r < 0 !== F[rounded] < 0;
}

/** Puts PE where the other exceptions are. */
export function settleInexact({ R, F }: RegisterFile): void {
  if (F[inexact] === 0) return;
  F[inexact] = 0;
  R[slot.fpuStatus] |= 0x20;
}

/** The status word, TOP and C1 in place. */
export function statusWord(file: RegisterFile): number {
  settleInexact(file);
  const { R } = file;
  return R[slot.fpuStatus] | (R[slot.fpuTop] << 11) | (isC1(file.F) ? 0x200 : 0);
}

/** Loads it as it is: exceptions pending or not are the caller's affair. */
export function loadStatusWord(file: RegisterFile, value: number): void {
  file.F[inexact] = 0;
  file.R[slot.fpuStatus] = value & 0xc5ff;
  file.R[slot.fpuTop] = (value >>> 11) & 7;
  setC1(file, (value & 0x200) !== 0);
}

/** Sets a register to h + l, a pair, and says how it was rounded. */
export function writePair({ R, F }: RegisterFile, register: number, h: number, l: number, r: number): void {
  F[pairHigh + register] = h;
  F[pairLow + register] = l;
  F[residue] = r;
  F[rounded] = h;
  if (r !== 0) R[slot.fpuStatus] |= 0x20;
  R[fpuPairs] = 1;
}

/** A double from its two words. */
export function joinDouble({ R, F }: RegisterFile, low: number, high: number): number {
  R[fpuBits] = low;
  R[fpuBits + 1] = high;
  return F[bits];
}

/** All registers to integers, none as a pair: what MMX instructions, which read and write the integers, need to begin with. */
export function integersOnly(file: RegisterFile): void {
  const { R, F } = file;
  if (R[fpuPairs] === 0) return;
  for (let register = 0; register < 8; register++) {
    spill(file, register);
    F[pairHigh + register] = NaN;
  }
  R[fpuPairs] = 0;
}

/** The integers count, whatever the pairs say: after reset, or after somebody wrote the integers of all registers. */
export function forgetPairs({ R, F }: RegisterFile): void {
  for (let register = 0; register < 8; register++) F[pairHigh + register] = NaN;
  R[fpuPairs] = 0;
}
