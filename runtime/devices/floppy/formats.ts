/**
 * The floppy formats a sector image can stand for, all of them MFM with 512-byte sectors, and the drives of a PC (BIOS drive types). An image holds the
 * sectors of cylinder 0 head 0, then of cylinder 0 head 1, and so on.
 */

export const sectorBytes = 512;

/** Data rates as the DSR's and CCR's two bits name them. */
export const dataRate = { kbps500: 0, kbps300: 1, kbps250: 2, mbps1: 3 } as const;

export type FloppyDriveType = "360K" | "1.2M" | "720K" | "1.44M" | "2.88M";

export interface FloppyFormat {
  readonly name: string;
  readonly cylinders: number;
  readonly heads: number;
  /** Sectors a track, numbered from 1. */
  readonly sectors: number;
  /**
   * Data rates at which it can be read. 5.25-inch double density turns at 300 rpm in its own drive and at 360 rpm in a 1.2M one, which makes
   * 250 and 300 kbit/s of the same disk; BIOSes disagree on which to use, so a disk answers at both.
   */
  readonly rates: readonly number[];
  /** The drive it was made in. */
  readonly drive: FloppyDriveType;
}

const doubleDensity = [dataRate.kbps250, dataRate.kbps300];
const highDensity = [dataRate.kbps500];

function format(name: string, cylinders: number, heads: number, sectors: number, rates: readonly number[], drive: FloppyDriveType): FloppyFormat {
  return { name, cylinders, heads, sectors, rates, drive };
}

/** By size: the standard formats, and those with more sectors a track that software was delivered on (DMF and kin). */
export const floppyFormats: readonly FloppyFormat[] = [
  format("160K", 40, 1, 8, doubleDensity, "360K"),
  format("180K", 40, 1, 9, doubleDensity, "360K"),
  format("320K", 40, 2, 8, doubleDensity, "360K"),
  format("360K", 40, 2, 9, doubleDensity, "360K"),
  format("720K", 80, 2, 9, [dataRate.kbps250], "720K"),
  format("800K", 80, 2, 10, [dataRate.kbps250], "720K"),
  format("1.2M", 80, 2, 15, highDensity, "1.2M"),
  format("1.44M", 80, 2, 18, highDensity, "1.44M"),
  format("1.6M", 80, 2, 20, highDensity, "1.44M"),
  format("1.68M", 80, 2, 21, highDensity, "1.44M"),
  format("1.72M", 82, 2, 21, highDensity, "1.44M"),
  format("2.88M", 80, 2, 36, [dataRate.mbps1], "2.88M"),
];

/** Those an incomplete image is taken for: nobody cuts off the others. */
const standardNames: readonly string[] = ["360K", "720K", "1.2M", "1.44M", "2.88M"];

export function formatBytes({ cylinders, heads, sectors }: FloppyFormat): number {
  return cylinders * heads * sectors * sectorBytes;
}

export class FloppySizeError extends Error {
  override readonly name = "FloppySizeError";
}

export interface FloppyLayout {
  readonly format: FloppyFormat;
  /** Bytes at the format's end that the image lacks: they read as zeros and cannot be written. 0 for a whole image. */
  readonly missing: number;
  /** For the user, when the image is incomplete. */
  readonly notice: string | null;
}

/**
 * The format of an image of `size` bytes. An image cut off behind its last used sector is taken for the next larger standard format, with a notice.
 * Errors: `FloppySizeError`, whose message says what would do.
 */
export function floppyFormat(size: number): FloppyLayout {
  const exact = floppyFormats.find((candidate) => formatBytes(candidate) === size);
  if (exact !== undefined) return { format: exact, missing: 0, notice: null };
  const sizes = `${floppyFormats.map((candidate) => `${candidate.name} (${formatBytes(candidate)})`).join(", ")} bytes`;
  const larger = floppyFormats.find((candidate) => standardNames.includes(candidate.name) && formatBytes(candidate) > size);
  if (!Number.isInteger(size) || size <= 0 || size % sectorBytes !== 0 || larger === undefined) {
    const why = size % sectorBytes !== 0 ? `not a multiple of ${sectorBytes}` : size <= 0 ? "empty" : "larger than any floppy";
    throw new FloppySizeError(`floppy image of ${size} bytes: ${why}; expected ${sizes}`);
  }
  const missing = formatBytes(larger) - size;
  const notice = `floppy image of ${size} bytes is no whole format; taken for ${larger.name}: its last ${missing} bytes read as zeros and cannot be written`;
  return { format: larger, missing, notice };
}

interface DriveTraits {
  /** CMOS drive type, register 10h (PS/2 and AT BIOS reference). */
  readonly cmos: number;
  readonly cylinders: number;
  /** Formats its heads and motor can take. */
  readonly reads: readonly FloppyDriveType[];
}

export const driveTraits: Readonly<Record<FloppyDriveType, DriveTraits>> = {
  "360K": { cmos: 1, cylinders: 40, reads: ["360K"] },
  "1.2M": { cmos: 2, cylinders: 80, reads: ["1.2M", "360K"] },
  "720K": { cmos: 3, cylinders: 80, reads: ["720K"] },
  "1.44M": { cmos: 4, cylinders: 80, reads: ["1.44M", "720K"] },
  "2.88M": { cmos: 5, cylinders: 80, reads: ["2.88M", "1.44M", "720K"] },
};

/** The drive a board fits for an image of this format: the one of its size that takes the others as well, should the disk be changed. */
export function floppyDriveFor({ drive }: FloppyFormat): FloppyDriveType {
  if (drive === "720K") return "1.44M";
  return drive === "360K" ? "1.2M" : drive;
}

/** What firmware finds in CMOS about drives A and B (null: not fitted): register 10h, and the bits of register 14h that speak of diskettes. */
export function floppyCmos(types: readonly (FloppyDriveType | null)[]): { readonly driveTypes: number; readonly equipment: number } {
  const [a, b] = [types[0] ?? null, types[1] ?? null];
  const code = (type: FloppyDriveType | null) => (type === null ? 0 : driveTraits[type].cmos);
  const count = Number(a !== null) + Number(b !== null);
  return { driveTypes: (code(a) << 4) | code(b), equipment: count === 0 ? 0 : 0x01 | ((count - 1) << 6) };
}
