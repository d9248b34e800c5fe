/**
 * Which code is worth more than tier 0 as it was decoded. The end of each slice samples the profile: the block about to run, if it has run often enough, has its
 * instructions fused, then gets a region, and a region entered very often is made anew with the functions it calls.
 */
import { isLinearCode, mode } from "../../translator/contract/mode-key.ts";
import { segment, slot } from "../../translator/contract/slots.ts";
import type { BlockBuilder } from "../code/block-builder.ts";
import { type CodeCache, shapeBits } from "../code/code-cache.ts";
import { firstRegionShape } from "../code/pseudo-shapes.ts";
import type { RegionMaking, Surroundings } from "../code/region-making.ts";
import type { RegionPolicy } from "../code/region-policy.ts";
import type { Regions } from "../code/regions.ts";
import type { Cpu } from "../cpu/cpu.ts";

const { code32, singleStep, edge } = mode;

/** Entries of a region after which it is made anew with the functions it calls. */
const deepThreshold = 1 << 19;

/** CALL rel32. */
const nearCall = { opcode: 0xe8, length: 5 } as const;

export interface PromotionThresholds {
  /** Executions after which a block is fused. Infinity: never. */
  readonly fuse: number;
  /** Executions after which a block gets a region; Infinity: never. */
  readonly region: number;
}

export class Promotion {
  private readonly cpu: Cpu;
  private readonly cache: CodeCache;
  private readonly builder: BlockBuilder;
  private readonly regions: Regions;
  private readonly making: RegionMaking;
  private readonly policy: RegionPolicy;
  private readonly thresholds: PromotionThresholds;
  /** Headers of the blocks whose instructions were fused, as far as they could be. */
  private readonly fused = new Set<number>();

  constructor(
    cpu: Cpu,
    cache: CodeCache,
    builder: BlockBuilder,
    regions: Regions,
    making: RegionMaking,
    policy: RegionPolicy,
    thresholds: PromotionThresholds,
  ) {
    this.cpu = cpu;
    this.cache = cache;
    this.builder = builder;
    this.regions = regions;
    this.making = making;
    this.policy = policy;
    this.thresholds = thresholds;
  }

  /** The block at `header` was about to run; R[page] is its page. @param retired guest instructions */
  sample(header: number, retired: number): void {
    const { C } = this.cache;
    this.making.receive();
    this.regions.evictIdle(retired);
    this.regions.settle(header);
    const executions = C[header + 1];
    if (executions < Math.min(this.thresholds.fuse, this.thresholds.region)) return;
    const isRegion = (C[header + 2] & shapeBits) >= firstRegionShape;
    if (!isRegion) this.heat(header);
    else {
      if (executions >= deepThreshold) this.policy.deepen(header, () => this.around(header, this.cpu.R[slot.page]));
      this.noteCall(header);
    }
  }

  /** Tells if a CALL led to the region at `header`, which is about to run. */
  private noteCall(header: number): void {
    const { R, memory } = this.cpu;
    const { TX, TR, physical } = memory;
    const { C } = this.cache;
    if (!isLinearCode(C[header - 2])) return;
    const half = R[slot.tlbHalf];
    const top = TR[half + (R[slot.esp] >>> 12)];
    if (((top | R[slot.esp]) & 3) !== 0) return;
    const call = (physical.i32[(top ^ R[slot.esp]) >>> 2] - nearCall.length) | 0;
    const page = TX[half + (call >>> 12)];
    const at = (page ^ call) >>> 0;
    const entry = (R[slot.page] + (C[header - 3] & 0xfff)) | 0;
    if ((page & 1) !== 0 || (call & 0xfff) > 0x1000 - nearCall.length || physical.u8[at] !== nearCall.opcode) return;
    if (((call + nearCall.length + physical.readAt4(at + 1)) | 0) !== entry) return;
    this.policy.called(header, at >>> 12, at & 0xfff, (caller, offset) => this.aroundEntry(caller, (call - offset) | 0));
  }

