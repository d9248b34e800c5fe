/** Files of the command line: guest files that are read, outputs that are written; errors a person can act on. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, type Stats, statSync, writeSync } from "node:fs";
import type { GuestFile } from "../boot/plan.ts";
import { maxMemory } from "../machine/options.ts";
import { UsageError } from "./error.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file; check the path",
  EACCES: "permission denied; check who may use it",
  EPERM: "permission denied; check who may use it",
  EISDIR: "is a directory; expected a file",
  ENOTDIR: "a part of the path is not a directory; check the path",
  ELOOP: "too many symbolic links; check the path",
  ENAMETOOLONG: "the name is too long; check the path",
  EIO: "input/output error; check the file and its disk",
  ENOSPC: "no space left on the device; free some, or choose another path",
  EDQUOT: "the quota is used up; free some space, or choose another path",
  EFBIG: "a limit of the process or of the file system allows no larger file",
  EPIPE: "whoever was reading it has gone",
  ENXIO: "nobody reads this pipe, or nothing is behind this device; start its reader first, or name a file",
  EROFS: "the file system is read-only; choose another path",
  EBADF: "it is closed",
};

export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code !== undefined && reasons[code]) || message;
}

/** Errors: `UsageError` with the option, the path and what to do. A pipe will do, as of a shell's <(zcat FILE). */
export function readGuestFile(option: string, path: string): GuestFile {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) throw Object.assign(new Error(), { code: "EISDIR" });
    if (!stats.isFile() && !stats.isFIFO()) throw new Error("is a device or a socket; expected a file");
    if (stats.size > maxMemory) throw new Error(`is a file of ${stats.size} bytes, more than any guest's memory; expected another one`);
    return { name: path, bytes: readFileSync(path) };
  } catch (error) {
    throw new UsageError(`--${option} ${path}: ${reason(error)}`);
  }
}

export function fileExists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** The same text for two paths to one file; undefined where there is none. */
export function fileIdentity(path: string): string | undefined {
  let stats: Stats | undefined;
  try {
    stats = statSync(path, { throwIfNoEntry: false });
  } catch {
    // Whoever opens it says why.
  }
  return stats?.isFile() ? `${stats.dev}:${stats.ino}` : undefined;
}

/** A file to be written, or what else can be: a terminal, a pipe. What was in it before goes with the first write, so that a run that does not come about loses nothing. */
export class Output {
  readonly #name: string;
  readonly #file: number;
  readonly #isOurs: boolean;
  #isBegun = false;
  #isClosed = false;

  /** Opens at once, so that a bad path is reported before the guest starts. Errors: `UsageError`. */
  static open(option: string, path: string): Output {
    try {
      // A pipe without a reader is an error, and nothing to wait for (fifo(7)).
      return new Output(`--${option} ${path}`, openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NONBLOCK, 0o644), true);
    } catch (error) {
      throw new UsageError(`--${option} ${path}: ${reason(error)}`);
    }
  }

  /** Standard output or standard error. */
  static standard(option: string, file: 1 | 2): Output {
    return new Output(`--${option}`, file, false);
  }

  private constructor(name: string, file: number, isOurs: boolean) {
    this.#name = name;
    this.#file = file;
    this.#isOurs = isOurs;
  }

  /** Writes all of it; nothing is enough to empty the file. Errors: `UsageError`. */
  write(data: Uint8Array | string): void {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    try {
      if (!this.#isBegun && this.#isOurs && fstatSync(this.#file).isFile()) ftruncateSync(this.#file);
      this.#isBegun = true;
      for (let done = 0; done < bytes.length; ) done += writeSome(this.#file, bytes, done);
    } catch (error) {
      throw new UsageError(`${this.#name}: ${reason(error)}`);
    }
  }

  close(): void {
    if (!this.#isOurs || this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#file);
  }
}

const retryMilliseconds = 5;

/** A pipe or terminal in non-blocking mode that takes nothing just now is asked again. */
function writeSome(file: number, bytes: Uint8Array, from: number): number {
  try {
    return writeSync(file, bytes, from);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMilliseconds);
    return 0;
  }
}
