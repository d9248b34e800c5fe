/**
 * PCI bus 0 and its configuration mechanism #1 (PCI Local Bus Specification 2.2, 3.2.2.3.2): the address register at CF8h takes
 * doublewords only, the data window at CFCh-CFFh any size. Reads of absent functions give all ones, as a master abort does.
 *
 * The byte at CF9h, inside the address register's ports, is the chipset's reset control register (82371AB, "Reset Control").
 */
import type { Device, RegisterBank, SavedState } from "./device.ts";
import type { PciFunction } from "./pci-function.ts";

const enable = 0x80000000;
const addressOffset = 0;
const resetControlOffset = 1;
const dataOffset = 4;
const resetControl = { hard: 0x02, resetCpu: 0x04 };

export class PciBus implements Device {
  readonly name = "pci";
  /** Ports CF8h-CFFh. */
  readonly registers: RegisterBank;

  private readonly resetMachine: () => void;
  /** By device number * 8 + function number. */
  private readonly functions: (PciFunction | null)[] = new Array(256).fill(null);
  private address = 0;
  private resetControl = 0;

  constructor(resetMachine: () => void) {
    this.resetMachine = resetMachine;
    this.registers = {
      read: (offset, size) => this.read(offset, size),
      write: (offset, size, value) => this.write(offset, size, value),
    };
  }

  /** Puts a function at device number `slot` (0-31), function number `number` (0-7). */
  add(slot: number, number: number, pciFunction: PciFunction): void {
    const at = (slot << 3) | number;
    const present = this.functions[at];
    if (present !== null) throw new Error(`PCI function ${slot}.${number} is ${present.name} already; ${pciFunction.name} needs another place`);
    this.functions[at] = pciFunction;
  }

  /** Every function present. */
  all(): PciFunction[] {
    return this.functions.filter((pciFunction) => pciFunction !== null);
  }

  /** Resets the bus and its functions. */
  reset(): void {
    this.address = 0;
    this.resetControl = 0;
    for (const pciFunction of this.all()) pciFunction.reset();
  }

  save(): SavedState {
    const functions: SavedState = {};
    for (const pciFunction of this.all()) functions[pciFunction.name] = pciFunction.save();
    return { address: this.address, resetControl: this.resetControl, functions };
  }

  restore(state: SavedState): void {
    this.address = state.address as number;
    this.resetControl = state.resetControl as number;
    const functions = state.functions as { [name: string]: SavedState };
    for (const pciFunction of this.all()) pciFunction.restore(functions[pciFunction.name]);
  }

  private read(offset: number, size: 1 | 2 | 4): number {
    if (offset >= dataOffset) return this.selected()?.readConfig(this.register(offset), size) ?? allOnes(size);
    if (offset === addressOffset && size === 4) return this.address >>> 0;
    if (offset === resetControlOffset && size === 1) return this.resetControl;
    return allOnes(size);
  }

  private write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset >= dataOffset) this.selected()?.writeConfig(this.register(offset), size, value);
    else if (offset === addressOffset && size === 4) this.address = value & 0x80fffffc;
    else if (offset === resetControlOffset && size === 1) this.writeResetControl(value);
  }

  private register(offset: number): number {
    return (this.address & 0xfc) | (offset & 3);
  }

  /** The function the address register names; only bus 0 exists. */
  private selected(): PciFunction | null {
    if ((this.address & enable) === 0 || (this.address & 0xff0000) !== 0) return null;
    return this.functions[(this.address >> 8) & 0xff];
  }

  private writeResetControl(value: number): void {
    const risen = value & ~this.resetControl;
    this.resetControl = value & (resetControl.hard | resetControl.resetCpu);
    if ((risen & resetControl.resetCpu) !== 0) this.resetMachine();
  }
}

function allOnes(size: 1 | 2 | 4): number {
  return size === 4 ? 0xffffffff : (1 << (8 * size)) - 1;
}
