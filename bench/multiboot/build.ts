// Compiles a Multiboot image of the bench: C and assembly (`gcc -m32`, from gcc-multilib), start.s before it, linked by guest.ld.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const DIRECTORY = dirname(fileURLToPath(import.meta.url));
const MACHINE_FLAGS = ["-m32", "-O2", "-march=i686", "-mfpmath=387", "-std=gnu11", "-I", DIRECTORY];
const FREESTANDING_FLAGS = [
  ...["-ffreestanding", "-fno-pic", "-fno-pie", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none"],
  // Calls stay calls: some guests are about them.
  "-fno-optimize-sibling-calls",
];

/** Compiles or assembles one source file; returns the object's path. */
export function compile(source: string, work: string, flags: readonly string[] = []): string {
  const object = join(work, `${basename(source, extname(source))}.o`);
  if (source.endsWith(".s")) execFileSync("as", ["--32", "-o", object, source]);
  else execFileSync("gcc", [...MACHINE_FLAGS, ...FREESTANDING_FLAGS, ...flags, "-c", source, "-o", object]);
  return object;
}

/** Links objects to the image `output`. */
export function linkImage(objects: readonly string[], work: string, output: string): void {
  const libgcc = execFileSync("gcc", ["-m32", "-print-libgcc-file-name"], { encoding: "utf8" }).trim();
  const all = [compile(join(DIRECTORY, "start.s"), work), ...objects, libgcc];
  execFileSync("ld", ["-m", "elf_i386", "--no-warn-rwx-segments", "-s", "-T", join(DIRECTORY, "guest.ld"), "-o", output, ...all]);
}

export function inTemporaryDirectory<T>(action: (directory: string) => T): T {
  const work = mkdtempSync(join(tmpdir(), "xlat86-bench-"));
  try {
    return action(work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Compiles sources and links them to the image `output`. */
export function buildImage(sources: readonly string[], output: string): void {
  inTemporaryDirectory((work) =>
    linkImage(
      sources.map((source) => compile(source, work)),
      work,
      output,
    ),
  );
}
