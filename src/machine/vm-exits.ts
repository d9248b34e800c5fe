/** The counters of VM exits (translator/contract/exits.ts) as a report: sensitive instructions by the row they have in the table, then events. */
import { calloutExit, exceptionCount, exitReason, ringCount } from "../../translator/contract/exits.ts";
import { vector } from "../../translator/contract/slots.ts";
import { sensitiveRows } from "../../translator/lift/sensitive.ts";
import type { PortCount, VmExitCount } from "./types.ts";

const vectorNames = new Map(Object.entries(vector).map(([name, number]) => [number as number, name.toUpperCase()]));

/** "#PF" for 14; a vector without a name by its number. */
export function exceptionName(number: number): string {
  const name = vectorNames.get(number);
  return name === undefined ? `#${number}` : name === "NMI" ? name : `#${name}`;
}

/** Reasons that occurred, most frequent first. */
export function vmExits(counts: Float64Array): VmExitCount[] {
  const exits: VmExitCount[] = [];
  const add = (kind: VmExitCount["kind"], reason: string, numbers: readonly number[]): void => {
    const ring = (r: number): number => numbers.reduce((sum, n) => sum + counts[n * ringCount + r], 0);
    const byRing = [ring(0), ring(1), ring(2), ring(3)] as const;
    const total = byRing[0] + byRing[1] + byRing[2] + byRing[3];
    if (total > 0) exits.push({ reason, kind, byRing, total });
  };
  for (const row of sensitiveRows) add("instruction", row.mnemonic, row.callouts.map(calloutExit));
  add("interrupt", "external interrupt", [exitReason.externalInterrupt]);
  for (let v = 0; v < exceptionCount; v++) add("exception", `exception ${exceptionName(v)}`, [exitReason.exception + v]);
  return exits.sort((a, b) => b.total - a.total);
}

/** Ports that were accessed, busiest first. */
export function portCounts(counts: Float64Array): PortCount[] {
  const ports: PortCount[] = [];
  counts.forEach((accesses, port) => {
    if (accesses > 0) ports.push({ port, accesses });
  });
  return ports.sort((a, b) => b.accesses - a.accesses);
}
