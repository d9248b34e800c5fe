/**
 * A PCI function: the 256 bytes of its configuration space with a mask of the bits the guest may write (PCI Local Bus Specification 2.2,
 * chapter 6). A function with something behind those bits overrides `configWritten`.
 *
 * What is behind a base address register is handed to `defineBar` as a `BarWindow` (pci-window.ts): it appears at the address the register holds while the command
 * register lets it, and goes away when either changes. Guests size a BAR by writing ones to it, mostly with decoding switched off; while one does so with it on,
 * the window is at a nonsense address for a moment, which must do no harm.
 */
import type { Device, SavedState } from "./device.ts";
import type { BarWindow } from "./pci-window.ts";

export const pciRegister = {
  ...{ vendor: 0x00, device: 0x02, command: 0x04, status: 0x06, revision: 0x08, classCode: 0x09, headerType: 0x0e },
  ...{ bars: 0x10, subsystemVendor: 0x2c, subsystem: 0x2e, interruptLine: 0x3c, interruptPin: 0x3d },
  ...{ rom: 0x30, capabilities: 0x34 },
} as const;

/** Command register: answers in I/O space, in memory space, may master the bus, reports system errors, keeps its interrupt pin quiet. */
export const pciCommand = { io: 0x001, memory: 0x002, master: 0x004, serr: 0x100, interruptDisable: 0x400 } as const;

const multifunctionHeader = 0x80;
const barIsIo = 1;
const barIs64 = 4;
const barIsPrefetchable = 8;
const romEnable = 1;

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

export interface BarOptions {
  /** What appears at the BAR's address. */
  readonly window?: BarWindow;
  /** Memory: reads have no side effects. */
  readonly prefetchable?: boolean;
  /** Memory: a BAR of 64 bits, which takes the next one's place too. */
  readonly wide?: boolean;
}

/** A BAR, or the ROM's, with what is behind it. */
interface Decoder {
  readonly register: number;
  readonly space: "io" | "memory" | "rom";
  readonly wide: boolean;
  readonly window: BarWindow;
  /** Where the window is now; -1: nowhere. */
  at: number;
}

export class PciFunction implements Device {
  readonly name: string;
  private readonly decoders: Decoder[] = [];
  protected readonly config = new Uint8Array(256);
  private readonly powerOn = new Uint8Array(256);
  private readonly writable = new Uint8Array(256);

  constructor(name: string, identity: PciIdentity) {
    this.name = name;
    this.define(pciRegister.vendor, 2, identity.vendor);
    this.define(pciRegister.device, 2, identity.device);
    // Also without base address registers: a VGA answers at ports of its own in I/O space, and firmware looks at the bit.
    this.define(pciRegister.command, 2, 0, pciCommand.io | pciCommand.memory | pciCommand.master | pciCommand.serr | pciCommand.interruptDisable);
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
    this.updateWindows();
    this.configWritten(register, size);
  }

  /** The address a base address register holds now. */
  barAddress(index: number): number {
    const value = this.readConfig(pciRegister.bars + 4 * index, 4);
    return ((value & barIsIo) !== 0 ? value & ~3 : value & ~15) >>> 0;
  }

  reset(): void {
    this.config.set(this.powerOn);
    this.updateWindows();
    this.configWritten(0, 256);
  }

  save(): SavedState {
    return { config: this.config.slice() };
  }

  restore(state: SavedState): void {
    this.config.set(state.config as Uint8Array);
    this.updateWindows();
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
  protected defineBar(index: number, space: "io" | "memory", size: number, options: BarOptions = {}): void {
    const least = space === "io" ? 4 : 16;
    if (size < least || (size & (size - 1)) !== 0)
      throw new RangeError(`${this.name}: BAR ${index} of ${size} bytes; expected a power of two of at least ${least}`);
    const register = pciRegister.bars + 4 * index;
    const { wide = false, prefetchable = false, window } = options;
    const kind = space === "io" ? barIsIo : (wide ? barIs64 : 0) | (prefetchable ? barIsPrefetchable : 0);
    this.define(register, 4, kind, -size);
    if (wide) this.define(register + 4, 4, 0, -1);
    const bit = space === "io" ? pciCommand.io : pciCommand.memory;
    this.writable[pciRegister.command] |= bit;
    if (window) this.decoders.push({ register, space, wide, window, at: -1 });
  }

  /** An expansion ROM of `size` bytes, a power of two of at least 2 KiB: it has an enable bit of its own (PCI 2.2, 6.2.5.2). */
  protected defineRom(size: number, window: BarWindow): void {
    if (size < 0x800 || (size & (size - 1)) !== 0)
      throw new RangeError(`${this.name}: a ROM of ${size} bytes; expected a power of two of at least 2048`);
    this.define(pciRegister.rom, 4, 0, -size | romEnable);
    this.writable[pciRegister.command] |= pciCommand.memory;
    this.decoders.push({ register: pciRegister.rom, space: "rom", wide: false, window, at: -1 });
  }

  /** Moves windows to where the registers say. */
  private updateWindows(): void {
    for (const decoder of this.decoders) {
      const at = this.decodedAddress(decoder);
      if (at === decoder.at) continue;
      if (decoder.at >= 0) decoder.window.hide();
      decoder.at = at;
      if (at >= 0) decoder.window.show(at);
    }
  }

  private decodedAddress({ register, space, wide }: Decoder): number {
    const command = this.config[pciRegister.command];
    const value = this.readConfig(register, 4);
    // A BAR nobody has set holds 0, where nothing of PCI can be.
    if (space === "io") return (command & pciCommand.io) !== 0 && value > 3 ? (value & ~3) >>> 0 : -1;
    if ((command & pciCommand.memory) === 0 || (space === "rom" && (value & romEnable) === 0)) return -1;
    const low = (value & (space === "rom" ? ~0x7ff : ~15)) >>> 0;
    const address = wide ? this.readConfig(register + 4, 4) * 2 ** 32 + low : low;
    return address === 0 ? -1 : address;
  }

  /** Registers have been written, reset or restored. */
  protected configWritten(_register: number, _bytes: number): void {}
}
