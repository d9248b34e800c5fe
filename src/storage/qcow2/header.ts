/**
 * The header of a qcow2 image and its extensions (QEMU's docs/interop/qcow2.txt, "Header", "Header extensions"). Everything is checked here against the format and
 * against the file's size, so that the rest may rely on it. All numbers are big-endian.
 */
import { type ByteStore, readPadded } from "../byte-store.ts";
import { StorageError, type StorageErrorKind } from "../error.ts";
import { qcowMagic } from "../signatures.ts";
import type { Steps } from "../steps.ts";

export interface Qcow2Header {
  readonly version: number;
  readonly clusterBits: number;
  readonly clusterSize: number;
  /** As the header has it; the guest sees whole sectors. */
  readonly size: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** A refcount has 1 << refcountOrder bits. */
  readonly refcountOrder: number;
  readonly snapshotCount: number;
  readonly snapshotsOffset: number;
  readonly dirty: boolean;
  readonly corrupt: boolean;
  readonly incompatible: bigint;
  readonly autoclear: bigint;
  readonly hasBitmaps: boolean;
  readonly backing?: { readonly name: string; readonly format: string | undefined };
}

/** Offsets of the fields that are written after creation. */
export const headerField = { refcountTable: 48, incompatible: 72, autoclear: 88 } as const;

export const incompatibleBit = { dirty: 0, corrupt: 1, externalData: 2, compressionType: 3, extendedL2: 4 } as const;

const fixedLength = 112;
/** QEMU's limits, beyond which no tool makes or reads images. */
const limits = { clusterBits: [9, 21], l1Bytes: 32 << 20, refcountTableBytes: 8 << 20, snapshots: 65536, backingName: 1023 } as const;
const extension = { end: 0, backingFormat: 0xe2792aca, featureNames: 0x6803f857, bitmaps: 0x23852875 } as const;

const unsupportedFeatures: Readonly<Record<number, readonly [name: string, hint: string]>> = {
  [incompatibleBit.externalData]: ["an external data file", "bring it into one file: qemu-img convert -O qcow2 FILE NEW.qcow2"],
  [incompatibleBit.extendedL2]: [
    "extended L2 entries (subclusters)",
    "rewrite it without: qemu-img convert -O qcow2 -o extended_l2=off FILE NEW.qcow2",
  ],
};

