/**
 * The test before a guest access in line: the TLB entry `T` of address `A` is valid, and the memory can be accessed in one go. JavaScript's typed arrays want natural alignment for
 * that. WebAssembly does not, and can ask instead whether the bytes lie in one page (an entry that is not valid has all of its low 12 bits set, see runtime/memory/linear.ts):
 * misaligned accesses are then as fast as others, and no branch of the host's depends on how they are aligned. That test is a little slower, for it needs two constants of 12 bits: it
 * is taken where an access is likely to be misaligned. The element must be named there by its address, `M32[(T ^ A) >>> 2]`, not by an index computed before.
 */
import type { Expression } from "./estree.ts";
import * as js from "./estree.ts";

/**
 * Where all memory lies below 2 GiB of the buffer, a place `T ^ A` has bit 31 clear, and what an entry that is not valid gives has it set (runtime/memory/linear.ts): one test of the place
 * says what two of entry and address say elsewhere.
 */
export const nowhere = -0x80000000;

/** The tree of the test for JavaScript, where WebAssembly may ask about the page. */
export type PlainAccess = Extract<Expression, { type: "BinaryExpression" }> & { readonly bytes: 2 | 4 | 8 | 16 };

/** As `isPlainAccess`, where all places are low (`nowhere`), P being T ^ A. */
export function isPlainPlace(P: Expression, size: number, isLikelyMisaligned: boolean): Expression {
  if (size === 1) return js.mostly(js.binary(">=", P, js.literal(0)), true);
  const test = js.mostly(js.binary("===", js.binary("&", P, js.literal(nowhere | (size - 1))), js.literal(0)), true);
  return isLikelyMisaligned ? ({ ...test, bytes: size } as PlainAccess) : test;
}

/** @param size in bytes; @param isLikelyMisaligned and the element is named by its address */
export function isPlainAccess(T: Expression, A: Expression, size: number, isLikelyMisaligned: boolean): Expression {
  if (size === 1) return js.mostly(js.binary("===", js.binary("&", T, js.literal(1)), js.literal(0)), true);
  const test = js.mostly(js.binary("===", js.binary("&", js.binary("|", T, A), js.literal(size - 1)), js.literal(0)), true);
  return isLikelyMisaligned ? ({ ...test, bytes: size } as PlainAccess) : test;
}

/** Whether an aligned access is to a page whose TLB entry is `usual`; and where it is then. */
export function isUsualAccess(T: Expression, A: Expression, size: number, usual: number): Expression {
  const difference = placeAt(usual, T);
  const misaligned = js.binary("&", A, js.literal(size - 1));
  return js.mostly(js.binary("===", size === 1 ? difference : js.binary("|", difference, misaligned), js.literal(0)), true);
}
export function placeAt(usual: number, A: Expression): Expression {
  return usual === 0 ? A : js.binary("^", A, js.literal(usual));
}
