/**
 * The PC's pair of 8259A programmable interrupt controllers as the PIIX integrates them (Intel 8259A datasheet 231468; 82371AB
 * datasheet, "Interrupt Controller"): master at IRQ 0-7, slave at IRQ 8-15 cascaded into the master's IR2, edge or level per pin from the
 * ELCR (ports 4D0h/4D1h), which replaces ICW1's LTIM bit.
 *
 * A pin is edge-sensitive: a rising edge sets its IRR bit, and the bit lasts until acknowledged or until the pin falls ("IR inputs
 * must remain high until after the falling edge of the first INTA", else the default IR7 is delivered). A level pin's IRR bit is the pin.
 * The output line is high exactly while an unmasked request of higher priority than what is in service waits.
 */
import { ByteBank } from "./byte-bank.ts";
import type { Device, Line, RegisterBank, SavedState } from "./device.ts";

const cascadePin = 2;
/** OCW2 bits 7-5: R, SL, EOI. */
const ocw2 = { rotate: 0x80, specific: 0x40, endOfInterrupt: 0x20 };
/** IRQ 0, 1 and 2, 8 and 13 are edge-triggered whatever is written (82371AB, ELCR1 and ELCR2). */
const levelCapable = { master: 0xf8, slave: 0xde };

/** Which initialization command word the next write to the odd port is. */
type AwaitedWord = 0 | 2 | 3 | 4;

type ChipState = {
  pins: number;
  requests: number;
  inService: number;
  mask: number;
  level: number;
  vectorBase: number;
  lowestPriority: number;
  awaited: number;
  single: boolean;
  needsWord4: boolean;
  autoEndOfInterrupt: boolean;
  rotateOnAutoEnd: boolean;
  specialFullyNested: boolean;
  specialMask: boolean;
  readInService: boolean;
  polled: boolean;
};

/** One 8259A. Bit n of every register is IRn. */
class Pic {
  private readonly output: Line;
  private readonly levelCapable: number;
  private readonly hasSlaves: boolean;
  private pins = 0;
  private requests = 0;
  private inService = 0;
  private mask = 0;
  private level = 0;
  private vectorBase = 0;
  private lowestPriority = 7;
  private awaited: AwaitedWord = 0;
  private single = false;
  private needsWord4 = false;
  private autoEndOfInterrupt = false;
  private rotateOnAutoEnd = false;
  private specialFullyNested = false;
  private specialMask = false;
  private readInService = false;
  private polled = false;

  constructor(output: Line, levelCapable: number, hasSlaves: boolean) {
    this.output = output;
    this.levelCapable = levelCapable;
    this.hasSlaves = hasSlaves;
  }

  reset(): void {
    this.initialize();
    this.level = 0;
    this.vectorBase = 0;
    this.awaited = 0;
    this.single = false;
    this.needsWord4 = false;
    this.specialFullyNested = false;
    this.autoEndOfInterrupt = false;
    this.requests = 0;
    this.update();
  }

  setPin(pin: number, high: boolean): void {
    const bit = 1 << pin;
    if (high) {
      if ((this.pins & bit) !== 0) return;
      this.pins |= bit;
      this.requests |= bit;
    } else {
      if ((this.pins & bit) === 0) return;
      this.pins &= ~bit;
      this.requests &= ~bit;
    }
    this.update();
  }

  /** The waiting pin that may interrupt now, or -1. */
  pending(): number {
    const waiting = this.requests & ~this.mask;
    if (waiting === 0) return -1;
    // In special mask mode a masked pin in service no longer holds back lower priorities.
    const blocking = this.specialMask ? this.inService & ~this.mask : this.inService;
    for (let rank = 1; rank <= 8; rank++) {
      const pin = (this.lowestPriority + rank) & 7;
      const bit = 1 << pin;
      // Special fully nested: a slave already in service may ask again for a request of its own that ranks higher.
      const asksAgain = this.specialFullyNested && this.hasSlaves && pin === cascadePin;
      if ((blocking & bit) !== 0 && !asksAgain) return -1;
      if ((waiting & bit) !== 0) return pin;
      if ((blocking & bit) !== 0) return -1;
    }
    return -1;
  }

