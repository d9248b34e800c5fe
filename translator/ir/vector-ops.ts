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
  "i8x16.min_s",
  "i8x16.min_u",
  "i8x16.max_s",
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
  "i16x8.min_u",
  "i16x8.max_s",
  "i16x8.max_u",
  "i16x8.avgr_u",
  "i16x8.eq",
  "i16x8.gt_s",
  "i16x8.narrow_i32x4_s",
  "i16x8.narrow_i32x4_u",
  "i32x4.add",
  "i32x4.sub",
  "i32x4.mul",
  "i32x4.min_s",
  "i32x4.min_u",
  "i32x4.max_s",
  "i32x4.max_u",
  "i32x4.eq",
  "i32x4.gt_s",
  "i32x4.dot_i16x8_s",
  "i64x2.add",
  "i64x2.sub",
  "i64x2.eq",
  "i64x2.gt_s",
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

/** Lanes 0, 2, 4... (1, 3, 5...) of a, then of b. */
function everyOther(object: "i16x8" | "i32x4", first: 0 | 1): string {
  const lanes = object === "i16x8" ? 8 : 4;
  return `${object}.shuffle(a, b, ${Array.from({ length: lanes }, (_, k) => 2 * k + first).join(", ")})`;
}
const horizontal = (object: "i16x8" | "i32x4", operation: string): string =>
  `${object}.${operation}(${everyOther(object, 0)}, ${everyOther(object, 1)})`;

const negativeLanes = (object: string, a: string): string => `${object}.gt_s(v128.zero(), ${a})`;
/** The lanes of a with the signs that those of b have; 0 where b is. */
const withSign = (object: string): string =>
  `v128.andnot(${object}.sub(v128.xor(a, ${negativeLanes(object, "b")}), ${negativeLanes(object, "b")}), ${object}.eq(b, v128.zero()))`;

const bytesFrom = (order: readonly number[], a: string): string => `i8x16.shuffle(${a}, ${a}, ${order.join(", ")})`;
/** The next byte but k of the same column. */
const columnsTurned = (k: number): readonly number[] => Array.from({ length: 16 }, (_, at) => (at & 12) | ((at + k) & 3));
/** Every byte doubled in GF(2^8). */
const doubled = (a: string): string => `v128.xor(i8x16.add(${a}, ${a}), v128.and(${negativeLanes("i8x16", a)}, i8x16.splat(27)))`;

