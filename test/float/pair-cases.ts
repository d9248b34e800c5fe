/**
 * Directed cases for arithmetic in pairs of doubles, as input records of hardware.c: ties and what lies next to them, powers of two, cancellation, exact and
 * almost exact quotients and roots, operands of few bits, sizes far apart, and both ends of the range that pairs have.
 */
import { type Extended, Random, writeCase } from "./cases.ts";
import { inputSize } from "./engine.ts";

const bias = 0x3fff;
const top64 = 1n << 63n;
const mask64 = (1n << 64n) - 1n;

function random64(r: Random): bigint {
  return (BigInt(r.next() >>> 0) << 32n) | BigInt(r.next() >>> 0);
}

/** J set, and `count` bits in all that may be. */
function mantissaOf(r: Random, count: number): bigint {
  const low = 64 - count;
  return (((random64(r) | top64) >> BigInt(low)) | (low > 0 && r.below(2) === 0 ? 1n : 0n)) << BigInt(low);
}

/** Normalizes an integer times 2^exponent (of its last place) to 64 bits, dropping what does not fit. */
function normal(value: bigint, exponent: number, sign: number): Extended {
  if (value === 0n) return { low: 0, high: 0, signExponent: sign };
  const length = value.toString(2).length;
  const mantissa = length > 64 ? value >> BigInt(length - 64) : value << BigInt(64 - length);
  const e = Math.max(1, Math.min(0x7ffe, exponent + length - 1 + bias));
  return { low: Number(mantissa & 0xffffffffn) | 0, high: Number(mantissa >> 32n) | 0, signExponent: sign | e };
}

const bitCounts = [1, 2, 11, 24, 24, 25, 31, 32, 33, 40, 52, 53, 53, 53, 54, 63, 64, 64, 64, 64];

function value(r: Random, exponent: number): Extended {
  return normal(mantissaOf(r, r.pick(bitCounts)), exponent - 63, r.below(2) << 15);
}

/** The next number up or down by `steps` last places. */
function step(v: Extended, steps: number): Extended {
  const m = (BigInt(v.high >>> 0) << 32n) | BigInt(v.low >>> 0);
  if (m === 0n) return v;
  const moved = m + BigInt(steps);
  if (moved > mask64) return normal(moved, (v.signExponent & 0x7fff) - bias - 63, v.signExponent & 0x8000);
  return normal(moved, (v.signExponent & 0x7fff) - bias - 63, v.signExponent & 0x8000);
}

const distances = [0, 0, 1, 1, 2, 3, 10, 11, 12, 17, 18, 31, 32, 33, 52, 53, 54, 62, 63, 64, 65, 66, 67, 70, 90];

