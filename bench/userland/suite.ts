// Debian programs inside Linux, on every peer. One boot does all the workloads that were asked for, each twice: the first time from disk pages never read and
// code never seen, the second right after it.

import { measure, passesOf, type Run } from "../measure.ts";
import type { Peer } from "../peers/peer.ts";
import { ratioTable, type ValueRow } from "../report.ts";
import { median } from "../statistics.ts";
import { type Suite, type SuiteContext, type SuiteResult, withoutPrefix } from "../suite.ts";
import { type UserlandGuest, userlandGuest } from "./guest.ts";
import { WORKLOAD_NAMES, type Workload } from "./workloads.ts";

const PASSES = 2;
const TIMEOUT_SECONDS = 480;
/** A short form boots and does the cheapest workload. */
const QUICK_WORKLOADS = ["pipelines"];

/** Seconds of each pass, by workload and peer. */
export type UserlandTimes = Record<string, Record<string, number[]>>;

/** The same with every run's figure. */
type AllTimes = Record<string, Record<string, number[][]>>;

function note(times: AllTimes, workload: string, peer: string, pass: number, seconds: number): void {
  const ofPeer = ((times[workload] ??= {})[peer] ??= []);
  (ofPeer[pass] ??= []).push(seconds);
}

function takeTimes(run: Run, peer: Peer, workloads: readonly Workload[], times: AllTimes, processorTimes: AllTimes, problems: string[]): void {
  for (const workload of workloads) {
    const passes = passesOf(run.lines, workload.name);
    for (const [index, pass] of passes.entries()) {
      const right = typeof workload.expected === "string" ? pass.result === workload.expected : workload.expected(pass.result);
      if (!right) {
        const wanted = typeof workload.expected === "string" ? `, expected "${workload.expected}"` : "";
        problems.push(`userland/${workload.name}: ${peer.name}: pass ${index} printed "${pass.result}"${wanted}`);
        continue;
      }
      const { lasts } = workload;
      if (lasts !== undefined && !isAboutAsLong(pass.seconds, lasts))
        problems.push(`userland/${workload.name}: ${peer.name}: pass ${index} took ${pass.seconds.toFixed(1)} s for ${lasts} s by the guest's clock`);
      note(times, workload.name, peer.name, index, workload.seconds?.(pass.result) ?? pass.seconds);
      // Work that is not the same for all has no processor time to compare.
      if (!workload.seconds && pass.cpuSeconds !== null) note(processorTimes, workload.name, peer.name, index, pass.cpuSeconds);
    }
  }
}

/** Whether the host's time is the guest's, with half of it and two seconds more for the program's start and end. */
function isAboutAsLong(hostSeconds: number, guestSeconds: number): boolean {
  return hostSeconds > guestSeconds * 0.95 && hostSeconds < guestSeconds * 1.5 + 2;
}

function medians(times: AllTimes): UserlandTimes {
  const ofPeers = (peers: Record<string, number[][]>) =>
    Object.fromEntries(Object.entries(peers).map(([peer, passes]) => [peer, passes.map((seconds) => median(seconds))]));
  return Object.fromEntries(Object.entries(times).map(([name, peers]) => [name, ofPeers(peers)]));
}

async function runAll(linux: UserlandGuest, names: readonly string[], context: SuiteContext): Promise<SuiteResult> {
  const { options, peers, log } = context;
  const workloads = linux.workloads.filter(({ name }) => names.includes(name));
  const problems: string[] = [];
  const times: AllTimes = {};
  const processorTimes: AllTimes = {};
  const boots: Record<string, number[]> = {};
  const stats: Record<string, unknown> = {};
  const guest = linux.guest(names, PASSES);
  for (let round = 0; round < (options.runs ?? 1); round++) {
    for (const peer of peers) {
      const command = peer.command(guest);
      if (!command) continue;
      const run = await measure(command, {
        lastText: guest.lastText,
        reportsStats: peer.reportsStats,
        timeoutSeconds: options.timeoutSeconds ?? TIMEOUT_SECONDS,
        onLine: ({ text, at, cpu }) => {
          const processor = cpu === null ? "" : ` (${cpu.toFixed(1)} s of processor time)`;
          if (/^(BOOTED|END )/.test(text)) log(`userland  ${peer.name}  ${at.toFixed(1)} s${processor}  ${text.trim()}`);
        },
      });
      if (run.failure !== null) problems.push(`userland: ${peer.name}: ${run.failure}`);
      const booted = run.lines.find((line) => line.text.startsWith("BOOTED"));
      if (booted) (boots[peer.name] ??= []).push(booted.at);
      takeTimes(run, peer, workloads, times, processorTimes, problems);
      stats[peer.name] = run.stats;
    }
  }
  const found = { times: medians(times), processorTimes: medians(processorTimes) };
  return {
    text: userlandReport(
      workloads,
      found,
      context.peers.map((peer) => peer.name),
      linux.packages,
    ),
    data: { ...found, boots, stats, packages: linux.packages },
    problems,
  };
}

function rowsOf(workloads: readonly Pick<Workload, "name">[], times: UserlandTimes): ValueRow[] {
  return workloads.flatMap(({ name }) => {
    const ofPeers = Object.entries(times[name] ?? {});
    const values = (pass: number) =>
      Object.fromEntries(ofPeers.flatMap(([peer, passes]) => (passes[pass] === undefined ? [] : [[peer, passes[pass]]])));
    return ["first", "second"].map((which, pass) => ({ name: `${name}, ${which}`, values: values(pass) }));
  });
}

/** The tables: first and second run of each workload; those beyond the set apart. */
export function userlandReport(
  workloads: readonly Pick<Workload, "name" | "what" | "more">[],
  found: { times: UserlandTimes; processorTimes: UserlandTimes },
  peers: readonly string[],
  packages: readonly string[],
): string {
  const tableOf = (some: readonly Pick<Workload, "name">[], times: UserlandTimes) => ratioTable(rowsOf(some, times), peers, { unit: "s", digits: 2 });
  const set = workloads.filter(({ more }) => !more);
  const more = workloads.filter((workload) => workload.more);
  const withProcessorTime = workloads.filter(({ name }) => found.processorTimes[name] !== undefined);
  const parts: [readonly unknown[], string, () => string][] = [
    [
      set,
      `Inside Linux, with Debian's i386 userland (${packages.length} packages), seconds for the first and the second run:`,
      () => tableOf(set, found.times),
    ],
    [more, "More of the same programs, a fixed amount of work from the start of the process to its end:", () => tableOf(more, found.times)],
    [
      withProcessorTime,
      "All that do a fixed amount of work, processor seconds of all threads of the peer (what a busy host changes least):",
      () => tableOf(withProcessorTime, found.processorTimes),
    ],
  ];
  const tables = parts.filter(([some]) => some.length > 0).map(([, title, table]) => `${title}\n\n${table()}\n`);
  return [...tables, ...workloads.map(({ name, what }) => `- ${name}: ${what}`)].join("\n");
}

export const userlandSuite: Suite = {
  name: "userland",
  parts: WORKLOAD_NAMES.map((name) => `userland/${name}`),
  peers: ["xlat86", "v86", "qemu"],
  async run(parts, context) {
    let linux: UserlandGuest;
    try {
      linux = await userlandGuest();
    } catch (error) {
      return { text: "Inside Linux: not measured.", data: null, problems: [`userland: the guest could not be fetched: ${String(error)}`] };
    }
    const wanted = parts.map(withoutPrefix);
    const all = wanted.length === WORKLOAD_NAMES.length;
    return runAll(linux, context.options.quick && all ? QUICK_WORKLOADS : wanted, context);
  },
};
