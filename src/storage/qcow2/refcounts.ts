/**
 * Who uses which cluster of the file (qcow2.txt, "Host cluster management"): a table of offsets of refcount blocks, each an array of counters of 1 to 64 bits. The
 * allocator is next-fit over the counters. Nothing here writes to the file but `writeBlocks` and `writeTable`, which the image calls in the right order: a counter
 * reaches the file before anything that relies on it, so that a crash can only leave clusters counted that nobody uses.
 */
import type { ByteStore } from "../byte-store.ts";
import { StorageError } from "../error.ts";
import type { Steps } from "../steps.ts";
import { headerField, type Qcow2Header } from "./header.ts";
import { type Table, TableCache } from "./tables.ts";

const maximumTableBytes = 8 << 20;
const damaged = "the image is damaged; repair it: qemu-img check -r all FILE";

export class Refcounts {
  readonly blocks: TableCache;
  /** Clusters (by number) that hold the image's own tables. They are never handed out, whatever the counters say. */
  readonly metadata: Set<number>;
  private readonly store: ByteStore;
  private readonly clusterSize: number;
  private readonly order: number;
  private readonly perBlock: number;
  private table: DataView;
  private tableOffset: number;
  private readonly changedEntries = new Set<number>();
  /** The table in the file is at another place and must be replaced as a whole. */
  private movedFrom: { readonly offset: number; readonly length: number } | undefined;
  private next = 0;

  constructor(store: ByteStore, header: Qcow2Header, table: Uint8Array, metadata: Set<number>, budget: number) {
    this.store = store;
    this.clusterSize = header.clusterSize;
    this.order = header.refcountOrder;
    this.perBlock = (header.clusterSize * 8) >> header.refcountOrder;
    this.table = new DataView(table.buffer, table.byteOffset, table.length);
    this.tableOffset = header.refcountTableOffset;
    this.metadata = metadata;
    this.blocks = new TableCache(store, header.clusterSize, budget);
    for (let index = 0; index < this.entries; index++) this.claimBlock(index);
  }

  get dirty(): boolean {
    return this.blocks.dirty || this.tableDirty;
  }

  get tableDirty(): boolean {
    return this.changedEntries.size > 0 || this.movedFrom !== undefined;
  }

  *get(cluster: number): Steps<number> {
    const block = yield* this.block(Math.floor(cluster / this.perBlock));
    return block ? this.counter(block, cluster % this.perBlock) : 0;
  }

  /** A cluster that nobody uses, counted once from now on: its offset in the file. */
  *allocate(): Steps<number> {
    for (let cluster = this.next; ; ) {
      const index = Math.floor(cluster / this.perBlock);
      const block = index < this.entries ? yield* this.block(index) : undefined;
      if (block) {
        const end = (index + 1) * this.perBlock;
        while (cluster < end && this.counter(block, cluster % this.perBlock) !== 0) cluster++;
        if (cluster === end) continue;
        this.refuseMetadata(cluster);
        this.setCounter(block, cluster % this.perBlock, 1);
        this.next = cluster + 1;
        return cluster * this.clusterSize;
      }
      if (index < this.entries) this.addBlock(index);
      else this.growTable();
    }
  }

  /** Gives back what `allocate` gave and nothing in the file refers to. */
  *release(offset: number): Steps<void> {
    const cluster = offset / this.clusterSize;
    const block = yield* this.block(Math.floor(cluster / this.perBlock));
    if (block) this.setCounter(block, cluster % this.perBlock, 0);
    this.next = Math.min(this.next, cluster);
  }

