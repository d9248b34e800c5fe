/**
 * A FAT12 or FAT16 file system (Microsoft's FAT specification 1.03) with files of 8.3 names: what boot loaders on floppies and disks read. Which of the two it
 * is follows from the number of clusters, as the specification demands. Times are those of 1 January 1980.
 */
import { directoryTree, type FileTree, type TreeDirectory } from "./tree.ts";

const sector = 512;
const entryBytes = 32;
const directoryAttribute = 0x10;
const maxFat12Clusters = 4084;
const maxFat16Clusters = 65524;
const firstDate = (1 << 5) | 1;

export interface FatOptions {
  /** Bytes of the whole volume. */
  readonly size: number;
  /** What the BIOS calls head and sector, for software that reads by cylinder. */
  readonly heads: number;
  readonly sectorsPerTrack: number;
  readonly sectorsPerCluster: number;
  readonly rootEntries: number;
  /** F0h for 3.5-inch floppies, F8h for disks. */
  readonly mediaDescriptor: number;
  /** Sectors before the volume on its disk. */
  readonly hiddenSectors?: number;
  readonly label?: string;
}

/** A floppy of 2.88 MB. */
export const floppy2880: FatOptions = {
  size: 2880 << 10,
  heads: 2,
  sectorsPerTrack: 36,
  sectorsPerCluster: 2,
  rootEntries: 240,
  mediaDescriptor: 0xf0,
};

/** "NAME.EXT" as the eleven characters of a directory entry. */
function entryName(name: string): string {
  const [base, extension = ""] = name.split(".");
  return base!.padEnd(8) + extension.padEnd(3);
}

class Volume {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly fatSectors: number;
  readonly clusterBytes: number;
  readonly #options: FatOptions;
  readonly #clusters: number;
  readonly #is16: boolean;
  readonly #dataStart: number;
  #next = 2;

