import type { ModeKey } from "./mode-key.ts";

/**
 * The code of a region, taken out of guest memory. Plain data: another translator with the same options, in another thread perhaps, makes the same region of it, whatever the guest
 * does to its memory meanwhile.
 */
export interface RegionSnapshot {
  readonly name: string;
  readonly mode: ModeKey;
  /** Guest bytes of the blocks, one block's behind the other's, the entry's first. */
  readonly bytes: Uint8Array;
  /** For each block: page offset, bytes, instructions, 1 if it ends in a CALL of a function outside and goes on behind it, how many successors, these. */
  readonly blocks: Int32Array;
  /** The pages that the code is on: distance from the entry's, physical address. */
  readonly pages: Int32Array;
  readonly instructions: number;
  /** Page offsets of bytes in soft fields (`RegionFacts.soft`). */
  readonly soft: Int32Array;
  /** Page offsets of doubtful instructions (`RegionFacts.doubtful`). */
  readonly doubtful: Int32Array;
  /** Both as in the request (translator.ts). */
  readonly usualEntry: number | undefined;
  readonly hasLowPlaces: boolean;
  /** The region has no more exits than these. */
  readonly mostExits: number;
}

/** Words of a block in `RegionSnapshot.blocks` before its successors. */
export const snapshotBlockWords = 5;

/**
 * Page offset of the first byte of a snapshot that memory does not hold any more; undefined: it is all there.
 * @param bytesOf those of the page `k` pages behind the entry's, which the snapshot was taken of; @param soft bytes that do not matter
 */
export function changedByte(snapshot: RegionSnapshot, bytesOf: (k: number) => Uint8Array, soft: ReadonlySet<number>): number | undefined {
  const { bytes } = snapshot;
  let at = 0;
  for (const [offset, length] of rangesOf(snapshot)) {
    const now = bytesOf(offset >> 12);
    const from = offset & 0xfff;
    for (let k = 0; k < length; k++, at++) if (now[from + k] !== bytes[at] && !soft.has(offset + k)) return offset + k;
  }
  return undefined;
}

/** Page offsets and lengths of a snapshot's bytes, none across pages. */
export function rangesOf({ blocks }: RegionSnapshot): (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = [];
  for (let k = 0; k < blocks.length; k += snapshotBlockWords + blocks[k + 4]) {
    const end = blocks[k] + blocks[k + 1];
    for (let offset = blocks[k]; offset < end; ) {
      const last = Math.min(end, ((offset >> 12) + 1) << 12);
      ranges.push([offset, last - offset]);
      offset = last;
    }
  }
  return ranges;
}
