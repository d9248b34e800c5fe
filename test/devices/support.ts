import { type Line, type RegisterBank, VirtualClock } from "../../runtime/devices/index.ts";

/** A clock the test moves by hand, in nanoseconds. */
export class TestClock extends VirtualClock {
  constructor() {
    super(() => 0);
  }

  /** Moves to `time`, stopping at each deadline on the way as a machine that is never late does. */
  runTo(time: number): void {
    while (this.nextDeadline() <= time) {
      this.skipTo(this.nextDeadline());
      this.runDue();
    }
    this.skipTo(time);
  }

  run(nanoseconds: number): void {
    this.runTo(this.now() + nanoseconds);
  }

  /** Moves without looking at deadlines on the way, as a host that was busy does, then runs what is due. */
  sleepThrough(nanoseconds: number): void {
    this.skipTo(this.now() + nanoseconds);
    this.runDue();
  }
}

/** A line that counts its edges. */
export class Probe implements Line {
  high = false;
  rises = 0;
  falls = 0;

  set(high: boolean): void {
    if (high === this.high) return;
    this.high = high;
    if (high) this.rises++;
    else this.falls++;
  }
}

export const inb = (bank: RegisterBank, offset: number) => bank.read(offset, 1);
export const outb = (bank: RegisterBank, offset: number, value: number) => bank.write(offset, 1, value);

/** xorshift32: the same sequence for the same seed everywhere. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0 || 1;
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x >>> 0;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
}
