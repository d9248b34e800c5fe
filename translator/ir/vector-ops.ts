/**
 * The pure micro-ops on vectors of 128 bits (SSE integer instructions in regions), rows as in pure-ops.ts: what an XMM register has as a whole, where lanes.ts of the lifts has its words
 * one by one. The names in a meaning are WebAssembly's (translator/wasm/vectors.ts); most ops are just one of its instructions, and have its name.
 */
import type { PureOpRow } from "./pure-ops.ts";

const instructions = [
  "v128.and",
  "v128.or",
  "v128.xor",
  "v128.andnot",
  "i8x16.add",
  "i8x16.add_sat_s",
  "i8x16.add_sat_u",
  "i8x16.sub",
  "i8x16.sub_sat_s",
  "i8x16.sub_sat_u",
  "i8x16.min_u",
  "i8x16.max_u",
  "i8x16.avgr_u",
  "i8x16.eq",
  "i8x16.gt_s",
  "i8x16.narrow_i16x8_s",
  "i8x16.narrow_i16x8_u",
  "i16x8.add",
  "i16x8.add_sat_s",
  "i16x8.add_sat_u",
  "i16x8.sub",
  "i16x8.sub_sat_s",
  "i16x8.sub_sat_u",
  "i16x8.mul",
  "i16x8.min_s",
  "i16x8.max_s",
  "i16x8.avgr_u",
  "i16x8.eq",
  "i16x8.gt_s",
  "i16x8.narrow_i32x4_s",
  "i32x4.add",
  "i32x4.sub",
  "i32x4.eq",
  "i32x4.gt_s",
  "i32x4.dot_i16x8_s",
  "i64x2.add",
  "i64x2.sub",
] as const;

const direct = Object.fromEntries(instructions.map((name) => [name, { parameters: "a b", js: `${name}(a, b)`, type: "v128" }])) as Record<
  (typeof instructions)[number],
  { readonly parameters: string; readonly js: string; readonly type: "v128" }
>;

/** Lanes of a and b in turn, from lane `first` on. */
function interleaved(lanes: 2 | 4 | 8 | 16, upperHalf: boolean): string {
  const object = { 2: "i64x2", 4: "i32x4", 8: "i16x8", 16: "i8x16" }[lanes];
  const first = upperHalf ? lanes / 2 : 0;
  const order = Array.from({ length: lanes }, (_, k) => first + (k >> 1) + (k & 1) * lanes);
  return `${object}.shuffle(a, b, ${order.join(", ")})`;
}

/** A shift of all lanes by n, as an unsigned number: 0 where that is the lanes' width or more. */
const shift = (name: string, bits: number): string => `(n >>> 0) < ${bits} ? ${name}(a, n) : v128.zero()`;