export function* readHeader(store: ByteStore): Steps<Qcow2Header> {
  const fixed = new Uint8Array(fixedLength);
  const waiting = readPadded(store, 0, fixed);
  if (waiting) yield waiting;
  const fields = new Fields(store, fixed);

  if (!qcowMagic.every((byte, i) => fixed[i] === byte))
    fields.refuse("corrupt", 0, "the qcow2 magic number", "something else", "this is no qcow2 image");
  const version = fields.u32(4);
  if (version === 1)
    fields.refuse("unsupported", 4, "qcow2 version 2 or 3", "qcow version 1", "convert it: qemu-img convert -O qcow2 FILE NEW.qcow2");
  if (version !== 2 && version !== 3) fields.refuse("unsupported", 4, "qcow2 version 2 or 3", `version ${version}`, damaged);
  if (store.size < (version === 2 ? 72 : 104)) fields.refuse("corrupt", store.size, "a complete header", "the end of the file", truncated);

  const crypt = fields.u32(32);
  if (crypt !== 0) {
    const method = ["", "AES", "LUKS"][crypt] ?? `method ${crypt}`;
    fields.refuse("unsupported", 32, "an image without encryption", `${method} encryption`, "decrypt it with: qemu-img convert --object secret,...");
  }
  const clusterBits = fields.u32(20);
  if (clusterBits < limits.clusterBits[0] || clusterBits > limits.clusterBits[1]) {
    fields.refuse("corrupt", 20, "cluster bits from 9 to 21 (512 bytes to 2 MiB)", String(clusterBits), damaged);
  }
  const clusterSize = 2 ** clusterBits;

  const headerLength = version === 2 ? 72 : fields.u32(100);
  if (version === 3 && (headerLength < 104 || headerLength % 8 !== 0 || headerLength > clusterSize)) {
    fields.refuse("corrupt", 100, "a header length from 104 to one cluster, a multiple of 8", String(headerLength), damaged);
  }
  const first = new Uint8Array(Math.min(clusterSize, store.size));
  const waitingForCluster = store.read(0, first);
  if (waitingForCluster) yield waitingForCluster;

  const extensions = readExtensions(store, first, headerLength, version);
  const incompatible = version === 2 ? 0n : fields.u64Bits(72);
  checkFeatures(fields, incompatible, headerLength > 104 ? fixed[104]! : 0, extensions.featureNames);

  const refcountOrder = version === 2 ? 4 : fields.u32(96);
  if (refcountOrder > 6) fields.refuse("corrupt", 96, "a refcount order from 0 to 6 (1 to 64 bits)", String(refcountOrder), damaged);

  const size = fields.u64(24, "a disk size");
  const l1Entries = fields.u32(36);
  const perL2 = clusterSize / 8;
  const l1Needed = Math.ceil(size / (clusterSize * perL2));
  if (l1Entries * 8 > limits.l1Bytes) fields.refuse("corrupt", 36, "an L1 table of at most 32 MiB", `${l1Entries} entries`, damaged);
  if (l1Entries < l1Needed) fields.refuse("corrupt", 36, `at least ${l1Needed} L1 entries for ${size} bytes`, String(l1Entries), damaged);
  const l1Offset = l1Entries === 0 ? 0 : fields.table(40, "the L1 table", clusterSize, l1Entries * 8);

  const refcountTableClusters = fields.u32(56);
  if (refcountTableClusters === 0 || refcountTableClusters * clusterSize > Math.max(limits.refcountTableBytes, clusterSize)) {
    fields.refuse("corrupt", 56, "a refcount table of 1 cluster to 8 MiB", `${refcountTableClusters} clusters`, damaged);
  }
  const refcountTableOffset = fields.table(48, "the refcount table", clusterSize, (refcountTableClusters - 1) * clusterSize + 8);
  if (overlap(l1Offset, l1Entries * 8, refcountTableOffset, refcountTableClusters * clusterSize)) {
    fields.refuse("corrupt", 48, "the refcount table beside the L1 table", "both at the same place", damaged);
  }

  const snapshotCount = fields.u32(60);
  if (snapshotCount > limits.snapshots) fields.refuse("corrupt", 60, `at most ${limits.snapshots} snapshots`, String(snapshotCount), damaged);
  const snapshotsOffset = snapshotCount === 0 ? 0 : fields.table(64, "the snapshot table", clusterSize, snapshotCount * 40);

  return {
    version,
    clusterBits,
    clusterSize,
    size,
    l1Entries,
    l1Offset,
    refcountTableOffset,
    refcountTableClusters,
    refcountOrder,
    snapshotCount,
    snapshotsOffset,
    dirty: hasBit(incompatible, incompatibleBit.dirty),
    corrupt: hasBit(incompatible, incompatibleBit.corrupt),
    incompatible,
    autoclear: version === 2 ? 0n : fields.u64Bits(88),
    hasBitmaps: extensions.hasBitmaps,
    backing: readBacking(fields, first, clusterSize, extensions.backingFormat),
  };
}

const damaged = "the image is damaged; ask: qemu-img check FILE";
const truncated = "the file is truncated: copy or download it again";

const hasBit = (bits: bigint, bit: number): boolean => ((bits >> BigInt(bit)) & 1n) === 1n;
const overlap = (a: number, aLength: number, b: number, bLength: number): boolean => aLength > 0 && bLength > 0 && a < b + bLength && b < a + aLength;

function checkFeatures(fields: Fields, incompatible: bigint, compressionType: number, names: ReadonlyMap<number, string>): void {
  const offset = headerField.incompatible;
  for (let bit = 0; bit < 64; bit++) {
    if (!hasBit(incompatible, bit)) continue;
    const unsupported = unsupportedFeatures[bit];
    if (unsupported) fields.refuse("unsupported", offset, "an image without features that are not built here", unsupported[0], unsupported[1]);
    if (bit > incompatibleBit.extendedL2) {
      const name = names.get(bit);
      const found = name ? `the feature "${name}" (bit ${bit})` : `feature bit ${bit}`;
      fields.refuse("unsupported", offset, "incompatible features that are known", found, "rewrite it: qemu-img convert -O qcow2 FILE NEW.qcow2");
    }
  }
  if (compressionType === 0 && !hasBit(incompatible, incompatibleBit.compressionType)) return;
  const found = compressionType === 1 ? "Zstandard" : `compression type ${compressionType}`;
  const hint = "rewrite it: qemu-img convert -O qcow2 -o compression_type=zlib FILE NEW.qcow2";
  fields.refuse("unsupported", 104, "clusters compressed by zlib", found, hint);
}

