/**
 * The PC's 8254 programmable interval timer (Intel 8254 datasheet 231164): three counters on a 1.193181666... MHz clock, each with its
 * GATE and OUT pins. Nothing ticks: counts follow from the guest time, and one timer per connected OUT waits for the next rising edge.
 *
 * A rising edge is delivered as a short low pulse: OUT's falling edges (one CLK before in mode 2, half a period before in mode 3) are not
 * delivered at their own time because nothing on the PC is clocked by them. When the machine comes late, the edges it missed
 * merge into one, and the next is again at its exact tick: no burst, no drift.
 */
import { ByteBank } from "./byte-bank.ts";
import type { Clock, Device, Line, RegisterBank, SavedState, Timer } from "./device.ts";
import { neverTick, PitCounter } from "./pit-counter.ts";

/** 14.31818 MHz / 12 is 105/88 MHz: 21 CLK ticks in 17600 ns. */
const ticksPerSpan = 21;
const nanosecondsPerSpan = 17600;

const controlOffset = 3;
/** Control word selection 3 is the read-back command; its bits D5 and D4 are active low. */
const readBack = { noCount: 0x20, noStatus: 0x10 };

export class Pit8254 implements Device {
  readonly name = "pit8254";
  /** Ports 40h-43h. */
  readonly registers: RegisterBank;

  private readonly clock: Clock;
  private readonly counters: readonly [PitCounter, PitCounter, PitCounter] = [new PitCounter(), new PitCounter(), new PitCounter()];
  private readonly outputs: readonly (Line | null)[];
  private readonly timers: readonly Timer[];
  /** Per counter, the tick its timer is armed for. */
  private readonly events = [neverTick, neverTick, neverTick];
  /** Per counter, the level its line was last driven to. */
  private readonly levels = [false, false, false];

  /** @param outputs the OUT pins; null where a pin is only ever sampled through `output` */
  constructor(clock: Clock, outputs: readonly [Line | null, Line | null, Line | null]) {
    this.clock = clock;
    this.outputs = outputs;
    // Rounding must not make the tick of a timer that has expired come out below the one it was armed for.
    this.timers = this.counters.map((_, n) => clock.timer(() => this.settle(n, Math.max(this.tick(), this.events[n]))));
    this.registers = new ByteBank(
      4,
      (offset) => this.read(offset),
      (offset, value) => this.write(offset, value),
    );
    this.reset();
  }

  /** GATE of counter `n`. On the PC only counter 2's is not tied high. */
  setGate(n: number, high: boolean): void {
    const tick = this.tick();
    this.prepare(n, tick);
    this.counters[n].setGate(tick, high);
    this.drive(n, tick);
  }

  /** OUT of counter `n` now. */
  output(n: number): boolean {
    const tick = this.tick();
    if (tick >= this.events[n]) this.settle(n, tick);
    return this.counters[n].out(tick);
  }

  /** The chip powers up undefined; this is how PC firmware leaves it: mode 3, the full count, on every counter. */
  reset(): void {
    const tick = this.tick();
    for (let n = 0; n < 3; n++) {
      const counter = this.counters[n];
      counter.reset();
      counter.writeControl(tick, 0x36);
      counter.writeCount(tick, 0);
      counter.writeCount(tick, 0);
      this.drive(n, tick);
    }
  }

  save(): SavedState {
    return { counters: this.counters.map((counter) => counter.save()), events: [...this.events], levels: [...this.levels] };
  }

  restore(state: SavedState): void {
    const counters = state.counters as SavedState[];
    const events = state.events as number[];
    const levels = state.levels as boolean[];
    for (let n = 0; n < 3; n++) {
      this.counters[n].restore(counters[n]);
      this.arm(n, events[n]);
      this.setLine(n, levels[n]);
    }
  }

  private tick(): number {
    return Math.floor((this.clock.now() * ticksPerSpan) / nanosecondsPerSpan);
  }

  private read(offset: number): number {
    if (offset === controlOffset) return 0xff;
    const tick = this.tick();
    if (tick >= this.events[offset]) this.settle(offset, tick);
    return this.counters[offset].read(tick);
  }

  private write(offset: number, value: number): void {
    const tick = this.tick();
    if (offset !== controlOffset) {
      this.prepare(offset, tick);
      this.counters[offset].writeCount(tick, value);
      this.drive(offset, tick);
      return;
    }
    const n = value >> 6;
    if (n === 3) this.readBack(tick, value);
    else if ((value & 0x30) === 0) {
      this.settle(n, tick);
      this.counters[n].latchCount(tick);
    } else {
      this.prepare(n, tick);
      this.counters[n].writeControl(tick, value);
      this.drive(n, tick);
    }
  }

  private readBack(tick: number, command: number): void {
    for (let n = 0; n < 3; n++) {
      if ((command & (2 << n)) === 0) continue;
      this.settle(n, tick);
      if ((command & readBack.noCount) === 0) this.counters[n].latchCount(tick);
      if ((command & readBack.noStatus) === 0) this.counters[n].latchStatus(tick);
    }
  }

  /** Delivers a rising edge that has come due by `tick`, and waits for the next. */
  private settle(n: number, tick: number): void {
    let event = this.events[n];
    if (event > tick) return;
    const counter = this.counters[n];
    let rises = counter.eventRises;
    if (!rises) {
      event = counter.nextEvent(event);
      rises = event <= tick && counter.eventRises;
    }
    this.arm(n, counter.nextEvent(tick));
    if (!rises) return;
    this.setLine(n, false);
    this.setLine(n, true);
  }

  /** Before the guest changes something: what has come due, and OUT as it is now, fallen or not, for the change to make an edge from. */
  private prepare(n: number, tick: number): void {
    this.settle(n, tick);
    if (this.outputs[n] !== null) this.setLine(n, this.counters[n].out(tick));
  }

  /** After the guest changed something: OUT as it is now, and the next edge. */
  private drive(n: number, tick: number): void {
    if (this.outputs[n] === null) return;
    this.setLine(n, this.counters[n].out(tick));
    this.arm(n, this.counters[n].nextEvent(tick));
  }

  private setLine(n: number, high: boolean): void {
    this.levels[n] = high;
    this.outputs[n]?.set(high);
  }

  private arm(n: number, event: number): void {
    this.events[n] = event;
    if (event === neverTick) this.timers[n].cancel();
    else this.timers[n].at(Math.ceil((event * nanosecondsPerSpan) / ticksPerSpan));
  }
}
