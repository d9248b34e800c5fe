/**
 * Guest-physical memory: RAM from address 0, with windows of memory-mapped registers and open bus elsewhere. Also knows which
 * physical pages hold translated code, so that every writer (CPU slow path, string instruction, device DMA) reports to one place.
 */
import type { RegisterBank, SavedState } from "../devices/device.ts";

/** Called after bytes of a page that holds translated code were written. */
export type CodeWriteListener = (address: number, length: number) => void;

interface Window {
  readonly base: number;
  readonly end: number;
  readonly bank: RegisterBank;
}

export class PhysicalMemory {
  readonly size: number;
  readonly buffer: ArrayBuffer;
  readonly u8: Uint8Array;
  readonly i8: Int8Array;
  readonly i16: Int16Array;
  readonly i32: Int32Array;
  /** 1 for each RAM page with translated code on it: such pages never get a write-fast TLB entry. */
  readonly codePages: Uint8Array;
  /** 1 for each RAM page covered by a register window (VGA memory, say). */
  private readonly windowPages: Uint8Array;
  private windows: Window[] = [];
  codeWritten: CodeWriteListener = () => {};

  /** @param size bytes of RAM, a multiple of 4096. */
  constructor(size: number) {
    this.size = size;
    this.buffer = new ArrayBuffer(size);
    this.u8 = new Uint8Array(this.buffer);
    this.i8 = new Int8Array(this.buffer);
    this.i16 = new Int16Array(this.buffer);
    this.i32 = new Int32Array(this.buffer);
    this.codePages = new Uint8Array(size >>> 12);
    this.windowPages = new Uint8Array(size >>> 12);
  }

  /** Places a device's registers at [base, base + length), over RAM where they overlap. */
  map(base: number, length: number, bank: RegisterBank): void {
    this.windows = [...this.windows, { base, end: base + length, bank }];
    for (let page = base >>> 12; page < (base + length) / 4096 && page < this.windowPages.length; page++) this.windowPages[page] = 1;
  }

  /** Whether the page holding `address` is plain RAM, which TLB entries may point to. */
  isRam(address: number): boolean {
    return address < this.size && this.windowPages[address >>> 12] === 0;
  }

  /** Whether any register window lies on the page at `page`. */
  hasWindow(page: number): boolean {
    return this.windows.some(({ base, end }) => base < page + 0x1000 && end > page);
  }

  read1(address: number): number {
    return this.isRam(address) ? this.u8[address] : this.readWindow(address, 1);
  }
  /** Any alignment, within one page. */
  read2(address: number): number {
    if (!this.isRam(address)) return this.readWindow(address, 2);
    return this.u8[address] | (this.u8[address + 1] << 8);
  }
  /** Any alignment, within one page; int32. */
  read4(address: number): number {
    if (!this.isRam(address)) return this.readWindow(address, 4) | 0;
    if ((address & 3) === 0) return this.i32[address >>> 2];
    const u8 = this.u8;
    return u8[address] | (u8[address + 1] << 8) | (u8[address + 2] << 16) | (u8[address + 3] << 24);
  }

  write1(address: number, value: number): void {
    if (!this.isRam(address)) return this.writeWindow(address, 1, value & 0xff);
    this.u8[address] = value;
    if (this.codePages[address >>> 12] !== 0) this.codeWritten(address, 1);
  }
  write2(address: number, value: number): void {
    if (!this.isRam(address)) return this.writeWindow(address, 2, value & 0xffff);
    this.u8[address] = value;
    this.u8[address + 1] = value >>> 8;
    if (this.codePages[address >>> 12] !== 0) this.codeWritten(address, 2);
  }
  write4(address: number, value: number): void {
    if (!this.isRam(address)) return this.writeWindow(address, 4, value);
    const u8 = this.u8;
    u8[address] = value;
    u8[address + 1] = value >>> 8;
    u8[address + 2] = value >>> 16;
    u8[address + 3] = value >>> 24;
    if (this.codePages[address >>> 12] !== 0) this.codeWritten(address, 4);
  }

  /** Copies bytes into RAM (loaders, device DMA); what falls outside RAM is dropped as on a bus nobody answers. */
  writeBytes(address: number, bytes: Uint8Array): void {
    const length = Math.min(bytes.length, this.size - address);
    if (length <= 0) return;
    this.u8.set(length === bytes.length ? bytes : bytes.subarray(0, length), address);
    for (let page = address >>> 12; page <= (address + length - 1) >>> 12; page++) {
      if (this.codePages[page] === 0) continue;
      const from = Math.max(address, page * 4096);
      this.codeWritten(from, Math.min(address + length, page * 4096 + 4096) - from);
    }
  }

  /** A copy of `length` bytes; bytes outside RAM read as FFh. */
  readBytes(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length).fill(0xff);
    if (address < this.size) out.set(this.u8.subarray(address, Math.min(address + length, this.size)));
    return out;
  }

  private readWindow(address: number, size: 1 | 2 | 4): number {
    for (const window of this.windows) {
      if (address >= window.base && address < window.end) return window.bank.read(address - window.base, size);
    }
    return size === 4 ? -1 : size === 2 ? 0xffff : 0xff;
  }

  private writeWindow(address: number, size: 1 | 2 | 4, value: number): void {
    for (const window of this.windows) {
      if (address >= window.base && address < window.end) return window.bank.write(address - window.base, size, value);
    }
  }

  save(): SavedState {
    return { ram: this.u8.slice() };
  }
  restore(state: SavedState): void {
    this.writeBytes(0, state.ram as Uint8Array);
  }
}
