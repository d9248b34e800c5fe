/**
 * The decoder: one instruction from bytes, in real, virtual-8086 and protected mode, 16- and 32-bit. It knows i686 with MMX, SSE to SSE4.2, AES
 * and SHA; anything later is invalid. In: bytes and the code size. Out: a `DecodedInstruction`, filled in place, and a status.
 *
 * The order of work is prefixes, opcode, ModRM (which settle the form), then the length of what follows, then the operands. Nothing is read
 * at or beyond `end` or beyond the fifteenth byte: an instruction that would need it is truncated or too long. A fault on fetching comes
 * before #UD (SDM vol. 3, table 6-2), so bytes are missed before a form is found invalid. What is invalid only in some CPU mode is not judged here.
 */
import { type DecodedInstruction, operandKind, repeat } from "./instruction.ts";
import { addressLength, hasSib } from "./memory-operand.ts";
import { invalidRow, map3A, map38, modrmIndex, oneByteMap, twoByteMap } from "./opcode-map.ts";
import { mandatoryPrefix } from "./table-row.ts";

export const decodeStatus = {
  ok: 0,
  /** #UD. */
  invalid: 1,
  /** Needs bytes at or beyond `end`. */
  truncated: 2,
  /** Longer than 15 bytes: #GP(0). */
  tooLong: 3,
} as const;
export type DecodeStatus = (typeof decodeStatus)[keyof typeof decodeStatus];

export const maximumLength = 15;

const prefix = { none: 0, segment: 1, operandSize: 2, addressSize: 3, lock: 4, repne: 5, rep: 6 } as const;
const prefixOf = new Uint8Array(256);
const segmentOf = new Uint8Array(256);
for (const [byte, segment] of [
  [0x26, 0],
  [0x2e, 1],
  [0x36, 2],
  [0x3e, 3],
  [0x64, 4],
  [0x65, 5],
]) {
  prefixOf[byte] = prefix.segment;
  segmentOf[byte] = segment;
}
prefixOf[0x66] = prefix.operandSize;
prefixOf[0x67] = prefix.addressSize;
prefixOf[0xf0] = prefix.lock;
prefixOf[0xf2] = prefix.repne;
prefixOf[0xf3] = prefix.rep;

export const isPrefix = (byte: number): boolean => prefixOf[byte] !== prefix.none;

/** Decode the instruction at `bytes[offset]`; bytes from `end` on are not looked at. `code32` is CS.D. */
export function decode(bytes: Uint8Array, offset: number, end: number, code32: boolean, out: DecodedInstruction): DecodeStatus {
  const limit = Math.min(end, offset + maximumLength);
  out.operandSize = code32 ? 4 : 2;
  out.addressSize = code32 ? 4 : 2;
  out.segmentOverride = -1;
  out.lock = false;
  out.repeat = repeat.none;
  out.modrm = -1;

  let at = offset;
  let mandatory: number = mandatoryPrefix.NP;
  let opcode = 0;
  for (;;) {
    if (at >= limit) return outOfBytes(out, limit - offset);
    opcode = bytes[at++];
    const kind = prefixOf[opcode];
    if (kind === prefix.none) break;
    if (kind === prefix.segment) out.segmentOverride = segmentOf[opcode];
    else if (kind === prefix.operandSize) {
      out.operandSize = code32 ? 2 : 4;
      if (mandatory === mandatoryPrefix.NP) mandatory = mandatoryPrefix["66"];
    } else if (kind === prefix.addressSize) out.addressSize = code32 ? 2 : 4;
    else if (kind === prefix.lock) out.lock = true;
    else if (kind === prefix.rep) {
      out.repeat = repeat.rep;
      mandatory = mandatoryPrefix.F3;
    } else {
      out.repeat = repeat.repne;
      mandatory = mandatoryPrefix.F2;
    }
  }

  out.escape = (opcode & 0xf8) === 0xd8 ? opcode : 0;
  let entry = oneByteMap[opcode];
  if (opcode === 0x0f) {
    if (at >= limit) return outOfBytes(out, limit - offset);
    const second = bytes[at++];
    entry = twoByteMap[second];
    if (second === 0x38 || second === 0x3a) {
      if (at >= limit) return outOfBytes(out, limit - offset);
      entry = (second === 0x38 ? map38 : map3A)[bytes[at++]];
    }
  }
  let index = mandatory * entry.prefixStride;
  let modrm = -1;
  if (entry.hasModrm) {
    if (at >= limit) return outOfBytes(out, limit - offset);
    modrm = bytes[at++];
    out.modrm = modrm;
    index += modrmIndex(modrm);
  }
  const form = entry.forms[index];
  const displacementAt = at;
  if (modrm >= 0 && !form.modIgnored) {
    let sib = 0;
    if (hasSib(modrm, out.addressSize)) {
      if (at >= limit) return outOfBytes(out, limit - offset);
      sib = bytes[at];
    }
    at += addressLength(modrm, out.addressSize, sib);
  }
  const immediateAt = at;
  at += form.immediateBytes[out.operandSize + (out.addressSize >> 1) - 3];
  if (at > limit) return outOfBytes(out, limit - offset);
  if (!form.valid) return fail(out, at - offset, decodeStatus.invalid);
  out.length = at - offset;
  out.row = form.row;

  const codes = form.operands;
  const count = codes.length;
  out.operandCount = count;
  const operands = out.operands;
  for (let n = 0; n < count; n++) {
    const code = codes[n];
    code.read(operands[n], code, out, bytes, displacementAt, immediateAt);
  }
  for (let n = count; n < 4; n++) operands[n].kind = operandKind.none;

  // LOCK needs an instruction that allows it and a memory destination (SDM vol. 2, LOCK).
  if (out.lock && !(form.row.lockable && operands[0].kind === operandKind.memory)) return fail(out, at - offset, decodeStatus.invalid);
  return decodeStatus.ok;
}

/** More bytes are wanted than the `given` ones: the window's, or the most an instruction may have. */
function outOfBytes(out: DecodedInstruction, given: number): DecodeStatus {
  return fail(out, given, given === maximumLength ? decodeStatus.tooLong : decodeStatus.truncated);
}

function fail(out: DecodedInstruction, length: number, status: DecodeStatus): DecodeStatus {
  out.row = invalidRow;
  out.length = length;
  out.operandCount = 0;
  return status;
}
