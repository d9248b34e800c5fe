/**
 * virtio-blk (Virtual I/O Device 1.2, section 5.2): one queue of requests, each a header the device reads, data, and a status byte it writes. Data passes in
 * pieces of bounded size, so that no request makes the device hold more. Requests whose storage answers at once are done in order; those that wait
 * for it are under way together, as the specification allows.
 *
 * Without FLUSH accepted every write is on stable storage before its status is (section 5.2.6.2). A saved device remembers which requests were under way and
 * does them again when restored: their buffers are still its own.
 */
import type { SavedState } from "../device.ts";
import type { BlockStorage } from "../storage/block-storage.ts";
import type { VirtioDevice, VirtioTransport } from "./device.ts";
import type { DescriptorChain, Segment, VirtioMemory } from "./virtqueue.ts";

const sectorBytes = 512;
const queueSize = 256;
/** Parts of a request besides header and status: what a chain as long as the queue has room for. */
const largestSegmentCount = queueSize - 2;
const headerBytes = 16;
const identityBytes = 20;
const largestPiece = 1 << 20;
/** More than this in one request is refused: no driver asks for it, and it would keep the machine from its other work. */
const largestRequest = 64 << 20;

const feature = { segmentMaximum: 2, readOnly: 5, blockSize: 6, flush: 9 } as const;
const requestType = { in: 0, out: 1, flush: 4, identity: 8 } as const;
const requestStatus = { ok: 0, ioError: 1, unsupported: 2 } as const;
const configurationBytes = 60;

export type VirtioBlockOptions = {
  readonly name: string;
  readonly storage: BlockStorage;
  readonly memory: VirtioMemory;
  /** Up to 20 bytes that name the disk to the guest (/dev/disk/by-id). */
  readonly identity?: string;
  readonly activity?: (kind: "read" | "write") => void;
};

/** One request, parsed. */
interface Request {
  readonly head: number;
  readonly type: number;
  /** Byte offset on the disk. */
  readonly offset: number;
  /** The data's parts: to write for a read, to read for a write. */
  readonly data: readonly Segment[];
  readonly bytes: number;
  readonly statusAddress: number;
}

export class VirtioBlock implements VirtioDevice {
  readonly name: string;
  readonly type = 2;
  readonly classCode = 0x010000;
  readonly features: readonly number[];
  readonly queueSizes = [queueSize];
  readonly configuration = new Uint8Array(configurationBytes);

  private readonly storage: BlockStorage;
  private readonly memory: VirtioMemory;
  private readonly identity: Uint8Array;
  private readonly activity: (kind: "read" | "write") => void;
  private transport: VirtioTransport | undefined;
  /** Heads of the requests under way. */
  private readonly heads = new Set<number>();
  /** Heads to begin again after a restore. */
  private resumed: number[] = [];
  /** Tells an answer of the storage whether its request is still wanted. */
  private generation = 0;
  /** Answers still to come for requests that a reset dropped: new ones wait, so that none overtakes an old write. */
  private stale = 0;
  private pending = 0;
  private working = false;
  private readonly spare: Uint8Array[] = [];
  private readonly header = new Uint8Array(headerBytes);
  private readonly headerView = new DataView(this.header.buffer);

  constructor({ name, storage, memory, identity, activity }: VirtioBlockOptions) {
    this.name = name;
    this.storage = storage;
    this.memory = memory;
    this.activity = activity ?? (() => {});
    this.identity = new Uint8Array(identityBytes);
    this.identity.set(new TextEncoder().encode(identity ?? name).subarray(0, identityBytes));
    this.features = [feature.segmentMaximum, feature.blockSize, feature.flush, ...(storage.readOnly ? [feature.readOnly] : [])];
    const view = new DataView(this.configuration.buffer);
    view.setBigUint64(0, BigInt(Math.floor(storage.size / sectorBytes)), true);
    view.setUint32(12, largestSegmentCount, true);
    view.setUint32(20, sectorBytes, true);
    view.setUint16(34, 1, true);
  }

  attach(transport: VirtioTransport): void {
    this.transport = transport;
  }

  get underWay(): number {
    return this.heads.size + this.resumed.length;
  }

  start(): void {}

  reset(): void {
    this.generation++;
    this.stale += this.pending;
    this.pending = 0;
    this.heads.clear();
    this.resumed = [];
  }

  notified(): void {
    const { transport } = this;
    if (transport === undefined || this.stale > 0) return;
    const queue = transport.queues[0];
    this.working = true;
    for (const head of this.resumed.splice(0)) {
      const chain = queue.chain(head);
      if (chain !== null) this.begin(chain);
    }
    do {
      queue.suppressNotification(true);
      for (let chain = queue.take(); chain !== null; chain = queue.take()) this.begin(chain);
      queue.suppressNotification(false);
    } while (!queue.allowNotification());
    this.working = false;
    transport.interrupt(0);
  }

  save(): SavedState {
    return { heads: [...this.resumed, ...this.heads] };
  }

  restore(state: SavedState): void {
    this.reset();
    this.resumed = [...(state.heads as number[])];
  }

  // --- requests

