/** A controller with its ports, memory and time, and the steps a driver takes. */
import { type IdeDriveName, type IdeDriveOptions, Piix3Ide } from "../../../runtime/devices/ide/index.ts";
import { PortBus } from "../../../runtime/devices/index.ts";
import { portWindow } from "../../../runtime/devices/pci-window.ts";
import type { BlockStorage, BusMemory } from "../../../runtime/devices/storage/block-storage.ts";
import { Probe, TestClock } from "../support.ts";

export const status = { err: 0x01, drq: 0x08, dsc: 0x10, drdy: 0x40, bsy: 0x80 } as const;
export const busMasterBase = 0xc000;

/** Storage in memory that logs what is asked of it, and can be told to fail or to answer later. */
export class MemoryStorage implements BlockStorage {
  readonly bytes: Uint8Array;
  readonly log: string[] = [];
  readOnly = false;
  /** Byte ranges that cannot be read or written. */
  bad: [from: number, to: number][] = [];
  /** Answers come when `answer` is called. */
  later = false;
  private waiting: (() => void)[] = [];

  constructor(bytes: Uint8Array | number) {
    this.bytes = typeof bytes === "number" ? new Uint8Array(bytes) : bytes;
  }

  get size(): number {
    return this.bytes.length;
  }

  get unanswered(): number {
    return this.waiting.length;
  }

  read(offset: number, into: Uint8Array): void | Promise<void> {
    this.log.push(`read ${offset / 512}+${into.length / 512}`);
    return this.perform(() => {
      this.check(offset, into.length);
      into.set(this.bytes.subarray(offset, offset + into.length));
    });
  }

  write(offset: number, from: Uint8Array): void | Promise<void> {
    this.log.push(`write ${offset / 512}+${from.length / 512}`);
    return this.perform(() => {
      this.check(offset, from.length);
      this.bytes.set(from, offset);
    });
  }

  flush(): void | Promise<void> {
    this.log.push("flush");
    return this.perform(() => {});
  }

