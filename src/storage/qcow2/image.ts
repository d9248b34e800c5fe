/**
 * A qcow2 image as a disk. What the guest writes goes to the file at once; changed metadata stays in memory and is written in an order in which every prefix is
 * a consistent image:
 *
 *   1. data (already written), refcount blocks     - counted, but not referred to
 *   2. the refcount table                          - behind the blocks that it points to
 *   3. L2 tables                                   - behind the data and behind the counters
 *   4. L1 entries                                  - behind the L2 tables that they point to
 *   5. counters of clusters that nobody refers to any more, and only now may those be used again
 *
 * with the host's flush between a stage and what relies on it. A crash between two flushes leaves at worst clusters counted that nobody uses; what was written before
 * the last flush is there. Operations are generators (steps.ts), one at a time when the image can be written.
 */
import { type ByteStore, notWritable, readPadded } from "../byte-store.ts";
import { StorageError } from "../error.ts";
import { checkRequest, type DiskImage, type ImageDescription, type ImageMedia, roundUp, sectorSize } from "../image.ts";
import { run, Serial, type Settling, type Steps } from "../steps.ts";
import { copiedBit, type L2Entry } from "./entries.ts";
import { headerField, incompatibleBit, type Qcow2Header } from "./header.ts";
import { inflateCluster } from "./inflate.ts";
import { ClusterMap } from "./map.ts";
import { Refcounts } from "./refcounts.ts";
import type { Snapshot, SnapshotTable } from "./snapshots.ts";
import type { Table } from "./tables.ts";

export interface Qcow2Options {
  readonly store: ByteStore;
  readonly header: Qcow2Header;
  readonly snapshots: SnapshotTable;
  readonly l1: Uint8Array;
  /** The refcount table's content; absent when the image is opened for reading. */
  readonly refcountTable: Uint8Array | undefined;
  readonly backing: DiskImage | undefined;
  readonly media: ImageMedia;
  readonly warnings: string[];
  /** Milliseconds from a write to a flush that nobody asked for; 0: none. */
  readonly idleFlush: number;
}

/** Memory for L2 tables (64 KiB of them map 512 MiB with usual clusters) and for refcount blocks. */
const l2Budget = 16 << 20;
const refcountBudget = 4 << 20;
const inflatedBudget = 4 << 20;

export class Qcow2Image implements DiskImage {
  readonly size: number;
  readonly readOnly: boolean;
  private readonly store: ByteStore;
  private readonly header: Qcow2Header;
  private readonly clusterSize: number;
  private readonly map: ClusterMap;
  private readonly refcounts: Refcounts | undefined;
  private readonly backing: DiskImage | undefined;
  private readonly snapshots: readonly Snapshot[];
  private readonly media: ImageMedia;
  private readonly warnings: string[];
  private readonly serial = new Serial();
  private readonly changedL1 = new Set<number>();
  /** Bytes that nothing in memory refers to any more, but the file may. */
  private unreferenced: { readonly offset: number; readonly length: number }[] = [];
  /** Decompressed clusters by the offset of their L2 entry's data. */
  private readonly inflated = new Map<number, Uint8Array>();
  private autoclear: bigint;
  private readonly idleFlush: number;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** The image contradicts itself: nothing more is written. */
  private failure: StorageError | undefined;

  constructor(options: Qcow2Options) {
    this.store = options.store;
    this.header = options.header;
    this.clusterSize = options.header.clusterSize;
    this.size = roundUp(options.header.size, sectorSize);
    this.snapshots = options.snapshots.snapshots;
    this.backing = options.backing;
    this.media = options.media;
    this.warnings = options.warnings;
    this.autoclear = options.header.autoclear;
    this.idleFlush = options.idleFlush;
    this.map = new ClusterMap(options.store, options.header, options.l1, l2Budget);
    this.readOnly = options.refcountTable === undefined;
    if (options.refcountTable) {
      const metadata = this.metadataClusters(options.snapshots.length);
      this.refcounts = new Refcounts(options.store, options.header, options.refcountTable, metadata, refcountBudget);
    }
  }

