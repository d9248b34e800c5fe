/**
 * Boot media: what people boot a PC from. Memory test, boot loaders, network boot firmware and Debian's installer come from Debian's packages as debian.ts
 * fetches them; CDs, floppies and disks that no package holds ready are made here of the packages' files. The cache directory then holds `media/` with
 *
 *   memtest86.iso          memtest86+ as its package has it
 *   grub-rescue.iso        GRUB's rescue CD as its package has it
 *   grub-disk.img          a disk that GRUB boots: master boot record, core image, FAT with menu, Debian's kernel, the demo and memtest86+
 *   isolinux.iso           ISOLINUX with Debian's kernel
 *   syslinux-floppy.img    SYSLINUX on a floppy of 2.88 MB, with the demo and memtest86+
 *   syslinux-disk.img      SYSLINUX on a disk, with Debian's kernel
 *   big-floppy.img         SYSLINUX with Debian's kernel on a volume without partitions, as a floppy has it, only larger: the kernel alone has 5.7 MB
 *   memdisk.iso            the same image on a CD, where ISOLINUX and MEMDISK make it the floppy A: of the BIOS
 *   ipxe.iso, ipxe.lkrn    iPXE as its package has it
 *   installer/, .iso       kernel and initial RAM disk of Debian's installer (text, network boot), and both on a CD with ISOLINUX
 *
 * and `media.json`, which is written when all is done. Boot loaders are installed by their own programs, run out of the unpacked packages with the C library
 * they came with, so that the host needs no more than apt-get and dpkg-deb.
 */
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { demoImage } from "../demo/image.ts";
import { GuestFetchError, runTool } from "./apt.ts";
import { defaultGuestCache, type FetchOptions, fetchLinuxGuest, installFile, withDebianTree } from "./debian.ts";
import { buildFat, type FatOptions, floppy2880 } from "./images/fat.ts";
import { buildCd } from "./images/iso9660.ts";
import { buildDisk, diskHeads, diskSectorsPerTrack, firstPartitionSector } from "./images/partitioned.ts";
import type { FileTree } from "./images/tree.ts";

/** Counts changes of what is made here: media of another recipe are made again. */
const RECIPE = 3;

const PACKAGES = [
  "memtest86+",
  "grub-rescue-pc",
  "grub-pc-bin",
  "grub-common",
  "syslinux",
  "syslinux-common",
  "isolinux",
  "ipxe",
  "debian-installer-12-netboot-i386",
  "mtools",
  // What grub-mkimage, syslinux and mtools are linked with.
  "libc6",
  "liblzma5",
  "libdevmapper1.02.1",
  "libselinux1",
  "libudev1",
  "libpcre2-8-0",
];

/** Debian's kernel on the VGA console. For the reasons of the words see `LINUX_COMMAND_LINE`. */
export const SCREEN_COMMAND_LINE = "console=tty0 tsc=reliable mitigations=off cryptomgr.notests noisapnp";
/** The installer in a text mode: without a frame buffer, which is a graphics mode. */
export const INSTALLER_COMMAND_LINE = "vga=normal fb=false nomodeset";

/** Paths of the media. */
export interface BootMedia {
  readonly memtest86: string;
  readonly grubRescue: string;
  readonly grubDisk: string;
  readonly isolinux: string;
  readonly syslinuxFloppy: string;
  readonly syslinuxDisk: string;
  readonly bigFloppy: string;
  readonly memdisk: string;
  readonly ipxe: string;
  readonly ipxeKernel: string;
  readonly installer: { readonly kernel: string; readonly initrd: string; readonly cd: string };
}

const PARTITION: FatOptions = {
  size: 32 << 20,
  heads: diskHeads,
  sectorsPerTrack: diskSectorsPerTrack,
  sectorsPerCluster: 4,
  rootEntries: 512,
  mediaDescriptor: 0xf8,
  hiddenSectors: firstPartitionSector,
};

/** A floppy that no drive takes: the tracks of 2.88 MB, and three times as many of them. */
const BIG_FLOPPY: FatOptions = { ...floppy2880, size: 3 * floppy2880.size, sectorsPerCluster: 8 };

const GRUB_MODULES = ["biosdisk", "part_msdos", "fat", "normal", "configfile", "linux", "linux16", "multiboot", "ls", "echo", "reboot", "halt"];
const GRUB_MENU = `set timeout=-1
menuentry "Debian's kernel" {
  linux /boot/vmlinuz ${SCREEN_COMMAND_LINE}
  initrd /boot/initrd.gz
}
menuentry "xlat86 demo" {
  multiboot /boot/demo.elf
}
menuentry "memtest86+" {
  linux16 /boot/memtest
}
menuentry "Reboot" {
  reboot
}
`;

