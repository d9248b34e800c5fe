/**
 * QEMU's firmware configuration device (docs/specs/fw_cfg.rst of QEMU): what a BIOS asks a virtual machine for instead of probing. A selector at port 510h picks an
 * item, port 511h reads it byte by byte; numbered items are little-endian values, named files are numbered from 20h up and listed in the directory, item 19h.
 * The DMA interface at 514h takes the guest-physical address of a command, most significant half first, everything in it big-endian.
 */
import type { Device, RegisterBank, SavedState } from "./device.ts";
import type { BusMemory } from "./storage/block-storage.ts";

/** Items with a number of their own. */
export const fwCfgItem = {
  ...{ signature: 0x00, version: 0x01, ramSize: 0x03, cpus: 0x05, bootMenu: 0x0e, maxCpus: 0x0f, directory: 0x19 },
  /** One of the PC's own, a byte: ISA's IRQ0 is at pin 2 of the I/O APIC. */
  irq0Override: 0x8002,
} as const;
/** Item numbers of files begin here. */
const firstFile = 0x20;
const nameBytes = 56;
const entryBytes = 64;
const selectorMask = 0xbfff;

const versionBits = { ports: 1, dma: 2 };
const dmaAddress = { high: 4, low: 8 };
/** "QEMU CFG", which the DMA address register reads as, by its halves as a little-endian bus sees them. */
const dmaSignature = { high: 0x554d4551, low: 0x47464320 };
const dmaControl = { error: 1, read: 2, skip: 4, select: 8, write: 16 };
const dmaCommandBytes = 16;

export type FwCfgFiles = Readonly<Record<string, Uint8Array>>;

export class FwCfg implements Device {
  readonly name = "fw-cfg";
  /** 12 ports. */
  readonly registers: RegisterBank;

  private readonly memory: BusMemory;
  private readonly items = new Map<number, Uint8Array>();
  private selected = 0;
  private offset = 0;
  private addressHigh = 0;

  constructor(memory: BusMemory, items: Readonly<Record<number, Uint8Array>>, files: FwCfgFiles) {
    this.memory = memory;
    for (const [number, bytes] of Object.entries(items)) this.items.set(Number(number), bytes);
    this.items.set(fwCfgItem.signature, new TextEncoder().encode("QEMU"));
    this.items.set(fwCfgItem.version, littleEndian(versionBits.ports | versionBits.dma, 4));
    this.items.set(fwCfgItem.directory, this.addFiles(files));
    this.registers = { read: (offset, size) => this.read(offset, size), write: (offset, size, value) => this.write(offset, size, value) };
  }

  reset(): void {
    this.select(0);
    this.addressHigh = 0;
  }

  save(): SavedState {
    return { selected: this.selected, offset: this.offset, addressHigh: this.addressHigh };
  }

  restore(state: SavedState): void {
    this.selected = state.selected as number;
    this.offset = state.offset as number;
    this.addressHigh = state.addressHigh as number;
  }

  /** Returns the directory. */
  private addFiles(files: FwCfgFiles): Uint8Array {
    const names = Object.keys(files).sort();
    const directory = new Uint8Array(4 + entryBytes * names.length);
    const view = new DataView(directory.buffer);
    view.setUint32(0, names.length);
    for (const [k, name] of names.entries()) {
      const encoded = new TextEncoder().encode(name);
      if (encoded.length >= nameBytes) throw new RangeError(`fw_cfg file "${name}": expected a name of less than ${nameBytes} bytes`);
      const at = 4 + entryBytes * k;
      view.setUint32(at, files[name].length);
      view.setUint16(at + 4, firstFile + k);
      directory.set(encoded, at + 8);
      this.items.set(firstFile + k, files[name]);
    }
    return directory;
  }

  private read(offset: number, size: 1 | 2 | 4): number {
    if (offset === dmaAddress.high && size === 4) return dmaSignature.high;
    if (offset === dmaAddress.low && size === 4) return dmaSignature.low;
    if (offset >= dmaAddress.high) return size === 4 ? 0xffffffff : (1 << (8 * size)) - 1;
    // The data register is a byte wide; the selector cannot be read.
    let value = 0;
    for (let k = 0; k < size; k++) value |= (offset + k === 1 ? this.next() : 0) << (8 * k);
    return value >>> 0;
  }

  private write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset === 0 && size === 2) this.select(value);
    else if (offset === dmaAddress.high && size === 4) this.addressHigh = swap(value);
    else if (offset === dmaAddress.low && size === 4) {
      this.transfer(this.addressHigh * 2 ** 32 + swap(value));
      this.addressHigh = 0;
    }
  }

  private select(item: number): void {
    this.selected = item & selectorMask;
    this.offset = 0;
  }

  /** Past the end, and where there is no item, bytes are zero. */
  private next(): number {
    return this.items.get(this.selected)?.[this.offset++] ?? 0;
  }

  private transfer(at: number): void {
    const command = new DataView(new ArrayBuffer(dmaCommandBytes));
    this.memory.readInto(at, new Uint8Array(command.buffer));
    const control = command.getUint32(0);
    const length = command.getUint32(4);
    const address = command.getUint32(8) * 2 ** 32 + command.getUint32(12);
    if ((control & dmaControl.select) !== 0) this.select(control >>> 16);
    let outcome = 0;
    if ((control & dmaControl.read) !== 0) this.copy(address, length);
    else if ((control & dmaControl.skip) !== 0) this.offset += length;
    else if ((control & dmaControl.write) !== 0) outcome = dmaControl.error;
    command.setUint32(0, outcome);
    this.memory.writeBytes(at, new Uint8Array(command.buffer, 0, 4));
  }

  /** `length` is the guest's: up to 4 GiB, of which most is zeros. */
  private copy(address: number, length: number): void {
    const item = this.items.get(this.selected) ?? new Uint8Array(0);
    const bytes = item.subarray(this.offset, this.offset + length);
    this.memory.writeBytes(address, bytes);
    const chunk = new Uint8Array(Math.min(largestFill, length - bytes.length));
    for (let done = bytes.length; done < length && done < bytes.length + fillLimit; done += chunk.length) {
      this.memory.writeBytes(address + done, chunk.subarray(0, Math.min(chunk.length, length - done)));
    }
    this.offset += length;
  }
}

/** Zeros are written so many at a time, and no more of them than any firmware could mean. */
const largestFill = 0x10000;
const fillLimit = 0x100000;

function swap(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

/** A number as the bytes of an item or file. */
export function littleEndian(value: number, bytes: 1 | 2 | 4 | 8): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(view.buffer, 0, bytes);
}
