// Compiles the bench kernels (`gcc -m32`, from gcc-multilib): `node bench/kernels/build.ts` writes kernels.elf, the Multiboot image that is committed, and
// checksums.json, what this machine's own processor computes. `buildNative` makes the Linux program for the native column of the bench.

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile, inTemporaryDirectory, linkImage } from "../multiboot/build.ts";

const DIRECTORY = dirname(fileURLToPath(import.meta.url));

/** The committed Multiboot image. */
export const KERNELS_IMAGE = join(DIRECTORY, "kernels.elf");
/** The checksum of each kernel, by name. */
export const KERNELS_CHECKSUMS = join(DIRECTORY, "checksums.json");

const EXTRA_FLAGS: Record<string, string[]> = { "sse2.c": ["-msse2"] };
const SURROUNDINGS = ["guest.c", "native.c"];

function compileKernels(work: string): string[] {
  const sources = readdirSync(DIRECTORY).filter((name) => name.endsWith(".c") && !SURROUNDINGS.includes(name));
  return sources.sort().map((source) => compile(join(DIRECTORY, source), work, EXTRA_FLAGS[source]));
}

/** Links the Multiboot image into `output`. */
export function buildImage(output: string): void {
  inTemporaryDirectory((work) => linkImage([compile(join(DIRECTORY, "guest.c"), work), ...compileKernels(work)], work, output));
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
