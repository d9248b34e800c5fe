/** The text screen of a kernel that is booted without a BIOS: the same dots as after the VGA BIOS has set mode 3, and Linux's console on it. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { fetchLinuxGuest } from "../../src/guest/debian.ts";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { createMachine, type MachineOptions } from "../../src/index.ts";
import { findFont } from "../../src/machine/vga-text-mode.ts";
import { elf32, join, multibootHeader } from "../boot/images.ts";
import { assemble } from "../support/assembler.ts";
import { bootRoutines, diskImage, drive } from "./boot-media.ts";
import { type Availability, mustSkip } from "./oracle.ts";

let firmware: Required<Pick<MachineOptions, "bios">> & { readonly vgaBios: Uint8Array };
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

/** Every character, in changing colours, and the cursor on the second one. 16-bit code writes through ES, 32-bit code needs none. */
const picture = (cell: string) => `
    xor ecx, ecx
  next:
    mov al, cl
    imul edx, ecx, 37
    mov ah, dl
    and ah, 0x7f
    mov ${cell}, ax
    inc ecx
    cmp ecx, 2000
    jb next
    mov dx, 0x3d4
    mov ax, 0x000e
    out dx, ax
    mov ax, 0x010f
    out dx, ax
    mov al, 1
    out 0xf4, al`;

async function frame(options: Partial<MachineOptions>): Promise<{ width: number; height: number; pixels: Uint8Array; text: string[] }> {
  const machine = createMachine({ memory: 32 << 20, ...options });
  expect(await machine.run({ timeout: 60 })).toMatchObject({ reason: "debug-exit", value: 1 });
  const { width, height, pixels } = machine.screen.pixels();
  const seen = { width, height, pixels: Uint8Array.from(pixels), text: machine.screen.text() };
  machine.destroy();
  return seen;
}

const kernel = () => {
  const code = assemble(picture("[ecx * 2 + 0xb8000]"), 0x10000c, 32).bytes;
  return elf32(0x10000c, [{ virtual: 0x100000, physical: 0x100000, bytes: join(multibootHeader(0), code) }]);
};

test("is what the VGA BIOS makes of mode 3: characters, colours, cursor", async () => {
  if (mustSkip("the VGA BIOS's mode 3", fetched)) return;
  const sector = `mov ax, 3\nint 0x10\nmov ax, 0xb800\nmov es, ax\n${picture("es:[ecx + ecx]")}\njmp stop\n${bootRoutines}`;
  const expected = await frame({ ...firmware, drives: { hda: drive(diskImage(sector, 1 << 20), "hda") } });
  const found = await frame({ kernel: kernel(), vga: true, vgaBios: firmware.vgaBios });
  expect([found.width, found.height]).toEqual([720, 400]);
  expect(found.text).toEqual(expected.text);
  expect([expected.width, expected.height]).toEqual([720, 400]);
  expect(Buffer.compare(found.pixels, expected.pixels)).toBe(0);
  // With dots in it, that is: a font was found.
  expect(findFont(firmware.vgaBios)?.length).toBe(4096);
}, 120_000);

test("has text without a VGA BIOS, and is blank without an adapter", async () => {
  const found = await frame({ kernel: kernel(), vga: true });
  expect(found.text[0]).toContain('!"#$%&');
  expect((await frame({ kernel: kernel() })).text).toEqual([]);
  expect(findFont(new Uint8Array(0x8000))).toBeUndefined();
});

test("shows Linux's console", async () => {
  const guest = await fetchLinuxGuest().catch((error: unknown) => String(error));
  const available: Availability = typeof guest === "string" ? { available: false, reason: guest } : { available: true };
  if (mustSkip("Linux on the text screen", available) || typeof guest === "string") return;
  const machine = createMachine({
    kernel: readFileSync(guest.kernel),
    initrd: readFileSync(guest.initrd),
    append: "console=tty0",
    memory: 96 << 20,
    vga: true,
  });
  const ended = machine.run({ timeout: 170 });
  // Messages scroll by between two looks: any line with the kernel's time stamp will do.
  await machine.screen.waitForText(/^\[ +\d+\.\d{6}\] \S/m, { timeout: 160 });
  machine.pause();
  await ended;
  expect(machine.screen.textWithAttributes()).toMatchObject({ columns: 80, rows: 25 });
  machine.destroy();
}, 180_000);
