/**
 * The high precision event timers (IA-PC HPET Specification 1.0a), as QEMU's `pc` has them: a 64-bit main counter at 100 MHz and three comparators,
 * all of them 64 bits wide and capable of periods, in a page at FED00000h. With LegacyReplacement comparator 0 takes over IRQ0 from the 8254 and
 * comparator 1 IRQ8 from the RTC, whose outputs therefore pass through here; without it a comparator can be routed to I/O APIC pin 2 alone.
 *
 * Nothing ticks: the counter follows from the guest time, and each comparator has one timer for its next match. 64-bit registers are two 32-bit
 * halves, and so are accesses to them. A comparator that is set to what the counter has just passed matches at once instead of a whole turn later, as
 * in QEMU: a guest here is slower between reading the counter and writing the comparator than the processors that drivers were written for.
 */
import type { Clock, Device, Line, RegisterBank, SavedState, Timer } from "./device.ts";
import { unconnected } from "./line.ts";

export const hpetAddress = 0xfed00000;
/** The low word of the capabilities: vendor 8086h, legacy replacement, 64 bits, three timers, revision 1. The ACPI table's block id is the same. */
export const hpetIdentity = 0x8086a201;

const nanosecondsPerTick = 10;
const femtosecondsPerTick = nanosecondsPerTick * 1e6;
const timerCount = 3;
const two32 = 2 ** 32;

const register = {
  identity: 0x000,
  period: 0x004,
  configuration: 0x010,
  status: 0x020,
  counterLow: 0x0f0,
  counterHigh: 0x0f4,
  timers: 0x100,
} as const;
/** Offsets in a timer's 32 bytes. */
const timerRegister = { configuration: 0x00, routes: 0x04, comparatorLow: 0x08, comparatorHigh: 0x0c } as const;
const general = { enable: 1, legacy: 2 } as const;
const bit = { level: 1 << 1, enable: 1 << 2, periodic: 1 << 3, setValue: 1 << 6, narrow: 1 << 8 } as const;
const writable = 0x3f4e;
/** Capable of periods, 64 bits wide. */
const capabilities = 0x30;
const routeShift = 9;
/** The one I/O APIC pin that a comparator can be routed to, and as the register shows it. */
const routablePin = 2;

/** What a HPET drives. */
export interface HpetLines {
  readonly irq0: Line;
  readonly irq8: Line;
  /** Pin 2 of the I/O APIC. */
  readonly pin2: Line;
}

interface Comparator {
  configuration: number;
  low: number;
  high: number;
  /** What a periodic comparator grows by at each match, ticks. */
  period: number;
}

const initialComparator = (): Comparator => ({ configuration: 0, low: 0xffffffff, high: 0xffffffff, period: 0 });

export class Hpet implements Device {
  readonly name = "hpet";
  /** The page; 32-bit accesses. */
  readonly registers: RegisterBank;
  /** Where the 8254's OUT0 and the RTC's interrupt go, instead of to their IRQs. */
  readonly timerInput: Line;
  readonly rtcInput: Line;

  private readonly clock: Clock;
  private readonly lines: HpetLines;
  private readonly timers: readonly Timer[];
  private readonly comparators: readonly Comparator[] = Array.from({ length: timerCount }, initialComparator);
  /** Levels of IRQ0, IRQ8 and pin 2 as driven last. */
  private readonly levels = [false, false, false];
  private configuration = 0;
  /** Active level-triggered interrupts, bit n for comparator n. */
  private status = 0;
  /** The main counter when it was last started or written, and when that was. */
  private counterLow = 0;
  private counterHigh = 0;
  private startedAt = 0;
  private timerLevel = false;
  private rtcLevel = false;
  /** The comparator whose low half was just written with VAL_SET: the high half that follows belongs to the same value. -1: none. */
  private halfSet = -1;

