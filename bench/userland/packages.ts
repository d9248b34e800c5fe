// Debian's i386 userland as a cpio archive: the packages of the workloads with all they depend on, fetched and checked by apt, unpacked, and cut down to what
// programs open when they run (no documentation, no character set tables). It lies in the guest cache beside the kernel:
//
//   userland.cpio   the tree
//   userland.json   package versions and the archive's SHA-256; written last, so that an interrupted fetch starts again

import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { lstat, readdir, readFile, readlink, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type ArchiveEntry, writeCpioArchive } from "../../src/guest/cpio.ts";
import { defaultGuestCache, type FetchOptions, withDebianTree } from "../../src/guest/debian.ts";

export const USERLAND_PACKAGES = ["python3-minimal", "perl-base", "gzip", "coreutils", "openssl", "7zip", "dash"];

/** Paths, or beginnings of paths, that are left out. */
const LEFT_OUT = ["usr/share/", "var/", "usr/sbin/", "sbin/", "usr/lib/i386-linux-gnu/gconv/", "usr/lib/gconv/", "usr/bin/perl5"];

interface Manifest {
  packages: string[];
  sha256: string;
}

export interface Userland {
  /** Path of the archive. */
  archive: string;
  /** `name=version` of every package in it. */
  packages: string[];
}

/** The archive, fetched when the cache does not hold it, or not as it was written. Errors: `GuestFetchError`. */
export async function fetchUserland(options: FetchOptions = {}): Promise<Userland> {
  const cacheDir = resolve(options.cacheDir ?? defaultGuestCache());
  const archive = join(cacheDir, "userland.cpio");
  const manifestFile = join(cacheDir, "userland.json");
  const kept = await readManifest(manifestFile);
  if (kept && existsSync(archive) && digest(await readFile(archive)) === kept.sha256) return { archive, packages: kept.packages };

  let packages: string[] = [];
  await withDebianTree(
    { ...options, cacheDir },
    (apt) => apt.withDependencies(USERLAND_PACKAGES),
    async (tree, chosen) => {
      packages = chosen;
      const bytes = writeCpioArchive(await treeEntries(tree, LEFT_OUT));
      await replaceFile(archive, bytes);
      const manifest: Manifest = { packages, sha256: digest(bytes) };
      await replaceFile(manifestFile, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
    },
  );
  return { archive, packages };
}

async function readManifest(file: string): Promise<Manifest | null> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Manifest;
  } catch {
    return null;
  }
}

/** Directories, files and links of a tree, parents first, in the order of their names. */
export async function treeEntries(root: string, leftOut: readonly string[], under = ""): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  for (const name of (await readdir(join(root, under))).sort()) {
    const path = under === "" ? name : `${under}/${name}`;
    const place = join(root, path);
    const status = await lstat(place);
    const spelled = status.isDirectory() ? `${path}/` : path;
    if (leftOut.some((beginning) => spelled.startsWith(beginning))) continue;
    const permissions = status.mode & 0o7777;
    if (status.isDirectory()) entries.push({ kind: "directory", path, permissions }, ...(await treeEntries(root, leftOut, path)));
    else if (status.isSymbolicLink()) entries.push({ kind: "symlink", path, target: await readlink(place) });
    else if (status.isFile()) entries.push({ kind: "file", path, data: await readFile(place), permissions });
  }
  return entries;
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Writes a file so that a reader never sees half of it. */
export async function replaceFile(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, bytes);
  await rename(temporary, file);
}