  /** Answers everything that waits, and what that leads to. */
  async answer(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      for (const answer of this.waiting.splice(0)) answer();
      await Promise.resolve();
    }
  }

  private check(offset: number, length: number): void {
    if (offset < 0 || offset + length > this.bytes.length) throw new Error(`storage asked for ${offset}+${length} of ${this.bytes.length}`);
    if (this.bad.some(([from, to]) => offset < to && offset + length > from)) throw new Error("bad sector");
  }

  private perform(work: () => void): void | Promise<void> {
    if (!this.later) return work();
    return new Promise<void>((resolve, reject) => {
      this.waiting.push(() => {
        try {
          work();
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}

export class TestMemory implements BusMemory {
  readonly bytes: Uint8Array;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  readInto(address: number, into: Uint8Array): void {
    into.fill(0xff);
    if (address < this.bytes.length) into.set(this.bytes.subarray(address, Math.min(this.bytes.length, address + into.length)));
  }

  writeBytes(address: number, bytes: Uint8Array): void {
    if (address < this.bytes.length) this.bytes.set(bytes.subarray(0, this.bytes.length - address), address);
  }
}

/** Bytes that differ from sector to sector and inside each. */
export function pattern(bytes: number, seed = 1): Uint8Array {
  const data = new Uint8Array(bytes);
  const words = new Uint32Array(data.buffer, 0, bytes >> 2);
  let x = seed;
  for (let i = 0; i < words.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    words[i] = x ^ i;
  }
  return data;
}

/** Equality of megabytes, which `toEqual` is slow at. */
export function same(found: Uint8Array, expected: Uint8Array): void {
  const at = found.length === expected.length && Buffer.compare(found, expected) === 0 ? -1 : found.findIndex((byte, n) => byte !== expected[n]);
  if (found.length !== expected.length || at >= 0) throw new Error(`${found.length} bytes for ${expected.length}; first difference at ${at}`);
}

export interface Registers {
  feature?: number;
  count?: number;
  lba?: number;
  chs?: [cylinder: number, head: number, sector: number];
  /** Write every register twice, high order bytes first. */
  ext?: boolean;
}

export class Rig {
  readonly clock = new TestClock();
  readonly ports = new PortBus();
  readonly memory: TestMemory;
  readonly irqs = [new Probe(), new Probe()] as const;
  readonly ide: Piix3Ide;
  readonly activity: string[] = [];
  channel = 0;
  unit = 0;

  constructor(drives: { readonly [name in IdeDriveName]?: IdeDriveOptions }, memoryBytes = 1 << 20) {
    this.memory = new TestMemory(memoryBytes);
    const { clock, ports, memory, irqs } = this;
    this.ide = new Piix3Ide({
      ...{ clock, memory, irqs, drives },
      busMasterWindow: (bank) => portWindow(ports, 16, bank),
      activity: (drive, kind) => this.activity.push(`${drive} ${kind}`),
    });
    for (const n of [0, 1] as const) {
      ports.map([0x1f0, 0x170][n], 8, this.ide.channels[n].commandBlock);
      ports.map([0x3f6, 0x376][n], 1, this.ide.channels[n].controlBlock);
    }
    this.ide.reset();
    this.ide.configure(busMasterBase);
  }

  get base(): number {
    return this.channel === 0 ? 0x1f0 : 0x170;
  }

  get irq(): Probe {
    return this.irqs[this.channel];
  }

  in(offset: number): number {
    return this.ports.read(this.base + offset, 1);
  }

  out(offset: number, value: number): void {
    this.ports.write(this.base + offset, 1, value & 0xff);
  }

  get alternateStatus(): number {
    return this.ports.read(this.base + 0x206, 1);
  }

  control(value: number): void {
    this.ports.write(this.base + 0x206, 1, value);
  }

  select(unit: number): void {
    this.unit = unit;
    this.out(6, 0xa0 | (unit << 4));
  }

  /** Writes the registers and the command. */
  command(code: number, { feature = 0, count = 0, lba = 0, chs, ext = false }: Registers = {}): void {
    this.out(6, 0xa0 | (this.unit << 4));
    if (ext) {
      this.out(2, count >> 8);
      this.out(3, Math.floor(lba / 2 ** 24));
      this.out(4, Math.floor(lba / 2 ** 32));
      this.out(5, Math.floor(lba / 2 ** 40));
    }
    this.out(1, feature);
    this.out(2, count);
    if (chs !== undefined) {
      this.out(3, chs[2]);
      this.out(4, chs[0]);
      this.out(5, chs[0] >> 8);
      this.out(6, 0xa0 | (this.unit << 4) | chs[1]);
    } else {
      this.out(3, lba);
      this.out(4, lba >>> 8);
      this.out(5, lba >>> 16);
      this.out(6, 0xe0 | (this.unit << 4) | (ext ? 0 : (lba >>> 24) & 15));
    }
    this.out(7, code);
  }

  /** Lets time pass until the drive is no longer busy; returns the alternate status. */
  wait(): number {
    for (let i = 0; i < 1000 && (this.alternateStatus & status.bsy) !== 0; i++) this.clock.run(100_000);
    return this.alternateStatus;
  }

  /** Waits for the interrupt, acknowledges it, returns the status. */
  interrupt(): number {
    for (let i = 0; i < 1000 && !this.irq.high; i++) this.clock.run(100_000);
    if (!this.irq.high) throw new Error(`no interrupt; status ${this.alternateStatus.toString(16)}`);
    return this.in(7);
  }

  readWords(bytes: number, size: 2 | 4 = 2): Uint8Array {
    const data = new Uint8Array(bytes + 4);
    for (let i = 0; i < bytes; i += size) {
      const value = this.ports.read(this.base, size);
      for (let k = 0; k < size; k++) data[i + k] = value >>> (8 * k);
    }
    return data.subarray(0, bytes);
  }

  writeWords(data: Uint8Array, size: 2 | 4 = 2): void {
    for (let i = 0; i < data.length; i += size) {
      let value = 0;
      for (let k = 0; k < size; k++) value |= data[i + k] << (8 * k);
      this.ports.write(this.base, size, value >>> 0);
    }
  }

  /** A read through the data port, `block` bytes an interrupt. */
  pioRead(code: number, registers: Registers, sectors: number, block = 512): Uint8Array {
    const data = new Uint8Array(sectors * 512);
    this.command(code, registers);
    for (let at = 0; at < data.length; at += block) {
      const found = this.interrupt();
      if (found !== 0x58) throw new Error(`status ${found.toString(16)} at ${at}`);
      data.set(this.readWords(Math.min(block, data.length - at)), at);
    }
    return data;
  }

  pioWrite(code: number, registers: Registers, data: Uint8Array, block = 512): number {
    this.command(code, registers);
    this.wait();
    let found = 0;
    for (let at = 0; at < data.length; at += block) {
      this.writeWords(data.subarray(at, at + block));
      found = this.interrupt();
    }
    return found;
  }

  identify(code = 0xec): Uint16Array {
    this.command(code);
    this.interrupt();
    return new Uint16Array(this.readWords(512).slice().buffer);
  }

  // Bus master.

  get busMaster(): number {
    return busMasterBase + 8 * this.channel;
  }

  table(at: number, regions: readonly [address: number, bytes: number][], last = true): void {
    const view = new DataView(this.memory.bytes.buffer);
    regions.forEach(([address, bytes], n) => {
      view.setUint32(at + 8 * n, address, true);
      view.setUint32(at + 8 * n + 4, (bytes & 0xffff) | (last && n === regions.length - 1 ? 0x8000_0000 : 0), true);
    });
    this.ports.write(this.busMaster + 4, 4, at);
    this.ports.write(this.busMaster + 2, 1, 0x06);
  }

  start(toMemory: boolean): void {
    this.ports.write(this.busMaster, 1, toMemory ? 0x08 : 0);
    this.ports.write(this.busMaster, 1, toMemory ? 0x09 : 0x01);
  }

  stop(): void {
    this.ports.write(this.busMaster, 1, 0);
  }

  get dmaStatus(): number {
    return this.ports.read(this.busMaster + 2, 1);
  }

  // Packets.

  /** Sends a packet; returns the alternate status once the drive has something to say. */
  packet(bytes: readonly number[], { dma = false, limit = 0xfffe }: { dma?: boolean; limit?: number } = {}): number {
    this.out(6, 0xa0 | (this.unit << 4));
    this.out(1, dma ? 1 : 0);
    this.out(4, limit);
    this.out(5, limit >> 8);
    this.out(7, 0xa0);
    this.wait();
    this.writeWords(Uint8Array.from([...bytes, ...new Array<number>(12 - bytes.length).fill(0)]));
    return this.wait();
  }

  /** A packet command that sends data to the host through the data port; null when it ended with an error. */
  packetRead(bytes: readonly number[], limit = 0xfffe): { data: Uint8Array; blocks: number[] } | null {
    this.packet(bytes, { limit });
    const data: number[] = [];
    const blocks: number[] = [];
    for (;;) {
      const found = this.interrupt();
      if ((found & status.err) !== 0) return null;
      if ((found & status.drq) === 0) return { data: Uint8Array.from(data), blocks };
      const size = this.in(4) | (this.in(5) << 8);
      blocks.push(size);
      data.push(...this.readWords((size + 1) & ~1).subarray(0, size));
    }
  }

  sense(): [key: number, code: number, qualifier: number] {
    const { data } = this.packetRead([0x03, 0, 0, 0, 18]) as { data: Uint8Array };
    return [data[2], data[12], data[13]];
  }
}
