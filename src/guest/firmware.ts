// Fetches SeaBIOS and its VGA BIOS (Debian's package `seabios`) as debian.ts fetches the Linux guest. The cache directory then holds `firmware/` with the two
// images and `firmware.json`, which is written when all is done.

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { defaultGuestCache, type FetchOptions, installFile, sha256, withDebianTree } from "./debian.ts";

const PACKAGE = "seabios";
const DIRECTORY_IN_PACKAGE = "usr/share/seabios";
const BIOS_FILE = "bios-256k.bin";
/** For the adapter of QEMU's `-vga std`, which is the one there is. */
const VGA_BIOS_FILE = "vgabios-stdvga.bin";

export interface FirmwareFiles {
  /** Path of the BIOS. */
  bios: string;
  /** Path of the VGA adapter's option ROM. */
  vgaBios: string;
}

/** The firmware's files, fetched when the cache does not hold them yet. Errors: `GuestFetchError`. */
export async function fetchFirmware(options: FetchOptions = {}): Promise<FirmwareFiles> {
  const cacheDir = resolve(options.cacheDir ?? defaultGuestCache());
  const directory = join(cacheDir, "firmware");
  const files = { bios: join(directory, BIOS_FILE), vgaBios: join(directory, VGA_BIOS_FILE) };
  const manifestFile = join(directory, "firmware.json");
  if ([files.bios, files.vgaBios, manifestFile].every(existsSync)) return files;
  await withDebianTree(
    { ...options, cacheDir },
    async () => [PACKAGE],
    async (tree) => {
      await mkdir(directory, { recursive: true });
      await installFile(join(tree, DIRECTORY_IN_PACKAGE, BIOS_FILE), files.bios);
      await installFile(join(tree, DIRECTORY_IN_PACKAGE, VGA_BIOS_FILE), files.vgaBios);
      const manifest = { package: PACKAGE, biosSha256: await sha256(files.bios), vgaBiosSha256: await sha256(files.vgaBios) };
      await writeFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`);
    },
  );
  return files;
}
