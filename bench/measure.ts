// One run of one guest on one peer: starts the process and notes when each line of guest output arrives.
//
// Guests mark their work on the serial line, and the time between the two markers is what counts:
//
//   BEGIN <name> <pass>
//   END <name> <pass> <result>

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { MachineStats } from "../src/index.ts";
import { STATS_MARKER } from "./peers/guest-process.ts";
import type { Command } from "./peers/peer.ts";

export interface Line {
  text: string;
  /** Seconds since the process was started. */
  at: number;
  /** Processor seconds of all its threads by then; null where the host does not tell. */
  cpu: number | null;
}

/** One piece of work between its two markers. */
export interface Pass {
  seconds: number;
  /** Processor seconds of all threads of the peer, compilers included; null where the host does not tell. */
  cpuSeconds: number | null;
  /** What the guest computed: the text after the pass number. */
  result: string;
}

/** Resident memory of the process at some moment. */
export interface MemorySample {
  at: number;
  bytes: number;
}

export interface Run {
  lines: Line[];
  /** Counters at the end, from a peer that tells. */
  stats: MachineStats | null;
  memory: MemorySample[];
  /** Why the run is not complete, or null. */
  failure: string | null;
}

export interface MeasureOptions {
  /** Once the guest has printed this, the run is done. */
  lastText: string;
  /** Whether the process ends with a line of counters (Peer.reportsStats). */
  reportsStats: boolean;
  timeoutSeconds: number;
  /** Whether the time limit is the run's ordinary end. */
  endsByTime?: boolean;
  /** Resident memory is looked up this often; not at all when absent. */
  memoryEverySeconds?: number;
  onLine?: (line: Line) => void;
}

const KEPT_OUTPUT = 2000;
const MARKER = /^(BEGIN|END) (\S+) (\d+) ?(.*)$/;

/** The passes of the work called `name`, from the markers among the lines. */
export function passesOf(lines: readonly Line[], name: string): Pass[] {
  const passes: Pass[] = [];
  let begun: Line | null = null;
  for (const line of lines) {
    const marker = MARKER.exec(line.text.trim());
    if (marker?.[2] !== name) continue;
    if (marker[1] === "BEGIN") begun = line;
    else if (begun !== null) {
      const cpuSeconds = line.cpu === null || begun.cpu === null ? null : line.cpu - begun.cpu;
      passes.push({ seconds: line.at - begun.at, cpuSeconds, result: marker[4] });
      begun = null;
    }
  }
  return passes;
}

/** Resident bytes of a process, or null where the host does not tell (Linux does, in /proc). */
export function residentBytes(pid: number): number | null {
  try {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return match ? Number(match[1]) * 1024 : null;
  } catch {
    return null;
  }
}

/** Linux counts processor time in /proc in hundredths of a second (USER_HZ). */
const TICKS = 100;

/** Processor seconds of a process with all its threads, or null where the host does not tell. */
export function processorSeconds(pid: number): number | null {
  try {
    // The program's name, in parentheses, may hold anything; utime and stime are fields 14 and 15 (proc_pid_stat(5)).
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  } catch {
    return null;
  }
}

/** Runs the command until the guest is done, it fails, or the time is over. */
export function measure(command: Command, options: MeasureOptions): Promise<Run> {
  return new Promise((done) => {
    const run: Run = { lines: [], stats: null, memory: [], failure: null };
    const started = performance.now();
    const now = () => (performance.now() - started) / 1000;
    // Standard input stays open and silent: QEMU would take its end for a hang-up of the serial line.
    const child = spawn(command.program, command.args, { stdio: ["pipe", "pipe", "pipe"] });
    let partial = "";
    let errors = "";
    let timedOut = false;
    let isDone = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, options.timeoutSeconds * 1000);
    const sampler = options.memoryEverySeconds === undefined ? undefined : setInterval(sample, options.memoryEverySeconds * 1000);
    function sample(): void {
      const bytes = child.pid === undefined ? null : residentBytes(child.pid);
      if (bytes !== null) run.memory.push({ at: now(), bytes });
    }
    function take(line: Line): void {
      if (line.text.startsWith(STATS_MARKER)) {
        run.stats = JSON.parse(line.text.slice(STATS_MARKER.length)) as MachineStats;
        return;
      }
      run.lines.push(line);
      options.onLine?.(line);
    }
    child.stdin.on("error", () => {});
    child.stdout.on("data", (chunk: Buffer) => {
      const at = now();
      const cpu = child.pid === undefined ? null : processorSeconds(child.pid);
      const texts = (partial + chunk.toString("latin1")).split("\n");
      partial = texts.pop() ?? "";
      for (const text of texts) take({ text, at, cpu });
      isDone ||= texts.some((text) => text.includes(options.lastText));
      if (isDone && (run.stats !== null || !options.reportsStats)) child.kill("SIGKILL");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-KEPT_OUTPUT);
    });
    child.on("error", (error) => {
      errors += String(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      clearInterval(sampler);
      if (!isDone && !(timedOut && options.endsByTime)) {
        const how = timedOut ? `no end within ${options.timeoutSeconds} s` : `ended early (${signal ?? `exit ${code}`})`;
        run.failure = `${how}${lastWords(run.lines, errors)}`;
      }
      done(run);
    });
  });
}

/** What the process or, if it said nothing, its guest printed last. */
function lastWords(lines: readonly Line[], errors: string): string {
  const complaints = errors.trim().split("\n");
  // Of an uncaught error, its message and not its stack.
  const message = complaints.find((line) => /^\w*Error\b/.test(line));
  const said = errors.trim() === "" ? lines.slice(-3).map((line) => line.text.trim()) : message ? [message] : complaints.slice(-3);
  return said.length === 0 ? "" : `: ${said.join(" | ")}`;
}
