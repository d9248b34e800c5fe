/** Where the numbers in an instruction (immediates, displacements, branch targets) stand among its bytes: all else in it depends on its prefixes, opcode, ModRM and SIB alone. */
import { type DecodedInstruction, type Operand, operandKind } from "../decode/instruction.ts";
import { operandCodes } from "../decode/operands.ts";
import type { PureOp } from "../ir/pure-ops.ts";
import { fieldCountOf } from "./shape.ts";

/** Where a field's value stands in the instruction. */
export interface FieldPlace {
  /** Of the field. */
  readonly index: number;
  /** Kind of the operand that it belongs to. */
  readonly kind: number;
  /** Bytes from the instruction's end back to its first byte. */
  readonly fromEnd: number;
  readonly size: 1 | 2 | 4;
  /** What the decoder makes of those bytes, one operation after the other; to a branch's displacement it adds where the next instruction is. */
  readonly extend: readonly PureOp[];
}

const asItIs: readonly PureOp[] = [];
const signedByte: readonly PureOp[] = ["signExtend8"];
const signedByteOfWord: readonly PureOp[] = ["signExtend8", "zeroExtend16"];
const signedWord: readonly PureOp[] = ["signExtend16"];
const signed = { 0: asItIs, 1: signedByte, 2: signedWord, 4: asItIs } as const;

export function fieldPlaces(i: DecodedInstruction): FieldPlace[] {
  const { operandSize, addressSize, row } = i;
  const codes = row.operands === "" ? [] : row.operands.split(",");
  const found: FieldPlace[] = [];
  let behind = codes.reduce((sum, name) => sum + operandCodes[name].immediateBytes(operandSize, addressSize), 0);
  const address = behind;
  let index = 0;
  for (let k = 0; k < i.operandCount; k++) {
    const o = i.operands[k];
    const { kind } = o;
    const last = index + fieldCountOf(o) - 1;
    const bytes = operandCodes[codes[k]].immediateBytes(operandSize, addressSize);
    const size = bytes as 1 | 2 | 4;
    if (kind === operandKind.immediate && bytes > 0) {
      const extend = codes[k] !== "sIb" ? asItIs : operandSize === 4 ? signedByte : signedByteOfWord;
      found.push({ index: last, kind, fromEnd: behind, size, extend });
    } else if (kind === operandKind.relative) found.push({ index: last, kind, fromEnd: behind, size, extend: signed[size] });
    else if (kind === operandKind.farPointer) {
      found.push({ index, kind, fromEnd: behind, size: operandSize, extend: asItIs });
      found.push({ index: last, kind, fromEnd: behind - operandSize, size: 2, extend: asItIs });
    } else if (kind === operandKind.memory) {
      // MOV AL, [...] and its like have the displacement in an immediate's place.
      const width = bytes > 0 ? size : displacementBytes(i, o);
      if (width !== 0) found.push({ index: last, kind, fromEnd: bytes > 0 ? behind : address + width, size: width, extend: signed[width] });
    }
    behind -= bytes;
    index = last + 1;
  }
  return found;
}

/** Bytes of the displacement behind ModRM and SIB (SDM vol. 2, tables 2-1 and 2-2). */
function displacementBytes({ modrm, addressSize }: DecodedInstruction, { base }: Operand): 0 | 1 | 2 | 4 {
  const mod = modrm >> 6;
  if (modrm < 0 || mod === 3) return 0;
  if (mod === 1) return 1;
  return mod === 2 || base < 0 ? addressSize : 0;
}
