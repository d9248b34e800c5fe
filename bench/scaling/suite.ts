// How costs grow: with the amount of hot code, with time, with the number of machines.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { KERNELS_CHECKSUMS } from "../kernels/build.ts";
import { kernelGuest } from "../kernels/suite.ts";
import { type MemorySample, measure, passesOf } from "../measure.ts";
import { builtCommand } from "../peers/package.ts";
import type { Command, Guest } from "../peers/peer.ts";
import { layOut } from "../report.ts";
import { type Suite, type SuiteContext, type SuiteResult, withoutPrefix } from "../suite.ts";
import { userlandGuest } from "../userland/guest.ts";
import { HOT_IMAGE } from "./build.ts";

const DIRECTORY = dirname(fileURLToPath(import.meta.url));
const TIMEOUT_SECONDS = 180;

// Hot code.

const HOT_SIZES = [1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
const QUICK_HOT_SIZES = [1000, 100_000];
/** Million instructions of a pass. */
const HOT_WORK = 100;
const QUICK_HOT_WORK = 5;
const HOT_PASSES = 4;

export interface HotCost {
  /** Nanoseconds for one guest instruction in the first pass, and in the last two. */
  first: number;
  warm: number;
  checksum: string;
}

function hotGuest(instructions: number, work: number): Guest {
  const commandLine = `instructions=${instructions} work=${work} passes=${HOT_PASSES}`;
  return { boot: "multiboot", kernel: HOT_IMAGE, commandLine, memoryMiB: 64, lastText: "ALL DONE" };
}

/** Reads `<millions> <checksum>` of each pass. */
export function hotCost(passes: readonly { seconds: number; result: string }[]): HotCost | null {
  if (passes.length === 0) return null;
  const nanoseconds = ({ seconds, result }: { seconds: number; result: string }) => (seconds * 1000) / Number(result.split(" ")[0]);
  const last = passes.slice(-2).map(nanoseconds);
  const checksums = passes.map(({ result }) => result.split(" ")[1]);
  return { first: nanoseconds(passes[0]), warm: last.reduce((sum, value) => sum + value, 0) / last.length, checksum: checksums.join(" ") };
}

async function benchHot(context: SuiteContext): Promise<SuiteResult> {
  const { options, peers, log } = context;
  const problems: string[] = [];
  const data: { instructions: number; costs: Record<string, HotCost> }[] = [];
  for (const instructions of options.quick ? QUICK_HOT_SIZES : HOT_SIZES) {
    const costs: Record<string, HotCost> = {};
    const guest = hotGuest(instructions, options.quick ? QUICK_HOT_WORK : HOT_WORK);
    for (const peer of peers) {
      const command = peer.command(guest);
      if (!command) continue;
      const run = await measure(command, {
        lastText: guest.lastText,
        reportsStats: peer.reportsStats,
        timeoutSeconds: options.timeoutSeconds ?? TIMEOUT_SECONDS,
      });
      const cost = hotCost(passesOf(run.lines, "hot"));
      log(`scaling/hot ${instructions}  ${peer.name}  ${run.failure ?? `${cost?.first.toFixed(2)} ${cost?.warm.toFixed(2)} ns`}`);
      if (run.failure !== null || cost === null) problems.push(`scaling/hot ${instructions}: ${peer.name}: ${run.failure ?? "printed no marker"}`);
      else costs[peer.name] = cost;
    }
    const checksums = new Set(Object.values(costs).map((cost) => cost.checksum));
    if (checksums.size > 1) {
      const each = Object.entries(costs).map(([peer, cost]) => `${peer} ${cost.checksum}`);
      problems.push(`scaling/hot ${instructions}: the peers disagree: ${each.join(", ")}`);
    }
    data.push({ instructions, costs });
  }
  const names = peers.map((peer) => peer.name);
  const head = ["distinct hot instructions", ...names.map((name) => `${name}, first (ns)`), ...names.map((name) => `${name}, warm (ns)`)];
  const rows = data.map(({ instructions, costs }) => [
    instructions.toLocaleString("en-US"),
    ...names.map((name) => costs[name]?.first.toFixed(2) ?? "-"),
    ...names.map((name) => costs[name]?.warm.toFixed(2) ?? "-"),
  ]);
  const text = `Nanoseconds for one guest instruction as more distinct ones are hot (${HOT_WORK} million executed in a pass; the first pass, and the mean of the third and fourth):\n
${layOut(head, rows)}`;
  return { text, data, problems };
}

// Memory.

const MEMORY_WORKLOADS = ["python-loop", "perl-hash", "pipelines", "gzip-sha256"];
/** More than any machine does in the time. */
const ENDLESS_PASSES = 1_000_000;
const SAMPLES = 60;
const MINUTES = 1;
const QUICK_MINUTES = 0.25;
const COLUMNS = 8;

async function benchMemory(context: SuiteContext): Promise<SuiteResult> {
  const { options, peers, log } = context;
  const minutes = options.quick ? QUICK_MINUTES : (options.minutes ?? MINUTES);
  const seconds = minutes * 60;
  let guest: Guest;
  try {
    guest = (await userlandGuest()).guest(MEMORY_WORKLOADS, ENDLESS_PASSES, true);
  } catch (error) {
    return { text: "Memory: not measured.", data: null, problems: [`scaling/memory: the guest could not be fetched: ${String(error)}`] };
  }
  const problems: string[] = [];
  const data: Record<string, MemorySample[]> = {};
  for (const peer of peers) {
    const command = peer.command(guest);
    if (!command) continue;
    log(`scaling/memory  ${peer.name}  ${minutes} min`);
    const run = await measure(command, {
      lastText: guest.lastText,
      reportsStats: false,
      timeoutSeconds: seconds,
      endsByTime: true,
      memoryEverySeconds: seconds / SAMPLES,
    });
    if (run.failure !== null) problems.push(`scaling/memory: ${peer.name}: ${run.failure}`);
    else if (run.memory.length === 0) problems.push(`scaling/memory: ${peer.name}: this host does not tell a process's resident memory (/proc)`);
    else data[peer.name] = run.memory;
  }
  const text = `Resident memory of the process, MiB, ${minutes} min of a Linux guest of ${guest.memoryMiB} MiB that boots and then does ${MEMORY_WORKLOADS.join(", ")} over and over:\n
${memoryTable(data, seconds, COLUMNS)}`;
  return { text, data, problems };
}

/** A row for each process, its memory at `columns` equally spaced moments. */
export function memoryTable(samples: Readonly<Record<string, readonly MemorySample[]>>, seconds: number, columns: number): string {
  const moments = Array.from({ length: columns }, (_, i) => (seconds * (i + 1)) / columns);
  const nearest = (list: readonly MemorySample[], at: number) =>
    list.reduce((best, each) => (Math.abs(each.at - at) < Math.abs(best.at - at) ? each : best));
  const head = ["", ...moments.map((at) => `${at.toFixed(0)} s`)];
  const rows = Object.entries(samples).map(([name, list]) => [name, ...moments.map((at) => (nearest(list, at).bytes / 2 ** 20).toFixed(0))]);
  return layOut(head, rows);
}

// Machines.

const MACHINES = [1, 2, 4, 8];
const MACHINES_KERNEL = "quicksort";
const MACHINES_PASSES = 4;
/** Million instructions that tier 0 counts in one pass of the kernel. */
const MACHINES_WORK = 51.2;
const SCRIPTS: Record<string, string> = { xlat86: "run-machines-xlat86.ts", v86: "run-machines-v86.ts" };

function machinesCommand(script: string, guest: Guest, machines: number): Promise<Command> {
  return builtCommand(join(DIRECTORY, script), { guest, settings: { machines: `${machines}` } });
}

async function benchMachines(context: SuiteContext): Promise<SuiteResult> {
  const { options, log } = context;
  const peers = context.peers.map((peer) => peer.name).filter((name) => SCRIPTS[name] !== undefined);
  const expected = (JSON.parse(readFileSync(KERNELS_CHECKSUMS, "utf8")) as Record<string, string>)[MACHINES_KERNEL];
  const passes = options.quick ? 1 : MACHINES_PASSES;
  const guest = kernelGuest(MACHINES_KERNEL, passes);
  const problems: string[] = [];
  const data: { machines: number; peers: Record<string, { mips: number; bytes: number }> }[] = [];
  for (const machines of options.quick ? MACHINES.slice(0, 2) : MACHINES) {
    const row: (typeof data)[number] = { machines, peers: {} };
    for (const name of peers) {
      const command = await machinesCommand(SCRIPTS[name], guest, machines);
      const run = await measure(command, {
        lastText: guest.lastText,
        reportsStats: false,
        timeoutSeconds: options.timeoutSeconds ?? TIMEOUT_SECONDS,
      });
      const [pass] = passesOf(run.lines, "machines");
      const [bytes, checksums] = pass?.result.split(" ") ?? [];
      const failure =
        run.failure ??
        (pass === undefined ? "printed no marker" : checksums !== expected ? `computed ${checksums}, the processor ${expected}` : null);
      const mips = pass === undefined ? 0 : (machines * passes * MACHINES_WORK) / pass.seconds;
      log(`scaling/machines ${machines}  ${name}  ${failure ?? `${mips.toFixed(0)} million a second`}`);
      if (failure !== null) problems.push(`scaling/machines ${machines}: ${name}: ${failure}`);
      else row.peers[name] = { mips, bytes: Number(bytes) };
    }
    data.push(row);
  }
  const head = ["machines", ...peers.map((name) => `${name} (million/s)`), ...peers.map((name) => `${name} (MiB resident)`)];
  const rows = data.map(({ machines, peers: found }) => [
    `${machines}`,
    ...peers.map((name) => found[name]?.mips.toFixed(0) ?? "-"),
    ...peers.map((name) => (found[name] ? (found[name].bytes / 2 ** 20).toFixed(0) : "-")),
  ]);
  const text = `Machines in one process, all at once: million guest instructions a second of all of them together (${MACHINES_KERNEL}, ${passes} passes each, from cold), and resident memory at the end:\n
${layOut(head, rows)}`;
  return { text, data, problems };
}

const PARTS: Record<string, (context: SuiteContext) => Promise<SuiteResult>> = { hot: benchHot, memory: benchMemory, machines: benchMachines };

export const scalingSuite: Suite = {
  name: "scaling",
  parts: Object.keys(PARTS).map((name) => `scaling/${name}`),
  peers: ["xlat86", "v86", "qemu"],
  async run(parts, context) {
    const results: [string, SuiteResult][] = [];
    for (const part of parts.map(withoutPrefix)) results.push([part, await PARTS[part](context)]);
    return {
      text: results.map(([, result]) => result.text).join("\n\n"),
      data: Object.fromEntries(results.map(([part, result]) => [part, result.data])),
      problems: results.flatMap(([, result]) => result.problems),
    };
  },
};
