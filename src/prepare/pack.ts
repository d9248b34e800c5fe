/**
 * Packs bytes so that src/machine/unpack.ts has them back in a few milliseconds, in JavaScript that runs for the first time: inflating takes it four times as long. The
 * format is LZ4's block (lz4_Block_format.md of the LZ4 project).
 */

const shortestMatch = 4;
const farthest = 0xffff;
/** The last bytes of a block are literals, and the last match begins this long before its end. */
const literalsAtEnd = 5;
const lastMatch = 12;
/** Earlier places that are tried. */
const tries = 256;

export function pack(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  const places = new Map<number, number[]>();
  const keyAt = (at: number): number => (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)) * 256 + bytes[at + 3];
  const note = (at: number): void => {
    if (at + shortestMatch > bytes.length) return;
    const list = places.get(keyAt(at));
    if (list === undefined) places.set(keyAt(at), [at]);
    else list.push(at);
  };
  const longest = (at: number): { length: number; from: number } => {
    let best = { length: 0, from: 0 };
    if (at > bytes.length - lastMatch) return best;
    const list = places.get(keyAt(at)) ?? [];
    for (let k = list.length - 1; k >= 0 && k >= list.length - tries && at - list[k] <= farthest; k--) {
      let length = shortestMatch;
      while (at + length < bytes.length - literalsAtEnd && bytes[list[k] + length] === bytes[at + length]) length++;
      if (length > best.length) best = { length, from: list[k] };
    }
    return best;
  };
  const more = (rest: number): void => {
    for (; rest >= 255; rest -= 255) out.push(255);
    out.push(rest);
  };
  const sequence = (from: number, to: number, match: number, distance: number): void => {
    const literals = to - from;
    out.push((Math.min(literals, 15) << 4) | (match === 0 ? 0 : Math.min(match - shortestMatch, 15)));
    if (literals >= 15) more(literals - 15);
    for (let k = from; k < to; k++) out.push(bytes[k]);
    if (match === 0) return;
    out.push(distance & 0xff, distance >> 8);
    if (match - shortestMatch >= 15) more(match - shortestMatch - 15);
  };
  let literalsFrom = 0;
  let at = 0;
  while (at < bytes.length) {
    const here = longest(at);
    note(at);
    // A longer one that begins at the next byte is worth a literal.
    if (here.length === 0 || longest(at + 1).length > here.length + 1) {
      at++;
      continue;
    }
    sequence(literalsFrom, at, here.length, at - here.from);
    for (let k = 1; k < here.length; k++) note(at + k);
    at += here.length;
    literalsFrom = at;
  }
  sequence(literalsFrom, bytes.length, 0, 0);
  return Uint8Array.from(out);
}
