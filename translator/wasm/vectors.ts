/**
 * Operations on vectors of 128 bits. In a tree they are calls of the instructions' own names, `i32x4.add(a, b)`, as WebAssembly's text format has them; what is not an instruction, or
 * has operands of its own kind, is listed apart. A lane is a literal. Numbers of `f32x4` lanes are doubles in a tree, as everywhere.
 */

/** Opcodes behind the prefix fdh (WebAssembly Core Specification, 5.4.8). */
export const vectorOpcode = {
  "v128.load": 0x00,
  "v128.store": 0x0b,
  "v128.const": 0x0c,
  "i8x16.shuffle": 0x0d,
  "i8x16.swizzle": 0x0e,
  "i8x16.splat": 0x0f,
  "i16x8.splat": 0x10,
  "i32x4.splat": 0x11,
  "f32x4.splat": 0x13,
  "f64x2.splat": 0x14,
  "i8x16.extract_lane_u": 0x16,
  "i8x16.replace_lane": 0x17,
  "i16x8.extract_lane_u": 0x19,
  "i16x8.replace_lane": 0x1a,
  "i32x4.extract_lane": 0x1b,
  "i32x4.replace_lane": 0x1c,
  "f32x4.extract_lane": 0x1f,
  "f32x4.replace_lane": 0x20,
  "f64x2.extract_lane": 0x21,
  "f64x2.replace_lane": 0x22,
  "i8x16.eq": 0x23,
  "i8x16.gt_s": 0x27,
  "i16x8.eq": 0x2d,
  "i16x8.gt_s": 0x31,
  "i32x4.eq": 0x37,
  "i32x4.gt_s": 0x3b,
  "f32x4.eq": 0x41,
  "f32x4.ne": 0x42,
  "f32x4.lt": 0x43,
  "f32x4.gt": 0x44,
  "f32x4.le": 0x45,
  "f32x4.ge": 0x46,
  "f64x2.eq": 0x47,
  "f64x2.ne": 0x48,
  "f64x2.lt": 0x49,
  "f64x2.gt": 0x4a,
  "f64x2.le": 0x4b,
  "f64x2.ge": 0x4c,
  "v128.not": 0x4d,
  "v128.and": 0x4e,
  "v128.andnot": 0x4f,
  "v128.or": 0x50,
  "v128.xor": 0x51,
  "v128.bitselect": 0x52,
  "v128.any_true": 0x53,
  "v128.store64_lane": 0x5b,
  "v128.load64_zero": 0x5d,
  "f32x4.demote_f64x2_zero": 0x5e,
  "f64x2.promote_low_f32x4": 0x5f,
  "i8x16.abs": 0x60,
  "i8x16.bitmask": 0x64,
  "i8x16.narrow_i16x8_s": 0x65,
  "i8x16.narrow_i16x8_u": 0x66,
  "i8x16.add": 0x6e,
  "i8x16.add_sat_s": 0x6f,
  "i8x16.add_sat_u": 0x70,
  "i8x16.sub": 0x71,
  "i8x16.sub_sat_s": 0x72,
  "i8x16.sub_sat_u": 0x73,
  "i8x16.min_s": 0x76,
  "i8x16.min_u": 0x77,
  "i8x16.max_s": 0x78,
  "i8x16.max_u": 0x79,
  "i8x16.avgr_u": 0x7b,
  "i16x8.extadd_pairwise_i8x16_u": 0x7d,
  "i32x4.extadd_pairwise_i16x8_u": 0x7f,
  "i16x8.abs": 0x80,
  "i16x8.q15mulr_sat_s": 0x82,
  "i16x8.narrow_i32x4_s": 0x85,
  "i16x8.narrow_i32x4_u": 0x86,
  "i16x8.extend_low_i8x16_s": 0x87,
  "i16x8.extend_high_i8x16_s": 0x88,
  "i16x8.extend_low_i8x16_u": 0x89,
  "i16x8.extend_high_i8x16_u": 0x8a,
  "i16x8.shl": 0x8b,
  "i16x8.shr_s": 0x8c,
  "i16x8.shr_u": 0x8d,
  "i16x8.add": 0x8e,
  "i16x8.add_sat_s": 0x8f,
  "i16x8.add_sat_u": 0x90,
  "i16x8.sub": 0x91,
  "i16x8.sub_sat_s": 0x92,
  "i16x8.sub_sat_u": 0x93,
  "i16x8.mul": 0x95,
  "i16x8.min_s": 0x96,
  "i16x8.min_u": 0x97,
  "i16x8.max_s": 0x98,
  "i16x8.max_u": 0x99,
  "i16x8.avgr_u": 0x9b,
  "i32x4.abs": 0xa0,
  "i32x4.bitmask": 0xa4,
  "i32x4.extend_low_i16x8_s": 0xa7,
  "i32x4.extend_low_i16x8_u": 0xa9,
  "i32x4.shl": 0xab,
  "i32x4.shr_s": 0xac,
  "i32x4.shr_u": 0xad,
  "i32x4.add": 0xae,
  "i32x4.sub": 0xb1,
  "i32x4.mul": 0xb5,
  "i32x4.min_s": 0xb6,
  "i32x4.min_u": 0xb7,
  "i32x4.max_s": 0xb8,
  "i32x4.max_u": 0xb9,
  "i32x4.dot_i16x8_s": 0xba,
  "i32x4.extmul_low_i16x8_s": 0xbc,
  "i32x4.extmul_high_i16x8_s": 0xbd,
  "i32x4.extmul_low_i16x8_u": 0xbe,
  "i32x4.extmul_high_i16x8_u": 0xbf,
  "i64x2.bitmask": 0xc4,
  "i64x2.extend_low_i32x4_s": 0xc7,
  "i64x2.extend_low_i32x4_u": 0xc9,
  "i64x2.shl": 0xcb,
  "i64x2.shr_u": 0xcd,
  "i64x2.add": 0xce,
  "i64x2.sub": 0xd1,
  "i64x2.eq": 0xd6,
  "i64x2.gt_s": 0xd9,
  "i64x2.extmul_low_i32x4_s": 0xdc,
  "i64x2.extmul_low_i32x4_u": 0xde,
  "f32x4.abs": 0xe0,
  "f32x4.sqrt": 0xe3,
  "f32x4.add": 0xe4,
  "f32x4.sub": 0xe5,
  "f32x4.mul": 0xe6,
  "f32x4.div": 0xe7,
  "f32x4.pmin": 0xea,
  "f32x4.pmax": 0xeb,
  "f64x2.abs": 0xec,
  "f64x2.sqrt": 0xef,
  "f64x2.add": 0xf0,
  "f64x2.sub": 0xf1,
  "f64x2.mul": 0xf2,
  "f64x2.div": 0xf3,
  "f64x2.pmin": 0xf6,
  "f64x2.pmax": 0xf7,
  "f64x2.convert_low_i32x4_s": 0xfe,
} as const;
export type VectorInstruction = keyof typeof vectorOpcode;

