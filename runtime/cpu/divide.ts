/** 64 by 32 bit division, for quotients that fit 32 bits. */
import { mulhu } from "./multiply.ts";

/** Quotient of the unsigned high:low by `divisor`, where high < divisor: the double quotient is off by at most one. */
export function divu(high: number, low: number, divisor: number): number {
  const d = divisor >>> 0;
  let q = Math.min(Math.trunc(((high >>> 0) * 4294967296 + (low >>> 0)) / d), 4294967295);
  // Exact remainder as a signed 64-bit pair; its high word is 0 or -1 or, when the estimate is one low, the rest is >= d.
  const productLow = Math.imul(q | 0, divisor) >>> 0;
  let rest = ((high >>> 0) - (mulhu(q | 0, divisor) >>> 0)) * 4294967296 + ((low >>> 0) - productLow);
  while (rest < 0) {
    q--;
    rest += d;
  }
  while (rest >= d) {
    q++;
    rest -= d;
  }
  return q | 0;
}

/** The magnitude of a negative high:low, high word. */
function negatedHigh(high: number, low: number): number {
  return (~high + (low === 0 ? 1 : 0)) | 0;
}

/** Quotient of the signed high:low by `divisor`, towards zero, if it fits. */
export function divs(high: number, low: number, divisor: number): number {
  const d = divisor < 0 ? -divisor | 0 : divisor;
  const magnitude = high < 0 ? divu(negatedHigh(high, low), -low | 0, d) : divu(high, low, d);
  return high < 0 === divisor < 0 ? magnitude : -magnitude | 0;
}

export function signedQuotientFits(high: number, low: number, divisor: number): boolean {
  const isNegative = high < 0;
  const magnitudeHigh = isNegative ? negatedHigh(high, low) : high;
  const d = divisor < 0 ? -divisor | 0 : divisor;
  if (magnitudeHigh >>> 0 >= d >>> 0) return false;
  const magnitude = divu(magnitudeHigh, isNegative ? -low | 0 : low, d);
  return magnitude >= 0 || (isNegative !== divisor < 0 && magnitude === -2147483648);
}
