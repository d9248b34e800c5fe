/**
 * Guest time. Both clocks count whole nanoseconds since power-on and own the armed timers of every device. The dispatcher runs guest
 * code until `nextDeadline()`, then calls `runDue()`; a halted CPU waits (HostClock) or skips (VirtualClock) to that deadline.
 *
 * A snapshot holds the time only: each device saves the deadline of its timers and arms them again when restored, so a clock must
 * be restored before the devices that use it (its `restore` disarms every timer).
 */
import type { Clock, Saveable, SavedState, Timer } from "./device.ts";

/**
 * A timer that is armed again in the past by its own callback would otherwise never let `runDue` return; what is left over is due at
 * the next call.
 */
const maximumExpiriesPerRun = 4096;

class ClockTimer implements Timer {
  deadline = Number.POSITIVE_INFINITY;
  readonly expired: (deadline: number) => void;
  private readonly queue: TimerQueue;

  constructor(queue: TimerQueue, expired: (deadline: number) => void) {
    this.queue = queue;
    this.expired = expired;
  }

  at(deadline: number): void {
    if (Number.isNaN(deadline)) throw new RangeError("Timer.at: the deadline is not a number");
    if (this.deadline !== Number.POSITIVE_INFINITY) this.queue.remove(this);
    this.deadline = deadline;
    if (deadline !== Number.POSITIVE_INFINITY) this.queue.insert(this);
  }

  cancel(): void {
    if (this.deadline === Number.POSITIVE_INFINITY) return;
    this.queue.remove(this);
    this.deadline = Number.POSITIVE_INFINITY;
  }
}

/** Armed timers, earliest first; among equal deadlines, first armed first. A machine has some twenty, so a sorted array it is. */
class TimerQueue {
  private readonly armed: ClockTimer[] = [];
  next = Number.POSITIVE_INFINITY;

  insert(timer: ClockTimer): void {
    const { armed } = this;
    let at = armed.length;
    while (at > 0 && armed[at - 1].deadline > timer.deadline) at--;
    armed.splice(at, 0, timer);
    this.next = armed[0].deadline;
  }

  remove(timer: ClockTimer): void {
    const { armed } = this;
    armed.splice(armed.indexOf(timer), 1);
    this.next = armed.length === 0 ? Number.POSITIVE_INFINITY : armed[0].deadline;
  }

  first(): ClockTimer {
    return this.armed[0];
  }

  clear(): void {
    while (this.armed.length > 0) this.armed[this.armed.length - 1].cancel();
  }

  get size(): number {
    return this.armed.length;
  }
}

/** What the dispatcher sees of either clock. */
export abstract class MachineClock implements Clock, Saveable {
  private readonly queue = new TimerQueue();

  abstract now(): number;
  counter(): number {
    return this.now();
  }
  abstract save(): SavedState;
  protected abstract restoreTime(state: SavedState): void;

  timer(expired: (deadline: number) => void): Timer {
    return new ClockTimer(this.queue, expired);
  }

  /** The earliest armed deadline in nanoseconds, Infinity if none. */
  nextDeadline(): number {
    return this.queue.next;
  }

  /** Number of armed timers. */
  get armedTimers(): number {
    return this.queue.size;
  }

  /** Expires every timer whose deadline has come, in deadline order. @returns the time */
  runDue(): number {
    const { queue } = this;
    const now = this.now();
    for (let runs = 0; queue.next <= now && runs < maximumExpiriesPerRun; runs++) {
      const timer = queue.first();
      const deadline = timer.deadline;
      timer.cancel();
      timer.expired(deadline);
    }
    return now;
  }

  /** Sets the time and disarms every timer; devices arm theirs again in their own `restore`. */
  restore(state: SavedState): void {
    this.queue.clear();
    this.restoreTime(state);
  }
}

/** Nanoseconds that a reading of a counter takes at least. */
const betweenReadings = 10;

/** Guest time follows host time while the machine runs and stands still while it is paused. Starts paused, at 0. */
export class HostClock extends MachineClock {
  private readonly hostMilliseconds: () => number;
  /** Guest time at `anchor`; all of the guest time while paused. */
  private elapsed = 0;
  private anchor = 0;
  private running = false;
  /** The last reading of `counter`. */
  private counted = 0;

  /** @param hostMilliseconds a monotonic host time in milliseconds, such as `performance.now` */
  constructor(hostMilliseconds: () => number) {
    super();
    this.hostMilliseconds = hostMilliseconds;
  }

  now(): number {
    if (!this.running) return this.elapsed;
    const now = this.elapsed + Math.floor((this.hostMilliseconds() - this.anchor) * 1e6);
    return Math.max(now, this.elapsed);
  }

  /**
   * Browsers' time goes in steps of 5 µs to a millisecond. Between them readings are counted, each for less time than it takes, so that the count stays behind the true time: Linux seeds its random
   * numbers from differences of the time-stamp counter, and waits for ever where it finds none.
   */
  override counter(): number {
    const now = this.now();
    if (now > this.counted) this.counted = now;
    else if (this.running) this.counted += betweenReadings;
    return this.counted;
  }

  get paused(): boolean {
    return !this.running;
  }

  pause(): void {
    this.elapsed = this.now();
    this.running = false;
  }

  resume(): void {
    if (this.running) return;
    this.anchor = this.hostMilliseconds();
    this.running = true;
  }

  /** Host milliseconds from now until `deadline` (0 if past, Infinity if never): how long a halted machine may sleep. */
  millisecondsUntil(deadline: number): number {
    return Math.max(0, (deadline - this.now()) / 1e6);
  }

  save(): SavedState {
    return { now: this.now() };
  }

  protected restoreTime(state: SavedState): void {
    this.elapsed = state.now as number;
    this.anchor = this.hostMilliseconds();
    this.counted = this.elapsed;
  }
}

/**
 * Guest time counted in retired guest instructions, so that runs repeat exactly. While the CPU is halted nothing retires and the
 * machine calls `skipTo`. The instruction counter is the CPU's and is saved and restored with it, before or after the clock.
 */
export class VirtualClock extends MachineClock {
  private readonly instructions: () => number;
  private nanosecondsPerInstruction: number;
  /** Time that passed without instructions: always a whole number, so that skipping to a whole deadline arrives exactly there. */
  private skipped = 0;

  constructor(instructions: () => number, nanosecondsPerInstruction = 1) {
    super();
    if (!(nanosecondsPerInstruction > 0)) throw new RangeError(`VirtualClock: ${nanosecondsPerInstruction} ns per instruction; expected more than 0`);
    this.instructions = instructions;
    this.nanosecondsPerInstruction = nanosecondsPerInstruction;
  }

  now(): number {
    return this.skipped + Math.floor(this.instructions() * this.nanosecondsPerInstruction);
  }

  /** Moves time forward to a finite deadline; does nothing if it has passed. */
  skipTo(deadline: number): void {
    const ahead = Math.ceil(deadline - this.now());
    if (ahead > 0 && Number.isFinite(ahead)) this.skipped += ahead;
  }

  /** Instructions left to retire until `deadline` (0 if past, Infinity if never). */
  instructionsUntil(deadline: number): number {
    return Math.max(0, Math.ceil((deadline - this.now()) / this.nanosecondsPerInstruction));
  }

  save(): SavedState {
    return { skipped: this.skipped, nanosecondsPerInstruction: this.nanosecondsPerInstruction };
  }

  protected restoreTime(state: SavedState): void {
    this.skipped = state.skipped as number;
    this.nanosecondsPerInstruction = state.nanosecondsPerInstruction as number;
  }
}