/** Objects whose methods they are. */
export const vectorObjects = ["v128", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"] as const;
const objects: ReadonlySet<string> = new Set(vectorObjects);
export const isVectorObject = (name: string): boolean => objects.has(name);

/**
 * What an operation takes and yields: vectors; int32; doubles, or doubles that are singles; a lane's number; lanes to the end; a slot's number; the place of a byte of guest memory.
 */
export type VectorOperand = "v128" | "i32" | "f64" | "f32" | "lane" | "lanes" | "slot" | "place";
export interface VectorOperation {
  readonly operands: readonly VectorOperand[];
  readonly result: "v128" | "i32" | "f64" | "f32" | undefined;
}

/** Not by the rules below. */
const special: Readonly<Record<string, VectorOperation | undefined>> = Object.freeze({
  "v128.zero": { operands: [], result: "v128" },
  "v128.const": { operands: ["lanes"], result: "v128" },
  "v128.bitselect": { operands: ["v128", "v128", "v128"], result: "v128" },
  "v128.any_true": { operands: ["v128"], result: "i32" },
  "v128.loadSlot": { operands: ["slot"], result: "v128" },
  "v128.storeSlot": { operands: ["slot", "v128"], result: undefined },
  "v128.loadPlace": { operands: ["place"], result: "v128" },
  "v128.storePlace": { operands: ["place", "v128"], result: undefined },
  // Eight bytes, with zeros above them; the low or the high half.
  "v128.loadHalf": { operands: ["place"], result: "v128" },
  "v128.storeHalf": { operands: ["place", "v128", "lane"], result: undefined },
});

const unary =
  /\.(not|abs|sqrt|extend_(?:low|high)_\w+|extadd_pairwise_i8x16_u|extadd_pairwise_i16x8_u|demote_f64x2_zero|promote_low_f32x4|convert_low_i32x4_s)$/;

/** By its object and method; undefined: there is none. */
export function vectorOperation(object: string, method: string): VectorOperation | undefined {
  const name = `${object}.${method}`;
  if (special[name] !== undefined) return special[name];
  // Lanes of any width are shuffled as bytes. Not as numbers: the bits of a NaN are to stay.
  if (method === "shuffle") return /^i\d/.test(object) && objects.has(object) ? { operands: ["v128", "v128", "lanes"], result: "v128" } : undefined;
  if (!(name in vectorOpcode)) return undefined;
  const lane = object === "f64x2" ? "f64" : object === "f32x4" ? "f32" : "i32";
  if (method.startsWith("extract_lane")) return { operands: ["v128", "lane"], result: lane };
  if (method === "replace_lane") return { operands: ["v128", "lane", lane], result: "v128" };
  if (method === "splat") return { operands: [lane], result: "v128" };
  if (method === "bitmask") return { operands: ["v128"], result: "i32" };
  if (/^sh[lr]/.test(method)) return { operands: ["v128", "i32"], result: "v128" };
  return { operands: unary.test(name) ? ["v128"] : ["v128", "v128"], result: "v128" };
}
