import type { RegisterBank } from "./device.ts";

/**
 * Registers of an 8-bit chip. The ISA bus splits a 16- or 32-bit access to an 8-bit device into byte cycles at successive
 * addresses, lowest first; bytes past the chip's last register read as ones.
 */
export class ByteBank implements RegisterBank {
  private readonly readByte: (offset: number) => number;
  private readonly writeByte: (offset: number, value: number) => void;
  private readonly count: number;

  constructor(count: number, readByte: (offset: number) => number, writeByte: (offset: number, value: number) => void) {
    this.count = count;
    this.readByte = readByte;
    this.writeByte = writeByte;
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if (size === 1) return this.readByte(offset);
    let value = 0;
    for (let i = 0; i < size; i++) value |= (offset + i < this.count ? this.readByte(offset + i) : 0xff) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (size === 1) {
      this.writeByte(offset, value & 0xff);
      return;
    }
    for (let i = 0; i < size && offset + i < this.count; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }
}
