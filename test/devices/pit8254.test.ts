import { beforeEach, describe, expect, test } from "vitest";
import { Pit8254, Port61 } from "../../runtime/devices/index.ts";
import { ReferenceCounter } from "./pit-reference.ts";
import { inb, outb, Probe, Random, TestClock } from "./support.ts";

/** The first nanosecond of a tick of the 105/88 MHz clock. */
const timeOf = (tick: number) => Math.ceil((tick * 17600) / 21);

let clock: TestClock;
let outs: [Probe, Probe, Probe];
let pit: Pit8254;

beforeEach(() => {
  clock = new TestClock();
  outs = [new Probe(), new Probe(), new Probe()];
  pit = new Pit8254(clock, outs);
});

function program(n: number, mode: number, count: number, bcd = 0): void {
  outb(pit.registers, 3, (n << 6) | 0x30 | (mode << 1) | bcd);
  outb(pit.registers, n, count & 0xff);
  outb(pit.registers, n, count >> 8);
}

function latched(n: number): number {
  outb(pit.registers, 3, n << 6);
  return inb(pit.registers, n) | (inb(pit.registers, n) << 8);
}

function status(n: number): number {
  outb(pit.registers, 3, 0xe0 | (2 << n));
  return inb(pit.registers, n);
}

describe("modes, by their timing diagrams", () => {
  test("mode 0: OUT rises N + 1 CLK after the count is written, and the count goes on through zero", () => {
    program(0, 0, 4);
    const seen = [];
    for (let tick = 1; tick <= 7; tick++) {
      clock.runTo(timeOf(tick));
      seen.push([latched(0), pit.output(0)]);
    }
    expect(seen).toEqual([
      [4, false],
      [3, false],
      [2, false],
      [1, false],
      [0, true],
      [0xffff, true],
      [0xfffe, true],
    ]);
    expect(outs[0].rises).toBeGreaterThan(0);
  });

  test("mode 2: OUT is low for the one CLK at which the count is 1", () => {
    program(2, 2, 3);
    const seen = [];
    for (let tick = 1; tick <= 7; tick++) {
      clock.runTo(timeOf(tick));
      seen.push([latched(2), pit.output(2)]);
    }
    expect(seen).toEqual([
      [3, true],
      [2, true],
      [1, false],
      [3, true],
      [2, true],
      [1, false],
      [3, true],
    ]);
  });

  test("mode 3: even counts are half high, half low; odd ones high a CLK longer; counted by two", () => {
    program(2, 3, 4);
    const even = [];
    for (let tick = 1; tick <= 5; tick++) {
      clock.runTo(timeOf(tick));
      even.push([latched(2), pit.output(2)]);
    }
    expect(even).toEqual([
      [4, true],
      [2, true],
      [4, false],
      [2, false],
      [4, true],
    ]);
    program(2, 3, 5);
    const odd = [];
    for (let tick = 6; tick <= 11; tick++) {
      clock.runTo(timeOf(tick));
      odd.push([latched(2), pit.output(2)]);
    }
    expect(odd).toEqual([
      [4, true],
      [2, true],
      [0, true],
      [4, false],
      [2, false],
      [4, true],
    ]);
  });

  test("mode 4: OUT strobes low for the CLK N + 1 after the write, once", () => {
    program(1, 4, 3);
    const seen = [];
    for (let tick = 1; tick <= 6; tick++) {
      clock.runTo(timeOf(tick));
      seen.push(pit.output(1));
    }
    expect(seen).toEqual([true, true, true, false, true, true]);
  });

  test("BCD counts in four decimal digits, 0 being 10000", () => {
    program(2, 0, 0x0000, 1);
    clock.runTo(timeOf(1));
    expect(latched(2)).toBe(0x0000);
    clock.runTo(timeOf(2));
    expect(latched(2)).toBe(0x9999);
    clock.runTo(timeOf(901));
    expect(latched(2)).toBe(0x9100);
    clock.runTo(timeOf(10000));
    expect(pit.output(2)).toBe(false);
    clock.runTo(timeOf(10001));
    expect(pit.output(2)).toBe(true);
  });
});

