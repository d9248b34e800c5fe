import { ByteBank } from "./byte-bank.ts";
import type { Clock, Device, RegisterBank, SavedState } from "./device.ts";

/** What port 61h needs of the timer: counter 2's GATE and OUT. */
export interface SpeakerTimer {
  setGate(n: number, high: boolean): void;
  output(n: number): boolean;
}

const speakerCounter = 2;
const control = { gate2: 0x01, speaker: 0x02, writable: 0x0f };
const status = { refresh: 0x10, out2: 0x20 };
/** DRAM refresh, requested by counter 1: the bit toggles every 15.085 us (18 ticks of 1.193 MHz). */
const refreshNanoseconds = 15_085;

/**
 * System control port B, 61h (82371AB datasheet, "NMI Status and Control"): gate and output of the speaker's timer, speaker data,
 * the refresh toggle that old delay loops count. Parity and channel-check enables (bits 2 and 3) are held; their errors never occur.
 */
export class Port61 implements Device {
  readonly name = "port61";
  readonly registers: RegisterBank;
  private readonly clock: Clock;
  private readonly timer: SpeakerTimer;
  private written = 0;

  constructor(clock: Clock, timer: SpeakerTimer) {
    this.clock = clock;
    this.timer = timer;
    this.registers = new ByteBank(
      1,
      () => this.read(),
      (_, value) => this.write(value),
    );
    this.reset();
  }

  reset(): void {
    this.write(0);
  }

  save(): SavedState {
    return { written: this.written };
  }

  restore(state: SavedState): void {
    this.written = state.written as number;
  }

  private read(): number {
    const refresh = Math.floor(this.clock.now() / refreshNanoseconds) & 1;
    return this.written | (refresh !== 0 ? status.refresh : 0) | (this.timer.output(speakerCounter) ? status.out2 : 0);
  }

  private write(value: number): void {
    this.written = value & control.writable;
    this.timer.setGate(speakerCounter, (value & control.gate2) !== 0);
  }
}
