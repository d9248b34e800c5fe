// Whether the process stays as large as it is while its guest goes on: the counters behind the answer are this project's, so there are no peers.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { measure } from "../measure.ts";
import { builtCommand } from "../peers/package.ts";
import { layOut } from "../report.ts";
import type { Suite, SuiteResult } from "../suite.ts";
import { memoryGuest } from "./guest.ts";
import { judge } from "./verdict.ts";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "run.ts");
const MINUTES = 10;
const QUICK_MINUTES = 0.5;
const EVERY_SECONDS = 10;
const QUICK_EVERY_SECONDS = 2;
const ROWS = 10;

interface Taken {
  readonly at: number;
  readonly [name: string]: number;
}

/**
 * What a region comes to in V8's heap (what it can be printed from again) and in resident memory (its WebAssembly, too). Measured: both against the number of live regions over
 * four minutes. A guest's rarer code becomes regions for many minutes, up to a limit (runtime/code/regions.ts), so both are also judged without them.
 */
const HEAP_OF_A_REGION = 17 * 1024;
const RESIDENT_OF_A_REGION = 69 * 1024;

/** What must stay: V8's heap after a collection, memory outside it, and what the operating system counts. */
const JUDGED: Readonly<Record<string, (sample: Taken) => number>> = {
  "live heap": (sample) => sample.live,
  "live heap without regions": (sample) => sample.live - HEAP_OF_A_REGION * sample.regionsLive,
  "outside the heap": (sample) => sample.external,
  resident: (sample) => sample.resident,
  "resident without regions": (sample) => sample.resident - RESIDENT_OF_A_REGION * sample.regionsLive,
};
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

export const memorySuite: Suite = {
  name: "memory",
  parts: ["memory"],
  peers: ["xlat86"],
  async run(_parts, { options, log }): Promise<SuiteResult> {
    const seconds = 60 * (options.quick ? QUICK_MINUTES : (options.minutes ?? MINUTES));
    const every = options.quick ? QUICK_EVERY_SECONDS : Math.min(EVERY_SECONDS, seconds / 12);
    let guest: Awaited<ReturnType<typeof memoryGuest>>;
    try {
      guest = await memoryGuest();
    } catch (error) {
      return { text: "Memory: not measured.", data: null, problems: [`memory: the guest could not be fetched: ${String(error)}`] };
    }
    const settings = { seconds: `${seconds}`, every: `${every}` };
    const command = await builtCommand(SCRIPT, { guest, settings }, ["--expose-gc"]);
    const taken: Taken[] = [];
    const said: string[] = [];
    const run = await measure(command, {
      lastText: guest.lastText,
      reportsStats: false,
      timeoutSeconds: seconds + 60,
      onLine: ({ text }) => {
        if (!text.startsWith("SAMPLE ")) {
          said.push(text.trim());
          return;
        }
        const sample = JSON.parse(text.slice("SAMPLE ".length)) as Taken;
        taken.push(sample);
        log(`memory ${sample.at.toFixed(0)} s  live ${mebibytes(sample.live)}  resident ${mebibytes(sample.resident)} MiB  ${sample.rounds} rounds`);
      },
    });
    return report(taken, seconds, said, run.failure);
  },
};

function report(taken: readonly Taken[], seconds: number, said: readonly string[], failure: string | null): SuiteResult {
  const problems: string[] = [];
  const end = taken.at(-1);
  // The process ends by itself after its last sample, before the guest has said its last word: that is no failure.
  if (end === undefined || end.at < seconds * 0.95)
    problems.push(`memory: ${failure ?? "ended early"}; the guest said: ${said.slice(-3).join(" | ")}`);
  if (end !== undefined && end.rounds < 2) problems.push(`memory: the guest did ${end.rounds} rounds; it said: ${said.slice(-3).join(" | ")}`);
  const wrong = said.filter((line) => line.includes("wrong"));
  if (wrong.length > 0) problems.push(`memory: the guest computed: ${wrong[0]}`);
  const verdicts = Object.entries(JUDGED).map(([name, value]) => ({
    name,
    verdict: judge(taken.map((sample) => ({ at: sample.at, value: value(sample) }))),
  }));
  const isGrownByRegions = (grown: string): boolean =>
    verdicts.some(({ name, verdict }) => name === `${grown} without regions` && verdict !== null && !verdict.grows);
  for (const { name, verdict } of verdicts) {
    if (verdict?.grows && !isGrownByRegions(name)) {
      problems.push(`memory: ${name} GROWS by ${mebibytes(verdict.perMinute)} MiB a minute`);
    }
  }
  const step = Math.max(1, Math.ceil(taken.length / ROWS));
  const shown = taken.filter((_, k) => k % step === step - 1 || k === taken.length - 1);
  const head = ["s", "rounds", "million instructions", "resident (MiB)", "live heap", "outside", "shapes", "regions live", "regions made", "flushes"];
  const rows = shown.map((s) => [
    s.at.toFixed(0),
    `${s.rounds}`,
    (s.instructions / 1e6).toFixed(0),
    ...[s.resident, s.live, s.external].map(mebibytes),
    ...[s.shapes, s.regionsLive, s.regions, s.codeCacheFlushes].map(String),
  ]);
  const verdictRows = verdicts.map(({ name, verdict }) =>
    verdict === null
      ? [name, "-", "-", "-", "-", "too few samples"]
      : [
          name,
          ...[verdict.first, verdict.last, verdict.most].map(mebibytes),
          `${mebibytes(verdict.perMinute)} (${(100 * verdict.growth).toFixed(1)} % in all)`,
          !verdict.grows ? "FLAT" : isGrownByRegions(name) ? "GROWS with its regions" : "GROWS",
        ],
  );
  const text = `Memory of the process, ${(seconds / 60).toFixed(1)} min of a Linux guest of 128 MiB in a shell loop (bench/memory/guest.ts). After the first 30 %, MiB; GROWS is a fitted line that rises by more than 5 % of the mean:\n
${layOut(["", "first", "last", "most", "slope a minute", ""], verdictRows)}\n
${layOut(head, rows)}`;
  return { text, data: { taken, verdicts }, problems };
}
