/** Floating-point bit patterns worth trying, as little-endian bytes: zeros, denormals, infinities, both kinds of NaN, ties. */
import { littleEndian } from "./encoder.ts";
import type { Random } from "./random.ts";

const singles = [
  0x00000000, 0x3f800000, 0x40000000, 0x3f000000, 0x40400000, 0x3fc00000, 0x3eaaaaab, 0x4b000000, 0x4b7fffff, 0x4b800000, 0x4effffff, 0x4f000000,
  0x5f000000, 0x7f7fffff, 0x00800000, 0x007fffff, 0x00000001, 0x00400000, 0x7f800000, 0x7fc00000, 0x7fc12345, 0x7f800001, 0x7fa00000, 0x33800000,
  0x33000000, 0x3f7fffff, 0x3f800001, 0x42fe0000, 0x437f0000, 0x46fffe00, 0x47000000, 0x20000000, 0x1f800000, 0x5f7fffff, 0x60000000, 0x3f000001,
  0x40200000,
];

const doubles: readonly (readonly [number, number])[] = [
  [0x00000000, 0],
  [0x3ff00000, 0],
  [0x40000000, 0],
  [0x3fe00000, 0],
  [0x40080000, 0],
  [0x3ff80000, 0],
  [0x3fd55555, 0x55555555],
  [0x43300000, 0],
  [0x433fffff, 0xffffffff],
  [0x43400000, 0],
  [0x41dfffff, 0xffc00000],
  [0x41e00000, 0],
  [0x41dfffff, 0xffe00000],
  [0x41dfffff, 0xff800000],
  [0x43e00000, 0],
  [0x7fefffff, 0xffffffff],
  [0x00100000, 0],
  [0x000fffff, 0xffffffff],
  [0, 1],
  [0x00080000, 0],
  [0x7ff00000, 0],
  [0x7ff80000, 0],
  [0x7ff81234, 0x56789abc],
  [0x7ff00000, 1],
  [0x7ff40000, 0],
  [0x3ca00000, 0],
  [0x3c900000, 0],
  [0x3fefffff, 0xffffffff],
  [0x3ff00000, 1],
  // Around single precision's range and its rounding boundaries.
  [0x47efffff, 0xe0000000],
  [0x47efffff, 0xf0000000],
  [0x47efffff, 0xefffffff],
  [0x38100000, 0],
  [0x380fffff, 0xffffffff],
  [0x36a00000, 0],
  [0x36900000, 0],
  [0x3ff00000, 0x10000000],
  [0x3ff00000, 0x30000000],
  [0x3ff00000, 0x10000001],
  [0x20000000, 0],
  [0x1ff00000, 0],
  [0x5fefffff, 0xffffffff],
  [0x40040000, 0],
];

/** A float (4 bytes) or double (8). */
export function floatBytes(r: Random, size: number): number[] {
  const kind = r.below(10);
  const sign = r.below(2) << 31;
  if (size === 4) {
    if (kind < 6) return littleEndian(r.pick(singles) | sign, 4);
    if (kind < 9) return littleEndian(((120 + r.below(16)) << 23) | (r.next() & (r.below(2) ? 0x7fffff : 0x7ff000)) | sign, 4);
    return littleEndian(r.next(), 4);
  }
  if (kind < 6) {
    const [high, low] = r.pick(doubles);
    return [...littleEndian(low, 4), ...littleEndian(high | sign, 4)];
  }
  const high = kind < 9 ? ((1016 + r.below(16)) << 20) | (r.next() & 0xfffff) | sign : r.next();
  return [...littleEndian(r.below(2) ? r.next() : 0, 4), ...littleEndian(high, 4)];
}

