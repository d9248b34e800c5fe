import { beforeEach, describe, expect, test } from "vitest";
import { Rtc146818 } from "../../runtime/devices/index.ts";
import { nextAlarm, registersToTime, timeToRegisters } from "../../runtime/devices/rtc-calendar.ts";
import { Probe, Random, TestClock } from "./support.ts";

/** Facts from the MC146818 datasheet. */

const powerOn = Date.UTC(2023, 11, 31, 23, 59, 58);
const second = 1e9;

let clock: TestClock;
let irq: Probe;
let nmiMask: Probe;
let rtc: Rtc146818;

beforeEach(() => {
  clock = new TestClock();
  irq = new Probe();
  nmiMask = new Probe();
  rtc = new Rtc146818({ clock, wallClock: () => powerOn + clock.now() / 1e6, irq, nmiMask, memoryBytes: 256 << 20 });
});

function read(register: number): number {
  rtc.registers.write(0, 1, register);
  return rtc.registers.read(1, 1);
}

function write(register: number, value: number): void {
  rtc.registers.write(0, 1, register);
  rtc.registers.write(1, 1, value);
}

/** Year, month, day, hours, minutes, seconds, weekday as they read. */
const timeNow = () => [0x32, 9, 8, 7, 4, 2, 0, 6].map(read);

describe("time of day", () => {
  test("reads the wall clock in BCD and 24 hours, and rolls over everything", () => {
    expect(timeNow()).toEqual([0x20, 0x23, 0x12, 0x31, 0x23, 0x59, 0x58, 1]);
    clock.run(2 * second);
    expect(timeNow()).toEqual([0x20, 0x24, 0x01, 0x01, 0x00, 0x00, 0x00, 2]);
  });

  test("binary and 12-hour formats", () => {
    write(0x0b, 0x06);
    expect(timeNow()).toEqual([20, 23, 12, 31, 23, 59, 58, 1]);
    write(0x0b, 0x04);
    expect(read(4)).toBe(0x80 | 11);
    write(0x0b, 0x00);
    expect(read(4)).toBe(0x80 | 0x11);
    clock.run(2 * second);
    expect(read(4)).toBe(0x12);
    clock.run(12 * 3600 * second);
    expect(read(4)).toBe(0x92);
  });

  test("setting it as Linux does: SET, divider in reset, fields, then running from half a second before the first update", () => {
    write(0x0b, 0x82);
    write(0x0a, 0x76);
    for (const [register, value] of [
      [9, 0x00],
      [8, 0x02],
      [7, 0x28],
      [4, 0x23],
      [2, 0x59],
      [0, 0x59],
      [0x32, 0x20],
    ]) {
      write(register, value);
      expect(read(register)).toBe(value);
    }
    clock.run(5 * second);
    expect(read(0)).toBe(0x59);
    write(0x0b, 0x02);
    clock.run(5 * second);
    expect(read(0)).toBe(0x59);
    write(0x0a, 0x26);
    clock.run(0.499 * second);
    expect(timeNow().slice(0, 7)).toEqual([0x20, 0x00, 0x02, 0x28, 0x23, 0x59, 0x59]);
    clock.run(0.002 * second);
    expect(timeNow()).toEqual([0x20, 0x00, 0x02, 0x29, 0x00, 0x00, 0x00, 3]);
  });

  test("31 written before the month: fields do not disturb one another while SET holds them", () => {
    write(0x0b, 0x82);
    write(8, 0x02);
    write(7, 0x31);
    write(8, 0x03);
    write(0x0b, 0x02);
    expect([read(8), read(7)]).toEqual([0x03, 0x31]);
  });

  test("a field written while the clock runs", () => {
    write(4, 0x05);
    expect([read(4), read(2), read(0)]).toEqual([0x05, 0x59, 0x58]);
  });

  test("UIP precedes each update and never shows while SET", () => {
    clock.runTo(0.9 * second);
    expect(read(0x0a)).toBe(0x26);
    clock.runTo(0.9995 * second);
    expect(read(0x0a)).toBe(0xa6);
    write(0x0b, 0x82);
    expect(read(0x0a)).toBe(0x26);
    write(0x0b, 0x02);
    clock.runTo(second);
    expect(read(0x0a)).toBe(0x26);
  });
});

