/**
 * A floppy controller with its DMA controller on a port bus, and a driver for it as BIOSes have one: programs are written against `FloppyHost`, which this
 * machine and QEMU (floppy-qemu.ts) both are.
 */

import { Dma8237 } from "../../runtime/devices/dma8237.ts";
import { FloppyController, type FloppyDriveType, type FloppyTiming } from "../../runtime/devices/floppy/index.ts";
import { PortBus } from "../../runtime/devices/index.ts";
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Probe, TestClock } from "./support.ts";

/** Ports, memory and time of a machine whose CPU stands still. */
export interface FloppyHost {
  out(port: number, value: number): Promise<void>;
  in(port: number): Promise<number>;
  peek(address: number, length: number): Promise<Uint8Array>;
  poke(address: number, bytes: Uint8Array): Promise<void>;
  /** Lets time pass. */
  wait(nanoseconds: number): Promise<void>;
}

/** An image in memory; `slow` ones answer by promises that settle when told. */
export class MemoryImage implements BlockStorage {
  readonly bytes: Uint8Array;
  readOnly: boolean;
  flushes = 0;
  /** Offsets at which reads or writes fail. */
  readonly bad = new Set<number>();
  slow = false;
  private readonly waiting: (() => void)[] = [];

  constructor(size: number, readOnly = false) {
    this.bytes = new Uint8Array(size);
    this.readOnly = readOnly;
    for (let i = 0; i < size; i++) this.bytes[i] = (i * 7 + (i >>> 9) * 13 + (i >>> 16)) & 0xff;
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, into: Uint8Array): void | Promise<void> {
    return this.act(offset, () => into.set(this.bytes.subarray(offset, offset + into.length)));
  }

  write(offset: number, from: Uint8Array): void | Promise<void> {
    if (this.readOnly) throw new Error("written though read-only");
    return this.act(offset, () => this.bytes.set(from, offset));
  }

  flush(): void | Promise<void> {
    return this.act(-1, () => {
      this.flushes++;
    });
  }

  /** Settles what waits; the number of promises that were open. */
  async settle(): Promise<number> {
    const open = this.waiting.splice(0);
    for (const release of open) release();
    for (let i = 0; i < 4; i++) await Promise.resolve();
    return open.length;
  }

  private act(offset: number, what: () => void): void | Promise<void> {
    if (this.bad.has(offset)) {
      if (this.slow) return new Promise((_, reject) => this.waiting.push(() => reject(new Error("bad sector"))));
      throw new Error("bad sector");
    }
    if (!this.slow) return what();
    return new Promise((resolve) =>
      this.waiting.push(() => {
        what();
        resolve();
      }),
    );
  }
}

/** Reads: 46h with options, and so on; parameters as the datasheet orders them. */
export type Chrn = readonly [cylinder: number, head: number, record: number, size: number];

export class FloppyRig implements FloppyHost {
  readonly clock = new TestClock();
  readonly bus = new PortBus();
  readonly memory = new PhysicalMemory(1 << 20);
  readonly irq = new Probe();
  readonly dma = new Dma8237(this.memory);
  readonly fdc: FloppyController;
  readonly activity: string[] = [];

  constructor(drives: readonly (FloppyDriveType | null)[] = ["1.44M", null], timing: Partial<FloppyTiming> = {}) {
    const activity = (drive: number, kind: string) => this.activity.push(`${kind} ${drive}`);
    this.fdc = new FloppyController({ clock: this.clock, irq: this.irq, dma: this.dma.channel(2), drives, timing, activity });
    this.bus.map(0x3f0, 6, this.fdc.registers);
    this.bus.map(0x3f7, 1, this.fdc.directory);
    this.bus.map(0x00, 16, this.dma.first);
    this.bus.map(0xc0, 32, this.dma.second);
    this.bus.map(0x80, 16, this.dma.pages);
    this.bus.map(0x480, 16, this.dma.highPages);
  }

