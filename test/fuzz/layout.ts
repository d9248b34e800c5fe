/** Where the structured cases keep things in guest-physical memory; with identity paging the linear addresses are the same. */
export const memorySize = 4 * 2 ** 20;

export const place = {
  gdt: 0x1000,
  gdtEntries: 96,
  ldt: 0x1800,
  ldtEntries: 32,
  idt: 0x2000,
  /** Task state segments, 104 bytes used of 128 each; the first has an I/O map and a redirection map behind it. */
  tss: 0x4000,
  tssStride: 0x80,
  tssCount: 8,
  bigTss: 0x5000,
  bigTssLimit: 0x2088,
  /** 16 bytes a vector. */
  handlers: 0x8000,
  /** Pseudo-descriptors for LGDT and LIDT, far pointers. */
  pointers: 0xa000,
  code: 0x10000,
  codeSize: 0x8000,
  data: 0x20000,
  dataSize: 0x10000,
  stack: 0x38000,
  directory: 0x40000,
  tables: 0x41000,
  paePointers: 0x50000,
  paeDirectories: 0x51000,
  paeTables: 0x55000,
} as const;

/** Selectors of the GDT's fixed entries (RPL 0). */
export const sel = {
  code0: 0x08,
  data0: 0x10,
  code3: 0x18,
  data3: 0x20,
  code16: 0x28,
  data16: 0x30,
  code16r3: 0x38,
  data16r3: 0x40,
  ldt: 0x48,
  tss: 0x50,
  conforming: 0x58,
  expandDown: 0x60,
  code1: 0x68,
  data1: 0x70,
  readOnly: 0x78,
  executeOnly: 0x80,
  small: 0x88,
  absent: 0x90,
  bigTss: 0x98,
  /** TSS descriptors, then gates, then anything. */
  moreTss: 0xa0,
  gates: 0xe0,
  random: 0x160,
} as const;
