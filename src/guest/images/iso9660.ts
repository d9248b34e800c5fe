/**
 * A CD in ISO 9660 (ECMA-119) that boots without emulation (El Torito 1.0). Names are of 8.3 characters, level 1, without extensions: enough for what boot
 * loaders read. Times are zero, so that the same files make the same bytes.
 */
import { directoryTree, type FileTree, type TreeDirectory, type TreeFile } from "./tree.ts";

const sector = 2048;
const systemArea = 16;
/** Virtual (512-byte) sectors of the boot image that the BIOS loads. */
const loadedSectors = 4;

export interface CdOptions {
  /** Path in the tree of the program that the BIOS loads and starts. */
  readonly boot: string;
  /** Whether the program wants to be told where it lies (ISOLINUX, GRUB): four words at its offset 8. */
  readonly bootInformation?: boolean;
  readonly volume?: string;
}

interface Placed {
  readonly node: TreeDirectory;
  readonly parent: number;
  /** First sector of its records, and their bytes. */
  place: number;
  length: number;
}

const encoder = new TextEncoder();
const sectorsOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / sector));

/** Bytes of a directory record whose identifier is that long (ECMA-119, 9.1): even. */
const recordLength = (identifier: number): number => (33 + identifier + 1) & ~1;

const fileIdentifier = (file: TreeFile): string => `${file.name.includes(".") ? file.name : `${file.name}.`};1`;

/** Bytes of all records of a directory; none crosses a sector's end. */
function directoryBytes(node: TreeDirectory): number {
  const names = [...node.directories.map(({ name }) => name.length), ...node.files.map((file) => fileIdentifier(file).length)];
  let at = 2 * recordLength(1);
  for (const name of names) {
    const length = recordLength(name);
    if ((at % sector) + length > sector) at += sector - (at % sector);
    at += length;
  }
  return sectorsOf(at) * sector;
}

class Writer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;

  constructor(sectors: number) {
    this.bytes = new Uint8Array(sectors * sector);
    this.view = new DataView(this.bytes.buffer);
  }

  text(at: number, value: string, length = value.length): void {
    this.bytes.fill(0x20, at, at + length);
    this.bytes.set(encoder.encode(value), at);
  }

  /** A number in both byte orders (7.2.3, 7.3.3). */
  both16(at: number, value: number): void {
    this.view.setUint16(at, value, true);
    this.view.setUint16(at + 2, value, false);
  }

  both32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
    this.view.setUint32(at + 4, value, false);
  }

  /** A directory record; `identifier` is a name, or the one byte of "this" and "parent". */
  record(at: number, identifier: string, place: number, length: number, isDirectory: boolean): number {
    const size = recordLength(identifier.length);
    this.bytes[at] = size;
    this.both32(at + 2, place);
    this.both32(at + 10, length);
    this.bytes[at + 25] = isDirectory ? 2 : 0;
    this.both16(at + 28, 1);
    this.bytes[at + 32] = identifier.length;
    this.bytes.set(encoder.encode(identifier), at + 33);
    return size;
  }
}

/** Directories in the order of the path table: level by level, each after its parent. */
function placedDirectories(root: TreeDirectory): Placed[] {
  const all: Placed[] = [{ node: root, parent: 0, place: 0, length: directoryBytes(root) }];
  for (let at = 0; at < all.length; at++) {
    for (const node of all[at]!.node.directories) all.push({ node, parent: at, place: 0, length: directoryBytes(node) });
  }
  return all;
}

/** The image of a CD with these files. */
export function buildCd(files: FileTree, options: CdOptions): Uint8Array<ArrayBuffer> {
  const directories = placedDirectories(directoryTree(files));
  const pathTableBytes = directories.reduce((sum, { node }) => sum + 8 + ((Math.max(1, node.name.length) + 1) & ~1), 0);
  const bootRecord = systemArea + 1;
  const catalogue = systemArea + 3;
  const pathTable = catalogue + 1;
  let next = pathTable + 2 * sectorsOf(pathTableBytes);
  for (const directory of directories) {
    directory.place = next;
    next += directory.length / sector;
  }
  const places = new Map<TreeFile, number>();
  for (const { node } of directories) {
    for (const file of node.files) {
      places.set(file, next);
      next += sectorsOf(file.data.length);
    }
  }

  const out = new Writer(next);
  volumeDescriptors(out, directories[0]!, { sectors: next, pathTable, pathTableBytes, volume: options.volume ?? "XLAT86" });
  for (const [order, littleEndian] of [true, false].entries())
    writePathTable(out, directories, pathTable + order * sectorsOf(pathTableBytes), littleEndian);
  for (const directory of directories) writeDirectory(out, directory, directories, places);
  for (const [file, place] of places) out.bytes.set(file.data, place * sector);

  const boot = [...places].find(([file]) => samePath(directories, file, options.boot));
  if (boot === undefined) throw new Error(`${options.boot}: not among the CD's files`);
  writeBootCatalogue(out, { bootRecord, catalogue, image: boot[1] });
  if (options.bootInformation) writeBootInformation(out, boot[1], boot[0].data.length);
  return out.bytes;
}

