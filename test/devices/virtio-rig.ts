/**
 * A virtio driver for tests, written against `VirtioHost`, which a rig of this project's devices and QEMU (qtest.ts) both are: it finds the device by
 * configuration cycles, sets queues up in guest memory, and makes requests.
 */
import { PciBus, PortBus, registerWindow } from "../../runtime/devices/index.ts";
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import { VirtioBlock, VirtioPciFunction } from "../../runtime/devices/virtio/index.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Probe, TestClock } from "./support.ts";

export interface VirtioHost {
  out(port: number, value: number, size: 1 | 2 | 4): Promise<void>;
  in(port: number, size: 1 | 2 | 4): Promise<number>;
  load(address: number, size: 1 | 2 | 4): Promise<number>;
  store(address: number, size: 1 | 2 | 4, value: number): Promise<void>;
  peek(address: number, length: number): Promise<Uint8Array>;
  poke(address: number, bytes: Uint8Array): Promise<void>;
  wait(nanoseconds: number): Promise<void>;
}

export const virtioSlot = 4;
export const memoryBytes = 16 << 20;

export class VirtioRig implements VirtioHost {
  readonly clock = new TestClock();
  readonly bus = new PortBus();
  readonly memory = new PhysicalMemory(memoryBytes);
  readonly irq = new Probe();
  readonly block: VirtioBlock;
  readonly pci: VirtioPciFunction;
  readonly complaints: string[] = [];
  readonly activity: string[] = [];

  constructor(storage: BlockStorage) {
    const { memory, clock } = this;
    this.block = new VirtioBlock({ name: "virtio-blk0", storage, memory, identity: "disk-0", activity: (kind) => this.activity.push(kind) });
    this.pci = new VirtioPciFunction(this.block, {
      clock,
      memory,
      interrupt: this.irq,
      window: (bytes, registers) => registerWindow(memory, bytes, registers),
      complain: (_, reason) => this.complaints.push(reason),
    });
    const pciBus = new PciBus(() => {});
    pciBus.add(virtioSlot, 0, this.pci);
    this.bus.map(0xcf8, 8, pciBus.registers);
  }

  async out(port: number, value: number, size: 1 | 2 | 4): Promise<void> {
    this.bus.write(port, size, value);
  }
  async in(port: number, size: 1 | 2 | 4): Promise<number> {
    return this.bus.read(port, size);
  }
  async load(address: number, size: 1 | 2 | 4): Promise<number> {
    const value = size === 1 ? this.memory.read1(address) : size === 2 ? this.memory.read2(address) : this.memory.read4(address);
    return value >>> 0;
  }
  async store(address: number, size: 1 | 2 | 4, value: number): Promise<void> {
    if (size === 1) this.memory.write1(address, value);
    else if (size === 2) this.memory.write2(address, value);
    else this.memory.write4(address, value);
  }
  async peek(address: number, length: number): Promise<Uint8Array> {
    return this.memory.readBytes(address, length);
  }
  async poke(address: number, bytes: Uint8Array): Promise<void> {
    this.memory.writeBytes(address, bytes);
  }
  async wait(nanoseconds: number): Promise<void> {
    this.clock.run(nanoseconds);
    await Promise.resolve();
    await Promise.resolve();
  }
}

export interface Capability {
  readonly at: number;
  readonly type: number;
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
  /** Of the notification capability. */
  readonly multiplier: number;
}

/** Offsets in the common configuration (section 4.1.4.3). */
export const common = {
  ...{ deviceFeatureSelect: 0x00, deviceFeature: 0x04, driverFeatureSelect: 0x08, driverFeature: 0x0c, configVector: 0x10, queueCount: 0x12 },
  ...{ status: 0x14, generation: 0x15, queueSelect: 0x16, queueSize: 0x18, queueVector: 0x1a, queueEnable: 0x1c, queueNotifyOffset: 0x1e },
  ...{ queueDescriptors: 0x20, queueDriver: 0x28, queueDevice: 0x30 },
} as const;

export const feature = { segmentMaximum: 2, readOnly: 5, blockSize: 6, flush: 9, indirect: 28, eventIndex: 29, version1: 32 } as const;
export type Part = { readonly address: number; readonly length: number; readonly write?: boolean };
export type Descriptor = { readonly address: number; readonly length: number; readonly flags: number; readonly next: number; readonly high?: number };

