/** What a StorageError is about, for callers that act on it; people read the message. */
export type StorageErrorKind =
  /** The file is what it seems, but not something that can be used here. */
  | "unsupported"
  /** The file contradicts itself or its format. */
  | "corrupt"
  /** The file changed while it was in use. */
  | "changed"
  /** Somebody else has it. */
  | "locked"
  /** It is not there, or may not be opened. */
  | "unavailable"
  /** No space is left where it is kept. */
  | "full"
  /** The host could not read or write. */
  | "io"
  /** A request that the caller should not have made: outside of the disk, or a write to what is read-only. */
  | "request";

/** Why an image cannot be used: which file, where in it, what was expected, what was found, and what to do about it. */
export interface StorageProblem {
  readonly kind: StorageErrorKind;
  /** The file's name or address as the user gave it. */
  readonly file: string;
  /** Byte offset in the file, where one is to blame. */
  readonly offset?: number;
  readonly expected: string;
  readonly found: string;
  /** What to do. */
  readonly hint: string;
  readonly cause?: unknown;
}

export class StorageError extends Error implements StorageProblem {
  override readonly name = "StorageError";
  readonly kind: StorageErrorKind;
  readonly file: string;
  readonly offset: number | undefined;
  readonly expected: string;
  readonly found: string;
  readonly hint: string;

  constructor(problem: StorageProblem) {
    const where = problem.offset === undefined ? "" : ` at offset 0x${problem.offset.toString(16)}`;
    super(`${problem.file}: expected ${problem.expected}${where}, found ${problem.found}; ${problem.hint}`, { cause: problem.cause });
    this.kind = problem.kind;
    this.file = problem.file;
    this.offset = problem.offset;
    this.expected = problem.expected;
    this.found = problem.found;
    this.hint = problem.hint;
  }
}

/** What the host's errors mean. The names are errno's (Node) and DOMException's (browsers). */
const hostErrors: Readonly<Record<string, readonly [kind: StorageErrorKind, hint: string]>> = {
  ENOSPC: ["full", "free some space on the host; what was flushed before is safe"],
  EDQUOT: ["full", "the host's quota is used up; free some space; what was flushed before is safe"],
  EFBIG: ["full", "the host's file system or a limit of the process allows no larger file"],
  QuotaExceededError: ["full", "the browser gives this page no more space; remove stored images or free disk space"],
  EIO: ["io", "the host's disk or network reports an error; look at the host's log"],
  ENOENT: ["unavailable", "check the path"],
  NotFoundError: ["unavailable", "check the name; the file may have been moved or removed"],
  EACCES: ["unavailable", "make it readable, and writable too unless it is opened read-only or with --snapshot"],
  EPERM: ["unavailable", "check the file's permissions"],
  EROFS: ["unavailable", "the file is on a read-only file system: open it read-only or with --snapshot"],
  EISDIR: ["unavailable", "give the image file itself"],
  ENXIO: ["unavailable", "this is a socket or a device without anything behind it: give the image file itself"],
  ENAMETOOLONG: ["unavailable", "check the path"],
  ELOOP: ["unavailable", "check the path: its symbolic links lead in a circle"],
  ENOTDIR: ["unavailable", "check the path"],
  EMFILE: ["unavailable", "the process has too many files open"],
  NotReadableError: ["changed", "the file was changed, moved or locked after it was chosen: choose it again"],
  NoModificationAllowedError: ["locked", "another tab or worker of this page has it open: close that one"],
};

/** An error of the host as a StorageError that says what was being done; StorageErrors pass through. */
export function hostError(error: unknown, file: string, action: string, offset?: number): StorageError {
  if (error instanceof StorageError) return error;
  const { code, name, message } = error as { code?: unknown; name?: unknown; message?: unknown };
  const key = [code, name].find((word): word is string => typeof word === "string" && Object.hasOwn(hostErrors, word));
  const [kind, hint] = key === undefined ? (["io", "the host reports an error"] as const) : hostErrors[key]!;
  return new StorageError({
    kind,
    file,
    offset,
    expected: action,
    found: typeof message === "string" ? whatHappened(message) : String(error),
    hint,
    cause: error,
  });
}

/** Node puts the system call and the path, resolved, behind what happened; the file has been named already. */
function whatHappened(message: string): string {
  return message.replace(/^(E[A-Z0-9]+: .*?), \w+( '.*')?$/s, "$1");
}
