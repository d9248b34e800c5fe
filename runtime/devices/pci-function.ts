/**
 * A PCI function: the 256 bytes of its configuration space with a mask of the bits the guest may write (PCI Local Bus Specification 2.2,
 * chapter 6). A function with something behind those bits overrides `configWritten`.
 */
import type { Device, SavedState } from "./device.ts";

export const pciRegister = {
  ...{ vendor: 0x00, device: 0x02, command: 0x04, status: 0x06, revision: 0x08, classCode: 0x09, headerType: 0x0e },
  ...{ bars: 0x10, subsystemVendor: 0x2c, subsystem: 0x2e, interruptLine: 0x3c, interruptPin: 0x3d },
} as const;

/** Command register: answers in I/O space, in memory space, may master the bus. */
export const pciCommand = { io: 0x01, memory: 0x02, master: 0x04 } as const;

const multifunctionHeader = 0x80;
const barIsIo = 1;

export type PciIdentity = {
  readonly vendor: number;
  readonly device: number;
  readonly revision?: number;
  /** Base class, subclass, programming interface: 24 bits. */
  readonly classCode: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** Set on function 0 of a device that has others. */
  readonly multifunction?: boolean;
  /** INTA# is 1; 0 for none. */
  readonly interruptPin?: number;
};

export class PciFunction implements Device {
  readonly name: string;
  protected readonly config = new Uint8Array(256);
  private readonly powerOn = new Uint8Array(256);
  private readonly writable = new Uint8Array(256);

  constructor(name: string, identity: PciIdentity) {
    this.name = name;
    this.define(pciRegister.vendor, 2, identity.vendor);
    this.define(pciRegister.device, 2, identity.device);
    this.define(pciRegister.revision, 1, identity.revision ?? 0);
    this.define(pciRegister.classCode, 3, identity.classCode);
    this.define(pciRegister.headerType, 1, identity.multifunction === true ? multifunctionHeader : 0);
    this.define(pciRegister.subsystemVendor, 2, identity.subsystemVendor ?? 0);
    this.define(pciRegister.subsystem, 2, identity.subsystem ?? 0);
    this.define(pciRegister.interruptLine, 1, 0, identity.interruptPin ? 0xff : 0);
    this.define(pciRegister.interruptPin, 1, identity.interruptPin ?? 0);
  }

  /** Unsigned; bytes past the end read as zero. */
  readConfig(register: number, size: 1 | 2 | 4): number {
    let value = 0;
    for (let i = 0; i < size && register + i < 256; i++) value |= this.config[register + i] << (8 * i);
    return value >>> 0;
  }

  writeConfig(register: number, size: 1 | 2 | 4, value: number): void {
    for (let i = 0; i < size && register + i < 256; i++) {
      const at = register + i;
      const mask = this.writable[at];
      this.config[at] = (this.config[at] & ~mask) | ((value >>> (8 * i)) & mask);
    }
    this.configWritten(register, size);
  }

  /** The address a base address register holds now. */
  barAddress(index: number): number {
    const value = this.readConfig(pciRegister.bars + 4 * index, 4);
    return ((value & barIsIo) !== 0 ? value & ~3 : value & ~15) >>> 0;
  }

  reset(): void {
    this.config.set(this.powerOn);
    this.configWritten(0, 256);
  }

  save(): SavedState {
    return { config: this.config.slice() };
  }

  restore(state: SavedState): void {
    this.config.set(state.config as Uint8Array);
    this.configWritten(0, 256);
  }

  /** Sets a register's power-on value, little-endian, and which of its bits the guest may write. */
  protected define(register: number, bytes: number, value: number, writable = 0): void {
    for (let i = 0; i < bytes; i++) {
      this.config[register + i] = this.powerOn[register + i] = value >>> (8 * i);
      this.writable[register + i] = writable >>> (8 * i);
    }
  }

  /** A base address register that decodes `size` bytes, a power of two of at least 4 (I/O) or 16 (memory), and its command bit. */
  protected defineBar(index: number, space: "io" | "memory", size: number): void {
    const least = space === "io" ? 4 : 16;
    if (size < least || (size & (size - 1)) !== 0)
      throw new RangeError(`${this.name}: BAR ${index} of ${size} bytes; expected a power of two of at least ${least}`);
    this.define(pciRegister.bars + 4 * index, 4, space === "io" ? barIsIo : 0, -size);
    const bit = space === "io" ? pciCommand.io : pciCommand.memory;
    this.writable[pciRegister.command] |= bit | pciCommand.master;
  }

  /** Registers have been written, reset or restored. */
  protected configWritten(_register: number, _bytes: number): void {}
}
