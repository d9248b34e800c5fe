/**
 * The block at R[eip]: found, or decoded. Code whose EIP is not its linear address has its own ways (docs/ARCHITECTURE.md, "Code whose EIP is not its address").
 */
import { linearCode as linearCodeImported, type ModeKey, mode, modeWidth as modeWidthImported } from "../../translator/contract/mode-key.ts";
import { attention as attentionImported, segment, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import type { BlockBuilder } from "../code/block-builder.ts";
import type { CodeCache } from "../code/code-cache.ts";
import type { Cpu } from "../cpu/cpu.ts";
import type { JumpCache } from "./jump-cache.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const attention = attentionImported;
const slot = slotImported;
const vector = vectorImported;
const linearCode = linearCodeImported;
const modeWidth = modeWidthImported;
const { page: pageSlot, mode: modeSlot, eip: eipSlot } = slot;
const { singleStep, edge } = mode;
const csBase = slot.segmentBase + segment.cs;
const csLimit = slot.segmentLimit + segment.cs;

/** Numbers for the places of `edge` pages: what is left of a word above the mode. */
const maximumPlaces = 1 << 20;

export class Entry {
  /** R[eip] itself is right, and not only R[page] with what the instruction under way says. */
  get eipIsCurrent(): boolean {
    return this.attention[attention.eipIsCurrent] !== 0;
  }
  set eipIsCurrent(value: boolean) {
    this.attention[attention.eipIsCurrent] = value ? 1 : 0;
  }
  private readonly attention: Int32Array;
  private readonly cpu: Cpu;
  private readonly cache: CodeCache;
  private readonly C: Int32Array;
  private readonly builder: BlockBuilder;
  private readonly jumps: JumpCache | undefined;
  private readonly tooManyPlaces: () => void;
  /** Where `edge` pages lie in their segments: numbers by limit of CS and EIP of the page. */
  private readonly places = new Map<number, Map<number, number>>();
  private placeCount = 0;

  /** @param jumps if there is such a cache; @param tooManyPlaces all code is to be forgotten, `forget` here included */
  constructor(cpu: Cpu, cache: CodeCache, builder: BlockBuilder, jumps: JumpCache | undefined, tooManyPlaces: () => void) {
    this.cpu = cpu;
    this.attention = cpu.attention;
    this.cache = cache;
    this.C = cache.C;
    this.builder = builder;
    this.jumps = jumps;
    this.tooManyPlaces = tooManyPlaces;
  }

  /** All code is forgotten. */
  forget(): void {
    this.places.clear();
    this.placeCount = 0;
  }

  /**
   * The block at R[eip] under the current mode: found or decoded. 0: the fetch met #PF, which is noted (`Cpu.note`) for the caller to take; what else it may meet is
   * thrown. R[eip] is current then.
   */
  enter(extraMode: ModeKey = 0): number {
    const { cpu } = this;
    const R = cpu.R;
    const key = R[modeSlot] | extraMode;
    const linear = (R[eipSlot] + R[csBase]) | 0;
    this.eipIsCurrent = true;
    if ((key & linearCode) !== linearCode) return this.enterSegmented(key, linear);
    const address = cpu.memory.tryTranslateFetch(linear);
    if (address < 0) return 0;
    R[pageSlot] = (R[eipSlot] - (linear & 0xfff)) | 0;
    // The cache knows addresses by 32 bits; above that there is only open bus.
    let header = address < 2 ** 32 ? this.cache.find(address, key) : 0;
    if (header === 0) {
      header = this.builder.decode(linear, address, key, key);
    }
    this.eipIsCurrent = false;
    return header;
  }

  /** The same, likely to be where something went before. */
  enterAgain(): number {
    const R = this.cpu.R;
    if ((R[modeSlot] & linearCode) !== linearCode) return this.enter();
    const eip = R[eipSlot];
    const known = this.jumps?.find(eip) ?? 0;
    if (known !== 0) {
      R[pageSlot] = eip & ~0xfff;
      this.eipIsCurrent = false;
      return known;
    }
    const header = this.enter();
    if (header !== 0) this.jumps?.note(eip, header);
    return header;
  }

  /** The same, where nobody but the thrower knows what was under way. */
  enterOrRaise(extraMode: ModeKey): number {
    const header = this.enter(extraMode);
    if (header === 0) this.cpu.raiseNoted();
    return header;
  }

  /** As `enter`, for code whose EIP is not its linear address. */
  private enterSegmented(mode: ModeKey, linear: number): number {
    const { cpu } = this;
    const R = cpu.R;
    if (R[eipSlot] >>> 0 > R[csLimit] >>> 0) cpu.raise(vector.gp, 0);
    const address = cpu.memory.tryTranslateFetch(linear);
    if (address < 0) return 0;
    const page = (R[eipSlot] - (linear & 0xfff)) | 0;
    R[pageSlot] = page;
    const isInside = page >>> 0 < R[slot.codeEnd] >>> 0;
    const key = isInside ? mode : mode | edge;
    const identity = isInside ? key : key | (this.placeInSegment(page, R[csLimit]) << modeWidth);
    let header = address < 2 ** 32 ? this.cache.find(address, identity) : 0;
    if (header === 0) {
      header = this.builder.decode(linear, address, key, identity);
    }
    if (this.endsBeyondLimit(header)) {
      // The first instruction alone, which may end before the limit; if it does not, it faults.
      if ((key & singleStep) !== 0) cpu.raise(vector.gp, 0);
      return this.enter(singleStep);
    }
    this.eipIsCurrent = false;
    return header;
  }

  /** A number for where an `edge` page lies: EIP of its first byte, and limit of CS. */
  private placeInSegment(page: number, limit: number): number {
    let pages = this.places.get(limit);
    if (pages === undefined) {
      pages = new Map();
      this.places.set(limit, pages);
    }
    let place = pages.get(page);
    if (place === undefined) {
      // A guest that means harm: the blocks that have such numbers go with them.
      if (this.placeCount === maximumPlaces) {
        this.tooManyPlaces();
        return this.placeInSegment(page, limit);
      }
      place = ++this.placeCount;
      pages.set(page, place);
    }
    return place;
  }

  /** Whether the block at `header`, of code whose EIP is not its linear address, may run with its page's first byte at EIP `page`. */
  fits(header: number, page: number): boolean {
    const { C } = this;
    const { R } = this.cpu;
    if ((C[header - 2] & edge) === 0) return page >>> 0 < R[slot.codeEnd] >>> 0;
    return C[header - 4] === page && C[header - 5] === R[csLimit];
  }

  /** Whether the block at R[eip] runs past the end of CS. */
  private endsBeyondLimit(header: number): boolean {
    const R = this.cpu.R;
    const length = this.C[header - 2] >>> modeWidth;
    return (R[eipSlot] >>> 0) + length - 1 > R[csLimit] >>> 0;
  }
}
