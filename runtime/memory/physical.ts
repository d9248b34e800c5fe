/**
 * Guest-physical memory: RAM from address 0, device memory and windows of memory-mapped registers where they are mapped, open bus elsewhere. Also knows
 * which pages hold translated code, so that every writer (CPU slow path, string instruction, device DMA) reports to one place.
 *
 * One buffer holds RAM and, behind it, the memory of devices. Three kinds of number name a byte:
 *
 *     guest-physical address   what page tables, descriptors of bus masters and programs say
 *     offset                   in the buffer: the identity of memory. TLB entries, translated code and `codePages` know nothing else, so code in ROM and
 *                              a frame buffer are as fast as RAM. For RAM the two are equal
 *     location                 an offset where memory answers; `elsewhere` + guest-physical address where something else does
 *
 * `locate` is the one place that leads from the first to the last. When what it answers changes, `mappingChanged` is called: TLBs must forget.
 */
import type { RegisterBank, SavedState } from "../devices/device.ts";
import type { MapLayer, MemoryAccess, MemorySpace } from "../devices/memory-space.ts";
import type { RegisterPage } from "./device-pages.ts";
import { guestBase, HostMemory } from "./host-memory.ts";
import { type Mapping, MemoryMap } from "./memory-map.ts";

/** Called after bytes of a page that holds translated code were written; `offset` in the buffer. */
export type CodeWriteListener = (offset: number, length: number) => void;

const pageSize = 0x1000;
/** Above every guest-physical address (36 bits) and offset. */
const elsewhere = 2 ** 40;
const openBus = 0xff;
/** Addresses have 36 bits; a bus master's that have more mean nothing. */
const addressSpace = 2 ** 36;

export class PhysicalMemory implements MemorySpace {
  /** Bytes of RAM. */
  readonly size: number;
  /** Bytes of RAM and device memory: every offset is below. */
  readonly bytes: number;
  readonly host: HostMemory;
  readonly base: number;
  readonly buffer: ArrayBuffer;
  readonly u8: Uint8Array;
  readonly i8: Int8Array;
  readonly i16: Int16Array;
  readonly i32: Int32Array;
  /** 1 for each page of the buffer with translated code on it: such pages never get a write-fast TLB entry. */
  readonly codePages: Uint8Array;
  codeWritten: CodeWriteListener = () => {};
  /** Called after a write by guest-physical address: by a device, a program outside, or the processor to a page table. Not by the guest's instructions. */
  writtenFromOutside: () => void = () => {};
  /** Accesses that no memory answered. */
  accessesElsewhere = 0;
  /** Called after memory or registers appeared somewhere or went away. */
  mappingChanged: () => void = () => {};

  /** 1 for each page of guest-physical addresses below the size of RAM where something else answers, in part or whole. */
  private readonly covered: Uint8Array;
  private readonly mapped = new MemoryMap();
  private reserved: number;

  /**
   * @param size bytes of RAM, a multiple of 4096
   * @param deviceBytes bytes that `reserve` can give away, likewise
   */
  constructor(size: number, deviceBytes = 0) {
    this.size = size;
    this.bytes = size + deviceBytes;
    this.reserved = size;
    this.host = new HostMemory(this.bytes);
    this.base = guestBase;
    this.buffer = this.host.buffer;
    this.u8 = new Uint8Array(this.buffer, this.base, this.bytes);
    this.i8 = new Int8Array(this.buffer, this.base, this.bytes);
    this.i16 = new Int16Array(this.buffer, this.base, this.bytes / 2);
    this.i32 = new Int32Array(this.buffer, this.base, this.bytes / 4);
    this.codePages = new Uint8Array(this.bytes >>> 12);
    this.covered = new Uint8Array(size >>> 12);
  }

  // ---- device memory and registers

  /** Offset of `bytes` of device memory (rounded up to whole pages), zero-filled and not yet to be seen anywhere. */
  reserve(bytes: number): number {
    const offset = this.reserved;
    const whole = Math.ceil(bytes / pageSize) * pageSize;
    if (offset + whole > this.bytes)
      throw new RangeError(`device memory: ${whole} bytes asked for, ${this.bytes - offset} left; make the memory with more`);
    this.reserved += whole;
    return offset;
  }

