// Assembles the demo guest: `node src/demo/build.ts` writes image.ts, which holds the image as base64 so that a bundle can embed it. Needs GNU binutils
// (`as`, `ld`, `objcopy`). A test assembles again and compares, so that image.ts never drifts from the sources beside it.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE_DIRECTORY = dirname(fileURLToPath(import.meta.url));
const IMAGE_FILE = join(SOURCE_DIRECTORY, "image.ts");
const BASE64_LINE = 140;

/** The image's bytes, made from the sources. */
export function assembleDemo(): Uint8Array {
  const work = mkdtempSync(join(tmpdir(), "xlat86-demo-"));
  try {
    const sources = readdirSync(SOURCE_DIRECTORY)
      .filter((name) => name.endsWith(".s"))
      .sort();
    const objects = sources.map((name) => {
      const object = join(work, `${basename(name, ".s")}.o`);
      execFileSync("as", ["--32", "-I", SOURCE_DIRECTORY, "-o", object, join(SOURCE_DIRECTORY, name)]);
      return object;
    });
    const linked = join(work, "demo.elf");
    execFileSync("ld", ["-m", "elf_i386", "--no-warn-rwx-segments", "-T", join(SOURCE_DIRECTORY, "demo.ld"), "-o", linked, ...objects]);
    const image = join(work, "demo.bin");
    execFileSync("objcopy", ["-O", "binary", linked, image]);
    return new Uint8Array(readFileSync(image));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function imageModule(image: Uint8Array): string {
  const lines =
    Buffer.from(image)
      .toString("base64")
      .match(new RegExp(`.{1,${BASE64_LINE}}`, "g")) ?? [];
  return `// The assembled demo guest: a Multiboot 1 kernel. Made by build.ts from the .s files beside it; not edited by hand.

const IMAGE_BASE64 = \`
${lines.join("\n")}
\`;

/** A fresh copy of the image. */
export function demoImage(): Uint8Array {
  return Uint8Array.from(atob(IMAGE_BASE64.replaceAll("\\n", "")), (character) => character.charCodeAt(0));
}

/** The word on the guest's command line that makes it offer its prompt instead of powering off. */
export const DEMO_INTERACTIVE = "interactive";
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const image = assembleDemo();
  writeFileSync(IMAGE_FILE, imageModule(image));
  console.log(`src/demo/image.ts: ${image.length} bytes of guest`);
}
