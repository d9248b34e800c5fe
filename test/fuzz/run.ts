/**
 * The fuzzer by command:
 *
 *     node test/fuzz/run.ts --cases 100000 --seed 1     a campaign
 *     node test/fuzz/run.ts --seed 1 --case 4711        one case, here, twice, with what it did
 *
 * Exit code 0 when nothing failed.
 */
import { commandLine } from "../support/arguments.ts";
import { runCampaign } from "./campaign.ts";
import { Fuzzer } from "./cases.ts";
import { runMachineCase } from "./machine-case.ts";

const usage = `node test/fuzz/run.ts [--cases N] [--seed S] [--from K]     a campaign: N (10,000) cases of seed S (1), from number K on
node test/fuzz/run.ts --case K [--seed S]                   one case, here, twice, with what it did
  --instructions N     guest instructions of a case at most (20,000)`;
const { values } = commandLine(usage, {
  options: {
    cases: { type: "string" },
    seed: { type: "string" },
    from: { type: "string" },
    case: { type: "string" },
    instructions: { type: "string" },
  },
});
const integer = (name: keyof typeof values, fallback: number): number => {
  const value = values[name] === undefined ? fallback : Number(values[name]);
  if (!Number.isInteger(value) || value < 0) {
    console.error(`--${name}: expected a whole number, found ${values[name]}`);
    process.exit(2);
  }
  return value;
};
const seed = integer("seed", 1);
const from = integer("from", 0);
const instructions = integer("instructions", 20_000);

/** Growth of the memory in use, from the second sample to the last, that is noise. */
const allowedGrowth = 24 * 2 ** 20;

if (values.case !== undefined) await one(integer("case", 0));
else await campaign(integer("cases", 10_000));

async function one(number: number): Promise<void> {
  const fuzzer = new Fuzzer(seed, { instructions, faults: 800, halts: 20 });
  for (let i = 0; i < 2; i++) console.log(fuzzer.run(number).summary);
  if (number % 250 === 249) console.log("machine", await runMachineCase(seed, number));
}

async function campaign(cases: number): Promise<void> {
  const started = performance.now();
  const result = await runCampaign({
    seed,
    from,
    to: from + cases,
    instructions,
    line: (line) => {
      if (line.kind === "failure")
        console.log(`FAILED seed ${seed} case ${line.number}: ${line.message}\n  again: node test/fuzz/run.ts --seed ${seed} --case ${line.number}`);
      else if (line.kind === "digest")
        console.log(`${line.number + 1 - from} cases, digest ${line.digest}, ${Math.round((performance.now() - started) / 1000)} s`);
      else if (line.kind === "memory") console.log(`memory in use: ${mebibytes(line.live)}, without machines ${mebibytes(line.released)}`);
    },
  });
  const { failures, ends, totals, memory } = result;
  for (const [end, count] of Object.entries(ends).sort(([, a], [, b]) => b - a)) console.log(`${String(count).padStart(8)}  ${end}`);
  console.log(
    `${cases} cases, seed ${seed}: ${totals.instructions} guest instructions, ${totals.faults} exceptions, ${totals.interrupts} interrupts, ${totals.regions} regions, ${Math.round((performance.now() - started) / 1000)} s`,
  );
  const grown = memory.length > 2 ? memory[memory.length - 1].released - memory[1].released : 0;
  if (grown > allowedGrowth) console.log(`FAILED: memory in use grew by ${mebibytes(grown)}`);
  console.log(failures.length === 0 ? "no failures" : `${failures.length} failures`);
  process.exitCode = failures.length > 0 || grown > allowedGrowth ? 1 : 0;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
