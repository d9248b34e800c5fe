/**
 * The pure micro-ops: one row each, with the meaning quoted as JavaScript over the row's parameters. The row yields everything else:
 * the ESTree template that both tiers print, and the constant folder. Values are int32 unless a row says otherwise; a "bool" is a
 * JavaScript boolean and lives only inside an expression.
 *
 * Free names allowed in a meaning: Math, and the pure helpers listed in `pureHelpers` (bound by the host, same meaning everywhere; AT is a table that never changes).
 */
import { vectorOps } from "./vector-ops.ts";

export type ValueType = "i32" | "bool" | "f64" | "v128";

export interface PureOpRow {
  readonly parameters: string;
  readonly js: string;
  readonly type?: ValueType;
}

export const pureHelpers = ["mulhu", "mulhs", "divu", "divs", "v128", "i8x16", "i16x8", "i32x4", "i64x2", "AT"] as const;

export const pureOps = {
  add: { parameters: "a b", js: "(a + b) | 0" },
  sub: { parameters: "a b", js: "(a - b) | 0" },
  mul: { parameters: "a b", js: "Math.imul(a, b)" },
  /** High 32 bits of the 64-bit product. */
  mulhu: { parameters: "a b", js: "mulhu(a, b)" },
  mulhs: { parameters: "a b", js: "mulhs(a, b)" },
  /** Quotients of high:low by d that fit 32 bits: whoever uses them has checked (divideOverflows). */
  divideUnsigned: { parameters: "high low d", js: "high === 0 ? ((low >>> 0) / (d >>> 0)) | 0 : divu(high, low, d)" },
  divideSigned: { parameters: "high low d", js: "high === low >> 31 ? (low / d) | 0 : divs(high, low, d)" },
  divideOverflows: { parameters: "high low d", js: "(high >>> 0) >= (d >>> 0)", type: "bool" },
  /** It may: looked at closely by the callout. */
  divideSignedMayOverflow: { parameters: "high low d", js: "high !== low >> 31 || ((d + 1) >>> 0) < 2", type: "bool" },
  and: { parameters: "a b", js: "a & b" },
  or: { parameters: "a b", js: "a | b" },
  xor: { parameters: "a b", js: "a ^ b" },
  not: { parameters: "a", js: "~a" },
  neg: { parameters: "a", js: "(0 - a) | 0" },
  /** Shift counts are taken modulo 32, as in JavaScript. */
  shl: { parameters: "a b", js: "a << b" },
  shr: { parameters: "a b", js: "(a >>> b) | 0" },
  sar: { parameters: "a b", js: "a >> b" },
  clz: { parameters: "a", js: "Math.clz32(a)" },
  /** n from 1 to 31. */
  rotatedLeft: { parameters: "a n", js: "(a << n) | (a >>> (32 - n))" },
  rotatedRight1: { parameters: "a", js: "(a << 31) | (a >>> 1)" },
  signExtend8: { parameters: "a", js: "(a << 24) >> 24" },
  signExtend16: { parameters: "a", js: "(a << 16) >> 16" },
  zeroExtend8: { parameters: "a", js: "a & 255" },
  zeroExtend16: { parameters: "a", js: "a & 65535" },
  bswap: { parameters: "a", js: "(a << 24) | ((a & 65280) << 8) | ((a >>> 8) & 65280) | (a >>> 24)" },

  equal: { parameters: "a b", js: "a === b", type: "bool" },
  notEqual: { parameters: "a b", js: "a !== b", type: "bool" },
  less: { parameters: "a b", js: "a < b", type: "bool" },
  lessEqual: { parameters: "a b", js: "a <= b", type: "bool" },
  below: { parameters: "a b", js: "(a >>> 0) < (b >>> 0)", type: "bool" },
  belowEqual: { parameters: "a b", js: "(a >>> 0) <= (b >>> 0)", type: "bool" },
  logicalNot: { parameters: "a", js: "!a", type: "bool" },
  logicalAnd: { parameters: "a b", js: "a && b", type: "bool" },
  logicalOr: { parameters: "a b", js: "a || b", type: "bool" },
  toInt: { parameters: "a", js: "a ? 1 : 0" },
  select: { parameters: "c a b", js: "c ? a : b" },

  /** Vector of carries out of each bit of a + b (+ carry in) = r. */
  carries: { parameters: "a b r", js: "(a & b) | ((a | b) & ~r)" },
  /** Vector of borrows out of each bit of a - b (- borrow in) = r. */
  borrows: { parameters: "a b r", js: "(~a & b) | (~(a ^ b) & r)" },
  /** Whether a + b + c carries out of bit 31, a - b - c borrows, or is below zero as a signed number; c is 0 or 1. */
  carriesOut: { parameters: "a b c", js: "(~a >>> 0) - (b >>> 0) - c < 0", type: "bool" },
  borrowsOut: { parameters: "a b c", js: "(a >>> 0) - (b >>> 0) - c < 0", type: "bool" },
  isNegativeDifference: { parameters: "a b c", js: "a - b - c < 0", type: "bool" },
  /** Puts an 8- or 16-bit carry vector where flagCarry wants it: bits 7 or 15 to 31, AF kept at bit 3. */
  carryVector8: { parameters: "c", js: "(c << 24) | (c & 8)" },
  carryVector16: { parameters: "c", js: "(c << 16) | (c & 8)" },
  /** flagCarry behind INC from a to b = a + 1, or DEC from b to a: CF from flagCarry as it was, in o. */
  stepped: { parameters: "o a b", js: "(o & -2147483648) | (((o ^ (b & ~a)) >>> 1) & 1073741824) | (((a ^ b) >>> 1) & 8)" },
  /** 1 when the low byte has even parity. */
  evenParity: { parameters: "a", js: "(38505 >>> ((a ^ (a >>> 4)) & 15)) & 1" },
  /** ((flagCarry << 1) ^ flagCarry): OF in the sign bit. */
  overflowSign: { parameters: "c", js: "(c << 1) ^ c" },

  /** How many bits are set: in three steps. */
  countPairs: { parameters: "a", js: "(a - ((a >>> 1) & 1431655765)) | 0" },
  countNibbles: { parameters: "a", js: "(a & 858993459) + ((a >>> 2) & 858993459)" },
  sumNibbles: { parameters: "a", js: "Math.imul((a + (a >>> 4)) & 252645135, 16843009) >>> 24" },

  // AES: a column of a state after a round, from the words that have its bytes in order of rows, by the tables of contract/aes.ts; and after the last round.
  aesColumn: {
    parameters: "a b c d",
    js: "AT[a & 255] ^ AT[256 + ((b >>> 8) & 255)] ^ AT[512 + ((c >>> 16) & 255)] ^ AT[768 + (d >>> 24)]",
  },
  aesColumnBack: {
    parameters: "a b c d",
    js: "AT[1024 + (a & 255)] ^ AT[1280 + ((b >>> 8) & 255)] ^ AT[1536 + ((c >>> 16) & 255)] ^ AT[1792 + (d >>> 24)]",
  },
  aesLast: {
    parameters: "a b c d",
    js: "((AT[a & 255] >>> 8) & 255) | (AT[(b >>> 8) & 255] & 65280) | (AT[(c >>> 16) & 255] & 16711680) | ((AT[d >>> 24] << 8) & -16777216)",
  },
  aesLastBack: {
    parameters: "a b c d",
    js: "(AT[2048 + (a & 255)] & 255) | (AT[2048 + ((b >>> 8) & 255)] & 65280) | (AT[2048 + ((c >>> 16) & 255)] & 16711680) | (AT[2048 + (d >>> 24)] & -16777216)",
  },

  // SHA-1 and SHA-256 (FIPS 180-4, 4.1.1 and 4.1.2); n: which 20 of SHA-1's rounds.
  sha1Function: {
    parameters: "b c d n",
    js: "(n & 3) === 0 ? (b & c) ^ (~b & d) : (n & 3) === 2 ? (b & c) ^ (b & d) ^ (c & d) : b ^ c ^ d",
  },
  sha1Constant: { parameters: "n", js: "n & 2 ? (n & 1 ? -899497514 : -1894007588) : n & 1 ? 1859775393 : 1518500249" },
  shaChoice: { parameters: "e f g", js: "(e & f) ^ (~e & g)" },
  shaMajority: { parameters: "a b c", js: "(a & b) ^ (a & c) ^ (b & c)" },
  sha256Large0: { parameters: "a", js: "((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))" },
  sha256Large1: { parameters: "a", js: "((a >>> 6) | (a << 26)) ^ ((a >>> 11) | (a << 21)) ^ ((a >>> 25) | (a << 7))" },
  sha256SmallWord0: { parameters: "a", js: "((a >>> 7) | (a << 25)) ^ ((a >>> 18) | (a << 14)) ^ (a >>> 3)" },
  sha256SmallWord1: { parameters: "a", js: "((a >>> 17) | (a << 15)) ^ ((a >>> 19) | (a << 13)) ^ (a >>> 10)" },

  // Two or four lanes in a word (MMX and SSE integer instructions).
  addBytes: { parameters: "a b", js: "((a & 2139062143) + (b & 2139062143)) ^ ((a ^ b) & -2139062144)" },
  addWords: { parameters: "a b", js: "((a & 2147450879) + (b & 2147450879)) ^ ((a ^ b) & -2147450880)" },
  subBytes: { parameters: "a b", js: "((a | -2139062144) - (b & 2139062143)) ^ ((a ^ ~b) & -2139062144)" },
  subWords: { parameters: "a b", js: "((a | -2147450880) - (b & 2147450879)) ^ ((a ^ ~b) & -2147450880)" },

  // Doubles.
  addF: { parameters: "a b", js: "a + b", type: "f64" },
  subF: { parameters: "a b", js: "a - b", type: "f64" },
  mulF: { parameters: "a b", js: "a * b", type: "f64" },
  divF: { parameters: "a b", js: "a / b", type: "f64" },
  magnitude: { parameters: "a", js: "Math.abs(a)", type: "f64" },
  sqrtF: { parameters: "a", js: "Math.sqrt(a)", type: "f64" },
  roundSingle: { parameters: "a", js: "Math.fround(a)", type: "f64" },
  /** To an integer, ties to even; of magnitudes below 2^51. */
  roundToNearest: { parameters: "a", js: "a + 6755399441055744 - 6755399441055744", type: "f64" },

  // ---- SSE floating point: see javascript/simd/places.ts.

  /** CR0.EM, CR0.TS or no CR4.OSFXSR. */
  sseUnavailable: { parameters: "cr0 cr4", js: "((cr0 & 12) | (~cr4 & 512)) !== 0", type: "bool" },
  /** CR0.EM or CR0.TS, or see x87NotReady. */
  mmxNotReady: { parameters: "cr0 status control pairs", js: "((cr0 & 12) | (status & ~control & 63) | pairs) !== 0", type: "bool" },
  /** An x87 exception that is not masked, or register values that are not in integers. */
  x87NotReady: { parameters: "status control pairs", js: "((status & ~control & 63) | pairs) !== 0", type: "bool" },
  /** Zero, normal or infinite. */
  isOrdinaryDouble: { parameters: "a", js: "Math.abs(a) >= 2.2250738585072014e-308 || a === 0", type: "bool" },
  isOrdinarySingle: { parameters: "a", js: "Math.abs(a) >= 1.1754943508222875e-38 || a === 0", type: "bool" },
  /** Strictly above the smallest normal number, for a tiny result may round up to exactly that one and is still tiny. */
  isNormalSingle: { parameters: "r limit", js: "Math.abs(r) > 1.1754943508222875e-38 && Math.abs(r) <= limit", type: "bool" },
  /** Whether r is exactly a + b, a - b (Knuth, TAOCP 4.2.2). */
  isExactSum: { parameters: "a b r", js: "r - a === b && r - b === a", type: "bool" },
  isExactDifference: { parameters: "a b r", js: "a - r === b && r + b === a", type: "bool" },
  /** The product of two numbers of 24 bits. */
  isShortProduct: { parameters: "a b", js: "Math.fround(a) === a && Math.fround(b) === b", type: "bool" },
  /** A conversion to int32 that raises nothing new. */
  truncatesToInt32: { parameters: "a limit", js: "(a | 0) === a || (a > -2147483649 && a < 2147483648 && limit > 0)", type: "bool" },
  isInt32: { parameters: "a limit", js: "a >= -2147483648 && a <= 2147483647 && limit > 0", type: "bool" },

  // ---- MMX and SSE integer lanes: an operand is one 32-bit word of a vector.

  /** A mask word from lane-top bits: 80h in a byte (8000h in a word) becomes all ones, 0 stays. */
  spreadBytes: { parameters: "m", js: "((m << 1) - (m >>> 7)) | 0" },
  spreadWords: { parameters: "m", js: "((m << 1) - (m >>> 15)) | 0" },
  /** Bits of x where m is set, of y elsewhere. */
  blend: { parameters: "m x y", js: "y ^ ((x ^ y) & m)" },
  /** The lane-top bit of every lane that is zero. */
  zeroBytes: { parameters: "x", js: "~(((x & 2139062143) + 2139062143) | x) & -2139062144" },
  zeroWords: { parameters: "x", js: "~(((x & 2147450879) + 2147450879) | x) & -2147450880" },
  equalMask: { parameters: "a b", js: "a === b ? -1 : 0" },
  greaterMask: { parameters: "a b", js: "a > b ? -1 : 0" },
  /** Largest signed value of each lane, or the smallest where that lane of a is negative: what saturation gives. */
  saturationBytes: { parameters: "a", js: "(((a >>> 7) & 16843009) + 2139062143) | 0" },
  saturationWords: { parameters: "a", js: "(((a >>> 15) & 65537) + 2147450879) | 0" },
  averageBytes: { parameters: "a b", js: "((a | b) - (((a ^ b) & -16843010) >>> 1)) | 0" },
  averageWords: { parameters: "a b", js: "((a | b) - (((a ^ b) & -65538) >>> 1)) | 0" },
  sumBytes: { parameters: "a", js: "(a & 255) + ((a >>> 8) & 255) + ((a >>> 16) & 255) + (a >>> 24)" },
  mulWordsLow: { parameters: "a b", js: "(Math.imul(a, b) & 65535) | (Math.imul(a >>> 16, b >>> 16) << 16)" },
  mulWordsHigh: { parameters: "a b", js: "(Math.imul((a << 16) >> 16, (b << 16) >> 16) >>> 16) | (Math.imul(a >> 16, b >> 16) & -65536)" },
  mulWordsHighUnsigned: { parameters: "a b", js: "(Math.imul(a & 65535, b & 65535) >>> 16) | (Math.imul(a >>> 16, b >>> 16) & -65536)" },
  mulAddWords: { parameters: "a b", js: "(Math.imul((a << 16) >> 16, (b << 16) >> 16) + Math.imul(a >> 16, b >> 16)) | 0" },
  /** The smaller of two unsigned numbers. */
  limitUnsigned: { parameters: "n m", js: "(n >>> 0) < (m >>> 0) ? n : m" },
  /** Shifts whose count n, as an unsigned number, may be anything. */
  shlWords: { parameters: "a n", js: "(n >>> 0) < 16 ? ((a & 65535) << n) & 65535 | ((a >>> 16) << (n + 16)) : 0" },
  shrWords: { parameters: "a n", js: "(n >>> 0) < 16 ? ((a & 65535) >>> n) | (((a >>> 16) >>> n) << 16) : 0" },
  /** n at most 15. */
  sarWords: { parameters: "a n", js: "(((a << 16) >> (n + 16)) & 65535) | ((a >> (n + 16)) << 16)" },
  shlWide: { parameters: "a n", js: "(n >>> 0) < 32 ? a << n : 0" },
  shrWide: { parameters: "a n", js: "(n >>> 0) < 32 ? (a >>> n) | 0 : 0" },
  /** Upper word of (high, low) << n; the lower word is shlWide. */
  shlPairHigh: { parameters: "low high n", js: "(n >>> 0) < 32 ? (high << n) | ((low >>> 1) >>> (31 - n)) : (n >>> 0) < 64 ? low << n : 0" },
  /** Lower word of (high, low) >>> n; the upper word is shrWide. */
  shrPairLow: { parameters: "low high n", js: "(n >>> 0) < 32 ? (low >>> n) | ((high << 1) << (31 - n)) : (n >>> 0) < 64 ? (high >>> n) | 0 : 0" },
  /** a0 b0 a1 b1 from the two low (high) bytes of each. */
  interleaveBytesLow: { parameters: "a b", js: "(a & 255) | ((b & 255) << 8) | ((a & 65280) << 8) | ((b & 65280) << 16)" },
  interleaveBytesHigh: { parameters: "a b", js: "((a >>> 16) & 255) | ((b >>> 8) & 65280) | ((a >>> 8) & 16711680) | (b & -16777216)" },
  interleaveWordsLow: { parameters: "a b", js: "(a & 65535) | (b << 16)" },
  interleaveWordsHigh: { parameters: "a b", js: "(a >>> 16) | (b & -65536)" },
  saturateByte: { parameters: "a", js: "Math.max(-128, Math.min(127, a)) & 255" },
  saturateByteUnsigned: { parameters: "a", js: "Math.max(0, Math.min(255, a))" },
  saturateWord: { parameters: "a", js: "Math.max(-32768, Math.min(32767, a)) & 65535" },
  saturateWordUnsigned: { parameters: "a", js: "Math.max(0, Math.min(65535, a))" },
  /** A mask of four bytes (two 16-bit lanes) from as many bits. */
  maskOfBytes: { parameters: "a", js: "Math.imul(Math.imul(a & 15, 2113665) & 16843009, 255)" },
  maskOfWords: { parameters: "a", js: "Math.imul((a & 1) | ((a & 2) << 15), 65535)" },
  /** a with its byte n & 3 replaced by v. */
  insertByteInWord: { parameters: "a v n", js: "(a & ~(255 << ((n & 3) << 3))) | ((v & 255) << ((n & 3) << 3))" },
  packBytes: { parameters: "a b c d", js: "a | (b << 8) | (c << 16) | (d << 24)" },
  /** Word n & 3 of four; 16-bit lane n & 3 of a pair of words, zero-extended. */
  pickWord: { parameters: "a b c d n", js: "n & 2 ? (n & 1 ? d : c) : (n & 1 ? b : a)" },
  pickHalf: { parameters: "a b n", js: "((n & 2 ? b : a) >>> ((n & 1) << 4)) & 65535" },
  /** a with its 16-bit lane n & 1 replaced by v. */
  insertHalf: { parameters: "a v n", js: "n & 1 ? (a & 65535) | (v << 16) : (a & -65536) | (v & 65535)" },
  /** The sign bits of the four bytes. */
  signsOfBytes: { parameters: "a", js: "((a >>> 7) & 1) | ((a >>> 14) & 2) | ((a >>> 21) & 4) | ((a >>> 28) & 8)" },

  ...vectorOps,
} as const satisfies Record<string, PureOpRow>;

export type PureOp = keyof typeof pureOps;
