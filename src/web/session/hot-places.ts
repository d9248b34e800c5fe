/**
 * Where the guest has been lately: the ends of the last slices, of which there are thousands a second, each with the instructions executed since the one before. Rings of
 * numbers, so that noting one costs next to nothing.
 */
import type { ModeKey } from "../../../translator/contract/mode-key.ts";
import { slot } from "../../../translator/contract/slots.ts";
import type { Sampler } from "../../machine/sampler.ts";

const capacity = 1 << 13;
/** More instructions than this at a time are a loop inside a region: only these go on from slice to slice. */
const longestOfTierZero = 40_000;

export interface SampledPlace {
  readonly address: number;
  /** The CPU's mode there. */
  readonly mode: ModeKey;
  /** Guest instructions that led there. */
  readonly instructions: number;
  /** Most of them ran in regions. */
  readonly inRegion: boolean;
}

export class HotPlaces implements Sampler {
  private readonly addresses = new Uint32Array(capacity);
  private readonly modes = new Int32Array(capacity);
  private readonly counts = new Float64Array(capacity);
  private readonly tiers = new Uint8Array(capacity);
  private at = 0;
  private length = 0;
  private retired = 0;

  sliceEnded(R: Int32Array, inRegion: boolean, retired: number): void {
    const { at } = this;
    const count = Math.max(0, retired - this.retired);
    this.retired = retired;
    this.addresses[at] = R[slot.eip]! + R[slot.segmentBase + 1]!;
    this.modes[at] = R[slot.mode]!;
    this.counts[at] = count;
    this.tiers[at] = inRegion || count > longestOfTierZero ? 1 : 0;
    this.at = (at + 1) & (capacity - 1);
    if (this.length < capacity) this.length++;
  }

  /** The most instructions first; then everything is forgotten. */
  take(most: number): { readonly places: readonly SampledPlace[]; readonly total: number } {
    const seen = new Map<number, { mode: ModeKey; instructions: number; regions: number }>();
    let total = 0;
    for (let k = 0; k < this.length; k++) {
      const entry = seen.get(this.addresses[k]!) ?? { mode: this.modes[k]!, instructions: 0, regions: 0 };
      const count = this.counts[k]!;
      entry.instructions += count;
      if (this.tiers[k] === 1) entry.regions += count;
      seen.set(this.addresses[k]!, entry);
      total += count;
    }
    this.length = 0;
    this.at = 0;
    const places = [...seen].map(([address, { mode, instructions, regions }]) => ({
      address,
      mode,
      instructions,
      inRegion: regions * 2 > instructions,
    }));
    return { places: places.sort((a, b) => b.instructions - a.instructions).slice(0, most), total };
  }
}
