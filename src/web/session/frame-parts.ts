/** What has changed from one frame to the next, for a host from which every byte of a frame is a copy. */
import type { FramePart } from "../protocol.ts";

/** Lines looked at together: the height of a line of text, so that a blinking cursor and a clock elsewhere are two small parts. */
const bandHeight = 16;

/** Bands of lines that differ, each as wide as it must be; neighbours that are equally wide are one. Frames are pixels of 32 bits, line by line. */
export function changedParts(before: Uint32Array, after: Uint32Array, width: number, height: number): FramePart[] {
  const parts: FramePart[] = [];
  for (let y = 0; y < height; y += bandHeight) {
    const lines = Math.min(bandHeight, height - y);
    const { left, right } = extent(before, after, width, y, lines);
    if (left > right) continue;
    const last = parts.at(-1);
    const part = { x: left, y, width: right - left + 1, height: lines };
    if (last && last.y + last.height === y && last.x === part.x && last.width === part.width) {
      parts[parts.length - 1] = { ...last, height: last.height + lines };
    } else parts.push(part);
  }
  return parts;
}

/** The first and the last column in which the lines differ; the first is behind the last where none does. */
function extent(before: Uint32Array, after: Uint32Array, width: number, top: number, lines: number): { left: number; right: number } {
  let left = width;
  let right = -1;
  for (let y = top; y < top + lines; y++) {
    const row = y * width;
    let x = 0;
    while (x < left && before[row + x] === after[row + x]) x++;
    left = x;
    x = width - 1;
    while (x > right && before[row + x] === after[row + x]) x--;
    right = x;
  }
  return { left, right };
}

/** The pixels of the parts, one after the other. */
export function gather(pixels: Uint32Array, width: number, parts: readonly FramePart[]): ArrayBuffer {
  const out = new Uint32Array(parts.reduce((sum, part) => sum + part.width * part.height, 0));
  let at = 0;
  for (const part of parts) {
    for (let y = part.y; y < part.y + part.height; y++) {
      const from = y * width + part.x;
      out.set(pixels.subarray(from, from + part.width), at);
      at += part.width;
    }
  }
  return out.buffer;
}