  private begin(chain: DescriptorChain): void {
    const request = this.parse(chain);
    if (request === null || this.heads.has(chain.head)) {
      const what = request === null ? "without header or status" : "made available while under way";
      this.transport?.needsReset(`request at descriptor ${chain.head} ${what}`);
      return;
    }
    this.heads.add(request.head);
    const { type, bytes, offset } = request;
    if (type === requestType.in || type === requestType.out) {
      const fits = bytes % sectorBytes === 0 && bytes <= largestRequest && offset + bytes <= this.storage.size;
      if (!fits || (type === requestType.out && this.storage.readOnly)) this.finish(request, requestStatus.ioError, 0);
      else {
        this.activity(type === requestType.in ? "read" : "write");
        this.piece(request, 0);
      }
    } else if (type === requestType.flush) this.flush(request);
    else if (type === requestType.identity && bytes >= identityBytes) {
      this.scatter(request.data, 0, this.identity);
      this.finish(request, requestStatus.ok, identityBytes);
    } else this.finish(request, type === requestType.identity ? requestStatus.ioError : requestStatus.unsupported, 0);
  }

  /** Header and status may lie anywhere in the chain's parts (section 2.7.4). */
  private parse({ head, readable, writable }: DescriptorChain): Request | null {
    const readableBytes = total(readable);
    const writableBytes = total(writable);
    if (readableBytes < headerBytes || writableBytes < 1) return null;
    this.gather(readable, 0, this.header);
    const type = this.headerView.getUint32(0, true);
    const offset = (this.headerView.getUint32(12, true) * 2 ** 32 + this.headerView.getUint32(8, true)) * sectorBytes;
    const isOut = type === requestType.out;
    const data = isOut ? part(readable, headerBytes, readableBytes) : part(writable, 0, writableBytes - 1);
    const [status] = part(writable, writableBytes - 1, writableBytes);
    return { head, type, offset, data, bytes: isOut ? readableBytes - headerBytes : writableBytes - 1, statusAddress: status.address };
  }

  /** Moves a request's data from `done` on, and finishes it after the last piece. */
  private piece(request: Request, from: number): void {
    const isIn = request.type === requestType.in;
    let done = from;
    while (done < request.bytes) {
      const length = Math.min(request.bytes - done, largestPiece);
      const buffer = this.spare.pop() ?? new Uint8Array(largestPiece);
      const bytes = buffer.subarray(0, length);
      if (!isIn) this.gather(request.data, done, bytes);
      const at = done;
      const arrived = () => {
        if (isIn) this.scatter(request.data, at, bytes);
      };
      const release = () => {
        if (this.spare.length < 4) this.spare.push(buffer);
      };
      const answer = this.ask(
        request,
        () => (isIn ? this.storage.read(request.offset + at, bytes) : this.storage.write(request.offset + at, bytes)),
        () => {
          arrived();
          this.piece(request, at + length);
        },
        release,
      );
      if (answer !== "now") return;
      arrived();
      done += length;
    }
    if (isIn) this.finish(request, requestStatus.ok, request.bytes);
    else if (this.transport?.accepted(feature.flush)) this.finish(request, requestStatus.ok, 0);
    else this.flush(request);
  }

  private flush(request: Request): void {
    const done = () => this.finish(request, requestStatus.ok, 0);
    if (this.ask(request, () => this.storage.flush(), done) === "now") done();
  }

  /** Asks the storage; `later` runs when it answers later, and not if the request has been dropped by then. `release` runs in any case. */
  private ask(request: Request, act: () => void | Promise<void>, later: () => void, release = () => {}): "now" | "later" | "failed" {
    const { generation } = this;
    const failed = () => this.finish(request, requestStatus.ioError, 0);
    try {
      const answer = act();
      if (answer === undefined) {
        release();
        return "now";
      }
      this.pending++;
      const settle = (next: () => void) => () => {
        if (generation === this.generation) {
          this.pending--;
          next();
        } else if (--this.stale === 0) this.transport?.again(0);
        release();
      };
      answer.then(settle(later), settle(failed));
      return "later";
    } catch {
      release();
      failed();
      return "failed";
    }
  }

  private finish({ head, statusAddress }: Request, status: number, written: number): void {
    this.memory.writeBytes(statusAddress, Uint8Array.of(status));
    this.heads.delete(head);
    const { transport } = this;
    transport?.queues[0].give(head, written + 1);
    // While a batch is worked through, one interrupt at its end does.
    if (!this.working) transport?.interrupt(0);
  }

  // --- guest memory

  private gather(segments: readonly Segment[], from: number, into: Uint8Array): void {
    let done = 0;
    for (const { address, length } of part(segments, from, from + into.length)) {
      this.memory.readInto(address, into.subarray(done, done + length));
      done += length;
    }
  }

  private scatter(segments: readonly Segment[], from: number, bytes: Uint8Array): void {
    let done = 0;
    for (const { address, length } of part(segments, from, from + bytes.length)) {
      this.memory.writeBytes(address, bytes.subarray(done, done + length));
      done += length;
    }
  }
}

function total(segments: readonly Segment[]): number {
  return segments.reduce((sum, { length }) => sum + length, 0);
}

/** Bytes `from` to `to` of what the segments make together; parts without bytes are left out. */
function part(segments: readonly Segment[], from: number, to: number): Segment[] {
  const out: Segment[] = [];
  let at = 0;
  for (const { address, length } of segments) {
    const start = Math.max(from, at);
    const end = Math.min(to, at + length);
    if (start < end) out.push({ address: address + start - at, length: end - start });
    at += length;
  }
  return out;
}