/** Every word of a turned to the right. */
const turned = (a: string, n: number): string => `v128.or(i32x4.shr_u(${a}, ${n}), i32x4.shl(${a}, ${32 - n}))`;

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
  /** PALIGNR by an immediate n. */
  alignedBytes: {
    parameters: "a b n",
    js: ((lanes) => `(n >>> 0) < 16 ? i8x16.shuffle(b, a, ${lanes}) : (n >>> 0) < 32 ? i8x16.shuffle(a, v128.zero(), ${lanes}) : v128.zero()`)(
      Array.from({ length: 16 }, (_, k) => `(n & 15) + ${k}`).join(", "),
    ),
    type: "v128",
  },
  blendWords: {
    parameters: "a b n",
    js: `i16x8.shuffle(a, b, ${Array.from({ length: 8 }, (_, k) => `(((n >>> ${k}) & 1) << 3) + ${k}`).join(", ")})`,
    type: "v128",
  },
  blendSingles: {
    parameters: "a b n",
    js: `i32x4.shuffle(a, b, ${Array.from({ length: 4 }, (_, k) => `(((n >>> ${k}) & 1) << 2) + ${k}`).join(", ")})`,
    type: "v128",
  },
  blendDoubles: { parameters: "a b n", js: "i64x2.shuffle(a, b, (n & 1) << 1, (n & 2) + 1)", type: "v128" },
  /** Lanes of b where the mask's lane is negative. */
  blendBytesBy: { parameters: "a b c", js: `v128.bitselect(b, a, ${negativeLanes("i8x16", "c")})`, type: "v128" },
  blendSinglesBy: { parameters: "a b c", js: `v128.bitselect(b, a, ${negativeLanes("i32x4", "c")})`, type: "v128" },
  blendDoublesBy: { parameters: "a b c", js: `v128.bitselect(b, a, ${negativeLanes("i64x2", "c")})`, type: "v128" },
  /** Bytes of a by the numbers in b; 0 where the number is negative. */
  pickBytes: { parameters: "a b", js: "i8x16.swizzle(a, v128.and(b, i8x16.splat(-113)))", type: "v128" },
  anyBit: { parameters: "a", js: "v128.any_true(a)" },

  addPairs16: { parameters: "a b", js: horizontal("i16x8", "add"), type: "v128" },
  addPairs32: { parameters: "a b", js: horizontal("i32x4", "add"), type: "v128" },
  addPairsSaturated: { parameters: "a b", js: horizontal("i16x8", "add_sat_s"), type: "v128" },
  subPairs16: { parameters: "a b", js: horizontal("i16x8", "sub"), type: "v128" },
  subPairs32: { parameters: "a b", js: horizontal("i32x4", "sub"), type: "v128" },
  subPairsSaturated: { parameters: "a b", js: horizontal("i16x8", "sub_sat_s"), type: "v128" },
  withSign8: { parameters: "a b", js: withSign("i8x16"), type: "v128" },
  withSign16: { parameters: "a b", js: withSign("i16x8"), type: "v128" },
  withSign32: { parameters: "a b", js: withSign("i32x4"), type: "v128" },
  magnitude8: { parameters: "a", js: "i8x16.abs(a)", type: "v128" },
  magnitude16: { parameters: "a", js: "i16x8.abs(a)", type: "v128" },
  magnitude32: { parameters: "a", js: "i32x4.abs(a)", type: "v128" },
  /** PMADDUBSW in two: products, and the saturated sums of neighbours. */
  mulLowMixed: { parameters: "a b", js: "i16x8.mul(i16x8.extend_low_i8x16_u(a), i16x8.extend_low_i8x16_s(b))", type: "v128" },
  mulHighMixed: { parameters: "a b", js: "i16x8.mul(i16x8.extend_high_i8x16_u(a), i16x8.extend_high_i8x16_s(b))", type: "v128" },
  /** Rounded products of fractions: WebAssembly saturates the one that does not fit, PMULHRSW does not. */
  mulRounded: {
    parameters: "a b",
    js: "v128.xor(i16x8.q15mulr_sat_s(a, b), v128.and(i16x8.eq(a, i16x8.splat(-32768)), i16x8.eq(b, i16x8.splat(-32768))))",
    type: "v128",
  },
  /** 64-bit products of words 0 and 2. */
  mulEvenSigned: {
    parameters: "a b",
    js: "i64x2.extmul_low_i32x4_s(i32x4.shuffle(a, a, 0, 2, 0, 2), i32x4.shuffle(b, b, 0, 2, 0, 2))",
    type: "v128",
  },
  extendSigned8: { parameters: "a", js: "i16x8.extend_low_i8x16_s(a)", type: "v128" },
  extendSigned16: { parameters: "a", js: "i32x4.extend_low_i16x8_s(a)", type: "v128" },
  extendSigned32: { parameters: "a", js: "i64x2.extend_low_i32x4_s(a)", type: "v128" },
  extendUnsigned8: { parameters: "a", js: "i16x8.extend_low_i8x16_u(a)", type: "v128" },
  extendUnsigned16: { parameters: "a", js: "i32x4.extend_low_i16x8_u(a)", type: "v128" },
  extendUnsigned32: { parameters: "a", js: "i64x2.extend_low_i32x4_u(a)", type: "v128" },
  extractByte: { parameters: "a n", js: "i8x16.extract_lane_u(a, n & 15)" },
  extractDoubleword: { parameters: "a n", js: "i32x4.extract_lane(a, n & 3)" },
  insertByte: { parameters: "a n w", js: "i8x16.replace_lane(a, n & 15, w)", type: "v128" },
  insertDoubleword: { parameters: "a n w", js: "i32x4.replace_lane(a, n & 3, w)", type: "v128" },

  // AES (FIPS 197): MixColumns alone; its rounds are look-ups (pure-ops.ts).
  /** Each byte and the next one of its column. */
  aesWithNext: { parameters: "a", js: `v128.xor(a, ${bytesFrom(columnsTurned(1), "a")})`, type: "v128" },
  aesWithSecondNext: { parameters: "a", js: `v128.xor(a, ${bytesFrom(columnsTurned(2), "a")})`, type: "v128" },
  aesDoubled: { parameters: "a", js: doubled("a"), type: "v128" },
  /** MixColumns of a, whose bytes with their next ones are b: 2a + 3b + c + d is 2(a + b) + b + (c + d). */
  aesMixed: {
    parameters: "a b",
    js: `v128.xor(v128.xor(${doubled("b")}, v128.xor(a, b)), ${bytesFrom(columnsTurned(2), "b")})`,
    type: "v128",
  },

  // SHA-1 and SHA-256 (FIPS 180-4).
  turnedLeft1: { parameters: "a", js: "v128.or(i32x4.shl(a, 1), i32x4.shr_u(a, 31))", type: "v128" },
  sha256Small0: { parameters: "a", js: `v128.xor(v128.xor(${turned("a", 7)}, ${turned("a", 18)}), i32x4.shr_u(a, 3))`, type: "v128" },
  sha256Small1: { parameters: "a", js: `v128.xor(v128.xor(${turned("a", 17)}, ${turned("a", 19)}), i32x4.shr_u(a, 10))`, type: "v128" },
  /** Word 0 of b above the upper three of a. */
  nextWords: { parameters: "a b", js: "i32x4.shuffle(a, b, 1, 2, 3, 4)", type: "v128" },
  upperWords: { parameters: "a", js: "i32x4.shuffle(a, v128.zero(), 2, 3, 4, 4)", type: "v128" },
  lowWordsAbove: { parameters: "a", js: "i32x4.shuffle(a, v128.zero(), 4, 4, 0, 1)", type: "v128" },
  /** The upper half of a, then the low half of b. */
  middle: { parameters: "a b", js: "i64x2.shuffle(a, b, 1, 2)", type: "v128" },
  wordsUp: { parameters: "a", js: "i32x4.shuffle(a, v128.zero(), 4, 0, 1, 2)", type: "v128" },
  topWordBelow: { parameters: "a", js: "i32x4.shuffle(a, v128.zero(), 3, 4, 4, 4)", type: "v128" },

  /** The low half of one, the high half of another. */
  joinHalves: { parameters: "low high", js: "i64x2.shuffle(low, high, 0, 3)", type: "v128" },
  /** The low half of b in the high half of a, and the high half of b in the low half of a. */
  lowToHigh: { parameters: "a b", js: "i64x2.shuffle(a, b, 0, 2)", type: "v128" },
  highToLow: { parameters: "a b", js: "i64x2.shuffle(b, a, 1, 3)", type: "v128" },
  lowHalf: { parameters: "a", js: "i64x2.shuffle(a, v128.zero(), 0, 2)", type: "v128" },
  ofWords: {
    parameters: "w x y z",
    js: "i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(w), 1, x), 2, y), 3, z)",
    type: "v128",
  },
  /** A word at the bottom, and zeros. */
  fromWord: { parameters: "w", js: "i32x4.replace_lane(v128.zero(), 0, w)", type: "v128" },
  insertWord: { parameters: "a n w", js: "i16x8.replace_lane(a, n & 7, w)", type: "v128" },
  extractWord: { parameters: "a n", js: "i16x8.extract_lane_u(a, n & 7)" },
  signsOfVectorBytes: { parameters: "a", js: "i8x16.bitmask(a)" },
  signsOfVectorWords: { parameters: "a", js: "i32x4.bitmask(a)" },
  signsOfVectorHalves: { parameters: "a", js: "i64x2.bitmask(a)" },
} as const satisfies Record<string, PureOpRow>;
