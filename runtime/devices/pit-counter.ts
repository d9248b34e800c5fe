/**
 * One counter of an 8254 (Intel 8254 datasheet 231164), computed from the time instead of clocked. All times here are whole CLK ticks and
 * never decrease from call to call.
 *
 * `loadTick` is the tick at which the counting element (CE) was last loaded with `period`; the count and OUT at any tick follow from how
 * many ticks have elapsed since. `loadAt` is the tick of a load still to come: the CLK after a count was written, the CLK after a trigger,
 * or the end of the running cycle (mode 2) or half-cycle (mode 3). Every entry point first carries out a load that has come due.
 */
import type { SavedState } from "./device.ts";

type CounterMode = 0 | 1 | 2 | 3 | 4 | 5;

/** A tick that does not come: 238 years away. */
export const neverTick = Number.MAX_SAFE_INTEGER;

/** Control word bits M2 M1 M0; the top bit of 110b and 111b is ignored. */
const modes: readonly CounterMode[] = [0, 1, 2, 3, 4, 5, 2, 3];

/** Every field is saved state. */
export class PitCounter {
  /** The control word as written, without the counter selection: RW1 RW0 M2 M1 M0 BCD. */
  private control = 0x30;
  private mode: CounterMode = 0;
  private modulus = 0x10000;
  /** The count register: 1 to the modulus. */
  private reload = 0x10000;
  /** Whether a whole count has been written since the control word. */
  private hasCount = false;
  private gate = true;
  /** Whether the CE has been loaded since the control word (mode 0: since the first byte of a two-byte count). */
  private loaded = false;
  private loadTick = 0;
  private period = 0x10000;
  private loadAt = neverTick;
  /** The load to come starts with the low half of a square wave. */
  private loadsLowHalf = false;
  /** The tick at which GATE low stopped the count. */
  private stoppedAt = neverTick;
  private nullCount = true;
  /** What the count reads while the CE is not loaded. */
  private frozen = 0;
  private writtenLow = 0;
  private awaitsHigh = false;
  private readsHigh = false;
  /** Bytes of the latched count still to be read. */
  private latchedBytes = 0;
  private latch = 0;
  private statusLatched = false;
  private status = 0;
  /** Whether the event `nextEvent` returned last is a rising edge of OUT; else it is only a load. */
  eventRises = false;

  /** As powered up; GATE keeps its level, which is not the counter's own. */
  reset(): void {
    const { gate } = this;
    this.restore(new PitCounter().save());
    this.gate = gate;
  }

  writeControl(tick: number, value: number): void {
    this.frozen = this.count(tick);
    this.control = value & 0x3f;
    this.mode = modes[(value >> 1) & 7];
    this.modulus = (value & 1) !== 0 ? 10000 : 0x10000;
    this.loaded = false;
    this.loadAt = neverTick;
    this.loadsLowHalf = false;
    this.hasCount = false;
    this.nullCount = true;
    this.awaitsHigh = false;
    this.readsHigh = false;
    this.latchedBytes = 0;
    this.statusLatched = false;
    this.stoppedAt = this.gate || this.edgeTriggered() ? neverTick : tick;
  }

  writeCount(tick: number, value: number): void {
    this.advance(tick);
    const access = this.control >> 4;
    if (access !== 3) {
      this.writeReload(tick, access === 2 ? value << 8 : value);
    } else if (this.awaitsHigh) {
      this.awaitsHigh = false;
      this.writeReload(tick, (value << 8) | this.writtenLow);
    } else {
      this.writtenLow = value;
      this.awaitsHigh = true;
      if (this.mode !== 0) return;
      // Mode 0: "Writing the first byte disables counting. OUT is set low immediately."
      this.frozen = this.count(tick);
      this.loaded = false;
      this.loadAt = neverTick;
    }
  }

  /** A read of the counter's port: the latched status, else the latched count, else the live count. */
  read(tick: number): number {
    if (this.statusLatched) {
      this.statusLatched = false;
      return this.status;
    }
    let value = this.latch;
    if (this.latchedBytes === 0) value = this.count(tick);
    else this.latchedBytes--;
    const access = this.control >> 4;
    if (access !== 3) return access === 2 ? value >> 8 : value & 0xff;
    this.readsHigh = !this.readsHigh;
    return this.readsHigh ? value & 0xff : value >> 8;
  }

  /** Counter latch command; ignored until an earlier latch has been read out. */
  latchCount(tick: number): void {
    if (this.latchedBytes > 0) return;
    this.latch = this.count(tick);
    this.latchedBytes = this.control >> 4 === 3 && !this.readsHigh ? 2 : 1;
  }

  latchStatus(tick: number): void {
    if (this.statusLatched) return;
    this.status = (this.out(tick) ? 0x80 : 0) | (this.nullCount ? 0x40 : 0) | this.control;
    this.statusLatched = true;
  }

  setGate(tick: number, high: boolean): void {
    if (high === this.gate) return;
    this.advance(tick);
    this.gate = high;
    const restarts = this.mode === 2 || this.mode === 3;
    if (this.edgeTriggered()) {
      if (high && this.hasCount) this.loadAt = tick + 1;
    } else if (!high) {
      if (this.stoppedAt === neverTick) this.stoppedAt = tick;
      if (restarts && this.loaded) this.loadAt = neverTick;
    } else if (restarts && this.hasCount) {
      this.loadAt = tick + 1;
      this.loadsLowHalf = false;
    } else {
      this.loadTick = tick - this.elapsed(tick);
      this.stoppedAt = neverTick;
    }
  }