const LINUX_MENU = `default linux
prompt 0
label linux
  kernel /vmlinuz
  append initrd=/initrd.gz ${SCREEN_COMMAND_LINE}
`;
/** SYSLINUX's text menu; memtest86+ is started as the Linux kernel it looks like. */
const FLOPPY_MENU = `ui menu.c32
menu title SYSLINUX on a floppy
label demo
  menu label xlat86 demo
  kernel mboot.c32
  append /demo.elf
label memtest
  menu label memtest86+
  linux /memtest
`;
const MEMDISK_MENU = `default memdisk
prompt 0
label memdisk
  kernel /memdisk
  append initrd=/floppy.img floppy
`;
const INSTALLER_MENU = `default install
prompt 0
label install
  kernel /linux
  append initrd=/initrd.gz ${INSTALLER_COMMAND_LINE}
`;

export function mediaPaths(cacheDir = defaultGuestCache()): BootMedia {
  const file = (...names: string[]) => join(cacheDir, "media", ...names);
  return {
    memtest86: file("memtest86.iso"),
    grubRescue: file("grub-rescue.iso"),
    grubDisk: file("grub-disk.img"),
    isolinux: file("isolinux.iso"),
    syslinuxFloppy: file("syslinux-floppy.img"),
    syslinuxDisk: file("syslinux-disk.img"),
    bigFloppy: file("big-floppy.img"),
    memdisk: file("memdisk.iso"),
    ipxe: file("ipxe.iso"),
    ipxeKernel: file("ipxe.lkrn"),
    installer: { kernel: file("installer", "linux"), initrd: file("installer", "initrd.gz"), cd: file("installer.iso") },
  };
}

/** The media, fetched and made when the cache does not hold them yet. Errors: `GuestFetchError`. */
export async function fetchBootMedia(options: FetchOptions = {}): Promise<BootMedia> {
  const cacheDir = resolve(options.cacheDir ?? defaultGuestCache());
  const media = mediaPaths(cacheDir);
  const manifest = join(cacheDir, "media", "media.json");
  if (await isMade(manifest, media)) return media;
  const linux = await fetchLinuxGuest({ ...options, cacheDir });
  await mkdir(join(cacheDir, "media", "installer"), { recursive: true });
  await withDebianTree(
    { ...options, cacheDir },
    async () => PACKAGES,
    async (tree) => {
      const read = (path: string) => readFile(join(tree, path));
      const kernel: FileTree = { vmlinuz: await readFile(linux.kernel), "initrd.gz": await readFile(linux.initrd) };
      const memtest = await read("boot/memtest86+ia32.bin");
      const installerFiles = "usr/lib/debian-installer/images/12/i386/text/debian-installer/i386";
      await installFile(join(tree, "usr/lib/memtest86+/memtest86+ia32.iso"), media.memtest86);
      await installFile(join(tree, "usr/lib/grub-rescue/grub-rescue-cdrom.iso"), media.grubRescue);
      await installFile(join(tree, "usr/lib/ipxe/ipxe.iso"), media.ipxe);
      await installFile(join(tree, "boot/ipxe.lkrn"), media.ipxeKernel);
      await installFile(join(tree, installerFiles, "linux"), media.installer.kernel);
      await installFile(join(tree, installerFiles, "initrd.gz"), media.installer.initrd);

      const module = (name: string) => read(`usr/lib/syslinux/modules/bios/${name}`);
      const isolinux: FileTree = {
        "isolinux/isolinux.bin": await read("usr/lib/ISOLINUX/isolinux.bin"),
        "isolinux/ldlinux.c32": await module("ldlinux.c32"),
      };
      const isolinuxCd = (menu: string, files: FileTree) =>
        buildCd({ ...isolinux, "isolinux/isolinux.cfg": menu, ...files }, { boot: "isolinux/isolinux.bin", bootInformation: true });
      await replace(media.isolinux, isolinuxCd(LINUX_MENU, kernel));
      const { installer } = media;
      const installerCd = isolinuxCd(INSTALLER_MENU, { linux: await readFile(installer.kernel), "initrd.gz": await readFile(installer.initrd) });
      await replace(installer.cd, installerCd);

      const tools = await hostTools(tree);
      const floppyFiles: Record<string, Uint8Array | string> = { "syslinux.cfg": FLOPPY_MENU, "demo.elf": demoImage(), memtest };
      for (const name of ["menu.c32", "mboot.c32", "libcom32.c32", "libutil.c32"]) floppyFiles[name] = await module(name);
      await replace(media.syslinuxFloppy, await withSyslinux(tools, buildFat(floppyFiles, floppy2880)));
      const syslinuxPartition = await withSyslinux(tools, buildFat({ ...kernel, "syslinux.cfg": LINUX_MENU }, PARTITION));
      await replace(media.syslinuxDisk, buildDisk({ boot: await read("usr/lib/syslinux/mbr/mbr.bin"), partition: syslinuxPartition }));
      const bigFloppy = await withSyslinux(tools, buildFat({ ...kernel, "syslinux.cfg": LINUX_MENU }, BIG_FLOPPY));
      await replace(media.bigFloppy, bigFloppy);
      await replace(media.memdisk, isolinuxCd(MEMDISK_MENU, { memdisk: await read("usr/lib/syslinux/memdisk"), "floppy.img": bigFloppy }));

      const grubFiles: Record<string, Uint8Array | string> = {
        "boot/grub/grub.cfg": GRUB_MENU,
        "boot/demo.elf": demoImage(),
        "boot/memtest": memtest,
      };
      for (const [name, data] of Object.entries(kernel)) grubFiles[`boot/${name}`] = data;
      const grub = { boot: await read("usr/lib/grub/i386-pc/boot.img"), gap: await grubCore(tools, tree) };
      await replace(media.grubDisk, buildDisk({ ...grub, partition: buildFat(grubFiles, PARTITION) }));
    },
  );
  await writeFile(manifest, `${JSON.stringify({ recipe: RECIPE, packages: PACKAGES }, null, 2)}\n`);
  return media;
}

