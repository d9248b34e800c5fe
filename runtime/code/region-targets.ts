/** What calls, jumps and returns of regions look at to find the region that they lead to (translator/contract/region-targets.ts). */
import { firstRegionShape, mostRegions, targetWords } from "../../translator/contract/region-targets.ts";
import type { HostMemory } from "../memory/host-memory.ts";

export class RegionTargets {
  readonly jumps: Int32Array;
  readonly regions: Int32Array;
  readonly entries: Int32Array;

  constructor(host: HostMemory) {
    this.jumps = host.int32(targetWords);
    this.regions = host.int32(2 * mostRegions);
    this.entries = host.int32(mostRegions);
  }

  /** The region with that shape number begins at a physical address. */
  add(shape: number, address: number, mode: number): void {
    const n = shape - firstRegionShape;
    this.regions[2 * n] = ~address;
    this.regions[2 * n + 1] = mode;
    this.entries[n] = 0;
  }

  /** It is no more: nobody finds it any longer. */
  remove(shape: number): void {
    const n = shape - firstRegionShape;
    this.regions[2 * n] = 0;
    this.regions[2 * n + 1] = 0;
  }

  /** Times it was entered since this was asked last. */
  takeEntries(shape: number): number {
    const n = shape - firstRegionShape;
    const count = this.entries[n];
    this.entries[n] = 0;
    return count;
  }
}
