/** Statistics as text for people. */

import { describeOptimisations, type OptimisationName } from "../../translator/contract/optimisations.ts";
import { type TimePart, timeParts } from "../inspector/profile.ts";
import type { MachineStats } from "../machine/types.ts";

const count = (n: number): string => Math.round(n).toLocaleString("en-US");
const seconds = (s: number): string => `${s.toFixed(s < 10 ? 2 : 1)} s`;
const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(whole, 1e-9)).toFixed(1)}%`;
const kibibytes = (bytes: number): string => `${count(bytes / 1024)} KiB`;

/** What V8's profiler and the operating system say about the process; see host-time.ts. */
export interface HostTime {
  /** Host seconds by what they went into, sampled. */
  readonly parts: Readonly<Record<TimePart, number>>;
  /** CPU seconds of the process's other threads: V8's optimising compiler and garbage collector, and the one that makes regions. */
  readonly otherThreads: number;
}

/** A few lines: what happened. */
export function summary(stats: MachineStats): string {
  const busy = stats.hostSeconds - stats.idleSeconds;
  const perSecond = busy > 0 ? ` (${(stats.instructions / busy / 1e6).toFixed(1)} million a second)` : "";
  const exits = stats.exits.reduce((sum, e) => sum + e.total, 0);
  const top = stats.exits.slice(0, 6).map((e) => `${e.reason} ${count(e.total)}`);
  const inLoops = stats.idleLoops > 0 ? ` (${count(stats.idleLoops)} times in a loop without HLT)` : "";
  const rest = stats.exits.length > 6 ? `, ${stats.exits.length - 6} more kinds` : "";
  return lines([
    ["guest instructions", `${count(stats.instructions)}${perSecond}`],
    ["blocks", `${count(stats.blocks)} decoded, ${count(stats.regions)} regions translated to JavaScript`],
    ["VM exits", `${count(exits)}${top.length ? `: ${top.join(", ")}${rest}` : ""}`],
    ["invalidations", count(stats.invalidations)],
    ["time", `${seconds(stats.hostSeconds)}, of which ${seconds(stats.idleSeconds)} idle${inLoops}; guest time ${seconds(stats.guestSeconds)}`],
  ]);
}

/** Ports shown by number; the rest are in --stats=json. */
const portsShown = 8;

/** Everything: the summary, where time went, and the table of VM exits by reason and ring. */
export function table(stats: MachineStats, host?: HostTime): string {
  const inRegions = stats.instructions - stats.tierZeroInstructions;
  const perEntry = stats.regionEntries > 0 ? ` (${count(inRegions / stats.regionEntries)} at a time)` : "";
  const beside = stats.backgroundSeconds > 0 ? `, and ${seconds(stats.backgroundSeconds)} beside the guest,` : "";
  const perMillion = (n: number): string => `${count(n)} (${((1e6 * n) / Math.max(stats.instructions, 1)).toFixed(1)} per million instructions)`;
  const head = lines([
    [
      "engine, clock",
      `${stats.engine}, ${stats.clock}${stats.x87 === "double" ? "; x87 in doubles: not as hardware" : ""}; optimisations ${describeOptimisations(new Set(stats.disabled as OptimisationName[]))}`,
    ],
    [
      "executed",
      `${percent(inRegions, stats.instructions)} in regions${perEntry}, ${percent(stats.tierZeroInstructions, stats.instructions)} by tier 0`,
    ],
    ...(host === undefined ? [] : timeLines(host)),
    [
      "translation",
      `${seconds(stats.regionSeconds)}${beside} for ${count(stats.regions)} regions, with V8's parsing; ${count(stats.shapes)} instruction shapes`,
    ],
    [
      "code cache",
      `${kibibytes(stats.codeCacheBytes)} decoded, ${percent(stats.codeCacheBytes, stats.codeCacheCapacity)} full, flushed ${count(stats.codeCacheFlushes)} times; ${count(stats.regionsLive)} regions, ${kibibytes(stats.regionTextLength)} of JavaScript, ${count(stats.regionsEvicted)} regions evicted`,
    ],
    ["code overwritten", `${count(stats.invalidations - stats.regionInvalidations)} blocks, ${count(stats.regionInvalidations)} regions`],
    ["events", `${count(stats.interrupts)} interrupts, ${count(stats.faults)} exceptions`],
    [
      "TLB",
      `${perMillion(stats.tlbMisses)} misses, ${count(stats.tlbFlushes)} flushes; sites of regions asked in vain ${count(stats.siteMisses)} times, ${count(stats.givenUp)} instructions given up`,
    ],
  ]);
  if (stats.exits.length === 0) return `${summary(stats)}${head}`;
  const all = stats.exits.reduce((sum, e) => sum + e.total, 0);
  const cells = [
    ["VM exits", "ring 0", "ring 1", "ring 2", "ring 3", "total", "share"],
    ...stats.exits.map((e) => [e.reason, ...e.byRing.map(count), count(e.total), percent(e.total, all)]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const rows = cells.map((row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ")}\n`);
  return `${summary(stats)}${head}${rows.join("")}${ports(stats)}`;
}

/** Of the time the guest ran, its parts; "host" is the event loop, start-up and what else the process did. */
function timeLines({ parts, otherThreads }: HostTime): [string, string][] {
  const busy = timeParts.filter((part) => part !== "idle");
  const whole = busy.reduce((sum, part) => sum + parts[part], 0);
  const shown = busy.filter((part) => parts[part] >= whole / 1000).map((part) => `${part} ${percent(parts[part], whole)}`);
  return [
    ["time went into", shown.length === 0 ? "(too short to sample)" : shown.join(", ")],
    ["other threads", `${seconds(otherThreads)} of CPU: V8's optimising compiler and garbage collector, regions`],
  ];
}

/** The busiest ports on one line. */
function ports(stats: MachineStats): string {
  if (stats.ports.length === 0) return "";
  const shown = stats.ports.slice(0, portsShown).map((p) => `${p.port.toString(16)}h ${count(p.accesses)}`);
  const rest = stats.ports.length > portsShown ? `, ${stats.ports.length - portsShown} more` : "";
  return lines([["port accesses", `${shown.join(", ")}${rest}`]]);
}

function lines(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, value]) => `  ${name.padEnd(20)}${value}\n`).join("");
}
