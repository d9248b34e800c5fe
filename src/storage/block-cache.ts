import type { Settling } from "./steps.ts";

/** Delivers the bytes from `offset` on, `length` of them, in order and in pieces of any size. */
export type RangeReader = (offset: number, length: number, deliver: (piece: Uint8Array) => void) => Promise<void>;

export interface BlockCacheOptions {
  /** Bytes of a block, the unit that is fetched and kept. */
  readonly blockSize: number;
  /** Memory for blocks, in bytes. */
  readonly budget: number;
  /** So many blocks at most are fetched ahead of a sequential reader. */
  readonly readAhead: number;
}

/**
 * Blocks of something that answers slowly, least recently used first out. What is there is answered at once; what is missing is fetched in as few requests as
 * possible, together with what a sequential reader will want next. A block that is on its way is not asked for twice.
 */
export class BlockCache {
  private readonly size: number;
  private readonly fetch: RangeReader;
  private readonly options: BlockCacheOptions;
  private readonly blocks = new Map<number, Uint8Array>();
  private readonly coming = new Map<number, Promise<Uint8Array>>();
  private expected = 0;
  private ahead = 0;

  constructor(size: number, fetch: RangeReader, options: BlockCacheOptions) {
    this.size = size;
    this.fetch = fetch;
    this.options = options;
  }

  /** Takes bytes that came by other ways. */
  put(index: number, bytes: Uint8Array): void {
    this.blocks.delete(index);
    this.blocks.set(index, bytes);
    for (const oldest of this.blocks.keys()) {
      if (this.blocks.size * this.options.blockSize <= this.options.budget || this.blocks.size === 1) break;
      this.blocks.delete(oldest);
    }
  }

  read(offset: number, into: Uint8Array): Settling<void> {
    if (into.length === 0) return;
    const { blockSize } = this.options;
    const first = Math.floor(offset / blockSize);
    const last = Math.floor((offset + into.length - 1) / blockSize);
    this.adaptReadAhead(offset, into.length);
    this.fetchMissing(first, last);
    const waiting: Promise<void>[] = [];
    for (let index = first; index <= last; index++) {
      const copy = (block: Uint8Array): void => {
        const from = Math.max(0, offset - index * blockSize);
        const to = Math.min(block.length, offset + into.length - index * blockSize);
        into.set(block.subarray(from, to), index * blockSize + from - offset);
      };
      const block = this.blocks.get(index);
      if (block) {
        copy(block);
        this.blocks.delete(index);
        this.blocks.set(index, block);
      } else waiting.push(this.coming.get(index)!.then(copy));
    }
    if (waiting.length > 0) return Promise.all(waiting).then(() => {});
  }

  /** A reader that goes on where it stopped is given twice as much ahead each time; one that jumps, nothing. */
  private adaptReadAhead(offset: number, length: number): void {
    const sequential = Math.abs(offset - this.expected) <= this.options.blockSize && offset > 0;
    this.ahead = sequential ? Math.min(Math.max(1, this.ahead * 2), this.options.readAhead) : 0;
    this.expected = offset + length;
  }

  private fetchMissing(first: number, wanted: number): void {
    const isMissing = (index: number): boolean => !this.blocks.has(index) && !this.coming.has(index);
    const end = Math.ceil(this.size / this.options.blockSize) - 1;
    // What is ahead comes with what is wanted now, or when half of it has been used up: block by block would be as many requests as blocks.
    const wantedNow = Array.from({ length: wanted - first + 1 }, (_, k) => first + k).some(isMissing);
    const halfway = Math.min(wanted + Math.ceil(this.ahead / 2), end);
    const last = wantedNow || isMissing(halfway) ? Math.min(wanted + this.ahead, end) : wanted;
    for (let index = first; index <= last; index++) {
      if (!isMissing(index)) continue;
      let count = 1;
      while (index + count <= last && isMissing(index + count)) count++;
      this.request(index, count);
      index += count - 1;
    }
  }

  private request(first: number, count: number): void {
    const { blockSize } = this.options;
    const start = first * blockSize;
    const length = Math.min(count * blockSize, this.size - start);
    const waiting: { resolve(block: Uint8Array): void; reject(reason: unknown): void }[] = [];
    for (let k = 0; k < count; k++) {
      const block = new Promise<Uint8Array>((resolve, reject) => waiting.push({ resolve, reject }));
      // Blocks read ahead may have nobody who waits for them; who wants them later asks again.
      block.catch(() => {});
      this.coming.set(first + k, block);
    }
    let arrived = 0;
    let current = new Uint8Array(Math.min(blockSize, length));
    const deliver = (piece: Uint8Array): void => {
      for (let used = 0; used < piece.length && arrived < length; ) {
        const within = arrived % blockSize;
        const part = piece.subarray(used, used + current.length - within);
        current.set(part, within);
        used += part.length;
        arrived += part.length;
        if (within + part.length < current.length) continue;
        const k = Math.floor((arrived - 1) / blockSize);
        this.put(first + k, current);
        this.coming.delete(first + k);
        waiting[k]!.resolve(current);
        current = new Uint8Array(Math.min(blockSize, length - arrived));
      }
    };
    const fail = (reason: unknown): void => {
      for (let k = Math.floor(arrived / blockSize); k < count; k++) {
        this.coming.delete(first + k);
        waiting[k]!.reject(reason);
      }
    };
    this.fetch(start, length, deliver).then(() => {
      if (arrived < length) fail(new Error(`${length - arrived} bytes were not delivered`));
    }, fail);
  }
}
