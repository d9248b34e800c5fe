/**
 * Split virtqueues (Virtual I/O Device 1.2, section 2.7) as the device sees them: takes descriptor chains from the available ring, gives them back on the
 * used ring, and decides whether the driver wants to be interrupted. Everything in guest memory is the driver's and may be nonsense: chains that loop or lead
 * out of RAM make the queue `broken` with a reason, and the transport then asks the driver for a reset; nothing here throws or runs on without end.
 */
import type { SavedState } from "../device.ts";
import type { BusMemory } from "../storage/block-storage.ts";

/** Guest memory and how much of it there is from address 0: buffers lie in RAM. */
export interface VirtioMemory extends BusMemory {
  readonly size: number;
}

/** A part of a buffer in guest memory. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** A buffer the driver made available: parts the device reads, then parts it writes. */
export interface DescriptorChain {
  /** Names the chain on the used ring. */
  readonly head: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
}

const descriptorBytes = 16;
const descriptorFlag = { next: 1, write: 2, indirect: 4 };
const noInterrupt = 1;
const noNotify = 1;
const indexMask = 0xffff;
/** Indirect tables are limited here, beyond what their chains may be by the specification. */
const largestIndirectTable = 1024;

/** Features of the rings. */
export interface RingFeatures {
  readonly indirect: boolean;
  readonly eventIndex: boolean;
}

export class Virtqueue {
  readonly largestSize: number;
  size: number;
  enabled = false;
  /** Low and high halves of the guest-physical addresses of the three areas, in the order of the registers. */
  readonly addresses = new Int32Array(6);
  /** Why the queue cannot go on, once it cannot. */
  broken: string | null = null;
  features: RingFeatures = { indirect: false, eventIndex: false };

  private readonly memory: VirtioMemory;
  private nextAvailable = 0;
  private used = 0;
  /** `used` when the driver was last asked whether it wants an interrupt. */
  private signalled = 0;
  private readonly scratch = new Uint8Array(descriptorBytes);
  private readonly view = new DataView(this.scratch.buffer);

  /** @param largestSize a power of two, at most 32768 */
  constructor(memory: VirtioMemory, largestSize: number) {
    this.memory = memory;
    this.largestSize = this.size = largestSize;
  }

  reset(): void {
    this.size = this.largestSize;
    this.enabled = false;
    this.addresses.fill(0);
    this.broken = null;
    this.nextAvailable = this.used = this.signalled = 0;
  }

  /** Checks the driver's addresses when the queue starts to be used. */
  start(features: RingFeatures): void {
    this.features = features;
    const { size } = this;
    const areas = [
      [0, descriptorBytes * size, "descriptor table"],
      [1, 6 + 2 * size, "available ring"],
      [2, 6 + 8 * size, "used ring"],
    ] as const;
    for (const [n, length, what] of areas) {
      if (!this.inRam(this.area(n), length)) this.break(`${what} at ${this.area(n).toString(16)}h outside RAM`);
    }
  }

  /** The next chain; null when there is none, or none more because the queue is broken. */
  take(): DescriptorChain | null {
    if (!this.enabled || this.broken !== null) return null;
    const ahead = (this.availableIndex() - this.nextAvailable) & indexMask;
    if (ahead === 0) return null;
    if (ahead > this.size) return this.break(`available index ${ahead} entries ahead in a ring of ${this.size}`);
    const head = this.read16(this.area(1) + 4 + 2 * (this.nextAvailable % this.size));
    const chain = this.chain(head);
    if (chain === null) return null;
    this.nextAvailable = (this.nextAvailable + 1) & indexMask;
    return chain;
  }

  /** With event indexes: asks to be notified of the next entry. False when one has come meanwhile, and `take` is to be tried again. */
  allowNotification(): boolean {
    if (!this.enabled || this.broken !== null) return true;
    if (this.features.eventIndex) this.write16(this.area(2) + 4 + 8 * this.size, this.nextAvailable);
    return this.availableIndex() === this.nextAvailable;
  }

