/**
 * Which bytes of each physical page went into translated code: one bit a byte. The bits of most such pages lie in the host's WebAssembly memory, so that stores beside code, or over code
 * that is no more, are made there (execute/wasm-helpers.ts): a page has the frame that its number names, unless another page has it.
 */
import type { HostMemory } from "../memory/host-memory.ts";

export const coverageFrames = 128;
/** Words for the bits of a page. */
const pageWords = 128;
const nobody = -1;

export class Coverage {
  /** Physical number of the page that has a frame, and the frames' bits. */
  readonly owners: Int32Array;
  readonly frames: Int32Array;
  private readonly pages = new Map<number, Int32Array>();

  constructor(host: HostMemory) {
    this.owners = host.int32(coverageFrames).fill(nobody);
    this.frames = host.int32(coverageFrames * pageWords);
  }

  /** The page has code from now on. */
  begin(page: number): void {
    if (this.pages.has(page)) return;
    const frame = page % coverageFrames;
    const isFree = this.owners[frame] === nobody;
    this.pages.set(page, isFree ? this.frames.subarray(frame * pageWords, (frame + 1) * pageWords).fill(0) : new Int32Array(pageWords));
    if (isFree) this.owners[frame] = page;
  }

  /** The page has none any more. */
  end(page: number): void {
    this.pages.delete(page);
    const frame = page % coverageFrames;
    if (this.owners[frame] === page) this.owners[frame] = nobody;
  }

  add(page: number, from: number, to: number): void {
    const bits = this.pages.get(page);
    if (bits === undefined) return;
    for (let word = from >> 5; word <= (to - 1) >> 5; word++) bits[word] |= bitsBetween(word, from, to);
  }

  remove(page: number, from: number, to: number): void {
    const bits = this.pages.get(page);
    if (bits === undefined) return;
    for (let word = from >> 5; word <= (to - 1) >> 5; word++) bits[word] &= ~bitsBetween(word, from, to);
  }

  /** Whether any of bytes [from, to) of a page is marked. */
  includes(page: number, from: number, to: number): boolean {
    const bits = this.pages.get(page);
    if (bits === undefined) return false;
    for (let word = from >> 5; word <= (to - 1) >> 5; word++) if ((bits[word] & bitsBetween(word, from, to)) !== 0) return true;
    return false;
  }

  /** No byte of the page is marked. */
  empty(page: number): void {
    this.pages.get(page)?.fill(0);
  }

  clear(): void {
    this.pages.clear();
    this.owners.fill(nobody);
  }
}

/** The bits of word number `word` that stand for bytes [from, to). */
function bitsBetween(word: number, from: number, to: number): number {
  const low = Math.max(from - 32 * word, 0);
  const high = Math.min(to - 32 * word, 32);
  return (-1 << low) & (-1 >>> (32 - high));
}
