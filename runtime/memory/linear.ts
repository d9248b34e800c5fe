/**
 * Linear memory: what instructions see after segmentation. Holds the translation look-aside buffers (the shadow of the guest's
 * page tables) and the slow paths behind generated code's in-line fast path.
 *
 * Three tables of 2 x 2^20 words (`TR` read, `TW` write, `TX` fetch), indexed by `R[slot.tlbHalf] + (linear >>> 12)`: the lower half for
 * CPL 0-2, the upper for CPL 3, so that changing ring costs nothing. An entry is the page's offset in
 * the buffer (physical.ts) ^ its linear address; one that is invalid has its low 12 bits set, so that one comparison tells valid entries of accesses within a page, and bit 31 unlike
 * its linear addresses, so that where all memory lies below 2 GiB of the buffer a comparison of the place alone does, too. An entry in TW
 * promises: page present, writable at that privilege, dirty bit already set, writable memory, no translated code; one whose page got some keeps the page for the slow paths,
 * its low bits set and bit 31 inverted.
 *
 * Everything that needs care (page straddling, misalignment with #AC armed, MMIO, code pages, watchpoints, misses) arrives here.
 *
 * An access that the guest may not make is abandoned in one of two ways. `ld1` and so on throw, `tryLd1` and so on only note the exception (`Cpu.note`) and return
 * nothing of meaning: WebAssembly looks at the note, which costs it a load, where a JavaScript exception costs a microsecond. Each access is written once, in the
 * second way.
 */