  /** The chain named `head`, again: for requests that were under way in a saved machine. */
  chain(head: number): DescriptorChain | null {
    if (head >= this.size) return this.break(`descriptor ${head} in a table of ${this.size}`);
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    let table = this.area(0);
    let count = this.size;
    let indirect = false;
    let next = head;
    for (let length = 1; ; length++) {
      if (length > count) return this.break(`chain at descriptor ${head} loops`);
      this.memory.readInto(table + descriptorBytes * next, this.scratch);
      const { view } = this;
      const address = this.wide(view.getUint32(0, true), view.getUint32(4, true));
      const bytes = view.getUint32(8, true);
      const flags = view.getUint16(12, true);
      next = view.getUint16(14, true);
      if (!this.inRam(address, bytes)) return this.break(`buffer of ${bytes} bytes at ${address.toString(16)}h outside RAM`);
      if ((flags & descriptorFlag.indirect) !== 0) {
        const entries = bytes / descriptorBytes;
        const allowed = this.features.indirect && !indirect && (flags & descriptorFlag.next) === 0;
        if (!allowed || !Number.isInteger(entries) || entries === 0 || entries > largestIndirectTable) {
          return this.break(`indirect table of ${bytes} bytes${allowed ? "" : " where there may be none"}`);
        }
        [table, count, indirect] = [address, entries, true];
        length = next = 0;
        continue;
      }
      if ((flags & descriptorFlag.write) !== 0) writable.push({ address, length: bytes });
      else if (writable.length > 0) return this.break(`chain at descriptor ${head}: a part to read after one to write`);
      else readable.push({ address, length: bytes });
      if ((flags & descriptorFlag.next) === 0) return { head, readable, writable };
      if (next >= count) return this.break(`descriptor ${next} in a table of ${count}`);
    }
  }

  /** Gives a chain back, with the number of bytes written to its writable parts. */
  give(head: number, written: number): void {
    if (!this.enabled || this.broken !== null) return;
    const { view } = this;
    view.setUint32(0, head, true);
    view.setUint32(4, written, true);
    this.memory.writeBytes(this.area(2) + 4 + 8 * (this.used % this.size), this.scratch.subarray(0, 8));
    this.used = (this.used + 1) & indexMask;
    this.write16(this.area(2) + 2, this.used);
  }

  /** Whether what was given back since the last call is to be told to the driver (section 2.7.7). */
  wantsInterrupt(): boolean {
    if (!this.enabled || this.broken !== null) return false;
    const before = this.signalled;
    this.signalled = this.used;
    if (before === this.used) return false;
    if (!this.features.eventIndex) return (this.read16(this.area(1)) & noInterrupt) === 0;
    const event = this.read16(this.area(1) + 4 + 2 * this.size);
    return ((this.used - event - 1) & indexMask) < ((this.used - before) & indexMask);
  }

  /** Without event indexes: whether the driver is to notify at all. */
  suppressNotification(suppress: boolean): void {
    if (this.enabled && this.broken === null && !this.features.eventIndex) this.write16(this.area(2), suppress ? noNotify : 0);
  }

  save(): SavedState {
    const { size, enabled, broken, nextAvailable, used, signalled, features } = this;
    return { size, enabled, broken, nextAvailable, used, signalled, addresses: this.addresses.slice(), features: { ...features } };
  }

  restore(state: SavedState): void {
    const { addresses, ...fields } = state;
    Object.assign(this, structuredClone(fields));
    this.addresses.set(addresses as Int32Array);
  }

  private break(reason: string): null {
    this.broken ??= reason;
    return null;
  }

  private area(n: number): number {
    return this.wide(this.addresses[2 * n], this.addresses[2 * n + 1]);
  }

  private wide(low: number, high: number): number {
    return (high >>> 0) * 2 ** 32 + (low >>> 0);
  }

  private inRam(address: number, length: number): boolean {
    return address + length <= this.memory.size;
  }

  private availableIndex(): number {
    return this.read16(this.area(1) + 2);
  }

  private read16(address: number): number {
    this.memory.readInto(address, this.scratch.subarray(0, 2));
    return this.view.getUint16(0, true);
  }

  private write16(address: number, value: number): void {
    this.view.setUint16(0, value, true);
    this.memory.writeBytes(address, this.scratch.subarray(0, 2));
  }
}