  constructor(clock: Clock, lines: HpetLines) {
    this.clock = clock;
    this.lines = { irq0: this.remember(0, lines.irq0), irq8: this.remember(1, lines.irq8), pin2: this.remember(2, lines.pin2) };
    this.timers = this.comparators.map((_, n) => clock.timer(() => this.settle(n)));
    this.registers = {
      read: (offset, size) => this.readBytes(offset, size),
      write: (offset, size, value) => {
        // Registers are to be accessed whole (1.0a, 2.3.2).
        if (size === 4 && (offset & 3) === 0) this.write(offset, value);
      },
    };
    this.timerInput = {
      set: (high) => {
        this.timerLevel = high;
        if (!this.isLegacy()) this.lines.irq0.set(high);
      },
    };
    this.rtcInput = {
      set: (high) => {
        this.rtcLevel = high;
        if (!this.isLegacy()) this.lines.irq8.set(high);
      },
    };
    this.reset();
  }

  reset(): void {
    const wasLegacy = this.isLegacy();
    for (const comparator of this.comparators) Object.assign(comparator, initialComparator());
    this.configuration = 0;
    this.status = 0;
    this.counterLow = this.counterHigh = 0;
    this.halfSet = -1;
    this.startedAt = this.clock.now();
    for (const timer of this.timers) timer.cancel();
    this.lines.pin2.set(false);
    if (wasLegacy) this.driveLegacy();
  }

  save(): SavedState {
    const { configuration, status, counterLow, counterHigh, startedAt, timerLevel, rtcLevel, halfSet } = this;
    const comparators = this.comparators.map((comparator) => ({ ...comparator }));
    const deadlines = this.timers.map((timer) => (timer.deadline === Number.POSITIVE_INFINITY ? null : timer.deadline));
    return {
      levels: [...this.levels],
      configuration,
      status,
      counterLow,
      counterHigh,
      startedAt,
      timerLevel,
      rtcLevel,
      halfSet,
      comparators,
      deadlines,
    };
  }

  restore(state: SavedState): void {
    this.configuration = state.configuration as number;
    this.status = state.status as number;
    this.counterLow = state.counterLow as number;
    this.counterHigh = state.counterHigh as number;
    this.startedAt = state.startedAt as number;
    this.timerLevel = state.timerLevel as boolean;
    this.rtcLevel = state.rtcLevel as boolean;
    this.halfSet = state.halfSet as number;
    (state.comparators as unknown as Comparator[]).forEach((comparator, n) => {
      Object.assign(this.comparators[n], comparator);
    });
    (state.deadlines as (number | null)[]).forEach((deadline, n) => {
      this.timers[n].at(deadline ?? Number.POSITIVE_INFINITY);
    });
    const [irq0, irq8, pin2] = state.levels as boolean[];
    this.lines.irq0.set(irq0);
    this.lines.irq8.set(irq8);
    this.lines.pin2.set(pin2);
  }

  private remember(n: number, line: Line): Line {
    return {
      set: (high) => {
        this.levels[n] = high;
        line.set(high);
      },
    };
  }

  // ---- the main counter

  private isLegacy(): boolean {
    return (this.configuration & general.legacy) !== 0;
  }

  /** Ticks since `startedAt`, below 2^53. */
  private ticks(): number {
    return (this.configuration & general.enable) === 0 ? 0 : Math.floor((this.clock.now() - this.startedAt) / nanosecondsPerTick);
  }

  private lowNow(): number {
    return (this.counterLow + this.ticks()) % two32;
  }

  private highNow(): number {
    return (this.counterHigh + Math.floor((this.counterLow + this.ticks()) / two32)) % two32;
  }

  // ---- comparators

  /** Ticks until the counter reaches the comparator; 0 or less: it has. */
  private distance({ configuration, low, high }: Comparator): number {
    const difference = low - this.lowNow();
    if ((configuration & bit.narrow) !== 0) return difference | 0;
    return ((high - this.highNow() + (difference < 0 ? -1 : 0)) | 0) * two32 + (difference < 0 ? difference + two32 : difference);
  }

