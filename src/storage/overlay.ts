import { StorageError } from "./error.ts";
import { checkRequest, type DiskImage, type ImageDescription, sectorSize } from "./image.ts";
import type { Settling } from "./steps.ts";

const clusterSize = 64 << 10;
const perCluster = clusterSize / sectorSize;

interface Cluster {
  readonly bytes: Uint8Array;
  /** One byte for each sector: written or not. */
  readonly written: Uint8Array;
}

/** What was written over an image, as far as it can be kept: cluster number and content, with the sectors that count. */
export interface OverlayState {
  readonly clusters: readonly { readonly index: number; readonly bytes: Uint8Array; readonly written: Uint8Array }[];
}

/** Keeps what is written in memory and leaves the image below as it is (`--snapshot`). Whole sectors are kept, so that a write never waits for the image. */
export class SnapshotOverlay implements DiskImage {
  readonly size: number;
  readonly readOnly = false;
  private readonly base: DiskImage;
  private readonly name: string;
  private clusters = new Map<number, Cluster>();

  constructor(base: DiskImage) {
    this.base = base;
    this.name = base.describe().name;
    this.size = base.size;
  }

  read(offset: number, into: Uint8Array): Settling<void> {
    checkRequest(this.name, this.size, offset, into.length);
    const waiting: Promise<void>[] = [];
    for (let done = 0; done < into.length; ) {
      const { written, length } = this.stretch(offset + done, into.length - done);
      const part = into.subarray(done, done + length);
      if (written) this.copyOut(offset + done, part);
      else {
        const pending = this.base.read(offset + done, part);
        if (pending) waiting.push(pending);
      }
      done += length;
    }
    if (waiting.length > 0) return Promise.all(waiting).then(() => {});
  }

  write(offset: number, from: Uint8Array): void {
    checkRequest(this.name, this.size, offset, from.length);
    for (let done = 0; done < from.length; ) {
      const position = offset + done;
      const within = position % clusterSize;
      const length = Math.min(from.length - done, clusterSize - within);
      const cluster = this.clusterFor(Math.floor(position / clusterSize));
      cluster.bytes.set(from.subarray(done, done + length), within);
      cluster.written.fill(1, within / sectorSize, (within + length) / sectorSize);
      done += length;
    }
  }

  flush(): void {}

  close(): Settling<void> {
    this.clusters.clear();
    return this.base.close();
  }

  describe(): ImageDescription {
    return { ...this.base.describe(), readOnly: false, snapshot: true };
  }

  save(): OverlayState {
    return { clusters: Array.from(this.clusters, ([index, { bytes, written }]) => ({ index, bytes: bytes.slice(), written: written.slice() })) };
  }

  restore(state: OverlayState): void {
    this.clusters = new Map(state.clusters.map(({ index, bytes, written }) => [index, { bytes: bytes.slice(), written: written.slice() }]));
  }

  /** How much from `offset` on is all written, or all not. */
  private stretch(offset: number, limit: number): { readonly written: boolean; readonly length: number } {
    const isWritten = (position: number): boolean => {
      const cluster = this.clusters.get(Math.floor(position / clusterSize));
      return cluster !== undefined && cluster.written[(position % clusterSize) / sectorSize] === 1;
    };
    const written = isWritten(offset);
    let length = sectorSize;
    while (length < limit && isWritten(offset + length) === written) length += sectorSize;
    return { written, length };
  }

  private copyOut(offset: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const position = offset + done;
      const within = position % clusterSize;
      const length = Math.min(into.length - done, clusterSize - within);
      into.set(this.clusters.get(Math.floor(position / clusterSize))!.bytes.subarray(within, within + length), done);
      done += length;
    }
  }

  private clusterFor(index: number): Cluster {
    const known = this.clusters.get(index);
    if (known) return known;
    try {
      const made = { bytes: new Uint8Array(clusterSize), written: new Uint8Array(perCluster) };
      this.clusters.set(index, made);
      return made;
    } catch (cause) {
      throw new StorageError({
        kind: "full",
        file: this.name,
        offset: index * clusterSize,
        expected: "memory for what the guest writes",
        found: `none left after ${(this.clusters.size * clusterSize) >> 20} MiB`,
        hint: "run without --snapshot, on a copy of the image",
        cause,
      });
    }
  }
}
