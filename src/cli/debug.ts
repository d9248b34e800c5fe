/** The debug log: to a file, or to stderr. Buffered, because `exec` writes a line for each block. */
import type { MachineOptions } from "../machine/options.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { Output } from "./files.ts";

const bufferSize = 1 << 16;

export interface DebugLog {
  readonly option: MachineOptions["debug"];
  close(): void;
}

/** `showsScreen`: the terminal shows the guest's screen. Errors: `UsageError`. */
export function openDebugLog(options: RunOptions, showsScreen: boolean): DebugLog {
  if (options.debug.length === 0) {
    if (options.debugFile !== undefined) throw new UsageError("--debug-file needs --debug with what to log");
    return { option: undefined, close() {} };
  }
  if (showsScreen && options.debugFile === undefined && process.stderr.isTTY === true) {
    throw new UsageError("--debug would write over the screen in this terminal: add --debug-file PATH, or --display none");
  }
  const file = options.debugFile === undefined ? Output.standard("debug", 2) : Output.open("debug-file", options.debugFile);
  let pending: string[] = [];
  let size = 0;
  const flush = (): void => {
    const text = pending.join("");
    pending = [];
    size = 0;
    file.write(text);
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
        file.close();
      }
    },
  };
}
