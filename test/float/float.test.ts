/** Exact x87 arithmetic, judged by a CPU: committed vectors everywhere, fresh random cases where gcc and an x86 are at hand. */
import { describe, expect, it } from "vitest";
import { arithmeticCodes, makeCases, otherCodes, transcendentalCodes } from "./cases.ts";
import { describeDifference, describeRecord, differs } from "./differences.ts";
import { inputSize, instructionFor, outputSize, runRecord, TestHost } from "./engine.ts";
import { buildHardware, runHardware } from "./hardware.ts";
import { makePairCases, pairCodes } from "./pair-cases.ts";
import { readVectors } from "./vectors.ts";

function mismatches(inputs: Uint8Array, expected: Uint8Array, tolerance: boolean): string[] {
  const cpu = new TestHost();
  const output = new DataView(new ArrayBuffer(outputSize));
  const found: string[] = [];
  for (let i = 0; i * inputSize < inputs.length; i++) {
    const record = new DataView(inputs.buffer, inputs.byteOffset + i * inputSize, inputSize);
    const truth = new DataView(expected.buffer, expected.byteOffset + i * outputSize, outputSize);
    runRecord(cpu, record, output);
    if (!differs(record, truth, output, tolerance)) continue;
    const name = instructionFor(record.getUint8(128), record.getUint8(129))?.name;
    if (found.length < 5) found.push(`${name} ${describeRecord(record)}: ${describeDifference(truth, output)}`);
  }
  return found;
}

describe("vectors captured from hardware", () => {
  for (const set of readVectors()) {
    it(`${set.name}: ${set.inputs.length / inputSize} cases`, () => {
      expect(mismatches(set.inputs, set.outputs, set.tolerance)).toEqual([]);
    });
  }
});

const built = buildHardware();
describe("fresh cases on this CPU", () => {
  if ("reason" in built) {
    console.warn(`SKIPPED: x87 against this CPU: ${built.reason}`);
    it.runIf(process.env.CI === "true")("needs gcc and an x86 CPU", () => expect.fail(built.reason));
    return;
  }
  const seed = (Date.now() ^ process.pid) >>> 8;
  const groups = [
    { name: "pairs", make: makePairCases, codes: pairCodes(), count: 60_000, tolerance: false },
    { name: "arithmetic", make: makeCases, codes: arithmeticCodes(), count: 50_000, tolerance: false },
    { name: "other", make: makeCases, codes: otherCodes(), count: 40_000, tolerance: false },
    { name: "transcendental", make: makeCases, codes: transcendentalCodes(), count: 10_000, tolerance: true },
  ];
  for (const group of groups) {
    it(`${group.name}: ${group.count} cases, seed ${seed}`, () => {
      const inputs = group.make(seed, group.count, group.codes);
      expect(mismatches(inputs, runHardware(built.program, inputs), group.tolerance)).toEqual([]);
    });
  }
});
