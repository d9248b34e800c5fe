/**
 * The PC's MC146818 real-time clock and CMOS memory, ports 70h-71h (Motorola MC146818 datasheet; the PC's use of the RAM as in the PS/2
 * BIOS reference). The time of day is a host's wall clock plus what the guest has added to it, and is turned into registers when read;
 * while the guest holds it (SET, or the divider in reset) the registers are plain bytes. Flags of register C are worked out
 * when read; the timer runs only for an enabled interrupt whose flag is not yet set. Seconds missed by a late machine merge.
 *
 * The day of the week follows from the date: a contradicting one that the guest writes lasts until it lets the clock run.
 */
import { ByteBank } from "./byte-bank.ts";
import type { Clock, Device, Line, RegisterBank, SavedState, Timer } from "./device.ts";
import { nextAlarm, type RegisterFormat, registersToTime, type TimeField, type TimeRegisters, timeToRegisters } from "./rtc-calendar.ts";

const register = { a: 0x0a, b: 0x0b, c: 0x0c, d: 0x0d };
/** The century is RAM to the chip; the PC's firmware and the ACPI FADT name it. */
export const rtcCenturyRegister = 0x32;
const timeFields: readonly (readonly [number, TimeField])[] = [
  [0x00, "seconds"],
  [0x02, "minutes"],
  [0x04, "hours"],
  [0x06, "weekday"],
  [0x07, "day"],
  [0x08, "month"],
  [0x09, "year"],
  [rtcCenturyRegister, "century"],
];
const alarmRegister = { seconds: 0x01, minutes: 0x03, hours: 0x05 };

const a = { updateInProgress: 0x80, divider: 0x70, dividerRunning: 0x20, rate: 0x0f };
const b = { set: 0x80, periodic: 0x40, alarm: 0x20, update: 0x10, binary: 0x04, hours24: 0x02 };
/** The flags of register C stand where their enables stand in register B. */
const interruptRequest = 0x80;
const validRam = 0x80;
const nmiMask = 0x80;
const indexMask = 0x7f;

/** UIP rises 244 us before an update, which takes 1984 us with the 32.768 kHz time base. */
const updateMilliseconds = 2.228;
/** One cycle of the 32.768 kHz crystal, exact in a double. */
const crystalNanoseconds = 1e9 / 32768;
/** The first update comes half a second after the divider leaves reset. */
const afterDividerReset = 500;

export type RtcOptions = {
  readonly clock: Clock;
  /** The time of day in UTC milliseconds since 1970. */
  readonly wallClock: () => number;
  readonly irq: Line;
  /** High while bit 7 of port 70h keeps NMI from the CPU. */
  readonly nmiMask: Line;
  /** RAM of the machine, which firmware records in the CMOS. */
  readonly memoryBytes: number;
  /** What the CMOS tells about the floppy drives: register 10h, and their bits of register 14h. */
  readonly floppies?: { readonly driveTypes: number; readonly equipment: number };
  /** The order in which the BIOS tries devices: the letters a, c, d, n. */
  readonly bootOrder?: string;
};

const bootDigits: Readonly<Record<string, number>> = { a: 1, c: 2, d: 3, n: 4 };

export class Rtc146818 implements Device {
  readonly name = "rtc146818";
  /** Ports 70h-71h. */
  readonly registers: RegisterBank;

  private readonly clock: Clock;
  private readonly wallClock: () => number;
  private readonly irq: Line;
  private readonly nmiMaskLine: Line;
  private readonly timer: Timer;

  private readonly ram = new Uint8Array(128);
  private index = 0;
  private flags = 0;
  /** Milliseconds to add to the wall clock. */
  private offset = 0;
  /** The last second whose update the flags account for. */
  private second = 0;
  /** The last edge of the periodic output that the flags account for. */
  private edge = 0;
  private dividerStart = 0;

  constructor(options: RtcOptions) {
    this.clock = options.clock;
    this.wallClock = options.wallClock;
    this.irq = options.irq;
    this.nmiMaskLine = options.nmiMask;
    this.timer = options.clock.timer(() => this.settle());
    this.registers = new ByteBank(
      2,
      (offset) => (offset === 0 ? 0xff : this.read()),
      (offset, value) => (offset === 0 ? this.select(value) : this.write(value)),
    );
    recordConfiguration(this.ram, options);
    // The battery has kept the clock running as firmware set it up.
    this.ram[register.a] = a.dividerRunning | 6;
    this.ram[register.b] = b.hours24;
    this.second = this.currentSecond();
    this.reset();
  }