  async out(port: number, value: number): Promise<void> {
    this.bus.write(port, 1, value);
  }
  async in(port: number): Promise<number> {
    return this.bus.read(port, 1);
  }
  async peek(address: number, length: number): Promise<Uint8Array> {
    return this.memory.readBytes(address, length);
  }
  async poke(address: number, bytes: Uint8Array): Promise<void> {
    this.memory.writeBytes(address, bytes);
  }
  async wait(nanoseconds: number): Promise<void> {
    this.clock.run(nanoseconds);
    // Images that answer later.
    await Promise.resolve();
    await Promise.resolve();
  }
}

export const dmaBuffer = 0x20000;
const patience = 400;

/** A driver: what a BIOS does with the ports. */
export class FloppyDriver {
  readonly host: FloppyHost;

  constructor(host: FloppyHost) {
    this.host = host;
  }

  /** Resets by the DOR with drive `unit` selected and its motor on; returns what four SENSE INTERRUPTs say. */
  async reset(unit = 0): Promise<number[][]> {
    const { host } = this;
    const dor = 0x08 | unit | (0x10 << unit);
    await host.out(0x3f2, dor);
    await host.out(0x3f2, dor | 4);
    await host.wait(1e6);
    const senses: number[][] = [];
    for (let i = 0; i < 4; i++) senses.push(await this.command([0x08]));
    return senses;
  }

  async select(unit: number): Promise<void> {
    await this.host.out(0x3f2, 0x0c | unit | (0x10 << unit));
  }

  async msr(): Promise<number> {
    return await this.host.in(0x3f4);
  }

  /** Sends a command and reads its result, waiting for it. */
  async command(bytes: readonly number[]): Promise<number[]> {
    await this.send(bytes);
    return await this.result();
  }

  async send(bytes: readonly number[]): Promise<void> {
    for (const byte of bytes) {
      if (((await this.msr()) & 0xc0) !== 0x80)
        throw new Error(`MSR ${(await this.msr()).toString(16)} while sending ${bytes.map((b) => b.toString(16))}`);
      await this.host.out(0x3f5, byte);
    }
  }

  /** Waits until the chip asks for something, and reads the result if it has one. */
  async result(): Promise<number[]> {
    for (let i = 0; ; i++) {
      if (((await this.msr()) & 0x80) !== 0) break;
      if (i === patience) throw new Error(`no result; MSR ${(await this.msr()).toString(16)}`);
      await this.host.wait(2e6);
    }
    const result: number[] = [];
    while (((await this.msr()) & 0xd0) === 0xd0) result.push(await this.host.in(0x3f5));
    return result;
  }

  /** Waits for the end of a seek. */
  async sense(): Promise<number[]> {
    for (let i = 0; i < patience; i++) {
      const sensed = await this.command([0x08]);
      if (sensed[0] !== 0x80) return sensed;
      await this.host.wait(1e6);
    }
    throw new Error("no end of seek");
  }

  async seek(unit: number, cylinder: number, head = 0): Promise<number[]> {
    await this.send([0x0f, (head << 2) | unit, cylinder]);
    return await this.sense();
  }

  async recalibrate(unit: number): Promise<number[]> {
    await this.send([0x07, unit]);
    return await this.sense();
  }

  /** Sets channel 2 up for `count` bytes; `mode` as for channel 0: 44h to memory, 48h from memory, 40h verify. */
  async dma(mode: number, count: number, address = dmaBuffer): Promise<void> {
    const { host } = this;
    await host.out(0x0a, 0x06);
    await host.out(0x0c, 0);
    await host.out(0x0b, mode | 2);
    await host.out(0x04, address & 0xff);
    await host.out(0x04, (address >> 8) & 0xff);
    await host.out(0x81, address >> 16);
    await host.out(0x05, (count - 1) & 0xff);
    await host.out(0x05, (count - 1) >> 8);
    await host.out(0x0a, 0x02);
  }

  /** READ, WRITE and kin. */
  async transfer(code: number, unit: number, head: number, [c, h, r, n]: Chrn, eot: number, last = 0xff): Promise<number[]> {
    return await this.command([code, (head << 2) | unit, c, h, r, n, eot, 0x1b, last]);
  }
}
