// What `npm run bench` understands and prints.

import { describe, expect, test } from "vitest";
import { nanoResult } from "../../bench/nano/suite.ts";
import { parseOptions } from "../../bench/options.ts";
import { ratioTable, type ValueRow } from "../../bench/report.ts";
import { hotCost, memoryTable } from "../../bench/scaling/suite.ts";
import { type Suite, selectParts } from "../../bench/suite.ts";
import { opensslSeconds, opensslSpeeds, rsaSeconds, rsaSpeeds, sevenZipSeconds, sevenZipSpeeds } from "../../bench/userland/self-measured.ts";
import { userlandReport } from "../../bench/userland/suite.ts";

describe("options", () => {
  test("defaults, values and the short form", () => {
    expect(parseOptions([])).toMatchObject({ only: null, peers: null, runs: null, passes: 64, quick: false, timeoutSeconds: null });
    expect(parseOptions(["--only", "nano,linux", "--minutes", "0.5", "--runs", "5"])).toMatchObject({
      only: ["nano", "linux"],
      minutes: 0.5,
      runs: 5,
    });
    expect(parseOptions(["--quick"])).toMatchObject({ quick: true, runs: 1, passes: 4 });
  });
  test.each([[["--runs", "0"]], [["--minutes", "-1"]], [["--only"]], [["--onyl", "nano"]]])("%j is refused", (args) => {
    expect(() => parseOptions(args)).toThrow(/--\w+/);
  });
});

describe("selectParts", () => {
  const suite = (name: string, ...parts: string[]): Suite => ({ name, parts, peers: [], run: async () => ({ text: "", data: null, problems: [] }) });
  const suites = [suite("kernels", "sieve", "linux"), suite("nano", "nano/in", "nano/out")];
  const selected = (...only: string[]) => [...selectParts(suites, only)].map(([{ name }, parts]) => `${name}: ${parts.join(" ")}`);

  test("a suite by its name, a part by its own, in the suites' order", () => {
    expect(selected("nano", "linux")).toEqual(["kernels: linux", "nano: nano/in nano/out"]);
    expect(selected("nano/out", "nano/in")).toEqual(["nano: nano/in nano/out"]);
  });
  test("an unknown name is refused with those there are", () => {
    expect(() => selected("nano/inn")).toThrow("no benchmark nano/inn; there are kernels, sieve, linux, nano, nano/in, nano/out");
  });
});

test("ratioTable: nothing is compared with what took no time that was seen", () => {
  const rows: ValueRow[] = [
    { name: "a", values: { xlat86: 1, native: 0 } },
    { name: "b", values: { xlat86: 3, native: 1 } },
  ];
  const table = ratioTable(rows, ["xlat86", "native"], { unit: "s", digits: 1 });
  expect(table).toMatch(/\| a +\| +1\.0 \| +0\.0 \| +- \|/);
  expect(table).toMatch(/geometric mean.*\| +3\.00 \|/);
  expect(table).not.toContain("Infinity");
});

test("ratioTable: a peer without a result has none, and stays out of the mean", () => {
  const rows: ValueRow[] = [
    { name: "a", values: { xlat86: 2, v86: 4, qemu: 1 } },
    { name: "b", values: { xlat86: 8, v86: 1 } },
  ];
  expect(ratioTable(rows, ["xlat86", "v86", "qemu"], { unit: "s", digits: 1 })).toBe(`\
|                | xlat86 (s) | v86 (s) | qemu (s) | xlat86 : v86 | xlat86 : qemu |
| -------------- | ---------: | ------: | -------: | -----------: | ------------: |
| a              |        2.0 |     4.0 |      1.0 |         0.50 |          2.00 |
| b              |        8.0 |     1.0 |        - |         8.00 |             - |
| geometric mean |            |         |          |         2.00 |          2.00 |`);
});

