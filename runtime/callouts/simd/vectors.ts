/**
 * What the operations on vectors in generated code mean, in JavaScript (translator/wasm/vectors.ts lists them): WebAssembly has instructions for them, and is all that
 * regions are for where they are used, but for one that it refuses. A vector is an Int32Array of four words.
 */
export type Vector = Int32Array;

type LaneArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array;
type LaneArrayConstructor<A extends LaneArray> = new (buffer: ArrayBufferLike, byteOffset?: number) => A;

const vector = (): Vector => new Int32Array(4);
const view = <A extends LaneArray>(of: LaneArrayConstructor<A>, a: Vector): A => new of(a.buffer, a.byteOffset);

/** Lane by lane, from lanes of the same place. */
function lanewise<A extends LaneArray, T extends A[number]>(of: LaneArrayConstructor<A>, f: (...lanes: T[]) => T | boolean) {
  return (...args: Vector[]): Vector => {
    const out = vector();
    const lanes = view(of, out);
    const from = args.map((a) => view(of, a));
    for (let k = 0; k < lanes.length; k++) lanes[k] = f(...(from.map((x) => x[k]) as T[])) as never;
    return out;
  };
}

/** A mask of all ones where it holds. */
function compare<A extends LaneArray>(of: LaneArrayConstructor<A>, holds: (a: number, b: number) => boolean) {
  return (a: Vector, b: Vector): Vector => {
    const out = vector();
    const bytes = new Int8Array(out.buffer);
    const [x, y] = [view(of, a), view(of, b)];
    const size = 16 / x.length;
    for (let k = 0; k < 16; k++) bytes[k] = holds(Number(x[Math.floor(k / size)]), Number(y[Math.floor(k / size)])) ? -1 : 0;
    return out;
  };
}

/** The same of 64-bit lanes, which no double holds. */
const compare64 = (holds: (a: bigint, b: bigint) => boolean) => lanewise(BigInt64Array, (x: bigint, y: bigint) => (holds(x, y) ? -1n : 0n));

/** Lanes of the result by their number. */
function lanes<A extends LaneArray>(of: LaneArrayConstructor<A>, f: (k: number) => A[number]): Vector {
  const out = vector();
  const to = view(of, out);
  for (let k = 0; k < to.length; k++) to[k] = f(k) as never;
  return out;
}

function shuffle<A extends LaneArray>(of: LaneArrayConstructor<A>) {
  return (a: Vector, b: Vector, ...from: number[]): Vector => {
    const both = [...view(of, a), ...view(of, b)];
    return lanes(of, (k) => both[from[k]] as A[number]);
  };
}

/** Not a minimum or maximum: what is not ordered gives the last. */
const choose = (first: boolean, x: number, y: number): number => (first ? x : y);

const clamp = (low: number, high: number) => (x: number) => Math.max(low, Math.min(high, x));
const [signed8, unsigned8, signed16, unsigned16] = [clamp(-128, 127), clamp(0, 255), clamp(-32768, 32767), clamp(0, 65535)];

function integers<A extends LaneArray>(of: LaneArrayConstructor<A>) {
  return {
    shuffle: shuffle(of),
    extract_lane: (a: Vector, k: number) => view(of, a)[k] as number,
    extract_lane_u: (a: Vector, k: number) => view(of, a)[k] as number,
    replace_lane: (a: Vector, k: number, value: number) => lanes(of, (n) => (n === k ? value : view(of, a)[n]) as A[number]),
    splat: (value: number) => lanes(of, () => value as A[number]),
    eq: compare(of, (x, y) => x === y),
    gt_s: compare(of, (x, y) => x > y),
    add: lanewise(of, (x: number, y: number) => x + y),
    sub: lanewise(of, (x: number, y: number) => x - y),
    bitmask: (a: Vector) => [...view(of, a)].reduce<number>((bits, x, k) => bits | (Number(x < 0) << k), 0),
  };
}

function floats<A extends Float32Array | Float64Array>(of: LaneArrayConstructor<A>) {
  return {
    extract_lane: (a: Vector, k: number) => view(of, a)[k],
    replace_lane: (a: Vector, k: number, value: number) => {
      const out = a.slice();
      view(of, out)[k] = value;
      return out;
    },
    splat: (value: number) => lanes(of, () => value),
    eq: compare(of, (x, y) => x === y),
    ne: compare(of, (x, y) => x !== y),
    lt: compare(of, (x, y) => x < y),
    gt: compare(of, (x, y) => x > y),
    le: compare(of, (x, y) => x <= y),
    ge: compare(of, (x, y) => x >= y),
    abs: lanewise(of, (x: number) => Math.abs(x)),
    sqrt: lanewise(of, (x: number) => Math.sqrt(x)),
    add: lanewise(of, (x: number, y: number) => x + y),
    sub: lanewise(of, (x: number, y: number) => x - y),
    mul: lanewise(of, (x: number, y: number) => x * y),
    div: lanewise(of, (x: number, y: number) => x / y),
    pmin: lanewise(of, (x: number, y: number) => choose(y < x, y, x)),
    pmax: lanewise(of, (x: number, y: number) => choose(x < y, y, x)),
  };
}

