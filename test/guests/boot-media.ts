/** Disks, floppies and CDs for tests of booting: images in memory with a boot sector of the test's own. */
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import type { Drive } from "../../src/machine/options.ts";
import { assemble } from "../support/assembler.ts";

export const floppySize = 1440 << 10;
const cdSector = 2048;
/** Sectors of the CD: descriptors from 16 on (ECMA-119, 8.1), then the boot catalogue and the image. */
const cd = { volume: 16, bootRecord: 17, terminator: 18, catalogue: 19, image: 20, total: 64 } as const;

export function memoryStorage(bytes: Uint8Array, readOnly = false): BlockStorage {
  return {
    size: bytes.length,
    readOnly,
    read: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
    write: (offset, from) => bytes.set(from, offset),
    flush: () => {},
  };
}

export function drive(bytes: Uint8Array, name: string, media: "disk" | "cdrom" = "disk"): Drive {
  return { storage: memoryStorage(bytes, media === "cdrom"), media, name };
}

/** The 512 bytes that a BIOS loads to 7C00h. `source` begins in real mode with DS = ES = SS = 0 and the stack below. */
export function bootSector(source: string): Uint8Array {
  const start = `
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    sti
    cld
    ${source}
    .org 510
    .word 0xaa55`;
  const bytes = program16(start, 0x7c00);
  if (bytes.length !== 512) throw new Error(`the boot sector is ${bytes.length} bytes`);
  return bytes;
}

/** 16-bit code for a place in memory. */
export function program16(source: string, origin: number): Uint8Array {
  return assemble(source.replace(/\n\s*\n/g, "\n").trim(), origin, 16).bytes;
}

/** Routines for boot sectors: `print` sends the string at SI to COM1, `hex` prints AX, `quit` ends the run through the debug exit port with AL. */
export const bootRoutines = `
  print:
    push ax
    push dx
    mov dx, 0x3f8
  print_next:
    lodsb
    test al, al
    jz print_done
    out dx, al
    jmp print_next
  print_done:
    pop dx
    pop ax
    ret
  hex:
    pusha
    mov cx, 4
    mov dx, 0x3f8
    mov bx, ax
  hex_next:
    rol bx, 4
    mov al, bl
    and al, 15
    add al, 0x90
    daa
    adc al, 0x40
    daa
    out dx, al
    loop hex_next
    mov al, 32
    out dx, al
    popa
    ret
  quit:
    out 0xf4, al
  stop:
    cli
    hlt
    jmp stop
`;

export function diskImage(source: string, size: number): Uint8Array {
  const image = new Uint8Array(size);
  image.set(bootSector(source));
  return image;
}

/** A CD that boots without emulation (El Torito 1.0): the program is loaded to 7C00h. */
export function cdImage(source: string): Uint8Array {
  return bootCd(bootSector(source), 0, 4);
}

/** A CD on which a whole floppy (media 1 to 3) or hard disk (4) is what boots. */
export function emulatingCd(image: Uint8Array, media: 1 | 2 | 3 | 4): Uint8Array {
  return bootCd(image, media, 1);
}

/** @param load 512-byte sectors that the BIOS loads */
function bootCd(program: Uint8Array, media: number, load: number): Uint8Array {
  const sectors = Math.max(cd.total, cd.image + Math.ceil(program.length / cdSector));
  const image = new Uint8Array(sectors * cdSector);
  const view = new DataView(image.buffer);
  const text = (at: number, value: string) => image.set(new TextEncoder().encode(value), at);
  for (const [sector, type] of [
    [cd.volume, 1],
    [cd.bootRecord, 0],
    [cd.terminator, 0xff],
  ] as const) {
    image[sector * cdSector] = type;
    text(sector * cdSector + 1, "CD001");
    image[sector * cdSector + 6] = 1;
  }
  view.setUint32(cd.volume * cdSector + 80, sectors, true);
  text(cd.bootRecord * cdSector + 7, "EL TORITO SPECIFICATION");
  view.setUint32(cd.bootRecord * cdSector + 0x47, cd.catalogue, true);
  const catalogue = cd.catalogue * cdSector;
  // Validation entry: header, platform 80x86, key bytes, and a checksum that makes its words sum to 0.
  image[catalogue] = 1;
  view.setUint16(catalogue + 0x1e, 0xaa55, true);
  view.setUint16(catalogue + 0x1c, -(0x0001 + 0xaa55), true);
  // Initial entry: bootable, the kind of emulation, sectors to load, where; of a hard disk also the type of its partition.
  image[catalogue + 0x20] = 0x88;
  image[catalogue + 0x21] = media;
  image[catalogue + 0x24] = media === 4 ? program[446 + 4]! : 0;
  view.setUint16(catalogue + 0x26, load, true);
  view.setUint32(catalogue + 0x28, cd.image, true);
  image.set(program, cd.image * cdSector);
  return image;
}
