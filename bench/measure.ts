// One run of one task on one peer: starts the process, notes when each line of guest output arrives, and reads the times off the markers.

import { spawn } from "node:child_process";
import { LINUX_READY_LINE } from "../src/guest/initramfs.ts";
import type { MachineStats } from "../src/index.ts";
import { STATS_MARKER } from "./peers/guest-process.ts";
import type { Command, Peer, Task } from "./peers/peer.ts";

export interface Pass {
  seconds: number;
  /** What the guest computed; for the Linux boot the marker line. */
  checksum: string;
}

export interface Run {
  passes: Pass[];
  /** Bytes of decoded code and characters of JavaScript at the end, for a peer that tells. */
  codeCache: { bytes: number; text: number; blocks: number; regions: number } | null;
  /** Guest instructions retired in the whole run, for a peer that counts them. */
  instructions: number | null;
  /** Why there is no result, or null. */
  failure: string | null;
}

const KEPT_OUTPUT = 2000;

/** Reads marker lines and gathers the passes they delimit. */
class MarkerReader {
  readonly passes: Pass[] = [];
  instructions: number | null = null;
  codeCache: { bytes: number; text: number; blocks: number; regions: number } | null = null;
  isDone = false;
  private readonly task: Task;
  private readonly waitsForStats: boolean;
  private begun: number;

  constructor(task: Task, waitsForStats: boolean, started: number) {
    this.task = task;
    this.waitsForStats = waitsForStats;
    this.begun = started;
  }

  line(text: string, now: number): void {
    if (text.startsWith(STATS_MARKER)) {
      const stats = JSON.parse(text.slice(STATS_MARKER.length)) as MachineStats;
      this.instructions = stats.instructions;
      this.codeCache = { bytes: stats.codeCacheBytes, text: stats.regionTextLength, blocks: stats.blocks, regions: stats.regions };
      this.isDone = this.passes.length > 0;
      return;
    }
    if (this.task.kind === "linux") {
      // From the start of the process: loading, firmware where a peer has one, unpacking, and the kernel's own start.
      if (!text.includes(LINUX_READY_LINE)) return;
      this.passes.push({ seconds: (now - this.begun) / 1000, checksum: LINUX_READY_LINE });
      this.isDone = !this.waitsForStats;
      return;
    }
    const [word, name, , checksum] = text.trim().split(" ");
    if (word === "ALL") this.isDone = !this.waitsForStats;
    if (name !== this.task.name) return;
    if (word === "BEGIN") this.begun = now;
    if (word === "END") this.passes.push({ seconds: (now - this.begun) / 1000, checksum });
  }
}

/** Runs the command until the guest is done, it fails, or `timeoutSeconds` are over. */
export function measure(task: Task, peer: Peer, command: Command, timeoutSeconds: number): Promise<Run> {
  return new Promise((done) => {
    const reader = new MarkerReader(task, peer.reportsStats, performance.now());
    // Standard input stays open and silent: QEMU would take its end for a hang-up of the serial line.
    const child = spawn(command.program, command.args, { stdio: ["pipe", "pipe", "pipe"] });
    let partial = "";
    let errors = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, timeoutSeconds * 1000);
    child.stdin.on("error", () => {});
    child.stdout.on("data", (chunk: Buffer) => {
      const now = performance.now();
      const lines = (partial + chunk.toString("latin1")).split("\n");
      partial = lines.pop() ?? "";
      for (const line of lines) reader.line(line, now);
      if (reader.isDone) child.kill("SIGKILL");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-KEPT_OUTPUT);
    });
    child.on("error", (error) => {
      errors += String(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (reader.isDone) return done({ passes: reader.passes, instructions: reader.instructions, codeCache: reader.codeCache, failure: null });
      const how = timedOut ? `no end within ${timeoutSeconds} s` : `ended early (${signal ?? `exit ${code}`})`;
      done({
        passes: reader.passes,
        instructions: null,
        codeCache: null,
        failure: `${how}${errors ? `: ${errors.trim().split("\n").slice(-3).join(" | ")}` : ""}`,
      });
    });
  });
}
