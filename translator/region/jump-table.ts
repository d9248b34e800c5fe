/**
 * Computed jumps to many places: a table by how far each is from the first. Compilers align what is jumped to; what the distances have in common below is rotated to the top, so that
 * one comparison says both that a place is in the table and that it is one of those places.
 */
export interface JumpTable {
  readonly first: number;
  /** Low bits in which the places do not differ. */
  readonly shift: number;
}

/** Entries that a table may have, in all and for each place. */
const mostEntries = 4096;
const mostEntriesEach = 32;

/** @param places in ascending order; @returns undefined if they lie too far from each other */
export function jumpTableOf(places: readonly number[]): JumpTable | undefined {
  const first = places[0];
  let differing = 0;
  for (const place of places) differing |= place - first;
  const shift = 31 - Math.clz32(differing & -differing);
  const entries = ((places[places.length - 1] - first) >> shift) + 1;
  return entries <= Math.min(mostEntries, mostEntriesEach * places.length) ? { first, shift } : undefined;
}