function samePath(directories: readonly Placed[], file: TreeFile, path: string): boolean {
  const place = directories.find(({ node }) => node.files.includes(file))!;
  let name = file.name;
  for (let at = place; at.node.name !== ""; at = directories[at.parent]!) name = `${at.node.name}/${name}`;
  return name === path.toUpperCase();
}

interface Layout {
  readonly sectors: number;
  readonly pathTable: number;
  readonly pathTableBytes: number;
  readonly volume: string;
}

/** Primary volume descriptor, the boot record's place is between it and the terminator (8.4, 8.2, 8.3). */
function volumeDescriptors(out: Writer, root: Placed, layout: Layout): void {
  const at = systemArea * sector;
  for (const [place, type] of [
    [at, 1],
    [at + sector, 0],
    [at + 2 * sector, 0xff],
  ] as const) {
    out.bytes[place] = type;
    out.text(place + 1, "CD001");
    out.bytes[place + 6] = 1;
  }
  out.text(at + 8, "", 32);
  out.text(at + 40, layout.volume, 32);
  out.both32(at + 80, layout.sectors);
  out.both16(at + 120, 1);
  out.both16(at + 124, 1);
  out.both16(at + 128, sector);
  out.both32(at + 132, layout.pathTableBytes);
  out.view.setUint32(at + 140, layout.pathTable, true);
  out.view.setUint32(at + 148, layout.pathTable + sectorsOf(layout.pathTableBytes), false);
  out.record(at + 156, "\0", root.place, root.length, true);
  // Identifiers of volume set, publisher, preparer and application, and file names: none.
  out.text(at + 190, "", 623);
  for (let date = 0; date < 4; date++) out.bytes.fill(0x30, at + 813 + 17 * date, at + 829 + 17 * date);
  out.bytes[at + 881] = 1;
}

function writePathTable(out: Writer, directories: readonly Placed[], firstSector: number, littleEndian: boolean): void {
  let at = firstSector * sector;
  for (const { node, parent, place } of directories) {
    const name = node.name === "" ? "\0" : node.name;
    out.bytes[at] = name.length;
    out.view.setUint32(at + 2, place, littleEndian);
    out.view.setUint16(at + 6, parent + 1, littleEndian);
    out.bytes.set(encoder.encode(name), at + 8);
    at += 8 + ((name.length + 1) & ~1);
  }
}

function writeDirectory(out: Writer, directory: Placed, all: readonly Placed[], places: ReadonlyMap<TreeFile, number>): void {
  const { node } = directory;
  const parent = all[directory.parent]!;
  let at = directory.place * sector;
  at += out.record(at, "\0", directory.place, directory.length, true);
  at += out.record(at, "\x01", parent.place, parent.length, true);
  const children = all.filter((child) => child !== directory && all[child.parent] === directory);
  const entries = [
    ...children.map((child) => ({ name: child.node.name, place: child.place, length: child.length, isDirectory: true })),
    ...node.files.map((file) => ({ name: fileIdentifier(file), place: places.get(file)!, length: file.data.length, isDirectory: false })),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const size = recordLength(entry.name.length);
    if ((at % sector) + size > sector) at += sector - (at % sector);
    at += out.record(at, entry.name, entry.place, entry.length, entry.isDirectory);
  }
}

/** El Torito 1.0, figures 2, 3 and 7. */
function writeBootCatalogue(out: Writer, place: { bootRecord: number; catalogue: number; image: number }): void {
  const record = place.bootRecord * sector;
  out.bytes.fill(0, record + 7, record + sector);
  out.bytes.set(encoder.encode("EL TORITO SPECIFICATION"), record + 7);
  out.view.setUint32(record + 0x47, place.catalogue, true);
  const at = place.catalogue * sector;
  out.bytes[at] = 1;
  out.view.setUint16(at + 0x1e, 0xaa55, true);
  // The words of the validation entry add up to zero.
  out.view.setUint16(at + 0x1c, -(0x0001 + 0xaa55), true);
  out.bytes[at + 0x20] = 0x88;
  out.view.setUint16(at + 0x26, loadedSectors, true);
  out.view.setUint32(at + 0x28, place.image, true);
}

/** The boot information table as mkisofs defines it: volume descriptor, file's place, length, and the sum of its words from offset 64 on. */
function writeBootInformation(out: Writer, place: number, length: number): void {
  const at = place * sector;
  let sum = 0;
  for (let offset = 64; offset < length; offset += 4) sum = (sum + out.view.getUint32(at + offset, true)) >>> 0;
  out.bytes.fill(0, at + 8, at + 64);
  for (const [k, value] of [systemArea, place, length, sum].entries()) out.view.setUint32(at + 8 + 4 * k, value, true);
}
