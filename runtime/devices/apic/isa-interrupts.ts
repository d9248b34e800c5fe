/**
 * The sixteen interrupt request wires of the ISA bus. Each is high while any of its drivers is (COM1 and COM3 share IRQ4) and leads to both interrupt
 * controllers: the 8259 pair, and the I/O APIC, where IRQ0 arrives at pin 2, because pin 0 is kept for the 8259's output (Intel MultiProcessor
 * Specification 1.4, 5.1).
 */
import type { Device, Line, SavedState } from "../device.ts";

const requests = 16;
const maximumDrivers = 31;
/** Where the slave 8259 is on the master; no wire of the bus. */
const cascade = 2;
const timerPin = 2;

export class IsaInterrupts implements Device {
  readonly name = "isa-interrupts";
  private readonly outputs: readonly (readonly [Line, Line] | null)[];
  /** Per wire, one bit for each driver that holds it high; and how many drivers there are. */
  private readonly driven = new Int32Array(requests);
  private readonly drivers = new Int32Array(requests);

  /** @param pic the 8259's input `n`; @param ioApic the I/O APIC's pin `n` */
  constructor(pic: (n: number) => Line, ioApic: (n: number) => Line) {
    this.outputs = Array.from({ length: requests }, (_, n) => (n === cascade ? null : ([pic(n), ioApic(n === 0 ? timerPin : n)] as const)));
  }

  /** A new driver of interrupt request `n`. */
  irq(n: number): Line {
    const outputs = this.outputs[n] ?? null;
    if (outputs === null) throw new RangeError(`IsaInterrupts.irq(${n}): expected 0..15 without 2, the cascade`);
    if (this.drivers[n] === maximumDrivers) throw new RangeError(`IsaInterrupts.irq(${n}): more than ${maximumDrivers} drivers`);
    const bit = 1 << this.drivers[n]++;
    const [pic, ioApic] = outputs;
    return {
      set: (high) => {
        const before = this.driven[n];
        const driven = high ? before | bit : before & ~bit;
        if (driven === before) return;
        this.driven[n] = driven;
        if ((before === 0) === (driven === 0)) return;
        pic.set(driven !== 0);
        ioApic.set(driven !== 0);
      },
    };
  }

  /** The wires stay as their drivers hold them. */
  reset(): void {}

  save(): SavedState {
    return { driven: this.driven.slice() };
  }

  /** To be restored after the drivers and before the controllers. */
  restore(state: SavedState): void {
    this.driven.set(state.driven as Int32Array);
    this.outputs.forEach((lines, n) => {
      for (const line of lines ?? []) line.set(this.driven[n] !== 0);
    });
  }
}
