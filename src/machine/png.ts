/**
 * Frames as PNG files (W3C, "Portable Network Graphics", third edition). A screen of 256 colours or fewer is stored with a palette. fflate compresses:
 * disk images need it already, and browsers have no synchronous zlib of their own.
 */
import { zlibSync } from "fflate";
import type { Frame } from "../../runtime/devices/vga/display.ts";

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const colourType = { trueColour: 2, palette: 3 } as const;

export function encodePng({ width, height, pixels }: Frame): Uint8Array {
  const palette = collectPalette(pixels, width * height);
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(9, palette ? colourType.palette : colourType.trueColour);
  const rows = palette ? paletteRows(pixels, width, height, palette) : trueColourRows(pixels, width, height);
  const chunks = [
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...(palette ? [chunk("PLTE", Uint8Array.from([...palette.keys()].flatMap((rgb) => [rgb >> 16, (rgb >> 8) & 0xff, rgb & 0xff])))] : []),
    chunk("IDAT", zlibSync(rows)),
    chunk("IEND", new Uint8Array(0)),
  ];
  return concatenate([Uint8Array.from(signature), ...chunks]);
}

// ---- rows: a filter byte and the pixels ----

/** Index by colour in order of appearance; undefined when there are more than 256. */
function collectPalette(pixels: Uint8ClampedArray, count: number): Map<number, number> | undefined {
  const palette = new Map<number, number>();
  let last = -1;
  for (let i = 0; i < 4 * count; i += 4) {
    const rgb = (pixels[i]! << 16) | (pixels[i + 1]! << 8) | pixels[i + 2]!;
    if (rgb === last || palette.has(rgb)) continue;
    if (palette.size === 256) return undefined;
    palette.set(rgb, palette.size);
    last = rgb;
  }
  return palette;
}

function paletteRows(pixels: Uint8ClampedArray, width: number, height: number, palette: ReadonlyMap<number, number>): Uint8Array {
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0, from = 0; y < height; y++) {
    for (let to = y * (width + 1) + 1, end = to + width; to < end; to++, from += 4) {
      rows[to] = palette.get((pixels[from]! << 16) | (pixels[from + 1]! << 8) | pixels[from + 2]!)!;
    }
  }
  return rows;
}

/** Filter "Sub": a row of one colour becomes zeros, a gradient something near them. */
function trueColourRows(pixels: Uint8ClampedArray, width: number, height: number): Uint8Array {
  const rows = new Uint8Array((3 * width + 1) * height);
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    rows[to++] = 1;
    for (let x = 0; x < width; x++, from += 4) {
      for (let c = 0; c < 3; c++) rows[to++] = pixels[from + c]! - (x === 0 ? 0 : pixels[from + c - 4]!);
    }
  }
  return rows;
}

// ---- chunks and checksums ----

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

const crcTable: Int32Array = Int32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
