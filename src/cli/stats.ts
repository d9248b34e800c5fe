/** Statistics as text for people. */
import type { MachineStats } from "../machine/types.ts";

const count = (n: number): string => Math.round(n).toLocaleString("en-US");
const seconds = (s: number): string => `${s.toFixed(s < 10 ? 2 : 1)} s`;

/** A few lines: what happened. */
export function summary(stats: MachineStats): string {
  const busy = stats.hostSeconds - stats.idleSeconds;
  const perSecond = busy > 0 ? ` (${(stats.instructions / busy / 1e6).toFixed(1)} million a second)` : "";
  const exits = stats.exits.reduce((sum, e) => sum + e.total, 0);
  const top = stats.exits.slice(0, 6).map((e) => `${e.reason} ${count(e.total)}`);
  const rest = stats.exits.length > 6 ? `, ${stats.exits.length - 6} more kinds` : "";
  return lines([
    ["guest instructions", `${count(stats.instructions)}${perSecond}`],
    ["blocks", `${count(stats.blocks)} decoded, ${count(stats.regions)} regions translated to JavaScript`],
    ["VM exits", `${count(exits)}${top.length ? `: ${top.join(", ")}${rest}` : ""}`],
    ["invalidations", count(stats.invalidations)],
    ["time", `${seconds(stats.hostSeconds)}, of which ${seconds(stats.idleSeconds)} idle; guest time ${seconds(stats.guestSeconds)}`],
  ]);
}

/** Ports shown by number; the rest are in --stats=json. */
const portsShown = 8;

/** Everything: the summary and the table of VM exits by reason and ring. */
export function table(stats: MachineStats): string {
  const head = lines([
    ["engine, clock", `${stats.engine}, ${stats.clock}`],
    [
      "code cache",
      `${count(Math.round(stats.codeCacheBytes / 1024))} KiB decoded, ${count(Math.round(stats.regionTextLength / 1024))} KiB of JavaScript`,
    ],
    ["events", `${count(stats.interrupts)} interrupts, ${count(stats.faults)} exceptions`],
    ["TLB", `${count(stats.tlbMisses)} misses, ${count(stats.tlbFlushes)} flushes`],
  ]);
  if (stats.exits.length === 0) return `${summary(stats)}${head}`;
  const all = stats.exits.reduce((sum, e) => sum + e.total, 0);
  const share = (n: number): string => `${((100 * n) / all).toFixed(1)}%`;
  const cells = [
    ["VM exits", "ring 0", "ring 1", "ring 2", "ring 3", "total", "share"],
    ...stats.exits.map((e) => [e.reason, ...e.byRing.map(count), count(e.total), share(e.total)]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const rows = cells.map((row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ")}\n`);
  return `${summary(stats)}${head}${rows.join("")}${ports(stats)}`;
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
