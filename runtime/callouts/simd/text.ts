/**
 * PCMPxSTRx (SDM vol. 2, 4.1). The left operand is the needle or the set, the right one the text; sets of lanes are masks of 16 bits, lane 0 in bit 0. Lanes
 * of the right operand are compared with one value four (bytes) or two (words) at a time.
 */
import type { Cpu } from "../../cpu/cpu.ts";

// Fields of the immediate.
const wordLanes = 1;
const signedLanes = 2;
const aggregationShift = 2;
const aggregation = { equalAny: 0, ranges: 1, equalEach: 2, equalOrdered: 3 } as const;
const { equalAny, ranges, equalEach } = aggregation;
const negative = 0x10;
/** Only lanes of the right operand that are valid are inverted. */
const masked = 0x20;

// Flags above IntRes2.
const carry = 1 << 16;
const zero = 1 << 17;
const sign = 1 << 18;
const overflow = 1 << 19;

/** Bit k: byte k is zero. No carry goes from one byte to the next; the product brings bits 0, 8, 16 and 24 together in 24 to 27. */
function zeroBytes(word: number): number {
  const tops = (((word & 0x7f7f7f7f) + 0x7f7f7f7f) | word) & 0x80808080;
  return (Math.imul((tops >>> 7) ^ 0x01010101, 0x01020408) >>> 24) & 15;
}
/** Bits 0 and 1, by words of 16 bits. */
function zeroWords(word: number): number {
  return ((word & 0xffff) === 0 ? 1 : 0) | (word >>> 16 === 0 ? 2 : 0);
}

/** Lanes of the operand at slot `at` that are `value`, an unsigned lane. */
function lanesWith(R: Int32Array, at: number, isWords: boolean, value: number): number {
  if (isWords) {
    const all = value | (value << 16);
    return zeroWords(R[at] ^ all) | (zeroWords(R[at + 1] ^ all) << 2) | (zeroWords(R[at + 2] ^ all) << 4) | (zeroWords(R[at + 3] ^ all) << 6);
  }
  const all = Math.imul(value, 0x01010101);
  return zeroBytes(R[at] ^ all) | (zeroBytes(R[at + 1] ^ all) << 4) | (zeroBytes(R[at + 2] ^ all) << 8) | (zeroBytes(R[at + 3] ^ all) << 12);
}

/** Lanes in which two operands are equal. */
function equalLanes(R: Int32Array, a: number, b: number, isWords: boolean): number {
  let found = 0;
  for (let k = 0; k < 4; k++) {
    const difference = R[a + k] ^ R[b + k];
    found |= isWords ? zeroWords(difference) << (2 * k) : zeroBytes(difference) << (4 * k);
  }
  return found;
}

function lane(R: Int32Array, at: number, isWords: boolean, k: number): number {
  return isWords ? (R[at + (k >> 1)] >>> ((k & 1) << 4)) & 0xffff : (R[at + (k >> 2)] >>> ((k & 3) << 3)) & 0xff;
}

/** Lanes of the right operand within any of the left one's pairs of bounds. @param bias what makes signed lanes unsigned, exclusive or */
function lanesInRanges(R: Int32Array, left: number, right: number, isWords: boolean, bias: number, leftLength: number, rightLength: number): number {
  let found = 0;
  // A lower bound without an upper one is no range.
  for (let i = 0; i < leftLength - 1; i += 2) {
    const least = lane(R, left, isWords, i) ^ bias;
    const most = lane(R, left, isWords, i + 1) ^ bias;
    if (least > most) continue;
    for (let k = 0; k < rightLength; k++) {
      const value = lane(R, right, isWords, k) ^ bias;
      if (value >= least && value <= most) found |= 1 << k;
    }
  }
  return found;
}

function compare(R: Int32Array, left: number, right: number, immediate: number, leftLength: number, rightLength: number): number {
  const isWords = (immediate & wordLanes) !== 0;
  const lanes = isWords ? 8 : 16;
  const full = isWords ? 0xff : 0xffff;
  const valid = (1 << rightLength) - 1;
  let found: number;
  switch ((immediate >> aggregationShift) & 3) {
    case equalAny:
      found = 0;
      for (let i = 0; i < leftLength; i++) found |= lanesWith(R, right, isWords, lane(R, left, isWords, i));
      found &= valid;
      break;
    case ranges: {
      const bias = (immediate & signedLanes) === 0 ? 0 : isWords ? 0x8000 : 0x80;
      found = lanesInRanges(R, left, right, isWords, bias, leftLength, rightLength);
      break;
    }
    case equalEach: {
      // Beyond both ends lanes count as equal, beyond one as different.
      const leftValid = (1 << leftLength) - 1;
      found = (equalLanes(R, left, right, isWords) & leftValid & valid) | (full & ~(leftValid | valid));
      break;
    }
    default:
      // What lies beyond the needle's end, or the register's, matches anything.
      found = full;
      for (let i = 0; i < leftLength && found !== 0; i++) {
        found &= ((lanesWith(R, right, isWords, lane(R, left, isWords, i)) & valid) >> i) | ~(full >> i);
      }
  }
  if (immediate & negative) found ^= immediate & masked ? valid : full;
  let result = found;
  if (found !== 0) result |= carry;
  if (rightLength < lanes) result |= zero;
  if (leftLength < lanes) result |= sign;
  if (found & 1) result |= overflow;
  return result;
}

/** How many lanes come before the first that is zero. */
function lengthOf(R: Int32Array, at: number, isWords: boolean): number {
  const ends = lanesWith(R, at, isWords, 0) | (isWords ? 0x100 : 0x10000);
  return 31 - Math.clz32(ends & -ends);
}

/** A length as a general register has it. */
const saturate = (length: number, lanes: number): number => Math.min(Math.abs(length), lanes);

function compareText(cpu: Cpu, left: number, right: number, immediate: number): number {
  const R = cpu.R;
  const isWords = (immediate & wordLanes) !== 0;
  return compare(R, left, right, immediate, lengthOf(R, left, isWords), lengthOf(R, right, isWords));
}

function compareTextOfLength(cpu: Cpu, left: number, right: number, immediate: number, eax: number, edx: number): number {
  const lanes = immediate & wordLanes ? 8 : 16;
  return compare(cpu.R, left, right, immediate, saturate(eax, lanes), saturate(edx, lanes));
}

export const textImplementations = { compareText, compareTextOfLength };
