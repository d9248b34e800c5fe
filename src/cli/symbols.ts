/** Names of guest code from the files given, and from the kernel itself if it is an ELF file. */
import { isElf } from "../boot/elf.ts";
import { readSymbols, Symbols } from "../inspector/symbols.ts";
import type { GuestImage } from "../machine/options.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { readGuestFile } from "./files.ts";

/** Errors: `UsageError`. */
export function guestSymbols(options: RunOptions, kernel: GuestImage | undefined): Symbols {
  const found = options.symbols.flatMap((path) => {
    const symbols = readSymbols(readGuestFile("symbols", path).bytes);
    if (symbols !== undefined && symbols.length > 0) return symbols;
    throw new UsageError(`--symbols ${path}: no symbols in it; expected an ELF file that is not stripped, System.map or kallsyms`);
  });
  if (kernel === undefined) return new Symbols(found);
  const bytes = kernel instanceof Uint8Array ? kernel : kernel.bytes;
  return new Symbols([...found, ...(isElf(bytes) ? (readSymbols(bytes) ?? []) : [])]);
}