  out(tick: number): boolean {
    this.advance(tick);
    const { mode, period } = this;
    if (!this.loaded) return mode !== 0;
    const elapsed = this.elapsed(tick);
    if (mode <= 1) return elapsed >= period;
    if (mode >= 4) return elapsed !== period;
    if (this.stoppedAt !== neverTick) return true;
    const position = elapsed % period;
    return mode === 2 ? position !== period - 1 : position < (period + 1) >> 1;
  }

  /** The next tick after `tick` at which OUT rises or a running cycle takes a new count; `neverTick` if only the guest can bring one. */
  nextEvent(tick: number): number {
    this.advance(tick);
    const { mode, loadAt } = this;
    const periodic = mode === 2 || mode === 3;
    const rise = this.nextRise(tick);
    this.eventRises = true;
    // A load at the very CLK that would end the pulse of modes 0 and 1 prevents the end; in the others the two go together.
    if (rise < loadAt || (rise === loadAt && (mode >= 2 || rise === neverTick))) return rise;
    if (this.loaded && periodic) {
      this.eventRises = false;
      return loadAt;
    }
    // No cycle is running that could bring a rise before the load, so the one after it is known already.
    if (!this.gate && !this.edgeTriggered()) return mode === 4 && !this.out(tick) ? loadAt : neverTick;
    if (periodic) return this.reload === 1 ? neverTick : loadAt + this.reload;
    return loadAt + this.reload + (mode >= 4 ? 1 : 0);
  }

  save(): SavedState {
    return { ...this } as unknown as SavedState;
  }

  restore(state: SavedState): void {
    Object.assign(this, state);
  }

  /** Modes 1 and 5 count from a rising edge of GATE, whose level they ignore. */
  private edgeTriggered(): boolean {
    return this.mode === 1 || this.mode === 5;
  }

  private writeReload(tick: number, written: number): void {
    this.reload = this.toCount(written);
    this.hasCount = true;
    this.nullCount = true;
    if (this.edgeTriggered()) return;
    if (!this.loaded || this.mode === 0 || this.mode === 4) {
      this.loadAt = tick + 1;
      this.loadsLowHalf = false;
    } else if (this.stoppedAt === neverTick && this.loadAt === neverTick) {
      const position = this.elapsed(tick) % this.period;
      const half = (this.period + 1) >> 1;
      this.loadsLowHalf = this.mode === 3 && position < half;
      this.loadAt = tick - position + (this.loadsLowHalf ? half : this.period);
    }
  }

  private advance(tick: number): void {
    const at = this.loadAt;
    if (at > tick) return;
    this.loadTick = this.loadsLowHalf ? at - ((this.reload + 1) >> 1) : at;
    this.loadsLowHalf = false;
    this.period = this.reload;
    this.loaded = true;
    this.nullCount = false;
    this.loadAt = neverTick;
    if (this.gate) this.stoppedAt = neverTick;
  }

  private elapsed(tick: number): number {
    const end = this.stoppedAt === neverTick ? tick : this.stoppedAt;
    return end > this.loadTick ? end - this.loadTick : 0;
  }

  private nextRise(tick: number): number {
    const { mode, period } = this;
    if (!this.loaded || this.stoppedAt !== neverTick) return neverTick;
    // A count of 1 is illegal in modes 2 and 3: OUT does not move.
    if (mode === 2 || mode === 3) return period === 1 ? neverTick : tick + period - (this.elapsed(tick) % period);
    const rise = this.loadTick + period + (mode >= 4 ? 1 : 0);
    return rise > tick ? rise : neverTick;
  }

  /** The 16 bits the CE shows: binary or four decimal digits. */
  private count(tick: number): number {
    this.advance(tick);
    if (!this.loaded) return this.frozen;
    const { mode, period, modulus } = this;
    const elapsed = this.elapsed(tick);
    let value: number;
    if (mode === 2) value = period - (elapsed % period);
    else if (mode === 3) {
      // Loaded with the even part of the count at the start of each half, and counted down by two.
      const position = elapsed % period;
      const half = (period + 1) >> 1;
      value = (period & ~1) - 2 * (position < half ? position : position - half);
    } else {
      // The other modes count on through zero: FFFFh, or 9999 in BCD.
      value = (period - elapsed) % modulus;
      if (value < 0) value += modulus;
    }
    if (value === modulus) value = 0;
    return modulus === 0x10000 ? value : toDecimalDigits(value);
  }

  /** A written count as a number; 0 is the largest count. */
  private toCount(written: number): number {
    if (this.modulus === 0x10000) return written === 0 ? 0x10000 : written;
    const digits = (written & 15) + ((written >> 4) & 15) * 10 + ((written >> 8) & 15) * 100 + (written >> 12) * 1000;
    return digits % 10000 === 0 ? 10000 : digits % 10000;
  }
}

function toDecimalDigits(value: number): number {
  const digit = (unit: number) => Math.floor(value / unit) % 10;
  return (digit(1000) << 12) | (digit(100) << 8) | (digit(10) << 4) | digit(1);
}