/** Lanes of another width from the low half, or from number `first` on. */
const extend =
  <A extends LaneArray, B extends LaneArray>(to: LaneArrayConstructor<A>, from: LaneArrayConstructor<B>, first = 0) =>
  (a: Vector): Vector =>
    lanes(to, (k) => (to === (BigInt64Array as unknown) ? BigInt(view(from, a)[first + k]) : view(from, a)[first + k]) as A[number]);

/** Products of 16-bit lanes as words: of the low or the high half. */
const products = (of: LaneArrayConstructor<Int16Array> | LaneArrayConstructor<Uint16Array>, from: 0 | 4) => (a: Vector, b: Vector) =>
  lanes(Int32Array, (k) =>
    Math.imul(view(of as LaneArrayConstructor<Int16Array>, a)[from + k], view(of as LaneArrayConstructor<Int16Array>, b)[from + k]),
  );

/** @param R slots @param ram guest memory by its places */
export function vectorOperations(R: Int32Array, ram: Uint8Array): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const u8 = <T>(f: (...lanes: number[]) => T) => lanewise(Uint8Array, f as never);
  const s8 = <T>(f: (...lanes: number[]) => T) => lanewise(Int8Array, f as never);
  const u16 = <T>(f: (...lanes: number[]) => T) => lanewise(Uint16Array, f as never);
  const s16 = <T>(f: (...lanes: number[]) => T) => lanewise(Int16Array, f as never);
  const s32 = <T>(f: (...lanes: number[]) => T) => lanewise(Int32Array, f as never);
  const u32 = <T>(f: (...lanes: number[]) => T) => lanewise(Uint32Array, f as never);
  const narrow =
    <A extends LaneArray>(
      of: LaneArrayConstructor<A>,
      from: LaneArrayConstructor<Int16Array> | LaneArrayConstructor<Int32Array>,
      limit: (x: number) => number,
    ) =>
    (a: Vector, b: Vector) => {
      const both = [...view(from as LaneArrayConstructor<Int16Array>, a), ...view(from as LaneArrayConstructor<Int16Array>, b)];
      return lanes(of, (k) => limit(both[k]) as A[number]);
    };
  return {
    v128: {
      zero: vector,
      const: (...bytes: number[]) => lanes(Uint8Array, (k) => bytes[k]),
      bitselect: s32((x, y, mask) => (x & mask) | (y & ~mask)),
      any_true: (a: Vector) => (a.some((word) => word !== 0) ? 1 : 0),
      not: s32((x) => ~x),
      and: s32((x, y) => x & y),
      andnot: s32((x, y) => x & ~y),
      or: s32((x, y) => x | y),
      xor: s32((x, y) => x ^ y),
      loadSlot: (n: number) => R.slice(n, n + 4),
      storeSlot: (n: number, a: Vector) => R.set(a, n),
      loadPlace: (place: number) => new Int32Array(ram.slice(place >>> 0, (place >>> 0) + 16).buffer),
      loadHalf: (place: number) => {
        const out = vector();
        new Uint8Array(out.buffer).set(ram.subarray(place >>> 0, (place >>> 0) + 8));
        return out;
      },
      storeHalf: (place: number, a: Vector, half: number) => ram.set(new Uint8Array(a.buffer, a.byteOffset + 8 * half, 8), place >>> 0),
      storePlace: (place: number, a: Vector) => ram.set(new Uint8Array(a.buffer, a.byteOffset, 16), place >>> 0),
    },
    i8x16: {
      ...integers(Int8Array),
      extract_lane_u: (a: Vector, k: number) => view(Uint8Array, a)[k],
      swizzle: (a: Vector, b: Vector) => lanes(Uint8Array, (k) => view(Uint8Array, a)[view(Uint8Array, b)[k]] ?? 0),
      abs: s8(Math.abs),
      min_s: s8(Math.min),
      max_s: s8(Math.max),
      narrow_i16x8_s: narrow(Int8Array, Int16Array, signed8),
      narrow_i16x8_u: narrow(Uint8Array, Int16Array, unsigned8),
      add_sat_s: s8((x, y) => signed8(x + y)),
      add_sat_u: u8((x, y) => unsigned8(x + y)),
      sub_sat_s: s8((x, y) => signed8(x - y)),
      sub_sat_u: u8((x, y) => unsigned8(x - y)),
      min_u: u8(Math.min),
      max_u: u8(Math.max),
      avgr_u: u8((x, y) => (x + y + 1) >> 1),
    },
    i16x8: {
      ...integers(Int16Array),
      extract_lane_u: (a: Vector, k: number) => view(Uint16Array, a)[k],
      extadd_pairwise_i8x16_u: (a: Vector) => lanes(Int16Array, (k) => view(Uint8Array, a)[2 * k] + view(Uint8Array, a)[2 * k + 1]),
      narrow_i32x4_s: narrow(Int16Array, Int32Array, signed16),
      narrow_i32x4_u: narrow(Uint16Array, Int32Array, unsigned16),
      abs: s16(Math.abs),
      q15mulr_sat_s: s16((x, y) => signed16((x * y + 0x4000) >> 15)),
      extend_low_i8x16_s: extend(Int16Array, Int8Array),
      extend_high_i8x16_s: extend(Int16Array, Int8Array, 8),
      extend_low_i8x16_u: extend(Int16Array, Uint8Array),
      extend_high_i8x16_u: extend(Int16Array, Uint8Array, 8),
      min_u: u16(Math.min),
      max_u: u16(Math.max),
      shl: (a: Vector, n: number) => s16((x) => x << (n & 15))(a),
      shr_s: (a: Vector, n: number) => s16((x) => x >> (n & 15))(a),
      shr_u: (a: Vector, n: number) => u16((x) => x >>> (n & 15))(a),
      add_sat_s: s16((x, y) => signed16(x + y)),
      add_sat_u: u16((x, y) => unsigned16(x + y)),
      sub_sat_s: s16((x, y) => signed16(x - y)),
      sub_sat_u: u16((x, y) => unsigned16(x - y)),
      mul: s16(Math.imul),
      min_s: s16(Math.min),
      max_s: s16(Math.max),
      avgr_u: u16((x, y) => (x + y + 1) >> 1),
    },
    i32x4: {
      ...integers(Int32Array),
      extadd_pairwise_i16x8_u: (a: Vector) => lanes(Int32Array, (k) => view(Uint16Array, a)[2 * k] + view(Uint16Array, a)[2 * k + 1]),
      abs: s32(Math.abs),
      mul: s32(Math.imul),
      min_s: s32(Math.min),
      max_s: s32(Math.max),
      min_u: u32(Math.min),
      max_u: u32(Math.max),
      extend_low_i16x8_s: extend(Int32Array, Int16Array),
      extend_low_i16x8_u: extend(Int32Array, Uint16Array),
      shl: (a: Vector, n: number) => s32((x) => x << n)(a),
      shr_s: (a: Vector, n: number) => s32((x) => x >> n)(a),
      shr_u: (a: Vector, n: number) => s32((x) => x >>> n)(a),
      dot_i16x8_s: (a: Vector, b: Vector) => {
        const [x, y] = [view(Int16Array, a), view(Int16Array, b)];
        return lanes(Int32Array, (k) => x[2 * k] * y[2 * k] + x[2 * k + 1] * y[2 * k + 1]);
      },
      extmul_low_i16x8_s: products(Int16Array, 0),
      extmul_high_i16x8_s: products(Int16Array, 4),
      extmul_low_i16x8_u: products(Uint16Array, 0),
      extmul_high_i16x8_u: products(Uint16Array, 4),
    },
    i64x2: {
      ...integers(BigInt64Array),
      add: lanewise(BigInt64Array, (x: bigint, y: bigint) => x + y),
      sub: lanewise(BigInt64Array, (x: bigint, y: bigint) => x - y),
      shl: (a: Vector, n: number) => lanewise(BigInt64Array, (x: bigint) => x << BigInt(n & 63))(a),
      shr_u: (a: Vector, n: number) => lanewise(BigInt64Array, (x: bigint) => BigInt.asUintN(64, x) >> BigInt(n & 63))(a),
      eq: compare64((x, y) => x === y),
      gt_s: compare64((x, y) => x > y),
      extend_low_i32x4_s: extend(BigInt64Array, Int32Array),
      extend_low_i32x4_u: extend(BigInt64Array, Uint32Array),
      extmul_low_i32x4_s: (a: Vector, b: Vector) => lanes(BigInt64Array, (k) => BigInt(a[k]) * BigInt(b[k])),
      extmul_low_i32x4_u: (a: Vector, b: Vector) => lanes(BigInt64Array, (k) => BigInt(a[k] >>> 0) * BigInt(b[k] >>> 0)),
    },
    f32x4: { ...floats(Float32Array), demote_f64x2_zero: (a: Vector) => lanes(Float32Array, (k) => view(Float64Array, a)[k] ?? 0) },
    f64x2: {
      ...floats(Float64Array),
      promote_low_f32x4: (a: Vector) => lanes(Float64Array, (k) => view(Float32Array, a)[k]),
      convert_low_i32x4_s: (a: Vector) => lanes(Float64Array, (k) => a[k]),
    },
  };
}
