/** Where a random program's pieces lie (linear; physical too, but for the scratch pages). */
export const layout = {
  code: 0x10000,
  /** Where segmented programs' code segments begin, or in the page behind. */
  segmentedCode: 0x40000,
  /** Eight pages of data: see `scratchRights`. */
  scratch: 0x20000,
  scratchPages: 8,
  /** Loop counters, which nothing else is meant to touch. */
  counters: 0x29000,
  stackPage: 0x2e000,
  stack: 0x2f800,
} as const;

/** Page table bits of the scratch pages: two writable, read-only, absent, writable, supervisor, read-only, writable. */
export const scratchRights = [7, 7, 5, 0, 7, 3, 5, 7] as const;