  /** The INTA cycle (or a poll): takes the pending request into service. Returns its pin, or -1 when there is none any more. */
  accept(): number {
    const pin = this.pending();
    if (pin < 0) return -1;
    const bit = 1 << pin;
    if ((this.level & bit) === 0) this.requests &= ~bit;
    if (!this.autoEndOfInterrupt) this.inService |= bit;
    else if (this.rotateOnAutoEnd) this.lowestPriority = pin;
    // INT falls at the acknowledge: what still waits shows as a new edge, which a cascaded master needs to see.
    this.output.set(false);
    this.update();
    return pin;
  }

  vector(pin: number): number {
    return this.vectorBase | pin;
  }

  read(offset: number): number {
    if (this.polled) {
      this.polled = false;
      const pin = this.accept();
      return pin < 0 ? 0 : 0x80 | pin;
    }
    if (offset === 1) return this.mask;
    return this.readInService ? this.inService : this.requests;
  }

  write(offset: number, value: number): void {
    if (offset === 1) this.writeData(value);
    else if ((value & 0x10) !== 0) this.writeWord1(value);
    else if ((value & 0x08) !== 0) this.writeOperation3(value);
    else this.writeOperation2(value);
    this.update();
  }

  readLevel(): number {
    return this.level;
  }

  writeLevel(value: number): void {
    const level = value & this.levelCapable;
    const changed = level ^ this.level;
    this.level = level;
    this.requests = (this.requests & ~changed) | (this.pins & changed & level);
    this.update();
  }

  /** What ICW1 does by itself: edge latches, IMR, priority, special mask and status read. */
  private initialize(): void {
    this.requests = this.pins & this.level;
    this.inService = 0;
    this.mask = 0;
    this.lowestPriority = 7;
    this.rotateOnAutoEnd = false;
    this.specialMask = false;
    this.readInService = false;
    this.polled = false;
  }

  private writeWord1(value: number): void {
    this.initialize();
    this.single = (value & 0x02) !== 0;
    this.needsWord4 = (value & 0x01) !== 0;
    if (!this.needsWord4) this.writeWord4(0);
    this.awaited = 2;
  }

  private writeWord4(value: number): void {
    this.specialFullyNested = (value & 0x10) !== 0;
    this.autoEndOfInterrupt = (value & 0x02) !== 0;
    this.awaited = 0;
  }

  private writeData(value: number): void {
    const next: AwaitedWord = this.needsWord4 ? 4 : 0;
    if (this.awaited === 0) this.mask = value;
    else if (this.awaited === 2) {
      this.vectorBase = value & 0xf8;
      this.awaited = this.single ? next : 3;
    } else if (this.awaited === 3) {
      // ICW3 says where slaves are; on the PC the wiring does.
      this.awaited = next;
    } else this.writeWord4(value);
  }

  private writeOperation2(value: number): void {
    const rotate = (value & ocw2.rotate) !== 0;
    const specific = (value & ocw2.specific) !== 0;
    if ((value & ocw2.endOfInterrupt) !== 0) {
      const pin = specific ? value & 7 : this.highestInService();
      if (pin < 0) return;
      this.inService &= ~(1 << pin);
      if (rotate) this.lowestPriority = pin;
    } else if (specific) {
      if (rotate) this.lowestPriority = value & 7;
    } else this.rotateOnAutoEnd = rotate;
  }

  private writeOperation3(value: number): void {
    if ((value & 0x40) !== 0) this.specialMask = (value & 0x20) !== 0;
    if ((value & 0x04) !== 0) this.polled = true;
    else if ((value & 0x02) !== 0) this.readInService = (value & 0x01) !== 0;
  }

  /** What a non-specific EOI ends. In special mask mode it leaves masked pins alone. */
  private highestInService(): number {
    const candidates = this.specialMask ? this.inService & ~this.mask : this.inService;
    for (let rank = 1; rank <= 8; rank++) {
      const pin = (this.lowestPriority + rank) & 7;
      if ((candidates & (1 << pin)) !== 0) return pin;
    }
    return -1;
  }

