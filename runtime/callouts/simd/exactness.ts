/** Error-free transformations: whether a rounded sum or product of doubles is exact (Dekker, Numer. Math. 18, 1971; Knuth, TAOCP 4.2.2). */

/** Whether s, the rounded a + b, differs from a + b. */
export function inexactSum(a: number, b: number, s: number): boolean {
  const bRounded = s - a;
  const aRounded = s - bRounded;
  return a - aRounded + (b - bRounded) !== 0;
}

/** 2^27 + 1: splits a double into two halves of 26 bits. */
const splitter = 134217729;

/** Whether p, the rounded a * b, differs from a * b. Magnitudes of a and b below 2^996, of p between 2^-960 and 2^1020, or p = 0. */
export function inexactProduct(a: number, b: number, p: number): boolean {
  const ca = splitter * a;
  const aHigh = ca - (ca - a);
  const aLow = a - aHigh;
  const cb = splitter * b;
  const bHigh = cb - (cb - b);
  const bLow = b - bHigh;
  return aLow * bLow - (p - aHigh * bHigh - aLow * bHigh - aHigh * bLow) !== 0;
}
