/** Why a guest image cannot be started: which file, where in it, what was expected, what was found, and what to do about it. */
export interface BootProblem {
  /** The file's name as the user gave it. */
  readonly file: string;
  /** Byte offset in the file, where one is to blame. */
  readonly offset?: number;
  readonly expected: string;
  readonly found: string;
  /** What to do. */
  readonly hint: string;
}

export class BootError extends Error implements BootProblem {
  override readonly name = "BootError";
  readonly file: string;
  readonly offset: number | undefined;
  readonly expected: string;
  readonly found: string;
  readonly hint: string;

  constructor(problem: BootProblem) {
    const where = problem.offset === undefined ? "" : ` at offset 0x${problem.offset.toString(16)}`;
    super(`${problem.file}: expected ${problem.expected}${where}, found ${problem.found}; ${problem.hint}`);
    this.file = problem.file;
    this.offset = problem.offset;
    this.expected = problem.expected;
    this.found = problem.found;
    this.hint = problem.hint;
  }
}

/** 131072 as "128 KiB", 700 as "700 bytes": sizes as people read them, exact where they are round. */
export function describeSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  const units = ["KiB", "MiB", "GiB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
