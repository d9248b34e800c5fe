import type { Device, RegisterBank, SavedState } from "./device.ts";

/** What the port reads as, so that firmware knows it is there. */
const present = 0xe9;

/** The debug port of Bochs and QEMU, 402h: a BIOS writes what it does there, byte by byte. */
export class DebugPort implements Device, RegisterBank {
  readonly name = "debug-port";
  private readonly write1: (byte: number) => void;

  constructor(write: (byte: number) => void) {
    this.write1 = write;
  }

  read(_offset: number, size: 1 | 2 | 4): number {
    return size === 4 ? 0xffffff00 + present : (size === 2 ? 0xff00 : 0) + present;
  }
  write(_offset: number, _size: 1 | 2 | 4, value: number): void {
    this.write1(value & 0xff);
  }

  reset(): void {}
  save(): SavedState {
    return {};
  }
  restore(): void {}
}
