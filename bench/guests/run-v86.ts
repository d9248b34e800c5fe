// Child process: one guest from media on v86, with SeaBIOS of the size it takes.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { V86 } from "v86";
import { BLANK, LOOK_EVERY_MS, say, screenJob, TEXT_BYTES, TEXT_SCREEN, textOf } from "./child.ts";

/** v86's own names for what is tried first (its BootOrder). */
const BOOT_ORDERS: Readonly<Record<string, number>> = { c: 0x312, d: 0x213, a: 0x321 };

const job = screenJob();
const image = (file: string) => ({ buffer: new Uint8Array(readFileSync(file)).buffer });
const { hda, hdc, fda } = job.drives;
const emulator = new V86({
  wasm_path: join(dirname(createRequire(import.meta.url).resolve("v86")), "v86.wasm"),
  bios: image(join(job.v86Firmware, "bios.bin")),
  vga_bios: image(job.firmware.vgaBios),
  memory_size: job.memoryMiB << 20,
  vga_memory_size: 8 << 20,
  boot_order: BOOT_ORDERS[job.boot],
  ...(hda === undefined ? {} : { hda: image(hda) }),
  ...(hdc === undefined ? {} : { cdrom: image(hdc) }),
  ...(fda === undefined ? {} : { fda: image(fda) }),
  autostart: true,
} as ConstructorParameters<typeof V86>[0]);
const landmark = new RegExp(job.landmark);
// Its screen tells of each character; the video memory is no part of what read_memory reads.
const screen = new Uint8Array(TEXT_BYTES).fill(BLANK);
emulator.add_listener("screen-put-char", ([row, column, character]) => {
  screen[2 * (TEXT_SCREEN.columns * row + column)] = character;
});
setInterval(() => {
  if (!landmark.test(textOf(screen))) return;
  say(job);
  process.exit(0);
}, LOOK_EVERY_MS);
