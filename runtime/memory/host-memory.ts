/**
 * One WebAssembly memory for all that generated code touches: the CPU's slots, the TLBs, the code array, guest memory. JavaScript sees each through typed arrays of its own,
 * WebAssembly by its offset; to V8 such an array is as good as one with a buffer for itself.
 *
 * Guest memory comes last, at `guestBase`: so all else is at the same offsets in every machine, and code that was prepared for one fits them all.
 */

/** Words of the code array. */
export const usualCodeWords = 1 << 23;
/** Bytes beside guest memory: three TLBs, the code array; slots, counters, the jump caches, sites, regions' targets and tier 0's tables. */
export const stateBytes = (3 << 23) + 4 * usualCodeWords + (1 << 21);

const wasmPage = 0x10000;
/** Offset 0 is nobody's. */
const firstOffset = 64;
/** Offset of guest memory. */
export const guestBase = Math.ceil((stateBytes + firstOffset) / wasmPage) * wasmPage;

export class HostMemory {
  /** Absent where the host has no WebAssembly (`node --jitless`): then the buffer is one like any other. */
  readonly memory: WebAssembly.Memory | undefined;
  /** 64 KiB pages; the memory never grows. */
  readonly pages: number;
  readonly buffer: ArrayBuffer;
  private next = firstOffset;

  /** @param guestBytes of guest memory; throws a RangeError if the host has them not */
  constructor(guestBytes: number) {
    this.pages = Math.ceil((guestBase + guestBytes) / wasmPage);
    if (typeof WebAssembly !== "undefined") this.memory = new WebAssembly.Memory({ initial: this.pages, maximum: this.pages });
    this.buffer = (this.memory?.buffer as ArrayBuffer | undefined) ?? new ArrayBuffer(this.pages * wasmPage);
  }

  /** Offset of `bytes` bytes beside guest memory that nobody has yet; zero-filled. */
  take(bytes: number, alignment = 64): number {
    const offset = Math.ceil(this.next / alignment) * alignment;
    if (offset + bytes > guestBase) throw new RangeError(`host memory: ${bytes} bytes asked for, ${guestBase - offset} left`);
    this.next = offset + bytes;
    return offset;
  }

  int32(length: number): Int32Array<ArrayBuffer> {
    return new Int32Array(this.buffer, this.take(4 * length), length);
  }

  float64(length: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.buffer, this.take(8 * length), length);
  }

  uint16(length: number): Uint16Array<ArrayBuffer> {
    return new Uint16Array(this.buffer, this.take(2 * length), length);
  }
}
