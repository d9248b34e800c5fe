// Nanobenchmarks: what single operations of a machine cost (nano.c). Every operation is a process of its own.

import { measure, passesOf } from "../measure.ts";
import type { Guest, Peer } from "../peers/peer.ts";
import { ratioTable, type ValueRow } from "../report.ts";
import { median } from "../statistics.ts";
import { type Suite, type SuiteContext, withoutPrefix } from "../suite.ts";
import { NANO_IMAGE } from "./build.ts";

/** What one operation is, as the report says it. */
export const OPERATIONS: Readonly<Record<string, string>> = {
  int80: "INT 80h from ring 3 and IRET",
  sysenter: "SYSENTER and SYSEXIT",
  in: "IN from the interrupt controller's mask",
  out: "OUT to a port that nothing listens to",
  "mmio-read": "a register of the local APIC (task priority) read",
  "mmio-write": "the same written",
  "page-fault": "page fault at ring 3, taken and returned from behind the instruction",
  "demand-page": "page fault that maps a page, and the load again (with a 1024th of clearing the table and of a CR3 write)",
  cr3: "CR3 written",
  "address-space": "CR3 written, then a word of each of 16 pages read",
  invlpg: "page table entry changed, INVLPG, the page read",
  "call-ret": "CALL and RET",
  divide: "divide error at ring 3, returned from behind the instruction",
  popf: "PUSH and POPF",
  pushf: "PUSHF and POP",
  "cli-sti": "CLI and STI",
  "self-modify": "an immediate rewritten and its function called",
  interrupt: "interrupt of the serial port: asked for, taken, acknowledged (7 port accesses), returned from",
  "timer-wait": "PIT programmed for its shortest interval (838 ns) and its interrupt waited for in a loop",
  "timer-halt": "the same, waited for in HLT",
};

/** The shortest take ten milliseconds: V8 has its best code after some. */
const PASSES = 8;
const TIMEOUT_SECONDS = 180;
const QUICK_PERCENT = 2;

export interface NanoResult {
  /** Nanoseconds an operation, warm. */
  nanoseconds: number;
  /** Where what the operations did is not what was asked for. */
  wrong: string | null;
}

function nanoGuest(name: string, passes: number, percent: number): Guest {
  const commandLine = `kernel=${name} passes=${passes} percent=${percent}`;
  return { boot: "multiboot", kernel: NANO_IMAGE, commandLine, memoryMiB: 64, lastText: "ALL DONE", usesApic: name.startsWith("mmio") };
}

/** Reads `<operations> <result>` of each pass; the first half warms up. */
export function nanoResult(passes: readonly { seconds: number; result: string }[]): NanoResult | null {
  const counted = passes.slice(Math.floor(passes.length / 2));
  if (counted.length === 0) return null;
  const done = passes.map(({ result }) => result.split(" ").map(Number));
  const odd = done.find(([asked, found]) => asked !== found);
  const operations = done.slice(-counted.length).reduce((sum, [asked]) => sum + asked, 0);
  const seconds = counted.reduce((sum, pass) => sum + pass.seconds, 0);
  return { nanoseconds: (seconds / operations) * 1e9, wrong: odd ? `${odd[1]} of ${odd[0]} operations had their effect` : null };
}

async function benchOperation(name: string, context: SuiteContext, problems: string[]): Promise<ValueRow> {
  const { options, peers, log } = context;
  const found = new Map<Peer, number[]>();
  for (let round = 0; round < (options.runs ?? 1); round++) {
    for (const peer of peers) {
      const guest = nanoGuest(name, options.quick ? 2 : PASSES, options.quick ? QUICK_PERCENT : 100);
      const command = peer.command(guest);
      if (!command) continue;
      const run = await measure(command, {
        lastText: guest.lastText,
        reportsStats: peer.reportsStats,
        timeoutSeconds: options.timeoutSeconds ?? TIMEOUT_SECONDS,
      });
      const result = nanoResult(passesOf(run.lines, name));
      const unexpected = run.lines.find((line) => line.text.startsWith("UNEXPECTED"))?.text.trim();
      const failure = unexpected ?? run.failure ?? (result === null ? "printed no marker" : result.wrong);
      log(`nano/${name}  ${peer.name}  ${failure ?? `${result?.nanoseconds.toFixed(1)} ns`}`);
      if (failure !== null) problems.push(`nano/${name}: ${peer.name}: ${failure}`);
      else if (result !== null) found.set(peer, [...(found.get(peer) ?? []), result.nanoseconds]);
    }
  }
  return { name, values: Object.fromEntries([...found].map(([peer, values]) => [peer.name, median(values)])) };
}

export const nanoSuite: Suite = {
  name: "nano",
  parts: Object.keys(OPERATIONS).map((name) => `nano/${name}`),
  peers: ["xlat86", "v86", "qemu"],
  async run(parts, context) {
    const problems: string[] = [];
    const rows: ValueRow[] = [];
    for (const part of parts) rows.push(await benchOperation(withoutPrefix(part), context, problems));
    const peers = context.peers.map((peer) => peer.name);
    const legend = rows.map(({ name }) => `- ${name}: ${OPERATIONS[name]}`).join("\n");
    return {
      text: `Nanoseconds for one operation, warm:\n\n${ratioTable(rows, peers, { unit: "ns", digits: 1 })}\n\n${legend}`,
      data: rows,
      problems,
    };
  },
};
