/** Stores that behave as hosts do on bad days, and a disk as it should be. */
import { expect } from "vitest";
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import type { ByteStore } from "../../src/storage/byte-store.ts";
import { type DiskImage, MemoryStore, type OpenImageOptions, openImage, StorageError } from "../../src/storage/index.ts";
import type { Random } from "../fuzz/random.ts";

/** Passes everything on to another store. */
export class Wrapper implements ByteStore {
  readonly name: string;
  readonly readOnly: boolean;
  protected readonly inner: ByteStore;

  constructor(inner: ByteStore) {
    this.inner = inner;
    this.name = inner.name;
    this.readOnly = inner.readOnly;
  }

  get identity(): string | undefined {
    return this.inner.identity;
  }
  get size(): number {
    return this.inner.size;
  }
  read(offset: number, into: Uint8Array): void | Promise<void> {
    return this.inner.read(offset, into);
  }
  write(offset: number, from: Uint8Array): void | Promise<void> {
    return this.inner.write(offset, from);
  }
  resize(size: number): void | Promise<void> {
    return this.inner.resize(size);
  }
  flush(): void | Promise<void> {
    return this.inner.flush();
  }
  close(): void | Promise<void> {
    return this.inner.close();
  }
}

/** Answers later, and fills what it is given only then. */
export class SlowStore extends Wrapper {
  override async read(offset: number, into: Uint8Array): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    await this.inner.read(offset, into);
  }
  override async write(offset: number, from: Uint8Array): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    await this.inner.write(offset, from);
  }
  override async resize(size: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    await this.inner.resize(size);
  }
  override async flush(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    await this.inner.flush();
  }
}

/** Fails some requests as a full or broken host does, sometimes after a part of a write has reached the file. */
export class FailingStore extends Wrapper {
  /** One in so many fails; 0: none. */
  rate = 0;
  failures = 0;
  private readonly random: Random;

  constructor(inner: ByteStore, random: Random) {
    super(inner);
    this.random = random;
  }

  private failed(kind: "full" | "io"): boolean {
    if (this.rate === 0 || !this.random.once(this.rate)) return false;
    this.failures++;
    void kind;
    return true;
  }

  private error(kind: "full" | "io"): StorageError {
    return new StorageError({ kind, file: this.name, expected: "a host without faults", found: "an injected fault", hint: "none" });
  }

  override read(offset: number, into: Uint8Array): void | Promise<void> {
    if (this.failed("io")) throw this.error("io");
    return super.read(offset, into);
  }
  override write(offset: number, from: Uint8Array): void | Promise<void> {
    if (this.failed("full")) {
      if (this.random.once(2)) void super.write(offset, from.subarray(0, this.random.below(from.length)));
      throw this.error("full");
    }
    return super.write(offset, from);
  }
  override resize(size: number): void | Promise<void> {
    if (this.failed("full")) throw this.error("full");
    return super.resize(size);
  }
  override flush(): void | Promise<void> {
    if (this.failed("io")) throw this.error("io");
    return super.flush();
  }
}

interface Change {
  readonly offset: number;
  /** Undefined: the file was given the length `offset`. */
  readonly bytes: Uint8Array | undefined;
}

/**
 * A file on a machine that loses power: what was written before the last flush is there, of what came later any part, in units of 512 bytes. `pieces` are the changes
 * since the last flush.
 */
export class VolatileStore extends Wrapper {
  private durable: Uint8Array;
  private pending: Change[] = [];

  constructor(bytes: Uint8Array, name: string) {
    super(new MemoryStore(bytes.slice(), name));
    this.durable = bytes.slice();
  }

  override write(offset: number, from: Uint8Array): void {
    this.pending.push({ offset, bytes: from.slice() });
    void super.write(offset, from);
  }
  override resize(size: number): void {
    this.pending.push({ offset: size, bytes: undefined });
    void super.resize(size);
  }
  override flush(): void {
    this.durable = (this.inner as MemoryStore).contents().slice();
    this.pending = [];
  }

  /** The file after the crash of the process alone: all writes up to now, the last one possibly in part. */
  afterKill(random: Random): Uint8Array {
    const upTo = random.below(this.pending.length + 1);
    return this.replay((index) => (index < upTo ? "whole" : "none"));
  }

  /** The file after a power cut: any of the pending changes, any sectors of them. */
  afterPowerCut(random: Random): Uint8Array {
    return this.replay(() => random.pick(["whole", "none", "part"] as const), random);
  }

  private replay(choose: (index: number) => "whole" | "part" | "none", random?: Random): Uint8Array {
    const file = new MemoryStore(this.durable.slice());
    for (const [index, { offset, bytes }] of this.pending.entries()) {
      const choice = choose(index);
      if (choice === "none") continue;
      if (!bytes) file.resize(offset);
      else if (choice === "whole") file.write(offset, bytes);
      else {
        for (let at = 0; at < bytes.length; at += 512)
          if (random!.once(2)) file.write(offset + at, bytes.subarray(at, Math.min(at + 512, bytes.length)));
      }
    }
    return file.contents().slice();
  }
}

export async function openBytes(bytes: Uint8Array, options: OpenImageOptions = {}, name = "image"): Promise<DiskImage> {
  return openImage(new MemoryStore(bytes, name), options);
}

export async function readAll(disk: BlockStorage, length = disk.size): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const step = 1 << 20;
  for (let at = 0; at < length; at += step) await disk.read(at, bytes.subarray(at, Math.min(at + step, length)));
  return bytes;
}

export async function problem(attempt: () => unknown): Promise<StorageError> {
  try {
    await attempt();
  } catch (error) {
    expect(error).toBeInstanceOf(StorageError);
    return error as StorageError;
  }
  throw new Error("no error was reported");
}

/** Equality of large arrays, with the first difference as the message. */
export function expectSame(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(found, expected) === 0) return;
  const at = found.findIndex((byte, i) => byte !== expected[i]);
  expect.fail(`${what}: byte ${at} of ${expected.length} (${found.length} found) is ${found[at]}, expected ${expected[at]}`);
}
