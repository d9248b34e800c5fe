import { type ByteStore, readPadded } from "../byte-store.ts";
import type { Steps } from "../steps.ts";

/** A cluster of the image that holds an L2 table or a refcount block. */
export interface Table {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  dirty: boolean;
}

/**
 * Clusters of metadata in memory, least recently used first out. Changed ones stay until they are written: the order in which different kinds of metadata reach
 * the file is the image's business (image.ts).
 */
export class TableCache {
  private readonly store: ByteStore;
  private readonly clusterSize: number;
  private readonly limit: number;
  private readonly tables = new Map<number, Table>();
  private changed = 0;

  constructor(store: ByteStore, clusterSize: number, budget: number) {
    this.store = store;
    this.clusterSize = clusterSize;
    this.limit = Math.max(16, Math.floor(budget / clusterSize));
  }

  get dirty(): boolean {
    return this.changed > 0;
  }

  /** So many wait to be written that the cache is good for little else. */
  get crowded(): boolean {
    return this.changed > this.limit / 2;
  }

  cached(offset: number): Table | undefined {
    return this.tables.get(offset);
  }

  /** `offset` has been checked by the caller. The end of the file may cut off the table's unused end. */
  *load(offset: number): Steps<Table> {
    const known = this.tables.get(offset);
    if (known) {
      this.tables.delete(offset);
      this.tables.set(offset, known);
      return known;
    }
    const bytes = new Uint8Array(this.clusterSize);
    const waiting = readPadded(this.store, offset, bytes);
    if (waiting) yield waiting;
    return this.keep(offset, bytes, false);
  }

  /** A table that is not in the file yet. */
  insert(offset: number, bytes: Uint8Array): Table {
    this.drop(offset);
    return this.keep(offset, bytes, true);
  }

  touch(table: Table): void {
    if (!table.dirty) {
      table.dirty = true;
      this.changed++;
    }
    this.tables.set(table.offset, table);
  }

  /** Its cluster is used for something else from now on. */
  drop(offset: number): void {
    const table = this.tables.get(offset);
    if (table?.dirty) this.changed--;
    this.tables.delete(offset);
  }

  *write(): Steps<void> {
    const changed = [...this.tables.values()].filter((table) => table.dirty).sort((a, b) => a.offset - b.offset);
    for (const table of changed) {
      const waiting = this.store.write(table.offset, table.bytes);
      if (waiting) yield waiting;
      table.dirty = false;
      this.changed--;
    }
  }

  private keep(offset: number, bytes: Uint8Array, dirty: boolean): Table {
    const table: Table = { offset, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), dirty };
    if (dirty) this.changed++;
    this.tables.set(offset, table);
    for (const [place, other] of this.tables) {
      if (this.tables.size <= this.limit) break;
      if (!other.dirty && other !== table) this.tables.delete(place);
    }
    return table;
  }
}