  /** The RESET pin: interrupts off; time, RAM and formats are the battery's. */
  /** Registers 39h and 3Ah, where SeaBIOS looks how to translate the geometry of IDE disk 0 to 7: two bits each, 0 not at all, 1 LBA, 2 large. */
  recordDiskTranslation(disk: number, translation: 0 | 1 | 2): void {
    const shift = 2 * (disk & 3);
    const at = 0x39 + (disk >> 2);
    this.ram[at] = (this.ram[at] & ~(3 << shift)) | (translation << shift);
  }

  reset(): void {
    this.ram[register.b] &= b.set | b.binary | b.hours24 | 1;
    this.flags = 0;
    this.select(0);
    this.settle();
  }

  save(): SavedState {
    const { index, flags, offset, second, edge, dividerStart } = this;
    return { ram: this.ram.slice(), index, flags, offset, second, edge, dividerStart };
  }

  restore(state: SavedState): void {
    this.ram.set(state.ram as Uint8Array);
    this.flags = state.flags as number;
    this.offset = state.offset as number;
    this.second = state.second as number;
    this.edge = state.edge as number;
    this.dividerStart = state.dividerStart as number;
    this.select(state.index as number);
    this.driveAndArm();
  }

  private select(value: number): void {
    this.index = value;
    this.nmiMaskLine.set((value & nmiMask) !== 0);
  }

  private read(): number {
    const at = this.index & indexMask;
    if (at === register.a) return this.ram[at] | (this.updateInProgress() ? a.updateInProgress : 0);
    if (at === register.c) return this.readFlags();
    if (at === register.d) return validRam;
    const field = this.halted() ? undefined : timeFields.find(([index]) => index === at);
    return field === undefined ? this.ram[at] : timeToRegisters(this.time(), this.format())[field[1]];
  }

  /** Reading register C clears its flags and drops the interrupt. */
  private readFlags(): number {
    this.settle();
    const value = this.flags | (this.requests() ? interruptRequest : 0);
    this.flags = 0;
    this.driveAndArm();
    return value;
  }

  private write(value: number): void {
    const at = this.index & indexMask;
    if (at === register.c || at === register.d) return;
    this.settle();
    if (at === register.a) this.writeA(value);
    else if (at === register.b) this.writeB(value);
    else if (!this.halted() && timeFields.some(([index]) => index === at)) {
      const time = this.time();
      this.holdTime(time, this.format());
      this.ram[at] = value;
      this.releaseTime(time);
    } else this.ram[at] = value;
    this.driveAndArm();
  }

  private writeA(value: number): void {
    const wasHalted = this.halted();
    const wasStopped = this.dividerStopped();
    this.ram[register.a] = value & ~a.updateInProgress;
    if (wasStopped && !this.dividerStopped()) {
      this.offset += afterDividerReset - this.phase();
      this.dividerStart = this.clock.now();
    }
    this.changeHold(wasHalted, this.format());
    this.edge = this.currentEdge();
  }

  private writeB(value: number): void {
    const wasHalted = this.halted();
    const before = this.format();
    this.ram[register.b] = (value & b.set) !== 0 ? value & ~b.update : value;
    this.changeHold(wasHalted, before);
  }

  private changeHold(wasHalted: boolean, formatBefore: RegisterFormat): void {
    const halted = this.halted();
    if (halted && !wasHalted) this.holdTime(this.time(), formatBefore);
    if (wasHalted && !halted) this.releaseTime(this.time());
  }

  private format(): RegisterFormat {
    const control = this.ram[register.b];
    return { binary: (control & b.binary) !== 0, hours24: (control & b.hours24) !== 0 };
  }

  private halted(): boolean {
    return (this.ram[register.b] & b.set) !== 0 || this.dividerStopped();
  }

  private dividerStopped(): boolean {
    return (this.ram[register.a] & a.divider) > a.dividerRunning;
  }

  private time(): number {
    return this.wallClock() + this.offset;
  }

  private currentSecond(): number {
    return Math.floor(this.time() / 1000);
  }

  /** Milliseconds into the current second; goes on while SET holds the registers. */
  private phase(): number {
    const time = this.time();
    return time - Math.floor(time / 1000) * 1000;
  }