describe("reading", () => {
  test("a latched count stays until it is read; a second latch command is ignored", () => {
    program(0, 2, 1000);
    clock.runTo(timeOf(11));
    outb(pit.registers, 3, 0x00);
    clock.runTo(timeOf(21));
    outb(pit.registers, 3, 0x00);
    expect(inb(pit.registers, 0) | (inb(pit.registers, 0) << 8)).toBe(990);
    expect(latched(0)).toBe(980);
  });

  test("read-back latches count and status of several counters; status reads first and shows the control word", () => {
    program(0, 2, 0x1234);
    program(2, 3, 0x0500, 1);
    expect(status(0)).toBe(0x80 | 0x40 | 0x34);
    clock.runTo(timeOf(1));
    outb(pit.registers, 3, 0xc0 | 0x0a);
    clock.runTo(timeOf(50));
    expect(inb(pit.registers, 0)).toBe(0x80 | 0x34);
    expect(inb(pit.registers, 0) | (inb(pit.registers, 0) << 8)).toBe(0x1234);
    expect(inb(pit.registers, 2)).toBe(0x80 | 0x37);
    expect(inb(pit.registers, 2) | (inb(pit.registers, 2) << 8)).toBe(0x0500);
  });

  test("null count lasts until the new count is in the counting element", () => {
    program(0, 2, 100);
    expect(status(0) & 0x40).toBe(0x40);
    clock.runTo(timeOf(1));
    expect(status(0) & 0x40).toBe(0);
    outb(pit.registers, 0, 50);
    outb(pit.registers, 0, 0);
    clock.runTo(timeOf(100));
    expect(status(0) & 0x40).toBe(0x40);
    clock.runTo(timeOf(101));
    expect(status(0) & 0x40).toBe(0);
    expect(latched(0)).toBe(50);
  });

  test("single-byte access reads and writes one half", () => {
    outb(pit.registers, 3, 0x60 | 0x04);
    outb(pit.registers, 1, 0x12);
    clock.run(1000);
    expect(inb(pit.registers, 1)).toBe(0x12);
    clock.run(1000);
    expect(inb(pit.registers, 1)).toBe(0x11);
    outb(pit.registers, 3, 0x50 | 0x04);
    outb(pit.registers, 1, 0x40);
    clock.run(1000);
    expect(inb(pit.registers, 1)).toBe(0x40);
    expect(inb(pit.registers, 3)).toBe(0xff);
  });
});

describe("interrupts", () => {
  test("HZ = 1000: every edge at its exact tick, no drift over ten seconds", () => {
    const divisor = 1193;
    clock = new TestClock();
    pit = new Pit8254(clock, [outs[0], null, null]);
    program(0, 2, divisor);
    clock.runTo(timeOf(2));
    const before = outs[0].rises;
    for (let n = 1; n <= 11930; n++) {
      const edge = timeOf(1 + n * divisor);
      expect(clock.nextDeadline()).toBe(edge);
      clock.runTo(edge);
    }
    expect(outs[0].rises - before).toBe(11930);
    expect(latched(0)).toBe(divisor);
  });

  test("one-shot mode 4, as Linux programs it: one edge a count", () => {
    program(0, 4, 5000);
    const before = outs[0].rises;
    clock.runTo(timeOf(5001));
    expect(outs[0].rises).toBe(before);
    clock.runTo(timeOf(5002));
    expect(outs[0].rises).toBe(before + 1);
    clock.runTo(timeOf(200_000));
    outb(pit.registers, 0, 0x10);
    outb(pit.registers, 0, 0x00);
    clock.runTo(timeOf(200_018));
    expect(outs[0].rises).toBe(before + 2);
  });

  test("a machine that comes late gets one edge, and the next at its exact tick", () => {
    program(0, 2, 1000);
    clock.runTo(timeOf(500));
    const before = outs[0].rises;
    clock.sleepThrough(1e9);
    expect(outs[0].rises).toBe(before + 1);
    const deadline = clock.nextDeadline();
    expect(deadline).toBeGreaterThan(clock.now());
    expect((Math.floor((deadline * 21) / 17600) - 1) % 1000).toBe(0);
  });

  test("a mode that holds OUT high stops the interrupts", () => {
    program(0, 2, 100);
    clock.run(1e6);
    outb(pit.registers, 3, 0x38);
    const before = outs[0].rises;
    clock.run(1e9);
    expect(outs[0].rises).toBe(before);
  });
});

