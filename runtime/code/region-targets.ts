/** What calls, jumps and returns of regions look at to find the region that they lead to (translator/contract/region-targets.ts). */
import { firstRegionShape, mostRegions, rowShift, rowWords, targetWords } from "../../translator/contract/region-targets.ts";
import type { HostMemory } from "../memory/host-memory.ts";

export class RegionTargets {
  readonly jumps: Int32Array;
  readonly regions: Int32Array;

  constructor(host: HostMemory) {
    this.jumps = host.int32(targetWords);
    this.regions = host.int32(mostRegions << rowShift);
  }

  /** The region with that shape number begins at a physical address. */
  add(shape: number, address: number, mode: number): void {
    const row = (shape - firstRegionShape) << rowShift;
    this.regions[row] = ~address;
    this.regions[row + rowWords.mode] = mode;
    this.regions[row + rowWords.entered] = 0;
  }

  /** It is no more: nobody finds it any longer. */
  remove(shape: number): void {
    const row = (shape - firstRegionShape) << rowShift;
    this.regions[row] = 0;
    this.regions[row + rowWords.mode] = 0;
  }

  /** Times it was entered since this was asked last. */
  takeEntries(shape: number): number {
    const at = ((shape - firstRegionShape) << rowShift) + rowWords.entered;
    const count = this.regions[at];
    this.regions[at] = 0;
    return count;
  }
}
