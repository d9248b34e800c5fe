/**
 * Where pages lead that are no memory (registers of devices, open bus): no TLB entry can say so, and to walk the page tables for each access would cost more than what the device
 * does. What is known here is as good as a TLB entry, and is forgotten with them.
 */
import type { RegisterBank } from "../devices/device.ts";

/** One device's registers on a page. */
export interface RegisterPage {
  readonly bank: RegisterBank;
  /** Offset in the bank of the page's first byte; below zero where the bank begins in the middle of the page. */
  readonly origin: number;
  /** The page's bytes [first, end) are the bank's. */
  readonly first: number;
  readonly end: number;
}

/** Pages of a window of 64 KiB, one for each kind of access. */
const pages = 16;
const writes = pages;

export class DevicePages {
  /** Number of the entry of the TLB that would be (linear.ts), -1: none. */
  private readonly indexes = new Int32Array(2 * pages).fill(-1);
  private readonly places = new Float64Array(2 * pages);
  private readonly banks: (RegisterPage | undefined)[] = new Array<RegisterPage | undefined>(2 * pages).fill(undefined);
  /** Flushes are frequent, and few of them follow the use of a device. */
  private isEmpty = true;

  /** Location of the page's first byte (physical.ts); -1: not known. */
  find(index: number, isWrite: boolean): number {
    const at = (index & (pages - 1)) + (isWrite ? writes : 0);
    return this.indexes[at] === index ? this.places[at] : -1;
  }

  /** Its registers, all of one device; undefined: not known, or it has none, or of several. */
  registers(index: number, isWrite: boolean): RegisterPage | undefined {
    const at = (index & (pages - 1)) + (isWrite ? writes : 0);
    return this.indexes[at] === index ? this.banks[at] : undefined;
  }

  note(index: number, isWrite: boolean, place: number, registers: RegisterPage | undefined): void {
    const at = (index & (pages - 1)) + (isWrite ? writes : 0);
    this.banks[at] = registers;
    this.indexes[at] = index;
    this.places[at] = place;
    this.isEmpty = false;
  }

  /** The page with the entry `index`, for all rings. */
  forget(index: number): void {
    if (this.isEmpty) return;
    this.indexes[index & (pages - 1)] = -1;
    this.indexes[(index & (pages - 1)) + writes] = -1;
  }

  clear(): void {
    if (this.isEmpty) return;
    this.indexes.fill(-1);
    this.isEmpty = true;
  }
}