  read(offset: number, into: Uint8Array): Settling<void> {
    checkRequest(this.store.name, this.size, offset, into.length);
    // Nothing changes under a reader of a read-only image, so that many may wait for the host at the same time.
    return this.readOnly ? run(this.readSteps(offset, into)) : this.serial.run(() => this.readSteps(offset, into));
  }

  write(offset: number, from: Uint8Array): Settling<void> {
    checkRequest(this.store.name, this.size, offset, from.length);
    const { refcounts } = this;
    if (!refcounts) throw notWritable(this.store.name);
    this.flushLater();
    return this.serial.run(() => this.guarded(this.writeSteps(refcounts, offset, from)));
  }

  flush(): Settling<void> {
    const { refcounts } = this;
    clearTimeout(this.timer);
    this.timer = undefined;
    return refcounts && this.serial.run(() => this.guarded(this.flushSteps(refcounts)));
  }

  close(): Settling<void> {
    return run(this.closeSteps());
  }

  describe(): ImageDescription {
    return {
      name: this.store.name,
      format: "qcow2",
      media: this.media,
      size: this.size,
      fileSize: this.store.size,
      readOnly: this.readOnly,
      snapshot: false,
      clusterSize: this.clusterSize,
      version: this.header.version,
      backing: this.backing?.describe(),
      snapshots: this.snapshots.map(({ id, name, seconds }) => ({ id, name, seconds })),
      warnings: this.warnings,
    };
  }

  /** A guest that never flushes would lose everything if the host's process died: what was written is in the file, but where it is only in memory. */
  private flushLater(): void {
    if (this.idleFlush === 0 || this.timer !== undefined) return;
    const timer = setTimeout(() => {
      this.timer = undefined;
      // What failed stays in memory, and the guest's next flush says so.
      if (!this.failure) void run(this.attemptFlush());
    }, this.idleFlush);
    // In Node a timer would keep the process from ending.
    (timer as { unref?: () => void }).unref?.();
    this.timer = timer;
  }

  private *attemptFlush(): Steps<void> {
    try {
      const waiting = this.flush();
      if (waiting) yield waiting;
    } catch {
      // See flushLater.
    }
  }

  private *readSteps(offset: number, into: Uint8Array): Steps<void> {
    for (let done = 0; done < into.length; ) {
      const { entry, host, length } = yield* this.map.extent(offset + done, into.length - done);
      const part = into.subarray(done, done + length);
      const waiting = entry.kind === "data" ? readPadded(this.store, host, part) : undefined;
      if (waiting) yield waiting;
      if (entry.kind === "zero") part.fill(0);
      else if (entry.kind === "unallocated") yield* this.readBacking(offset + done, part);
      else if (entry.kind === "compressed") {
        const cluster = yield* this.inflate(entry);
        const within = (offset + done) % this.clusterSize;
        part.set(cluster.subarray(within, within + length));
      }
      done += length;
    }
  }

  /** A backing file may be shorter than the disk over it. */
  private *readBacking(offset: number, into: Uint8Array): Steps<void> {
    const present = this.backing ? Math.max(0, Math.min(into.length, this.backing.size - offset)) : 0;
    into.fill(0, present);
    const waiting = present > 0 ? this.backing!.read(offset, into.subarray(0, present)) : undefined;
    if (waiting) yield waiting;
  }

  private *inflate(entry: L2Entry): Steps<Uint8Array> {
    const known = this.inflated.get(entry.host);
    if (known) return known;
    const compressed = new Uint8Array(Math.min(entry.length, this.store.size - entry.host));
    const waiting = this.store.read(entry.host, compressed);
    if (waiting) yield waiting;
    const cluster = inflateCluster(compressed, this.clusterSize);
    if (!cluster) {
      throw this.damage(entry.host, `a compressed cluster of ${this.clusterSize} bytes`, "data that cannot be decompressed to it");
    }
    this.inflated.set(entry.host, cluster);
    for (const oldest of this.inflated.keys()) {
      if (this.inflated.size * this.clusterSize <= Math.max(inflatedBudget, 2 * this.clusterSize)) break;
      this.inflated.delete(oldest);
    }
    return cluster;
  }