  constructor(options: FatOptions) {
    this.#options = options;
    this.bytes = new Uint8Array(options.size);
    this.view = new DataView(this.bytes.buffer);
    this.clusterBytes = options.sectorsPerCluster * sector;
    const rootSectors = (options.rootEntries * entryBytes) / sector;
    // The FATs take room from the clusters they describe: grow them until they fit.
    const clustersWith = (fat: number): number => Math.floor((options.size / sector - 1 - rootSectors - 2 * fat) / options.sectorsPerCluster);
    let fatSectors = 1;
    while (Math.ceil(((clustersWith(fatSectors) + 2) * (clustersWith(fatSectors) > maxFat12Clusters ? 2 : 1.5)) / sector) > fatSectors) fatSectors++;
    this.fatSectors = fatSectors;
    this.#clusters = clustersWith(fatSectors);
    if (this.#clusters > maxFat16Clusters) throw new Error(`${this.#clusters} clusters are too many for FAT16`);
    this.#is16 = this.#clusters > maxFat12Clusters;
    this.#dataStart = (1 + 2 * fatSectors + rootSectors) * sector;
    this.#bootSector();
    this.#setFat(0, 0xff00 | options.mediaDescriptor);
    this.#setFat(1, 0xffff);
  }

  get rootStart(): number {
    return (1 + 2 * this.fatSectors) * sector;
  }

  #bootSector(): void {
    const { bytes, view } = this;
    const options = this.#options;
    const sectors = options.size / sector;
    const text = (at: number, value: string): void => bytes.set(new TextEncoder().encode(value), at);
    bytes.set([0xeb, 0x3c, 0x90]);
    text(3, "XLAT86  ");
    view.setUint16(11, sector, true);
    bytes[13] = options.sectorsPerCluster;
    view.setUint16(14, 1, true);
    bytes[16] = 2;
    view.setUint16(17, options.rootEntries, true);
    if (sectors < 0x10000) view.setUint16(19, sectors, true);
    else view.setUint32(32, sectors, true);
    bytes[21] = options.mediaDescriptor;
    view.setUint16(22, this.fatSectors, true);
    view.setUint16(24, options.sectorsPerTrack, true);
    view.setUint16(26, options.heads, true);
    view.setUint32(28, options.hiddenSectors ?? 0, true);
    bytes[36] = options.mediaDescriptor === 0xf0 ? 0 : 0x80;
    bytes[38] = 0x29;
    view.setUint32(39, 0x8600_0086, true);
    text(43, (options.label ?? "XLAT86").padEnd(11));
    text(54, this.#is16 ? "FAT16   " : "FAT12   ");
    // INT 18h for whoever starts it before a boot loader has been put there: the BIOS tries the next device.
    bytes.set([0xcd, 0x18, 0xeb, 0xfe], 62);
    bytes.set([0x55, 0xaa], 510);
  }

  #setFat(cluster: number, value: number): void {
    for (let copy = 0; copy < 2; copy++) {
      const start = (1 + copy * this.fatSectors) * sector;
      if (this.#is16) this.view.setUint16(start + 2 * cluster, value, true);
      else {
        const at = start + cluster + (cluster >> 1);
        const old = this.view.getUint16(at, true);
        const entry = value & 0xfff;
        this.view.setUint16(at, cluster & 1 ? (old & 0x000f) | (entry << 4) : (old & 0xf000) | entry, true);
      }
    }
  }

  /** Takes a chain of clusters for that many bytes; returns the first one, 0 for none. */
  allocate(length: number): number {
    const count = Math.ceil(length / this.clusterBytes);
    if (count === 0) return 0;
    const first = this.#next;
    if (first + count > this.#clusters + 2) throw new Error("the files do not fit on the volume");
    for (let k = 0; k < count; k++) this.#setFat(first + k, k === count - 1 ? 0xffff : first + k + 1);
    this.#next += count;
    return first;
  }

  /** Where a cluster's bytes are: chains are contiguous, so a whole chain's too. */
  placeOf(cluster: number): number {
    return this.#dataStart + (cluster - 2) * this.clusterBytes;
  }

  entry(at: number, name: string, attribute: number, cluster: number, length: number): void {
    this.bytes.set(new TextEncoder().encode(name), at);
    this.bytes[at + 11] = attribute;
    for (const date of [16, 18, 24]) this.view.setUint16(at + date, firstDate, true);
    this.view.setUint16(at + 26, cluster, true);
    this.view.setUint32(at + 28, length, true);
  }

  root(node: TreeDirectory): void {
    let next = this.rootStart;
    const limit = next + this.#options.rootEntries * entryBytes;
    this.#children(node, 0, (name, attribute, cluster, length) => {
      if (next + entryBytes > limit) throw new Error("too many files in the root directory");
      this.entry(next, name, attribute, cluster, length);
      next += entryBytes;
    });
  }

  #children(node: TreeDirectory, own: number, add: (name: string, attribute: number, cluster: number, length: number) => void): void {
    for (const file of node.files) {
      const cluster = this.allocate(file.data.length);
      if (cluster !== 0) this.bytes.set(file.data, this.placeOf(cluster));
      add(entryName(file.name), 0x20, cluster, file.data.length);
    }
    for (const child of node.directories) {
      const length = (2 + child.files.length + child.directories.length) * entryBytes;
      const cluster = this.allocate(length);
      add(entryName(child.name), directoryAttribute, cluster, 0);
      let next = this.placeOf(cluster);
      const put = (name: string, attribute: number, first: number, size: number): void => {
        this.entry(next, name, attribute, first, size);
        next += entryBytes;
      };
      put(".".padEnd(11), directoryAttribute, cluster, 0);
      put("..".padEnd(11), directoryAttribute, own, 0);
      this.#children(child, cluster, put);
    }
  }
}

/** A volume with these files. */
export function buildFat(files: FileTree, options: FatOptions): Uint8Array<ArrayBuffer> {
  const volume = new Volume(options);
  volume.root(directoryTree(files));
  return volume.bytes;
}
