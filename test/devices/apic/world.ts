/** A processor's worth of interrupt controllers on a clock that the test moves. */
import { InterruptMessageBus, IoApic, IsaInterrupts, LocalApic } from "../../../runtime/devices/apic/index.ts";
import { Pic8259, type SavedState } from "../../../runtime/devices/index.ts";
import { TestClock } from "../support.ts";

/** Offsets of the local APIC's registers. */
export const at = {
  ...{ id: 0x20, version: 0x30, tpr: 0x80, apr: 0x90, ppr: 0xa0, eoi: 0xb0, ldr: 0xd0, dfr: 0xe0, svr: 0xf0, isr: 0x100, tmr: 0x180, irr: 0x200 },
  ...{ esr: 0x280, icr: 0x300, icrHigh: 0x310, timer: 0x320, thermal: 0x330, performance: 0x340, lint0: 0x350, lint1: 0x360, error: 0x370 },
  ...{ initial: 0x380, current: 0x390, divide: 0x3e0 },
} as const;

export class World {
  readonly clock = new TestClock();
  readonly bus = new InterruptMessageBus();
  readonly placed: (number | null)[] = [];
  signals = 0;
  readonly apic: LocalApic;
  readonly pic: Pic8259;
  readonly ioApic: IoApic;
  readonly isa: IsaInterrupts;

  constructor() {
    this.apic = new LocalApic({
      ...{ id: 0, isBootstrap: true, clock: this.clock, bus: this.bus },
      acknowledgeExternal: () => this.pic.acknowledge(),
      signal: () => {
        this.signals++;
      },
      place: (address) => this.placed.push(address),
    });
    this.pic = new Pic8259(this.apic.lint[0]);
    this.ioApic = new IoApic(this.bus);
    this.isa = new IsaInterrupts(
      (n) => this.pic.irq(n),
      (n) => this.ioApic.pin(n),
    );
  }

  get(offset: number): number {
    return this.apic.registers.read(offset, 4) >>> 0;
  }
  put(offset: number, value: number): void {
    this.apic.registers.write(offset, 4, value);
  }
  /** Enables the APIC by software. */
  enable(): this {
    this.put(at.svr, 0x1ff);
    return this;
  }
  /** Without the 8259: symmetric I/O mode. */
  symmetric(): this {
    this.enable().put(at.lint0, 0x10700);
    return this;
  }
  selfIpi(vector: number): void {
    this.put(at.icr, 0x40000 | vector);
  }
  /** The vectors of IRR, ISR or TMR. */
  vectors(set: number): number[] {
    return Array.from({ length: 256 }, (_, v) => v).filter((v) => (this.get(set + 16 * (v >> 5)) >>> (v & 31)) & 1);
  }
  /** Takes and ends everything that is deliverable; the vectors in order. */
  drain(): number[] {
    const order: number[] = [];
    while (this.apic.pending && order.length < 300) {
      order.push(this.apic.acknowledge());
      this.put(at.eoi, 0);
    }
    return order;
  }

  io(register: number): number {
    this.ioApic.registers.write(0, 4, register);
    return this.ioApic.registers.read(0x10, 4) >>> 0;
  }
  setIo(register: number, value: number): void {
    this.ioApic.registers.write(0, 4, register);
    this.ioApic.registers.write(0x10, 4, value);
  }
  /** A redirection entry to APIC 0. */
  redirect(pin: number, low: number, high = 0): void {
    this.setIo(0x11 + 2 * pin, high);
    this.setIo(0x10 + 2 * pin, low);
  }

  get devices() {
    return [this.isa, this.ioApic, this.pic, this.apic];
  }
  save(): SavedState[] {
    return structuredClone([this.clock.save(), ...this.devices.map((device) => device.save())]);
  }
  restore([clock, ...states]: SavedState[]): this {
    this.clock.restore(clock);
    this.devices.forEach((device, n) => {
      device.restore(states[n]);
    });
    return this;
  }
}