import { placeKind } from "../../translator/contract/sites.ts";
import { cr0bit as cr0bitImported, eflag as eflagImported, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import { DevicePages, type RegisterPage } from "./device-pages.ts";
import { type PageWalker, walkFlag as walkFlagImported } from "./page-walk.ts";
import type { PhysicalMemory } from "./physical.ts";
import { SiteTable } from "./site-table.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const eflag = eflagImported;
const slot = slotImported;
const vector = vectorImported;
const walkFlag = walkFlagImported;

// Bound in this module: V8 folds a module's own constants, not those it imports (measured: 3.2 to 1.2 ns for three such reads).
const { tlbHalf } = slot;

/** Invalid entries of linear addresses below 2 GiB, and of those above. */
const invalid = -1;
const invalidHigh = 0x7fffffff;
/** What is different in an entry of TW that only the slow paths may use: the page has, or had, translated code. (One that looks invalid then is walked for each time.) */
export const guarded = 0x80000fff | 0;
const halfSize = 1 << 20;
/** The page number from which on linear addresses are 2 GiB and more. */
const firstHigh = 1 << 19;
/** What makes an entry the usual one: its share of those that are looked at, of at most so many in each list. */
const usualShare = 3 / 4;
const mostSampled = 512;
/** Valid entries are listed so that a flush costs what was filled, not the size of the tables. */
const filledCapacity = 1 << 16;

/** What the linear memory needs of its CPU. */
export interface MemoryHost {
  readonly R: Int32Array;
  /** `noted[1]` is set while a noted exception waits. */
  readonly noted: Int32Array;
  note(vector: number, errorCode?: number): void;
  notePageFault(linear: number, errorCode: number): void;
  /** Throws the exception that is noted. */
  raiseNoted(): never;
  /** A data breakpoint may cover this access (only called while any is armed). */
  watch(linear: number, size: number, isWrite: boolean): void;
}

export class LinearMemory {
  readonly physical: PhysicalMemory;
  readonly TR: Int32Array;
  readonly TW: Int32Array;
  readonly TX: Int32Array;
  /** Where accesses of regions were last. */
  readonly sites: SiteTable;
  /** True while a data breakpoint is armed: no read or write entry is made, so that every access comes here. */
  watching = false;
  /** True while #AC may be raised at CPL 3: no user entry for reads or writes is made (`checkAlignment`). */
  private checksAlignment = false;
  /** Told of a page (its offset) before an instruction writes there for the first time since a flush; perhaps again later. */
  pageWritten: ((page: number) => void) | undefined;
  /** Whether all memory lies below 2 GiB of the buffer, where bit 31 of a place says that an entry is not valid. */
  readonly hasLowPlaces: boolean;
  /** Misses served by a page walk, for statistics. */
  misses = 0;
  flushes = 0;

  private readonly host: MemoryHost;
  private readonly R: Int32Array;
  private readonly noted: Int32Array;
  private readonly walker: PageWalker;
  private readonly filled = new Int32Array(filledCapacity);
  private filledCount = 0;
  private readonly devices = new DevicePages();
  private readonly filledGlobal = new Int32Array(filledCapacity);
  private filledGlobalCount = 0;
  /** 1 for each 4 MiB of linear space that was filled from a large page: INVLPG drops the whole of it. */
  private readonly largeRegions = new Uint8Array(1024);

  constructor(host: MemoryHost, physical: PhysicalMemory, walker: PageWalker) {
    this.host = host;
    this.R = host.R;
    this.noted = host.noted;
    this.physical = physical;
    this.walker = walker;
    this.hasLowPlaces = physical.bytes <= 2 ** 31;
    const table = (): Int32Array => {
      const entries = physical.host.int32(2 * halfSize).fill(invalid);
      for (const half of [0, halfSize]) entries.fill(invalidHigh, half + firstHigh, half + halfSize);
      return entries;
    };
    this.TR = table();
    this.TW = table();
    this.TX = table();
    this.sites = new SiteTable(physical.host, this.TR, this.TW);
  }

  // ---- reads at the current privilege; unsigned for 1 and 2 bytes, int32 for 4

  ld1 = (A: number): number => {
    const T = this.TR[this.R[tlbHalf] + (A >>> 12)];
    if ((T & 1) === 0) return this.physical.u8[(T ^ A) >>> 0];
    const value = this.tryLd1(A);
    if (this.noted[1] !== 0) this.host.raiseNoted();
    return value;
  };

  ld2 = (A: number): number => {
    const value = this.tryLd2(A);
    if (this.noted[1] !== 0) this.host.raiseNoted();
    return value;
  };

  ld4 = (A: number): number => {
    const T = this.TR[this.R[tlbHalf] + (A >>> 12)];
    if (((T | A) & 3) === 0) return this.physical.i32[(T ^ A) >>> 2];
    const value = this.tryLd4(A);
    if (this.noted[1] !== 0) this.host.raiseNoted();
    return value;
  };

  tryLd1 = (A: number): number => {
    const T = this.TR[this.R[tlbHalf] + (A >>> 12)];
    if ((T & 1) === 0) return this.physical.u8[(T ^ A) >>> 0];
    if (this.watching) this.host.watch(A, 1, false);
    const registers = this.registersAt(A, 1, false);
    if (registers !== undefined) return this.physical.readRegisters(registers, A & 0xfff, 1);
    const at = this.tryTranslate(A, 0);
    return at < 0 ? 0 : this.physical.readAt1(at);
  };

  tryLd2 = (A: number): number => {
    const T = this.TR[this.R[tlbHalf] + (A >>> 12)];
    if ((A & 1) !== 0 && !this.mayBeMisaligned()) return 0;
    if ((T & 1) === 0 && (A & 0xfff) !== 0xfff) {
      const { u8 } = this.physical;
      const at = (T ^ A) >>> 0;
      return u8[at] | (u8[at + 1] << 8);
    }
    if (this.watching) this.host.watch(A, 2, false);
    const registers = this.registersAt(A, 2, false);
    if (registers !== undefined) return this.physical.readRegisters(registers, A & 0xfff, 2);
    return this.slowRead2(A, 0);
  };

  tryLd4 = (A: number): number => {
    const T = this.TR[this.R[tlbHalf] + (A >>> 12)];
    if (((T | A) & 3) === 0) return this.physical.i32[(T ^ A) >>> 2];
    if ((A & 3) !== 0 && !this.mayBeMisaligned()) return 0;
    if ((T & 1) === 0 && (A & 0xfff) <= 0xffc) {
      // From the two aligned words around it.
      const { i32 } = this.physical;
      const word = (T ^ A) >>> 2;
      const shift = (A & 3) << 3;
      return (i32[word] >>> shift) | (i32[word + 1] << (32 - shift));
    }
    if (this.watching) this.host.watch(A, 4, false);
    const registers = this.registersAt(A, 4, false);
    if (registers !== undefined) return this.physical.readRegisters(registers, A & 0xfff, 4);
    return this.slowRead4(A, 0);
  };

  // ---- reads that announce a write to the same place (read-modify-write): faults are write faults

  ldw1 = (A: number): number => {
    const T = this.TW[this.R[tlbHalf] + (A >>> 12)];
    if ((T & 1) === 0) return this.physical.u8[(T ^ A) >>> 0];
    const value = this.tryLdw1(A);
    if (this.noted[1] !== 0) this.host.raiseNoted();
    return value;
  };

  ldw2 = (A: number): number => {
    const value = this.tryLdw2(A);
    if (this.noted[1] !== 0) this.host.raiseNoted();
    return value;
  };

  ldw4 = (A: number): number => {
    const value = this.tryLdw4(A);
    if (this.noted[1] !== 0) this.host.raiseNoted();
    return value;
  };

  tryLdw1 = (A: number): number => {
    if (this.watching) this.host.watch(A, 1, true);
    const at = this.tryTranslate(A, walkFlag.write);
    return at < 0 ? 0 : this.physical.readAt1(at);
  };

  tryLdw2 = (A: number): number => {
    if ((A & 1) !== 0 && !this.mayBeMisaligned()) return 0;
    if (this.watching) this.host.watch(A, 2, true);
    return this.slowRead2(A, walkFlag.write);
  };

  tryLdw4 = (A: number): number => {
    if ((A & 3) !== 0 && !this.mayBeMisaligned()) return 0;
    if (this.watching) this.host.watch(A, 4, true);
    return this.slowRead4(A, walkFlag.write);
  };

  private slowRead2(A: number, access: number): number {
    const low = this.tryTranslate(A, access);
    if (low < 0) return 0;
    if ((A & 0xfff) !== 0xfff) return this.physical.readAt2(low);
    const high = this.tryTranslate((A + 1) | 0, access);
    return high < 0 ? 0 : this.physical.readAt1(low) | (this.physical.readAt1(high) << 8);
  }

  private slowRead4(A: number, access: number): number {
    const low = this.tryTranslate(A, access);
    if (low < 0) return 0;
    if ((A & 0xfff) <= 0xffc) return this.physical.readAt4(low);
    const split = 0x1000 - (A & 0xfff);
    const high = this.tryTranslate((A + split) | 0, access);
    if (high < 0) return 0;
    let value = 0;
    for (let i = 0; i < 4; i++) value |= this.physical.readAt1(i < split ? low + i : high + i - split) << (8 * i);
    return value;
  }

  // ---- writes at the current privilege

  st1 = (A: number, value: number): void => {
    const T = this.TW[this.R[tlbHalf] + (A >>> 12)];
    if ((T & 1) === 0) {
      this.physical.u8[(T ^ A) >>> 0] = value;
      return;
    }
    this.trySt1(A, value);
    if (this.noted[1] !== 0) this.host.raiseNoted();
  };

  st2 = (A: number, value: number): void => {
    this.trySt2(A, value);
    if (this.noted[1] !== 0) this.host.raiseNoted();
  };

  st4 = (A: number, value: number): void => {
    const T = this.TW[this.R[tlbHalf] + (A >>> 12)];
    if (((T | A) & 3) === 0) {
      this.physical.i32[(T ^ A) >>> 2] = value;
      return;
    }
    this.trySt4(A, value);
    if (this.noted[1] !== 0) this.host.raiseNoted();
  };

  trySt1 = (A: number, value: number): void => {
    const T = this.TW[this.R[tlbHalf] + (A >>> 12)];
    if ((T & 1) === 0) {
      this.physical.u8[(T ^ A) >>> 0] = value;
      return;
    }
    if (this.watching) this.host.watch(A, 1, true);
    const registers = this.registersAt(A, 1, true);
    if (registers !== undefined) return this.physical.writeRegisters(registers, A & 0xfff, 1, value & 0xff);
    const at = this.tryTranslate(A, walkFlag.write);
    if (at >= 0) this.physical.writeAt1(at, value);
  };

  trySt2 = (A: number, value: number): void => {
    const T = this.TW[this.R[tlbHalf] + (A >>> 12)];
    if ((A & 1) !== 0 && !this.mayBeMisaligned()) return;
    if ((T & 1) === 0 && (A & 0xfff) !== 0xfff) {
      const { u8 } = this.physical;
      const at = (T ^ A) >>> 0;
      u8[at] = value;
      u8[at + 1] = value >>> 8;
      return;
    }
    if (this.watching) this.host.watch(A, 2, true);
    const registers = this.registersAt(A, 2, true);
    if (registers !== undefined) return this.physical.writeRegisters(registers, A & 0xfff, 2, value & 0xffff);
    const low = this.tryTranslate(A, walkFlag.write);
    if (low < 0) return;
    if ((A & 0xfff) !== 0xfff) return this.physical.writeAt2(low, value);
    const high = this.tryTranslate((A + 1) | 0, walkFlag.write);
    if (high < 0) return;
    this.physical.writeAt1(low, value & 0xff);
    this.physical.writeAt1(high, (value >>> 8) & 0xff);
  };

  trySt4 = (A: number, value: number): void => {
    const T = this.TW[this.R[tlbHalf] + (A >>> 12)];
    if ((A & 3) !== 0 && !this.mayBeMisaligned()) return;
    if ((T & 1) === 0 && (A & 0xfff) <= 0xffc) {
      const { i32 } = this.physical;
      const word = (T ^ A) >>> 2;
      const shift = (A & 3) << 3;
      if (shift === 0) i32[word] = value;
      else {
        i32[word] = (i32[word] & ~(-1 << shift)) | (value << shift);
        i32[word + 1] = (i32[word + 1] & (-1 << shift)) | (value >>> (32 - shift));
      }
      return;
    }
    if (this.watching) this.host.watch(A, 4, true);
    const registers = this.registersAt(A, 4, true);
    if (registers !== undefined) return this.physical.writeRegisters(registers, A & 0xfff, 4, value);
    const low = this.tryTranslate(A, walkFlag.write);
    if (low < 0) return;
    if ((A & 0xfff) <= 0xffc) return this.physical.writeAt4(low, value);
    const split = 0x1000 - (A & 0xfff);
    const high = this.tryTranslate((A + split) | 0, walkFlag.write);
    if (high < 0) return;
    for (let i = 0; i < 4; i++) this.physical.writeAt1(i < split ? low + i : high + i - split, (value >>> (8 * i)) & 0xff);
  };

  /** Raises the fault a write of `size` bytes at the current privilege would raise; writes nothing. */
  probeWrite(A: number, size: number): void {
    if (!this.tryProbeWrite(A, size)) this.host.raiseNoted();
  }
  /** The same; false if it is noted. */
  tryProbeWrite(A: number, size: number): boolean {
    if (this.tryTranslate(A, walkFlag.write) < 0) return false;
    const last = (A + size - 1) | 0;
    return ((A ^ last) & ~0xfff) === 0 || this.tryTranslate(last & ~0xfff, walkFlag.write) >= 0;
  }
  /** The same for a read. */
  probeRead(A: number, size: number): void {
    this.translate(A, 0);
    const last = (A + size - 1) | 0;
    if (((A ^ last) & ~0xfff) !== 0) this.translate(last & ~0xfff, 0);
  }

  // ---- implicit supervisor accesses: descriptor tables, TSS, stacks of inner rings (SDM vol. 3, 4.6)

  systemRead1(A: number): number {
    return this.physical.readAt1(this.translateAs(A, 0));
  }
  systemRead2(A: number): number {
    const T = this.TR[A >>> 12];
    if (((T | A) & 1) === 0) return this.physical.i16[(T ^ A) >>> 1] & 0xffff;
    if ((A & 0xfff) !== 0xfff) return this.physical.readAt2(this.translateAs(A, 0));
    return this.systemRead1(A) | (this.systemRead1((A + 1) | 0) << 8);
  }
  systemRead4(A: number): number {
    const T = this.TR[A >>> 12];
    if (((T | A) & 3) === 0) return this.physical.i32[(T ^ A) >>> 2];
    if ((A & 0xfff) <= 0xffc) return this.physical.readAt4(this.translateAs(A, 0));
    return this.systemRead2(A) | (this.systemRead2((A + 2) | 0) << 16);
  }
  systemWrite1(A: number, value: number): void {
    this.physical.writeAt1(this.translateAs(A, walkFlag.write), value & 0xff);
  }
  systemWrite2(A: number, value: number): void {
    if ((A & 0xfff) !== 0xfff) return this.physical.writeAt2(this.translateAs(A, walkFlag.write), value & 0xffff);
    this.systemProbeWrite(A, 2);
    this.systemWrite1(A, value);
    this.systemWrite1((A + 1) | 0, value >>> 8);
  }
  systemWrite4(A: number, value: number): void {
    const T = this.TW[A >>> 12];
    if (((T | A) & 3) === 0) {
      this.physical.i32[(T ^ A) >>> 2] = value;
      return;
    }
    if ((A & 0xfff) <= 0xffc) return this.physical.writeAt4(this.translateAs(A, walkFlag.write), value);
    this.systemProbeWrite(A, 4);
    this.systemWrite2(A, value);
    this.systemWrite2((A + 2) | 0, value >>> 16);
  }
  systemProbeWrite(A: number, size: number): void {
    this.translateAs(A, walkFlag.write);
    const last = (A + size - 1) | 0;
    if (((A ^ last) & ~0xfff) !== 0) this.translateAs(last & ~0xfff, walkFlag.write);
  }

  // ---- frames: several words at once, where nothing can be met on the way

  /**
   * Index in `physical.i32` of `bytes` bytes from `A` on, if they are aligned words of one page that can be read at the current privilege without a miss; else -1, and it
   * is for the accesses one by one to find out why.
   */
  frameToRead(A: number, bytes: number): number {
    const T = this.TR[this.R[tlbHalf] + (A >>> 12)];
    return ((T | A) & 3) === 0 && (A & 0xfff) <= 0x1000 - bytes ? (T ^ A) >>> 2 : -1;
  }
  /** The same with supervisor rights whatever the CPL: words to be read, words to be written. */
  systemFrameToRead(A: number, bytes: number): number {
    const T = this.TR[A >>> 12];
    return ((T | A) & 3) === 0 && (A & 0xfff) <= 0x1000 - bytes ? (T ^ A) >>> 2 : -1;
  }
  systemFrameToWrite(A: number, bytes: number): number {
    const T = this.TW[A >>> 12];
    return ((T | A) & 3) === 0 && (A & 0xfff) <= 0x1000 - bytes ? (T ^ A) >>> 2 : -1;
  }

  // ---- translation

  /** Location (physical.ts) of the instruction byte at linear address `A`; raises #PF. */
  translateFetch(A: number): number {
    const at = this.tryTranslateFetch(A);
    if (at < 0) this.host.raiseNoted();
    return at;
  }
  /** The same; notes #PF and returns -1. */
  tryTranslateFetch(A: number): number {
    const T = this.TX[this.R[tlbHalf] + (A >>> 12)];
    if ((T & 1) === 0) return (T ^ A) >>> 0;
    return this.tryTranslate(A, walkFlag.fetch);
  }

  /** Location for an access of the current privilege; fills the TLB; raises #PF. */
  translate(A: number, access: number): number {
    const at = this.tryTranslate(A, access);
    if (at < 0) this.host.raiseNoted();
    return at;
  }

  /** The same; notes #PF and returns -1. */
  tryTranslate(A: number, access: number): number {
    return this.walkAndFill(A, this.R[tlbHalf] === 0 ? access : access | walkFlag.user);
  }

  /** The registers that an access of `size` bytes at the current privilege falls among whole, where its page is known to lead to a device. */
  registersAt(A: number, size: number, isWrite: boolean): RegisterPage | undefined {
    const registers = this.devices.registers(this.R[tlbHalf] + (A >>> 12), isWrite);
    const offset = A & 0xfff;
    return registers !== undefined && offset >= registers.first && offset + size <= registers.end ? registers : undefined;
  }

  /**
   * The place of `bytes` bytes from linear address `first` on, if generated code may access them in line, for the access at `A` among them; fills the TLB as that access would. -1: it may not, or
   * a guest exception was noted.
   */
  findPlace(first: number, bytes: number, A: number, kind: number): number {
    if ((first & 0xfff) + bytes > 0x1000) return -1;
    if (this.tryTranslate(A, (kind & placeKind.isWrite) !== 0 ? walkFlag.write : 0) < 0) return -1;
    const T = ((kind & placeKind.forWrite) !== 0 ? this.TW : this.TR)[this.R[tlbHalf] + (first >>> 12)];
    return (T & 1) === 0 ? T ^ first : -1;
  }

  /** As `translate`, with supervisor rights whatever the CPL. */
  private translateAs(A: number, access: number): number {
    const T = (access & walkFlag.write ? this.TW : this.TR)[A >>> 12];
    if ((T & 1) === 0) return (T ^ A) >>> 0;
    const at = this.walkAndFill(A, access);
    if (at < 0) this.host.raiseNoted();
    return at;
  }

  /** Physical address without side effects or faults, for debuggers: -1 when unmapped. */
  peekTranslate(A: number): number {
    return this.walker.peek(A);
  }

  private walkAndFill(A: number, access: number): number {
    const walker = this.walker;
    const index = (access & walkFlag.user ? halfSize : 0) + (A >>> 12);
    const known = access & walkFlag.write ? this.TW[index] : access & walkFlag.fetch ? this.TX[index] : this.TR[index];
    if ((known & 1) === 0) return (known ^ A) >>> 0;
    if ((known | 0x80000000) !== -1) return this.throughGuarded(index, A);
    const isWrite = (access & walkFlag.write) !== 0;
    const device = this.devices.find(index, isWrite);
    if (device >= 0) return device + (A & 0xfff);
    this.misses++;
    if (!walker.walk(A, access)) {
      this.host.notePageFault(A, walker.errorCode);
      return -1;
    }
    const page = this.physical.locate(walker.page, isWrite);
    const location = page + (A & 0xfff);
    if (!this.physical.isRam(page)) {
      if ((access & walkFlag.fetch) === 0) this.devices.note(index, isWrite, page, this.physical.registersOn(page));
      return location;
    }
    if (isWrite) this.pageWritten?.(page);
    const entry = (page ^ A) & ~0xfff;
    const isNew = (this.TR[index] & this.TW[index] & this.TX[index] & 1) !== 0;
    if (access & walkFlag.fetch) this.TX[index] = entry;
    else if (!this.watching && !(this.checksAlignment && (access & walkFlag.user) !== 0)) {
      // A write may find a page table entry changed that INVLPG was not told of.
      if ((this.TR[index] & 1) === 0 && this.TR[index] !== entry) this.sites.emptyOnPage(A);
      this.TR[index] = entry;
      if (isWrite) this.TW[index] = this.physical.codePages[page >>> 12] === 0 ? entry : entry ^ guarded;
    }
    if (walker.isLarge) this.largeRegions[A >>> 22] = 1;
    if (isNew) this.remember(index, walker.isGlobal);
    return location;
  }

  /** A write to a page that had translated code when the entry was made. */
  private throughGuarded(index: number, A: number): number {
    const entry = this.TW[index] ^ guarded;
    const at = (entry ^ A) >>> 0;
    if (this.physical.codePages[at >>> 12] === 0) this.TW[index] = entry;
    return at;
  }

  /** Times a site was asked in vain, for statistics. */
  get siteMisses(): number {
    return this.sites.misses;
  }

  /** What most of the pages in half `half` of TR (an index) have as their entry; undefined: they differ. */
  usualEntry(half: number): number | undefined {
    const counts = new Map<number, number>();
    let all = 0;
    const count = (list: Int32Array, length: number): void => {
      const step = 1 + Math.trunc(length / mostSampled);
      for (let i = 0; i < length; i += step) {
        const entry = this.TR[list[i]];
        if ((list[i] & halfSize) !== half || (entry & 1) !== 0) continue;
        all++;
        counts.set(entry, (counts.get(entry) ?? 0) + 1);
      }
    };
    count(this.filled, this.filledCount);
    count(this.filledGlobal, this.filledGlobalCount);
    for (const [entry, n] of counts) if (n > all * usualShare) return entry;
    return undefined;
  }

  private remember(index: number, isGlobal: boolean): void {
    if (isGlobal) {
      if (this.filledGlobalCount === filledCapacity) this.compact();
      this.filledGlobal[this.filledGlobalCount++] = index;
    } else {
      if (this.filledCount === filledCapacity) this.compact();
      this.filled[this.filledCount++] = index;
    }
  }

  /** A list is full (INVLPG leaves stale numbers in it): start over with everything invalid except the entry just made. */
  private compact(): void {
    this.flush(true);
  }

  /** Drops translations; global ones only when `everything`. Cost: what was filled. */
  flush(everything: boolean): void {
    this.flushes++;
    this.devices.clear();
    this.drop(this.filled, this.filledCount);
    this.filledCount = 0;
    if (everything) {
      this.drop(this.filledGlobal, this.filledGlobalCount);
      this.filledGlobalCount = 0;
      this.largeRegions.fill(0);
      this.sites.empty();
    } else this.sites.emptyForgotten();
  }

  private drop(list: Int32Array, count: number): void {
    const { TR, TW, TX } = this;
    for (let i = 0; i < count; i++) {
      const index = list[i];
      TR[index] = TW[index] = TX[index] = invalidAt(index);
    }
  }

  /** INVLPG. */
  invalidatePage(A: number): void {
    if (this.largeRegions[A >>> 22] === 0) {
      this.sites.emptyOnPage(A);
      return this.invalidateIndex(A >>> 12);
    }
    this.sites.empty();
    const first = (A >>> 22) << 10;
    for (let i = first; i < first + 1024; i++) this.invalidateIndex(i);
  }

  private invalidateIndex(page: number): void {
    this.devices.forget(page);
    this.TR[page] = this.TW[page] = this.TX[page] = invalidAt(page);
    this.TR[page + halfSize] = this.TW[page + halfSize] = this.TX[page + halfSize] = invalidAt(page);
  }

  /** The page at this offset now holds translated code: no alias of it may be written without us. */
  protectPhysicalPage(address: number): void {
    this.sites.emptyAtPlace(address);
    this.protectIn(this.filled, this.filledCount, address);
    this.protectIn(this.filledGlobal, this.filledGlobalCount, address);
  }

  private protectIn(list: Int32Array, count: number, address: number): void {
    const TW = this.TW;
    for (let i = 0; i < count; i++) {
      const T = TW[list[i]];
      if ((T & 1) === 0 && ((T ^ (list[i] << 12) ^ address) & ~0xfff) === 0) TW[list[i]] = T ^ guarded;
    }
  }

  /**
   * CR0.AM or EFLAGS.AC may have changed. While both are set, what generated code does in line, which does not look at alignment, must not be done for user accesses: all of
   * them come here.
   */
  checkAlignment(): void {
    const { R } = this;
    const checks = (R[slot.cr0] & cr0bit.am) !== 0 && (R[slot.eflags] & eflag.ac) !== 0;
    if (checks === this.checksAlignment) return;
    this.checksAlignment = checks;
    this.flush(true);
  }

  /** Whether an access of `size` bytes cannot be #AC. */
  isAlignmentFine(A: number, size: number): boolean {
    return (A & (size - 1)) === 0 || !this.checksAlignment;
  }

  /** Index in `physical.i32` of the word at `A`, a multiple of 4, if the `bytes` from there on lie in one page of RAM that the TLB has; else -1. */
  wordsAt(A: number, bytes: number, isWrite: boolean): number {
    const T = (isWrite ? this.TW : this.TR)[this.R[tlbHalf] + (A >>> 12)];
    return (T & 1) === 0 && (A & 0xfff) + bytes <= 0x1000 ? (T ^ A) >>> 2 : -1;
  }

  /** Raises #AC where an access of `size` bytes is misaligned and may not be. Those of up to four bytes see to it themselves. */
  requireAlignment(A: number, size: number): void {
    if ((A & (size - 1)) !== 0 && !this.mayBeMisaligned()) this.host.raiseNoted();
  }

  /** #AC: CR0.AM, EFLAGS.AC and CPL 3 (SDM vol. 3, 6.15). False: noted. */
  private mayBeMisaligned(): boolean {
    const R = this.R;
    if (R[slot.cpl] !== 3 || (R[slot.cr0] & cr0bit.am) === 0 || (R[slot.eflags] & eflag.ac) === 0) return true;
    this.host.note(vector.ac, 0);
    return false;
  }
}

/** @param index of an entry */
function invalidAt(index: number): number {
  return (index & firstHigh) === 0 ? invalid : invalidHigh;
}
