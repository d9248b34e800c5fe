// `node bench/nano/build.ts` compiles the nanobenchmarks (`gcc -m32`, from gcc-multilib) to nano.elf, the Multiboot image that is committed.

import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage } from "../multiboot/build.ts";

const DIRECTORY = dirname(fileURLToPath(import.meta.url));

/** The committed Multiboot image. */
export const NANO_IMAGE = join(DIRECTORY, "nano.elf");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildImage([join(DIRECTORY, "nano.c"), join(DIRECTORY, "entry.s")], NANO_IMAGE);
  console.log(`bench/nano/nano.elf: ${statSync(NANO_IMAGE).size} bytes`);
}
