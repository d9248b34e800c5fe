/** Numbers of shapes by their keys. A Map would make an object of each key to look for it: most are larger than what V8 holds as a small integer. */

const firstSize = 1 << 12;
const none = -1;

export class ShapeNumbers {
  /** `none` in free places. */
  private keys = new Float64Array(firstSize).fill(none);
  private numbers = new Int32Array(firstSize);
  private count = 0;

  /** -1: it has none. */
  get(key: number): number {
    const { keys } = this;
    const mask = keys.length - 1;
    for (let k = hash(key) & mask; ; k = (k + 1) & mask) {
      if (keys[k] === key) return this.numbers[k];
      if (keys[k] === none) return none;
    }
  }

  set(key: number, number: number): void {
    if (2 * this.count >= this.keys.length) this.grow();
    const { keys } = this;
    const mask = keys.length - 1;
    let k = hash(key) & mask;
    while (keys[k] !== none && keys[k] !== key) k = (k + 1) & mask;
    if (keys[k] === none) this.count++;
    keys[k] = key;
    this.numbers[k] = number;
  }

  clear(): void {
    this.keys.fill(none);
    this.count = 0;
  }

  private grow(): void {
    const { keys, numbers } = this;
    this.keys = new Float64Array(2 * keys.length).fill(none);
    this.numbers = new Int32Array(2 * keys.length);
    this.count = 0;
    for (let k = 0; k < keys.length; k++) if (keys[k] !== none) this.set(keys[k], numbers[k]);
  }
}

function hash(key: number): number {
  const h = Math.imul((key >>> 0) ^ Math.imul((key / 2 ** 32) >>> 0, 0x85ebca6b), 0x9e3779b1);
  return h ^ (h >>> 15);
}