  /** A region gave up at the instruction at R[eip]. */
  noteGivenUp(): void {
    const { R, memory } = this.cpu;
    const eip = R[slot.eip];
    const linear = (eip + R[slot.segmentBase + segment.cs]) | 0;
    const T = memory.TX[R[slot.tlbHalf] + (linear >>> 12)];
    if ((T & 1) !== 0) return;
    const { C } = this.cache;
    this.policy.gaveUp((T ^ linear) >>> 0, (header, offset) =>
      isLinearCode(C[header - 2]) ? this.aroundEntry(header, (eip - offset) | 0) : this.around(header, C[header - 4], C[header - 6]),
    );
  }

  /** What is around a region's entry, if that is on the page mapped at `base`. */
  private aroundEntry(header: number, base: number): Surroundings | undefined {
    const { R, memory } = this.cpu;
    const T = memory.TX[R[slot.tlbHalf] + (base >>> 12)];
    return (T & 1) === 0 && (T ^ base) >>> 0 === (this.cache.C[header - 3] & ~0xfff) >>> 0 ? this.around(header, base) : undefined;
  }

  private heat(header: number): void {
    const { C } = this.cache;
    const executions = C[header + 1];
    if (executions >= this.thresholds.fuse) this.fuse(header);
    if (executions < this.thresholds.region || this.cache.isFull || (C[header - 2] & singleStep) !== 0) return;
    if (!this.cpu.board.physical.isRam((C[header - 3] & ~0xfff) >>> 0)) return;
    if (this.making.isOnItsWay(header)) return;
    if (executions >= this.thresholds.region * this.policy.patience(header)) this.makeRegion(header, this.cpu.R[slot.page]);
  }

  private fuse(header: number): void {
    if (this.fused.has(header)) return;
    this.fused.add(header);
    this.builder.fuse(header);
  }

  /**
   * Makes a region from the block at `header` on; `base` is the EIP of its page's first byte under the current paging. (Where EIP is not the linear address, the block
   * knows.)
   */
  makeRegion(header: number, base: number, isDeep = false): void {
    const { C } = this.cache;
    const around = isLinearCode(C[header - 2]) ? this.around(header, base) : this.around(header, C[header - 4], C[header - 6]);
    this.policy.make(header, around, isDeep);
  }

  private around(header: number, base: number, codeBase = this.cpu.R[slot.segmentBase + segment.cs]): Surroundings {
    const { memory, R } = this.cpu;
    const { physical, TR, TX } = memory;
    const { C } = this.cache;
    const half = R[slot.tlbHalf];
    const own = (C[header - 3] & ~0xfff) >>> 0;
    const isLinear = isLinearCode(C[header - 2]);
    const isEdge = (C[header - 2] & edge) !== 0;
    return {
      base,
      // Programs have their pages wherever there was one: what most have in common today is another thing tomorrow.
      usualEntry: half === 0 ? memory.usualEntry(half) : undefined,
      hasLowPlaces: memory.hasLowPlaces,
      segmentBase: (s) => (s === segment.cs ? codeBase : R[slot.segmentBase + s]),
      within: isEdge ? [-base, this.codeLimit(header) - base + 1] : undefined,
      page: (k) => {
        if (k !== 0 && !isLinear && (isEdge || (base + k * 0x1000) >>> 0 >= R[slot.codeEnd] >>> 0)) return undefined;
        const linear = (base + codeBase + k * 0x1000) | 0;
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

  /** The last EIP of the code segment that the `edge` block at `header` is in; of 16-bit code, before it wraps around. */
  private codeLimit(header: number): number {
    const { C } = this.cache;
    const limit = C[header - 5] >>> 0;
    return (C[header - 2] & code32) !== 0 ? limit : Math.min(limit, 0xffff);
  }

  /** The block at `header` is no more. */
  died(header: number): void {
    this.fused.delete(header);
  }

  /** The code cache was flushed. */
  clear(): void {
    this.fused.clear();
  }
}
