/** The machine's guest-physical address space as devices see it that are placed in it by the guest, or place others (runtime/memory/physical.ts implements it). */
import type { RegisterBank } from "./device.ts";

export type MemoryAccess = "read-write" | "read-only";
/** What covers what where two things are at the same address: the chipset's own ranges the board's devices, these PCI. */
export type MapLayer = "chipset" | "board" | "pci";

/** Something that was mapped: what `remove` takes. */
export interface MappedRange {
  readonly base: number;
  readonly end: number;
}

export interface MemorySpace {
  /** Bytes of RAM, which is at address 0. */
  readonly size: number;
  /** RAM and the memory of devices, by offset. */
  readonly u8: Uint8Array;
  /** Makes [base, base + length) answer from `u8` at `offset`; all multiples of 4096. */
  show(base: number, offset: number, length: number, access: MemoryAccess, layer?: MapLayer): MappedRange;
  map(base: number, length: number, bank: RegisterBank, layer?: MapLayer): MappedRange;
  remove(mapping: MappedRange | undefined): void;
  /** Writes a byte at an offset, whatever is shown where. */
  writeAt1(offset: number, value: number): void;
}