const barAddress = 0xf0000000;
const ring = { table: 0x100000, available: 0x102000, used: 0x104000 } as const;
export const buffers = 0x200000;

export class VirtioDriver {
  readonly host: VirtioHost;
  readonly slot: number;
  capabilities: Capability[] = [];
  queueSize = 0;
  private availableIndex = 0;
  private usedIndex = 0;
  private eventIndex = false;

  constructor(host: VirtioHost, slot = virtioSlot) {
    this.host = host;
    this.slot = slot;
  }

  async config(register: number, size: 1 | 2 | 4): Promise<number> {
    await this.host.out(0xcf8, 0x80000000 | (this.slot << 11) | (register & 0xfc), 4);
    return await this.host.in(0xcfc + (register & 3), size);
  }

  async setConfig(register: number, size: 1 | 2 | 4, value: number): Promise<void> {
    await this.host.out(0xcf8, 0x80000000 | (this.slot << 11) | (register & 0xfc), 4);
    await this.host.out(0xcfc + (register & 3), value, size);
  }

  /** Walks the capabilities, places the memory BAR they name and switches the function on. */
  async probe(): Promise<void> {
    this.capabilities = [];
    for (let at = await this.config(0x34, 1); at !== 0; at = await this.config(at + 1, 1)) {
      if ((await this.config(at, 1)) !== 9) continue;
      const fields = { at, type: await this.config(at + 3, 1), bar: await this.config(at + 4, 1) };
      const place = { offset: await this.config(at + 8, 4), length: await this.config(at + 12, 4) };
      this.capabilities.push({ ...fields, ...place, multiplier: fields.type === 2 ? await this.config(at + 16, 4) : 0 });
    }
    const { bar } = this.capability(1);
    await this.setConfig(0x10 + 4 * bar, 4, barAddress);
    if (((await this.config(0x10 + 4 * bar, 1)) & 6) === 4) await this.setConfig(0x14 + 4 * bar, 4, 0);
    await this.setConfig(4, 2, 0x06);
  }

  capability(type: number): Capability {
    const found = this.capabilities.find((capability) => capability.type === type);
    if (found === undefined) throw new Error(`no virtio capability of type ${type}`);
    return found;
  }

  async read(offset: number, size: 1 | 2 | 4, type = 1): Promise<number> {
    return await this.host.load(barAddress + this.capability(type).offset + offset, size);
  }

  async write(offset: number, size: 1 | 2 | 4, value: number, type = 1): Promise<void> {
    await this.host.store(barAddress + this.capability(type).offset + offset, size, value);
  }

  async isr(): Promise<number> {
    return await this.read(0, 1, 3);
  }

  async status(): Promise<number> {
    return await this.read(common.status, 1);
  }

  async offered(): Promise<[number, number]> {
    const words: [number, number] = [0, 0];
    for (const n of [0, 1]) {
      await this.write(common.deviceFeatureSelect, 4, n);
      words[n] = await this.read(common.deviceFeature, 4);
    }
    return words;
  }

  /** Resets, and accepts these features; the status after FEATURES_OK. */
  async negotiate(features: readonly number[]): Promise<number> {
    await this.write(common.status, 1, 0);
    await this.write(common.status, 1, 1);
    await this.write(common.status, 1, 3);
    for (const n of [0, 1]) {
      await this.write(common.driverFeatureSelect, 4, n);
      await this.write(
        common.driverFeature,
        4,
        features.filter((bit) => bit >> 5 === n).reduce((word, bit) => word | (1 << (bit & 31)), 0),
      );
    }
    await this.write(common.status, 1, 0x0b);
    this.eventIndex = features.includes(feature.eventIndex);
    return await this.status();
  }

  /** Sets queue 0 up and starts the device. */
  async start(features: readonly number[] = [feature.version1, feature.flush], size = 64): Promise<void> {
    const { host } = this;
    await this.probe();
    await this.negotiate(features);
    this.queueSize = size;
    this.availableIndex = this.usedIndex = 0;
    await host.poke(ring.table, new Uint8Array(0x6000));
    await this.write(common.queueSelect, 2, 0);
    await this.write(common.queueSize, 2, size);
    for (const [register, address] of [
      [common.queueDescriptors, ring.table],
      [common.queueDriver, ring.available],
      [common.queueDevice, ring.used],
    ]) {
      await this.write(register, 4, address);
      await this.write(register + 4, 4, 0);
    }
    await this.write(common.queueEnable, 2, 1);
    await this.write(common.status, 1, 0x0f);
  }

