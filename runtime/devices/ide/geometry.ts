/**
 * Cylinders, heads and sectors that a disk claims, as QEMU chooses them: from the ends of partitions in the master boot record where they show a
 * disk of at most 16 heads, else 16 heads of 63 sectors. Firmware maps these to what INT 13h shows by `translation`.
 */

export type Geometry = { readonly cylinders: number; readonly heads: number; readonly sectors: number };
/** How firmware's geometry follows from the drive's (QEMU's `bios-chs-trans`, and the two bits a drive has in CMOS registers 39h and 3Ah). */
export type Translation = "none" | "lba" | "large";

const maximumCylinders = 16383;
const largeLimit = 131_072;

export function standardGeometry(sectorCount: number): Geometry {
  const cylinders = Math.floor(sectorCount / (16 * 63));
  return { cylinders: Math.min(Math.max(cylinders, 2), maximumCylinders), heads: 16, sectors: 63 };
}

/** @param bootSector the first 512 bytes, or null where they could not be read */
export function guessGeometry(bootSector: Uint8Array | null, sectorCount: number): { geometry: Geometry; translation: Translation } {
  const standard = standardGeometry(sectorCount);
  const logical = bootSector === null ? null : partitionGeometry(bootSector, sectorCount);
  if (logical !== null && logical.heads <= 16) return { geometry: logical, translation: "none" };
  const large = standard.cylinders * standard.heads <= largeLimit;
  if (logical !== null) return { geometry: standard, translation: large ? "large" : "lba" };
  if (standard.cylinders <= 1024) return { geometry: standard, translation: "none" };
  return { geometry: standard, translation: large ? "large" : "lba" };
}

/** Partitions end at the end of a cylinder. */
function partitionGeometry(bootSector: Uint8Array, sectorCount: number): Geometry | null {
  if (bootSector[510] !== 0x55 || bootSector[511] !== 0xaa) return null;
  for (let entry = 0x1be; entry < 0x1fe; entry += 16) {
    const lastHead = bootSector[entry + 5];
    const sectors = bootSector[entry + 6] & 63;
    const isEmpty = bootSector.subarray(entry + 12, entry + 16).every((byte) => byte === 0);
    if (isEmpty || lastHead === 0 || sectors === 0) continue;
    const heads = lastHead + 1;
    const cylinders = Math.floor(sectorCount / (heads * sectors));
    if (cylinders >= 1 && cylinders <= maximumCylinders) return { cylinders, heads, sectors };
  }
  return null;
}
