// SeaBIOS boots a sector of our own from a floppy of each size and from virtio-blk; the sector reads the disk's last sectors through INT 13h and says on the
// serial line what it found.

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { createMachine, type MachineOptions } from "../../src/index.ts";
import { MemoryImage } from "../devices/floppy-rig.ts";
import { assemble } from "../support/assembler.ts";
import { type Availability, mustSkip } from "./oracle.ts";

const limitSeconds = 60;

/** Prints the drive number, then the first bytes of the sector at (CX, DH) patched in, each as two digits; ends by the debug exit port. */
const bootSector = `
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov al, dl
  call hex
  mov ax, 0x0201
  mov bx, 0x8000
  mov cx, 0x1234
  mov dh, 0x56
  int 0x13
  mov al, ah
  call hex
  mov si, 0x8000
  mov cx, 8
next:
  lodsb
  call hex
  loop next
  mov ax, 0x0301
  mov bx, 0x8000
  mov word ptr [bx], 0x6b6f
  mov cx, 0x1234
  mov dh, 0x56
  int 0x13
  mov al, ah
  call hex
  mov al, 10
  call send
  mov al, 0
  out 0xf4, al
stop:
  hlt
  jmp stop
hex:
  push ax
  shr al, 4
  call digit
  pop ax
  and al, 15
digit:
  cmp al, 10
  jb decimal
  add al, 39
decimal:
  add al, 48
send:
  push dx
  push ax
  mov dx, 0x3fd
wait:
  in al, dx
  test al, 0x20
  jz wait
  pop ax
  mov dx, 0x3f8
  out dx, al
  pop dx
  ret
`;

let firmware: { bios: Uint8Array; vgaBios: Uint8Array };
let fetched: Availability = { available: false, reason: "not fetched yet" };

beforeAll(async () => {
  try {
    const files = await fetchFirmware();
    firmware = { bios: readFileSync(files.bios), vgaBios: readFileSync(files.vgaBios) };
    fetched = { available: true };
  } catch (error) {
    fetched = { available: false, reason: String(error) };
  }
}, 240_000);

/** An image whose boot sector reads sector `record` of `cylinder` and `head`. */
function bootable(size: number, [cylinder, head, record]: readonly [number, number, number]): MemoryImage {
  const image = new MemoryImage(size);
  const code = assemble(bootSector, 0x7c00, 16).bytes.slice();
  const patch = (from: number[], to: number[]) => {
    for (let at = 0; at + from.length <= code.length; at++) if (from.every((byte, i) => code[at + i] === byte)) code.set(to, at);
  };
  patch([0xb9, 0x34, 0x12], [0xb9, record, cylinder]);
  patch([0xb6, 0x56], [0xb6, head]);
  image.bytes.fill(0, 0, 512);
  image.bytes.set(code);
  image.bytes.set([0x55, 0xaa], 510);
  return image;
}

/** What the boot sector printed. */
async function boot(options: Omit<MachineOptions, "bios">): Promise<string> {
  const machine = createMachine({ ...firmware, memory: 32 << 20, ...options });
  let output = "";
  machine.on("serial", (bytes: Uint8Array) => {
    output += new TextDecoder().decode(bytes);
  });
  try {
    const exit = await machine.run({ timeout: limitSeconds });
    expect(exit.reason, output).toBe("debug-exit");
  } finally {
    machine.destroy();
  }
  return output.trim();
}

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

describe("SeaBIOS", () => {
  test.each([
    ["160K", 163_840, 40, 1, 8],
    ["180K", 184_320, 40, 1, 9],
    ["320K", 327_680, 40, 2, 8],
    ["360K", 368_640, 40, 2, 9],
    ["720K", 737_280, 80, 2, 9],
    ["1.2M", 1_228_800, 80, 2, 15],
    ["1.44M", 1_474_560, 80, 2, 18],
    ["2.88M", 2_949_120, 80, 2, 36],
  ] as const)(
    "boots a %s floppy, reads and writes its last sector",
    async (_, size, cylinders, heads, sectors) => {
      if (mustSkip("SeaBIOS on the floppy controller", fetched)) return;
      const image = bootable(size, [cylinders - 1, heads - 1, sectors]);
      const last = hex(image.bytes.slice(size - 512, size - 504));
      expect(await boot({ drives: { fda: { storage: image, name: "floppy" } }, boot: "a" })).toBe(`0000${last}00`);
      expect(hex(image.bytes.slice(size - 512, size - 510))).toBe("6f6b");
    },
    (limitSeconds + 10) * 1000,
  );

  test(
    "boots from virtio-blk, with a floppy beside it",
    async () => {
      if (mustSkip("SeaBIOS on virtio-blk", fetched)) return;
      const image = bootable(16 << 20, [3, 2, 5]);
      const floppy = new MemoryImage(1_474_560);
      const output = await boot({ drives: { virtio: [{ storage: image, name: "disk" }], fda: { storage: floppy, name: "floppy" } }, boot: "c" });
      expect(output).toMatch(/^8000[0-9a-f]{16}00$/);
      // Where sector 5 of cylinder 3, head 2 is depends on the BIOS's translation: one sector of the image has the bytes, and has been written.
      const found = Array.from({ length: image.size / 512 }, (_, n) => n).filter((n) => hex(image.bytes.slice(512 * n, 512 * n + 2)) === "6f6b");
      expect(found).toHaveLength(1);
      expect(hex(new MemoryImage(16 << 20).bytes.slice(512 * found[0], 512 * found[0] + 8))).toBe(output.slice(4, 20));
      expect(image.flushes).toBeGreaterThan(0);
    },
    (limitSeconds + 10) * 1000,
  );
});
