/** Random and directed x87 cases as input records of hardware.c. */
import { inputSize } from "./engine.ts";

/** xorshift128: a stream decided by its seed. */
export class Random {
  private readonly s = new Uint32Array(4);
  constructor(seed: number) {
    for (let i = 0; i < 4; i++) this.s[i] = Math.imul(seed + i + 1, 0x9e3779b1) ^ 0x85ebca6b;
    for (let i = 0; i < 20; i++) this.next();
  }
  /** A uniform int32. */
  next(): number {
    const s = this.s;
    let t = s[3];
    t ^= t << 11;
    t ^= t >>> 8;
    s[3] = s[2];
    s[2] = s[1];
    s[1] = s[0];
    s[0] = t ^ s[0] ^ (s[0] >>> 19);
    return s[0] | 0;
  }
  /** 0 <= n < limit */
  below(limit: number): number {
    return (this.next() >>> 0) % limit;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

export interface Extended {
  low: number;
  high: number;
  signExponent: number;
}

const specials: readonly (readonly [number, number, number])[] = [
  [0, 0, 0],
  [0, 0, 0x8000],
  [0, 0x80000000, 0x3fff],
  [0, 0x80000000, 0xbfff],
  [0, 0x80000000, 0x7fff],
  [0, 0x80000000, 0xffff],
  [0, 0xc0000000, 0xffff],
  [1, 0xc0000000, 0x7fff],
  [5, 0x80000000, 0x7fff],
  [1, 0xa0000000, 0xffff],
  [0, 0, 0x7fff],
  [1, 0x40000000, 0x7fff],
  [0, 0x40000000, 0x3fff],
  [0, 0, 0x1234],
  [0, 0x80000000, 0],
  [0xffffffff, 0xffffffff, 0],
  [1, 0, 0],
  [1, 0, 0x8000],
  [0xffffffff, 0x7fffffff, 0],
  [0, 0x80000000, 1],
  [0xffffffff, 0xffffffff, 0x7ffe],
  [0xffffffff, 0xffffffff, 0xfffe],
  [0, 0x80000000, 0x4000],
  [0, 0xc0000000, 0x3fff],
  [0, 0x80000000, 0x3ffe],
  [0, 0x80000000, 0x403d],
  [0, 0x80000000, 0xc03e],
  [0xfffffc00, 0xffffffff, 0x43fe],
  [0, 0x80000000, 0x3c00],
  [0, 0xffffff80, 0x407e],
  [0, 0x80000000, 0x3f80],
];

function mantissa(r: Random, v: Extended): void {
  switch (r.below(8)) {
    case 0:
      v.low = 0;
      v.high = r.next() & (-1 << r.below(32));
      break;
    case 1:
      v.low = r.next() & (-1 << r.below(32));
      v.high = r.next();
      break;
    case 2:
      v.low = -1 << r.below(32);
      v.high = -1;
      break;
    case 3:
      v.low = 1 << r.below(32);
      v.high = 0;
      break;
    case 4:
      v.low = (r.next() & 0xfffff800) | r.pick([0, 0x3ff, 0x400, 0x401, 0x7ff]);
      v.high = r.next();
      break;
    case 5:
      v.low = r.pick([0, 1, -1, r.next()]);
      v.high = (r.next() & 0xffffff00) | r.pick([0, 0x7f, 0x80, 0x81, 0xff]);
      break;
    default:
      v.low = r.next();
      v.high = r.next();
  }
  v.high |= 0x80000000;
}

/** Any encoding, weighted towards normal numbers whose exponents meet. */
export function randomExtended(r: Random, near = 0x3fff): Extended {
  const v: Extended = { low: 0, high: 0, signExponent: 0 };
  const sign = r.below(2) << 15;
  switch (r.below(24)) {
    case 0:
    case 1: {
      const [low, high, signExponent] = r.pick(specials);
      return { low: low | 0, high: high | 0, signExponent };
    }
    case 2:
      return { low: r.next(), high: r.next(), signExponent: r.next() & 0xffff };
    case 3:
      mantissa(r, v);
      v.high = (v.high & 0x7fffffff) >>> r.below(32);
      v.signExponent = sign;
      return v;
    case 4:
      mantissa(r, v);
      v.signExponent = sign | r.below(70);
      return v;
    case 5:
      mantissa(r, v);
      v.signExponent = sign | (0x7ffe - r.below(70));
      return v;
    case 6:
      mantissa(r, v);
      v.signExponent = sign | r.pick([0x3fff - 1022, 0x3fff - 126, 0x3fff + 127, 0x3fff + 1023, 0x3fff - 1074, 0x3fff - 149]);
      v.signExponent += r.below(60) - 30;
      return v;
    case 7:
      // Integers, with and without halves.
      mantissa(r, v);
      v.signExponent = sign | (0x3fff + r.below(66));
      return v;
    case 8:
      mantissa(r, v);
      v.signExponent = sign | (r.next() & 0x7fff);
      return v;
    default:
      mantissa(r, v);
      v.signExponent = sign | ((near + r.below(140) - 70) & 0x7fff);
      return v;
  }
}

/** The six rounding-sensitive families, compares, conversions, control: register and memory forms as [escape byte, ModRM]. */
export function arithmeticCodes(): number[][] {
  const codes: number[][] = [];
  for (const esc of [0xd8, 0xdc, 0xde, 0xda]) for (let reg = 0; reg < 8; reg++) codes.push([esc, (reg << 3) | 7]);
  for (const esc of [0xd8, 0xdc, 0xde]) {
    for (let reg = 0; reg < 8; reg++) {
      if (esc === 0xde && reg === 3) codes.push([0xde, 0xd9]);
      else for (const i of [1, 1, 2, 7]) codes.push([esc, 0xc0 | (reg << 3) | i]);
    }
  }
  return codes;
}

export function otherCodes(): number[][] {
  const codes: number[][] = [];
  for (const m of [0x07, 0x17, 0x1f, 0x2f, 0x3f]) codes.push([0xd9, m]);
  for (const m of [0x07, 0x0f, 0x17, 0x1f, 0x2f, 0x3f]) codes.push([0xdb, m]);
  for (const m of [0x07, 0x0f, 0x17, 0x1f, 0x3f]) codes.push([0xdd, m]);
  for (const m of [0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f]) codes.push([0xdf, m]);
  for (const m of [0xc0, 0xc3, 0xc8, 0xcb, 0xd0, 0xe0, 0xe1, 0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee]) codes.push([0xd9, m]);
  for (const m of [0xf4, 0xf5, 0xf5, 0xf6, 0xf7, 0xf8, 0xf8, 0xfa, 0xfa, 0xfc, 0xfc, 0xfd, 0xfd]) codes.push([0xd9, m]);
  for (const m of [0xc1, 0xc9, 0xd1, 0xd9, 0xe9]) codes.push([0xda, m]);
  for (const m of [0xc1, 0xc9, 0xd1, 0xd9, 0xe2, 0xe3, 0xe9, 0xf1]) codes.push([0xdb, m]);
  for (const m of [0xc1, 0xc9, 0xd2, 0xda, 0xe1, 0xe9]) codes.push([0xdd, m]);
  for (const m of [0xe0, 0xe9, 0xf1, 0xc2, 0xc9, 0xd1, 0xd9]) codes.push([0xdf, m]);
  // Undocumented aliases.
  for (const code of [
    [0xd9, 0xd9],
    [0xd9, 0xda],
    [0xde, 0xd1],
  ])
    codes.push(code);
  return codes;
}

/** Results that may differ from this CPU's in the last bit. */
export function transcendentalCodes(): number[][] {
  return [0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff].map((m) => [0xd9, m]);
}

function randomMemory(r: Random, esc: number, modrm: number, record: DataView): void {
  for (let i = 0; i < 16; i += 4) record.setInt32(108 + i, r.below(3) === 0 ? r.pick([0, 1, -1, 0x7fffffff, -0x80000000]) : r.next(), true);
  const isBcd = esc === 0xdf && ((modrm >>> 3) & 7) === 4;
  if (isBcd) {
    for (let i = 0; i < 9; i++) record.setUint8(108 + i, r.below(10) | (r.below(10) << 4));
    if (r.below(4) === 0) record.setInt32(112, 0, true);
    record.setUint8(117, r.pick([0, 0x80]));
    return;
  }
  // Floats near 1, near the edges of their range, and the specials.
  if (esc === 0xd8 || esc === 0xd9) {
    const exponent = r.pick([0, 0, 1, 127, 127, 127, 130, 100, 254, 255, r.below(256)]);
    record.setInt32(108, (r.next() & 0x807fffff & ~r.pick([0, 0x3fffff, 0x7fffff, 0x7ffff0])) | (exponent << 23), true);
  } else if (esc === 0xdc || esc === 0xdd) {
    const exponent = r.pick([0, 0, 1, 1023, 1023, 1023, 1030, 1000, 2046, 2047, r.below(2048)]);
    record.setInt32(112, (r.next() & 0x800fffff & ~r.pick([0, 0x7ffff, 0xfffff, 0xfff00])) | (exponent << 20), true);
    if (r.below(3) === 0) record.setInt32(108, 0, true);
  }
}

/** Control word: mostly everything masked, all RC and PC; sometimes random masks. */
function randomControl(r: Random): number {
  const masks = r.below(4) === 0 ? r.below(64) : 0x3f;
  const precision = r.below(3) === 0 ? r.below(4) : 3;
  const rounding = r.below(2) === 0 ? r.below(4) : 0;
  return 0x40 | masks | (precision << 8) | (rounding << 10);
}

export interface CaseOptions {
  /** Operands of a transcendental: exponents where it has something to say. */
  readonly near?: number;
}

export function writeCase(r: Random, code: readonly number[], record: DataView, options: CaseOptions = {}): void {
  record.setUint32(0, 0xffff0000 | randomControl(r), true);
  const top = r.below(4) === 0 ? r.below(8) : 6;
  let status = top << 11;
  if (r.below(4) === 0) status |= r.next() & 0x4700;
  if (r.below(8) === 0) status |= r.next() & 0x7f;
  // Pending exceptions sometimes, but not often.
  if (r.below(32) !== 0) status &= ~(~record.getUint16(0, true) & 0x3f);
  record.setUint32(4, 0xffff0000 | status, true);
  let tags = 0;
  const crowded = r.below(6);
  for (let i = 0; i < 8; i++) {
    const empty = crowded === 0 ? r.below(2) === 0 : i >= (crowded === 1 ? 8 : 3);
    if (empty) tags |= 3 << (2 * ((top + i) & 7));
  }
  record.setUint32(8, 0xffff0000 | tags, true);
  for (const i of [12, 16, 20, 24]) record.setInt32(i, 0, true);
  const first = randomExtended(r, options.near);
  for (let i = 0; i < 8; i++) {
    const near = options.near ?? (r.below(8) === 0 ? 0x3fff : first.signExponent & 0x7fff);
    const v = i === 0 ? first : randomExtended(r, near);
    if (i > 0 && r.below(12) === 0) {
      v.low = first.low + r.below(3) - 1;
      v.high = first.high;
      v.signExponent = first.signExponent ^ r.pick([0, 0x8000, 1]);
    }
    record.setInt32(28 + 10 * i, v.low, true);
    record.setInt32(32 + 10 * i, v.high, true);
    record.setUint16(36 + 10 * i, v.signExponent, true);
  }
  randomMemory(r, code[0], code[1], record);
  record.setInt32(124, 0x202 | (r.next() & 0x8d5), true);
  record.setUint8(128, code[0]);
  record.setUint8(129, code[1]);
  record.setUint16(130, 0, true);
}

export function makeCases(seed: number, count: number, codes: readonly (readonly number[])[], options: CaseOptions = {}): Uint8Array {
  const r = new Random(seed);
  const records = new Uint8Array(count * inputSize);
  for (let i = 0; i < count; i++) writeCase(r, r.pick(codes), new DataView(records.buffer, i * inputSize, inputSize), options);
  return records;
}
