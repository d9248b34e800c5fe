/**
 * The fixed hardware of ACPI that a guest needs to keep time and to power off (ACPI Specification 2.0, 4.7.3): PM1a event and control
 * blocks and the 24-bit PM timer, laid out as in the PIIX4. There is no SMI command port: the machine is always in ACPI mode (SCI_EN
 * reads 1). The SCI line is level-triggered and high while an enabled event's status is set.
 */
import type { Clock, Device, Line, RegisterBank, SavedState, Timer } from "./device.ts";

/** Offsets in the block, and their sizes in bytes. */
export const acpiPmLayout = { event: 0, eventBytes: 4, control: 4, controlBytes: 2, timer: 8, timerBytes: 4, bytes: 64 } as const;

/** SLP_TYP for S5 (soft off), as \_S5 tells the guest; 0 as in the PIIX4, so that a write of 2000h alone powers off. */
export const sleepTypeSoftOff = 0;

const event = { timer: 0x0001, globalLock: 0x0020, powerButton: 0x0100, sleepButton: 0x0200, rtc: 0x0400, wake: 0x8000 };
const interruptEvents = event.timer | event.globalLock | event.powerButton | event.sleepButton | event.rtc;
const statusBits = interruptEvents | event.wake | 0x0010;
const control = { sciEnable: 0x0001, held: 0x1c02, sleepEnable: 0x2000, sleepTypeShift: 10 };

/** 3.579545... MHz is 315/88 MHz: 63 ticks in 17600 ns. */
const ticksPerSpan = 63;
const nanosecondsPerSpan = 17600;
/** TMR_STS is set whenever the counter's top bit changes. */
const ticksPerCarry = 1 << 23;
const timerMask = 0xffffff;

export class AcpiPm implements Device {
  readonly name = "acpi-pm";
  /** A block of 64 ports. */
  readonly registers: RegisterBank;

  private readonly clock: Clock;
  private readonly sci: Line;
  private readonly powerOff: () => void;
  private readonly carryTimer: Timer;
  private status = 0;
  private enable = 0;
  private control: number = control.sciEnable;
  /** Carries of the PM timer that `status` accounts for. */
  private carries = 0;

  constructor(clock: Clock, sci: Line, powerOff: () => void) {
    this.clock = clock;
    this.sci = sci;
    this.powerOff = powerOff;
    this.carryTimer = clock.timer(() => this.settle());
    this.registers = {
      read: (offset, size) => this.read(offset, size),
      write: (offset, size, value) => this.write(offset, size, value),
    };
    this.reset();
  }

  /** The user presses the power button. */
  pressPowerButton(): void {
    this.status |= event.powerButton;
    this.settle();
  }

  reset(): void {
    this.status = 0;
    this.enable = 0;
    this.control = control.sciEnable;
    this.carries = this.currentCarries();
    this.settle();
  }

  save(): SavedState {
    return { status: this.status, enable: this.enable, control: this.control, carries: this.carries };
  }

  restore(state: SavedState): void {
    this.status = state.status as number;
    this.enable = state.enable as number;
    this.control = state.control as number;
    this.carries = state.carries as number;
    this.driveAndArm();
  }

  private read(offset: number, size: 1 | 2 | 4): number {
    if (offset === acpiPmLayout.timer && size === 4) return this.ticks() & timerMask;
    const shift = 8 * (offset & 3);
    const low = this.doubleword(offset & ~3) >>> shift;
    const value = shift + 8 * size > 32 ? low | (this.doubleword((offset & ~3) + 4) << (32 - shift)) : low;
    return size === 4 ? value >>> 0 : value & ((1 << (8 * size)) - 1);
  }

  private write(offset: number, size: 1 | 2 | 4, value: number): void {
    this.settle();
    let off = false;
    for (let i = 0; i < size; i++) off = this.writeByte(offset + i, (value >>> (8 * i)) & 0xff) || off;
    this.driveAndArm();
    if (off) this.powerOff();
  }

  private doubleword(at: number): number {
    if (at === acpiPmLayout.event) {
      this.settle();
      return this.status | (this.enable << 16);
    }
    if (at === acpiPmLayout.control) return this.control;
    return at === acpiPmLayout.timer ? this.ticks() & timerMask : 0;
  }

  /** Returns whether the byte asks for power-off. */
  private writeByte(offset: number, value: number): boolean {
    const shift = 8 * (offset & 1);
    const bits = value << shift;
    const others = 0xff00 >> shift;
    const register = offset & ~1;
    // Status bits are cleared by writing ones.
    if (register === acpiPmLayout.event) this.status &= ~(bits & statusBits);
    else if (register === acpiPmLayout.event + 2) this.enable = (this.enable & others) | (bits & interruptEvents);
    else if (register === acpiPmLayout.control) {
      this.control = (this.control & others) | (bits & control.held) | control.sciEnable;
      // SLP_EN is write-only. Only S5 is offered; other sleep types do nothing.
      return (bits & control.sleepEnable) !== 0 && ((this.control >> control.sleepTypeShift) & 7) === sleepTypeSoftOff;
    }
    return false;
  }

  private ticks(): number {
    return Math.floor((this.clock.now() * ticksPerSpan) / nanosecondsPerSpan);
  }

  private currentCarries(): number {
    return Math.floor(this.ticks() / ticksPerCarry);
  }

  /** Brings the timer's status up to now. */
  private settle(): void {
    const carries = this.currentCarries();
    if (carries !== this.carries) {
      this.carries = carries;
      this.status |= event.timer;
    }
    this.driveAndArm();
  }

  private driveAndArm(): void {
    this.sci.set((this.status & this.enable & interruptEvents) !== 0);
    if ((this.enable & ~this.status & event.timer) === 0) this.carryTimer.cancel();
    else this.carryTimer.at(Math.ceil(((this.carries + 1) * ticksPerCarry * nanosecondsPerSpan) / ticksPerSpan));
  }
}
