// What the two child processes that run a guest in this Node share: the task's files read into memory, and guest output passed on as it comes.

import { readFileSync, writeSync } from "node:fs";
import { type GuestFiles, kernelCommandLine, memoryMiB, type Task } from "./peer.ts";

/** Begins the line with the counters of a peer that has some. */
export const STATS_MARKER = "STATS ";

/** What a child process gets as its one argument, in JSON. */
export interface ChildJob {
  task: Task;
  files: GuestFiles;
  /** The peer's own settings. */
  settings: Record<string, string | boolean>;
}

export interface LoadedGuest {
  kernel: Uint8Array<ArrayBuffer>;
  initrd?: Uint8Array<ArrayBuffer>;
  commandLine: string;
  memoryBytes: number;
}

export function childJob(): ChildJob {
  return JSON.parse(process.argv[2]) as ChildJob;
}

export function loadGuest({ task, files }: ChildJob): LoadedGuest {
  const memoryBytes = memoryMiB(task) << 20;
  if (task.kind === "kernel") return { kernel: readBytes(files.kernels), commandLine: kernelCommandLine(task), memoryBytes };
  const linux = files.linux;
  if (!linux) throw new Error("the Linux task came without its files");
  return { kernel: readBytes(linux.kernel), initrd: readBytes(linux.initrd), commandLine: linux.commandLine, memoryBytes };
}

/** A copy with a buffer of its own: small reads of Node share one. */
function readBytes(file: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(file));
}

/** Writes at once, whatever the event loop is busy with: the harness notes the time of arrival. */
export function passOn(bytes: Uint8Array): void {
  writeSync(1, bytes);
}