  /** One user less for every cluster that these bytes touch. Returns how many had no user to begin with: the image was damaged before. */
  *decrement(offset: number, length: number): Steps<number> {
    let unused = 0;
    for (let cluster = Math.floor(offset / this.clusterSize); cluster * this.clusterSize < offset + length; cluster++) {
      const block = yield* this.block(Math.floor(cluster / this.perBlock));
      const count = block ? this.counter(block, cluster % this.perBlock) : 0;
      if (count === 0 || this.metadata.has(cluster)) {
        unused++;
        continue;
      }
      this.setCounter(block!, cluster % this.perBlock, count - 1);
      if (count === 1) this.next = Math.min(this.next, cluster);
    }
    return unused;
  }

  writeBlocks(): Steps<void> {
    return this.blocks.write();
  }

  /** `barrier` makes what was written so far durable: a table must not point to blocks that are not there. Returns the bytes a former table occupied. */
  *writeTable(barrier: () => Steps<void>): Steps<{ readonly offset: number; readonly length: number } | undefined> {
    if (this.movedFrom === undefined) {
      for (const index of this.changedEntries) {
        const waiting = this.store.write(this.tableOffset + index * 8, new Uint8Array(this.table.buffer, this.table.byteOffset + index * 8, 8));
        if (waiting) yield waiting;
      }
      this.changedEntries.clear();
      return undefined;
    }
    const waiting = this.store.write(this.tableOffset, new Uint8Array(this.table.buffer, this.table.byteOffset, this.table.byteLength));
    if (waiting) yield waiting;
    yield* barrier();
    const fields = new DataView(new ArrayBuffer(12));
    fields.setBigUint64(0, BigInt(this.tableOffset));
    fields.setUint32(8, this.table.byteLength / this.clusterSize);
    const waitingForHeader = this.store.write(headerField.refcountTable, new Uint8Array(fields.buffer));
    if (waitingForHeader) yield waitingForHeader;
    yield* barrier();
    const former = this.movedFrom;
    this.movedFrom = undefined;
    this.changedEntries.clear();
    for (let at = former.offset; at < former.offset + former.length; at += this.clusterSize) this.metadata.delete(at / this.clusterSize);
    return former;
  }

  private get entries(): number {
    return this.table.byteLength / 8;
  }

  private blockOffset(index: number): number {
    return this.table.getUint32(index * 8) * 0x1_0000_0000 + this.table.getUint32(index * 8 + 4);
  }

  private setBlockOffset(index: number, offset: number): void {
    this.table.setUint32(index * 8, Math.floor(offset / 0x1_0000_0000));
    this.table.setUint32(index * 8 + 4, offset >>> 0);
    this.changedEntries.add(index);
  }

  private *block(index: number): Steps<Table | undefined> {
    const offset = index < this.entries ? this.blockOffset(index) : 0;
    if (offset === 0) return undefined;
    return this.blocks.cached(offset) ?? (yield* this.blocks.load(offset));
  }

  private claimBlock(index: number): void {
    const offset = this.blockOffset(index);
    if (offset === 0) return;
    const cluster = offset / this.clusterSize;
    const fault = !Number.isInteger(cluster)
      ? "a refcount block that is not aligned"
      : offset >= this.store.size
        ? "a refcount block behind the end of the file"
        : this.metadata.has(cluster)
          ? "a refcount block in the place of another table"
          : undefined;
    if (fault) throw this.damage(this.tableOffset + index * 8, "a refcount table", `${fault} (0x${offset.toString(16)})`);
    this.metadata.add(cluster);
  }

  /** A range without a block is unused: the new block takes the range's first cluster and counts itself. */
  private addBlock(index: number): void {
    const cluster = index * this.perBlock;
    this.refuseMetadata(cluster);
    const block = this.blocks.insert(cluster * this.clusterSize, new Uint8Array(this.clusterSize));
    this.setCounter(block, 0, 1);
    this.metadata.add(cluster);
    this.setBlockOffset(index, block.offset);
  }

