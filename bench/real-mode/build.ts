// Builds the image of the 16-bit kernels: `node bench/real-mode/build.ts` writes real-mode.elf, which is committed, and checksums.json, what QEMU computes.

import { execFileSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile, inTemporaryDirectory, linkImage } from "../multiboot/build.ts";

const DIRECTORY = dirname(fileURLToPath(import.meta.url));

/** The committed Multiboot image. */
export const REAL_MODE_IMAGE = join(DIRECTORY, "real-mode.elf");
/** What each kernel prints as its checksum, by name. */
export const REAL_MODE_CHECKSUMS = join(DIRECTORY, "checksums.json");

/** Links the Multiboot image into `output`. */
export function buildImage(output: string): void {
  inTemporaryDirectory((work) => {
    const flat = join(work, "kernels16.bin");
    execFileSync("ld", ["-m", "elf_i386", "-Ttext=0", "--oformat=binary", "-e0", "-o", flat, compile(join(DIRECTORY, "kernels.s"), work)]);
    const thunk = join(work, "thunk.o");
    execFileSync("as", ["--32", "-I", work, "-o", thunk, join(DIRECTORY, "thunk.s")]);
    linkImage([compile(join(DIRECTORY, "guest.c"), work), thunk], work, output);
  });
}

/** One pass of every kernel on QEMU, whose processor is the judge: this one does not run 16-bit code outside a virtual machine. */
export function qemuChecksums(image: string): Record<string, string> {
  const machine = ["-accel", "tcg", "-m", "64", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"];
  const guest = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", image, "-append", "passes=1"];
  let text: string;
  try {
    text = execFileSync("qemu-system-i386", [...machine, ...guest], { encoding: "utf8", timeout: 120_000, stdio: ["ignore", "pipe", "ignore"] });
  } catch (error) {
    // isa-debug-exit never exits with 0.
    text = (error as { stdout?: string }).stdout ?? "";
  }
  return Object.fromEntries([...text.matchAll(/^END (\S+) 0 (\S+?)\r?$/gm)].map((match) => [match[1], match[2]]));
}

/** The committed checksums. */
export function expectedChecksums(): Record<string, string> {
  return JSON.parse(readFileSync(REAL_MODE_CHECKSUMS, "utf8")) as Record<string, string>;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildImage(REAL_MODE_IMAGE);
  const checksums = qemuChecksums(REAL_MODE_IMAGE);
  writeFileSync(REAL_MODE_CHECKSUMS, `${JSON.stringify(checksums, null, 2)}\n`);
  console.log(`bench/real-mode/real-mode.elf: ${statSync(REAL_MODE_IMAGE).size} bytes; checksums.json: ${Object.keys(checksums).length}, from QEMU`);
}
