import type { ByteStore } from "../byte-store.ts";
import { StorageError } from "../error.ts";
import type { Steps } from "../steps.ts";
import { decodeL2, entryOffset, type L2Entry } from "./entries.ts";
import type { Qcow2Header } from "./header.ts";
import { type Table, TableCache } from "./tables.ts";

/** A stretch of the disk of one kind, contiguous in the file where it is data. `host` is where its first byte is. */
export interface Extent {
  readonly entry: L2Entry;
  readonly host: number;
  readonly length: number;
}

const damaged = "the image is damaged or truncated; ask: qemu-img check FILE";

/** Where in the file the disk's clusters are: the active L1 table, in memory as a whole, and L2 tables as they are needed. */
export class ClusterMap {
  readonly l1: DataView;
  readonly tables: TableCache;
  /** Clusters that one L2 table maps. */
  readonly perTable: number;
  private readonly store: ByteStore;
  private readonly header: Qcow2Header;

  constructor(store: ByteStore, header: Qcow2Header, l1: Uint8Array, budget: number) {
    this.store = store;
    this.header = header;
    this.l1 = new DataView(l1.buffer, l1.byteOffset, l1.length);
    this.tables = new TableCache(store, header.clusterSize, budget);
    this.perTable = header.clusterSize / 8;
    for (let index = 0; index < l1.length / 8; index++) this.checkL1(index);
  }

  /** Offset of the L2 table, 0 where there is none. A new one may still be in memory only. */
  tableOffset(index: number): number {
    return entryOffset(this.l1.getUint32(index * 8), this.l1.getUint32(index * 8 + 4));
  }

  *table(index: number): Steps<Table | undefined> {
    const offset = this.tableOffset(index);
    return offset === 0 ? undefined : yield* this.tables.load(offset);
  }

  entry(table: Table, index: number): L2Entry {
    const high = table.view.getUint32(index * 8);
    const low = table.view.getUint32(index * 8 + 4);
    const entry = decodeL2(high, low, this.header.clusterBits, this.header.version);
    const read = entry.kind === "data" || entry.kind === "compressed";
    const fault = entry.fault ?? (read && entry.host >= this.store.size ? `it is behind the end of the file (${this.store.size} bytes)` : undefined);
    if (fault) throw this.damage(table.offset + index * 8, "an L2 entry", high, low, fault);
    return entry;
  }

  /** The extent at `offset`, at most `length` bytes. */
  *extent(offset: number, length: number): Steps<Extent> {
    const { clusterSize } = this.header;
    const cluster = Math.floor(offset / clusterSize);
    const index = cluster % this.perTable;
    const within = offset % clusterSize;
    const table = yield* this.table(Math.floor(cluster / this.perTable));
    if (!table) {
      return { entry: unallocated, host: 0, length: Math.min(length, (this.perTable - index) * clusterSize - within) };
    }
    const entry = this.entry(table, index);
    const available = Math.min(length, (this.perTable - index) * clusterSize - within);
    let end = clusterSize - within;
    if (entry.kind !== "compressed") {
      for (let k = 1; end < available; k++, end += clusterSize) {
        const next = this.entry(table, index + k);
        if (next.kind !== entry.kind || (entry.kind === "data" && next.host !== entry.host + k * clusterSize)) break;
      }
    }
    return { entry, host: entry.host + within, length: Math.min(end, available) };
  }

  private checkL1(index: number): void {
    const high = this.l1.getUint32(index * 8);
    const low = this.l1.getUint32(index * 8 + 4);
    const offset = entryOffset(high, low);
    const fault =
      (high & 0x7f00_0000) !== 0 || (low & 0x1ff) !== 0
        ? "reserved bits are set"
        : offset % this.header.clusterSize !== 0
          ? "the table is not aligned"
          : offset >= this.store.size
            ? `the table is behind the end of the file (${this.store.size} bytes)`
            : undefined;
    if (fault) throw this.damage(this.header.l1Offset + index * 8, "an L1 entry", high, low, fault);
  }

  private damage(offset: number, expected: string, high: number, low: number, fault: string): StorageError {
    const value = ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16).padStart(16, "0");
    return new StorageError({ kind: "corrupt", file: this.store.name, offset, expected, found: `0x${value}: ${fault}`, hint: damaged });
  }
}

const unallocated: L2Entry = { kind: "unallocated", host: 0, copied: false, length: 0 };
