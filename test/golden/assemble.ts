/** Writes bytes.json: `node test/golden/assemble.ts`, after cases.ts was changed. Needs GNU as and objcopy (Debian: binutils). */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { goldenCases } from "./cases.ts";

export const bytesFile = join(import.meta.dirname, "bytes.json");

/** The machine code of every case by its name, in hexadecimal. */
export function assembleCases(): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), "golden-"));
  try {
    const assembled: Record<string, string> = {};
    for (const { name, assembly } of goldenCases) {
      const [object, binary] = [join(folder, "block.o"), join(folder, "block.bin")];
      execFileSync("as", ["--32", "-o", object, "-"], { input: `.intel_syntax noprefix\n${assembly.replaceAll(";", "\n")}\n`, stdio: ["pipe", "pipe", "pipe"] });
      execFileSync("objcopy", ["-O", "binary", "-j", ".text", object, binary]);
      assembled[name] = readFileSync(binary).toString("hex");
    }
    return assembled;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) writeFileSync(bytesFile, `${JSON.stringify(assembleCases(), undefined, 2)}\n`);