  async describe(n: number, { address, length, flags, next, high = 0 }: Descriptor, table: number = ring.table): Promise<void> {
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(0, address, true);
    view.setUint32(4, high, true);
    view.setUint32(8, length, true);
    view.setUint16(12, flags, true);
    view.setUint16(14, next, true);
    await this.host.poke(table + 16 * n, new Uint8Array(view.buffer));
  }

  async chain(first: number, parts: readonly Part[], table: number = ring.table): Promise<void> {
    for (const [i, { address, length, write = false }] of parts.entries()) {
      await this.describe(first + i, { address, length, flags: (write ? 2 : 0) | (i < parts.length - 1 ? 1 : 0), next: first + i + 1 }, table);
    }
  }

  /** Makes heads available and, unless told not to, notifies. */
  async offer(heads: readonly number[], notify = true): Promise<void> {
    const { host } = this;
    for (const head of heads) await host.store(ring.available + 4 + 2 * (this.availableIndex++ % this.queueSize), 2, head);
    await host.store(ring.available + 2, 2, this.availableIndex & 0xffff);
    if (notify) await this.notify();
  }

  async notify(): Promise<void> {
    const offset = await this.read(common.queueNotifyOffset, 2);
    await this.write(offset * this.capability(2).multiplier, 2, 0, 2);
  }

  async setAvailableFlags(flags: number): Promise<void> {
    await this.host.store(ring.available, 2, flags);
  }

  /** With event indexes: interrupt once this many chains have come back in all. */
  async setUsedEvent(value: number): Promise<void> {
    await this.host.store(ring.available + 4 + 2 * this.queueSize, 2, value);
  }

  async availableEvent(): Promise<number> {
    return await this.host.load(ring.used + 4 + 8 * this.queueSize, 2);
  }

  /** Chains that have come back: head and length. */
  async used(): Promise<[number, number][]> {
    const { host } = this;
    const found: [number, number][] = [];
    const end = await host.load(ring.used + 2, 2);
    while (this.usedIndex !== end) {
      const at = ring.used + 4 + 8 * (this.usedIndex % this.queueSize);
      found.push([await host.load(at, 4), await host.load(at + 4, 4)]);
      this.usedIndex = (this.usedIndex + 1) & 0xffff;
    }
    if (this.eventIndex) await this.setUsedEvent(this.usedIndex);
    return found;
  }

  async header(type: number, sector: number, at = buffers): Promise<Part> {
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(0, type, true);
    view.setBigUint64(8, BigInt(sector), true);
    await this.host.poke(at, new Uint8Array(view.buffer));
    return { address: at, length: 16 };
  }

  /** One request, waited for: data parts between header and status. Its status byte, the used length, and the data's first part as it then is. */
  async request(type: number, sector: number, parts: readonly Part[] = []): Promise<{ status: number; length: number }> {
    const header = await this.header(type, sector);
    const status = buffers + 0x100;
    await this.host.store(status, 1, 0x77);
    await this.chain(0, [header, ...parts, { address: status, length: 1, write: true }]);
    await this.offer([0]);
    for (let i = 0; i < 20_000; i++) {
      const used = await this.used();
      if (used.length > 0) return { status: await this.host.load(status, 1), length: used[0][1] };
      await this.host.wait(1e6);
    }
    throw new Error(`request ${type} does not come back; status ${(await this.status()).toString(16)}`);
  }

  async readSectors(sector: number, count: number): Promise<{ status: number; length: number; data: Uint8Array }> {
    const address = buffers + 0x1000;
    const result = await this.request(0, sector, [{ address, length: 512 * count, write: true }]);
    return { ...result, data: await this.host.peek(address, 512 * count) };
  }

  async writeSectors(sector: number, data: Uint8Array): Promise<{ status: number; length: number }> {
    const address = buffers + 0x1000;
    await this.host.poke(address, data);
    return await this.request(1, sector, [{ address, length: data.length }]);
  }
}
