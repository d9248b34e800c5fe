/**
 * What was found out about instructions, by the bytes that decide it (their *head*: one prefix at most, opcode, ModRM and SIB) and the mode. Others of the same head have the same shape, length and
 * fields, but for the numbers behind those bytes, which are read where they stand. Code that is written anew, and code that runs for the first time, has few kinds of instructions and many of each.
 *
 * The table is direct-mapped. Words of an entry:
 *
 *     0 opcode | second byte of it << 8 | ModRM << 16 | SIB << 24     1 mode | prefix << 16, or `none`     2 shape number
 *     3 length | number of fields << 8 | field of the next instruction's page offset << 16
 *     4, 5 a number of the instruction: its field | place behind the first byte << 8 | `reads` << 16; 0: no (more) such
 *     6... fields
 */
import { isLinearCode, type ModeKey } from "../contract/mode-key.ts";
import { isPrefix } from "../decode/decode.ts";
import { type DecodedInstruction, operandKind } from "../decode/instruction.ts";
import { oneByteMap, twoByteMap } from "../decode/opcode-map.ts";
import type { PureOp } from "../ir/pure-ops.ts";
import { type FieldPlace, fieldPlaces } from "./field-places.ts";
import { countsShifts, shapeModeMask } from "./shape.ts";

const none = -1;
const entryShift = 4;
const entryWords = 1 << entryShift;
const firstField = 6;
const mostFields = entryWords - firstField;
const tableBits = 13;
/** Prefix, two bytes of opcode, ModRM, SIB. */
const longestHead = 5;

/** What follows a byte of the opcode. */
const heads = { opcode: 0, modrm: 1, prefix: 2, escape: 3 } as const;
const headOf = Uint8Array.from({ length: 512 }, (_, byte) => {
  if (byte === 0x0f) return heads.escape;
  if (byte < 256 && isPrefix(byte)) return heads.prefix;
  return (byte < 256 ? oneByteMap[byte] : twoByteMap[byte - 256]).hasModrm ? heads.modrm : heads.opcode;
});

/** How a number is read. */
const reads = { byte: 1, word: 2, doubleword: 3, signedByte: 4, signedWord: 5, signedByteOfWord: 6 } as const;
/** Beside it: it is a distance from the next instruction; 0 modulo 32 would be another shape. */
const isDistance = 8;
const isCount = 16;

export class KnownEncodings {
  /** Of the instruction found last. */
  length = 0;
  fieldCount = 0;
  private readonly fields: Int32Array;
  private readonly words = new Int32Array(entryWords << tableBits).fill(none);

  /** @param fields where those of an instruction go */
  constructor(fields: Int32Array) {
    this.fields = fields;
  }

  /** The shape of the instruction at `bytes[offset]`, which ends before `end`; -1: it is not known. */
  find(bytes: Uint8Array, offset: number, end: number, key: ModeKey, pageOffset: number): number {
    if (offset + longestHead > end) return none;
    const { words, fields } = this;
    let at = offset;
    let byte = bytes[at];
    let follows = headOf[byte];
    let mode = key & shapeModeMask;
    if (follows === heads.prefix) {
      mode |= byte << 16;
      byte = bytes[++at];
      follows = headOf[byte];
      if (follows === heads.prefix) return none;
    }
    let head = byte;
    if (follows === heads.escape) {
      byte = bytes[++at];
      head |= byte << 8;
      follows = headOf[256 + byte];
    }
    if (follows === heads.modrm) {
      const modrm = bytes[at + 1];
      head |= modrm << 16;
      // Where there is no SIB byte after all, there are more entries than need be.
      if (modrm < 0xc0 && (modrm & 7) === 4) head |= bytes[at + 2] << 24;
    }
    const k = place(head, mode);
    if (words[k] !== head || words[k + 1] !== mode) return none;
    const sizes = words[k + 3];
    const length = sizes & 0xff;
    if (offset + length > end) return none;
    const count = (sizes >>> 8) & 0xff;
    for (let n = 0; n < count; n++) fields[n] = words[k + firstField + n];
    const next = pageOffset + length;
    fields[sizes >>> 16] = next;
    const first = words[k + 4];
    if (first !== 0) {
      const value = read(bytes, offset, first);
      if ((first & (isCount << 16)) !== 0 && (value & 31) === 0) return none;
      fields[first & 0xff] = (first & (isDistance << 16)) === 0 ? value : (next + value) | 0;
      const second = words[k + 5];
      if (second !== 0) {
        const other = read(bytes, offset, second);
        if ((second & (isCount << 16)) !== 0 && (other & 31) === 0) return none;
        fields[second & 0xff] = other;
      }
    }
    this.length = length;
    this.fieldCount = count;
    return words[k + 2];
  }

