/**
 * x87 arithmetic in pairs of doubles, as JavaScript: exact results of 64-bit precision, rounded to nearest (docs/X87.md has the reasons).
 *
 * A value is h + l. An operation first finds s + t, the exact result or so near it that rounding cannot tell, with s a double; `finish` rounds that to 64 bits:
 * the result is s + m, and r is what was rounded off. H is half of ufp(s), the power of two at or below its magnitude, with the sign of s. Names that are not defined
 * here are constants (`x87Doubles`).
 */
import { Definitions, Quoted } from "./quoted.ts";

/** Knuth's TwoSum: s + t is the sum but for rounding in t itself. */
export const sum = new Definitions<"s" | "t">(`
    s = h1 + h2;
    z = s - h1;
    t = h1 - (s - z) + (h2 - z) + (l1 + l2)`);

/** The same with the second operand's sign changed: h1 - h2. */
export const difference = new Definitions<"s" | "t">(`
    s = h1 - h2;
    z = s - h1;
    t = h1 - (s - z) - (h2 + z) + (l1 - l2)`);

/** Dekker's product, its factors split by Veltkamp's method; for a square once. */
const dekker = `
    y1 = h1 * split;
    a1 = y1 - (y1 - h1);
    b1 = h1 - a1;`;
export const square = new Definitions<"s" | "t">(`
    s = h1 * h1;
    ${dekker}
    t = a1 * a1 - s + 2 * (a1 * b1) + b1 * b1 + l1 * (h1 + h1 + l1)`);
/** The second factor is a double. */
export const productByDouble = new Definitions<"s" | "t">(`
    s = h1 * h2;
    ${dekker}
    y2 = h2 * split;
    a2 = y2 - (y2 - h2);
    b2 = h2 - a2;
    t = a1 * a2 - s + a1 * b2 + b1 * a2 + b1 * b2 + l1 * h2`);
export const productOfDoubles = new Definitions<"s" | "t">(`
    s = h1 * h2;
    ${dekker}
    y2 = h2 * split;
    a2 = y2 - (y2 - h2);
    b2 = h2 - a2;
    t = a1 * a2 - s + a1 * b2 + b1 * a2 + b1 * b2`);
export const product = new Definitions<"s" | "t">(`
    s = h1 * h2;
    ${dekker}
    y2 = h2 * split;
    a2 = y2 - (y2 - h2);
    b2 = h2 - a2;
    t = a1 * a2 - s + a1 * b2 + b1 * a2 + b1 * b2 + (h1 * l2 + l1 * (h2 + l2))`);

export const quotient = new Definitions<"s" | "t">(`
    s = h1 / h2;
    p = s * h2;
    y1 = s * split;
    a1 = y1 - (y1 - s);
    b1 = s - a1;
    y2 = h2 * split;
    a2 = y2 - (y2 - h2);
    b2 = h2 - a2;
    t = (h1 - p - (a1 * a2 - p + a1 * b2 + b1 * a2 + b1 * b2) + (l1 - s * l2)) / (h2 + l2)`);

/** The divisor is a double. */
export const quotientByDouble = new Definitions<"s" | "t">(`
    s = h1 / h2;
    p = s * h2;
    y1 = s * split;
    a1 = y1 - (y1 - s);
    b1 = s - a1;
    y2 = h2 * split;
    a2 = y2 - (y2 - h2);
    b2 = h2 - a2;
    t = (h1 - p - (a1 * a2 - p + a1 * b2 + b1 * a2 + b1 * b2) + l1) / h2`);

export const root = new Definitions<"s" | "t">(`
    h2 = h1 + l1;
    l2 = h1 - h2 + l1;
    s = Math.sqrt(h2);
    p = s * s;
    y1 = s * split;
    a1 = y1 - (y1 - s);
    b1 = s - a1;
    t = (h2 - p - (a1 * a1 - p + 2 * (a1 * b1) + b1 * b1) + l2) / (s + s)`);

/** Rounds s + t: (t + C) - C is t in units of the last of 64 places, ties to even, for C is an even number of them. */
export const finish = new Definitions<"m" | "r" | "a" | "H">(`
    q = s * half;
    H = q - q * below;
    C = H * carry;
    m = t + C - C;
    r = t - m;
    a = Math.abs(H)`);

/** s + 2^32 t lies in the binade of s, and s is from 2^-899 (`least` is half of that) up to 2^973: then so does s + t, and |t| < 2^-32 ufp(s). */
export const inBinade = new Quoted("Math.abs(s + t * wide - H * three) <= a - least");
/** t may be wrong by 2^-79 ufp(s): r is far enough from a tie, and from 0, for that not to matter: 2^-78 a < |r| < 2^-63 (1 - 2^-15) a. */
export const certain = new Quoted("Math.abs(Math.abs(r) - a * tie) < a * nearTie");
/** The same, or there are no low parts, which leaves t exact. */
export const certainOrDoubles = new Quoted("Math.abs(Math.abs(r) - a * tie) < a * nearTie || l1 === 0 && l2 === 0");
/** Operands of a sum that leave t exact. */
export const comparable = new Quoted("Math.abs(h1) >= a * close && Math.abs(h2) >= a * close");
/** A product that is zero, not merely small. */
export const zeroFactor = new Quoted("s === 0 && (h1 === 0 || h2 === 0)");
/** A quotient of doubles without a remainder; with one, r may not be too small. */
export const noRemainder = new Quoted("t === 0 && l1 === 0 && l2 === 0");
export const noRemainderOfRoot = new Quoted("t === 0 && l2 === 0");
