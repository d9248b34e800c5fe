import type { Random } from "../fuzz/random.ts";

/** A place and length as guests have them: a few sectors, now and then a long run. */
export function randomRequest(random: Random, size: number): { readonly offset: number; readonly length: number } {
  const sectors = size / 512;
  const first = random.below(sectors);
  const count = Math.min(sectors - first, 1 + random.below(random.once(3) ? 300 : 12));
  return { offset: first * 512, length: count * 512 };
}
