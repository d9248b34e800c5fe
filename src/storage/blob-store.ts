import { BlockCache } from "./block-cache.ts";
import { type ByteStore, behindEnd, notWritable } from "./byte-store.ts";
import { hostError } from "./error.ts";
import type { Settling } from "./steps.ts";

/** Only in workers; not among TypeScript's types for pages. */
interface SyncReader {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** A file that the user chose or dropped on the page. It can be read, not written. In a worker reading is synchronous. */
export class BlobStore implements ByteStore {
  readonly name: string;
  readonly size: number;
  readonly readOnly = true;
  private readonly blob: Blob;
  private readonly syncReader: SyncReader | undefined;
  private readonly cache: BlockCache;

  constructor(blob: Blob, name?: string) {
    this.name = name ?? (blob as Partial<File>).name ?? "file";
    this.size = blob.size;
    this.blob = blob;
    const { FileReaderSync } = globalThis as { FileReaderSync?: new () => SyncReader };
    this.syncReader = FileReaderSync && new FileReaderSync();
    this.cache = new BlockCache(blob.size, (offset, length, deliver) => this.fetch(offset, length, deliver), {
      blockSize: 256 << 10,
      budget: 32 << 20,
      readAhead: 4,
    });
  }

  read(offset: number, into: Uint8Array): Settling<void> {
    if (offset + into.length > this.size) throw behindEnd(this, offset, into.length);
    if (!this.syncReader) return this.cache.read(offset, into);
    try {
      into.set(new Uint8Array(this.syncReader.readAsArrayBuffer(this.blob.slice(offset, offset + into.length))));
    } catch (error) {
      throw hostError(error, this.name, `to read ${into.length} bytes`, offset);
    }
  }

  write(): never {
    throw notWritable(this.name);
  }

  resize(): never {
    throw notWritable(this.name);
  }

  flush(): void {}

  close(): void {}

  private async fetch(offset: number, length: number, deliver: (piece: Uint8Array) => void): Promise<void> {
    try {
      deliver(new Uint8Array(await this.blob.slice(offset, offset + length).arrayBuffer()));
    } catch (error) {
      throw hostError(error, this.name, `to read ${length} bytes`, offset);
    }
  }
}
