/**
 * *Soft* fields: immediates and displacements that are read from guest memory whenever the instruction runs, because code that writes over them did so before. A region with them in
 * it lives on when they are written again. What an instruction is, how long it is and where it goes stays fixed.
 */
import { type DecodedInstruction, type Operand, operandKind } from "../decode/instruction.ts";
import { operandCodes } from "../decode/operands.ts";
import { type MicroTemplate, operandsOf, operandsOfTerminator, type Value } from "../ir/micro.ts";
import type { PureOp } from "../ir/pure-ops.ts";
import { countsShifts, fieldCountOf } from "../lift/shape.ts";
import type { RegionBlock, RegionInstruction } from "./discover.ts";

/** Where a field's value stands in the instruction. */
export interface FieldPlace {
  /** Of the field. */
  readonly index: number;
  /** Bytes from the instruction's end back to its first byte. */
  readonly fromEnd: number;
  readonly size: 1 | 2 | 4;
  /** What the decoder makes of those bytes, one operation after the other. */
  readonly extend: readonly PureOp[];
}

export interface SoftField extends FieldPlace {
  /** Place of its first byte in guest memory. */
  readonly place: number;
}

const asItIs: readonly PureOp[] = [];
const signedByte: readonly PureOp[] = ["signExtend8"];
const signedByteOfWord: readonly PureOp[] = ["signExtend8", "zeroExtend16"];
const signedWord: readonly PureOp[] = ["signExtend16"];

/** The immediates and displacements of an instruction. */
export function fieldPlaces(i: DecodedInstruction): FieldPlace[] {
  const { operandSize, addressSize, row } = i;
  const codes = row.operands === "" ? [] : row.operands.split(",");
  const found: FieldPlace[] = [];
  let behind = codes.reduce((sum, name) => sum + operandCodes[name].immediateBytes(operandSize, addressSize), 0);
  const address = behind;
  let index = 0;
  for (let k = 0; k < i.operandCount; k++) {
    const o = i.operands[k];
    const last = index + fieldCountOf(o) - 1;
    const bytes = operandCodes[codes[k]].immediateBytes(operandSize, addressSize);
    if (o.kind === operandKind.immediate && bytes > 0 && !countsShifts(row)) {
      const extend = codes[k] !== "sIb" ? asItIs : operandSize === 4 ? signedByte : signedByteOfWord;
      found.push({ index: last, fromEnd: behind, size: bytes as 1 | 2 | 4, extend });
    } else if (o.kind === operandKind.memory) {
      // MOV AL, [...] and its like have the displacement in an immediate's place.
      const size = bytes > 0 ? bytes : displacementBytes(i, o);
      const extend = size === 1 ? signedByte : size === 2 ? signedWord : asItIs;
      if (size > 0) found.push({ index: last, fromEnd: bytes > 0 ? behind : address + size, size: size as 1 | 2 | 4, extend });
    }
    behind -= bytes;
    index = last + 1;
  }
  return found;
}

/** Bytes of the displacement behind ModRM and SIB (SDM vol. 2, tables 2-1 and 2-2). */
function displacementBytes({ modrm, addressSize }: DecodedInstruction, { base }: Operand): number {
  const mod = modrm >> 6;
  if (modrm < 0 || mod === 3) return 0;
  if (mod === 1) return 1;
  return mod === 2 || base < 0 ? addressSize : 0;
}

/** Whether the text for a template is the same whatever the field's value is: callouts done in line look at what they are given. */
function isFree({ statements, terminator }: MicroTemplate, index: number): boolean {
  const uses = (v: Value): boolean =>
    v.kind === "field" ? v.index === index : v.kind === "pure" ? v.args.some(uses) : v.kind === "codeAddress" && uses(v.offset);
  if (terminator !== undefined && operandsOfTerminator(terminator).some(uses)) return false;
  return !statements.some((s) => s.kind === "call" && operandsOf(s).some(uses));
}

/**
 * The soft fields of an instruction from page offset `offset` on, relative to the entry's page as all are.
 * @param addressOf physical address of the page `k` pages behind the entry's; @param isPatched whether the byte at a page offset was written over
 */
export function softFields(
  i: DecodedInstruction,
  template: MicroTemplate,
  offset: number,
  addressOf: (k: number) => number,
  isPatched: (offset: number) => boolean,
): readonly SoftField[] | undefined {
  const next = offset + i.length;
  const k = offset >> 12;
  if ((next - 1) >> 12 !== k || !some(offset, next, isPatched)) return undefined;
  const found = fieldPlaces(i)
    .map((field) => ({ ...field, place: addressOf(k) + ((next - field.fromEnd) & 0xfff) }))
    .filter(({ index, fromEnd, size }) => some(next - fromEnd, next - fromEnd + size, isPatched) && isFree(template, index));
  return found.length === 0 ? undefined : found;
}

function some(from: number, to: number, holds: (offset: number) => boolean): boolean {
  for (let k = from; k < to; k++) if (holds(k)) return true;
  return false;
}

/** Page offsets of a region's bytes that are in soft fields, and in nothing else: where two instructions overlap, both must be right. */
export function softBytes(blocks: readonly Pick<RegionBlock, "instructions">[]): ReadonlySet<number> {
  const soft = new Set<number>();
  if (blocks.every(({ instructions }) => instructions.every((i) => i.soft === undefined))) return soft;
  const own = (i: RegionInstruction, offset: number): boolean =>
    i.soft?.some(({ fromEnd, size }) => offset >= i.next - fromEnd && offset < i.next - fromEnd + size) === true;
  const all = blocks.flatMap(({ instructions }) => instructions);
  const each = (act: (i: RegionInstruction, offset: number) => void): void => {
    for (const i of all) for (let offset = i.offset; offset < i.next; offset++) act(i, offset);
  };
  each((i, offset) => void (own(i, offset) && soft.add(offset)));
  each((i, offset) => void (own(i, offset) || soft.delete(offset)));
  return soft;
}