/** Operands whose sum, product, quotient or root is hard. */
function operands(r: Random, exponent: number): [Extended, Extended] {
  const a = value(r, exponent);
  const away = (r.below(2) === 0 ? 1 : -1) * r.pick(distances);
  switch (r.below(11)) {
    case 0: {
      // Half a last place of a, and next to it.
      const b = normal(1n, exponent - 64 + r.pick([0, 0, 1, -1]), r.below(2) << 15);
      return [a, r.below(2) === 0 ? b : step(b, r.pick([1, 2, -1, 1 << 11]))];
    }
    case 1: {
      const b = step(a, r.pick([0, 0, 1, -1, 2, -2, 1 << 10, 1 << 11, -(1 << 11)]));
      b.signExponent ^= 0x8000;
      if (r.below(3) === 0) b.signExponent += r.pick([1, -1]);
      return [a, b];
    }
    case 2: {
      const a2 = step(normal(1n, exponent, r.below(2) << 15), r.pick([0, 0, 1, -1, 2, -2, -3]));
      const b2 = step(normal(1n, exponent + away, r.below(2) << 15), r.pick([0, 0, 1, -1]));
      return [a2, b2];
    }
    case 3: {
      // Quotients that come out, or almost.
      const count = r.pick([8, 24, 31, 32, 33, 53]);
      const q = mantissaOf(r, count) >> BigInt(64 - count);
      const other = Math.min(64, 64 - count + r.pick([0, 0, 1, 2]));
      const b = mantissaOf(r, Math.max(1, other)) >> BigInt(64 - Math.max(1, other));
      const p = step(normal(q * b, exponent, r.below(2) << 15), r.pick([0, 0, 0, 1, -1]));
      return r.below(2) === 0 ? [p, normal(b, exponent + away, r.below(2) << 15)] : [normal(b, exponent, 0), p];
    }
    case 4: {
      // Products of 65 bits are ties; roots of squares come out.
      const count = r.pick([1, 12, 32, 33]);
      const x = (mantissaOf(r, count) >> BigInt(64 - count)) | 1n;
      const y = (mantissaOf(r, 65 - count) >> BigInt(count - 1)) | 1n;
      if (r.below(3) === 0) return [step(normal(y * y, exponent & ~1, 0), r.pick([0, 0, 1, -1])), normal(x, exponent, 0)];
      return [normal(x, exponent, r.below(2) << 15), step(normal(y, exponent + away, r.below(2) << 15), r.pick([0, 0, 0, 1, -1]))];
    }
    case 5:
      return [normal(0n, 0, r.below(2) << 15), r.below(4) === 0 ? normal(0n, 0, r.below(2) << 15) : a];
    case 6:
      return [a, normal(BigInt(1 + r.below(20)), r.below(8) - 4, r.below(2) << 15)];
    default:
      return [a, value(r, exponent + away)];
  }
}

/** Values that a store to an integer or a narrower format finds hard. */
function awkward(r: Random): Extended {
  const sign = r.below(2) << 15;
  if (r.below(2) === 0) {
    // Whole numbers and a half, and next to it.
    const bits = r.pick([1, 3, 14, 15, 16, 30, 31, 32, 33, 50, 51, 52, 53, 62]);
    const whole = mantissaOf(r, bits) >> BigInt(64 - bits);
    const half = r.pick([0n, 1n, 2n]);
    return step(normal(whole * 2n + half, -1, sign), r.pick([0, 0, 1, -1, 1 << 9]));
  }
  // A float or double, and half a place, and next to it.
  const bits = r.pick([24, 53]);
  const m = (mantissaOf(r, bits) >> BigInt(63 - bits)) + BigInt(r.below(2));
  return step(normal(m, r.pick([-150, -127, -126, -125, 0, 0, 10, 103, 104, 127]) - bits, sign), r.pick([0, 0, 1, -1, 2, 1 << 10]));
}

function writeExtended(record: DataView, i: number, v: Extended): void {
  record.setInt32(28 + 10 * i, v.low, true);
  record.setInt32(32 + 10 * i, v.high, true);
  record.setUint16(36 + 10 * i, v.signExponent, true);
}

const toBits = new DataView(new ArrayBuffer(8));

/** The memory operand: the second value, or a relation of it, in the instruction's format. */
function writeMemory(r: Random, code: readonly number[], v: Extended, record: DataView): void {
  const [esc, modrm] = code;
  if (modrm >= 0xc0) return;
  const sign = v.signExponent & 0x8000 ? -1 : 1;
  const number = sign * ((v.high >>> 0) * 2 ** 32 + (v.low >>> 0)) * 2 ** Math.max(-1074, Math.min(900, (v.signExponent & 0x7fff) - bias - 63));
  if (esc === 0xd8 || esc === 0xd9) {
    record.setFloat32(108, number, true);
    if (r.below(20) === 0) record.setInt32(108, r.pick([0, 1, -0x80000000, 0x7f800000, 0x00800000, 0x7fffff]), true);
  } else if (esc === 0xdc || esc === 0xdd) {
    record.setFloat64(108, number, true);
    if (r.below(20) === 0) {
      toBits.setFloat64(0, r.pick([0, -0, 2 ** -1022, 2 ** -1030, 2 ** -899, 2 ** -900, 2 ** 971, 2 ** 972, 2 ** 1023, 5e-324]), true);
      for (let i = 0; i < 8; i++) record.setUint8(108 + i, toBits.getUint8(i));
    }
  } else if (esc === 0xdb || esc === 0xda) record.setInt32(108, r.pick([0, 1, -1, r.next(), r.next() >> r.below(32)]), true);
}

