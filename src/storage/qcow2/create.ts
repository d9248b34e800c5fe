/** A new, empty qcow2 image of version 3: over a backing file it keeps what is written to a disk that is kept elsewhere (a web server, a file that must not change). */
import type { ByteStore } from "../byte-store.ts";
import { StorageError } from "../error.ts";
import { type ImageFormat, roundUp, sectorSize } from "../image.ts";
import { qcowMagic } from "../signatures.ts";
import { run, type Settling, type Steps } from "../steps.ts";

export interface CreateOptions {
  /** Capacity in bytes. */
  readonly size: number;
  /** A power of two from 512 to 2 MiB; 64 KiB where it is not given. */
  readonly clusterSize?: number;
  readonly backing?: { readonly name: string; readonly format: ImageFormat };
}

const headerLength = 104;
const refcountOrder = 4;
const backingFormatExtension = 0xe2792aca;

/** Replaces what the store contains. */
export function createQcow2(store: ByteStore, options: CreateOptions): Settling<void> {
  return run(createSteps(store, options));
}

function* createSteps(store: ByteStore, options: CreateOptions): Steps<void> {
  const clusterSize = options.clusterSize ?? 64 << 10;
  const size = roundUp(options.size, sectorSize);
  const clusterBits = Math.log2(clusterSize);
  const refuse = (expected: string, found: string): StorageError =>
    new StorageError({ kind: "request", file: store.name, expected, found, hint: "choose another" });
  if (!Number.isInteger(clusterBits) || clusterBits < 9 || clusterBits > 21)
    throw refuse("a cluster size of 512 bytes to 2 MiB, a power of two", `${clusterSize}`);
  const l1Entries = Math.ceil(size / (clusterSize * (clusterSize / 8)));
  if (l1Entries * 8 > 32 << 20 || !Number.isSafeInteger(size) || size < 0)
    throw refuse("a disk size that clusters of this size can map", `${size} bytes`);
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterSize);

  // Header, refcount table, refcount blocks, L1 table, one behind the other; the blocks count themselves and all the rest.
  const perBlock = (clusterSize * 8) >> refcountOrder;
  let blocks = 1;
  const tableFor = (count: number): number => Math.ceil((count * 8) / clusterSize);
  while (blocks * perBlock < 1 + tableFor(blocks) + blocks + l1Clusters) blocks++;
  const tableClusters = tableFor(blocks);
  const used = 1 + tableClusters + blocks + l1Clusters;
  const bytes = new Uint8Array(used * clusterSize);
  const view = new DataView(bytes.buffer);
  const firstBlock = 1 + tableClusters;
  bytes.set(qcowMagic);
  view.setUint32(4, 3);
  view.setUint32(20, clusterBits);
  view.setBigUint64(24, BigInt(size));
  view.setUint32(36, l1Entries);
  view.setBigUint64(40, BigInt((firstBlock + blocks) * clusterSize));
  view.setBigUint64(48, BigInt(clusterSize));
  view.setUint32(56, tableClusters);
  view.setUint32(96, refcountOrder);
  view.setUint32(100, headerLength);
  if (options.backing) writeBacking(view, bytes, clusterSize, options.backing, refuse);
  for (let k = 0; k < blocks; k++) view.setBigUint64(clusterSize + k * 8, BigInt((firstBlock + k) * clusterSize));
  for (let cluster = 0; cluster < used; cluster++) view.setUint16(firstBlock * clusterSize + cluster * 2, 1);

  for (const step of [() => store.resize(0), () => store.write(0, bytes), () => store.flush()]) {
    const waiting = step();
    if (waiting) yield waiting;
  }
}

function writeBacking(
  view: DataView,
  bytes: Uint8Array,
  clusterSize: number,
  backing: { readonly name: string; readonly format: ImageFormat },
  refuse: (expected: string, found: string) => StorageError,
): void {
  const name = new TextEncoder().encode(backing.name);
  const format = new TextEncoder().encode(backing.format);
  view.setUint32(headerLength, backingFormatExtension);
  view.setUint32(headerLength + 4, format.length);
  bytes.set(format, headerLength + 8);
  // An end mark of 8 bytes follows the extension, and the name the end mark.
  const offset = headerLength + 8 + roundUp(format.length, 8) + 8;
  if (name.length > 1023 || offset + name.length > clusterSize)
    throw refuse("a backing file name that fits into the first cluster", `${name.length} bytes`);
  view.setBigUint64(8, BigInt(offset));
  view.setUint32(16, name.length);
  bytes.set(name, offset);
}
