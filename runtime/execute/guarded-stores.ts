/**
 * Stores from regions that are not plain: to pages with translated code, to devices, misaligned, or not allowed. A region runs on after a store, so what it must not do itself it
 * refuses, and leaves; tier 0 then makes the store as one instruction alone.
 */
import { attention as attentionImported, slot as slotImported } from "../../translator/contract/slots.ts";
import type { CodeCache } from "../code/code-cache.ts";
import type { Regions } from "../code/regions.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { walkFlag as walkFlagImported } from "../memory/page-walk.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const walkFlag = walkFlagImported;
const { tlbHalf } = slot;
const { refused } = attentionImported;

export class GuardedStores {
  private readonly cpu: Cpu;
  private readonly cache: CodeCache;
  /** Made after this, for its code names it. */
  private readonly regions: () => Regions;

  constructor(cpu: Cpu, cache: CodeCache, regions: () => Regions) {
    this.cpu = cpu;
    this.cache = cache;
    this.regions = regions;
  }

  /** Whether a region refused an instruction since this was asked last. */
  takeRefused(): boolean {
    const { attention } = this.cpu;
    const hasRefused = attention[refused] !== 0;
    attention[refused] = 0;
    return hasRefused;
  }

  /** A region leaves at an instruction that it must not execute itself: tier 0 does next. */
  refuse(): 1 {
    this.cpu.attention[refused] = 1;
    return 1;
  }

  /**
   * One on the slow path; notes a guest exception. Refuses (1, nothing changed) a store over bytes that a region was made from: if it is the one that runs, or
   * one that waits for a function's return, it could not go on exactly after it.
   */
  store(A: number, size: 1 | 2 | 4, value: number): 0 | 1 {
    const { memory } = this.cpu;
    const { physical } = memory;
    const offset = A & 0xfff;
    const T = memory.TW[this.cpu.R[tlbHalf] + (A >>> 12)];
    // Plain RAM without code: it was sent here for being misaligned.
    if ((T & 1) === 0 && offset + size <= 0x1000) return this.storePlainly(A, size, value);
    const registers = memory.registersAt(A, size, true);
    if (registers !== undefined && !memory.watching && memory.isAlignmentFine(A, size)) {
      physical.writeRegisters(registers, offset, size, size === 4 ? value : value & ((1 << (8 * size)) - 1));
      return 0;
    }
    const address = memory.tryTranslate(A, walkFlag.write);
    if (address < 0) return 0;
    // Data beside code, as small real-mode programs have it.
    if (physical.isRam(address) && offset + size <= 0x1000 && memory.isAlignmentFine(A, size) && !memory.watching) {
      const page = address >>> 12;
      if (physical.codePages[page] !== 0 && this.cache.coverage.includes(page, offset, offset + size)) {
        const from = physical.firstChanged(address, size, value);
        if (from === size) return 0;
        const isRegions = this.regions().covers(page, offset + from, offset + physical.endOfChanged(address, size, value));
        return isRegions ? this.refuse() : this.storeOverBlocks(address, size, value);
      }
      this.cache.writtenBeside(page);
      if (size === 1) physical.i8[address] = value;
      else if ((A & (size - 1)) !== 0) physical.writeBesideCode(address, size, value);
      else if (size === 2) physical.i16[address >>> 1] = value;
      else physical.i32[address >>> 2] = value;
      return 0;
    }
    if (
      physical.isRam(address) &&
      physical.codePages[address >>> 12] !== 0 &&
      this.cache.coverage.includes(address >>> 12, offset, Math.min(offset + size, 0x1000))
    )
      return this.refuse();
    if (offset + size > 0x1000) {
      const next = memory.tryTranslate((A + size) & ~0xfff, walkFlag.write);
      if (next < 0) return 0;
      if (physical.isRam(next) && physical.codePages[next >>> 12] !== 0 && this.cache.coverage.includes(next >>> 12, 0, (offset + size) & 0xfff)) {
        return this.refuse();
      }
    }
    return this.storePlainly(A, size, value);
  }

  /** Over bytes that blocks alone were made from: what runs is a region, and none of them. */
  private storeOverBlocks(address: number, size: 1 | 2 | 4, value: number): 0 {
    const { memory, R } = this.cpu;
    const { physical } = memory;
    const { leave } = slot;
    const wasToLeave = R[leave];
    if (size === 4) physical.writeAt4(address, value);
    else if (size === 2) physical.writeAt2(address, value);
    else physical.writeAt1(address, value);
    R[leave] = wasToLeave;
    return 0;
  }

  private storePlainly(A: number, size: 1 | 2 | 4, value: number): 0 {
    const { memory } = this.cpu;
    if (size === 1) memory.trySt1(A, value);
    else if (size === 2) memory.trySt2(A, value);
    else memory.trySt4(A, value);
    return 0;
  }
}
