/** Which floppy a file stands for. The formats are the drive's (runtime/devices/floppy/formats.ts); what a file of another size is taken for is said here. */
import { type FloppyFormat, floppyFormats, formatBytes, sectorBytes } from "../../runtime/devices/floppy/formats.ts";
import { StorageError } from "./error.ts";

const largest = Math.max(...floppyFormats.map(formatBytes));
/** For a file without a file system: a boot sector alone, say. */
const usual = ["1.44M", "2.88M"];

/**
 * The capacity of the floppy in a file of `fileSize` bytes that begins with `start`. One without its free end becomes what its FAT file system says that it is (the BIOS
 * parameter block), since another number of sectors a track would put every sector elsewhere; without a file system a floppy of 1.44 MB, or 2.88 MB if it is larger.
 * Errors: `StorageError`.
 */
export function floppyCapacity(name: string, fileSize: number, start: Uint8Array): number {
  if (floppyFormats.some((format) => formatBytes(format) === fileSize)) return fileSize;
  const roomy = floppyFormats.filter((format) => formatBytes(format) >= fileSize);
  const wanted = roomy.find((format) => isFormattedAs(format, start)) ?? roomy.find(({ name }) => usual.includes(name));
  if (wanted !== undefined) return formatBytes(wanted);
  throw new StorageError({
    kind: "unsupported",
    file: name,
    expected: `a floppy image of at most ${largest.toLocaleString("en-US")} bytes (2.88 MB)`,
    found: `${fileSize} bytes`,
    hint: "give it as a hard disk or CD",
  });
}

/** BIOS parameter block: bytes a sector at 0Bh, sectors at 13h, sectors a track at 18h, heads at 1Ah (Microsoft's FAT specification, section 3.1). */
function isFormattedAs(format: FloppyFormat, start: Uint8Array): boolean {
  if (start.length < 0x1c) return false;
  const view = new DataView(start.buffer, start.byteOffset, start.length);
  const sectors = formatBytes(format) / sectorBytes;
  const found = [view.getUint16(0x0b, true), view.getUint16(0x13, true), view.getUint16(0x18, true), view.getUint16(0x1a, true)];
  return [sectorBytes, sectors, format.sectors, format.heads].every((value, i) => found[i] === value);
}
