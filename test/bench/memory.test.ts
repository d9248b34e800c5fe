// The rule by which memory counts as flat or growing.

import { describe, expect, test } from "vitest";
import { judge, type Sample } from "../../bench/memory/verdict.ts";

const series = (f: (at: number) => number): Sample[] => Array.from({ length: 61 }, (_, k) => ({ at: 10 * k, value: f(10 * k) }));
const MiB = 2 ** 20;

describe("judge", () => {
  test("what grows only while it warms up is flat", () => {
    const verdict = judge(series((at) => 100 * MiB * (at < 170 ? at / 170 : 1)));
    expect(verdict).toMatchObject({ grows: false, perMinute: 0, first: 100 * MiB, last: 100 * MiB });
  });
  test("a saw tooth is flat, whatever its height", () => {
    expect(judge(series((at) => (200 + (at % 50)) * MiB))?.grows).toBe(false);
  });
  test("a leak grows, noise or not, and its slope is what it is", () => {
    const verdict = judge(series((at) => (200 + at / 30 + (at % 30)) * MiB));
    expect(verdict?.grows).toBe(true);
    expect((verdict?.perMinute ?? 0) / MiB).toBeCloseTo(2, 0);
  });
  test("less than 5 % over the time judged is flat", () => {
    expect(judge(series((at) => (1000 + (at * 40) / 600) * MiB))?.grows).toBe(false);
    expect(judge(series((at) => (1000 + (at * 90) / 600) * MiB))?.grows).toBe(true);
  });
  test("too few samples are none", () => {
    expect(judge(series(() => 1).slice(0, 4))).toBeNull();
    expect(judge([])).toBeNull();
  });
});