  private *writeSteps(refcounts: Refcounts, offset: number, from: Uint8Array): Steps<void> {
    if (this.autoclear !== 0n) yield* this.clearAutoclear();
    if (this.map.tables.crowded || refcounts.blocks.crowded) yield* this.writeMetadata(refcounts);
    for (let done = 0; done < from.length; ) {
      const position = offset + done;
      const cluster = Math.floor(position / this.clusterSize);
      const table = yield* this.tableForWriting(refcounts, Math.floor(cluster / this.map.perTable));
      done += yield* this.writeRun(refcounts, table, cluster % this.map.perTable, position, from.subarray(done));
    }
  }

  /** Writes as much of `from` as can go to the file in one piece. Returns its length. */
  private *writeRun(refcounts: Refcounts, table: Table, first: number, position: number, from: Uint8Array): Steps<number> {
    const { clusterSize } = this;
    const within = position % clusterSize;
    const entry = this.map.entry(table, first);
    if (entry.kind === "data" && entry.copied) {
      yield* this.checkOwned(refcounts, table, first, entry);
      let end = clusterSize - within;
      for (let k = 1; end < from.length && first + k < this.map.perTable; k++, end += clusterSize) {
        const next = this.map.entry(table, first + k);
        if (next.kind !== "data" || !next.copied || next.host !== entry.host + k * clusterSize) break;
        yield* this.checkOwned(refcounts, table, first + k, next);
      }
      const length = Math.min(end, from.length);
      const waiting = this.store.write(entry.host + within, from.subarray(0, length));
      if (waiting) yield waiting;
      return length;
    }
    if (within !== 0 || from.length < clusterSize) return yield* this.writePart(refcounts, table, first, position, from);
    return yield* this.writeClusters(refcounts, table, first, from);
  }

  /** Whole clusters, to new places one behind the other. */
  private *writeClusters(refcounts: Refcounts, table: Table, first: number, from: Uint8Array): Steps<number> {
    const { clusterSize } = this;
    const whole = Math.min(Math.floor(from.length / clusterSize), this.map.perTable - first);
    const places: number[] = [];
    try {
      while (places.length < whole) {
        const entry = this.map.entry(table, first + places.length);
        if (entry.kind === "data" && entry.copied) break;
        const place = yield* this.placeFor(refcounts, table, first + places.length, entry);
        if (places.length > 0 && place !== places[0]! + places.length * clusterSize) {
          if (place !== entry.host) yield* refcounts.release(place);
          break;
        }
        places.push(place);
      }
      const waiting = this.store.write(places[0]!, from.subarray(0, places.length * clusterSize));
      if (waiting) yield waiting;
    } catch (error) {
      yield* this.abandon(refcounts, table, first, places);
      throw error;
    }
    for (const [k, place] of places.entries()) this.link(table, first + k, place);
    return places.length * clusterSize;
  }

  /** A part of one cluster: the rest of it is copied from where it was. */
  private *writePart(refcounts: Refcounts, table: Table, index: number, position: number, from: Uint8Array): Steps<number> {
    const { clusterSize } = this;
    const within = position % clusterSize;
    const length = Math.min(clusterSize - within, from.length);
    const start = position - within;
    const entry = this.map.entry(table, index);
    const wasZero = entry.kind === "zero" || (entry.kind === "unallocated" && start >= (this.backing?.size ?? 0));
    const place = yield* this.placeFor(refcounts, table, index, entry);
    try {
      if (wasZero && place >= this.store.size) {
        // Behind the file's end everything reads as zeros: the part alone will do.
        const waiting = this.store.write(place + within, from.subarray(0, length));
        if (waiting) yield waiting;
        if (this.store.size < place + clusterSize) {
          const waitingForSize = this.store.resize(place + clusterSize);
          if (waitingForSize) yield waitingForSize;
        }
      } else {
        const cluster = new Uint8Array(clusterSize);
        if (!wasZero) yield* this.readSteps(start, cluster.subarray(0, Math.min(clusterSize, this.size - start)));
        cluster.set(from.subarray(0, length), within);
        const waiting = this.store.write(place, cluster);
        if (waiting) yield waiting;
      }
    } catch (error) {
      yield* this.abandon(refcounts, table, index, [place]);
      throw error;
    }
    this.link(table, index, place);
    return length;
  }