  /**
   * Makes guest-physical [base, base + length) answer from the buffer at `offset`, over whatever answers there; all multiples of 4096. Read-only memory swallows
   * writes. `offset` may lie in RAM: an alias, or RAM with other rights.
   */
  show(base: number, offset: number, length: number, access: MemoryAccess, layer: MapLayer = "board"): Mapping {
    if ((base | offset | length) & (pageSize - 1)) throw new RangeError(`show ${length} bytes at ${base.toString(16)}h: expected whole pages`);
    return this.add({ base, end: base + length, layer, bank: null, offset, readOnly: access === "read-only" });
  }

  /** Undoes the last `show` of exactly these addresses. */
  hide(base: number, length: number): void {
    this.remove(this.mapped.exactly(base, length, true));
  }

  /** Places a device's registers at [base, base + length), over whatever answers there. */
  map(base: number, length: number, bank: RegisterBank, layer: MapLayer = "board"): Mapping {
    return this.add({ base, end: base + length, layer, bank, offset: 0, readOnly: false });
  }

  /** Undoes the last `map` of exactly these addresses. */
  unmap(base: number, length: number): void {
    this.remove(this.mapped.exactly(base, length, false));
  }

  /** Undoes a `show` or `map` by what it returned; nothing happens when that was done before. */
  remove(mapping: Mapping | undefined): void {
    if (mapping !== undefined && this.mapped.remove(mapping)) this.changed(mapping.base, mapping.end);
  }

  private add(mapping: Mapping): Mapping {
    this.mapped.add(mapping);
    this.changed(mapping.base, mapping.end);
    return mapping;
  }

  private changed(base: number, end: number): void {
    const first = base >>> 12;
    const last = Math.min(Math.ceil(end / pageSize), this.covered.length);
    if (base < this.size) {
      this.covered.fill(0, first, last);
      for (const segment of this.mapped.within(first * pageSize, last * pageSize)) {
        this.covered.fill(1, Math.max(first, segment.base >>> 12), Math.min(last, Math.ceil(segment.end / pageSize)));
      }
    }
    this.mappingChanged();
  }

  // ---- from addresses to locations

  /** The location of guest-physical `address` for a read or a write. An offset only where the whole page is the same memory, with that right. */
  locate(address: number, isWrite: boolean): number {
    return address < this.size && this.covered[address >>> 12] === 0 ? address : this.locateMapped(address, isWrite);
  }

  private locateMapped(address: number, isWrite: boolean): number {
    const segment = this.mapped.find(address);
    if (segment === undefined) return elsewhere + address;
    const { base, end, mapping } = segment;
    const page = address - (address % pageSize);
    const isMemory = mapping.bank === null && base <= page && end >= page + pageSize && !(isWrite && mapping.readOnly);
    return isMemory ? mapping.offset + (address - mapping.base) : elsewhere + address;
  }

  /** Whether a location is memory: an offset, which TLB entries may hold and code be translated from. */
  isRam(location: number): boolean {
    return location < this.bytes;
  }

  /** Whether anything at all answers on the page at `location`. */
  hasWindow(location: number): boolean {
    const page = location - elsewhere - (location % pageSize);
    return this.isRam(location) || page < this.size || this.mapped.within(page, page + pageSize).length > 0;
  }

  /** The guest-physical address where the byte at `offset` can be seen now; for RAM the offset itself. -1 where there is none. */
  addressOf(offset: number): number {
    if (offset < this.size) return offset;
    const segment = this.mapped.showing(offset);
    return segment === undefined ? -1 : offset - segment.mapping.offset + segment.mapping.base;
  }

  // ---- by location

  readAt1(location: number): number {
    return location < this.bytes ? this.u8[location] : this.readElsewhere(location - elsewhere, 1);
  }
  /** Any alignment, within one page. */
  readAt2(location: number): number {
    if (location >= this.bytes) return this.readElsewhere(location - elsewhere, 2);
    return this.u8[location] | (this.u8[location + 1] << 8);
  }
  /** Any alignment, within one page; int32. */
  readAt4(location: number): number {
    if (location >= this.bytes) return this.readElsewhere(location - elsewhere, 4) | 0;
    if ((location & 3) === 0) return this.i32[location >>> 2];
    const u8 = this.u8;
    return u8[location] | (u8[location + 1] << 8) | (u8[location + 2] << 16) | (u8[location + 3] << 24);
  }

