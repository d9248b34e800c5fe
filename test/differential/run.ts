/**
 * The long run:
 *
 *     node test/differential/run.ts [--code flat|common|segmented] [--seconds N] [--seed S] [--keep-going]
 *
 * Runs programs from seed S on for N seconds. A failing program is reduced and printed; `--seed S --seconds 0` runs it alone.
 */
import { preparedBytes } from "../../src/prepare/generate.ts";
import { PreparedData } from "../../translator/prepared/data.ts";
import { commandLine } from "../support/arguments.ts";
import { Differential, suites } from "./differential.ts";

const usage = `node test/differential/run.ts [--code flat|common|segmented] [--seconds N] [--seed S] [--keep-going]

Random programs on all tiers, from seed S (1) on, for N (60) seconds. A program whose tiers disagree is reduced and printed; --seed S --seconds 0 runs it alone.`;
const { values } = commandLine(usage, {
  options: {
    code: { type: "string", default: "flat" },
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    "keep-going": { type: "boolean", default: false },
  },
});
if (!(values.code in suites)) {
  console.error(`--code: expected one of ${Object.keys(suites).join(", ")}, found ${values.code}`);
  process.exit(2);
}
const differential = new Differential(values.code as keyof typeof suites, new PreparedData(await preparedBytes()));
const end = performance.now() + 1000 * Number(values.seconds);
let seed = Number(values.seed);
let failures = 0;
do {
  const failure = differential.check(seed++);
  if (failure !== undefined) {
    failures++;
    console.log(`seed ${failure.seed}, ${failure.variant}: ${failure.difference}\n${failure.listing}\n`);
    if (!values["keep-going"]) break;
  }
} while (performance.now() < end);
const { programs, events, regions, inconclusive } = differential;
console.log(
  `${programs} programs (last seed ${seed - 1}), ${events} exceptions, ${regions} regions, ${inconclusive} without an end, ${failures} failures`,
);
process.exit(failures === 0 ? 0 : 1);
