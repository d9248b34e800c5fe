/**
 * Guest programs for tests, written as assembly text and turned into bytes by GNU `as`, which thereby is the judge of what the bytes should be. What it
 * made is kept in assembled.json by a hash of the text, so that the tests run where no `as` is installed; a program not found there is assembled and added, or fails when CI=true.
 * To drop programs no longer in use, delete the file and run the tests once.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Program {
  readonly origin: number;
  readonly bytes: Uint8Array;
  /** Addresses of the labels. */
  readonly labels: Readonly<Record<string, number>>;
}

interface Entry {
  /** Long runs of one byte, such as padding to a page, as [byte*count]. */
  hex: string;
  labels: Record<string, number>;
}

const cacheFile = fileURLToPath(new URL("assembled.json", import.meta.url));

function readCache(): Record<string, Entry> {
  return existsSync(cacheFile) ? (JSON.parse(readFileSync(cacheFile, "utf8")) as Record<string, Entry>) : {};
}

const known = readCache();

/** Assembles Intel-syntax `source` (no register prefixes) for address `origin`. */
export function assemble(source: string, origin = 0x10000, bits: 16 | 32 = 32): Program {
  const text = source.replace(/^\s+|\s+$/gm, "");
  const key = createHash("sha256")
    .update(`${bits} ${origin.toString(16)}\n${text}`)
    .digest("hex")
    .slice(0, 24);
  let entry: Entry | undefined = known[key];
  if (entry === undefined) {
    if (process.env["CI"] === "true") throw new Error(`not in test/support/assembled.json; run the tests where GNU as is installed:\n${text}`);
    entry = runAssembler(text, origin, bits);
    known[key] = entry;
    const all = { ...readCache(), [key]: entry };
    const lines = Object.entries(all)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, e]) => `${JSON.stringify(k)}: ${JSON.stringify(e)}`);
    const temporary = `${cacheFile}.${process.pid}`;
    writeFileSync(temporary, `{\n${lines.join(",\n")}\n}\n`);
    renameSync(temporary, cacheFile);
  }
  return { origin, bytes: Uint8Array.from(Buffer.from(expand(entry.hex), "hex")), labels: entry.labels };
}

const shorten = (hex: string): string => {
  const bytes = hex.match(/../g)?.join(" ") ?? "";
  return bytes.replace(/\b(\w\w)(?: \1){15,}/g, (run, byte: string) => `[${byte}*${(run.length + 1) / 3}]`).replaceAll(" ", "");
};
const expand = (hex: string): string => hex.replace(/\[(\w\w)\*(\d+)\]/g, (_, byte: string, count: string) => byte.repeat(Number(count)));

/** What GNU `as` and `ld` make of it now. */
export function runAssembler(text: string, origin: number, bits: 16 | 32): Entry {
  const folder = mkdtempSync(join(tmpdir(), "xlat86-as-"));
  const file = (name: string) => join(folder, name);
  try {
    writeFileSync(file("p.s"), `.intel_syntax noprefix\n.code${bits}\n.globl _start\n_start:\n${text}\n`);
    execFileSync("as", ["--32", "-o", file("p.o"), file("p.s")], { stdio: ["ignore", "pipe", "pipe"] });
    execFileSync("ld", ["-m", "elf_i386", `-Ttext=0x${origin.toString(16)}`, "-o", file("p"), file("p.o")], { stdio: ["ignore", "pipe", "pipe"] });
    execFileSync("objcopy", ["-O", "binary", "-j", ".text", file("p"), file("p.bin")]);
    const labels: Record<string, number> = {};
    for (const line of execFileSync("nm", [file("p")], { encoding: "utf8" }).split("\n")) {
      const match = /^([0-9a-f]+) [tTaA] (\w+)$/.exec(line);
      if (match !== null && !match[2].startsWith("_")) labels[match[2]] = Number.parseInt(match[1], 16);
    }
    return { hex: shorten(readFileSync(file("p.bin")).toString("hex")), labels };
  } catch (e) {
    const { stderr } = e as { stderr?: Buffer };
    throw new Error(`GNU as: ${stderr?.toString() ?? String(e)}\n${text}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
