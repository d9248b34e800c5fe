// The guest kernels (kernel.h) and the Linux boot.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fetchLinuxGuest, LINUX_COMMAND_LINE } from "../../src/guest/debian.ts";
import { LINUX_READY_LINE } from "../../src/guest/initramfs.ts";
import { progressBar } from "../../src/guest/progress.ts";
import { measure, type Pass, passesOf, type Run } from "../measure.ts";
import type { BenchOptions } from "../options.ts";
import type { Guest, Peer } from "../peers/peer.ts";
import { type Cell, cacheLines, costTable, disagreements, LINUX_TASK, type Row, table } from "../report.ts";
import { median } from "../statistics.ts";
import type { Suite, SuiteContext } from "../suite.ts";
import { KERNELS_CHECKSUMS, KERNELS_IMAGE } from "./build.ts";

/** For peers that do not warm up: the second pass is there to show the first was no accident. */
const COLD_PASSES = 2;
/** Of a peer that warms up, the passes from this one on count, or the second half of fewer: code is made better for about half a second, fifty passes of the shortest kernels. */
const FIRST_WARM_PASS = 48;
const RUNS = 3;
const TIMEOUT_SECONDS = 180;

const expected = JSON.parse(readFileSync(KERNELS_CHECKSUMS, "utf8")) as Record<string, string>;

/** A kernel's guest for a number of passes. */
export function kernelGuest(name: string, passes: number): Guest {
  const commandLine = `kernel=${name} passes=${passes}`;
  return { boot: "multiboot", kernel: KERNELS_IMAGE, commandLine, memoryMiB: 64, lastText: "ALL DONE", native: commandLine.split(" ") };
}

async function linuxGuest(): Promise<Guest> {
  const files = await fetchLinuxGuest({ onProgress: progressBar(process.stderr) });
  return { boot: "linux", ...files, commandLine: LINUX_COMMAND_LINE, memoryMiB: 256, lastText: LINUX_READY_LINE };
}

function passCount(peer: Peer, options: BenchOptions): number {
  return peer.warmsUp ? options.passes : Math.min(COLD_PASSES, options.passes);
}

/** The passes of a run. A boot is one: loading, firmware where a peer has one, unpacking, and the kernel's own start. */
function passes(name: string, run: Run): Pass[] {
  if (name !== LINUX_TASK) return passesOf(run.lines, name);
  const ready = run.lines.find((line) => line.text.includes(LINUX_READY_LINE));
  return ready ? [{ seconds: ready.at, cpuSeconds: ready.cpu, result: LINUX_READY_LINE }] : [];
}

/** The mean, not the median: a machine that hands out its output once a time slice moves single markers by up to that slice, but not their sum. */
function warmSeconds(done: readonly Pass[], peer: Peer): number {
  const counted = done.slice(peer.warmsUp ? Math.min(FIRST_WARM_PASS, done.length >> 1) : 0);
  return counted.reduce((sum, pass) => sum + pass.seconds, 0) / counted.length;
}

function cellOf(name: string, runs: readonly Run[], peer: Peer): Cell {
  const done = runs.map((run) => passes(name, run));
  const { stats } = runs[0];
  return {
    seconds: median(done.map((each) => warmSeconds(each, peer))),
    firstPassSeconds: median(done.map((each) => each[0].seconds)),
    // The start of the guest is small beside a pass.
    instructions: stats === null ? null : stats.instructions / done[0].length,
    codeCache: stats === null ? null : { bytes: stats.codeCacheBytes, text: stats.regionTextLength, blocks: stats.blocks, regions: stats.regions },
    checksum: [...new Set(done.flatMap((each) => each.map((pass) => pass.result)))].join("/"),
  };
}

/**
 * Measures one guest on all peers.
 * @param guestFor the guest for a number of passes; @param wanted its checksum
 */
export async function benchTask(
  name: string,
  guestFor: (passes: number) => Guest,
  wanted: string | undefined,
  context: SuiteContext,
  problems: string[],
): Promise<Row> {
  const { options, peers, log } = context;
  const runs = new Map<Peer, Run[]>();
  for (let round = 0; round < (options.runs ?? RUNS); round++) {
    for (const peer of peers) {
      const guest = guestFor(passCount(peer, options));
      const command = peer.command(guest);
      const earlier = runs.get(peer) ?? [];
      if (!command || earlier.some((run) => run.failure !== null)) continue;
      const run = await measure(command, {
        lastText: guest.lastText,
        reportsStats: peer.reportsStats,
        timeoutSeconds: options.timeoutSeconds ?? TIMEOUT_SECONDS,
      });
      const done = passes(name, run);
      if (run.failure === null && done.length === 0) run.failure = "printed no marker";
      runs.set(peer, [...earlier, run]);
      log(`${name}  ${peer.name}  ${run.failure ?? done.map((pass) => pass.seconds.toFixed(3)).join(" ")}`);
      if (run.failure !== null) problems.push(`${name}: ${peer.name}: ${run.failure}`);
    }
  }
  const cells: Row["cells"] = {};
  for (const [peer, done] of runs) {
    if (done.every((run) => run.failure === null)) cells[peer.name] = cellOf(name, done, peer);
  }
  const row = { task: name, cells };
  problems.push(...disagreements(row, wanted));
  return row;
}

/** What translating costs, by a program of its own; for a run of all kernels. */
function translationCosts(problems: string[]): string {
  const script = fileURLToPath(new URL("../translate.ts", import.meta.url));
  const { stdout, status, error } = spawnSync(process.execPath, [script], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (error || status !== 0) problems.push(`translate.ts: ${error?.message ?? `exit ${status}`}`);
  return `\nWhat translating a region costs, microseconds for one guest instruction:\n\n${stdout}`;
}

export const kernelsSuite: Suite = {
  name: "kernels",
  parts: [...Object.keys(expected), LINUX_TASK],
  peers: ["xlat86", "v86", "xlat86-tier0", "v86-nojit", "qemu", "native"],
  async run(parts, context) {
    const linux = parts.includes(LINUX_TASK) ? await linuxGuest() : null;
    const problems: string[] = [];
    const rows: Row[] = [];
    for (const name of parts) {
      const guestFor = (passes: number): Guest => (name === LINUX_TASK && linux !== null ? linux : kernelGuest(name, passes));
      rows.push(await benchTask(name, guestFor, expected[name], context, problems));
    }
    const peers = context.peers.map((peer) => peer.name);
    let text = `Median of ${context.options.runs ?? RUNS} run(s). Seconds a pass, warm:\n\n${table(rows, peers)}
\nSeconds of the first pass, with whatever it had to translate:\n\n${table(rows, peers, (cell) => cell.firstPassSeconds)}
\nNanoseconds for one guest instruction (seconds a pass over the instructions that tier 0 counts in it):\n\n${costTable(rows, peers)}
${cacheLines(rows)}`;
    if (context.options.only === null && peers.includes("xlat86")) text += `\n${translationCosts(problems)}`;
    return { text, data: rows, problems };
  },
};
