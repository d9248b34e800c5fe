/** Base64 of an LZ4 block (src/prepare/pack.ts) to the bytes that were packed. What it reads is part of the program: nothing is checked. */

/** @param size of the result */
export function unpack(text: string, size: number): Uint8Array<ArrayBuffer> {
  // One character a byte.
  const packed = atob(text);
  const out = new Uint8Array(size);
  let from = 0;
  let to = 0;
  while (from < packed.length) {
    const token = packed.charCodeAt(from++);
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        more = packed.charCodeAt(from++);
        literals += more;
      }
    }
    for (const end = from + literals; from < end; ) out[to++] = packed.charCodeAt(from++);
    if (from >= packed.length) break;
    let source = to - (packed.charCodeAt(from) | (packed.charCodeAt(from + 1) << 8));
    from += 2;
    let length = (token & 15) + 4;
    if (length === 19) {
      let more = 255;
      while (more === 255) {
        more = packed.charCodeAt(from++);
        length += more;
      }
    }
    if (source + length <= to) {
      out.copyWithin(to, source, source + length);
      to += length;
    } else for (const end = to + length; to < end; ) out[to++] = out[source++];
  }
  return out;
}
