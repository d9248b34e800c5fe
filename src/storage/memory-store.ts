import { type ByteStore, behindEnd, notWritable } from "./byte-store.ts";
import { hostError } from "./error.ts";

/** A file in memory. The bytes given are used in place until it has to grow. */
export class MemoryStore implements ByteStore {
  readonly name: string;
  readonly readOnly: boolean;
  private bytes: Uint8Array;
  private length: number;

  constructor(bytes: Uint8Array, name = "memory", readOnly = false) {
    this.name = name;
    this.readOnly = readOnly;
    this.bytes = bytes;
    this.length = bytes.length;
  }

  get size(): number {
    return this.length;
  }

  /** The content, not copied. */
  contents(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  read(offset: number, into: Uint8Array): void {
    if (offset + into.length > this.length) throw behindEnd(this, offset, into.length);
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): void {
    if (this.readOnly) throw notWritable(this.name);
    if (offset + from.length > this.length) this.resize(offset + from.length);
    this.bytes.set(from, offset);
  }

  resize(size: number): void {
    if (this.readOnly) throw notWritable(this.name);
    if (size > this.bytes.length) {
      try {
        const grown = new Uint8Array(Math.max(size, Math.min(this.bytes.length * 2, this.bytes.length + 0x1000_0000)));
        grown.set(this.contents());
        this.bytes = grown;
      } catch (error) {
        throw hostError(Object.assign(new Error(`no memory for ${size} bytes`, { cause: error }), { code: "ENOSPC" }), this.name, "to grow");
      }
    } else if (size < this.length) {
      this.bytes.fill(0, size, this.length);
    }
    this.length = size;
  }

  flush(): void {}

  close(): void {}
}
