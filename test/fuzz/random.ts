/** xorshift128: a reproducible source of numbers, the same everywhere for a seed and a case number. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(seed: number, stream = 0) {
    this.a = seed | 0 || 1;
    this.b = Math.imul(stream ^ 0x5bd1e995, 0x9e3779b1) | 1;
    this.c = 362436069 ^ stream;
    this.d = 88675123;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    const t = this.a ^ (this.a << 11);
    this.a = this.b;
    this.b = this.c;
    this.c = this.d;
    this.d = this.d ^ (this.d >>> 19) ^ t ^ (t >>> 8);
    return this.d >>> 0;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.next() % n === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.next() % values.length];
  }

  fill(bytes: Uint8Array): Uint8Array {
    for (let i = 0; i < bytes.length; ) {
      let word = this.next();
      for (let k = 0; k < 4 && i < bytes.length; k++, word >>>= 8) bytes[i++] = word;
    }
    return bytes;
  }

  bytes(length: number): Uint8Array {
    return this.fill(new Uint8Array(length));
  }

  /** A number as programs have them: small, a power of two, a mask, all ones, or anything. */
  word(): number {
    switch (this.below(8)) {
      case 0:
        return this.below(16);
      case 1:
        return 1 << this.below(32);
      case 2:
        return (1 << this.below(32)) - 1;
      case 3:
        return -this.below(16);
      case 4:
        return this.below(0x10000);
      default:
        return this.next() | 0;
    }
  }
}
