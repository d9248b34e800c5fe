/**
 * Our x87 against this CPU's: `node test/float/compare.ts [--cases N] [--seed S] [--group pairs|arithmetic|other|transcendental|sequences] [--show K]`.
 * Every record compares control, status and tag words, all eight registers, memory, AX, flags and #MF. Cases are single instructions, in tier 0's code; sequences
 * are several, in tier 0 and as regions, and count a thousand times as much.
 */
import { commandLine } from "../support/arguments.ts";
import { arithmeticCodes, makeCases, otherCodes, transcendentalCodes } from "./cases.ts";
import { describeDifference, describeRecord, differs } from "./differences.ts";
import { inputSize, instructionFor, outputSize, runRecord, TestHost } from "./engine.ts";
import { buildHardware, runHardware, runSequences, sequenceRecord } from "./hardware.ts";
import { makePairCases, pairCodes } from "./pair-cases.ts";
import { makeSequences, SequenceCore, sequenceDifference, sequenceText } from "./sequences.ts";

const usage = `node test/float/compare.ts [--cases N] [--seed S] [--group pairs|arithmetic|other|transcendental|sequences] [--only MNEMONIC] [--show K]

Our x87 against this machine's CPU: N (1,000,000) random cases, the first K (5) differences in full.`;
const { values } = commandLine(usage, {
  options: {
    cases: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    group: { type: "string" },
    show: { type: "string", default: "5" },
    only: { type: "string" },
  },
});
const built = buildHardware();
if ("reason" in built) {
  console.error(`no hardware to compare with: ${built.reason}`);
  process.exit(2);
}
const groups: Record<string, { codes: number[][]; tolerance: boolean; make: typeof makeCases; share: number }> = {
  pairs: { codes: pairCodes(), tolerance: false, make: makePairCases, share: 0.5 },
  arithmetic: { codes: arithmeticCodes(), tolerance: false, make: makeCases, share: 0.25 },
  other: { codes: otherCodes(), tolerance: false, make: makeCases, share: 0.2 },
  transcendental: { codes: transcendentalCodes(), tolerance: true, make: makeCases, share: 0.05 },
};
const chunk = 20_000;
const cpu = new TestHost();
let failed = false;
for (const [name, group] of Object.entries(groups)) {
  if (values.group !== undefined && values.group !== name) continue;
  const codes = group.codes.filter(([esc, modrm]) => values.only === undefined || instructionFor(esc, modrm)?.name === values.only);
  if (codes.length === 0) continue;
  const counts = new Map<string, { total: number; wrong: number }>();
  const total = values.group === undefined ? Number(values.cases) * group.share : Number(values.cases);
  const output = new DataView(new ArrayBuffer(outputSize));
  const shown = new Map<string, number>();
  for (let done = 0, part = 0; done < total; done += chunk, part++) {
    const count = Math.min(chunk, total - done);
    const input = group.make(Number(values.seed) * 1_000_003 + part, count, codes);
    const expected = runHardware(built.program, input);
    for (let i = 0; i < count; i++) {
      const record = new DataView(input.buffer, i * inputSize, inputSize);
      const truth = new DataView(expected.buffer, expected.byteOffset + i * outputSize, outputSize);
      const instruction = instructionFor(record.getUint8(128), record.getUint8(129));
      const label = `${instruction?.name} ${instruction?.operands}`;
      let count = counts.get(label);
      if (count === undefined) counts.set(label, (count = { total: 0, wrong: 0 }));
      count.total++;
      runRecord(cpu, record, output);
      if (!differs(record, truth, output, group.tolerance)) continue;
      count.wrong++;
      const soFar = shown.get(label) ?? 0;
      shown.set(label, soFar + 1);
      if (soFar < Number(values.show)) console.log(`${label}: ${describeRecord(record)}\n  ${describeDifference(truth, output)}`);
    }
  }
  let wrong = 0;
  let all = 0;
  for (const [label, count] of [...counts].sort((a, b) => b[1].wrong - a[1].wrong)) {
    wrong += count.wrong;
    all += count.total;
    if (count.wrong > 0) console.log(`${label}: ${count.wrong} of ${count.total} differ`);
  }
  console.log(`${name}: ${all} cases, ${wrong} differ`);
  if (wrong > 0) failed = true;
}
if (values.only === undefined && (values.group ?? "sequences") === "sequences" && !compareSequences(built.program)) failed = true;
process.exit(failed ? 1 : 0);

function compareSequences(program: string): boolean {
  const core = new SequenceCore();
  const { size } = sequenceRecord;
  const total = Math.ceil(Number(values.cases) / 1000);
  let wrong = 0;
  for (let done = 0, part = 0; done < total; part++) {
    const count = Math.min(2000, total - done);
    const input = makeSequences(Number(values.seed) * 1_000_003 + part, count);
    const truth = runSequences(program, input);
    for (let n = 0; n < count; n++) {
      const record = input.subarray(n * size, (n + 1) * size);
      for (const hot of [false, true]) {
        const difference = sequenceDifference(truth.subarray(n * size, (n + 1) * size), core.run(record, hot));
        if (difference !== "" && wrong++ < Number(values.show))
          console.log(`${hot ? "region" : "tier 0"}: ${sequenceText(record)}\n  hardware ${difference}`);
      }
    }
    done += count;
  }
  console.log(`sequences: ${total} in both tiers, ${wrong} differ`);
  return wrong === 0;
}