export const vectorOps = {
  ...direct,
  /** PANDN inverts its first operand. */
  notAnd: { parameters: "a b", js: "v128.andnot(b, a)", type: "v128" },

  shlVectorWords: { parameters: "a n", js: shift("i16x8.shl", 16), type: "v128" },
  shrVectorWords: { parameters: "a n", js: shift("i16x8.shr_u", 16), type: "v128" },
  shlVectorDoublewords: { parameters: "a n", js: shift("i32x4.shl", 32), type: "v128" },
  shrVectorDoublewords: { parameters: "a n", js: shift("i32x4.shr_u", 32), type: "v128" },
  shlVectorQuadwords: { parameters: "a n", js: shift("i64x2.shl", 64), type: "v128" },
  shrVectorQuadwords: { parameters: "a n", js: shift("i64x2.shr_u", 64), type: "v128" },
  /** n is less than the lanes' width. */
  sarVectorWords: { parameters: "a n", js: "i16x8.shr_s(a, n)", type: "v128" },
  sarVectorDoublewords: { parameters: "a n", js: "i32x4.shr_s(a, n)", type: "v128" },

  /** Upper halves of 32-bit products. */
  mulHighSigned: {
    parameters: "a b",
    js: "i16x8.shuffle(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b), 1, 3, 5, 7, 9, 11, 13, 15)",
    type: "v128",
  },
  mulHighUnsigned: {
    parameters: "a b",
    js: "i16x8.shuffle(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b), 1, 3, 5, 7, 9, 11, 13, 15)",
    type: "v128",
  },
  /** 64-bit products of words 0 and 2. */
  mulEvenUnsigned: {
    parameters: "a b",
    js: "i64x2.extmul_low_i32x4_u(i32x4.shuffle(a, a, 0, 2, 0, 2), i32x4.shuffle(b, b, 0, 2, 0, 2))",
    type: "v128",
  },
  /** Differences of unsigned bytes, as magnitudes. */
  differenceOfBytes: { parameters: "a b", js: "v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a))", type: "v128" },
  sumOfBytes: { parameters: "a", js: "i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(a))", type: "v128" },
  /** Words 0 and 1, 2 and 3 added, zero-extended: the sums are small. */
  sumOfPairs: { parameters: "a", js: "i64x2.shr_u(i64x2.add(a, i64x2.shl(a, 32)), 32)", type: "v128" },

  interleaveLow8: { parameters: "a b", js: interleaved(16, false), type: "v128" },
  interleaveLow16: { parameters: "a b", js: interleaved(8, false), type: "v128" },
  interleaveLow32: { parameters: "a b", js: interleaved(4, false), type: "v128" },
  interleaveLow64: { parameters: "a b", js: interleaved(2, false), type: "v128" },
  interleaveHigh8: { parameters: "a b", js: interleaved(16, true), type: "v128" },
  interleaveHigh16: { parameters: "a b", js: interleaved(8, true), type: "v128" },
  interleaveHigh32: { parameters: "a b", js: interleaved(4, true), type: "v128" },
  interleaveHigh64: { parameters: "a b", js: interleaved(2, true), type: "v128" },

  /** By an immediate n: two bits a lane. */
  shuffleDoublewords: {
    parameters: "a n",
    js: "i32x4.shuffle(a, a, n & 3, (n >>> 2) & 3, (n >>> 4) & 3, (n >>> 6) & 3)",
    type: "v128",
  },
  shuffleLowWords: {
    parameters: "a n",
    js: "i16x8.shuffle(a, a, n & 3, (n >>> 2) & 3, (n >>> 4) & 3, (n >>> 6) & 3, 4, 5, 6, 7)",
    type: "v128",
  },
  shuffleHighWords: {
    parameters: "a n",
    js: "i16x8.shuffle(a, a, 0, 1, 2, 3, (n & 3) + 4, ((n >>> 2) & 3) + 4, ((n >>> 4) & 3) + 4, ((n >>> 6) & 3) + 4)",
    type: "v128",
  },
  shuffleSingles: {
    parameters: "a b n",
    js: "i32x4.shuffle(a, b, n & 3, (n >>> 2) & 3, ((n >>> 4) & 3) + 4, ((n >>> 6) & 3) + 4)",
    type: "v128",
  },
  shuffleDoubles: { parameters: "a b n", js: "i64x2.shuffle(a, b, n & 1, ((n >>> 1) & 1) + 2)", type: "v128" },
  /** The low half of one, the high half of another. */
  joinHalves: { parameters: "low high", js: "i64x2.shuffle(low, high, 0, 3)", type: "v128" },
  /** The low half of b in the high half of a, and the high half of b in the low half of a. */
  lowToHigh: { parameters: "a b", js: "i64x2.shuffle(a, b, 0, 2)", type: "v128" },
  highToLow: { parameters: "a b", js: "i64x2.shuffle(b, a, 1, 3)", type: "v128" },
  lowHalf: { parameters: "a", js: "i64x2.shuffle(a, v128.zero(), 0, 2)", type: "v128" },
  /** A word at the bottom, and zeros. */
  fromWord: { parameters: "w", js: "i32x4.replace_lane(v128.zero(), 0, w)", type: "v128" },
  insertWord: { parameters: "a n w", js: "i16x8.replace_lane(a, n & 7, w)", type: "v128" },
  extractWord: { parameters: "a n", js: "i16x8.extract_lane_u(a, n & 7)" },
  signsOfVectorBytes: { parameters: "a", js: "i8x16.bitmask(a)" },
  signsOfVectorWords: { parameters: "a", js: "i32x4.bitmask(a)" },
  signsOfVectorHalves: { parameters: "a", js: "i64x2.bitmask(a)" },
} as const satisfies Record<string, PureOpRow>;
