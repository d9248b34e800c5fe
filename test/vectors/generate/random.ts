/** Seeded random numbers and the edge values that find mistakes. */

/** sfc32 (Chris Doty-Humphrey's small fast chaotic generator): the same sequence everywhere for the same seed. */
export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 1;

  constructor(seed: string) {
    for (const ch of seed) {
      this.#a = Math.imul(this.#a ^ ch.charCodeAt(0), 0x01000193) + 0x9e3779b9;
      this.#b = Math.imul(this.#b + ch.charCodeAt(0), 0x85ebca6b);
    }
    for (let i = 0; i < 16; i++) this.next();
  }

  /** Unsigned 32 bits. */
  next(): number {
    const t = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    return t >>> 0;
  }

  /** 0 <= result < n. */
  below(n: number): number {
    return Math.floor((this.next() / 0x100000000) * n);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const edges32 = [
  0, 1, 0xffffffff, 0x7fffffff, 0x80000000, 0x80000001, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x55555555, 0xaaaaaaaa,
];
const edges16 = [0, 1, 0xffff, 0x7fff, 0x8000, 0x8001, 0x7f, 0x80, 0xff, 0x100, 0x5555, 0xaaaa];
const edges8 = [0, 1, 0xff, 0x7f, 0x80, 0x81, 0x0f, 0x10, 0x55, 0xaa, 0x99, 0x9a];

/** An integer of `size` bytes (up to 4), half of the time an edge value. The result is unsigned. */
export function integer(r: Random, size: number): number {
  const mask = size === 1 ? 0xff : size === 2 ? 0xffff : 0xffffffff;
  const kind = r.below(8);
  if (kind < 4) return r.pick(size === 1 ? edges8 : size === 2 ? edges16 : edges32);
  if (kind === 4) return (r.below(33) - 16) & mask ? ((r.below(33) - 16) & mask) >>> 0 : 0;
  if (kind === 5) return ((1 << r.below(size * 8)) & mask) >>> 0;
  return (r.next() & mask) >>> 0;
}

/** A value for a register of which the low `size` bytes matter: the rest is noise that must survive. */
export function registerValue(r: Random, size: number): number {
  const low = integer(r, size);
  return size === 4
    ? low
    : size === 2
      ? ((r.next() & 0xffff0000) | low) >>> 0
      : ((r.next() & 0xffff0000) | low | (r.below(2) ? integer(r, 1) << 8 : low << 8)) >>> 0;
}