  /** The decoder found shape `shape` and fields for the instruction there. */
  add(i: DecodedInstruction, bytes: Uint8Array, offset: number, end: number, key: ModeKey, shape: number, fieldCount: number): void {
    if (offset + longestHead > end || fieldCount > mostFields) return;
    let mode = key & shapeModeMask;
    let at = offset;
    if (isPrefix(bytes[at])) mode |= bytes[at++] << 16;
    if (isPrefix(bytes[at])) return;
    let head = bytes[at];
    if (head === 0x0f) head |= bytes[++at] << 8;
    // Opcodes of three bytes are left out.
    if (head === 0x380f || head === 0x3a0f) return;
    if (i.modrm >= 0) {
      head |= i.modrm << 16;
      if (i.modrm < 0xc0 && (i.modrm & 7) === 4) head |= bytes[at + 2] << 24;
    }
    const places = fieldPlaces(i);
    if (places.length > 2) return;
    for (const { kind, index } of places) {
      // A branch that leaves its page is another shape there.
      if (kind === operandKind.relative && !isLinearCode(key)) return;
      if (kind === operandKind.immediate && countsShifts(i.row) && (this.fields[index] & 31) === 0) return;
    }
    const { words } = this;
    const k = place(head, mode);
    words[k] = head;
    words[k + 1] = mode;
    words[k + 2] = shape;
    words[k + 3] = i.length | (fieldCount << 8) | ((i.escape === 0 ? fieldCount - 1 : fieldCount - 2) << 16);
    for (let n = 0; n < 2; n++) words[k + 4 + n] = n < places.length ? describe(places[n], i) : 0;
    for (let n = 0; n < fieldCount; n++) words[k + firstField + n] = this.fields[n];
  }

  clear(): void {
    this.words.fill(none);
  }
}

/** The entry's first word. */
function place(head: number, mode: number): number {
  return (Math.imul(head ^ Math.imul(mode, 0x85ebca6b), 0x9e3779b1) >>> (32 - tableBits)) << entryShift;
}

function read(bytes: Uint8Array, offset: number, number: number): number {
  const at = offset + ((number >>> 8) & 0xff);
  switch ((number >>> 16) & 7) {
    case reads.byte:
      return bytes[at];
    case reads.word:
      return bytes[at] | (bytes[at + 1] << 8);
    case reads.doubleword:
      return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    case reads.signedByte:
      return (bytes[at] << 24) >> 24;
    case reads.signedWord:
      return ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16;
    default:
      return ((bytes[at] << 24) >> 24) & 0xffff;
  }
}

const plain = { 1: reads.byte, 2: reads.word, 4: reads.doubleword } as const;
const extended: Readonly<Partial<Record<PureOp, number>>> = { signExtend8: reads.signedByte, signExtend16: reads.signedWord };

/** The word of an entry for a number. */
function describe({ index, kind, fromEnd, size, extend }: FieldPlace, i: DecodedInstruction): number {
  const [op, more] = extend;
  const how = op === undefined ? plain[size] : more === undefined ? (extended[op] as number) : reads.signedByteOfWord;
  const notes = kind === operandKind.relative ? isDistance : kind === operandKind.immediate && countsShifts(i.row) ? isCount : 0;
  return index | ((i.length - fromEnd) << 8) | ((how | notes) << 16);
}