  /** Where a cluster's new content goes: a zero cluster may have its place already. */
  private *placeFor(refcounts: Refcounts, table: Table, index: number, entry: L2Entry): Steps<number> {
    if (entry.kind === "zero" && entry.copied && entry.host !== 0) {
      yield* this.checkOwned(refcounts, table, index, entry);
      return entry.host;
    }
    return yield* refcounts.allocate();
  }

  /** The host refused the data: clusters taken for it are free again. */
  private *abandon(refcounts: Refcounts, table: Table, first: number, places: readonly number[]): Steps<void> {
    for (const [k, place] of places.entries()) {
      if (place !== this.map.entry(table, first + k).host) yield* refcounts.release(place);
    }
  }

  private link(table: Table, index: number, place: number): void {
    const former = this.map.entry(table, index);
    if (former.host !== 0 && former.host !== place) {
      this.unreferenced.push({ offset: former.host, length: former.kind === "compressed" ? former.length : this.clusterSize });
      this.inflated.delete(former.host);
    }
    setEntry(table.view, index, place);
    this.map.tables.touch(table);
  }

  /** The L2 table of an L1 entry, made or copied first where it is missing or shared with a snapshot. */
  private *tableForWriting(refcounts: Refcounts, index: number): Steps<Table> {
    const former = this.map.tableOffset(index);
    const owned = (this.map.l1.getUint32(index * 8) & copiedBit) !== 0;
    const table = former === 0 ? undefined : yield* this.map.tables.load(former);
    if (table && owned) {
      // Once it is changed it has been looked at.
      if (!table.dirty && (yield* refcounts.get(former / this.clusterSize)) !== 1) {
        throw this.damage(this.header.l1Offset + index * 8, "an L1 entry for a table used once", `another refcount of 0x${former.toString(16)}`);
      }
      return table;
    }
    const offset = yield* refcounts.allocate();
    refcounts.metadata.add(offset / this.clusterSize);
    const made = this.map.tables.insert(offset, table ? table.bytes.slice() : new Uint8Array(this.clusterSize));
    if (former !== 0) {
      this.unreferenced.push({ offset: former, length: this.clusterSize });
      refcounts.metadata.delete(former / this.clusterSize);
    }
    setEntry(this.map.l1, index, offset);
    this.changedL1.add(index);
    return made;
  }

  /** Before data is written in place: the cluster must be the disk's alone and none of the image's tables. */
  private *checkOwned(refcounts: Refcounts, table: Table, index: number, entry: L2Entry): Steps<void> {
    const cluster = entry.host / this.clusterSize;
    const isTable = refcounts.metadata.has(cluster);
    if (!isTable && (yield* refcounts.get(cluster)) === 1) return;
    const found = isTable ? "one of the image's own tables" : "a cluster with another refcount";
    throw this.damage(table.offset + index * 8, "an L2 entry for a cluster used once", `${found} (0x${entry.host.toString(16)})`);
  }

  private *flushSteps(refcounts: Refcounts): Steps<void> {
    yield* this.writeMetadata(refcounts);
    yield* this.barrier();
    yield* this.releaseUnreferenced(refcounts);
  }

  private *writeMetadata(refcounts: Refcounts): Steps<void> {
    if (refcounts.blocks.dirty) yield* refcounts.writeBlocks();
    if (refcounts.tableDirty) {
      yield* this.barrier();
      const former = yield* refcounts.writeTable(() => this.barrier());
      if (former) this.unreferenced.push(former);
    }
    if (this.map.tables.dirty) {
      yield* this.barrier();
      yield* this.map.tables.write();
    }
    if (this.changedL1.size > 0) {
      yield* this.barrier();
      for (const index of this.changedL1) {
        const waiting = this.store.write(this.header.l1Offset + index * 8, new Uint8Array(this.map.l1.buffer, this.map.l1.byteOffset + index * 8, 8));
        if (waiting) yield waiting;
      }
      this.changedL1.clear();
    }
  }

