// Fetches the Debian 12 guest: the i386 kernel (`linux-image-686`) and `busybox-static`, through the host's own apt-get and dpkg-deb, without root and
// without touching the host's package state (see apt.ts). apt checks the signatures against Debian's archive key. The release is fixed: Debian 12 is the
// last one that has an i386 kernel.
//
// The cache directory then holds `vmlinuz`, `initrd.gz` and `guest.json`; the last is written when all is done, so that an interrupted fetch starts again.

import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { GuestFetchError, hostMirror, PrivateApt, runTool } from "./apt.ts";
import { cacheDirectory } from "./cache-directory.ts";
import { buildInitramfs } from "./initramfs.ts";

export { GuestFetchError } from "./apt.ts";
export { type FirmwareFiles, fetchFirmware } from "./firmware.ts";

const RELEASE = "bookworm";
const ARCHITECTURE = "i386";
const KERNEL_META_PACKAGE = "linux-image-686";
const BUSYBOX_PACKAGE = "busybox-static";
/** Progress names no more packages than this. */
const NAMED_PACKAGES = 4;

/**
 * The kernel's command line for a boot under translation, one reason a word (what it saves was measured by counting guest instructions up to the shell):
 *
 * - `console=ttyS0`       the log and /init's standard streams go to the first serial port
 * - `tsc=reliable`        the TSC runs with the guest's own clock: no watchdog has to compare it with another clock source for the rest of the run
 * - `mitigations=off`     speculation attacks do not exist for a guest whose loads are JavaScript array reads; the retpolines and buffer flushes do cost
 * - `cryptomgr.notests`   no self-tests of every crypto algorithm: 3,700 of the boot's 6,400 million instructions
 * - `noisapnp`            no search for ISA Plug and Play cards: 75 million instructions and half a second of port delays
 *
 * Of the 2,630 million instructions that are left, 2,380 million unpack the kernel image (xz).
 */
export const LINUX_COMMAND_LINE = "console=ttyS0 tsc=reliable mitigations=off cryptomgr.notests noisapnp";

/** Where fetching stands; `fraction` is of the whole, from 0 to 1. */
export interface FetchProgress {
  fraction: number;
  message: string;
}

export interface FetchOptions {
  /** Directory that keeps the guest; made when missing. */
  cacheDir?: string;
  onProgress?: (progress: FetchProgress) => void;
}

export interface LinuxGuest {
  /** Path of the bzImage. */
  kernel: string;
  /** Path of the gzip-compressed initramfs. */
  initrd: string;
}

interface Manifest {
  kernelPackage: string;
  kernelSha256: string;
  busyboxSha256: string;
}

/** `guests` in the cache directory (cache-directory.ts). */
export function defaultGuestCache(): string {
  return join(cacheDirectory(), "guests");
}

/** The guest's files, fetched when the cache does not hold them yet. Errors: `GuestFetchError`. */
export async function fetchLinuxGuest(options: FetchOptions = {}): Promise<LinuxGuest> {
  const cacheDir = resolve(options.cacheDir ?? defaultGuestCache());
  const files = { kernel: join(cacheDir, "vmlinuz"), initrd: join(cacheDir, "initrd.gz") };
  const busybox = join(cacheDir, "busybox");
  const manifestFile = join(cacheDir, "guest.json");
  if (![files.kernel, busybox, manifestFile].every(existsSync)) {
    await withDebianTree({ ...options, cacheDir }, kernelAndBusybox, async (tree, packages) => {
      const image = (await readdir(join(tree, "boot"))).find((name) => name.startsWith("vmlinuz-"));
      if (!image) throw new GuestFetchError(`${packages[0]} holds no boot/vmlinuz-*`);
      await installFile(join(tree, "boot", image), files.kernel);
      await installFile(join(tree, "bin/busybox"), busybox);
      const manifest: Manifest = { kernelPackage: packages[0], kernelSha256: await sha256(files.kernel), busyboxSha256: await sha256(busybox) };
      await writeFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`);
    });
  }
  await refreshInitramfs(files.initrd, busybox);
  return files;
}

async function kernelAndBusybox(apt: PrivateApt): Promise<string[]> {
  const kernelPackage = (await apt.dependencies(KERNEL_META_PACKAGE)).match(/linux-image-\S+/)?.[0];
  if (!kernelPackage) throw new GuestFetchError(`${KERNEL_META_PACKAGE} names no kernel package; the mirror's Debian 12 lists look damaged`);
  return [kernelPackage, BUSYBOX_PACKAGE];
}

/**
 * Downloads packages, unpacks them into one tree and hands that to `use`, with the directory of the packages; both are gone afterwards. `choose` names the packages once apt knows the lists.
 */
export async function withDebianTree(
  options: FetchOptions,
  choose: (apt: PrivateApt) => Promise<string[]>,
  use: (tree: string, packages: string[], debs: string) => Promise<void>,
): Promise<void> {
  const cacheDir = resolve(options.cacheDir ?? defaultGuestCache());
  try {
    await useDebianTree(cacheDir, options, choose, use);
  } catch (error) {
    // A path that is no directory, or may not be written, or has no space left: somebody's to choose, not a fault of the program.
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof GuestFetchError || code === undefined) throw error;
    throw new GuestFetchError(`${cacheDir} cannot keep what is fetched: ${message}; XLAT86_CACHE names another place`);
  }
}

async function useDebianTree(
  cacheDir: string,
  options: FetchOptions,
  choose: (apt: PrivateApt) => Promise<string[]>,
  use: (tree: string, packages: string[], debs: string) => Promise<void>,
): Promise<void> {
  await mkdir(cacheDir, { recursive: true });
  // A directory of this process's own: two fetches at once may waste work but cannot mix their files.
  const work = join(cacheDir, `fetch-${randomUUID()}`);
  const stage = (from: number, to: number, message: string) => (percent: number) =>
    options.onProgress?.({ fraction: from + ((to - from) * percent) / 100, message });
  try {
    const apt = new PrivateApt(join(work, "apt"), ARCHITECTURE);
    const updating = stage(0, 0.25, `package lists of Debian 12 (${ARCHITECTURE})`);
    updating(0);
    await apt.update({ mirror: await hostMirror(), name: RELEASE }, updating);

    const packages = await choose(apt);
    const downloading = stage(0.25, 0.95, packages.length <= NAMED_PACKAGES ? packages.join(", ") : `${packages.length} packages`);
    downloading(0);
    const debs = join(work, "debs");
    await apt.download(packages, debs, downloading);

    stage(0.95, 1, "unpacking")(0);
    const tree = join(work, "tree");
    for (const name of await readdir(debs)) await runTool("dpkg-deb", ["-x", join(debs, name), tree]);
    await use(tree, packages, debs);
    stage(1, 1, "done")(100);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Writes the initramfs unless the cached one is already what this version of the program makes of the busybox at hand. */
async function refreshInitramfs(initrdFile: string, busyboxFile: string): Promise<void> {
  const wanted = buildInitramfs(await readFile(busyboxFile));
  if (existsSync(initrdFile) && (await readFile(initrdFile)).equals(wanted)) return;
  const temporary = `${initrdFile}.${randomUUID()}`;
  await writeFile(temporary, wanted);
  await rename(temporary, initrdFile);
}

/** Copies a file so that a reader never sees half of it. */
export async function installFile(from: string, to: string): Promise<void> {
  const temporary = `${to}.${randomUUID()}`;
  await copyFile(from, temporary);
  await rename(temporary, to);
}

export async function sha256(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}
