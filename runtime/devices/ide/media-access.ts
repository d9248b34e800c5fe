/**
 * One thing a drive is busy with: it lasts some guest time and, where storage answers later, until storage has answered. The guest that polls
 * the status register sees the end as soon as the time is there; one that waits for the interrupt gets it from the clock's timer.
 *
 * Storage sees one operation of a drive at a time: the next begins when the one before has settled, even if the guest has reset the drive
 * meanwhile, so that what a command wrote is never overtaken.
 *
 * A promise cannot be saved. What is saved is that the access is under way and when it may end; the drive issues its operation again when
 * restored. A read done twice is the same read; a write done twice writes the same bytes.
 */
import type { Clock, SavedState, Timer } from "../device.ts";
import { restoreDeadline, savedDeadline } from "../saved.ts";

export class MediaAccess {
  /** Waits for time, for storage or for both. */
  busy = false;

  private readonly clock: Clock;
  private readonly ended: (failed: boolean) => void;
  private readonly timer: Timer;
  /** Storage has not answered yet. */
  private waiting = false;
  private failed = false;
  /** What storage works on, this access's or an abandoned one's. */
  private outstanding: Promise<void> | null = null;
  /** Has an operation for storage. */
  private asks = false;
  /** Answers to accesses of earlier generations are nobody's. */
  private generation = 0;

  constructor(clock: Clock, ended: (failed: boolean) => void) {
    this.clock = clock;
    this.ended = ended;
    this.timer = clock.timer(() => this.settle());
  }

  /** Storage still works for this access or for one that was cancelled: buffers given to it are its own. */
  get storageBusy(): boolean {
    return this.outstanding !== null;
  }

  /** @param operation what to ask of storage; without one the access is a matter of time alone */
  start(nanoseconds: number, operation: (() => void | Promise<void>) | null): void {
    this.issue(operation);
    this.timer.at(this.clock.now() + nanoseconds);
  }

  /** The guest looks at the drive. */
  poll(): void {
    if (!this.waiting && this.clock.now() >= this.timer.deadline) {
      this.timer.cancel();
      this.settle();
    }
  }

  /** Forgets the access; storage goes on with what it has. */
  cancel(): void {
    this.generation++;
    this.busy = false;
    this.waiting = false;
    this.timer.cancel();
  }

  save(): SavedState {
    return { busy: this.busy, asks: this.busy && this.asks, deadline: savedDeadline(this.timer) };
  }

  /** @param operation what the access under way asks of storage, if it does */
  restore(state: SavedState, operation: () => void | Promise<void>): void {
    this.cancel();
    if (!(state.busy as boolean)) return;
    this.issue((state.asks as boolean) ? operation : null);
    const deadline = state.deadline as number | null;
    restoreDeadline(this.timer, deadline ?? this.clock.now());
  }

  private issue(operation: (() => void | Promise<void>) | null): void {
    this.busy = true;
    this.failed = false;
    this.asks = operation !== null;
    if (operation === null) return;
    const { outstanding } = this;
    const generation = ++this.generation;
    let work: void | Promise<void>;
    // One that is cancelled while it waits for its turn never reaches storage.
    if (outstanding !== null) work = outstanding.then(() => (generation === this.generation ? operation() : undefined));
    else {
      try {
        work = operation();
      } catch {
        this.failed = true;
        return;
      }
      if (work === undefined) return;
    }
    this.waiting = true;
    const answered = (failed: boolean): void => {
      if (this.outstanding === settled) this.outstanding = null;
      if (generation !== this.generation) return;
      this.waiting = false;
      this.failed = failed;
      this.settle();
    };
    const settled: Promise<void> = work.then(
      () => answered(false),
      () => answered(true),
    );
    this.outstanding = settled;
  }

  /** Ends the access if nothing is left to wait for. */
  private settle(): void {
    if (!this.busy || this.waiting || this.timer.deadline !== Number.POSITIVE_INFINITY) return;
    this.busy = false;
    this.ended(this.failed);
  }
}
