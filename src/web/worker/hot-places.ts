/** Where the guest has been lately: the ends of the last slices, of which there are thousands a second. A ring of addresses, so that noting one costs next to nothing. */
import type { Sampler } from "../../machine/sampler.ts";
import { slot } from "../../../translator/contract/slots.ts";

const capacity = 1 << 13;

export interface SampledPlace {
  readonly address: number;
  readonly samples: number;
  readonly inRegion: boolean;
}

export class HotPlaces implements Sampler {
  private readonly addresses = new Uint32Array(capacity);
  private readonly tiers = new Uint8Array(capacity);
  private at = 0;
  private length = 0;

  sliceEnded(R: Int32Array, inRegion: boolean): void {
    const { at } = this;
    this.addresses[at] = R[slot.eip]! + R[slot.segmentBase + 1]!;
    this.tiers[at] = inRegion ? 1 : 0;
    this.at = (at + 1) & (capacity - 1);
    if (this.length < capacity) this.length++;
  }

  /** Most often seen first; then everything is forgotten. */
  take(count: number): { readonly places: readonly SampledPlace[]; readonly total: number } {
    const seen = new Map<number, { samples: number; regions: number }>();
    for (let k = 0; k < this.length; k++) {
      const entry = seen.get(this.addresses[k]!) ?? { samples: 0, regions: 0 };
      entry.samples++;
      entry.regions += this.tiers[k]!;
      seen.set(this.addresses[k]!, entry);
    }
    const total = this.length;
    this.length = 0;
    this.at = 0;
    const places = [...seen].map(([address, { samples, regions }]) => ({ address, samples, inRegion: regions * 2 > samples }));
    return { places: places.sort((a, b) => b.samples - a.samples).slice(0, count), total };
  }
}
