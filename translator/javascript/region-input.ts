/** What a region is printed from. */
import type { ModeKey } from "../contract/mode-key.ts";
import type { MicroBlock } from "../ir/block.ts";
import type { RegionPlan } from "../region/plan.ts";

export interface RegionInput {
  readonly name: string;
  readonly mode: ModeKey;
  /** Blocks after the passes; the entry first. */
  readonly blocks: readonly MicroBlock[];
  /** Successors of each block by page offset, in the order of its terminator (branch: taken, fall; a computed jump: those to test for). */
  readonly successors: readonly (readonly number[])[];
  readonly plan: RegionPlan;
  /** What something sees of the slots as they are where each block begins (passes/dead.ts); absent: all of it. */
  readonly liveAtEntry?: readonly number[] | undefined;
  /** Physical address of the page `k` pages behind the entry's. */
  readonly pageAddress: (k: number) => number;
  /** Whether callouts on vector registers are done in line. */
  readonly inLineVectors: boolean;
  /** Whether these are vectors of WebAssembly: then their lifts know them. */
  readonly hasWholeVectors: boolean;
  /** Whether carries are computed only where they are seen. */
  readonly isCarryLazy: boolean;
  /** Whether callouts with next to nothing to do are done in line. */
  readonly hasShortcuts: boolean;
  /** Whether computed jumps to many places go by a table. */
  readonly hasTables: boolean;
  /** Whether what nothing reads behind the selector is in memory there. */
  readonly hasHomes: boolean;
  /** Whether calls, jumps and returns look for the region that they lead to themselves. */
  readonly hasTargets: boolean;
  /** Whether accesses that stay on one page for long have sites. */
  readonly hasSites: boolean;
  /** Whether accesses near each other that have none ask the TLB together. */
  readonly hasNeighbours: boolean;
  /** Whether accesses that ask together are left to tier 0 where they cannot be made in line; but for those that begin with an instruction at one of these page offsets. */
  readonly givesUp: boolean;
  readonly doubtful: ReadonlySet<number>;
  /** Whether x87 registers hold plain doubles. */
  readonly x87InDoubles?: boolean;
  /** Both as in the request (contract/translator.ts). */
  readonly usualEntry: number | undefined;
  readonly hasLowPlaces: boolean;
  /** As in the facts. */
  readonly soft: ReadonlySet<number>;
}

/** The pages, relative to the entry's, that the block's bytes are on. */
export function pagesOf(block: MicroBlock): readonly number[] {
  const first = block.offset >> 12;
  const last = (block.instructions[block.instructions.length - 1].next - 1) >> 12;
  return first === last ? [first] : [first, last];
}
