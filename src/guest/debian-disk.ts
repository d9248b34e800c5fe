// Debian 12 on a disk: the kernel for processors with PAE, its modules and a userland (bash, coreutils, dpkg, apt, Python, Perl, ...) on an ext4 partition that is
// made here from packages, without root (apt.ts, debian-root.ts, ext4-disk.ts). The kernel is started directly, with an initial RAM file system of our own that has the
// drivers for disks on IDE and virtio, mounts the root file system and hands over to it.
//
// The cache directory then holds `debian/`:
//
//   vmlinuz, initrd.img   what is started; they are on the disk in /boot, too
//   base.img              the disk as it was made, raw and sparse; nothing writes to it
//   disk.qcow2            what a guest has changed since (`openKeptDisk`): made when first used, over base.img
//   debian.json           packages and recipe, written last: an interrupted build starts again

import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createQcow2 } from "../storage/index.ts";
import { FileStore } from "../storage/node.ts";
import type { PrivateApt } from "./apt.ts";
import { type ArchiveEntry, writeCpioArchive } from "./cpio.ts";
import { defaultGuestCache, type FetchOptions, GuestFetchError, installFile, LINUX_COMMAND_LINE, withDebianTree } from "./debian.ts";
import { prepareRoot, writePackageDatabase } from "./debian-root.ts";
import { diskSignature, hasFileSystemTools, writeExt4Disk } from "./ext4-disk.ts";
import { dependencyTable, findModules, inLoadOrder, type KernelModule } from "./kernel-modules.ts";

const KERNEL_META_PACKAGE = "linux-image-686-pae";
const BUSYBOX_PACKAGE = "busybox-static";