  private *releaseUnreferenced(refcounts: Refcounts): Steps<void> {
    if (this.unreferenced.length === 0) return;
    const released = this.unreferenced;
    this.unreferenced = [];
    for (const { offset, length } of released) {
      const unused = yield* refcounts.decrement(offset, length);
      if (unused > 0) this.warnings.push(`a cluster at 0x${offset.toString(16)} was in use though its refcount was 0: run qemu-img check`);
    }
    yield* refcounts.writeBlocks();
  }

  private *barrier(): Steps<void> {
    const waiting = this.store.flush();
    if (waiting) yield waiting;
  }

  /** Features that describe the content (dirty bitmaps) are void once somebody writes who does not know them. */
  private *clearAutoclear(): Steps<void> {
    const waiting = this.store.write(headerField.autoclear, new Uint8Array(8));
    if (waiting) yield waiting;
    yield* this.barrier();
    this.autoclear = 0n;
  }

  /** Contradictions found on the way end all writing, and are noted in the file as QEMU does. */
  private *guarded(steps: Steps<void>): Steps<void> {
    if (this.failure) throw this.failure;
    try {
      yield* steps;
    } catch (error) {
      if (error instanceof StorageError && error.kind === "corrupt" && error.file === this.store.name) {
        this.failure = error;
        yield* this.markCorrupt();
      }
      throw error;
    }
  }

  private *markCorrupt(): Steps<void> {
    if (this.header.version < 3) return;
    const field = new DataView(new ArrayBuffer(8));
    field.setBigUint64(0, this.header.incompatible | (1n << BigInt(incompatibleBit.corrupt)));
    try {
      const waiting = this.store.write(headerField.incompatible, new Uint8Array(field.buffer));
      if (waiting) yield waiting;
    } catch {
      // The first error says more.
    }
  }

  private *closeSteps(): Steps<void> {
    clearTimeout(this.timer);
    let failure: { readonly reason: unknown } | undefined;
    for (const end of [() => (this.failure ? undefined : this.flush()), () => this.store.close(), () => this.backing?.close()]) {
      try {
        const waiting = end();
        if (waiting) yield waiting;
      } catch (reason) {
        failure ??= { reason };
      }
    }
    if (failure) throw failure.reason;
  }

  /** Clusters of the header and of all tables but refcount blocks. Two tables in one place are an error. */
  private metadataClusters(snapshotTableLength: number): Set<number> {
    const { header } = this;
    const clusters = new Set<number>([0]);
    const claim = (offset: number, length: number, what: string): void => {
      for (let cluster = offset / this.clusterSize; cluster * this.clusterSize < offset + length; cluster++) {
        if (clusters.has(cluster)) throw this.damage(cluster * this.clusterSize, `${what} alone in its place`, "another table there");
        clusters.add(cluster);
      }
    };
    claim(header.l1Offset, header.l1Entries * 8, "the L1 table");
    claim(header.refcountTableOffset, header.refcountTableClusters * this.clusterSize, "the refcount table");
    claim(header.snapshotsOffset, snapshotTableLength, "the snapshot table");
    for (const { l1Offset, l1Entries } of this.snapshots) claim(l1Offset, l1Entries * 8, "a snapshot's L1 table");
    for (let index = 0; index < header.l1Entries; index++) {
      const offset = this.map.tableOffset(index);
      if (offset !== 0) claim(offset, this.clusterSize, "an L2 table");
    }
    return clusters;
  }

  private damage(offset: number, expected: string, found: string): StorageError {
    const hint = "the image is damaged or truncated; ask: qemu-img check FILE";
    return new StorageError({ kind: "corrupt", file: this.store.name, offset, expected, found, hint });
  }
}

/** A table entry for a cluster that is used once. */
function setEntry(view: DataView, index: number, offset: number): void {
  view.setUint32(index * 8, copiedBit | Math.floor(offset / 0x1_0000_0000));
  view.setUint32(index * 8 + 4, offset >>> 0);
}
