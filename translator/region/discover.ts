/**
 * Which guest code becomes one region: the blocks reachable from the entry by static jumps inside its page, as far as they have run, up to a limit of
 * instructions (V8 never optimises functions whose bytecode exceeds 61,440 bytes).
 *
 * A block here is maximal: cut only where something jumps into it.
 */
import type { MicroTemplate, Terminator, Value } from "../ir/micro.ts";

/** One decoded instruction of the page. */
export interface RegionInstruction {
  readonly offset: number;
  readonly next: number;
  readonly shape: number;
  readonly fields: Int32Array;
}

export interface RegionBlock {
  readonly offset: number;
  readonly instructions: readonly RegionInstruction[];
  /** Page offsets that control may go to statically; those without a block in the region are exits. */
  readonly successors: readonly number[];
}

export interface Decoder {
  /** The instruction at a page offset, or undefined if it cannot be part of a region (invalid, straddling the page's end). */
  instruction(offset: number): RegionInstruction | undefined;
  template(shape: number): MicroTemplate;
}

/** Value of a static exit: always a field of the shape. */
function offsetOf(v: Value, fields: Int32Array): number {
  if (v.kind === "field") return fields[v.index];
  if (v.kind === "constant") return v.value;
  throw new Error("a static exit is a field");
}

/** Where an instruction with this terminator may go statically. */
export function staticTargets(t: Terminator | undefined, i: RegionInstruction): number[] {
  if (t === undefined) return [i.next];
  switch (t.kind) {
    case "jump":
      return [offsetOf(t.target, i.fields)];
    case "branch":
      return [offsetOf(t.taken, i.fields), offsetOf(t.fall, i.fields)];
    case "again":
      return [i.next];
    default:
      return [];
  }
}

/**
 * @param isHot whether the code at a page offset is worth taking in
 * @returns the blocks by offset, the entry's first; empty if the entry itself cannot be translated
 */
export function discover(decoder: Decoder, entry: number, isHot: (offset: number) => boolean, limit: number): Map<number, RegionBlock> {
  const leaders = new Set<number>([entry]);
  const decoded = new Map<number, RegionInstruction>();
  const work = [entry];
  let count = 0;
  // First pass: decode everything reachable, noting where control joins.
  while (work.length > 0) {
    let offset = work.shift() as number;
    for (;;) {
      if (decoded.has(offset)) {
        leaders.add(offset);
        break;
      }
      if (count >= limit) break;
      const i = offset >= 0 && offset < 0x1000 ? decoder.instruction(offset) : undefined;
      if (i === undefined) break;
      decoded.set(offset, i);
      count++;
      const { terminator } = decoder.template(i.shape);
      if (terminator === undefined) {
        offset = i.next;
        continue;
      }
      for (const target of staticTargets(terminator, i)) {
        if (target >= 0 && target < 0x1000 && (decoded.has(target) || isHot(target))) {
          leaders.add(target);
          work.push(target);
        }
      }
      break;
    }
  }
  // Second pass: cut into blocks.
  const blocks = new Map<number, RegionBlock>();
  for (const leader of leaders) {
    if (!decoded.has(leader)) continue;
    const instructions: RegionInstruction[] = [];
    let offset = leader;
    let successors: number[] = [];
    for (;;) {
      const i = decoded.get(offset);
      if (i === undefined) {
        successors = [offset];
        break;
      }
      instructions.push(i);
      const { terminator } = decoder.template(i.shape);
      if (terminator !== undefined) {
        successors = staticTargets(terminator, i);
        break;
      }
      offset = i.next;
      if (leaders.has(offset)) {
        successors = [offset];
        break;
      }
    }
    blocks.set(leader, { offset: leader, instructions, successors });
  }
  return blocks;
}
