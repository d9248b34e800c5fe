/**
 * The fuzzer's child process: runs a range of cases and writes what goes wrong as lines of JSON. The case under way is kept in a file, written before
 * the case begins, so that the parent knows where a hang or a crash happened.
 */
import { openSync, writeSync } from "node:fs";
import { Fuzzer, FuzzFailure } from "./cases.ts";
import { runMachineCase } from "./machine-case.ts";

export interface WorkerRequest {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  readonly instructions: number;
  /** Microseconds of processor time a case may take. */
  readonly processorLimit: number;
  readonly progressFile: string;
  /** A case that is made to hang, to see what the parent does. */
  readonly hangAt: number;
}

export type WorkerLine =
  | { readonly kind: "failure"; readonly number: number; readonly message: string }
  | { readonly kind: "memory"; readonly number: number; readonly live: number; readonly released: number }
  | { readonly kind: "digest"; readonly number: number; readonly digest: string }
  /** What the cases since the last such line did. */
  | { readonly kind: "totals"; readonly ends: Record<string, number>; readonly totals: Totals }
  | { readonly kind: "done" };

export interface Totals {
  instructions: number;
  faults: number;
  interrupts: number;
  regions: number;
}

/** Cases between two looks at memory, at which the machines are made anew. */
export const memoryInterval = 5000;
const digestInterval = 1000;
const repeatInterval = 16;
const machineInterval = 250;

const request = JSON.parse(process.argv[2]) as WorkerRequest;
const progress = openSync(request.progressFile, "w");
const number32 = new Int32Array(1);
const fuzzer = new Fuzzer(request.seed, { instructions: request.instructions, faults: 800, halts: 20 });
let ends: Record<string, number> = {};
let totals: Totals = { instructions: 0, faults: 0, interrupts: 0, regions: 0 };
let digest = 0x811c9dc5 | 0;

function say(line: WorkerLine): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function sayTotals(): void {
  say({ kind: "totals", ends, totals });
  ends = {};
  totals = { instructions: 0, faults: 0, interrupts: 0, regions: 0 };
}

async function usedBytes(): Promise<number> {
  // A turn of the event loop lets go of what finished promises and timers hold.
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

for (let number = request.from; number < request.to; number++) {
  number32[0] = number;
  writeSync(progress, new Uint8Array(number32.buffer), 0, 4, 0);
  while (number === request.hangAt);
  const started = process.cpuUsage();
  try {
    const result = fuzzer.run(number);
    ends[`${result.kind} ${result.end}`] = (ends[`${result.kind} ${result.end}`] ?? 0) + 1;
    if (result.outcome) for (const name of ["instructions", "faults", "interrupts", "regions"] as const) totals[name] += result.outcome[name];
    for (let i = 0; i < result.summary.length; i++) digest = Math.imul(digest ^ result.summary.charCodeAt(i), 0x01000193);
    if (number % repeatInterval === 0 || result.kind === "file") {
      const again = fuzzer.run(number).summary;
      if (again !== result.summary) throw new FuzzFailure(`not the same twice: ${result.summary} and ${again}`);
    }
    if (number % machineInterval === machineInterval - 1) {
      const end = `machine ${await runMachineCase(request.seed, number)}`;
      ends[end] = (ends[end] ?? 0) + 1;
    }
  } catch (error) {
    say({ kind: "failure", number, message: error instanceof Error ? (error.stack ?? error.message) : `thrown: ${JSON.stringify(error)}` });
    fuzzer.release();
  }
  const { user, system } = process.cpuUsage(started);
  if (user + system > request.processorLimit)
    say({ kind: "failure", number, message: `took ${Math.round((user + system) / 1000)} ms of processor time` });
  if ((number + 1) % digestInterval === 0) {
    say({ kind: "digest", number, digest: (digest >>> 0).toString(16) });
    sayTotals();
  }
  if ((number + 1 - request.from) % memoryInterval === 0) {
    const live = await usedBytes();
    fuzzer.release();
    say({ kind: "memory", number, live, released: await usedBytes() });
  }
}
sayTotals();
say({ kind: "done" });