  writeAt1(location: number, value: number): void {
    if (location >= this.bytes) return this.writeElsewhere(location - elsewhere, 1, value & 0xff);
    if (this.codePages[location >>> 12] !== 0) return this.writeOnCodePage(location, 1, value);
    this.u8[location] = value;
  }
  /** Bytes of RAM in one page that no code was translated from. */
  writeBesideCode(location: number, size: number, value: number): void {
    for (let k = 0; k < size; k++) this.u8[location + k] = value >>> (8 * k);
  }
  writeAt2(location: number, value: number): void {
    if (location >= this.bytes) return this.writeElsewhere(location - elsewhere, 2, value & 0xffff);
    if (this.codePages[location >>> 12] !== 0) return this.writeOnCodePage(location, 2, value);
    this.u8[location] = value;
    this.u8[location + 1] = value >>> 8;
  }
  writeAt4(location: number, value: number): void {
    if (location >= this.bytes) return this.writeElsewhere(location - elsewhere, 4, value);
    if (this.codePages[location >>> 12] !== 0) return this.writeOnCodePage(location, 4, value);
    const u8 = this.u8;
    u8[location] = value;
    u8[location + 1] = value >>> 8;
    u8[location + 2] = value >>> 16;
    u8[location + 3] = value >>> 24;
  }

  /** Code that is overwritten by what it is stays what it is: whoever generates code anew writes most of its opcodes over themselves. */
  private writeOnCodePage(location: number, size: number, value: number): void {
    const from = this.firstChanged(location, size, value);
    if (from === size) return;
    const to = this.endOfChanged(location, size, value);
    this.writeBesideCode(location, size, value);
    this.codeWritten(location + from, to - from);
  }

  /** Which of `size` bytes in one page of RAM a value changes: the number of the first, `size` if none. */
  firstChanged(location: number, size: number, value: number): number {
    let k = 0;
    while (k < size && this.u8[location + k] === ((value >>> (8 * k)) & 255)) k++;
    return k;
  }
  /** And the number behind that of the last. */
  endOfChanged(location: number, size: number, value: number): number {
    let k = size;
    while (k > 0 && this.u8[location + k - 1] === ((value >>> (8 * (k - 1))) & 255)) k--;
    return k;
  }

  /** `length` bytes from `location` on, within one page. */
  copyAt(location: number, length: number): Uint8Array {
    if (location < this.bytes) return this.u8.slice(location, location + length);
    return Uint8Array.from({ length }, (_, k) => this.readAt1(location + k));
  }

  /** Copies bytes into the buffer at `offset`: the contents of a ROM, say. */
  writeOffset(offset: number, bytes: Uint8Array): void {
    this.u8.set(bytes, offset);
    for (let page = offset >>> 12; page <= (offset + bytes.length - 1) >>> 12; page++) {
      if (this.codePages[page] === 0) continue;
      const from = Math.max(offset, page * pageSize);
      this.codeWritten(from, Math.min(offset + bytes.length, (page + 1) * pageSize) - from);
    }
  }

  // ---- by guest-physical address

  read1(address: number): number {
    return this.readAt1(this.locate(address, false));
  }
  read2(address: number): number {
    return this.readAt2(this.locate(address, false));
  }
  read4(address: number): number {
    return this.readAt4(this.locate(address, false));
  }
  write1(address: number, value: number): void {
    this.writeAt1(this.locate(address, true), value);
    this.writtenFromOutside();
  }
  write2(address: number, value: number): void {
    this.writeAt2(this.locate(address, true), value);
    this.writtenFromOutside();
  }
  write4(address: number, value: number): void {
    this.writeAt4(this.locate(address, true), value);
    this.writtenFromOutside();
  }

  /** Copies bytes into memory (loaders, device DMA); what falls where nothing answers is dropped. */
  writeBytes(address: number, bytes: Uint8Array): void {
    this.eachRun(address, bytes.length, true, (location, from, length) => {
      if (location < 0) return;
      if (location < this.bytes) this.writeOffset(location, length === bytes.length ? bytes : bytes.subarray(from, from + length));
      else for (let k = 0; k < length; k++) this.writeAt1(location + k, bytes[from + k]);
    });
    this.writtenFromOutside();
  }

