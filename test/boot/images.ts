/** Kernel images made field by field from the specifications, for the loaders to take apart. */

/** A bzImage after boot.rst: setup sectors, then `payload`. Fields can be overridden to be wrong. */
export function bzImage(options: {
  version?: number;
  payload?: Uint8Array;
  sysSize?: number;
  loadFlags?: number;
  xloadFlags?: number;
  initrdMax?: number;
  cmdlineSize?: number;
  prefAddress?: number;
  initSize?: number;
  relocatable?: number;
  setupSects?: number;
}): Uint8Array {
  const setupSects = options.setupSects ?? 2;
  const payload = options.payload ?? new Uint8Array(4096).fill(0x90);
  const payloadOffset = ((setupSects || 4) + 1) * 512;
  const bytes = new Uint8Array(payloadOffset + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, setupSects);
  view.setUint32(0x1f4, options.sysSize ?? Math.ceil(payload.length / 16), true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint16(0x200, 0x6aeb, true); // jmp over the header: it ends at 0x202 + 0x6a
  bytes.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, options.version ?? 0x020f, true);
  view.setUint8(0x211, options.loadFlags ?? 1);
  view.setUint32(0x214, 0x100000, true);
  view.setUint32(0x22c, options.initrdMax ?? 0x37ffffff, true);
  view.setUint32(0x230, 0x200000, true);
  view.setUint8(0x234, options.relocatable ?? 1);
  view.setUint16(0x236, options.xloadFlags ?? 0, true);
  view.setUint32(0x238, options.cmdlineSize ?? 2047, true);
  view.setBigUint64(0x258, BigInt(options.prefAddress ?? 0x1000000), true);
  view.setUint32(0x260, options.initSize ?? 0x100000, true);
  bytes.set(payload, payloadOffset);
  return bytes;
}

export const multibootMagic = 0x1badb002;

/** A Multiboot header of 12 bytes, or 32 with address fields. */
export function multibootHeader(
  flags: number,
  address?: readonly [header: number, load: number, loadEnd: number, bssEnd: number, entry: number],
): Uint8Array {
  const view = new DataView(new ArrayBuffer(address ? 32 : 12));
  view.setUint32(0, multibootMagic, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, -(multibootMagic + flags), true);
  address?.forEach((value, i) => {
    view.setUint32(12 + 4 * i, value, true);
  });
  return new Uint8Array(view.buffer);
}

export interface ElfSegment {
  virtual: number;
  physical: number;
  bytes: Uint8Array;
  memorySize?: number;
}

/** A static ELF32 executable whose segments follow the headers, 16-byte aligned. */
export function elf32(
  entry: number,
  segments: readonly ElfSegment[],
  override: { machine?: number; type?: number; class?: number } = {},
): Uint8Array {
  const headers = 52 + 32 * segments.length;
  const align = (n: number) => Math.ceil(n / 16) * 16;
  let end = align(headers);
  const offsets = segments.map((s) => {
    const at = end;
    end = align(end + s.bytes.length);
    return at;
  });
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, override.class ?? 1, 1, 1]);
  view.setUint16(16, override.type ?? 2, true);
  view.setUint16(18, override.machine ?? 3, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, entry, true);
  view.setUint32(28, 52, true);
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, segments.length, true);
  for (const [i, s] of segments.entries()) {
    const fields = [1, offsets[i]!, s.virtual, s.physical, s.bytes.length, s.memorySize ?? s.bytes.length, 7, 16];
    for (const [j, field] of fields.entries()) view.setUint32(52 + 32 * i + 4 * j, field, true);
    bytes.set(s.bytes, offsets[i]!);
  }
  return bytes;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((p) => [...p]));
}
