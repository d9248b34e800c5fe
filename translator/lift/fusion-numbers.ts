/** Numbers of superinstructions by the shape numbers of their first part or parts and of their last: asked for each pair of neighbours that is decoded. */

const firstBits = 12;
const none = -1;

export class FusionNumbers {
  /** Pairs of key and number; `none` for a key in free places. */
  private pairs = new Int32Array(2 << firstBits).fill(none);
  private bits = firstBits;
  private count = 0;

  /** -1: they have none. */
  get(first: number, second: number): number {
    const key = (first << 16) | second;
    const { pairs } = this;
    const mask = pairs.length - 1;
    for (let k = this.place(key); ; k = (k + 2) & mask) {
      if (pairs[k] === key) return pairs[k + 1];
      if (pairs[k] === none) return none;
    }
  }

  set(first: number, second: number, number: number): void {
    if (4 * this.count >= this.pairs.length) this.grow();
    this.put((first << 16) | second, number);
  }

  clear(): void {
    this.pairs.fill(none);
    this.count = 0;
  }

  private put(key: number, number: number): void {
    const { pairs } = this;
    const mask = pairs.length - 1;
    let k = this.place(key);
    while (pairs[k] !== none && pairs[k] !== key) k = (k + 2) & mask;
    if (pairs[k] === none) this.count++;
    pairs[k] = key;
    pairs[k + 1] = number;
  }

  private place(key: number): number {
    return (Math.imul(key, 0x9e3779b1) >>> (32 - this.bits)) << 1;
  }

  private grow(): void {
    const { pairs } = this;
    this.pairs = new Int32Array(2 * pairs.length).fill(none);
    this.bits++;
    this.count = 0;
    for (let k = 0; k < pairs.length; k += 2) if (pairs[k] !== none) this.put(pairs[k], pairs[k + 1]);
  }
}
