/** A hard disk with one partition: a master boot record (partition table of four entries at 1BEh) and what is in the gap before the partition. */

const sector = 512;
const tableOffset = 0x1be;
/** Code in the master boot record ends where the disk signature begins. */
const codeBytes = 440;
/** Where partitioning tools have put the first partition for years: 1 MiB. */
export const firstPartitionSector = 2048;
/** Heads and sectors that BIOSes give disks of this size; addresses behind cylinder 1023 are never used. */
export const diskHeads = 16;
export const diskSectorsPerTrack = 63;
const fat16 = 0x0e;

export interface DiskParts {
  /** The code of the master boot record, up to 440 bytes of it. */
  readonly boot: Uint8Array;
  /** What follows the master boot record, before the partition. */
  readonly gap?: Uint8Array;
  readonly partition: Uint8Array;
}

function cylinderHeadSector(block: number): [number, number, number] {
  const track = Math.floor(block / diskSectorsPerTrack);
  const cylinder = Math.min(1023, Math.floor(track / diskHeads));
  return [track % diskHeads, ((block % diskSectorsPerTrack) + 1) | ((cylinder >> 2) & 0xc0), cylinder & 0xff];
}

export function buildDisk({ boot, gap, partition }: DiskParts): Uint8Array<ArrayBuffer> {
  const start = firstPartitionSector * sector;
  if (gap !== undefined && sector + gap.length > start) throw new Error(`${gap.length} bytes do not fit before the partition`);
  const image = new Uint8Array(start + partition.length);
  image.set(boot.subarray(0, codeBytes));
  image.set(gap ?? [], sector);
  image.set(partition, start);
  const view = new DataView(image.buffer);
  view.setUint32(codeBytes, 0x8600_0086, true);
  const sectors = partition.length / sector;
  image.set([0x80, ...cylinderHeadSector(firstPartitionSector), fat16, ...cylinderHeadSector(firstPartitionSector + sectors - 1)], tableOffset);
  view.setUint32(tableOffset + 8, firstPartitionSector, true);
  view.setUint32(tableOffset + 12, sectors, true);
  image.set([0x55, 0xaa], 510);
  return image;
}
