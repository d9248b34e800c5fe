import { ByteBank } from "./byte-bank.ts";
import type { Device, Line, RegisterBank, SavedState } from "./device.ts";

const fastReset = 0x01;
const fastGateA20 = 0x02;

/**
 * System control port A, 92h (82371AB datasheet, "Port 92"): bit 1 opens gate A20, a rising bit 0 resets the machine. Bit 0 stays set
 * until written 0 or reset.
 */
export class Port92 implements Device {
  readonly name = "port92";
  readonly registers: RegisterBank;
  private readonly gateA20: Line;
  private readonly resetMachine: () => void;
  private value = 0;

  constructor(gateA20: Line, resetMachine: () => void) {
    this.gateA20 = gateA20;
    this.resetMachine = resetMachine;
    this.registers = new ByteBank(
      1,
      () => this.value,
      (_, value) => this.write(value),
    );
    this.reset();
  }

  reset(): void {
    this.value = 0;
    this.gateA20.set(false);
  }

  save(): SavedState {
    return { value: this.value };
  }

  restore(state: SavedState): void {
    this.value = state.value as number;
    this.gateA20.set((this.value & fastGateA20) !== 0);
  }

  private write(value: number): void {
    const risen = value & ~this.value;
    this.value = value & (fastReset | fastGateA20);
    this.gateA20.set((value & fastGateA20) !== 0);
    if ((risen & fastReset) !== 0) this.resetMachine();
  }
}
