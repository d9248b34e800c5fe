import {
  type BigIntStats,
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
  writeSync,
} from "node:fs";
import { type ByteStore, behindEnd, notWritable } from "../byte-store.ts";
import { hostError, StorageError } from "../error.ts";
import { FileLock } from "./file-lock.ts";

export interface FileStoreOptions {
  readonly readOnly?: boolean;
  /** Told about what is unusual but no error. */
  readonly onWarning?: (message: string) => void;
}

/** How long, in milliseconds, a read-only file may have changed without our noticing. */
const changeCheckInterval = 1000;

/**
 * A file of the host, read and written synchronously. One that is open for writing is locked (file-lock.ts); one that is open for reading is watched: a disk must not
 * change under a guest that knows it as read-only.
 */
export class FileStore implements ByteStore {
  readonly name: string;
  readonly identity: string;
  readonly readOnly: boolean;
  private readonly fd: number;
  private readonly lock: FileLock | undefined;
  private readonly opened: BigIntStats;
  private length: number;
  private closed = false;
  private checked = 0;

  static open(path: string, options: FileStoreOptions = {}): FileStore {
    const readOnly = options.readOnly === true;
    let fd: number | undefined;
    let lock: FileLock | undefined;
    try {
      const real = realpathSync(path);
      // A pipe that nobody writes to would be waited for.
      fd = openSync(real, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | (constants.O_NONBLOCK ?? 0));
      const stats = fstatSync(fd, { bigint: true });
      requireFile(path, stats);
      lock = FileLock.acquire({ file: path, path: real, stats, exclusive: !readOnly, onWarning: options.onWarning });
      return new FileStore(path, fd, stats, readOnly, lock);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      lock?.release();
      throw hostError(error, path, `to open it for ${readOnly ? "reading" : "reading and writing"}`);
    }
  }

  /** The `identity` that the file has once it is open; undefined if there is none. */
  static identify(path: string): string | undefined {
    try {
      return identityOf(statSync(path, { bigint: true }));
    } catch {
      return undefined;
    }
  }

  private constructor(path: string, fd: number, stats: BigIntStats, readOnly: boolean, lock: FileLock | undefined) {
    this.name = path;
    this.identity = identityOf(stats);
    this.fd = fd;
    this.opened = stats;
    this.length = Number(stats.size);
    this.readOnly = readOnly;
    this.lock = lock;
  }

  get size(): number {
    return this.length;
  }

  read(offset: number, into: Uint8Array): void {
    if (offset + into.length > this.length) throw behindEnd(this, offset, into.length);
    if (this.readOnly) this.checkUnchanged();
    try {
      for (let done = 0; done < into.length; ) {
        const count = readSync(this.fd, into, done, into.length - done, offset + done);
        if (count === 0) throw behindEnd(this, offset + done, into.length - done);
        done += count;
      }
    } catch (error) {
      throw hostError(error, this.name, `to read ${into.length} bytes`, offset);
    }
  }

  write(offset: number, from: Uint8Array): void {
    if (this.readOnly) throw notWritable(this.name);
    this.checkLength();
    try {
      for (let done = 0; done < from.length; ) done += writeSync(this.fd, from, done, from.length - done, offset + done);
    } catch (error) {
      throw hostError(error, this.name, `to write ${from.length} bytes`, offset);
    }
    this.length = Math.max(this.length, offset + from.length);
  }

  resize(size: number): void {
    if (this.readOnly) throw notWritable(this.name);
    try {
      ftruncateSync(this.fd, size);
    } catch (error) {
      throw hostError(error, this.name, `to make it ${size} bytes long`);
    }
    this.length = size;
  }

  flush(): void {
    if (this.readOnly) return;
    this.checkLength();
    this.checkPresent();
    try {
      fdatasyncSync(this.fd);
    } catch (error) {
      throw hostError(error, this.name, "to bring what was written to stable storage");
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.fd);
    this.lock?.release();
  }

  /** Somebody has cut off a file that we write: a write behind its new end would fill the gap with zeros, and nobody would know. */
  private checkLength(): void {
    const { size } = fstatSync(this.fd);
    if (size >= this.length) return;
    throw new StorageError({
      kind: "changed",
      file: this.name,
      expected: `${this.length} bytes`,
      found: `${size}: something else has shortened the file while it was in use`,
      hint: "what was behind its end is lost; stop that program, and restore the image from a copy",
    });
  }

  /** A file that has no name any more is gone as soon as we close it: the person should know while it can still be saved. */
  private checkPresent(): void {
    if (fstatSync(this.fd).nlink > 0) return;
    const place =
      process.platform === "linux" ? `cp /proc/${process.pid}/fd/${this.fd} NEW while this runs` : "there is a copy of it elsewhere, perhaps";
    throw new StorageError({
      kind: "changed",
      file: this.name,
      expected: "the file in its place",
      found: "that something else has removed it while it was in use",
      hint: `what the guest wrote is lost when the machine ends: ${place}`,
    });
  }

  private checkUnchanged(): void {
    const now = Date.now();
    if (now - this.checked < changeCheckInterval && now >= this.checked) return;
    const stats = fstatSync(this.fd, { bigint: true });
    if (stats.mtimeNs !== this.opened.mtimeNs || stats.size !== this.opened.size) {
      throw new StorageError({
        kind: "changed",
        file: this.name,
        expected: `the file as it was opened (${this.opened.size} bytes, changed ${this.opened.mtime.toISOString()})`,
        found: `${stats.size} bytes, changed ${stats.mtime.toISOString()}`,
        hint: "something else writes to it: stop that, and start the machine again",
      });
    }
    this.checked = now;
  }
}

const identityOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;

function requireFile(path: string, stats: BigIntStats): void {
  if (stats.isFile()) return;
  const kinds = [
    [stats.isDirectory(), "a directory"],
    [stats.isBlockDevice(), "a block device"],
    [stats.isCharacterDevice(), "a character device"],
    [stats.isFIFO(), "a pipe"],
    [stats.isSocket(), "a socket"],
  ] as const;
  const found = kinds.find(([is]) => is)?.[1] ?? "something else";
  const hint = stats.isBlockDevice() ? "copy it to a file first: dd if=DEVICE of=disk.img bs=1M" : "give the image file itself";
  throw new StorageError({ kind: "unavailable", file: path, expected: "a file", found, hint });
}
