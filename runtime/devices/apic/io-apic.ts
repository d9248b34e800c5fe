/**
 * The I/O APIC (Intel 82093AA datasheet 290566), as QEMU's `pc` has it: 24 pins, version 20h with an EOI register. Each pin has a redirection entry
 * that says what message a request becomes and to whom it goes. A level-triggered entry sends one message, sets its Remote IRR, and looks at the pin
 * again at the EOI.
 *
 * Pins carry assertion: the PIIX3 steers PCI's active-low requests onto ISA's active-high ones, and firmware says so, but kernels differ in what they
 * believe. So, as in QEMU, the polarity bit is kept and means nothing.
 */
import type { Device, Line, RegisterBank, SavedState } from "../device.ts";
import { deliveryMode, type InterruptMessageBus } from "./message-bus.ts";

export const ioApicAddress = 0xfec00000;
export const ioApicPins = 24;

/** Offsets in the page. */
const offsets = { select: 0x00, window: 0x10, endOfInterrupt: 0x40 } as const;
const register = { id: 0x00, version: 0x01, arbitration: 0x02, entries: 0x10 } as const;
const version = 0x20 | ((ioApicPins - 1) << 16);

/** Bits of a redirection entry's low word. */
const entry = {
  vector: 0xff,
  modeShift: 8,
  logical: 1 << 11,
  remoteIrr: 1 << 14,
  levelTriggered: 1 << 15,
  masked: 1 << 16,
} as const;
const writable = 0x1afff;
const highWritable = 0xff000000;

export class IoApic implements Device {
  readonly name = "io-apic";
  readonly registers: RegisterBank;

  private readonly bus: InterruptMessageBus;
  private id = 0;
  private selected = 0;
  private readonly low = new Int32Array(ioApicPins);
  private readonly high = new Int32Array(ioApicPins);
  /** Bit n: pin n is asserted. */
  private pins = 0;

  constructor(bus: InterruptMessageBus) {
    this.bus = bus;
    bus.addListener(this);
    this.registers = {
      read: (offset, size) => this.read(offset, size),
      write: (offset, size, value) => this.write(offset, size, value),
    };
    this.reset();
  }

  /** The line of pin `n`, to be driven by one source. */
  pin(n: number): Line {
    if (!Number.isInteger(n) || n < 0 || n >= ioApicPins) throw new RangeError(`IoApic.pin(${n}): expected 0..${ioApicPins - 1}`);
    return { set: (high) => this.setPin(n, high) };
  }

  /** All entries masked; the pins stay as their drivers hold them. */
  reset(): void {
    this.id = 0;
    this.selected = 0;
    this.low.fill(entry.masked);
    this.high.fill(0);
  }

  save(): SavedState {
    return { id: this.id, selected: this.selected, low: this.low.slice(), high: this.high.slice(), pins: this.pins };
  }

  restore(state: SavedState): void {
    this.id = state.id as number;
    this.selected = state.selected as number;
    this.low.set(state.low as Int32Array);
    this.high.set(state.high as Int32Array);
    this.pins = state.pins as number;
  }

  /** A local APIC has finished with `vector`. */
  endOfInterrupt(vector: number): void {
    for (let n = 0; n < ioApicPins; n++) {
      const low = this.low[n];
      if ((low & entry.vector) !== vector || (low & entry.remoteIrr) === 0) continue;
      this.low[n] = low & ~entry.remoteIrr;
      this.service(n);
    }
  }

  private setPin(n: number, high: boolean): void {
    const bit = 1 << n;
    if (high === ((this.pins & bit) !== 0)) return;
    this.pins ^= bit;
    if (!high) return;
    if ((this.low[n] & entry.levelTriggered) !== 0) this.service(n);
    // The edge of a masked pin is lost.
    else if ((this.low[n] & entry.masked) === 0) this.send(n, false);
  }

  /** Sends the message of a level-triggered pin that is asserted, unmasked and not waiting for an EOI. */
  private service(n: number): void {
    const low = this.low[n];
    if ((low & (entry.levelTriggered | entry.masked | entry.remoteIrr)) !== entry.levelTriggered || (this.pins & (1 << n)) === 0) return;
    const mode = (low >> entry.modeShift) & 7;
    // The other modes are edge-triggered whatever the bit says, and have no EOI.
    if (mode > deliveryMode.lowestPriority) this.send(n, false);
    else {
      // Before it is sent, for the EOI may come from within.
      this.low[n] |= entry.remoteIrr;
      // Where nobody takes it, it is tried again when software changes the entry.
      if (!this.send(n, true)) this.low[n] &= ~entry.remoteIrr;
    }
  }

  private send(n: number, levelTriggered: boolean): boolean {
    const low = this.low[n];
    const destination = this.high[n] >>> 24;
    return this.bus.send(destination, (low & entry.logical) !== 0, (low >> entry.modeShift) & 7, low & entry.vector, levelTriggered);
  }

  private read(offset: number, size: 1 | 2 | 4): number {
    const within = offset & 3;
    const at = offset - within;
    const value = (at === offsets.select ? this.selected : at === offsets.window ? this.readRegister() : 0) >>> (8 * within);
    return size === 4 ? value : value & ((1 << (8 * size)) - 1);
  }

  private write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset === offsets.select) this.selected = value & 0xff;
    // The window and the EOI register are 32 bits wide and take nothing less.
    else if (size !== 4) return;
    else if (offset === offsets.window) this.writeRegister(value);
    else if (offset === offsets.endOfInterrupt) this.endOfInterrupt(value & 0xff);
  }

  private readRegister(): number {
    const { selected } = this;
    if (selected === register.id || selected === register.arbitration) return this.id << 24;
    if (selected === register.version) return version;
    const n = (selected - register.entries) >> 1;
    if (n < 0 || n >= ioApicPins) return 0;
    return (selected & 1) === 0 ? this.low[n] : this.high[n];
  }

  private writeRegister(value: number): void {
    const { selected } = this;
    if (selected === register.id) this.id = (value >>> 24) & 0xf;
    const n = (selected - register.entries) >> 1;
    if (n < 0 || n >= ioApicPins) return;
    if ((selected & 1) !== 0) this.high[n] = value & highWritable;
    else {
      this.low[n] = (value & writable) | (this.low[n] & entry.remoteIrr);
      // Software that turns an entry to edge and back gets rid of an EOI that will not come.
      if ((value & entry.levelTriggered) === 0) this.low[n] &= ~entry.remoteIrr;
    }
    this.service(n);
  }
}
