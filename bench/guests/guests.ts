// Guests that boot from media (src/guest/media.ts), each with the text on its screen that says how far it has come without anybody's help. The tests boot the
// same ones and go on from there.

import type { BootMedia } from "../../src/guest/media.ts";

/** Drives by place; a CD where the file is an ISO image. */
export type DriveFiles = Partial<Record<"hda" | "hdc" | "fda", string>>;

export interface MediaGuest {
  /** What its row in the table says. */
  readonly what: string;
  readonly memoryMiB: number;
  readonly boot: "c" | "d" | "a";
  drives(media: BootMedia): DriveFiles;
  /** On the text screen, over its lines joined by "\n". */
  readonly landmark: RegExp;
}

export const MEDIA_GUESTS = {
  memtest86: {
    what: "memtest86+ from its CD to its first test",
    memoryMiB: 16,
    boot: "d",
    drives: (media) => ({ hdc: media.memtest86 }),
    landmark: /Status: Testing/,
  },
  "grub-rescue": {
    what: "GRUB's rescue CD to its menu",
    memoryMiB: 64,
    boot: "d",
    drives: (media) => ({ hdc: media.grubRescue }),
    landmark: /GNU GRUB[\s\S]*Change the colors/,
  },
  "grub-disk": {
    what: "GRUB on a hard disk to its menu",
    memoryMiB: 128,
    boot: "c",
    drives: (media) => ({ hda: media.grubDisk }),
    landmark: /GNU GRUB[\s\S]*xlat86 demo/,
  },
  isolinux: {
    what: "ISOLINUX, Debian's kernel, a shell",
    memoryMiB: 128,
    boot: "d",
    drives: (media) => ({ hdc: media.isolinux }),
    landmark: /Linux is ready\./,
  },
  "syslinux-floppy": {
    what: "SYSLINUX on a 2.88 MB floppy to its menu",
    memoryMiB: 64,
    boot: "a",
    drives: (media) => ({ fda: media.syslinuxFloppy }),
    landmark: /SYSLINUX on a floppy[\s\S]*memtest86\+/,
  },
  "syslinux-disk": {
    what: "SYSLINUX on a hard disk, Debian's kernel, a shell",
    memoryMiB: 128,
    boot: "c",
    drives: (media) => ({ hda: media.syslinuxDisk }),
    landmark: /Linux is ready\./,
  },
  "big-floppy": {
    what: "SYSLINUX on an image of 8.8 MB without partitions, Debian's kernel, a shell",
    memoryMiB: 128,
    boot: "c",
    drives: (media) => ({ hda: media.bigFloppy }),
    landmark: /Linux is ready\./,
  },
  memdisk: {
    what: "ISOLINUX, MEMDISK, SYSLINUX on its floppy, Debian's kernel, a shell",
    memoryMiB: 128,
    boot: "d",
    drives: (media) => ({ hdc: media.memdisk }),
    landmark: /Linux is ready\./,
  },
  ipxe: {
    what: "iPXE from its CD to its banner",
    memoryMiB: 64,
    boot: "d",
    drives: (media) => ({ hdc: media.ipxe }),
    landmark: /Features: DNS HTTP/,
  },
  installer: {
    what: "Debian's installer, ISOLINUX to its first menu",
    memoryMiB: 512,
    boot: "d",
    drives: (media) => ({ hdc: media.installer.cd }),
    landmark: /Select a language/,
  },
} as const satisfies Record<string, MediaGuest>;

export type MediaGuestName = keyof typeof MEDIA_GUESTS;
