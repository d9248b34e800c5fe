/** The short differential run; the long one is run.ts. A failure prints its seed: `node test/differential/run.ts --code flat --seconds 0 --seed S`. */
import { beforeAll, describe, expect, it } from "vitest";
import { preparedBytes } from "../../src/prepare/generate.ts";
import { PreparedData } from "../../translator/prepared/data.ts";
import { Differential } from "./differential.ts";

const programs = 200;
const first = 1;

/** Seeds of segmented programs that once found something. */
const found = [183, 1564];

describe.each(["flat", "common", "segmented"] as const)("random programs, %s: tier 0 and regions agree", (suite) => {
  let differential: Differential;
  beforeAll(async () => {
    differential = new Differential(suite, new PreparedData(await preparedBytes()));
  });

  it("on every exception's state and at the end", { timeout: 300_000 }, () => {
    const seeds = Array.from({ length: programs }, (_, k) => first + k);
    for (const seed of suite === "segmented" ? [...seeds, ...found] : seeds) {
      const failure = differential.check(seed);
      if (failure !== undefined) expect.fail(`seed ${failure.seed}, ${failure.variant}: ${failure.difference}\n${failure.listing}`);
    }
  });

  it("and the comparison means something", () => {
    expect(differential.events).toBeGreaterThan(programs);
    expect(differential.regions).toBeGreaterThan(programs);
    const { met, all } = differential.superinstructions;
    if (suite === "common") expect(met).toBeGreaterThan(0.8 * all);
    expect(differential.inconclusive).toBeLessThan(programs / 10);
  });
});