const USERLAND_PACKAGES = [
  ...["base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "dpkg", "e2fsprogs", "findutils", "grep", "gzip"],
  ...["hostname", "libc-bin", "login", "mawk", "mount", "ncurses-base", "ncurses-bin", "passwd", "perl-base", "sed", "sysvinit-utils", "tar"],
  ...["util-linux", "apt", "bc", "bzip2", "file", "less", "nano", "openssl", "perl", "procps", "psmisc", "python3", "tree", "xz-utils"],
];

/** What is left out: no program reads it when it runs, or nothing on the machine has the hardware. */
const LEFT_OUT = ["usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/bug"];
const MODULE_FOLDERS_LEFT_OUT = [
  ...["sound", "drivers/gpu", "drivers/media", "drivers/net", "drivers/infiniband", "drivers/staging", "drivers/iio", "drivers/usb", "drivers/mtd"],
  ...["drivers/isdn", "drivers/bluetooth", "drivers/nfc", "drivers/hwmon", "drivers/platform", "drivers/message", "drivers/w1", "drivers/video"],
  ...["drivers/target", "drivers/mmc", "drivers/memstick", "drivers/firewire", "drivers/mfd", "drivers/leds", "drivers/nvme", "drivers/comedi"],
  ...["net/bluetooth", "net/wireless", "net/mac80211", "net/nfc", "net/batman-adv", "net/openvswitch", "net/netfilter", "fs/ocfs2", "fs/ceph"],
];
/** Of the SCSI drivers only the layer itself is of use. */
const SCSI_MODULES = ["scsi_common", "scsi_mod", "sd_mod", "sr_mod", "sg", "st", "scsi_transport_spi", "virtio_scsi"];

/** Drivers in the initial RAM file system; what they need comes along. */
const BOOT_MODULES = ["ata_piix", "sd_mod", "sr_mod", "virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];

const DISK_MEBIBYTES = 1536;
const DISK_LABEL = "debian";
/** Counts changes of how the disk is made: a cached one of another recipe is made anew. */
const RECIPE = 3;

export type DebianBus = "ide" | "virtio";

/** The kernel's name of the root partition. */
export const DEBIAN_ROOT: Readonly<Record<DebianBus, string>> = { ide: "/dev/sda1", virtio: "/dev/vda1" };

/** The kernel's command line; `quiet` keeps its log off the serial line, where the login is (dmesg has it). */
export function debianCommandLine(bus: DebianBus, more?: string): string {
  return `${LINUX_COMMAND_LINE} quiet root=${DEBIAN_ROOT[bus]} ro${more === undefined ? "" : ` ${more}`}`;
}

export interface DebianDisk {
  /** Path of the bzImage. */
  readonly kernel: string;
  /** Path of the initial RAM file system. */
  readonly initrd: string;
  /** Path of the raw disk image. Do not write to it: make an image over it, or use a snapshot. */
  readonly base: string;
  /** `name=version` of what is on it. */
  readonly packages: readonly string[];
}

interface Manifest {
  readonly recipe: string;
  readonly packages: readonly string[];
}

const BOOT_INIT = `#!/bin/busybox sh
# Loads the drivers, waits for the disk, mounts the root file system, hands over. Options are the kernel's: root=, rootflags=, ro, rw, init=.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
root=/dev/sda1 flags= mode=ro init=/sbin/init
for word in $(cat /proc/cmdline); do
  case $word in
    root=*) root=\${word#root=} ;;
    rootflags=*) flags=,\${word#rootflags=} ;;
    init=*) init=\${word#init=} ;;
    ro|rw) mode=$word ;;
  esac
done
for module in $(cat /modules); do insmod "/lib/$module" || echo "insmod $module failed"; done
tries=0
while ! test -b "$root"; do
  tries=$((tries + 1))
  if test $tries -gt 300; then
    echo "There is no $root; there are:"; cat /proc/partitions
    echo "A shell to look around; leave with 'exit'."
    setsid cttyhack sh
    poweroff -f
  fi
  sleep 0.1
done
mkdir -p /root
if ! mount -t ext4 -o "$mode$flags" "$root" /root; then
  echo "$root cannot be mounted."
  setsid cttyhack sh
  poweroff -f
fi
mount --move /dev /root/dev
umount /proc /sys
exec switch_root /root "$init"
`;

const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The disk and what starts it, made when the cache does not hold them. Errors: `GuestFetchError`. */
export async function fetchDebianDisk(options: FetchOptions = {}): Promise<DebianDisk> {
  const cacheDir = resolve(options.cacheDir ?? defaultGuestCache());
  const directory = join(cacheDir, "debian");
  const files = { kernel: join(directory, "vmlinuz"), initrd: join(directory, "initrd.img"), base: join(directory, "base.img") };
  const manifestFile = join(directory, "debian.json");
  const recipe = sha256(JSON.stringify([RECIPE, USERLAND_PACKAGES, MODULE_FOLDERS_LEFT_OUT, LEFT_OUT, BOOT_MODULES, BOOT_INIT, DISK_MEBIBYTES]));
  const kept = await readManifest(manifestFile);
  if (kept !== null && kept.recipe === recipe && Object.values(files).every(existsSync)) return { ...files, packages: kept.packages };
  // Before anything is downloaded.
  if (!(await hasFileSystemTools()))
    throw new GuestFetchError("mke2fs is not installed; making the Debian disk needs it (Debian: apt-get install e2fsprogs)");

  let packages: readonly string[] = [];
  await withDebianTree({ ...options, cacheDir }, chooseDebianPackages, async (tree, chosen, debs) => {
    packages = chosen;
    await mkdir(directory, { recursive: true });
    const busybox = await readFile(join(tree, "bin/busybox"));
    const release = await kernelRelease(tree);
    await prepareRoot(tree, busybox);
    for (const path of LEFT_OUT) await rm(join(tree, path), { recursive: true, force: true });
    const initrd = await prepareModules(tree, release, busybox);
    await writePackageDatabase(tree, debs);
    const work = join(tree, "..", "boot");
    await mkdir(work);
    await writeFile(join(tree, `boot/initrd.img-${release}`), initrd);
    await symlink(`boot/vmlinuz-${release}`, join(tree, "vmlinuz"));
    await symlink(`boot/initrd.img-${release}`, join(tree, "initrd.img"));
    await chmod(tree, 0o755);
    await chmod(join(tree, "tmp"), 0o1777);
    const disk = join(work, "base.img");
    await writeExt4Disk(disk, tree, { mebibytes: DISK_MEBIBYTES, label: DISK_LABEL });
    await writeFile(join(work, "initrd.img"), initrd);
    await installFile(join(tree, `boot/vmlinuz-${release}`), files.kernel);
    await installFile(join(work, "initrd.img"), files.initrd);
    // In the same file system: it stays sparse, and is there whole or not at all.
    await chmod(disk, 0o444);
    await rename(disk, files.base);
    await writeFile(manifestFile, `${JSON.stringify({ recipe, packages: chosen } satisfies Manifest, null, 2)}\n`);
  });
  return { ...files, packages };
}

/**
 * The disk that a guest keeps: an image over the base, made anew where there is none, where its base is another by now, or where `fresh` says so. Returns its
 * path; `renewed` says why a kept one was thrown away.
 */
export async function openKeptDisk(disk: DebianDisk, options: { readonly fresh?: boolean } = {}): Promise<{ path: string; renewed?: string }> {
  const path = `${disk.base.slice(0, -"base.img".length)}disk.qcow2`;
  const note = `${path}.base`;
  const signature = await diskSignature(disk.base);
  const exists = existsSync(path);
  const stale = exists && (await readFile(note, "utf8").catch(() => "")) !== signature;
  if (exists && !stale && options.fresh !== true) return { path };
  // Whoever has it open keeps it: then there is an error, and nothing is lost.
  if (exists) FileStore.open(path).close();
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, "");
  const store = FileStore.open(temporary);
  await createQcow2(store, { size: (await stat(disk.base)).size, backing: { name: "base.img", format: "raw" } });
  store.close();
  await rename(temporary, path);
  await writeFile(note, signature);
  return { path, ...(stale ? { renewed: "the disk that it was made over has been made anew" } : {}) };
}

async function chooseDebianPackages(apt: PrivateApt): Promise<string[]> {
  const kernelPackage = (await apt.dependencies(KERNEL_META_PACKAGE)).match(/linux-image-\S+/)?.[0];
  if (!kernelPackage) throw new GuestFetchError(`${KERNEL_META_PACKAGE} names no kernel package; the mirror's Debian 12 lists look damaged`);
  return [kernelPackage, BUSYBOX_PACKAGE, ...(await apt.withDependencies(USERLAND_PACKAGES))];
}

async function readManifest(file: string): Promise<Manifest | null> {
  return readFile(file, "utf8").then(
    (text) => JSON.parse(text) as Manifest,
    () => null,
  );
}

async function kernelRelease(tree: string): Promise<string> {
  const image = (await readdir(join(tree, "boot"))).find((name) => name.startsWith("vmlinuz-"));
  if (image === undefined) throw new GuestFetchError("the kernel's package holds no boot/vmlinuz-*");
  return image.slice("vmlinuz-".length);
}

/** Thins out the modules, writes their table, and returns the initial RAM file system. */
async function prepareModules(tree: string, release: string, busybox: Uint8Array): Promise<Uint8Array> {
  const root = join(tree, "lib/modules", release);
  for (const folder of MODULE_FOLDERS_LEFT_OUT) await rm(join(root, "kernel", folder), { recursive: true, force: true });
  const modules = await findModules(root);
  const isUseless = ({ name, path }: KernelModule): boolean => path.startsWith("kernel/drivers/scsi/") && !SCSI_MODULES.includes(name);
  for (const module of modules.values()) {
    if (!isUseless(module)) continue;
    await rm(join(root, module.path));
    modules.delete(module.name);
  }
  // A module whose dependency has gone could not be loaded.
  for (let before = -1; before !== modules.size; ) {
    before = modules.size;
    for (const module of modules.values()) {
      if (module.depends.every((name) => modules.has(name))) continue;
      await rm(join(root, module.path));
      modules.delete(module.name);
    }
  }
  await writeFile(join(root, "modules.dep"), dependencyTable(modules));

  const loaded = inLoadOrder(modules, BOOT_MODULES);
  const applets = [
    "sh",
    "mount",
    "umount",
    "cat",
    "insmod",
    "sleep",
    "mkdir",
    "switch_root",
    "setsid",
    "cttyhack",
    "poweroff",
    "test",
    "ls",
    "dmesg",
  ];
  const entries: ArchiveEntry[] = ["bin", "dev", "proc", "sys", "root", "lib"].map((path) => ({ kind: "directory", path }));
  entries.push(
    { kind: "file", path: "init", data: new TextEncoder().encode(BOOT_INIT), permissions: 0o755 },
    { kind: "file", path: "bin/busybox", data: busybox, permissions: 0o755 },
    ...applets.map((name): ArchiveEntry => ({ kind: "symlink", path: `bin/${name}`, target: "busybox" })),
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "character-device", path: "dev/null", major: 1, minor: 3, permissions: 0o666 },
    { kind: "file", path: "modules", data: new TextEncoder().encode(loaded.map(({ name }) => `${name}.ko\n`).join("")) },
  );
  for (const { name, path } of loaded) entries.push({ kind: "file", path: `lib/${name}.ko`, data: await readFile(join(root, path)) });
  // Not compressed: nothing is saved by having the guest unpack it.
  return writeCpioArchive(entries);
}
