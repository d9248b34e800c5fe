/**
 * The small interface every device lives behind. A device sees offsets into its own register range and does not know where it
 * sits, which machine it is in, or that a CPU exists: it is handed a clock, interrupt lines and, where it masters the bus, a
 * DMA port. Time is always guest time in nanoseconds from the clock it was given.
 */

/** JSON-like, structured-clonable state; typed arrays allowed. */
export type SavedState = { [key: string]: SavedValue };
export type SavedValue = number | string | boolean | null | Uint8Array | Int32Array | SavedValue[] | SavedState;

export interface Saveable {
  save(): SavedState;
  restore(state: SavedState): void;
}

export interface Device extends Saveable {
  /** Stable name, also the key of its state in a snapshot. */
  readonly name: string;
  /** Power-on state. */
  reset(): void;
}

/** An interrupt (or any other) line: level-driven; `set` with the same level is a no-op for the receiver. */
export interface Line {
  set(high: boolean): void;
}

/** Port or MMIO registers of a device. `size` is 1, 2 or 4 bytes; values are unsigned within that size (4: int32 or uint32 accepted). */
export interface RegisterBank {
  read(offset: number, size: 1 | 2 | 4): number;
  write(offset: number, size: 1 | 2 | 4, value: number): void;
  /**
   * For a data port: the same as reads of `size` bytes at `offset` one after the other, as many as the device can give at this moment and `into` holds whole.
   * Returns the number of bytes, a multiple of `size`; 0: read them one by one.
   */
  readBlock?(offset: number, size: 2 | 4, into: Uint8Array): number;
  /** The same for writes. */
  writeBlock?(offset: number, size: 2 | 4, from: Uint8Array): number;
}

/** Guest time. One per machine; devices keep deadlines in it, the dispatcher asks it when to look again. */
export interface Clock {
  /** Nanoseconds of guest time since power-on; never goes back. A double: exact to 104 days. */
  now(): number;
  /** The same for counters that software reads again and again: no two readings while the guest runs are equal where the host's time goes in steps. */
  counter(): number;
  /** A timer that calls `expired(deadline)` once guest time reaches the deadline it was last armed with. */
  timer(expired: (deadline: number) => void): Timer;
}

export interface Timer {
  /** Arms (or re-arms) for an absolute guest time in nanoseconds. */
  at(deadline: number): void;
  cancel(): void;
  /** The deadline, or Infinity when not armed. */
  readonly deadline: number;
}
