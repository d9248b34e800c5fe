/**
 * What a VGA BIOS does at power-on, for machines without one: text mode 3, 80 x 25 characters, cleared. Register values are those of the IBM PS/2 Hardware Interface
 * Technical Reference, "Video Subsystem", palette included. The font is not ours to have: it is taken out of the adapter's option ROM where there is one, and
 * without one characters are on the screen as text and have no dots.
 */
import type { Vga } from "../../runtime/devices/vga/vga.ts";

const bytesOf = (text: string): number[] => text.split(" ").map((byte) => Number.parseInt(byte, 16));

const miscellaneous = 0x67;
const sequencer = bytesOf("03 00 03 00 02");
const crtc = bytesOf("5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff");
const graphics = bytesOf("00 00 00 00 00 10 0e 00 ff");
const attribute = bytesOf("00 01 02 03 04 05 14 07 38 39 3a 3b 3c 3d 3e 3f 0c 00 0f 08 00");

/** Ports by their distance from 3C0h. */
const port = {
  attribute: 0x0,
  miscellaneous: 0x2,
  sequencer: 0x4,
  dacMask: 0x6,
  dacIndex: 0x8,
  dacData: 0x9,
  graphics: 0xe,
  crtc: 0x14,
  status: 0x1a,
} as const;
/** CRTC register 11h, bit 7, makes 0-7 read-only. */
const protection = { register: 0x11, bit: 0x80 } as const;
const videoEnable = 0x20;

/** Plane 2 at A0000h, byte by byte, as fonts are loaded: [sequencer map mask and memory mode, graphics mode and map]. */
const fontAccess = { mapMask: 0x04, memoryMode: 0x06, mode: 0x00, map: 0x04 } as const;
const glyphs = { count: 256, height: 16, pitch: 32 } as const;

/** B8000h in the window. */
const textOffset = 0x18000;
const cells = 80 * 25;
const blankCell = 0x0720;

/** `rom`: the adapter's option ROM. */
export function powerOnTextMode(vga: Vga, rom: Uint8Array | undefined): void {
  const out = (at: number, value: number): void => vga.colorPorts.write(at, 1, value);
  const outIndexed = (at: number, index: number, value: number): void => {
    out(at, index);
    out(at + 1, value);
  };
  out(port.miscellaneous, miscellaneous);
  for (const [n, value] of sequencer.entries()) outIndexed(port.sequencer, n, value);
  outIndexed(port.crtc, protection.register, crtc[protection.register]! & ~protection.bit);
  for (const [n, value] of crtc.entries()) outIndexed(port.crtc, n, value);

  const font = rom === undefined ? undefined : findFont(rom);
  if (font !== undefined) {
    outIndexed(port.sequencer, 2, fontAccess.mapMask);
    outIndexed(port.sequencer, 4, fontAccess.memoryMode);
    for (const [n, value] of graphics.entries()) outIndexed(port.graphics, n, n === 5 ? fontAccess.mode : n === 6 ? fontAccess.map : value);
    for (let n = 0; n < font.length; n++) {
      vga.window.write(Math.floor(n / glyphs.height) * glyphs.pitch + (n % glyphs.height), 1, font[n]!);
    }
    outIndexed(port.sequencer, 2, sequencer[2]!);
    outIndexed(port.sequencer, 4, sequencer[4]!);
  }
  for (const [n, value] of graphics.entries()) outIndexed(port.graphics, n, value);

  // Reading the status register makes the next write to the attribute controller an index.
  vga.colorPorts.read(port.status, 1);
  for (const [n, value] of attribute.entries()) {
    out(port.attribute, n);
    out(port.attribute, value);
  }
  out(port.attribute, videoEnable);
  out(port.dacMask, 0xff);
  out(port.dacIndex, 0);
  for (let colour = 0; colour < 64; colour++) for (const level of levels(colour)) out(port.dacData, level);
  for (let n = 0; n < cells; n++) vga.window.write(textOffset + 2 * n, 2, blankCell);
}

/** The EGA's 64 colours, rgbRGB, as levels of a 6-bit DAC: red, green, blue. */
function levels(colour: number): number[] {
  return [2, 1, 0].map((bit) => ((colour >> bit) & 1) * 0x2a + ((colour >> (bit + 3)) & 1) * 0x15);
}

/** Glyphs 0 and 1 of code page 437 in an 8 x 16 cell, nothing and a smiling face: every VGA BIOS has them like this. */
const fontStart = bytesOf(`${"00 ".repeat(16)}00 00 7e 81 a5 81 81 bd 99 81 81 7e 00 00 00 00`);

/** The 8 x 16 font in an option ROM, if it is there as a table. */
export function findFont(rom: Uint8Array): Uint8Array | undefined {
  const length = glyphs.count * glyphs.height;
  for (let at = 0; at + length <= rom.length; at++) {
    if (fontStart.every((byte, n) => rom[at + n] === byte)) return rom.subarray(at, at + length);
  }
  return undefined;
}
