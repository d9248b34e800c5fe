import type { Device, RegisterBank, SavedState } from "./device.ts";

/**
 * QEMU's isa-debug-exit: a guest's test program ends the run by a write of 1, 2 or 4 bytes. The usual exit status is (value << 1) | 1;
 * making one of it is the receiver's business. Reads as 0.
 */
export class DebugExit implements Device, RegisterBank {
  readonly name = "debug-exit";
  private readonly exit: (value: number) => void;

  constructor(exit: (value: number) => void) {
    this.exit = exit;
  }

  read(): number {
    return 0;
  }

  write(_offset: number, _size: 1 | 2 | 4, value: number): void {
    this.exit(value >>> 0);
  }

  reset(): void {}

  save(): SavedState {
    return {};
  }

  restore(): void {}
}
