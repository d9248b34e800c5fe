/** Modes of the Bochs display interface: rows of packed pixels, or of four planes, anywhere in video memory. */
import type { Dispi } from "./dispi.ts";
import { dispiRegister } from "./dispi.ts";
import { wordOf } from "./layout.ts";

const opaque = 0xff000000;

export interface LinearSource {
  readonly memory: Uint8Array;
  readonly words: Int32Array;
  /** The 256 colours of the DAC. */
  readonly palette: Uint32Array;
  /** Of the sixteen attribute values, for planar modes. */
  readonly colors: Uint32Array;
}

/** Fills `out` with the frame's first `height` rows. */
export function drawLinear(dispi: Dispi, source: LinearSource, height: number, out: Uint32Array): void {
  const width = dispi.registers[dispiRegister.width];
  const draw = rowDrawers[dispi.bitsPerPixel];
  for (let y = 0; y < height; y++) draw(source, dispi.start + y * dispi.lineBytes, width, out, y * width);
}

type DrawRow = (source: LinearSource, start: number, width: number, out: Uint32Array, at: number) => void;

const rowDrawers: Record<number, DrawRow> = {
  4({ words, colors }, start, width, out, at) {
    for (let x = 0; x < width; x++) {
      const word = words[wordOf((start >>> 2) + (x >> 3)) & (words.length - 1)] >> (7 - (x & 7));
      out[at + x] = colors[(word & 1) | ((word >> 7) & 2) | ((word >> 14) & 4) | ((word >> 21) & 8)];
    }
  },
  8({ memory, palette }, start, width, out, at) {
    for (let x = 0; x < width; x++) out[at + x] = palette[memory[start + x]];
  },
  15({ memory }, start, width, out, at) {
    for (let x = 0; x < width; x++) {
      const pixel = memory[start + 2 * x] | (memory[start + 2 * x + 1] << 8);
      const red = (pixel >> 10) & 31;
      const green = (pixel >> 5) & 31;
      const blue = pixel & 31;
      out[at + x] = opaque | (((blue << 3) | (blue >> 2)) << 16) | (((green << 3) | (green >> 2)) << 8) | (red << 3) | (red >> 2);
    }
  },
  16({ memory }, start, width, out, at) {
    for (let x = 0; x < width; x++) {
      const pixel = memory[start + 2 * x] | (memory[start + 2 * x + 1] << 8);
      const red = pixel >> 11;
      const green = (pixel >> 5) & 63;
      const blue = pixel & 31;
      out[at + x] = opaque | (((blue << 3) | (blue >> 2)) << 16) | (((green << 2) | (green >> 4)) << 8) | (red << 3) | (red >> 2);
    }
  },
  24({ memory }, start, width, out, at) {
    for (let x = 0, from = start; x < width; x++, from += 3) out[at + x] = opaque | (memory[from] << 16) | (memory[from + 1] << 8) | memory[from + 2];
  },
  32({ words }, start, width, out, at) {
    const first = start >>> 2;
    for (let x = 0; x < width; x++) {
      const pixel = words[first + x];
      out[at + x] = opaque | ((pixel & 0xff) << 16) | (pixel & 0xff00) | ((pixel >> 16) & 0xff);
    }
  },
};
