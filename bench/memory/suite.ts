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

/** What must stay: V8's heap after a collection, memory outside it, and what the operating system counts. */
const JUDGED: Readonly<Record<string, (sample: Taken) => number>> = {
  "live heap": (sample) => sample.live,
  "outside the heap": (sample) => sample.external,
  resident: (sample) => sample.resident,
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
  for (const { name, verdict } of verdicts)
    if (verdict?.grows) problems.push(`memory: ${name} GROWS by ${mebibytes(verdict.perMinute)} MiB a minute`);
  const step = Math.max(1, Math.ceil(taken.length / ROWS));
  const shown = taken.filter((_, k) => k % step === step - 1 || k === taken.length - 1);
  const head = [
    "s",
    "rounds",
    "million instructions",
    "resident (MiB)",
    "live heap",
    "outside",
    "shapes",
    "regions live",
    "regions made",
    "evicted",
    "flushes",
  ];
  const rows = shown.map((s) => [
    s.at.toFixed(0),
    `${s.rounds}`,
    (s.instructions / 1e6).toFixed(0),
    ...[s.resident, s.live, s.external].map(mebibytes),
    ...[s.shapes, s.regionsLive, s.regions, s.regionsEvicted, s.codeCacheFlushes].map(String),
  ]);
  const verdictRows = verdicts.map(({ name, verdict }) =>
    verdict === null
      ? [name, "-", "-", "-", "-", "too few samples"]
      : [
          name,
          ...[verdict.first, verdict.last, verdict.most].map(mebibytes),
          `${mebibytes(verdict.perMinute)} (${(100 * verdict.growth).toFixed(1)} % in all)`,
          verdict.grows ? "GROWS" : "FLAT",
        ],
  );
  const text = `Memory of the process, ${(seconds / 60).toFixed(1)} min of a Linux guest of 128 MiB in a shell loop (bench/memory/guest.ts). After the first 30 %, MiB; GROWS is a fitted line that rises by more than 5 % of the mean:\n
${layOut(["", "first", "last", "most", "slope a minute", ""], verdictRows)}\n
${layOut(head, rows)}`;
  return { text, data: { taken, verdicts }, problems };
}