  private arm(n: number): void {
    const comparator = this.comparators[n];
    const { configuration, low, high } = comparator;
    const isRunning = (this.configuration & general.enable) !== 0 && (configuration & bit.enable) !== 0;
    // All ones is what reset leaves there: not set.
    if (!isRunning || (low === 0xffffffff && high === 0xffffffff)) return this.timers[n].cancel();
    const distance = this.distance(comparator);
    this.timers[n].at(distance <= 0 ? this.clock.now() : this.startedAt + (this.ticks() + distance) * nanosecondsPerTick);
  }

  /** Comparator `n` has matched. */
  private settle(n: number): void {
    const comparator = this.comparators[n];
    const { configuration, period } = comparator;
    const isNarrow = (configuration & bit.narrow) !== 0;
    const late = -this.distance(comparator);
    if (late < 0) return this.arm(n);
    if ((configuration & bit.periodic) !== 0 && period > 0) {
      // Matches that were missed merge into this one.
      advance(comparator, period * (Math.floor(late / period) + 1), isNarrow);
      this.arm(n);
    } else if (isNarrow) {
      // The 32 bits of the counter that it sees come around.
      this.timers[n].at(this.startedAt + (this.ticks() - late + two32) * nanosecondsPerTick);
    }
    this.interrupt(n);
  }

  private interrupt(n: number): void {
    const { configuration } = this.comparators[n];
    if ((configuration & bit.level) !== 0) {
      this.status |= 1 << n;
      return this.driveLine(n);
    }
    const line = this.lineOf(n);
    if (line === this.lines.pin2) {
      line.set(true);
      line.set(false);
    } else {
      // An 8259 wants the request to stay until it is acknowledged.
      line.set(false);
      line.set(true);
    }
  }

  private lineOf(n: number): Line {
    if (this.isLegacy() && n < 2) return n === 0 ? this.lines.irq0 : this.lines.irq8;
    return ((this.comparators[n].configuration >> routeShift) & 31) === routablePin ? this.lines.pin2 : unconnected;
  }

  /** The level of the line that comparator `n` drives, as far as level-triggered ones decide it. */
  private driveLine(n: number): void {
    const line = this.lineOf(n);
    let high = false;
    for (let k = 0; k < timerCount; k++) {
      const { configuration } = this.comparators[k];
      const isActive = (this.status & (1 << k)) !== 0 && (configuration & bit.enable) !== 0 && (this.configuration & general.enable) !== 0;
      if (isActive && this.lineOf(k) === line) high = true;
    }
    line.set(high);
  }

  /** Who drives IRQ0 and IRQ8 has changed. */
  private driveLegacy(): void {
    const isLegacy = this.isLegacy();
    this.lines.irq0.set(!isLegacy && this.timerLevel);
    this.lines.irq8.set(!isLegacy && this.rtcLevel);
    this.lines.pin2.set(false);
    for (let n = 0; n < timerCount; n++) if ((this.status & (1 << n)) !== 0) this.driveLine(n);
  }

  // ---- registers

  private readBytes(offset: number, size: 1 | 2 | 4): number {
    const within = offset & 3;
    const value = this.read(offset - within) >>> (8 * within);
    return size === 4 ? value : value & ((1 << (8 * size)) - 1);
  }

  private read(offset: number): number {
    switch (offset) {
      case register.counterLow:
        return this.lowNow();
      case register.counterHigh:
        return this.highNow();
      case register.identity:
        return hpetIdentity;
      case register.period:
        return femtosecondsPerTick;
      case register.configuration:
        return this.configuration;
      case register.status:
        return this.status;
    }
    const n = (offset - register.timers) >> 5;
    if (n < 0 || n >= timerCount) return 0;
    const comparator = this.comparators[n];
    switch (offset & 31) {
      case timerRegister.configuration:
        return comparator.configuration | capabilities;
      case timerRegister.routes:
        return 1 << routablePin;
      case timerRegister.comparatorLow:
        return comparator.low;
      case timerRegister.comparatorHigh:
        return comparator.high;
      default:
        return 0;
    }
  }