interface Extensions {
  backingFormat: string | undefined;
  hasBitmaps: boolean;
  /** Names of incompatible features by bit. */
  readonly featureNames: Map<number, string>;
}

function readExtensions(store: ByteStore, first: Uint8Array, start: number, version: number): Extensions {
  const found: Extensions = { backingFormat: undefined, hasBitmaps: false, featureNames: new Map() };
  const view = new DataView(first.buffer, first.byteOffset, first.length);
  const text = (from: number, length: number): string => new TextDecoder().decode(first.subarray(from, from + length)).replace(/\0.*$/s, "");
  // Where there is a backing file, its name ends the area; an image of version 2 may have no extensions and no end mark.
  const nameOffset = view.getUint32(8) === 0 ? view.getUint32(12) : 0;
  const end = nameOffset >= start && nameOffset < first.length ? nameOffset : first.length;
  let position = start;
  while (position + 8 <= end) {
    const type = view.getUint32(position);
    const length = view.getUint32(position + 4);
    if (type === extension.end) break;
    if (length > end - position - 8) {
      if (version === 2) break;
      throw new StorageError({
        kind: "corrupt",
        file: store.name,
        offset: position + 4,
        expected: `a header extension that ends before 0x${end.toString(16)}`,
        found: `one of ${length} bytes`,
        hint: damaged,
      });
    }
    const data = position + 8;
    if (type === extension.backingFormat) found.backingFormat = text(data, length);
    else if (type === extension.bitmaps) found.hasBitmaps = true;
    else if (type === extension.featureNames) {
      for (let entry = data; entry + 48 <= data + length; entry += 48) {
        if (first[entry] === 0) found.featureNames.set(first[entry + 1]!, text(entry + 2, 46));
      }
    }
    position = data + Math.ceil(length / 8) * 8;
  }
  return found;
}

function readBacking(fields: Fields, first: Uint8Array, clusterSize: number, format: string | undefined): Qcow2Header["backing"] {
  const offset = fields.u64(8, "the place of the backing file's name");
  if (offset === 0) return undefined;
  const length = fields.u32(16);
  if (length === 0) return undefined;
  if (length > limits.backingName)
    fields.refuse("corrupt", 16, `a backing file name of at most ${limits.backingName} bytes`, String(length), damaged);
  if (offset + length > clusterSize || offset + length > first.length) {
    fields.refuse("corrupt", 8, "the backing file's name in the first cluster", `offset 0x${offset.toString(16)}, ${length} bytes`, damaged);
  }
  return { name: new TextDecoder().decode(first.subarray(offset, offset + length)), format };
}

/** The fixed part of the header, with the checks that every field needs. */
class Fields {
  private readonly store: ByteStore;
  private readonly view: DataView;

  constructor(store: ByteStore, bytes: Uint8Array) {
    this.store = store;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u32(offset: number): number {
    return this.view.getUint32(offset);
  }

  u64Bits(offset: number): bigint {
    return this.view.getBigUint64(offset);
  }

  u64(offset: number, what: string): number {
    const value = this.u64Bits(offset);
    if (value > 2n ** 53n - 2n ** 22n) this.refuse("corrupt", offset, `${what} below 8 PiB`, value.toString(), damaged);
    return Number(value);
  }

  /** The place of a table: cluster-aligned, behind the header, inside the file. */
  table(offset: number, what: string, clusterSize: number, length: number): number {
    const place = this.u64(offset, `the place of ${what}`);
    const found = `0x${place.toString(16)}`;
    if (place % clusterSize !== 0 || place === 0) this.refuse("corrupt", offset, `${what} at a multiple of ${clusterSize}`, found, damaged);
    if (place + length > this.store.size) {
      this.refuse("corrupt", offset, `${what} inside the file (${this.store.size} bytes)`, `${length} bytes at ${found}`, truncated);
    }
    return place;
  }

  refuse(kind: StorageErrorKind, offset: number, expected: string, found: string, hint: string): never {
    throw new StorageError({ kind, file: this.store.name, offset, expected, found, hint });
  }
}
