/**
 * The south bridge of QEMU's `pc`, which every guest finds on bus 0: the PIIX3 ISA bridge at 1.0 with its steering of PCI interrupts, the PIIX4 power management
 * function at 1.3 (datasheets 290550, 290562). Registers without anything behind them hold what QEMU's hold at reset, for drivers that compare.
 */
import type { Line, SavedState } from "./device.ts";
import { WiredOr } from "./line.ts";
import { PciFunction, pciRegister } from "./pci-function.ts";
import type { BarWindow } from "./pci-window.ts";

export const intel = 0x8086;
/** How SeaBIOS tells that it runs in a virtual machine that has fw_cfg: all functions of QEMU's `pc` carry it. */
export const qemuSubsystem = { subsystemVendor: 0x1af4, subsystem: 0x1100 } as const;

/** The IRQs that firmware steers PIRQA# to PIRQD# to; the ACPI tables' routing says the same. */
export const pirqRouting: readonly number[] = [10, 10, 11, 11];

/** The PIRQ (0-3) that interrupt pin 1-4 (INTA# to INTD#) of a device number is wired to on this board. */
export function pirqOf(slot: number, pin: number): number {
  return (slot - 1 + (pin - 1)) & 3;
}

/** DEVSEL# timing in the status register. */
const mediumDecoding = 0x0200;
/** Bus timing, X-bus chip selects, DMA and motherboard device registers: nothing follows from them here. */
const isaBridgeDefaults = [
  ...([
    [0x4c, 0x4d],
    [0x4e, 0x03],
    [0x4f, 0x00],
    [0x69, 0x02],
    [0x70, 0x80],
    [0x76, 0x0c],
    [0x77, 0x0c],
    [0x78, 0x02],
    [0x79, 0x00],
  ] as const),
  ...([
    [0x80, 0x00],
    [0x82, 0x00],
    [0xa0, 0x08],
    [0xa2, 0x00],
    [0xa3, 0x00],
    [0xa8, 0x0f],
  ] as const),
] as const;

const steering = 0x60;
const steeringOff = 0x80;
/** IRQs a PIRQ can be steered to; the others are reserved. */
const steerable = 0b1101_1110_1111_1000;

export class IsaBridgePiix3 extends PciFunction {
  /** Per PIRQ and IRQ it can be steered to, this bridge's driver of the interrupt request. Made at once: the wires' saved state knows drivers by their order. */
  private readonly drivers: readonly (Line | undefined)[];
  private readonly asserted = [false, false, false, false];
  private readonly routes = [-1, -1, -1, -1];
  private readonly wires: readonly WiredOr[];

  /** @param irq a new driver of interrupt request `n` */
  constructor(irq: (n: number) => Line) {
    super("isa-bridge", { vendor: intel, device: 0x7000, classCode: 0x060100, multifunction: true, ...qemuSubsystem });
    this.drivers = Array.from({ length: 64 }, (_, at) => (((steerable >> (at & 15)) & 1) === 0 ? undefined : irq(at & 15)));
    this.wires = [0, 1, 2, 3].map((pirq) => new WiredOr({ set: (high) => this.setPirq(pirq, high) }));
    this.define(pciRegister.status, 2, mediumDecoding);
    for (const [register, value] of isaBridgeDefaults) this.define(register, 1, value, 0xff);
    for (let pirq = 0; pirq < 4; pirq++) this.define(steering + pirq, 1, steeringOff, 0x8f);
    this.configWritten();
  }

  /** As firmware leaves it: PIRQs steered to the IRQs that the ACPI tables name. */
  steer(): void {
    pirqRouting.forEach((route, pirq) => {
      this.writeConfig(steering + pirq, 1, route);
    });
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
    this.drivers[pirq * 16 + route]!.set(high);
  }
}

const powerManagement = { base: 0x40, deviceB: 0x58, smiInitialised: 0x5b, miscellaneous: 0x80, smbusBase: 0x90, smbusConfiguration: 0xd2 };
const powerManagementEnable = 1;

export class PowerManagementPiix4 extends PciFunction {
  private readonly window: BarWindow | undefined;
  private base = -1;

  /** @param window the 64 ports of the ACPI register block, which appear where firmware places them */
  constructor(window?: BarWindow) {
    super("power-management", { vendor: intel, device: 0x7113, revision: 3, classCode: 0x068000, interruptPin: 1, ...qemuSubsystem });
    this.window = window;
    this.define(pciRegister.status, 2, mediumDecoding | 0x80);
    this.define(powerManagement.base, 4, 1, 0xffc0);
    // APMC_EN reads as set: SeaBIOS then takes system management mode, which is not there, for set up already.
    this.define(powerManagement.deviceB, 3, 0, 0xffffff);
    this.define(powerManagement.smiInitialised, 1, 0x02);
    this.define(0x5c, 4, 0x10000000, -1);
    this.define(0x60, 4, 0x60000000, -1);
    this.define(powerManagement.miscellaneous, 1, 0, 0xff);
    this.define(powerManagement.smbusBase, 4, 1, 0xfff0);
    this.define(powerManagement.smbusConfiguration, 1, 0, 0xff);
    this.configWritten();
  }

  /** As firmware leaves it: the register block at `base`, enabled, the SCI's number in the interrupt line register. */
  enableAt(base: number, sciIrq: number): void {
    this.writeConfig(pciRegister.interruptLine, 1, sciIrq);
    this.writeConfig(powerManagement.base, 4, base | 1);
    this.writeConfig(powerManagement.miscellaneous, 1, powerManagementEnable);
  }

  protected override configWritten(): void {
    const isEnabled = (this.config[powerManagement.miscellaneous] & powerManagementEnable) !== 0;
    const base = isEnabled ? this.readConfig(powerManagement.base, 2) & 0xffc0 : -1;
    if (base === this.base) return;
    if (this.base >= 0) this.window?.hide();
    this.base = base;
    if (base >= 0) this.window?.show(base);
  }
}