describe("against a model clocked by the datasheet's words", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("count, OUT, status and edges of random programs agree at every tick, seed %i", (seed) => {
    const random = new Random(seed * 7919);
    const n = seed % 3;
    const reference = new ReferenceCounter();
    let tick = 0;
    let halfWritten = false;
    // Not every power-up state is defined: start from a control word.
    const control = (value: number) => {
      outb(pit.registers, 3, (n << 6) | value);
      const before = reference.out;
      reference.writeControl(value);
      if (!before && reference.out) rises++;
      halfWritten = false;
    };
    let rises = 0;
    control(0x30);
    const base = outs[n].rises;
    rises = 0;
    const edges = (change: () => void) => {
      const before = reference.out;
      change();
      if (!before && reference.out) rises++;
    };
    for (let step = 0; step < 12_000; step++) {
      const choice = random.below(100);
      const access = reference.control >> 4;
      if (choice < 3) control((random.pick([1, 2, 3]) << 4) | (random.below(8) << 1) | random.below(2));
      else if (choice < 12) {
        // Small counts, so that cycles end; 1 is illegal in modes 2 and 3. A high byte alone makes a large count.
        const high = access === 2 || (access === 3 && halfWritten);
        const value = high ? (access === 2 ? 1 + random.below(2) : random.below(20) === 0 ? 1 : 0) : 2 + random.below(8);
        outb(pit.registers, n, value);
        edges(() => reference.writeByte(value));
        if (access === 3) halfWritten = !halfWritten;
      } else if (choice < 17) {
        const high = random.below(3) !== 0;
        pit.setGate(n, high);
        edges(() => reference.setGate(high));
      } else {
        tick++;
        clock.runTo(timeOf(tick));
        edges(() => reference.clock());
      }
      const where = `seed ${seed} step ${step} tick ${tick} control ${reference.control.toString(16)}`;
      expect(pit.output(n), `OUT, ${where}`).toBe(reference.out);
      expect(status(n), `status, ${where}`).toBe((reference.out ? 0x80 : 0) | (reference.nullCount ? 0x40 : 0) | reference.control);
      if (reference.count !== null) {
        outb(pit.registers, 3, n << 6);
        const value = inb(pit.registers, n);
        const digits = (reference.control & 1) !== 0 ? Number.parseInt(String(reference.count), 16) : reference.count;
        if (reference.control >> 4 === 3) expect(value | (inb(pit.registers, n) << 8), `count, ${where}`).toBe(digits);
        else expect(value, `count, ${where}`).toBe(reference.control >> 4 === 1 ? digits & 0xff : digits >> 8);
      }
      expect(outs[n].rises - base, `rising edges, ${where}`).toBe(rises);
    }
  });
});

describe("port 61h", () => {
  test("gates counter 2, shows OUT2, and holds its low four bits", () => {
    const port61 = new Port61(clock, pit);
    expect(inb(port61.registers, 0) & 0x0f).toBe(0);
    outb(port61.registers, 0, 0x01);
    // As Linux calibrates: mode 0 on counter 2, wait for OUT2.
    program(2, 0, 11932);
    expect(inb(port61.registers, 0) & 0x20).toBe(0);
    clock.runTo(timeOf(11932));
    expect(inb(port61.registers, 0) & 0x20).toBe(0);
    clock.runTo(timeOf(11933));
    expect(inb(port61.registers, 0) & 0x20).toBe(0x20);
    outb(port61.registers, 0, 0xfe);
    expect(inb(port61.registers, 0) & 0xcf).toBe(0x0e);
  });

  test("the gate stops and goes on with a mode 0 count", () => {
    const port61 = new Port61(clock, pit);
    outb(port61.registers, 0, 0x01);
    program(2, 0, 1000);
    clock.runTo(timeOf(101));
    outb(port61.registers, 0, 0x00);
    clock.runTo(timeOf(5000));
    expect(latched(2)).toBe(900);
    outb(port61.registers, 0, 0x01);
    clock.runTo(timeOf(5100));
    expect(latched(2)).toBe(800);
  });

  test("the refresh bit toggles about every 15 microseconds", () => {
    const port61 = new Port61(clock, pit);
    let toggles = 0;
    let last = inb(port61.registers, 0) & 0x10;
    for (let time = 0; time < 1_508_500; time += 500) {
      clock.runTo(time);
      const now = inb(port61.registers, 0) & 0x10;
      if (now !== last) toggles++;
      last = now;
    }
    expect(toggles).toBe(99);
  });
});

test("save and restore in the middle of a cycle", () => {
  program(0, 2, 1000);
  program(2, 3, 777);
  clock.runTo(timeOf(1500));
  outb(pit.registers, 0, 200);
  const clockState = JSON.parse(JSON.stringify(clock.save()));
  const state = JSON.parse(JSON.stringify(pit.save()));
  const other = new TestClock();
  const otherOut = new Probe();
  const restored = new Pit8254(other, [otherOut, null, null]);
  other.restore(clockState);
  restored.restore(state);
  for (const device of [pit, restored]) outb(device.registers, 0, 0);
  const rises = outs[0].rises;
  const otherRises = otherOut.rises;
  for (let tick = 1600; tick < 6000; tick += 37) {
    clock.runTo(timeOf(tick));
    other.runTo(timeOf(tick));
    expect(restored.output(2)).toBe(pit.output(2));
    for (const offset of [0, 0, 2, 2]) expect(inb(restored.registers, offset)).toBe(inb(pit.registers, offset));
    expect(otherOut.rises - otherRises).toBe(outs[0].rises - rises);
  }
});
