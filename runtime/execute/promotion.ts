/**
 * Which code is worth more than tier 0 as it was decoded. The end of each slice samples the profile: the block about to run, if it has run often enough, has its
 * instructions fused, then gets a region, and a region entered very often is made anew with the functions it calls.
 */
import { mode } from "../../translator/contract/mode-key.ts";
import { slot } from "../../translator/contract/slots.ts";
import type { BlockBuilder } from "../code/block-builder.ts";
import { type CodeCache, shapeBits } from "../code/code-cache.ts";
import { firstRegionShape } from "../code/pseudo-shapes.ts";
import type { Regions, Surroundings } from "../code/regions.ts";
import type { Cpu } from "../cpu/cpu.ts";

const { singleStep } = mode;

/** Entries of a region after which it is made anew with the functions it calls. */
const deepThreshold = 1 << 19;

export interface PromotionThresholds {
  /** Executions after which a block is fused. 0: at once. */
  readonly fuse: number;
  /** Executions after which a block gets a region; Infinity: never. */
  readonly region: number;
}

export class Promotion {
  private readonly cpu: Cpu;
  private readonly cache: CodeCache;
  private readonly builder: BlockBuilder;
  private readonly regions: Regions;
  private readonly thresholds: PromotionThresholds;
  /** Headers of the blocks whose instructions were fused, as far as they could be. */
  private readonly fused = new Set<number>();

  constructor(cpu: Cpu, cache: CodeCache, builder: BlockBuilder, regions: Regions, thresholds: PromotionThresholds) {
    this.cpu = cpu;
    this.cache = cache;
    this.builder = builder;
    this.regions = regions;
    this.thresholds = thresholds;
  }

  /** The block at `header` was about to run; R[page] is its page. */
  sample(header: number): void {
    const { C } = this.cache;
    if (C[header + 1] < this.thresholds.fuse) return;
    const isRegion = (C[header + 2] & shapeBits) >= firstRegionShape;
    if (!isRegion) this.heat(header);
    else if (C[header + 1] >= deepThreshold) this.regions.deepen(header, this.around(header, this.cpu.R[slot.page]));
  }

  private heat(header: number): void {
    const { C } = this.cache;
    this.fuse(header);
    const executions = C[header + 1];
    if (executions < this.thresholds.region || this.cache.isFull || (C[header - 2] & singleStep) !== 0) return;
    if (!this.cpu.board.physical.isRam((C[header - 3] & ~0xfff) >>> 0)) return;
    if (executions >= this.thresholds.region * this.regions.patience(header)) this.makeRegion(header, this.cpu.R[slot.page]);
  }

  /** A block was decoded. */
  decoded(header: number): void {
    if (this.thresholds.fuse === 0) this.fuse(header);
  }

  private fuse(header: number): void {
    if (this.fused.has(header)) return;
    this.fused.add(header);
    this.builder.fuse(header);
  }

  /** Makes a region from the block at `header` on; `base` is the EIP of its page's first byte under the current paging. */
  makeRegion(header: number, base: number, isDeep = false): void {
    this.regions.make(header, this.around(header, base), isDeep);
  }

  private around(header: number, base: number): Surroundings {
    const { memory, R } = this.cpu;
    const { physical, TR, TX } = memory;
    const half = R[slot.tlbHalf];
    const own = (this.cache.C[header - 3] & ~0xfff) >>> 0;
    return {
      base,
      page: (k) => {
        const linear = (base + k * 0x1000) | 0;
        const T = TX[half + (linear >>> 12)];
        const address = k === 0 ? own : (T ^ linear) >>> 0;
        if ((k !== 0 && (T & 1) !== 0) || !physical.isRam(address)) return undefined;
        return { address, bytes: physical.u8.subarray(address, address + 0x1000) };
      },
      word: (linear) => {
        const T = TR[half + (linear >>> 12)];
        return ((T | linear) & 3) === 0 ? physical.i32[(T ^ linear) >>> 2] : undefined;
      },
    };
  }

  /** The code cache was flushed. */
  clear(): void {
    this.fused.clear();
  }
}