test("userlandReport: two rows a workload, a dash where a peer failed", () => {
  const found = { times: { sort: { xlat86: [3, 1], v86: [6] } }, processorTimes: {} };
  const text = userlandReport([{ name: "sort", what: "sorting" }], found, ["xlat86", "v86"], ["libc6=1"]);
  expect(text).toMatch(/\| sort, first +\| +3\.00 \| +6\.00 \| +0\.50 \|/);
  expect(text).toMatch(/\| sort, second +\| +1\.00 \| +- \| +- \|/);
  expect(text).toContain("- sort: sorting");
});

test("userlandReport: what is beyond the set has a table and a mean of its own", () => {
  const found = { times: { sort: { xlat86: [1, 1], v86: [2, 2] }, join: { xlat86: [1, 1], v86: [8, 8] } }, processorTimes: {} };
  const workloads = [
    { name: "sort", what: "sorting" },
    { name: "join", what: "joining", more: true as const },
  ];
  const means = userlandReport(workloads, found, ["xlat86", "v86"], []).match(/geometric mean.*/g) ?? [];
  expect(means.map((mean) => Number(mean.split("|").at(-2)))).toEqual([0.5, 0.13]);
});

test("nanoResult: the first half of the passes warms up, and an operation without effect is told", () => {
  const passes = [
    { seconds: 9, result: "1000 1000" },
    { seconds: 7, result: "1000 1000" },
    { seconds: 1, result: "1000 1000" },
    { seconds: 3, result: "1000 1000" },
  ];
  expect(nanoResult(passes)).toEqual({ nanoseconds: 2e6, wrong: null });
  expect(nanoResult([{ seconds: 1, result: "1000 999" }])?.wrong).toBe("999 of 1000 operations had their effect");
  expect(nanoResult([])).toBeNull();
});

test("hotCost: nanoseconds an instruction of the first pass and of the last two", () => {
  const passes = [4, 3, 2, 1].map((seconds) => ({ seconds, result: "100 abcd" }));
  expect(hotCost(passes)).toEqual({ first: 40, warm: 15, checksum: "abcd abcd abcd abcd" });
  expect(hotCost([])).toBeNull();
});

test("memoryTable: the sample nearest to each moment", () => {
  const samples = [1, 4, 9].map((at) => ({ at, bytes: at * 2 ** 20 }));
  expect(memoryTable({ v86: samples }, 10, 2).split("\n")[2]).toBe("| v86 |   4 |    9 |");
});

test("sevenZipSpeeds reads the line of averages, and nothing else", () => {
  expect(sevenZipSpeeds("Avr:      8211    77   9503   7316  |      53528   105   4117   4329")).toEqual({ compressing: 8211, decompressing: 53528 });
  expect(sevenZipSpeeds("ERROR: data error")).toBeNull();
  expect(sevenZipSeconds("Avr: 1024 77 9503 7316 | 8192 105 4117 4329")).toBe(1.5);
});

test("opensslSpeeds reads a line of six speeds, each as much as the others for the seconds", () => {
  const line = "sha256             1000.00k    10000.00k    10000.00k   100000.00k   100000.00k    1000000.00k";
  expect(opensslSpeeds(line)).toEqual([1e6, 1e7, 1e7, 1e8, 1e8, 1e9]);
  expect(opensslSeconds(line)).toBeCloseTo(10 ** 0.5, 9);
  for (const wrong of ["sha256 1.00k 2.00k", `${line.replace("1000.00k", "0.00k")}`, "speed: Unknown algorithm sha257", ""])
    expect(opensslSpeeds(wrong)).toBeNull();
});

test("rsaSpeeds reads the line of a key's size, and nothing that failed", () => {
  const line = "rsa 2048 bits 0.020000s 0.001000s     50.0   1000.0";
  expect(rsaSpeeds(line)).toEqual({ signing: 50, verifying: 1000 });
  expect(rsaSeconds(line)).toBeCloseTo(2.1, 9);
  expect(rsaSpeeds("RSA verify failure")).toBeNull();
  expect(rsaSpeeds("rsa 2048 bits 0.020000s 0.001000s      0.0   1000.0")).toBeNull();
});
