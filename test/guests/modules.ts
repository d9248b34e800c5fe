// Modules of the Debian kernel that the cache holds, fetched from the same package, and an initial RAM file system with them: the drivers that are not built in.

import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type ArchiveEntry, writeCpioArchive } from "../../src/guest/cpio.ts";
import { defaultGuestCache, fetchLinuxGuest, installFile, withDebianTree } from "../../src/guest/debian.ts";
import { initramfsEntries } from "../../src/guest/initramfs.ts";

export interface GuestWithModules {
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
}

/** The cached kernel, and an initramfs with `modules` in /lib and these text files by path. */
export async function guestWithModules(modules: readonly string[], files: Readonly<Record<string, string>> = {}): Promise<GuestWithModules> {
  const guest = await fetchLinuxGuest();
  const cache = defaultGuestCache();
  const folder = join(cache, "modules");
  const file = (name: string) => join(folder, `${name}.ko`);
  if (!modules.every((name) => existsSync(file(name)))) {
    const { kernelPackage } = JSON.parse(await readFile(join(cache, "guest.json"), "utf8")) as { kernelPackage: string };
    await withDebianTree(
      { cacheDir: cache },
      async () => [kernelPackage],
      async (tree) => {
        await mkdir(folder, { recursive: true });
        const all = (await readdir(join(tree, "lib/modules"), { recursive: true })).filter((path) => path.endsWith(".ko"));
        for (const name of modules) {
          const path = all.find((candidate) => basename(candidate) === `${name}.ko`);
          if (path === undefined) throw new Error(`${kernelPackage}: no module ${name}`);
          await installFile(join(tree, "lib/modules", path), file(name));
        }
      },
    );
  }
  const entries: ArchiveEntry[] = [...initramfsEntries(await readFile(join(cache, "busybox"))), { kind: "directory", path: "lib" }];
  for (const name of modules) entries.push({ kind: "file", path: `lib/${name}.ko`, data: await readFile(file(name)) });
  for (const [path, text] of Object.entries(files))
    entries.push({ kind: "file", path, data: new TextEncoder().encode(`${text}\n`), permissions: 0o755 });
  return { kernel: await readFile(guest.kernel), initrd: gzipSync(writeCpioArchive(entries)) };
}
