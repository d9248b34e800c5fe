/** A short campaign; the long one is `node test/fuzz/run.ts --cases 100000`. */
import { describe, expect, test } from "vitest";
import { runCampaign } from "./campaign.ts";
import { caseKinds, Fuzzer } from "./cases.ts";

const seed = 20260101;
const cases = 1500;

describe("random bytes as kernels, random code in random surroundings", () => {
  test(`${cases} cases end, without a host exception, the same when repeated`, async () => {
    const { failures, ends, totals } = await runCampaign({ seed, from: 0, to: cases, instructions: 8000, hangSeconds: 45 });
    expect(failures.map(({ number, message }) => `node test/fuzz/run.ts --seed ${seed} --instructions 8000 --case ${number}: ${message}`)).toEqual(
      [],
    );
    // They got somewhere: every kind ran, many to the end of their budget, with faults, interrupts and regions on the way.
    const count = (pattern: RegExp): number => Object.entries(ends).reduce((sum, [end, n]) => sum + (pattern.test(end) ? n : 0), 0);
    expect(count(/^(file|kernel|bytes|soup)/)).toBe(cases);
    expect(count(/budget|faults/)).toBeGreaterThan(cases / 5);
    expect(totals.faults).toBeGreaterThan(1000);
    expect(totals.interrupts).toBeGreaterThan(10);
    expect(totals.regions).toBeGreaterThan(10);
  });

  test("a case does not depend on the cases before it", () => {
    const limits = { instructions: 3000, faults: 300, halts: 5 };
    const numbers = Array.from({ length: 24 }, (_, i) => 4001 + 5 * i);
    const inOrder = new Fuzzer(seed, limits);
    const expected = numbers.map((number) => inOrder.run(number).summary);
    const backwards = new Fuzzer(seed, limits);
    const found = [...numbers].reverse().map((number) => backwards.run(number).summary);
    expect(found.reverse()).toEqual(expected);
    expect(new Set(expected.map((summary) => summary.split(" ")[0])).size).toBe(caseKinds.length);
  });
});

test("the watchdog reports a case that does not end, and goes on behind it", async () => {
  const { failures, ends } = await runCampaign({ seed, from: 0, to: 8, hangAt: 4, hangSeconds: 4 });
  expect(failures).toEqual([{ number: 4, message: "hangs: no end after 4 s" }]);
  expect(Object.values(ends).reduce((sum, n) => sum + n, 0)).toBe(3);
});
