// `node bench/scaling/build.ts` compiles the guest of growing hot code (`gcc -m32`, from gcc-multilib) to hot.elf, the Multiboot image that is committed.

import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage } from "../multiboot/build.ts";

const DIRECTORY = dirname(fileURLToPath(import.meta.url));

/** The committed Multiboot image. */
export const HOT_IMAGE = join(DIRECTORY, "hot.elf");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildImage([join(DIRECTORY, "hot.c")], HOT_IMAGE);
  console.log(`bench/scaling/hot.elf: ${statSync(HOT_IMAGE).size} bytes`);
}
