/**
 * Compares with this machine's CPU on fresh random cases.
 * Usage: node test/simd/run.ts [--cases N per encoding] [--seed TEXT] [--only REGEXP] [--show N] [--rounds N]
 * With --write: captures the committed vectors instead.
 */
import { commandLine } from "../support/arguments.ts";
import { generate, inputSize, outcomeSize } from "./cases.ts";
import { describeInput, differences } from "./compare.ts";
import { Engine } from "./engine.ts";
import { buildHarness, captureOutcomes } from "./hardware.ts";
import { writeVectors } from "./vectors.ts";

const usage = `node test/simd/run.ts [--cases N] [--seed TEXT] [--only REGEXP] [--rounds N] [--show K]     against this machine's CPU, N (200) fresh cases for each encoding
node test/simd/run.ts --write                                                          captures the committed vectors`;
const { values } = commandLine(usage, {
  options: {
    cases: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now()) },
    only: { type: "string" },
    show: { type: "string", default: "10" },
    rounds: { type: "string", default: "1" },
    write: { type: "boolean", default: false },
  },
});
const harness = buildHarness();
if (values.write) writeVectors(harness);
else {
  const engine = new Engine();
  const only = new RegExp(values.only ?? "");
  let shown = 0;
  let total = 0;
  const wrong = new Map<string, number>();
  for (let round = 0; round < Number(values.rounds); round++) {
    const { labels, inputs } = generate(`${values.seed}/${round}`, Number(values.cases), ({ name }) => only.test(name));
    const expected = captureOutcomes(harness, inputs);
    const found = new DataView(new ArrayBuffer(outcomeSize));
    labels.forEach((label, k) => {
      const input = new DataView(inputs.buffer, k * inputSize, inputSize);
      engine.run(input, found);
      const lines = differences(new DataView(expected.buffer, expected.byteOffset + k * outcomeSize, outcomeSize), found);
      total++;
      if (lines.length === 0) return;
      wrong.set(label, (wrong.get(label) ?? 0) + 1);
      if (shown++ < Number(values.show)) console.log(`${describeInput(label, input)}\n  ${lines.join("\n  ")}`);
    });
  }
  for (const [label, n] of wrong) console.log(`${label}: ${n}`);
  console.log(`seed ${values.seed}: ${total} cases, ${[...wrong.values()].reduce((a, b) => a + b, 0)} differ`);
  if (wrong.size > 0) process.exitCode = 1;
}