  /** Fills `into` from `address`; what nothing answers for reads as FFh. */
  readInto(address: number, into: Uint8Array): void {
    this.eachRun(address, into.length, false, (location, from, length) => {
      if (location < 0) into.fill(openBus, from, from + length);
      else if (location < this.bytes) into.set(this.u8.subarray(location, location + length), from);
      else for (let k = 0; k < length; k++) into[from + k] = this.readAt1(location + k);
    });
  }

  /** A copy of `length` bytes; what nothing answers for reads as FFh. */
  readBytes(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.readInto(address, out);
    return out;
  }

  /** Zeroes RAM, wherever it can be seen. */
  clearRam(): void {
    this.writeOffset(0, new Uint8Array(this.size));
  }

  /** Visits [address, address + length) in runs of successive locations; -1 for a run where nothing answers. */
  private eachRun(address: number, length: number, isWrite: boolean, visit: (location: number, from: number, length: number) => void): void {
    for (let from = 0; from < length; ) {
      const at = address + from;
      const left = length - from;
      if (at >= addressSpace) return visit(-1, from, left);
      let run = Math.min(left, pageSize - (at % pageSize));
      if (at >= this.size && this.mapped.find(at) === undefined) {
        run = Math.min(left, (this.mapped.within(at, at + left)[0]?.base ?? at + left) - at);
        visit(-1, from, run);
      } else {
        const location = this.locate(at, isWrite);
        while (location < this.bytes && run < left && this.locate(at + run, isWrite) === location + run) run += Math.min(pageSize, left - run);
        visit(location, from, run);
      }
      from += run;
    }
  }

  // ---- what is no memory, and pages that several things share

  /** The registers on the page at `location`, if they are one device's. */
  registersOn(location: number): RegisterPage | undefined {
    const page = location - elsewhere;
    const segments = this.mapped.within(page, page + pageSize);
    if (segments.length !== 1) return undefined;
    const { base, end, mapping } = segments[0];
    if (mapping.bank === null) return undefined;
    // Locations are doubles; what is left of them here must not be, for each access adds to it.
    return { bank: mapping.bank, origin: (page - mapping.base) | 0, first: Math.max(0, base - page) | 0, end: Math.min(pageSize, end - page) | 0 };
  }

  /** Bytes [offset, offset + size) of that page, all of them the device's; 4 as int32. */
  readRegisters(registers: RegisterPage, offset: number, size: 1 | 2 | 4): number {
    this.accessesElsewhere++;
    const value = registers.bank.read(registers.origin + offset, size);
    return size === 4 ? value | 0 : value;
  }
  writeRegisters(registers: RegisterPage, offset: number, size: 1 | 2 | 4, value: number): void {
    this.accessesElsewhere++;
    registers.bank.write(registers.origin + offset, size, value);
  }

  private readElsewhere(address: number, size: 1 | 2 | 4): number {
    this.accessesElsewhere++;
    const segment = this.mapped.find(address);
    if (segment !== undefined && address + size <= segment.end) {
      const { bank, base, offset } = segment.mapping;
      if (bank !== null) return bank.read(address - base, size);
      if (size === 1) return this.u8[offset + address - base];
    } else if (size === 1) return address < this.size ? this.u8[address] : openBus;
    let value = 0;
    for (let k = 0; k < size; k++) value |= this.readElsewhere(address + k, 1) << (8 * k);
    return size === 4 ? value >>> 0 : value;
  }

  private writeElsewhere(address: number, size: 1 | 2 | 4, value: number): void {
    this.accessesElsewhere++;
    const segment = this.mapped.find(address);
    if (segment !== undefined && address + size <= segment.end) {
      const { bank, base, offset, readOnly } = segment.mapping;
      if (bank !== null) return bank.write(address - base, size, value);
      if (readOnly) return;
      if (size === 1) return this.writeAt1(offset + address - base, value);
    } else if (size === 1) {
      if (segment === undefined && address < this.size) this.writeAt1(address, value);
      return;
    }
    for (let k = 0; k < size; k++) this.writeElsewhere(address + k, 1, (value >>> (8 * k)) & 0xff);
  }

  // ---- snapshots: contents only. What is mapped where is the state of the devices that mapped it.

  save(): SavedState {
    return { ram: this.u8.slice() };
  }
  restore(state: SavedState): void {
    this.writeOffset(0, state.ram as Uint8Array);
  }
}
