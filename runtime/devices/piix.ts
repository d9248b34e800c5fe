/**
 * The functions of QEMU's `pc` that every guest finds on bus 0: the 440FX host bridge at 0.0, the PIIX3 ISA bridge at 1.0 with its
 * steering of PCI interrupts, the PIIX4 power management function at 1.3 (datasheets 290549, 290550, 290562).
 */
import type { Line, SavedState } from "./device.ts";
import { WiredOr } from "./line.ts";
import { PciFunction } from "./pci-function.ts";

const intel = 0x8086;

/** The IRQs that firmware steers PIRQA# to PIRQD# to; the ACPI tables' routing says the same. */
export const pirqRouting: readonly number[] = [10, 10, 11, 11];

/** The PIRQ (0-3) that interrupt pin 1-4 (INTA# to INTD#) of a device number is wired to on this board. */
export function pirqOf(slot: number, pin: number): number {
  return (slot - 1 + (pin - 1)) & 3;
}

export class HostBridge440Fx extends PciFunction {
  constructor() {
    super("host-bridge", { vendor: intel, device: 0x1237, revision: 2, classCode: 0x060000 });
    // PAM0-PAM6 and SMRAM hold what firmware writes; RAM shadows nothing here, so nothing follows from them.
    for (let register = 0x59; register <= 0x5f; register++) this.define(register, 1, 0, 0x33);
    this.define(0x72, 1, 0x02, 0x78);
  }
}

const steering = 0x60;
const steeringOff = 0x80;
/** IRQs a PIRQ can be steered to; the others are reserved. */
const steerable = 0b1101_1110_1111_1000;

export class IsaBridgePiix3 extends PciFunction {
  private readonly irq: (n: number) => Line;
  /** Per PIRQ and IRQ, this bridge's driver of the interrupt request. */
  private readonly drivers: (Line | undefined)[] = new Array(64).fill(undefined);
  private readonly asserted = [false, false, false, false];
  private readonly routes = [-1, -1, -1, -1];
  private readonly wires: readonly WiredOr[];

  /** @param irq a new driver of interrupt request `n` */
  constructor(irq: (n: number) => Line) {
    super("isa-bridge", { vendor: intel, device: 0x7000, classCode: 0x060100, multifunction: true });
    this.irq = irq;
    this.wires = [0, 1, 2, 3].map((pirq) => new WiredOr({ set: (high) => this.setPirq(pirq, high) }));
    pirqRouting.forEach((route, pirq) => {
      this.define(steering + pirq, 1, route, 0x8f);
    });
    this.configWritten();
  }

  /** A new driver of the PIRQ that a device's interrupt pin (1-4) is wired to. */
  interrupt(slot: number, pin: number): Line {
    return this.wires[pirqOf(slot, pin)].driver();
  }

  override save(): SavedState {
    return { ...super.save(), asserted: [...this.asserted] };
  }

  override restore(state: SavedState): void {
    (state.asserted as boolean[]).forEach((high, pirq) => {
      this.asserted[pirq] = high;
    });
    super.restore(state);
    for (let pirq = 0; pirq < 4; pirq++) this.drive(pirq, this.asserted[pirq]);
  }

  protected override configWritten(): void {
    for (let pirq = 0; pirq < 4; pirq++) {
      const register = this.config[steering + pirq];
      const irq = register & 15;
      const route = (register & steeringOff) !== 0 || ((steerable >> irq) & 1) === 0 ? -1 : irq;
      if (route === this.routes[pirq]) continue;
      this.drive(pirq, false);
      this.routes[pirq] = route;
      this.drive(pirq, this.asserted[pirq]);
    }
  }

  private setPirq(pirq: number, high: boolean): void {
    this.asserted[pirq] = high;
    this.drive(pirq, high);
  }

  private drive(pirq: number, high: boolean): void {
    const route = this.routes[pirq];
    if (route < 0) return;
    const at = pirq * 16 + route;
    this.drivers[at] ??= this.irq(route);
    this.drivers[at].set(high);
  }
}

export class PowerManagementPiix4 extends PciFunction {
  /** @param base port of the ACPI register block, which firmware has placed and enabled; it cannot be moved */
  constructor(base: number, sciIrq: number) {
    super("power-management", { vendor: intel, device: 0x7113, revision: 3, classCode: 0x068000, interruptPin: 1 });
    this.define(0x3c, 1, sciIrq, 0xff);
    this.define(0x40, 4, base | 1);
    this.define(0x80, 1, 1);
  }
}