describe("interrupts", () => {
  test("periodic at 1024 Hz: 1024 a second, each until register C is read", () => {
    write(0x0b, 0x42);
    let count = 0;
    const end = clock.now() + second;
    while (clock.nextDeadline() <= end) {
      clock.runTo(clock.nextDeadline());
      expect(irq.high).toBe(true);
      expect(clock.armedTimers).toBe(0);
      expect(read(0x0c) & 0xc0).toBe(0xc0);
      expect(irq.high).toBe(false);
      count++;
    }
    expect(count).toBe(1024);
  });

  test.each([
    [1, 256],
    [2, 128],
    [3, 8192],
    [6, 1024],
    [15, 2],
  ])("rate %i is %i Hz", (rate, hertz) => {
    write(0x0a, 0x20 | rate);
    write(0x0b, 0x42);
    const first = clock.nextDeadline();
    clock.runTo(first);
    read(0x0c);
    expect(Math.round(second / (clock.nextDeadline() - first))).toBe(hertz);
  });

  test("rate 0 and a divider in reset give none", () => {
    write(0x0b, 0x42);
    write(0x0a, 0x20);
    expect(clock.armedTimers).toBe(0);
    write(0x0a, 0x76);
    expect(clock.armedTimers).toBe(0);
  });

  test("update-ended, once a second; SET takes its enable away", () => {
    write(0x0b, 0x12);
    clock.runTo(second - 1);
    expect(irq.high).toBe(false);
    clock.runTo(second);
    expect(irq.high).toBe(true);
    expect(read(0x0c)).toBe(0xd0);
    expect(read(0x0c)).toBe(0x00);
    write(0x0b, 0x92);
    expect(read(0x0b)).toBe(0x82);
    clock.run(3 * second);
    expect(irq.high).toBe(false);
  });

  test("flags are set without their enables, and raise the request when enabled", () => {
    clock.run(1.5 * second);
    write(0x0b, 0x12);
    expect(irq.high).toBe(true);
    write(0x0b, 0x02);
    expect(irq.high).toBe(false);
    expect(read(0x0c) & 0xf0).toBe(0x50);
  });

  test("alarm at a time of day, and with don't-care registers", () => {
    write(5, 0x00);
    write(3, 0x00);
    write(1, 0x10);
    write(0x0b, 0x22);
    clock.runTo(12 * second - 1);
    expect(irq.high).toBe(false);
    clock.runTo(12 * second);
    expect(read(0x0c) & 0xa0).toBe(0xa0);
    // The same time a day later.
    clock.run(86399 * second);
    expect(irq.high).toBe(false);
    clock.run(second);
    expect(irq.high).toBe(true);
    read(0x0c);
    write(3, 0xff);
    write(5, 0xc0);
    clock.run(60 * second);
    expect(irq.high).toBe(true);
    read(0x0c);
    clock.run(59 * second);
    expect(irq.high).toBe(false);
  });

  test("an alarm at an impossible time never comes", () => {
    write(5, 0x77);
    write(0x0b, 0x22);
    clock.run(3 * 86400 * second);
    expect(irq.high).toBe(false);
    expect(clock.armedTimers).toBe(0);
  });

  test("a machine that comes late gets one interrupt", () => {
    write(0x0b, 0x42);
    clock.sleepThrough(10 * second);
    expect(irq.rises).toBe(1);
    read(0x0c);
    expect(clock.nextDeadline()).toBeGreaterThan(clock.now());
    expect(clock.nextDeadline() - clock.now()).toBeLessThan(second / 1000);
  });

  test("the calendar agrees with the host's over 12,000 years, and carries over as it does", () => {
    const random = new Random(1582);
    const format = { binary: true, hours24: true };
    for (let i = 0; i < 20_000; i++) {
      const time = (random.below(2 ** 31) * 175 - 6e10) * 1000 + random.below(1000);
      const date = new Date(time);
      const registers = timeToRegisters(time, format);
      const year = date.getUTCFullYear();
      expect(registers).toEqual({
        seconds: date.getUTCSeconds(),
        minutes: date.getUTCMinutes(),
        hours: date.getUTCHours(),
        weekday: date.getUTCDay() + 1,
        day: date.getUTCDate(),
        month: date.getUTCMonth() + 1,
        year: year % 100,
        century: Math.floor(year / 100),
      });
      expect(registersToTime(registers, format)).toBe(Math.floor(time / 1000) * 1000);
      const [month, day] = [random.below(16), random.below(40)];
      const carried = Date.UTC(year, month - 1, day, date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds());
      if (year >= 100) expect(registersToTime({ ...registers, month, day }, format)).toBe(carried);
    }
  });

  test("nextAlarm agrees with trying every second", () => {
    const random = new Random(4711);
    const bcd = (n: number) => (Math.floor(n / 10) << 4) | (n % 10);
    const format = { binary: false, hours24: true };
    for (let i = 0; i < 60; i++) {
      const field = (limit: number) => (random.below(3) === 0 ? 0xc0 + random.below(0x40) : bcd(random.below(limit)));
      const alarm = { hours: field(24), minutes: field(60), seconds: field(60) };
      const start = random.below(2e9);
      const matches = (register: number, value: number) => register >= 0xc0 || register === bcd(value);
      let at = start + 1;
      while (
        !(matches(alarm.seconds, at % 60) && matches(alarm.minutes, Math.floor(at / 60) % 60) && matches(alarm.hours, Math.floor(at / 3600) % 24))
      )
        at++;
      expect(nextAlarm(start, alarm, format)).toBe(at);
    }
  });
});

