/** The high precision event timers by the IA-PC HPET Specification 1.0a; what QEMU confirms is in apic/qemu.test.ts. */
import { beforeEach, describe, expect, test } from "vitest";
import { Hpet } from "../../runtime/devices/hpet.ts";
import { Probe, TestClock } from "./support.ts";

const at = { identity: 0, period: 4, configuration: 0x10, status: 0x20, counter: 0xf0, counterHigh: 0xf4 };
const timer = (n: number) => {
  const base = 0x100 + 0x20 * n;
  return { configuration: base, routes: base + 4, comparator: base + 8, comparatorHigh: base + 12 };
};
const bit = { level: 2, enable: 4, periodic: 8, setValue: 0x40, narrow: 0x100, pin2: 2 << 9 };
const run = 1;
const legacy = 2;

class World {
  readonly clock = new TestClock();
  readonly irq0 = new Probe();
  readonly irq8 = new Probe();
  readonly pin2 = new Probe();
  readonly hpet = new Hpet(this.clock, this);

  get(offset: number): number {
    return this.hpet.registers.read(offset, 4) >>> 0;
  }
  put(offset: number, value: number): void {
    this.hpet.registers.write(offset, 4, value);
  }
  /** Edges that reached IRQ0, IRQ8 and pin 2. */
  get rises(): number[] {
    return [this.irq0.rises, this.irq8.rises, this.pin2.rises];
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

test("identification and reset values", () => {
  // 64-bit, legacy capable, three timers, 10 ns.
  expect([world.get(at.identity), world.get(at.period)]).toEqual([0x8086a201, 10_000_000]);
  expect([world.get(at.configuration), world.get(at.status), world.get(at.counter), world.get(at.counterHigh)]).toEqual([0, 0, 0, 0]);
  for (let n = 0; n < 3; n++) {
    const { configuration, routes, comparator, comparatorHigh } = timer(n);
    expect([configuration, routes, comparator, comparatorHigh].map((offset) => world.get(offset))).toEqual([0x30, 4, 0xffffffff, 0xffffffff]);
  }
  expect([world.get(0x160), world.get(0x3fc), world.get(0x110)]).toEqual([0, 0, 0]);
  expect(world.clock.armedTimers).toBe(0);
});

describe("main counter", () => {
  test("100 MHz while enabled; held otherwise; 64 bits", () => {
    world.clock.run(1000);
    expect(world.get(at.counter)).toBe(0);
    world.put(at.configuration, run);
    world.clock.run(1009);
    expect(world.get(at.counter)).toBe(100);
    world.put(at.configuration, 0);
    world.clock.run(1000);
    expect(world.get(at.counter)).toBe(100);
    world.put(at.counter, 0xffffffff);
    world.put(at.counterHigh, 0xffffffff);
    world.put(at.configuration, run);
    world.clock.run(9);
    expect([world.get(at.counter), world.get(at.counterHigh)]).toEqual([0xffffffff, 0xffffffff]);
    world.clock.run(1);
    expect([world.get(at.counter), world.get(at.counterHigh)]).toEqual([0, 0]);
    world.clock.run(10 * 2 ** 32);
    expect([world.get(at.counter), world.get(at.counterHigh)]).toEqual([0, 1]);
    world.put(at.counter, 5);
    expect(world.get(at.counter)).toBe(0);
  });

  test("bytes and words of registers can be read, not written", () => {
    expect(world.hpet.registers.read(at.identity + 2, 2)).toBe(0x8086);
    expect(world.hpet.registers.read(at.identity + 1, 1)).toBe(0xa2);
    world.hpet.registers.write(at.configuration, 1, 1);
    expect(world.get(at.configuration)).toBe(0);
  });
});

describe.each([
  ["64 bits", 0],
  ["32 bits", bit.narrow],
])("comparators of %s", (_, width) => {
  const t = timer(0);
  beforeEach(() => {
    world.put(t.configuration, bit.enable | width);
  });

  test("one shot at the exact tick, once", () => {
    world.put(t.comparator, 1000);
    world.put(t.comparatorHigh, 0);
    world.put(at.configuration, run | legacy);
    world.clock.run(9999);
    expect(world.rises).toEqual([0, 0, 0]);
    world.clock.run(1);
    expect(world.rises).toEqual([1, 0, 0]);
    world.clock.run(1e9);
    expect(world.rises).toEqual([1, 0, 0]);
    world.put(t.comparator, world.get(at.counter) + 50);
    world.clock.run(499);
    expect(world.rises).toEqual([1, 0, 0]);
    world.clock.run(1);
    expect(world.rises).toEqual([2, 0, 0]);
  });

  test("set to what has just passed it is due at once", () => {
    world.put(t.comparatorHigh, 0);
    world.put(at.configuration, run | legacy);
    world.clock.run(1e6);
    world.put(t.comparator, 99_990);
    world.clock.run(0);
    expect(world.rises).toEqual([1, 0, 0]);
  });

  test("periodic: value and period by VAL_SET; exact; late ones merge", () => {
    world.put(t.configuration, bit.enable | bit.periodic | bit.setValue | width);
    world.put(t.comparator, 500);
    world.put(t.comparatorHigh, 0);
    expect(world.get(t.configuration) & bit.setValue).toBe(0);
    world.put(t.comparator, 200);
    world.put(t.comparatorHigh, 0);
    expect(world.get(t.comparator)).toBe(500);
    world.put(at.configuration, run | legacy);
    const times: number[] = [];
    for (let time = 100; time <= 12_000; time += 100) {
      const before = world.irq0.rises;
      world.clock.runTo(time);
      if (world.irq0.rises > before) times.push(time / 10);
    }
    expect(times).toEqual([500, 700, 900, 1100]);
    expect(world.get(t.comparator)).toBe(1300);
    world.clock.sleepThrough(11_500);
    expect(world.irq0.rises).toBe(5);
    expect(world.get(t.comparator)).toBe(2500);
    world.put(t.configuration, bit.periodic | width);
    world.clock.run(1e6);
    expect(world.irq0.rises).toBe(5);
    expect(world.clock.armedTimers).toBe(0);
  });

  test("a period of one tick, or of none, is no hang", () => {
    for (const period of [1, 0]) {
      world.put(t.configuration, bit.enable | bit.periodic | bit.setValue | width);
      world.put(t.comparator, world.get(at.counter) + 10);
      world.put(t.comparator, period);
      world.put(at.configuration, run | legacy);
      world.clock.sleepThrough(1e8);
      world.clock.run(1000);
      expect(world.clock.nextDeadline()).toBeGreaterThan(world.clock.now());
    }
  });
});

test("32 bits: the comparator is cut, and matches again when the counter has come around", () => {
  const t = timer(1);
  world.put(t.configuration, bit.enable | bit.narrow);
  world.put(t.comparatorHigh, 7);
  world.put(t.comparator, 0x1000);
  expect([world.get(t.comparator), world.get(t.comparatorHigh)]).toEqual([0x1000, 0]);
  world.put(at.counter, 0xffff0000);
  world.put(at.configuration, run | legacy);
  world.clock.run(10 * 0x11000 - 1);
  expect(world.rises).toEqual([0, 0, 0]);
  world.clock.run(1);
  expect(world.rises).toEqual([0, 1, 0]);
  world.clock.run(10 * 2 ** 32);
  expect(world.rises).toEqual([0, 2, 0]);
});

test("64 bits: the high half counts", () => {
  const t = timer(0);
  world.put(t.configuration, bit.enable);
  world.put(t.comparator, 0x10);
  world.put(t.comparatorHigh, 1);
  world.put(at.configuration, run | legacy);
  world.clock.run(10 * 2 ** 32);
  expect(world.rises).toEqual([0, 0, 0]);
  world.clock.run(160);
  expect(world.rises).toEqual([1, 0, 0]);
});

describe("interrupts", () => {
  test("level: status until it is cleared by writing one", () => {
    const t = timer(2);
    world.put(t.configuration, bit.enable | bit.level | bit.pin2);
    world.put(t.comparator, 100);
    world.put(t.comparatorHigh, 0);
    world.put(at.configuration, run);
    world.clock.run(1000);
    expect([world.pin2.high, world.get(at.status)]).toEqual([true, 4]);
    world.put(at.status, 0x3);
    expect(world.pin2.high).toBe(true);
    world.put(at.status, 0x4);
    expect([world.pin2.high, world.get(at.status)]).toEqual([false, 0]);
  });

  test("two levels on one pin: high until both are cleared", () => {
    for (const n of [1, 2]) {
      world.put(timer(n).configuration, bit.enable | bit.level | bit.pin2);
      world.put(timer(n).comparator, 100 * n);
      world.put(timer(n).comparatorHigh, 0);
    }
    world.put(at.configuration, run);
    world.clock.run(3000);
    expect(world.get(at.status)).toBe(6);
    world.put(at.status, 2);
    expect(world.pin2.high).toBe(true);
    world.put(at.status, 4);
    expect([world.pin2.high, world.pin2.rises]).toEqual([false, 1]);
  });

  test("without the legacy routes comparators reach pin 2 alone, and only when routed there", () => {
    for (const n of [0, 1, 2]) {
      world.put(timer(n).configuration, bit.enable | (n === 1 ? 0 : bit.pin2));
      world.put(timer(n).comparator, 100 * (n + 1));
      world.put(timer(n).comparatorHigh, 0);
    }
    world.put(at.configuration, run);
    world.clock.run(1e5);
    expect(world.rises).toEqual([0, 0, 2]);
    expect(world.pin2.high).toBe(false);
  });

  test("legacy replacement takes IRQ0 and IRQ8 from 8254 and RTC, and gives them back", () => {
    world.hpet.timerInput.set(true);
    world.hpet.rtcInput.set(true);
    expect([world.irq0.high, world.irq8.high]).toEqual([true, true]);
    world.put(at.configuration, legacy);
    expect([world.irq0.high, world.irq8.high]).toEqual([false, false]);
    world.hpet.timerInput.set(false);
    world.hpet.timerInput.set(true);
    expect(world.irq0.rises).toBe(1);
    world.put(at.configuration, 0);
    expect([world.irq0.high, world.irq8.high]).toEqual([true, true]);
    world.put(at.configuration, legacy);
    world.hpet.reset();
    expect([world.irq0.high, world.irq8.high]).toEqual([true, true]);
  });
});

test("saved while everything runs, restored elsewhere, the rest is the same", () => {
  const setUp = [bit.enable | bit.periodic | bit.setValue, bit.enable | bit.narrow | bit.level, bit.enable | bit.level | bit.pin2];
  setUp.forEach((configuration, n) => {
    world.put(timer(n).configuration, configuration);
    world.put(timer(n).comparator, 300 + 100 * n);
    world.put(timer(n).comparatorHigh, 0);
    if (n === 0) world.put(timer(n).comparator, 77);
  });
  world.put(at.configuration, run | legacy);
  world.clock.run(4500);
  const other = new World();
  other.clock.restore(structuredClone(world.clock.save()));
  other.hpet.restore(structuredClone(world.hpet.save()));
  const before = [world.rises, other.rises];
  for (const one of [world, other]) {
    one.clock.run(20_000);
    one.put(at.status, 6);
    one.put(timer(2).comparator, 9000);
    one.clock.run(1e6);
  }
  expect(other.hpet.save()).toEqual(world.hpet.save());
  const since = (one: World, rises: number[]) => one.rises.map((n, k) => n - rises[k]);
  expect(since(other, before[1])).toEqual(since(world, before[0]));
  expect([other.irq0.high, other.irq8.high, other.pin2.high]).toEqual([world.irq0.high, world.irq8.high, world.pin2.high]);
});
