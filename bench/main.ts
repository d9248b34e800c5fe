// `npm run bench`: the guest kernels and the Linux boot on this project and its peers, side by side on this machine. Every measurement is a process of its
// own; the peers take turns within a run, so that a busy moment of the host does not fall on one of them alone.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fetchLinuxGuest, LINUX_COMMAND_LINE } from "../src/guest/debian.ts";
import { progressBar } from "../src/guest/progress.ts";
import { KERNELS_CHECKSUMS, KERNELS_IMAGE } from "./kernels/build.ts";
import { measure, type Pass, type Run } from "./measure.ts";
import { type BenchOptions, BenchUsageError, parseOptions, USAGE } from "./options.ts";
import type { GuestFiles, Peer, Task } from "./peers/peer.ts";
import { allPeers, cpuModel } from "./peers/peers.ts";
import { type Cell, cacheLines, costTable, disagreements, LINUX_TASK, type Row, table } from "./report.ts";
import { median } from "./statistics.ts";

/** For peers that do not warm up: the second pass is there to show the first was no accident. */
const COLD_PASSES = 2;
/** Of a peer that warms up, the passes from this one on count. */
const FIRST_WARM_PASS = 2;

const expected = JSON.parse(readFileSync(KERNELS_CHECKSUMS, "utf8")) as Record<string, string>;

function log(text: string): void {
  process.stderr.write(`${text}\n`);
}

function choose<T>(all: readonly T[], wanted: readonly string[] | null, nameOf: (item: T) => string, what: string): T[] {
  if (!wanted) return [...all];
  const names = all.map(nameOf);
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new BenchUsageError(`no ${what} ${unknown.join(", ")}; there are ${names.join(", ")}`);
  return all.filter((item) => wanted.includes(nameOf(item)));
}

async function presentPeers(options: BenchOptions): Promise<Peer[]> {
  const present: Peer[] = [];
  for (const peer of choose(allPeers(), options.peers, (item) => item.name, "peer")) {
    const reason = await peer.missing().catch((error: unknown) => String(error));
    if (reason === null) present.push(peer);
    else log(`${peer.name}: left out: ${reason}`);
  }
  return present;
}

async function guestFiles(taskNames: readonly string[]): Promise<GuestFiles> {
  if (!taskNames.includes(LINUX_TASK)) return { kernels: KERNELS_IMAGE };
  const linux = await fetchLinuxGuest({ onProgress: progressBar(process.stderr) });
  return { kernels: KERNELS_IMAGE, linux: { ...linux, commandLine: LINUX_COMMAND_LINE } };
}

function taskFor(name: string, peer: Peer, options: BenchOptions): Task {
  if (name === LINUX_TASK) return { kind: "linux" };
  return { kind: "kernel", name, passes: peer.warmsUp ? options.passes : Math.min(COLD_PASSES, options.passes) };
}

/** The mean, not the median: a machine that hands out its output once a time slice moves single markers by up to that slice, but not their sum. */
function warmSeconds(passes: readonly Pass[], peer: Peer): number {
  const counted = passes.slice(peer.warmsUp && passes.length > FIRST_WARM_PASS ? FIRST_WARM_PASS : 0);
  return counted.reduce((sum, pass) => sum + pass.seconds, 0) / counted.length;
}

/** Guest instructions of one pass; the start of the guest is small beside a pass. */
function perPass(run: Run): number | null {
  return run.instructions === null ? null : run.instructions / run.passes.length;
}

function cellOf(runs: readonly Run[], peer: Peer): Cell {
  const checksums = new Set(runs.flatMap((run) => run.passes.map((pass) => pass.checksum)));
  return {
    seconds: median(runs.map((run) => warmSeconds(run.passes, peer))),
    firstPassSeconds: median(runs.map((run) => run.passes[0].seconds)),
    instructions: perPass(runs[0]),
    codeCache: runs[0].codeCache,
    checksum: [...checksums].join("/"),
  };
}

async function benchTask(name: string, peers: readonly Peer[], files: GuestFiles, options: BenchOptions, problems: string[]): Promise<Row> {
  const runs = new Map<Peer, Run[]>();
  for (let round = 0; round < options.runs; round++) {
    for (const peer of peers) {
      const task = taskFor(name, peer, options);
      const command = peer.command(task, files);
      const earlier = runs.get(peer) ?? [];
      if (!command || earlier.some((run) => run.failure !== null)) continue;
      const run = await measure(task, peer, command, options.timeoutSeconds);
      runs.set(peer, [...earlier, run]);
      log(`${name}  ${peer.name}  ${run.failure ?? run.passes.map((pass) => pass.seconds.toFixed(3)).join(" ")}`);
      if (run.failure !== null) problems.push(`${name}: ${peer.name}: ${run.failure}`);
    }
  }
  const cells: Row["cells"] = {};
  for (const [peer, done] of runs) {
    if (done.every((run) => run.failure === null)) cells[peer.name] = cellOf(done, peer);
  }
  const row = { task: name, cells };
  problems.push(...disagreements(row, expected[name]));
  return row;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const taskNames = choose([...Object.keys(expected), LINUX_TASK], options.only, (name) => name, "kernel");
  const peers = await presentPeers(options);
  const files = await guestFiles(taskNames);
  const versions = Object.fromEntries(peers.map((peer) => [peer.name, peer.version()]));
  const problems: string[] = [];
  const rows: Row[] = [];
  for (const name of taskNames) rows.push(await benchTask(name, peers, files, options, problems));

  const peerNames = peers.map((peer) => peer.name);
  console.log(`${cpuModel()}, Node ${process.version} (V8 ${process.versions.v8}); ${options.runs} run(s), median`);
  for (const name of peerNames) console.log(`- ${name}: ${versions[name]}`);
  console.log(`\nSeconds a pass, warm:\n\n${table(rows, peerNames)}`);
  console.log(`\nSeconds of the first pass, with whatever it had to translate:\n\n${table(rows, peerNames, (cell) => cell.firstPassSeconds)}`);
  console.log(
    `\nNanoseconds for one guest instruction (seconds a pass over the instructions that tier 0 counts in it):\n\n${costTable(rows, peerNames)}`,
  );
  console.log(cacheLines(rows));
  if (options.only === null && peerNames.includes("xlat86")) {
    console.log("\nWhat translating a region costs, microseconds for one guest instruction:\n");
    const { error } = spawnSync(process.execPath, [fileURLToPath(new URL("translate.ts", import.meta.url))], { stdio: "inherit" });
    if (error) problems.push(`translate.ts: ${error.message}`);
  }
  console.log(problems.length === 0 ? "\nAll agree on every result." : `\nProblems:\n${problems.map((problem) => `- ${problem}`).join("\n")}`);
  if (options.json) {
    const environment = { cpu: cpuModel(), node: process.version, v8: process.versions.v8, versions };
    writeFileSync(options.json, `${JSON.stringify({ environment, options, rows, problems }, null, 2)}\n`);
  }
  return problems.length === 0 ? 0 : 1;
}

try {
  if (process.argv.includes("--help")) console.log(USAGE);
  else process.exitCode = await main();
} catch (error) {
  if (!(error instanceof BenchUsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