describe("registers and CMOS", () => {
  test("C and D are read-only, D shows valid RAM, and RAM is RAM", () => {
    write(0x0d, 0x00);
    expect(read(0x0d)).toBe(0x80);
    write(0x0c, 0xff);
    expect(read(0x0c)).toBe(0x00);
    write(0x40, 0x5a);
    expect(read(0x40)).toBe(0x5a);
    expect(rtc.registers.read(0, 1)).toBe(0xff);
  });

  test("bit 7 of the index masks NMI and is no part of the index", () => {
    rtc.registers.write(0, 1, 0x80 | 0x0d);
    expect(nmiMask.high).toBe(true);
    expect(rtc.registers.read(1, 1)).toBe(0x80);
    rtc.registers.write(0, 1, 0x0d);
    expect(nmiMask.high).toBe(false);
  });

  test("memory sizes: 640K base, extended in KiB, above 16 MiB in 64 KiB", () => {
    expect(read(0x15) | (read(0x16) << 8)).toBe(640);
    for (const low of [0x17, 0x30]) expect(read(low) | (read(low + 1) << 8)).toBe(0xffff);
    expect(read(0x34) | (read(0x35) << 8)).toBe(240 * 16);
    const small = new Rtc146818({ clock, wallClock: () => 0, irq, nmiMask, memoryBytes: 8 << 20 });
    small.registers.write(0, 1, 0x17);
    expect(small.registers.read(1, 1)).toBe((7 * 1024) & 0xff);
    let sum = 0;
    for (let at = 0x10; at < 0x2e; at++) sum += read(at);
    expect((read(0x2e) << 8) | read(0x2f)).toBe(sum);
  });

  test("reset turns interrupts off and keeps time and RAM", () => {
    write(0x0b, 0x72);
    write(0x50, 0x11);
    write(4, 0x07);
    clock.run(second);
    rtc.reset();
    expect(irq.high).toBe(false);
    expect([read(0x0b), read(0x50), read(4)]).toEqual([0x02, 0x11, 0x07]);
  });
});

test("save and restore keep the phase of the periodic interrupt", () => {
  write(0x0a, 0x2f);
  clock.run(10.2 * second);
  read(0x0c);
  write(0x0b, 0x42);
  const other = new TestClock();
  const otherIrq = new Probe();
  other.restore(clock.save());
  const restored = new Rtc146818({ clock: other, wallClock: () => powerOn + other.now() / 1e6, irq: otherIrq, nmiMask, memoryBytes: 1 << 20 });
  restored.restore(structuredClone(rtc.save()));
  expect(otherIrq.high).toBe(false);
  expect(other.nextDeadline()).toBe(10.5 * second);
  other.run(0);
  restored.registers.write(0, 1, 0x0c);
  expect(restored.registers.read(1, 1)).toBe(0);
  other.runTo(10.5 * second);
  expect(otherIrq.high).toBe(true);
});

test("save and restore keep the guest's time, flags and pending interrupts", () => {
  write(4, 0x03);
  write(0x0b, 0x12);
  clock.run(0.25 * second);
  const other = new TestClock();
  const otherIrq = new Probe();
  other.restore(clock.save());
  const restored = new Rtc146818({ clock: other, wallClock: () => powerOn + other.now() / 1e6, irq: otherIrq, nmiMask, memoryBytes: 1 << 20 });
  restored.restore(structuredClone(rtc.save()));
  other.runTo(second);
  clock.runTo(second);
  expect(otherIrq.high).toBe(true);
  for (const register of [0x0c, 4, 2, 0, 0x15]) {
    restored.registers.write(0, 1, register);
    expect(restored.registers.read(1, 1)).toBe(read(register));
  }
});
