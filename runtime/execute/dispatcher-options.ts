/** What the dispatcher is given beside CPU and translator. */
import type { CalloutName } from "../../translator/contract/callouts.ts";
import type { ModeKey } from "../../translator/contract/mode-key.ts";
import type { RegionLimits } from "../code/eviction.ts";
import type { RegionThread } from "../code/region-thread.ts";
import type { Callout } from "./host-names.ts";

export interface DispatcherOptions {
  /** Words of the code array: the usual number (8 Mi) or fewer. */
  readonly codeWords?: number;
  /** Guest instructions between two looks at time. */
  readonly sliceInstructions?: number;
  /** Executions after which a block found running at a slice's end is worth a region; Infinity: tier 0 alone. */
  readonly regionThreshold?: number;
  /**
   * Executions after which a block found running at a slice's end has its instructions fused (2000; never where tier 0 is WebAssembly and there are regions); 0: every
   * block, as it is decoded. Where the translator has superinstructions prepared, those are used from the first.
   */
  readonly fuseThreshold?: number;
  /** Guest instructions a region must have to be worth it (3); tests that want every instruction in a region say 1. */
  readonly smallestRegion?: number;
  /** Beyond which regions are dropped, and when (code/eviction.ts). */
  readonly regionLimits?: Partial<RegionLimits>;
  /** Makes regions beside the guest; absent: it waits for them. */
  readonly regionThread?: RegionThread | undefined;
  /** Names of optimisations to leave out (contract/optimisations.ts). */
  readonly disabled?: ReadonlySet<string>;
  /** Told where the guest is, R[eip], whenever a slice has ended at a block not yet begun, and whether a region heads that block. */
  readonly sliceEnded?: (inRegion: boolean) => void;
  /**
   * Runs before each look at interrupts: expires timers that are due. @param hasTimePassed a slice was used up, or the guest waits: a look for another reason, an interrupt
   * mostly, comes within a slice of the one before
   */
  readonly poll: (hasTimePassed: boolean) => void;
  /** Nanoseconds from the last poll but one to the last, of those with `hasTimePassed`; absent: slices in loops are no longer than others. */
  readonly betweenPolls?: () => number;
  /** The VMM's functions, if they are not to be the plain ones: a debugger's wrap them. */
  readonly callouts?: Readonly<Record<CalloutName, Callout>>;
  /** Told of each block, and of each instruction executed singly, before it runs. Makes every block the end of a slice: for debugging, without regions. */
  readonly traceBlock?: (eip: number, mode: ModeKey) => void;
}