/** x87's 80-bit patterns: [sign and exponent, mantissa high, mantissa low]. */
const extendeds: readonly (readonly [number, number, number])[] = [
  [0, 0, 0],
  [0x3fff, 0x80000000, 0],
  [0x4000, 0x80000000, 0],
  [0x3ffe, 0x80000000, 0],
  [0x4000, 0xc0000000, 0],
  [0x3fff, 0xc0000000, 0],
  [0x3ffd, 0xaaaaaaaa, 0xaaaaaaab],
  [0x4002, 0xa0000000, 0],
  [0x3fff, 0x80000000, 1],
  [0x3ffe, 0xffffffff, 0xffffffff],
  [0x4000, 0xc90fdaa2, 0x2168c235],
  // Denormals, pseudo-denormals, the smallest and largest normals.
  [0, 0, 1],
  [0, 0x7fffffff, 0xffffffff],
  [0, 0x40000000, 0],
  [0, 0x80000000, 0],
  [0, 0xffffffff, 0xffffffff],
  [1, 0x80000000, 0],
  [0x7ffe, 0xffffffff, 0xffffffff],
  [0x7ffe, 0x80000000, 0],
  [2, 0x80000000, 0],
  [1, 0x80000000, 1],
  // Infinity, quiet and signalling NaNs, the indefinite.
  [0x7fff, 0x80000000, 0],
  [0x7fff, 0xc0000000, 0],
  [0x7fff, 0xc0000012, 0x34567890],
  [0x7fff, 0x80000000, 1],
  [0x7fff, 0xa0000000, 0],
  [0x7fff, 0xd0000000, 0],
  // Unsupported: pseudo-infinity, pseudo-NaN, unnormals.
  [0x7fff, 0, 0],
  [0x7fff, 0x40000000, 0],
  [0x3fff, 0x40000000, 0],
  [0x4010, 0, 0],
  // Integer limits and halves.
  [0x400d, 0xffff0000, 0],
  [0x400e, 0x80000000, 0],
  [0x400e, 0x80008000, 0],
  [0x401d, 0xffffffff, 0x80000000],
  [0x401e, 0x80000000, 0],
  [0x403d, 0xffffffff, 0xffffffff],
  [0x403e, 0x80000000, 0],
  [0x403e, 0xffffffff, 0xffffffff],
  [0x4000, 0xa0000000, 0],
  [0x4000, 0xe0000000, 0],
  [0x403a, 0xde0b6b3a, 0x763fff00],
  [0x403a, 0xde0b6b3a, 0x76400000],
  // Around double's and single's limits and rounding boundaries.
  [0x43fe, 0xffffffff, 0xfffff800],
  [0x43fe, 0xffffffff, 0xfffffc00],
  [0x3c01, 0x80000000, 0],
  [0x3c00, 0xffffffff, 0xffffffff],
  [0x3bcd, 0x80000000, 0],
  [0x3bcc, 0x80000000, 0],
  [0x407e, 0xffffff00, 0],
  [0x407e, 0xffffff80, 0],
  [0x3f81, 0x80000000, 0],
  [0x3f80, 0xffffffff, 0xffffffff],
  [0x3f6a, 0x80000000, 0],
  [0x3f69, 0x80000000, 0],
  [0x3fff, 0x80000000, 0x400],
  [0x3fff, 0x80000000, 0xc00],
  [0x3fff, 0x80000000, 0x401],
  [0x3fff, 0x80000080, 0],
  [0x3fff, 0x80000180, 0],
  [0x3fff, 0x80000080, 1],
];

/** A value for an x87 register: 10 bytes. */
export function extendedBytes(r: Random): number[] {
  const sign = r.below(2) << 15;
  const kind = r.below(12);
  if (kind < 6) {
    const [top, high, low] = r.pick(extendeds);
    return [...littleEndian(low, 4), ...littleEndian(high, 4), ...littleEndian(top | sign, 2)];
  }
  const exponent = kind < 10 ? 0x3ff0 + r.below(0x20) : kind === 10 ? r.pick([1, 2, 0x3ffe, 0x7ffd, 0x7ffe]) + r.below(2) - 1 : r.below(0x7fff);
  const width = r.below(4);
  const high = (width === 0 ? r.next() & 0xfff00000 : r.next()) | 0x80000000;
  const low = width === 0 ? 0 : width === 1 ? r.next() & 0xfffff800 : r.next();
  return [...littleEndian(low, 4), ...littleEndian(high, 4), ...littleEndian(exponent | sign, 2)];
}