const stores = new Set([0xd9, 0xdb, 0xdd, 0xdf]);

function writePairCase(r: Random, code: readonly number[], record: DataView): void {
  writeCase(r, code, record);
  // Mostly what pairs are for, on a stack in order.
  const control = r.below(10);
  if (control < 7) record.setUint16(0, 0x37f, true);
  else if (control === 7) record.setUint16(0, 0x27f, true);
  else if (control === 8) record.setUint16(0, 0x7f | (r.below(4) << 10) | (r.below(4) << 8), true);
  if (r.below(12) !== 0) record.setUint32(4, 0xffff3000 | (r.below(3) === 0 ? r.next() & 0x4720 : 0), true);
  const top = (record.getUint16(4, true) >>> 11) & 7;
  let tags = 0;
  const empty = r.below(20) === 0 ? r.below(256) : 0;
  for (let i = 3; i < 8; i++) tags |= 3 << (2 * ((top + i) & 7));
  for (let i = 0; i < 8; i++) if ((empty >>> i) & 1) tags |= 3 << (2 * i);
  record.setUint32(8, 0xffff0000 | tags, true);
  const exponent = r.pick([0, 0, 0, 0, 1, -1, r.below(1700) - 850, r.below(1700) - 850, r.pick([-899, 971, 486, -450, -126, 127]) + r.below(9) - 4]);
  let [a, b] = operands(r, exponent);
  if (stores.has(code[0]) && code[1] < 0xc0 && r.below(2) === 0) a = awkward(r);
  if (r.below(2) === 0) [a, b] = [b, a];
  writeExtended(record, 0, a);
  writeExtended(record, 1, b);
  if (r.below(4) !== 0) writeExtended(record, 2, b);
  writeMemory(r, code, r.below(3) === 0 ? a : b, record);
}

export function makePairCases(seed: number, count: number, codes: readonly (readonly number[])[]): Uint8Array {
  const r = new Random(seed);
  const records = new Uint8Array(count * inputSize);
  for (let i = 0; i < count; i++) writePairCase(r, r.pick(codes), new DataView(records.buffer, i * inputSize, inputSize));
  return records;
}

/** What is done in line, and stores to integers: register and memory forms as [escape byte, ModRM]. */
export function pairCodes(): number[][] {
  const codes: number[][] = [];
  for (const esc of [0xd8, 0xdc, 0xda, 0xde]) for (let reg = 0; reg < 8; reg++) codes.push([esc, (reg << 3) | 7]);
  for (const esc of [0xd8, 0xdc, 0xde]) {
    for (let reg = 0; reg < 8; reg++) {
      if (esc === 0xde && reg === 3) codes.push([0xde, 0xd9]);
      else for (const i of [1, 1, 2, 0]) codes.push([esc, 0xc0 | (reg << 3) | i]);
    }
  }
  for (const m of [0x07, 0x17, 0x1f, 0x2f]) codes.push([0xd9, m]);
  for (const m of [0x07, 0x0f, 0x17, 0x1f, 0x2f, 0x3f]) codes.push([0xdb, m]);
  for (const m of [0x07, 0x0f, 0x17, 0x1f]) codes.push([0xdd, m]);
  for (const m of [0x07, 0x0f, 0x17, 0x1f, 0x2f, 0x3f]) codes.push([0xdf, m]);
  for (const m of [0xc1, 0xc9, 0xe0, 0xe1, 0xe4, 0xfa, 0xfa, 0xfa, 0xfa]) codes.push([0xd9, m]);
  for (const m of [0xe9, 0xf1]) codes.push([0xdb, m], [0xdf, m]);
  for (const m of [0xd2, 0xd9, 0xe1, 0xe9]) codes.push([0xdd, m]);
  codes.push([0xda, 0xe9]);
  return codes;
}
