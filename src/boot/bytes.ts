/** Little-endian reads over a file that are simply undefined-safe: out of range reads as 0, so that a header test on a short file fails cleanly. */
export class Fields {
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.#view.byteLength;
  }

  u8(offset: number): number {
    return offset + 1 <= this.length ? this.#view.getUint8(offset) : 0;
  }

  u16(offset: number): number {
    return offset + 2 <= this.length ? this.#view.getUint16(offset, true) : 0;
  }

  u32(offset: number): number {
    return offset + 4 <= this.length ? this.#view.getUint32(offset, true) : 0;
  }

  /** A 64-bit field as a number: exact below 2^53, which every address here is. */
  u64(offset: number): number {
    return this.u32(offset) + this.u32(offset + 4) * 2 ** 32;
  }
}

export function hex(value: number, digits = 0): string {
  // Ends of ranges may lie beyond 4 GiB.
  return `0x${(value < 0 ? value >>> 0 : value).toString(16).padStart(digits, "0")}`;
}

/** A NUL-terminated string; command lines are bytes to the guest, UTF-8 to us. */
export function cString(text: string): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  const bytes = new Uint8Array(encoded.length + 1);
  bytes.set(encoded);
  return bytes;
}
