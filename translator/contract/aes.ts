/** The substitution boxes of AES (FIPS 197, 5.1.1 and 5.3.2), from their definition: an inverse in GF(2^8), and an affine map; and the table that its rounds look up. */

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let factor = a, bits = b; bits !== 0; bits >>= 1) {
    if (bits & 1) product ^= factor;
    factor = (factor << 1) ^ (factor & 0x80 ? 0x11b : 0);
  }
  return product;
}

/** Inverses in GF(2^8), of 0: 0. All elements but 0 are powers of 3, and the inverse of 3^n is 3^(255 - n). */
function inverses(): number[] {
  const powers = [1];
  for (let n = 1; n < 255; n++) powers.push(multiply(powers[n - 1], 3));
  const inverse = new Array<number>(256).fill(0);
  powers.forEach((x, n) => {
    inverse[x] = powers[(255 - n) % 255];
  });
  return inverse;
}

function substitute(inverse: number): number {
  let result = 0x63;
  for (let shift = 0; shift < 5; shift++) result ^= (inverse << shift) | (inverse >> (8 - shift));
  return result & 0xff;
}

/** SubBytes and InvSubBytes, 256 bytes each. */
export const substitution: readonly number[] = Object.freeze(inverses().map(substitute));
const inverseSubstitution: readonly number[] = Object.freeze(Array.from({ length: 256 }, (_, x) => substitution.indexOf(x)));

/** What a byte x of row 0 adds to its column in MixColumns (02 01 01 03 times x, from the lowest byte up) and in InvMixColumns (0e 09 0d 0b). */
const mixed = (x: number): number => word([2, 1, 1, 3], x);
export const mixedBack = (x: number): number => word([14, 9, 13, 11], x);
function word(factors: readonly number[], x: number): number {
  return factors.reduce((sum, factor, k) => sum | (multiply(factor, x) << (8 * k)), 0);
}
const turned = (x: number, row: number): number => (row === 0 ? x : (x << (8 * row)) | (x >>> (32 - 8 * row)));

/**
 * The table `AT` of generated code (Daemen and Rijmen, "AES Proposal: Rijndael", 5.2.1), words: for each row 256 of what a byte adds to a column in a round; the same of inverse
 * rounds from 1024 on; from 2048 on InvSubBytes, in all bytes of a word. SubBytes is in the middle bytes of the first 256.
 */
export const aesTableWords = 2304;
export function fillAesTable(table: Int32Array): void {
  for (let x = 0; x < 256; x++) {
    for (let row = 0; row < 4; row++) {
      table[256 * row + x] = turned(mixed(substitution[x]), row);
      table[1024 + 256 * row + x] = turned(mixedBack(inverseSubstitution[x]), row);
    }
    table[2048 + x] = inverseSubstitution[x] * 0x01010101;
  }
}
