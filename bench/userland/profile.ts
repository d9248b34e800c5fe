// Where the time of the userland workloads goes on this project: `node bench/userland/profile.ts [NAME,...] [--cpuprofile DIRECTORY]`. Boots the guest of the
// suite and, from BEGIN to END of each pass, runs V8's sampling profiler on the main thread and takes the machine's counters. Prints the share of each part of
// the program, the functions that took most, and what the counters grew by. Times under the profiler are not the suite's times.

import { readFileSync, writeFileSync } from "node:fs";
import { type Profiler, Session } from "node:inspector/promises";
import { join } from "node:path";
import { type BlockInfo, createMachine, type MachineStats } from "../../src/index.ts";
import { userlandGuest } from "./guest.ts";
import { WORKLOAD_NAMES } from "./workloads.ts";

const SAMPLING_MICROSECONDS = 500;
const FUNCTIONS_SHOWN = 14;
const EXITS_SHOWN = 8;

/** Parts of the program: the first whose pattern matches "function url" has the sample. */
const PARTS: [name: string, pattern: RegExp][] = [
  ["garbage collector", /^\(garbage collector\)/],
  ["idle", /^\(idle\)/],
  ["V8 itself (program)", /^\(program\)/],
  ["regions", /^f_[0-9a-f]+ /],
  ["decoding", /translator\/decode\/|code\/block-builder|translator\/index\.ts|lift\/shape\.ts|javascript\/tier0/],
  ["translation of regions", /\/translator\/|code\/regions|code\/compile|acorn|astring/],
  // V8 inlines the dispatcher's loop into the engine.
  ["dispatcher", /execute\/dispatcher|code\/code-cache|src\/machine\/engine/],
  ["page walks, TLB misses and slow accesses", /runtime\/memory\//],
  ["interrupts, faults, IRET", /cpu\/(interrupts|interrupt-return|far-transfers|stack|descriptors|segments|tasks)/],
  ["string instructions", /callouts\/strings/],
  ["other callouts", /runtime\/(callouts|cpu|float)\//],
  ["devices and clock", /runtime\/devices\/|src\/machine\/(board|machine|host|serial)/],
  ["tier 0 handlers", /^\S* (evalmachine|)$|^[a-z]\w*_\w+ $/],
];

function partOf(name: string, url: string): string {
  const text = `${name} ${url}`;
  return PARTS.find(([, pattern]) => pattern.test(text))?.[0] ?? "other";
}

/** The profiler's own start and stop. */
const NOT_COUNTED = /node:inspector/;

/** Microseconds of self time by part and by function. */
function summarize(profile: Profiler.Profile): { total: number; parts: Map<string, number>; functions: Map<string, number> } {
  const spent = new Map<number, number>();
  (profile.samples ?? []).forEach((id, index) => {
    spent.set(id, (spent.get(id) ?? 0) + Math.max(profile.timeDeltas?.[index] ?? 0, 0));
  });
  const parts = new Map<string, number>();
  const functions = new Map<string, number>();
  let total = 0;
  for (const node of profile.nodes) {
    const time = spent.get(node.id) ?? 0;
    const { functionName, url, lineNumber } = node.callFrame;
    if (time === 0 || NOT_COUNTED.test(url)) continue;
    const part = partOf(functionName, url);
    total += time;
    parts.set(part, (parts.get(part) ?? 0) + time);
    const place = url === "" ? part : `${url.split("/").slice(-2).join("/")}:${lineNumber + 1}`;
    const name = `${functionName || "(anonymous)"}  ${place}`;
    functions.set(name, (functions.get(name) ?? 0) + time);
  }
  return { total, parts, functions };
}

function byTime(times: ReadonlyMap<string, number>): [string, number][] {
  return [...times].sort((a, b) => b[1] - a[1]);
}

function counters(before: MachineStats, after: MachineStats): string {
  const grown = (name: "instructions" | "blocks" | "regions" | "invalidations" | "interrupts" | "faults" | "tlbMisses" | "tlbFlushes") =>
    `${name} ${(after[name] - before[name]).toLocaleString("en-US")}`;
  const exits = after.exits
    .map((exit) => ({ reason: exit.reason, count: exit.total - (before.exits.find((each) => each.reason === exit.reason)?.total ?? 0) }))
    .sort((a, b) => b.count - a.count)
    .slice(0, EXITS_SHOWN)
    .map(({ reason, count }) => `${reason} ${count.toLocaleString("en-US")}`);
  const names = ["instructions", "blocks", "regions", "invalidations", "interrupts", "faults", "tlbMisses", "tlbFlushes"] as const;
  return `  ${names.map(grown).join(", ")}\n  exits: ${exits.join(", ")}`;
}

/** Executions of each block before, by address and mode. */
type Executions = ReadonlyMap<string, number>;

const keyOf = (block: BlockInfo) => `${block.address} ${block.mode}`;

function executions(blocks: readonly BlockInfo[]): Executions {
  return new Map(blocks.map((block) => [keyOf(block), block.executions]));
}

/** Which tier executed the instructions: tier 0 counts its blocks, the rest is the regions'. */
function tiers(before: Executions, blocks: readonly BlockInfo[], instructions: number): string {
  let tier0 = 0;
  let entries = 0;
  for (const block of blocks) {
    const times = block.executions - (before.get(keyOf(block)) ?? 0);
    if (block.tier === "cold") tier0 += Math.max(times, 0) * block.instructions;
    else entries += Math.max(times, 0);
  }
  const share = ((100 * tier0) / instructions).toFixed(1);
  const each = ((instructions - tier0) / Math.max(entries, 1)).toFixed(1);
  return `  tier 0 executed ${share} % of the instructions; regions were entered ${entries.toLocaleString("en-US")} times for ${each} each`;
}

function mainThreadSeconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const directoryAt = args.indexOf("--cpuprofile");
  const directory = directoryAt < 0 ? null : args.splice(directoryAt, 2)[1];
  const names = args[0]?.split(",") ?? [...WORKLOAD_NAMES];
  const guest = (await userlandGuest()).guest(names, 2);
  const machine = createMachine({
    kernel: readFileSync(guest.kernel),
    initrd: readFileSync(guest.initrd ?? ""),
    append: guest.commandLine,
    memory: guest.memoryMiB * 2 ** 20,
  });
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: SAMPLING_MICROSECONDS });
  let before = machine.stats();
  let started = 0;
  let cpuStarted = 0;
  let blocksBefore: Executions = new Map();

  async function marker(line: string): Promise<void> {
    if (line.startsWith("BEGIN ")) {
      before = machine.stats();
      blocksBefore = executions(machine.blocks());
      started = performance.now();
      cpuStarted = mainThreadSeconds();
      await session.post("Profiler.start");
      return;
    }
    const seconds = (performance.now() - started) / 1000;
    const cpu = mainThreadSeconds() - cpuStarted;
    const { profile } = await session.post("Profiler.stop");
    const after = machine.stats();
    const { total, parts, functions } = summarize(profile);
    const share = (time: number) => `${((100 * time) / total).toFixed(1).padStart(5)} %`;
    const nanoseconds = ((cpu * 1e9) / (after.instructions - before.instructions)).toFixed(2);
    console.log(
      `\n${line.trim()}\n  ${seconds.toFixed(2)} s under the profiler, ${cpu.toFixed(2)} s of the main thread's processor time: ${nanoseconds} ns an instruction`,
    );
    console.log(counters(before, after));
    console.log(tiers(blocksBefore, machine.blocks(), after.instructions - before.instructions));
    for (const [part, time] of byTime(parts)) console.log(`  ${share(time)}  ${part}`);
    for (const [name, time] of byTime(functions).slice(0, FUNCTIONS_SHOWN)) console.log(`      ${share(time)}  ${name}`);
    if (directory !== null) writeFileSync(join(directory, `${line.trim().split(" ").slice(1, 3).join("-")}.cpuprofile`), JSON.stringify(profile));
  }

  // The machine pauses at each marker: the profiler is started and stopped between two slices, not within one.
  let text = "";
  let lines: string[] = [];
  machine.on("serial", (bytes) => {
    const all = (text + Buffer.from(bytes).toString("latin1")).split("\n");
    text = all.pop() ?? "";
    lines.push(...all.filter((line) => /^(BEGIN|END|ALL) /.test(line)));
    if (lines.length > 0) machine.pause();
  });
  for (;;) {
    const exit = await machine.run();
    const seen = lines;
    lines = [];
    for (const line of seen.filter((each) => !each.startsWith("ALL "))) await marker(line);
    if (exit.reason !== "paused" || seen.some((line) => line.startsWith("ALL "))) break;
  }
  process.exit(0);
}

await main();