  private write(offset: number, value: number): void {
    switch (offset) {
      case register.configuration:
        return this.writeConfiguration(value & (general.enable | general.legacy));
      case register.status:
        return this.acknowledge(value & this.status);
      // The counter can be written only while it stands still.
      case register.counterLow:
        if ((this.configuration & general.enable) === 0) this.counterLow = value >>> 0;
        return;
      case register.counterHigh:
        if ((this.configuration & general.enable) === 0) this.counterHigh = value >>> 0;
        return;
    }
    const n = (offset - register.timers) >> 5;
    if (n < 0 || n >= timerCount) return;
    if ((offset & 31) === timerRegister.configuration) this.writeTimer(n, value & writable);
    else if ((offset & 31) === timerRegister.comparatorLow) this.writeComparator(n, false, value >>> 0);
    else if ((offset & 31) === timerRegister.comparatorHigh) this.writeComparator(n, true, value >>> 0);
  }

  private writeConfiguration(value: number): void {
    const changed = value ^ this.configuration;
    if ((changed & general.enable) !== 0) {
      const [low, high] = [this.lowNow(), this.highNow()];
      this.counterLow = low;
      this.counterHigh = high;
      this.startedAt = this.clock.now();
    }
    this.configuration = value;
    if ((changed & general.enable) !== 0) for (let n = 0; n < timerCount; n++) this.arm(n);
    if (changed !== 0 && ((changed & general.legacy) !== 0 || this.status !== 0)) this.driveLegacy();
  }

  private acknowledge(bits: number): void {
    this.status &= ~bits;
    for (let n = 0; n < timerCount; n++) if ((bits & (1 << n)) !== 0) this.driveLine(n);
  }

  private writeTimer(n: number, value: number): void {
    const comparator = this.comparators[n];
    this.halfSet = -1;
    const before = this.lineOf(n);
    const changed = comparator.configuration ^ value;
    comparator.configuration = value;
    if ((value & bit.narrow) !== 0) {
      comparator.high = comparator.low === 0xffffffff ? comparator.high : 0;
      comparator.period = cutPeriod(comparator.period, true);
    }
    if ((value & bit.level) === 0) this.status &= ~(1 << n);
    if ((changed & bit.level) !== 0 || before !== this.lineOf(n)) {
      before.set(false);
      this.driveLine(n);
    } else if ((this.status & (1 << n)) !== 0) this.driveLine(n);
    if ((changed & (bit.enable | bit.periodic | bit.narrow)) !== 0) this.arm(n);
  }

  private writeComparator(n: number, isHigh: boolean, value: number): void {
    const comparator = this.comparators[n];
    const { configuration } = comparator;
    const isNarrow = (configuration & bit.narrow) !== 0;
    if (isHigh && isNarrow) return;
    const isPeriodic = (configuration & bit.periodic) !== 0;
    const setsValue = (configuration & bit.setValue) !== 0 || (isHigh && this.halfSet === n);
    if (!isPeriodic || setsValue) {
      if (isHigh) comparator.high = value;
      else comparator.low = value;
      if (isNarrow) comparator.high = 0;
    }
    if (isPeriodic) {
      const low = isHigh ? comparator.period % two32 : value;
      const high = isNarrow ? 0 : isHigh ? value : Math.floor(comparator.period / two32);
      comparator.period = cutPeriod(high * two32 + low, isNarrow);
    }
    // VAL_SET is for one value, of 32 bits or of 64 in two halves, the low one first.
    comparator.configuration &= ~bit.setValue;
    this.halfSet = setsValue && isPeriodic && !isHigh && !isNarrow ? n : -1;
    this.arm(n);
  }
}

/** A period must be short of half a turn of the counter, so that what lies ahead and what has passed can be told apart; and exact in a double. */
function cutPeriod(period: number, isNarrow: boolean): number {
  return period % (isNarrow ? two32 / 2 : 2 ** 52);
}

function advance(comparator: Comparator, ticks: number, isNarrow: boolean): void {
  const sum = comparator.low + ticks;
  comparator.low = sum % two32;
  if (!isNarrow) comparator.high = (comparator.high + Math.floor(sum / two32)) % two32;
}
