import type { SavedState } from "./device.ts";

export const fifoSize = 16;

/** A ring of 16 bytes, each with its line errors. */
export class UartFifo {
  readonly bytes = new Uint8Array(fifoSize);
  readonly errors = new Uint8Array(fifoSize);
  head = 0;
  length = 0;

  push(byte: number, errors = 0): void {
    const at = (this.head + this.length++) % fifoSize;
    this.bytes[at] = byte;
    this.errors[at] = errors;
  }

  shift(): number {
    const byte = this.bytes[this.head];
    this.head = (this.head + 1) % fifoSize;
    this.length--;
    return byte;
  }

  clear(): void {
    this.length = 0;
  }

  hasErrors(): boolean {
    for (let i = 0; i < this.length; i++) if (this.errors[(this.head + i) % fifoSize] !== 0) return true;
    return false;
  }

  save(): SavedState {
    return { bytes: this.bytes.slice(), errors: this.errors.slice(), head: this.head, length: this.length };
  }

  restore(state: SavedState): void {
    this.bytes.set(state.bytes as Uint8Array);
    this.errors.set(state.errors as Uint8Array);
    this.head = state.head as number;
    this.length = state.length as number;
  }
}
