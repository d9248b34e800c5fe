/**
 * What a region is made of, and how that gets from one translator to another: a *source* names shapes by the numbers of the translator that discovered it; a *snapshot*
 * has the guest's bytes in their place.
 */
import type { ModeKey } from "../contract/mode-key.ts";
import { type RegionSnapshot, rangesOf, snapshotBlockWords } from "../contract/region-snapshot.ts";
import type { RegionPage } from "../contract/translator.ts";
import type { DecodedInstruction } from "../decode/instruction.ts";
import type { MicroTemplate } from "../ir/micro.ts";
import type { RegionBlock, RegionInstruction } from "./discover.ts";
import { softBytes, softFields } from "./soft-fields.ts";

/** A region can be made of it again as long as the translator has not forgotten its shapes. */
export interface RegionSource {
  readonly name: string;
  readonly key: ModeKey;
  /** The entry's comes first. */
  readonly ordered: readonly RegionBlock[];
  /** Physical addresses of the pages that the code is on, by their distance from the entry's. */
  readonly addresses: ReadonlyMap<number, number>;
  /** As in the request (contract/translator.ts). */
  readonly usualEntry: number | undefined;
  readonly hasLowPlaces: boolean;
  /** As in the facts. */
  readonly doubtful: ReadonlySet<number>;
}

/** What a snapshot is decoded with again. */
interface InstructionDecoder {
  decode(bytes: Uint8Array, offset: number, end: number, key: ModeKey, pageOffset: number): number;
  /** That was decoded last, and what a shape means. */
  readonly instruction: DecodedInstruction;
  template(shape: number): MicroTemplate;
  readonly length: number;
  readonly fields: Int32Array;
  readonly fieldCount: number;
}

/** @param page those that the source was discovered on */
export function snapshotOf(
  { name, key, ordered, addresses, usualEntry, hasLowPlaces, doubtful }: RegionSource,
  page: (k: number) => RegionPage | undefined,
): RegionSnapshot {
  const endOf = ({ instructions }: RegionBlock): number => instructions[instructions.length - 1].next;
  const bytes = new Uint8Array(ordered.reduce((sum, block) => sum + endOf(block) - block.offset, 0));
  const blocks: number[] = [];
  let instructions = 0;
  let successors = 0;
  for (const block of ordered) {
    const end = endOf(block);
    blocks.push(
      block.offset,
      end - block.offset,
      block.instructions.length,
      block.isSubroutineCall ? 1 : 0,
      block.successors.length,
      ...block.successors,
    );
    instructions += block.instructions.length;
    successors += block.successors.length;
  }
  const snapshot: RegionSnapshot = {
    name,
    mode: key,
    bytes,
    blocks: Int32Array.from(blocks),
    pages: Int32Array.from([...addresses].flat()),
    instructions,
    soft: Int32Array.from(softBytes(ordered)),
    doubtful: Int32Array.from(doubtful),
    usualEntry,
    hasLowPlaces,
    // Each way out of a block, EIP wrapping around or not, and the function that it calls.
    mostExits: 2 * successors + ordered.length,
  };
  let at = 0;
  for (const [offset, length] of rangesOf(snapshot)) {
    const from = offset & 0xfff;
    bytes.set((page(offset >> 12) as RegionPage).bytes.subarray(from, from + length), at);
    at += length;
  }
  return snapshot;
}

/** Decodes the blocks once more. */
export function sourceOf(
  { name, mode, bytes, blocks, pages, soft, usualEntry, hasLowPlaces, doubtful }: RegionSnapshot,
  decoder: InstructionDecoder,
): RegionSource {
  const addresses = new Map<number, number>();
  for (let k = 0; k < pages.length; k += 2) addresses.set(pages[k], pages[k + 1] >>> 0);
  const patched = new Set(soft);
  const softOf = (shape: number, offset: number): RegionInstruction["soft"] =>
    softFields(
      decoder.instruction,
      decoder.template(shape),
      offset,
      (n) => addresses.get(n) as number,
      (byte) => patched.has(byte),
    );
  const ordered: RegionBlock[] = [];
  let from = 0;
  for (let k = 0; k < blocks.length; ) {
    const [offset, length, count, isSubroutineCall, successors] = blocks.subarray(k, k + snapshotBlockWords);
    const instructions: RegionInstruction[] = [];
    for (let at = 0; instructions.length < count; at += decoder.length) {
      const shape = decoder.decode(bytes, from + at, from + length, mode, offset + at);
      if (shape < 0) throw new Error(`${name}: no instruction at page offset ${offset + at}`);
      const fields = Array.from({ length: decoder.fieldCount }, (_, n) => decoder.fields[n]);
      const next = offset + at + decoder.length;
      instructions.push({ offset: offset + at, next, shape, fields, soft: patched.size === 0 ? undefined : softOf(shape, offset + at) });
    }
    k += snapshotBlockWords;
    ordered.push({ offset, instructions, successors: [...blocks.subarray(k, k + successors)], isSubroutineCall: isSubroutineCall !== 0 });
    k += successors;
    from += length;
  }
  return { name, key: mode, ordered, addresses, usualEntry, hasLowPlaces, doubtful: new Set(doubtful) };
}