  /**
   * A larger table goes where the present one does not reach, so that everything there is free: first the blocks that count the new area, then the table. Until the
   * header names the new table, all of this is invisible.
   */
  private growTable(): void {
    const start = this.entries * this.perBlock;
    let tableClusters = this.table.byteLength / this.clusterSize;
    let blocks = 0;
    do {
      tableClusters = Math.ceil((tableClusters * 3) / 2 + 0.5);
      blocks = 1;
      while (blocks * this.perBlock < blocks + tableClusters) blocks++;
    } while ((tableClusters * this.clusterSize) / 8 < this.entries + blocks);
    if (tableClusters * this.clusterSize > Math.max(maximumTableBytes, this.clusterSize)) {
      throw new StorageError({
        kind: "full",
        file: this.store.name,
        expected: "a refcount table of at most 8 MiB",
        found: "a file that needs a larger one",
        hint: "convert the image to larger clusters: qemu-img convert -O qcow2 -o cluster_size=64k FILE NEW.qcow2",
      });
    }
    const grown = new DataView(new ArrayBuffer(tableClusters * this.clusterSize));
    new Uint8Array(grown.buffer).set(new Uint8Array(this.table.buffer, this.table.byteOffset, this.table.byteLength));
    const firstEntry = this.entries;
    if (this.movedFrom) this.forgetTable();
    this.movedFrom ??= { offset: this.tableOffset, length: this.table.byteLength };
    this.table = grown;
    this.tableOffset = (start + blocks) * this.clusterSize;
    for (let k = 0; k < blocks; k++) {
      const block = this.blocks.insert((start + k) * this.clusterSize, new Uint8Array(this.clusterSize));
      this.setBlockOffset(firstEntry + k, block.offset);
      for (let i = 0; i < this.perBlock && k * this.perBlock + i < blocks + tableClusters; i++) this.setCounter(block, i, 1);
    }
    for (let cluster = start; cluster < start + blocks + tableClusters; cluster++) this.metadata.add(cluster);
  }

  /** The present table never reached the file. */
  private forgetTable(): void {
    for (let cluster = this.tableOffset / this.clusterSize, k = 0; k < this.table.byteLength / this.clusterSize; k++, cluster++) {
      const block = this.blocks.cached(this.blockOffset(Math.floor(cluster / this.perBlock)));
      if (block) this.setCounter(block, cluster % this.perBlock, 0);
      this.metadata.delete(cluster);
    }
  }

  private refuseMetadata(cluster: number): void {
    if (!this.metadata.has(cluster)) return;
    throw this.damage(cluster * this.clusterSize, "a free cluster where its refcount is 0", "one of the image's own tables");
  }

  private damage(offset: number, expected: string, found: string): StorageError {
    return new StorageError({ kind: "corrupt", file: this.store.name, offset, expected, found, hint: damaged });
  }

  private counter(block: Table, index: number): number {
    switch (this.order) {
      case 4:
        return block.view.getUint16(index * 2);
      case 3:
        return block.bytes[index]!;
      case 5:
        return block.view.getUint32(index * 4);
      case 6:
        return block.view.getUint32(index * 8) * 0x1_0000_0000 + block.view.getUint32(index * 8 + 4);
      default:
        return (block.bytes[(index << this.order) >> 3]! >> ((index << this.order) & 7)) & ((1 << (1 << this.order)) - 1);
    }
  }

  private setCounter(block: Table, index: number, count: number): void {
    switch (this.order) {
      case 4:
        block.view.setUint16(index * 2, count);
        break;
      case 3:
        block.bytes[index] = count;
        break;
      case 5:
        block.view.setUint32(index * 4, count);
        break;
      case 6:
        block.view.setUint32(index * 8, Math.floor(count / 0x1_0000_0000));
        block.view.setUint32(index * 8 + 4, count >>> 0);
        break;
      default: {
        const at = (index << this.order) >> 3;
        const shift = (index << this.order) & 7;
        const mask = ((1 << (1 << this.order)) - 1) << shift;
        block.bytes[at] = (block.bytes[at]! & ~mask) | (count << shift);
      }
    }
    this.blocks.touch(block);
  }
}
