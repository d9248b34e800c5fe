/** A 256-bit register of the local APIC, a bit for each vector: IRR, ISR or TMR. Shown to software as eight 32-bit registers. */
export class VectorSet {
  readonly words = new Int32Array(8);
  /** The highest vector in the set, -1 if it is empty. */
  highest = -1;

  has(vector: number): boolean {
    return ((this.words[vector >> 5] >>> (vector & 31)) & 1) !== 0;
  }

  add(vector: number): void {
    this.words[vector >> 5] |= 1 << (vector & 31);
    if (vector > this.highest) this.highest = vector;
  }

  delete(vector: number): void {
    this.words[vector >> 5] &= ~(1 << (vector & 31));
    if (vector === this.highest) this.highest = this.search(vector >> 5);
  }

  clear(): void {
    this.words.fill(0);
    this.highest = -1;
  }

  restore(words: Int32Array): void {
    this.words.set(words);
    this.highest = this.search(7);
  }

  private search(from: number): number {
    for (let k = from; k >= 0; k--) {
      const word = this.words[k];
      if (word !== 0) return 32 * k + 31 - Math.clz32(word);
    }
    return -1;
  }
}
