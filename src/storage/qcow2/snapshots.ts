import type { ByteStore } from "../byte-store.ts";
import { StorageError } from "../error.ts";
import type { Steps } from "../steps.ts";
import type { Qcow2Header } from "./header.ts";

/** An internal snapshot: another L1 table over the same clusters. They are kept as they are; writes go around them by copying. */
export interface Snapshot {
  readonly id: string;
  readonly name: string;
  /** When it was taken, in seconds since 1970. */
  readonly seconds: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
}

export interface SnapshotTable {
  readonly snapshots: readonly Snapshot[];
  /** Bytes the table occupies in the file. */
  readonly length: number;
}

const entryHeader = 40;
/** QEMU makes no entries with more than 1 KiB of extra data; identifier and name have 16-bit lengths. */
const maximumExtra = 1024;

export function* readSnapshots(store: ByteStore, header: Qcow2Header): Steps<SnapshotTable> {
  const snapshots: Snapshot[] = [];
  let offset = header.snapshotsOffset;
  const damage = (expected: string, found: string): StorageError =>
    new StorageError({ kind: "corrupt", file: store.name, offset, expected, found, hint: "the image is damaged; ask: qemu-img check FILE" });
  const within = (length: number): void => {
    if (offset + length > store.size) throw damage("a snapshot table entry", "the end of the file");
  };
  for (let i = 0; i < header.snapshotCount; i++) {
    within(entryHeader);
    const fixed = new Uint8Array(entryHeader);
    const waiting = store.read(offset, fixed);
    if (waiting) yield waiting;
    const view = new DataView(fixed.buffer);
    const idLength = view.getUint16(12);
    const nameLength = view.getUint16(14);
    const extra = view.getUint32(36);
    if (extra > maximumExtra) throw damage(`at most ${maximumExtra} bytes of extra data in a snapshot`, String(extra));
    within(entryHeader + extra + idLength + nameLength);
    const strings = new Uint8Array(idLength + nameLength);
    const waitingForStrings = store.read(offset + entryHeader + extra, strings);
    if (waitingForStrings) yield waitingForStrings;
    const l1Offset = Number(view.getBigUint64(0));
    const l1Entries = view.getUint32(8);
    if (l1Offset % header.clusterSize !== 0 || l1Offset + l1Entries * 8 > store.size || (l1Entries > 0 && l1Offset === 0)) {
      throw damage("a snapshot's L1 table inside the file, cluster-aligned", `${l1Entries} entries at 0x${l1Offset.toString(16)}`);
    }
    const text = new TextDecoder();
    snapshots.push({
      id: text.decode(strings.subarray(0, idLength)),
      name: text.decode(strings.subarray(idLength)),
      seconds: view.getUint32(16),
      l1Offset,
      l1Entries,
    });
    offset += Math.ceil((entryHeader + extra + idLength + nameLength) / 8) * 8;
  }
  return { snapshots, length: offset - header.snapshotsOffset };
}
