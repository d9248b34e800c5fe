import { type ByteStore, notWritable, readPadded } from "./byte-store.ts";
import { StorageError } from "./error.ts";
import { checkRequest, type DiskImage, type ImageDescription, type ImageMedia } from "./image.ts";
import { recognise } from "./signatures.ts";
import type { Settling } from "./steps.ts";

export interface RawOptions {
  readonly size: number;
  readonly readOnly: boolean;
  readonly media: ImageMedia;
  readonly warnings: readonly string[];
  /** The format was guessed from the content: then the guest must not be able to turn the file into something else. */
  readonly guessed: boolean;
}

/** Sector n of the disk is at n * 512 of the file. Where the disk is larger than the file, the rest reads as zeros and the file grows when it is written. */
export class RawImage implements DiskImage {
  readonly size: number;
  readonly readOnly: boolean;
  private readonly store: ByteStore;
  private readonly options: RawOptions;

  constructor(store: ByteStore, options: RawOptions) {
    this.store = store;
    this.options = options;
    this.size = options.size;
    this.readOnly = options.readOnly;
  }

  read(offset: number, into: Uint8Array): Settling<void> {
    checkRequest(this.store.name, this.size, offset, into.length);
    return readPadded(this.store, offset, into);
  }

  write(offset: number, from: Uint8Array): Settling<void> {
    checkRequest(this.store.name, this.size, offset, from.length);
    if (this.readOnly) throw notWritable(this.store.name);
    if (offset === 0 && this.options.guessed) this.refuseDisguise(from);
    return this.store.write(offset, from);
  }

  flush(): Settling<void> {
    return this.readOnly ? undefined : this.store.flush();
  }

  close(): Settling<void> {
    // A host that is full must not keep the file open and locked.
    let flushed: Settling<void>;
    try {
      flushed = this.flush();
    } catch (error) {
      this.store.close();
      throw error;
    }
    return flushed ? flushed.finally(() => this.store.close()) : this.store.close();
  }

  describe(): ImageDescription {
    const { size, media, readOnly, warnings } = this.options;
    return { name: this.store.name, format: "raw", media, size, fileSize: this.store.size, readOnly, snapshot: false, warnings };
  }

  /** A guest that writes a qcow2 header with a backing file into its first sector would be given that file of the host the next time the format is guessed. */
  private refuseDisguise(from: Uint8Array): void {
    const other = recognise(from);
    if (other?.kind !== "image") return;
    throw new StorageError({
      kind: "request",
      file: this.store.name,
      offset: 0,
      expected: "a boot sector",
      found: `the guest writing the header of a ${other.name} image`,
      hint: "next time the file would be taken for one; give format=raw if the guest may do that",
    });
  }
}
