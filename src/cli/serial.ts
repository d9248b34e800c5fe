/** Where serial port 0 goes: the terminal, a file, or nowhere. */
import type { RunOptions } from "./arguments.ts";
import { Output } from "./files.ts";

export interface SerialSink {
  /** The machine starts: what a file held before goes. Errors: `UsageError`. */
  open(): void;
  /** Errors: `UsageError`. */
  write(bytes: Uint8Array): void;
  close(): void;
}

/** Opens a file at once, so that a bad path is reported before the guest starts. Errors: `UsageError`. */
export function openSerial(where: RunOptions["serial"], writeTerminal: (bytes: Uint8Array) => void): SerialSink {
  if (where.kind === "file") {
    const file = Output.open("serial", where.path);
    return { open: () => file.write(""), write: (bytes) => file.write(bytes), close: () => file.close() };
  }
  return { open() {}, write: where.kind === "stdio" ? writeTerminal : () => {}, close() {} };
}
