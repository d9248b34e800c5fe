/** Guest files from disk, with errors a person can act on. */
import { closeSync, constants, openSync, readFileSync, statSync, writeSync } from "node:fs";
import type { GuestFile } from "../boot/plan.ts";
import { UsageError } from "./error.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file; check the path",
  EACCES: "permission denied; make it readable",
  EISDIR: "is a directory; expected a file",
  ENOTDIR: "a part of the path is not a directory; check the path",
  ELOOP: "too many symbolic links; check the path",
  EIO: "input/output error while reading; check the file and its disk",
  ENOSPC: "no space left on the device; free some, or choose another path",
  EDQUOT: "the quota is used up; free some space, or choose another path",
  EFBIG: "a limit of the process or of the file system allows no larger file",
  EPIPE: "whoever was reading it has gone",
  ENXIO: "a socket or a device without anything behind it; expected a file",
  EROFS: "the file system is read-only; choose another path",
};

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code !== undefined && reasons[code]) || message;
}

/** Errors: `UsageError` with the option, the path and what to do. */
export function readGuestFile(option: string, path: string): GuestFile {
  try {
    if (statSync(path).isDirectory()) throw Object.assign(new Error(), { code: "EISDIR" });
    return { name: path, bytes: readFileSync(path) };
  } catch (error) {
    throw new UsageError(`--${option} ${path}: ${reason(error)}`);
  }
}

export function fileExists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Opens for writing at once, so that a bad path is reported before the guest starts. Returns the descriptor. */
export function openOutput(option: string, path: string): number {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o644);
  } catch (error) {
    throw new UsageError(`--${option} ${path}: ${reason(error)}`);
  }
}

/** Writes all of it. Errors: `UsageError`. */
export function writeOutput(option: string, file: number, data: Uint8Array | string): void {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  try {
    for (let done = 0; done < bytes.length; ) done += writeSome(file, bytes, done);
  } catch (error) {
    throw new UsageError(`--${option}: ${reason(error)}`);
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

export { closeSync as closeOutput };
