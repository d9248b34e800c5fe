import { ByteBank } from "./byte-bank.ts";
import type { Device, RegisterBank, SavedState } from "./device.ts";

/**
 * The advanced power management ports B2h (APMC, the command) and B3h (APMS, the status): two bytes that hold what is written (82371AB datasheet, "APMC", "APMS").
 * On a chipset with system management mode a write of the first raises an SMI; there is none here, and ACPI is always on (acpi-pm.ts).
 */
export class ApmPorts implements Device {
  readonly name = "apm";
  readonly registers: RegisterBank;
  private readonly bytes = new Uint8Array(2);

  constructor() {
    this.registers = new ByteBank(
      2,
      (offset) => this.bytes[offset],
      (offset, value) => {
        this.bytes[offset] = value;
      },
    );
  }

  reset(): void {
    this.bytes.fill(0);
  }
  save(): SavedState {
    return { bytes: this.bytes.slice() };
  }
  restore(state: SavedState): void {
    this.bytes.set(state.bytes as Uint8Array);
  }
}
