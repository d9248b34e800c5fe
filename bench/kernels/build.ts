// Compiles the bench kernels (`gcc -m32`, from gcc-multilib): `node bench/kernels/build.ts` writes kernels.elf, the Multiboot image that is committed, and
// checksums.json, what this machine's own processor computes. `buildNative` makes the Linux program for the native column of the bench.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const DIRECTORY = dirname(fileURLToPath(import.meta.url));

/** The committed Multiboot image. */
export const KERNELS_IMAGE = join(DIRECTORY, "kernels.elf");
/** The checksum of each kernel, by name. */
export const KERNELS_CHECKSUMS = join(DIRECTORY, "checksums.json");

const MACHINE_FLAGS = ["-m32", "-O2", "-march=i686", "-mfpmath=387", "-std=gnu11"];
const FREESTANDING_FLAGS = [
  ...["-ffreestanding", "-fno-pic", "-fno-pie", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none"],
  // Calls stay calls: recursion.c is about them.
  "-fno-optimize-sibling-calls",
];
const EXTRA_FLAGS: Record<string, string[]> = { "sse2.c": ["-msse2"] };
const SURROUNDINGS = ["guest.c", "native.c"];

function compile(source: string, work: string): string {
  const object = join(work, `${basename(source, ".c")}.o`);
  execFileSync("gcc", [...MACHINE_FLAGS, ...FREESTANDING_FLAGS, ...(EXTRA_FLAGS[source] ?? []), "-c", join(DIRECTORY, source), "-o", object]);
  return object;
}

function inTemporaryDirectory<T>(action: (directory: string) => T): T {
  const work = mkdtempSync(join(tmpdir(), "xlat86-kernels-"));
  try {
    return action(work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function compileKernels(work: string): string[] {
  const sources = readdirSync(DIRECTORY).filter((name) => name.endsWith(".c") && !SURROUNDINGS.includes(name));
  return sources.sort().map((source) => compile(source, work));
}

/** Links the Multiboot image into `output`. */
export function buildImage(output: string): void {
  inTemporaryDirectory((work) => {
    const start = join(work, "start.o");
    execFileSync("as", ["--32", "-o", start, join(DIRECTORY, "start.s")]);
    const libgcc = execFileSync("gcc", ["-m32", "-print-libgcc-file-name"], { encoding: "utf8" }).trim();
    const objects = [start, compile("guest.c", work), ...compileKernels(work), libgcc];
    execFileSync("ld", ["-m", "elf_i386", "--no-warn-rwx-segments", "-s", "-T", join(DIRECTORY, "guest.ld"), "-o", output, ...objects]);
  });
}

/** Links the Linux program into `output`: the kernels' object code is the same as the guest's. */
export function buildNative(output: string): void {
  mkdirSync(dirname(output), { recursive: true });
  inTemporaryDirectory((work) => {
    execFileSync("gcc", ["-m32", "-O2", "-no-pie", "-o", output, join(DIRECTORY, "native.c"), ...compileKernels(work)]);
  });
}

/** One pass of every kernel on this machine's processor. */
export function nativeChecksums(program: string): Record<string, string> {
  const text = execFileSync(program, ["passes=1"], { encoding: "utf8" });
  return Object.fromEntries([...text.matchAll(/^END (\S+) 0 (\S+)$/gm)].map((match) => [match[1], match[2]]));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildImage(KERNELS_IMAGE);
  inTemporaryDirectory((work) => {
    const program = join(work, "native");
    buildNative(program);
    writeFileSync(KERNELS_CHECKSUMS, `${JSON.stringify(nativeChecksums(program), null, 2)}\n`);
  });
  console.log(`bench/kernels/kernels.elf: ${statSync(KERNELS_IMAGE).size} bytes; checksums.json: from this processor`);
}
