// The harness: markers read off a process's output, how runs fail, and what it reads in /proc, held against what Node says of the same process.

import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Line, type MeasureOptions, measure, passesOf, processorSeconds, residentBytes } from "../../bench/measure.ts";
import { mustSkip } from "../guests/oracle.ts";

const lines = (...texts: string[]): Line[] => texts.map((text, at) => ({ text, at, cpu: at / 2 }));
const options: MeasureOptions = { lastText: "ALL DONE", reportsStats: false, timeoutSeconds: 20 };
const node = (program: string) => ({ program: process.execPath, args: ["-e", program] });

describe("passesOf", () => {
  test("takes the time between the markers of one name, with whatever lies between", () => {
    const all = lines("BEGIN a 0", "noise", "END a 0 12 of something \r", "BEGIN b 0", "END b 0 9", "BEGIN a 1", "END a 1 12");
    expect(passesOf(all, "a")).toEqual([
      { seconds: 2, cpuSeconds: 1, result: "12 of something" },
      { seconds: 1, cpuSeconds: 0.5, result: "12" },
    ]);
  });
  test("an end without a beginning, or a beginning without an end, is no pass", () => {
    expect(passesOf(lines("END a 0 1", "BEGIN a 1"), "a")).toEqual([]);
    expect(passesOf(lines("XBEGIN a 0", "END a 0 1"), "a")).toEqual([]);
  });
});

describe("measure", () => {
  test("ends a process that goes on after its last text", async () => {
    const run = await measure(node(`console.log("BEGIN x 0\\nEND x 0 7\\nALL DONE"); setInterval(() => {}, 1000)`), options);
    expect(run.failure).toBeNull();
    expect(passesOf(run.lines, "x").map(({ result }) => result)).toEqual(["7"]);
  });
  test("says how a process ended, with the message of its error and not the stack", async () => {
    const run = await measure(node(`throw new TypeError("no such thing")`), options);
    expect(run.failure).toBe("ended early (exit 1): TypeError: no such thing");
  });
  test("says what the guest printed last when the process itself said nothing", async () => {
    const run = await measure(node(`console.log("Kernel panic")`), options);
    expect(run.failure).toBe("ended early (exit 0): Kernel panic");
  });
  test("a time limit is a failure, or the end where that is asked for", async () => {
    const endless = node("setInterval(() => {}, 1000)");
    expect((await measure(endless, { ...options, timeoutSeconds: 0.5 })).failure).toBe("no end within 0.5 s");
    expect((await measure(endless, { ...options, timeoutSeconds: 0.5, endsByTime: true })).failure).toBeNull();
  });
  test("waits for the counters of a peer that has some", async () => {
    const counters = `setTimeout(() => console.log('STATS {"instructions":5}'), 100)`;
    const run = await measure(node(`console.log("ALL DONE"); ${counters}; setInterval(() => {}, 1000)`), { ...options, reportsStats: true });
    expect(run.stats?.instructions).toBe(5);
  });
});

test("resident memory and processor time are what Node says of the same process", () => {
  if (
    mustSkip("memory and processor time of processes", existsSync("/proc/self/stat") ? { available: true } : { available: false, reason: "no /proc" })
  )
    return;
  const bytes = residentBytes(process.pid) ?? 0;
  expect(Math.abs(bytes / process.memoryUsage().rss - 1)).toBeLessThan(0.2);
  const { user, system } = process.cpuUsage();
  expect(Math.abs((processorSeconds(process.pid) ?? 0) - (user + system) / 1e6)).toBeLessThan(0.2);
  expect(residentBytes(2 ** 30)).toBeNull();
});
