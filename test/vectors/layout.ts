/**
 * Where things are while a vector's instruction runs: the same on the CPU that was captured (capture/harness.c) and in the guest
 * that replays it (environment.ts). Ring 3, 32-bit flat segments, plus a few LDT segments over the data pages.
 */
export const layout = {
  /** One page of INT3; the instruction under test starts at `entry`. */
  code: 0x10000000,
  entry: 0x10000800,
  /** Two writable pages; nothing is mapped before and after them. */
  data: 0x20000000,
  dataSize: 0x2000,
  /** The same two pages again, within reach of 16-bit addresses. */
  low: 0x4000,
  /** One read-only page with the data pages' background pattern. */
  constant: 0x20004000,
} as const;

/** The data pages hold this before a case's own chunks are laid over it. */
export function backgroundByte(offset: number): number {
  return Math.imul(offset, 2654435761 | 0) >>> 24;
}

/** Selectors as the capturing system (Linux, 64-bit kernel, 32-bit process) has them. */
export const selectors = { code: 0x23, data: 0x2b } as const;

export interface LdtSegment {
  readonly selector: number;
  readonly base: number;
  /** Limit field of the descriptor, in bytes or pages according to `pages`. */
  readonly limit: number;
  /** Descriptor's type field (SDM vol. 3, 3.4.5.1), accessed bit set. */
  readonly type: number;
  readonly present: boolean;
  readonly big: boolean;
  readonly pages: boolean;
}

/** LDT entries 0 to 6, in order; DPL 3, S = 1. */
export const ldtSegments: readonly LdtSegment[] = [
  { selector: 0x07, base: layout.data, limit: layout.dataSize - 1, type: 0x3, present: true, big: true, pages: false },
  { selector: 0x0f, base: layout.data, limit: layout.dataSize - 1, type: 0x1, present: true, big: true, pages: false },
  { selector: 0x17, base: layout.data, limit: 0xfff, type: 0x7, present: true, big: true, pages: false },
  { selector: 0x1f, base: layout.data, limit: layout.dataSize - 1, type: 0xb, present: true, big: true, pages: false },
  { selector: 0x27, base: layout.data, limit: 0xfff, type: 0x9, present: true, big: true, pages: false },
  { selector: 0x2f, base: layout.data, limit: 0xfff, type: 0x3, present: false, big: true, pages: false },
  { selector: 0x37, base: layout.data + 0x800, limit: 1, type: 0x3, present: true, big: false, pages: true },
];
