/** The debug log: to a file, or to stderr. Buffered, because `exec` writes a line for each block. */
import type { MachineOptions } from "../machine/options.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { closeOutput, openOutput, writeOutput } from "./files.ts";

const bufferSize = 1 << 16;

export interface DebugLog {
  readonly option: MachineOptions["debug"];
  close(): void;
}

/** Errors: `UsageError`. */
export function openDebugLog(options: RunOptions): DebugLog {
  if (options.debug.length === 0) {
    if (options.debugFile !== undefined) throw new UsageError("--debug-file needs --debug with what to log");
    return { option: undefined, close() {} };
  }
  const file = options.debugFile === undefined ? 2 : openOutput("debug-file", options.debugFile);
  let pending: string[] = [];
  let size = 0;
  const flush = (): void => {
    const text = pending.join("");
    pending = [];
    size = 0;
    if (text !== "") writeOutput(options.debugFile === undefined ? "debug" : "debug-file", file, text);
  };
  return {
    option: {
      categories: options.debug,
      write(_category, text) {
        const line = text.endsWith("\n") ? text : `${text}\n`;
        pending.push(line);
        size += line.length;
        if (size >= bufferSize) flush();
      },
    },
    close() {
      try {
        flush();
      } finally {
        if (file !== 2) closeOutput(file);
      }
    },
  };
}
