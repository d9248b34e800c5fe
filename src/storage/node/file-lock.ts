/**
 * One writer per image. Node has no flock, so the lock is a file beside the image, made with O_EXCL: `.NAME.xlat86-lock` says which process has it. A process that was
 * killed leaves its lock file behind; it is taken over when that process is gone (number and start time, so that a new process of the same number does not count).
 * QEMU locks the image itself, with byte-range locks that Linux lists in /proc/locks: an image that QEMU writes is refused, too.
 */
import type { BigIntStats } from "node:fs";
import { closeSync, linkSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { StorageError } from "../error.ts";

export interface LockRequest {
  /** As the user gave it, and without links. */
  readonly file: string;
  readonly path: string;
  readonly stats: BigIntStats;
  /** For writing; otherwise nobody else must be writing. */
  readonly exclusive: boolean;
  readonly onWarning?: (message: string) => void;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, as far as the host says. */
  readonly started: string;
  /** Tells two locks of one process apart. */
  readonly token: string;
}

export class FileLock {
  private readonly path: string;
  private readonly content: string;

  /** Undefined where nothing has to be released. */
  static acquire(request: LockRequest): FileLock | undefined {
    const path = join(dirname(request.path), `.${basename(request.path)}.xlat86-lock`);
    refuseIfLockedByQemu(request);
    if (!request.exclusive) {
      const content = readIfPresent(path);
      if (content !== undefined && isAlive(content)) throw taken(request, path, content);
      return undefined;
    }
    const holder: Holder = { pid: process.pid, host: hostname(), started: startTime(process.pid), token: crypto.randomUUID() };
    const content = JSON.stringify(holder);
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        create(path, content);
        return new FileLock(path, content);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EACCES" || code === "EROFS" || code === "EPERM") {
          request.onWarning?.(`${request.file}: no lock file can be made beside it (${code}): take care that nothing else writes to it`);
          return undefined;
        }
        if (code !== "EEXIST") throw error;
      }
      const present = readIfPresent(path);
      if (present === undefined) continue;
      if (isAlive(present)) throw taken(request, path, present);
      removeStale(path, present);
    }
    throw taken(request, path, readIfPresent(path) ?? "");
  }

  private constructor(path: string, content: string) {
    this.path = path;
    this.content = content;
  }

  release(): void {
    if (readIfPresent(this.path) === this.content) unlinkSync(this.path);
  }
}

function create(path: string, content: string): void {
  // Written aside and linked, so that nobody ever reads half of it. Where there are no hard links, O_EXCL has to do.
  const aside = `${path}.${crypto.randomUUID()}`;
  writeNew(aside, content);
  try {
    linkSync(aside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw error;
    writeNew(path, content);
  } finally {
    unlinkSync(aside);
  }
}

function writeNew(path: string, content: string): void {
  const fd = openSync(path, "wx", 0o644);
  try {
    writeSync(fd, content);
  } finally {
    closeSync(fd);
  }
}

/** Two processes may find the same stale lock: only what was read may go. Renaming gives it to one of them, and who got a newer lock by mistake puts it back. */
function removeStale(path: string, content: string): void {
  const aside = `${path}.${crypto.randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (readIfPresent(aside) !== content) {
    try {
      linkSync(aside, path);
    } catch {
      // Somebody made a lock in the meantime: then that one counts.
    }
  }
  unlinkSync(aside);
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function parse(content: string): Holder | undefined {
  try {
    const holder = JSON.parse(content) as Holder;
    return typeof holder.pid === "number" && holder.pid > 0 && typeof holder.host === "string" ? holder : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(content: string): boolean {
  const holder = parse(content);
  if (!holder) return false;
  // Of another machine (a network file system, a container) nothing is known: it counts as running.
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const started = startTime(holder.pid);
  if (started === ended) return false;
  return started === "" || holder.started === "" || started === holder.started;
}

/** Of a process that has ended, but whose parent has not asked how yet. */
const ended = "ended";

/** Field 22 of /proc/PID/stat, and the boot that it counts from; empty where there is none. The name in field 2 may contain spaces. */
function startTime(pid: number): string {
  const stat = readIfPresent(`/proc/${pid}/stat`);
  const boot = readIfPresent("/proc/sys/kernel/random/boot_id");
  if (stat === undefined || boot === undefined) return "";
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? ended : `${boot.trim()}:${fields[19]}`;
}

function taken(request: LockRequest, path: string, content: string): StorageError {
  const holder = parse(content);
  const mine = holder?.pid === process.pid && holder.host === hostname();
  const who = !holder
    ? "another process"
    : mine
      ? "another drive of this machine"
      : `process ${holder.pid}${holder.host === hostname() ? "" : ` on ${holder.host}`}`;
  return new StorageError({
    kind: "locked",
    file: request.file,
    expected: "an image that nothing else writes to",
    found: `one that ${who} has open for writing`,
    hint: mine
      ? "give each drive its own image, or open both with --snapshot"
      : `end that first, or run this with --snapshot on a copy; if nothing uses it, delete ${path}`,
  });
}

/** Bytes that QEMU locks for what it does with the image (100 + n) and for what others must not do (200 + n); writing is n = 1, resizing n = 3. */
const qemuUses = [101, 103];
const qemuForbids = [201, 203];

function refuseIfLockedByQemu(request: LockRequest): void {
  const locks = readIfPresent("/proc/locks");
  if (locks === undefined) return;
  const watched = request.exclusive ? [...qemuUses, ...qemuForbids] : qemuUses;
  for (const line of locks.split("\n")) {
    // "1: OFDLCK ADVISORY  READ -1 fe:00:131 100 101"
    const found = /(?:OFDLCK|POSIX)\s+ADVISORY\s+\w+\s+(-?\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s+(\d+)\s+(\d+|EOF)/.exec(line);
    if (!found || BigInt(found[2]!) !== request.stats.ino) continue;
    const start = Number(found[3]);
    const end = found[4] === "EOF" ? Number.POSITIVE_INFINITY : Number(found[4]);
    if (end > 1000 || !watched.some((byte) => start <= byte && byte <= end)) continue;
    throw new StorageError({
      kind: "locked",
      file: request.file,
      expected: "an image that nothing else uses",
      found: "one that QEMU has open",
      hint: "end QEMU first, or open the image with --snapshot on a copy",
    });
  }
}