  /** Freezes the time into the registers. */
  private holdTime(time: number, format: RegisterFormat): void {
    const registers = timeToRegisters(time, format);
    for (const [index, field] of timeFields) this.ram[index] = registers[field];
  }

  /** Lets the time run on from the registers, keeping its phase in the second. */
  private releaseTime(time: number): void {
    const registers = Object.fromEntries(timeFields.map(([index, field]) => [field, this.ram[index]])) as TimeRegisters;
    this.offset += registersToTime(registers, this.format()) - Math.floor(time / 1000) * 1000;
    this.second = this.currentSecond();
  }

  private updateInProgress(): boolean {
    return !this.halted() && 1000 - this.phase() <= updateMilliseconds;
  }

  /** Nanoseconds between edges of the periodic output; 0 when it is off. Rates 1 and 2 are those of 8 and 9. */
  private period(): number {
    const rate = this.ram[register.a] & a.rate;
    if (rate === 0 || this.dividerStopped()) return 0;
    return crystalNanoseconds * (1 << (rate <= 2 ? rate + 6 : rate - 1));
  }

  private currentEdge(): number {
    const period = this.period();
    return period === 0 ? 0 : Math.floor((this.clock.now() - this.dividerStart) / period);
  }

  private nextAlarm(): number {
    const { ram } = this;
    const alarm = { seconds: ram[alarmRegister.seconds], minutes: ram[alarmRegister.minutes], hours: ram[alarmRegister.hours] };
    return nextAlarm(this.second, alarm, this.format());
  }

  /** Brings the flags up to now. */
  private settle(): void {
    const edge = this.currentEdge();
    if (edge > this.edge) this.flags |= b.periodic;
    this.edge = edge;
    if (!this.halted()) {
      const second = this.currentSecond();
      if (second > this.second) {
        this.flags |= b.update;
        if ((this.flags & b.alarm) === 0 && this.nextAlarm() <= second) this.flags |= b.alarm;
      }
      this.second = second;
    }
    this.driveAndArm();
  }

  private requests(): boolean {
    return (this.flags & this.ram[register.b] & (b.periodic | b.alarm | b.update)) !== 0;
  }

  private driveAndArm(): void {
    this.irq.set(this.requests());
    const awaited = this.ram[register.b] & ~this.flags;
    let deadline = Number.POSITIVE_INFINITY;
    const period = this.period();
    if ((awaited & b.periodic) !== 0 && period !== 0) deadline = Math.ceil(this.dividerStart + (this.edge + 1) * period);
    if ((awaited & (b.alarm | b.update)) !== 0 && !this.halted()) {
      const second = (awaited & b.update) !== 0 ? this.second + 1 : this.nextAlarm();
      const milliseconds = Math.max(second * 1000 - this.time(), 0);
      deadline = Math.min(deadline, this.clock.now() + Math.max(1, Math.ceil(milliseconds * 1e6)));
    }
    this.timer.at(deadline);
  }
}

/** What firmware leaves in the CMOS about memory and equipment, with the checksum over 10h-2Dh. */
function recordConfiguration(ram: Uint8Array, { memoryBytes, floppies, bootOrder = "" }: RtcOptions): void {
  const word = (at: number, value: number) => {
    ram[at] = value & 0xff;
    ram[at + 1] = value >> 8;
  };
  const kilobytesAbove1M = Math.min(0xffff, Math.max(0, Math.floor(memoryBytes / 1024) - 1024));
  ram[0x10] = floppies?.driveTypes ?? 0;
  // Equipment: an FPU, floppy drives.
  ram[0x14] = 0x02 | (floppies?.equipment ?? 0);
  // As QEMU keeps it for SeaBIOS: the first three devices to boot from, a digit each.
  const digits = Array.from(bootOrder, (letter) => bootDigits[letter] ?? 0);
  ram[0x3d] = (digits[0] ?? 0) | ((digits[1] ?? 0) << 4);
  ram[0x38] = (digits[2] ?? 0) << 4;
  word(0x15, 640);
  word(0x17, kilobytesAbove1M);
  word(0x30, kilobytesAbove1M);
  word(0x34, Math.min(0xffff, Math.max(0, Math.floor((memoryBytes - 0x1000000) / 0x10000))));
  const sum = ram.subarray(0x10, 0x2e).reduce((total, byte) => total + byte, 0);
  ram[0x2e] = sum >> 8;
  ram[0x2f] = sum & 0xff;
}
