/**
 * *Soft* fields: immediates and displacements that are read from guest memory whenever the instruction runs, because code that writes over them did so before. A region with them in
 * it lives on when they are written again. What an instruction is, how long it is and where it goes stays fixed.
 */
import { type DecodedInstruction, operandKind } from "../decode/instruction.ts";
import { type MicroTemplate, operandsOf, operandsOfTerminator, type Value } from "../ir/micro.ts";
import { type FieldPlace, fieldPlaces } from "../lift/field-places.ts";
import { countsShifts } from "../lift/shape.ts";
import type { RegionBlock, RegionInstruction } from "./discover.ts";

export interface SoftField extends FieldPlace {
  /** Place of its first byte in guest memory. */
  readonly place: number;
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
    .filter(({ kind }) => kind === operandKind.memory || (kind === operandKind.immediate && !countsShifts(i.row)))
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
