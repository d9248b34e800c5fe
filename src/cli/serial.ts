/** Where serial port 0 goes: the terminal, a file, or nowhere. */
import type { RunOptions } from "./arguments.ts";
import { closeOutput, openOutput, writeOutput } from "./files.ts";

export interface SerialSink {
  write(bytes: Uint8Array): void;
  close(): void;
}

/** Opens a file at once, so that a bad path is reported before the guest starts. Errors: `UsageError`. */
export function openSerial(where: RunOptions["serial"], writeTerminal: (bytes: Uint8Array) => void): SerialSink {
  if (where.kind === "file") {
    const file = openOutput("serial", where.path);
    return { write: (bytes) => writeOutput("serial", file, bytes), close: () => closeOutput(file) };
  }
  return { write: where.kind === "stdio" ? writeTerminal : () => {}, close() {} };
}
