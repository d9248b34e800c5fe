/**
 * Tests that an operation on JavaScript numbers can have raised nothing but precision. A result must lie strictly above the smallest
 * normal number: a tiny result may round up to exactly that one and is still tiny. NaNs fail every comparison.
 */
const smallestDouble = 2 ** -1022;
const smallestSingle = 2 ** -126;
const largestDouble = Number.MAX_VALUE;
const largestSingle = (2 - 2 ** -23) * 2 ** 127;

/** Not a NaN, not a denormal. */
export const isOrdinaryDouble = (x: number): boolean => Math.abs(x) >= smallestDouble || x === 0;
export const isOrdinarySingle = (x: number): boolean => Math.abs(x) >= smallestSingle || x === 0;

const isNormalDouble = (r: number) => Math.abs(r) > smallestDouble && Math.abs(r) <= largestDouble;
const isNormalSingle = (r: number) => Math.abs(r) > smallestSingle && Math.abs(r) <= largestSingle;

/** r = a + b or a - b: finite operands follow from a finite result, and a zero result is exact. */
export function normalSumDouble(a: number, b: number, r: number): boolean {
  return isOrdinaryDouble(a) && isOrdinaryDouble(b) && (isNormalDouble(r) || r === 0);
}
export function normalSumSingle(a: number, b: number, r: number): boolean {
  return isOrdinarySingle(a) && isOrdinarySingle(b) && (isNormalSingle(r) || r === 0);
}

/** r = a * b: a zero result is exact only if an operand is zero (and then no other one infinite: that would be a NaN). */
export function normalProductDouble(a: number, b: number, r: number): boolean {
  return isOrdinaryDouble(a) && isOrdinaryDouble(b) && (isNormalDouble(r) || (r === 0 && (a === 0 || b === 0)));
}
export function normalProductSingle(a: number, b: number, r: number): boolean {
  return isOrdinarySingle(a) && isOrdinarySingle(b) && (isNormalSingle(r) || (r === 0 && (a === 0 || b === 0)));
}

/** r = a / b: a finite result means a divisor that is not zero. */
export function normalQuotientDouble(a: number, b: number, r: number): boolean {
  return isOrdinaryDouble(a) && isOrdinaryDouble(b) && (isNormalDouble(r) || (r === 0 && a === 0));
}
export function normalQuotientSingle(a: number, b: number, r: number): boolean {
  return isOrdinarySingle(a) && isOrdinarySingle(b) && (isNormalSingle(r) || (r === 0 && a === 0));
}

/** The root of b is normal. */
export const normalRootDouble = (b: number): boolean => (b >= smallestDouble && b <= largestDouble) || b === 0;
export const normalRootSingle = (b: number): boolean => (b >= smallestSingle && b <= largestSingle) || b === 0;