async function isMade(manifest: string, media: BootMedia): Promise<boolean> {
  const { installer, ...files } = media;
  if (![manifest, ...Object.values(files), ...Object.values(installer)].every((file) => existsSync(file))) return false;
  return (JSON.parse(await readFile(manifest, "utf8")) as { recipe: number }).recipe === RECIPE;
}

async function replace(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}.${crypto.randomUUID()}`;
  await writeFile(temporary, bytes);
  await rename(temporary, file);
}

/** Programs of the unpacked packages. */
interface Tools {
  /** Directory for images while they are made. */
  readonly work: string;
  run(program: string, ...args: string[]): Promise<string>;
}

/**
 * Each program is started through the dynamic loader that was unpacked with it. syslinux starts mtools' programs by their names: scripts of these names do the
 * same.
 */
async function hostTools(tree: string): Promise<Tools> {
  const work = join(tree, "xlat86-work");
  await mkdir(work, { recursive: true });
  const libraries = ["lib/i386-linux-gnu", "usr/lib/i386-linux-gnu"].map((path) => join(tree, path)).join(":");
  const loader = join(tree, "lib/i386-linux-gnu/ld-linux.so.2");
  const starting = (name: string) => ["--library-path", libraries, "--argv0", name, join(tree, "usr/bin", name)];
  for (const name of ["mattrib", "mcopy", "mmove", "mmd"]) {
    await writeFile(join(work, name), `#!/bin/sh\nexec '${[loader, ...starting(name)].join("' '")}' "$@"\n`);
    await chmod(join(work, name), 0o755);
  }
  const env = { PATH: `${work}:${process.env.PATH}`, GCONV_PATH: join(tree, "usr/lib/i386-linux-gnu/gconv") };
  return {
    work,
    async run(program, ...args) {
      if (!["x64", "ia32"].includes(process.arch))
        throw new GuestFetchError(`boot media can be made on x86 hosts only: ${program} is an x86 program`);
      return runTool(loader, [...starting(program), ...args], { cwd: work, env });
    },
  };
}

/** The volume with SYSLINUX in its boot sector and as LDLINUX.SYS. */
async function withSyslinux(tools: Tools, volume: Uint8Array): Promise<Uint8Array> {
  // The tools run in the work directory.
  const file = join(tools.work, `${crypto.randomUUID()}.img`);
  await writeFile(file, volume);
  await tools.run("syslinux", "--install", file);
  return readFile(file);
}

/** GRUB's core image for a disk's gap: it finds its menu on the first partition of the disk it was loaded from. */
async function grubCore(tools: Tools, tree: string): Promise<Uint8Array> {
  const file = join(tools.work, "core.img");
  const modules = join(tree, "usr/lib/grub/i386-pc");
  await tools.run("grub-mkimage", "-O", "i386-pc", "-d", modules, "-p", "(hd0,msdos1)/boot/grub", "-o", file, ...GRUB_MODULES);
  return readFile(file);
}
