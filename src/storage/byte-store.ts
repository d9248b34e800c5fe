import { StorageError } from "./error.ts";
import type { Settling } from "./steps.ts";

/**
 * Where an image file's bytes come from: memory, a file of the host, a file that the user dropped, a web server, the browser's private file system. Image formats
 * are built on it. Methods answer at once or return a promise, as in BlockStorage; they reject with a StorageError.
 */
export interface ByteStore {
  /** As the user knows it, for messages. */
  readonly name: string;
  /** The same for two stores over the same file, where that can be known: finds loops of backing files. */
  readonly identity?: string;
  /** Bytes; grows with writes behind the end. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Fills `into` from `offset`; all of it must lie within `size`. */
  read(offset: number, into: Uint8Array): Settling<void>;
  /** Behind the end, too: what lies between reads as zeros. */
  write(offset: number, from: Uint8Array): Settling<void>;
  /** What is added reads as zeros. */
  resize(size: number): Settling<void>;
  /** When it settles, everything written before is on stable storage. */
  flush(): Settling<void>;
  close(): Settling<void>;
}

/** Fills `into` from `offset`, with zeros from where the store ends. */
export function readPadded(store: ByteStore, offset: number, into: Uint8Array): Settling<void> {
  const present = Math.max(0, Math.min(into.length, store.size - offset));
  if (present === into.length) return store.read(offset, into);
  into.fill(0, present);
  return present === 0 ? undefined : store.read(offset, into.subarray(0, present));
}

/** The error for a read that leaves the file. */
export function behindEnd(store: ByteStore, offset: number, length: number): StorageError {
  return new StorageError({
    kind: "corrupt",
    file: store.name,
    offset,
    expected: `${length} bytes`,
    found: `the end of the file (${store.size} bytes)`,
    hint: "the file is truncated or was shortened while in use",
  });
}

export function notWritable(name: string): StorageError {
  return new StorageError({
    kind: "request",
    file: name,
    expected: "a writable image",
    found: "a read-only one",
    hint: "open it for writing, or with --snapshot so that writes are kept in memory",
  });
}
