/** Runs of x87 instructions in both tiers against this CPU: what regions keep in locals between instructions. */
import { describe, expect, it } from "vitest";
import { buildHardware, runSequences, sequenceRecord } from "../float/hardware.ts";
import { makeSequences, SequenceCore, sequenceDifference, sequenceText } from "../float/sequences.ts";

const count = 1500;
const built = buildHardware();

describe("x87 sequences", () => {
  if ("reason" in built) {
    console.warn(`SKIPPED: x87 sequences against this CPU: ${built.reason}`);
    it.runIf(process.env.CI === "true")("needs gcc and an x86 CPU", () => expect.fail(built.reason));
    return;
  }
  const seed = (Date.now() ^ process.pid) >>> 8;
  it(`${count} of them, seed ${seed}`, { timeout: 120_000 }, () => {
    const input = makeSequences(seed, count);
    const truth = runSequences(built.program, input);
    const core = new SequenceCore();
    const { size } = sequenceRecord;
    for (let n = 0; n < count; n++) {
      const record = input.subarray(n * size, (n + 1) * size);
      const expected = truth.subarray(n * size, (n + 1) * size);
      for (const hot of [false, true]) {
        expect(sequenceDifference(expected, core.run(record, hot)), `${hot ? "region" : "tier 0"}, number ${n}: ${sequenceText(record)}`).toBe("");
      }
    }
  });
});
