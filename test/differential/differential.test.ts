/** The short differential run; the long one is run.ts. A failure prints its seed: `node test/differential/run.ts --seconds 0 --seed S`. */
import { beforeAll, describe, expect, it } from "vitest";
import { Differential } from "./differential.ts";

const programs = 200;
const first = 1;

describe("random programs: tier 0 and regions agree", () => {
  let differential: Differential;
  beforeAll(() => {
    differential = new Differential();
  });

  it("on every exception's state and at the end", () => {
    for (let seed = first; seed < first + programs; seed++) {
      const failure = differential.check(seed);
      if (failure !== undefined) expect.fail(`seed ${failure.seed}, ${failure.variant}: ${failure.difference}\n${failure.listing}`);
    }
  });

  it("and the comparison means something", () => {
    expect(differential.events).toBeGreaterThan(programs);
    expect(differential.regions).toBeGreaterThan(programs);
    expect(differential.inconclusive).toBeLessThan(programs / 10);
  });
});
