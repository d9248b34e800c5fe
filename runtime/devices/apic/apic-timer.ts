/**
 * The local APIC's timer (SDM vol. 3, 11.5.4): a 32-bit count down from the initial count on a bus clock divided by 1 to 128, once or again and
 * again. As in QEMU the bus clock has 1 GHz, so that a count is a nanosecond times the divisor. Nothing ticks: the count follows from the guest time.
 *
 * When the machine comes late, the ends of periods that it missed merge into one, as they would in the IRR, and the next is at its exact time.
 */
import type { Clock, SavedState, Timer } from "../device.ts";

const nanosecondsPerCount = 1;

export class ApicTimer {
  private readonly clock: Clock;
  private readonly timer: Timer;
  private readonly expired: () => void;
  /** The initial-count register; 0: stopped. */
  private initial = 0;
  /** The divide configuration register: bits 0, 1 and 3. */
  private divide = 0;
  private periodic = false;
  /** The count that the cycle under way began with, and when; 0: none is under way. */
  private loaded = 0;
  private loadedAt = 0;

  /** @param expired the count has reached zero */
  constructor(clock: Clock, expired: () => void) {
    this.clock = clock;
    this.expired = expired;
    this.timer = clock.timer(() => this.settle());
  }

  reset(): void {
    this.initial = 0;
    this.divide = 0;
    this.periodic = false;
    this.loaded = 0;
    this.loadedAt = 0;
    this.arm();
  }

  get initialCount(): number {
    return this.initial;
  }
  get divideConfiguration(): number {
    return this.divide;
  }

  /** Starts a cycle; 0 stops the timer. */
  set initialCount(count: number) {
    this.settle();
    this.initial = count >>> 0;
    this.loaded = this.initial;
    this.loadedAt = this.clock.now();
    this.arm();
  }

  /** The rest of the cycle under way is counted at the new rate. */
  set divideConfiguration(value: number) {
    const rest = this.currentCount();
    this.divide = value & 0b1011;
    if (this.loaded !== 0) {
      this.loaded = rest;
      this.loadedAt = this.clock.now();
    }
    this.arm();
  }

  /** Whether zero is followed by another cycle; a timer at rest stays so. */
  setPeriodic(periodic: boolean): void {
    if (periodic === this.periodic) return;
    this.settle();
    this.periodic = periodic;
  }

  currentCount(): number {
    this.settle();
    if (this.loaded === 0) return 0;
    return this.loaded - Math.floor((this.clock.now() - this.loadedAt) / this.unit());
  }

  /** Takes note of a zero that has come by now: a guest that polls must find count and request in step. */
  settle(): void {
    if (this.loaded === 0) return;
    const unit = this.unit();
    const end = this.loadedAt + this.loaded * unit;
    const now = this.clock.now();
    if (now < end) return;
    if (this.periodic) {
      const period = this.initial * unit;
      this.loadedAt = end + Math.floor((now - end) / period) * period;
      this.loaded = this.initial;
    } else this.loaded = 0;
    this.arm();
    this.expired();
  }

  save(): SavedState {
    const { initial, divide, periodic, loaded, loadedAt } = this;
    return { initial, divide, periodic, loaded, loadedAt };
  }

  restore(state: SavedState): void {
    this.initial = state.initial as number;
    this.divide = state.divide as number;
    this.periodic = state.periodic as boolean;
    this.loaded = state.loaded as number;
    this.loadedAt = state.loadedAt as number;
    this.arm();
  }

  /** Nanoseconds a count takes. Configurations 000b to 110b divide by 2 to 128, 111b by 1. */
  private unit(): number {
    const configuration = (this.divide & 3) | ((this.divide >> 1) & 4);
    return nanosecondsPerCount * (1 << ((configuration + 1) & 7));
  }

  private arm(): void {
    if (this.loaded === 0) this.timer.cancel();
    else this.timer.at(this.loadedAt + this.loaded * this.unit());
  }
}
