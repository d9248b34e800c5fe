/** The 256 words of IDENTIFY DEVICE (ATA/ATAPI-6, 8.15.8), with the capabilities QEMU's disks have. */
import type { Geometry } from "./geometry.ts";

export type DiskIdentity = { readonly model: string; readonly serial: string; readonly firmware: string };

export type DiskSettings = {
  readonly native: Geometry;
  /** What INITIALIZE DEVICE PARAMETERS has set. */
  readonly current: Geometry;
  readonly sectorCount: number;
  readonly multiple: number;
  readonly writeCache: boolean;
  readonly transferMode: number;
};

export const maximumMultiple = 16;
export const lba28Limit = 0x0fff_ffff;

/** SET FEATURES, transfer mode: bits 7-3 the kind, bits 2-0 the number. */
export const transferKind = { pioDefault: 0, pio: 1, singleWord: 2, multiword: 4, ultra: 8 } as const;

/** Bytes of a string in words: the first character in the high byte. */
export function identifyString(words: Uint16Array, at: number, count: number, text: string): void {
  const padded = text.padEnd(2 * count).slice(0, 2 * count);
  for (let i = 0; i < count; i++) words[at + i] = (padded.charCodeAt(2 * i) << 8) | padded.charCodeAt(2 * i + 1);
}

/** One bit for the selected mode, above the modes that are supported. */
export function selectedMode(transferMode: number, kind: number): number {
  return transferMode >> 3 === kind ? 0x100 << (transferMode & 7) : 0;
}

export function identifyDisk(identity: DiskIdentity, settings: DiskSettings): Uint8Array {
  const words = new Uint16Array(256);
  const { native, current, sectorCount, multiple, transferMode } = settings;
  const set = (at: number, ...values: number[]) => words.set(values, at);
  const long = (at: number, value: number) => set(at, value & 0xffff, value >>> 16);
  const currentCapacity = Math.min(current.cylinders * current.heads * current.sectors, sectorCount);
  const lba28 = Math.min(sectorCount, lba28Limit);

  set(0, 0x0040, native.cylinders, 0, native.heads, 512 * native.sectors, 512, native.sectors);
  identifyString(words, 10, 10, identity.serial);
  set(20, 3, 512, 4);
  identifyString(words, 23, 4, identity.firmware);
  identifyString(words, 27, 20, identity.model);
  // 48: 32-bit access to the data port, as old drivers ask. 49: IORDY, LBA, DMA.
  set(47, 0x8000 | maximumMultiple, 1, 0x0b00);
  // 53: words 54-58, 64-70 and 88 are valid.
  set(51, 0x0200, 0x0200, 0x0007, current.cylinders, current.heads, current.sectors);
  long(57, currentCapacity);
  set(59, multiple === 0 ? 0 : 0x100 | multiple);
  long(60, lba28);
  set(62, 0x07 | selectedMode(transferMode, transferKind.singleWord), 0x07 | selectedMode(transferMode, transferKind.multiword));
  set(64, 0x0003, 120, 120, 120, 120);
  // 80: ATA-4 to ATA-7. 82-84: NOP, write cache; flush and flush ext, 48-bit addresses. 85-87: which of them are on.
  const cache = 1 << 5;
  set(80, 0x00f0, 0x0016, 0x4000 | cache, 0x7400, 0x4000, 0x4000 | (settings.writeCache ? cache : 0), 0x3400, 0x4000);
  set(88, 0x3f | selectedMode(transferMode, transferKind.ultra));
  // Device 0, 80-wire cable.
  set(93, 0x6001);
  long(100, sectorCount % 2 ** 32);
  set(102, Math.floor(sectorCount / 2 ** 32));
  // 106: one logical sector in a physical one.
  set(106, 0x6000);
  return new Uint8Array(words.buffer);
}