  private update(): void {
    this.output.set(this.pending() >= 0);
  }

  save(): ChipState {
    const { pins, requests, inService, mask, level, vectorBase, lowestPriority, awaited, single, needsWord4 } = this;
    const { autoEndOfInterrupt, rotateOnAutoEnd, specialFullyNested, specialMask, readInService, polled } = this;
    return {
      ...{ pins, requests, inService, mask, level, vectorBase, lowestPriority, awaited, single, needsWord4 },
      ...{ autoEndOfInterrupt, rotateOnAutoEnd, specialFullyNested, specialMask, readInService, polled },
    };
  }

  restore(state: ChipState): void {
    Object.assign(this, state);
    this.update();
  }
}

export class Pic8259 implements Device {
  readonly name = "pic8259";
  /** Ports 20h-21h. */
  readonly master: RegisterBank;
  /** Ports A0h-A1h. */
  readonly slave: RegisterBank;
  /** Ports 4D0h-4D1h: edge/level control. */
  readonly edgeLevel: RegisterBank;

  private readonly chips: readonly [Pic, Pic];
  /** Per IRQ, one bit for each of its drivers that is high. */
  private readonly driven = new Int32Array(16);
  private readonly drivers = new Int32Array(16);

  /** @param output the CPU's INTR pin */
  constructor(output: Line) {
    const master = new Pic(output, levelCapable.master, true);
    const slave = new Pic({ set: (high) => master.setPin(cascadePin, high) }, levelCapable.slave, false);
    this.chips = [master, slave];
    this.master = new ByteBank(
      2,
      (offset) => master.read(offset),
      (offset, value) => master.write(offset, value),
    );
    this.slave = new ByteBank(
      2,
      (offset) => slave.read(offset),
      (offset, value) => slave.write(offset, value),
    );
    this.edgeLevel = new ByteBank(
      2,
      (offset) => this.chips[offset].readLevel(),
      (offset, value) => this.chips[offset].writeLevel(value),
    );
    this.reset();
  }

  /** A new driver of interrupt request `n`; the pin is high while any of its drivers is (COM1 and COM3 share IRQ4). */
  irq(n: number): Line {
    if (!Number.isInteger(n) || n < 0 || n > 15 || n === cascadePin) throw new RangeError(`Pic8259.irq(${n}): expected 0..15 without 2, the cascade`);
    if (this.drivers[n] === 31) throw new RangeError(`Pic8259.irq(${n}): more than 31 drivers`);
    const bit = 1 << this.drivers[n]++;
    const chip = this.chips[n >> 3];
    const pin = n & 7;
    return {
      set: (high) => {
        const driven = high ? this.driven[n] | bit : this.driven[n] & ~bit;
        if (driven === this.driven[n]) return;
        this.driven[n] = driven;
        chip.setPin(pin, driven !== 0);
      },
    };
  }

  /** The CPU's interrupt acknowledge: the vector. With nothing waiting any more it is the default (spurious) IRQ7 or IRQ15. */
  acknowledge(): number {
    const [master, slave] = this.chips;
    const pin = master.accept();
    if (pin < 0) return master.vector(7);
    if (pin !== cascadePin) return master.vector(pin);
    const slavePin = slave.accept();
    return slave.vector(slavePin < 0 ? 7 : slavePin);
  }

  /** Clears the chips' registers; the pins stay as their drivers hold them. */
  reset(): void {
    for (const chip of this.chips) chip.reset();
  }

  save(): SavedState {
    return { driven: this.driven.slice(), master: this.chips[0].save(), slave: this.chips[1].save() };
  }

  restore(state: SavedState): void {
    this.driven.set(state.driven as Int32Array);
    // The slave first: it drives the master's pin, whose state is then the saved one in any case.
    this.chips[1].restore(state.slave as ChipState);
    this.chips[0].restore(state.master as ChipState);
  }
}
