import { describe, expect, test } from "vitest";
import { HostClock, VirtualClock } from "../../runtime/devices/index.ts";

describe("HostClock", () => {
  test("follows host milliseconds while running and stands still while paused", () => {
    let host = 5000;
    const clock = new HostClock(() => host);
    host += 100;
    expect(clock.now()).toBe(0);
    clock.resume();
    host += 1.5;
    expect(clock.now()).toBe(1_500_000);
    clock.pause();
    host += 1e6;
    expect(clock.now()).toBe(1_500_000);
    clock.resume();
    host += 1;
    expect(clock.now()).toBe(2_500_000);
    expect(clock.millisecondsUntil(3_500_000)).toBe(1);
    expect(clock.millisecondsUntil(0)).toBe(0);
  });

  test("readings of a counter differ where the host's time goes in steps, and never go back", () => {
    let host = 0;
    const clock = new HostClock(() => host);
    expect([clock.counter(), clock.counter()]).toEqual([0, 0]);
    clock.resume();
    host = 0.1;
    const readings = Array.from({ length: 5 }, () => clock.counter());
    expect(readings).toEqual([100_000, 100_010, 100_020, 100_030, 100_040]);
    expect(clock.now()).toBe(100_000);
    clock.pause();
    expect([clock.counter(), clock.counter()]).toEqual([100_040, 100_040]);
    clock.resume();
    expect(clock.counter()).toBe(100_050);
    host = 0.2;
    expect(clock.counter()).toBe(200_000);
    clock.restore({ now: 7 });
    expect(clock.counter()).toBe(17);
  });

  test("a second resume or pause changes nothing", () => {
    let host = 0;
    const clock = new HostClock(() => host);
    clock.resume();
    host = 2;
    clock.resume();
    expect(clock.now()).toBe(2e6);
    clock.pause();
    host = 3;
    clock.pause();
    expect(clock.now()).toBe(2e6);
  });

  test("goes on from the saved time in another process", () => {
    let host = 0;
    const first = new HostClock(() => host);
    first.resume();
    host = 7;
    const state = JSON.parse(JSON.stringify(first.save()));
    const second = new HostClock(() => host + 12345);
    second.restore(state);
    expect(second.now()).toBe(7e6);
    second.resume();
    host = 8;
    expect(second.now()).toBe(8e6);
  });
});

describe("VirtualClock", () => {
  test("counts instructions and skips", () => {
    let instructions = 0;
    const clock = new VirtualClock(() => instructions, 2.5);
    instructions = 3;
    expect(clock.now()).toBe(7);
    clock.skipTo(1000);
    expect(clock.now()).toBe(1000);
    clock.skipTo(10);
    expect(clock.now()).toBe(1000);
    clock.skipTo(Number.POSITIVE_INFINITY);
    expect(clock.now()).toBe(1000);
    expect(clock.instructionsUntil(1010)).toBe(4);
    expect(clock.instructionsUntil(999)).toBe(0);
    expect(clock.instructionsUntil(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });

  test("restores exactly, with the counter restored before or after it", () => {
    let instructions = 1_000_003;
    const clock = new VirtualClock(() => instructions, 0.3);
    clock.skipTo(123_456_789);
    const now = clock.now();
    const state = clock.save();
    instructions = 0;
    clock.restore(state);
    instructions = 1_000_003;
    expect(clock.now()).toBe(now);
  });

  test("refuses a rate that does not advance", () => {
    expect(() => new VirtualClock(() => 0, 0)).toThrow(RangeError);
  });
});

describe("timers", () => {
  const atZero = () => new VirtualClock(() => 0);

  test("expire in deadline order, and in arming order at the same deadline", () => {
    const clock = atZero();
    const order: string[] = [];
    const timer = (name: string) => clock.timer((deadline) => order.push(`${name}@${deadline}`));
    timer("c").at(30);
    timer("a").at(10);
    timer("b1").at(20);
    timer("b2").at(20);
    expect(clock.nextDeadline()).toBe(10);
    clock.skipTo(20);
    clock.runDue();
    expect(order).toEqual(["a@10", "b1@20", "b2@20"]);
    expect(clock.nextDeadline()).toBe(30);
    expect(clock.armedTimers).toBe(1);
  });

  test("re-arming moves a timer, cancelling and Infinity disarm it", () => {
    const clock = atZero();
    let expired = 0;
    const timer = clock.timer(() => expired++);
    timer.at(10);
    timer.at(50);
    expect(timer.deadline).toBe(50);
    expect(clock.armedTimers).toBe(1);
    timer.at(Number.POSITIVE_INFINITY);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    timer.at(5);
    timer.cancel();
    timer.cancel();
    clock.skipTo(100);
    clock.runDue();
    expect(expired).toBe(0);
    expect(timer.deadline).toBe(Number.POSITIVE_INFINITY);
    expect(() => timer.at(Number.NaN)).toThrow(RangeError);
  });

  test("a timer armed by another's expiry runs in the same call when it is due, and not again when it is not", () => {
    const clock = atZero();
    const seen: number[] = [];
    const second = clock.timer((deadline) => seen.push(deadline));
    const first = clock.timer(() => second.at(15));
    first.at(10);
    clock.skipTo(20);
    clock.runDue();
    expect(seen).toEqual([15]);
    first.at(25);
    second.at(40);
    clock.skipTo(26);
    clock.runDue();
    expect(seen).toEqual([15, 15]);
  });

  test("a timer that re-arms itself in the past does not hang the machine", () => {
    const clock = atZero();
    let expired = 0;
    const timer = clock.timer((deadline) => {
      expired++;
      timer.at(deadline);
    });
    timer.at(0);
    clock.runDue();
    expect(expired).toBeGreaterThan(0);
    expect(expired).toBeLessThan(100_000);
  });

  test("restoring a clock disarms timers, which devices arm again", () => {
    const clock = atZero();
    const timer = clock.timer(() => {});
    timer.at(10);
    clock.restore(clock.save());
    expect(timer.deadline).toBe(Number.POSITIVE_INFINITY);
    expect(clock.armedTimers).toBe(0);
  });
});
