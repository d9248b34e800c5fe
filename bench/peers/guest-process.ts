// What the child processes that run a guest in this Node share: the guest's files read into memory, and guest output passed on as it comes.

import { readFileSync, writeSync } from "node:fs";
import nodeModule from "node:module";
import type { Guest } from "./peer.ts";

/** Begins the line with the counters of a peer that has some. */
export const STATS_MARKER = "STATS ";

/** What a child process gets as its one argument, in JSON. */
export interface ChildJob {
  guest: Guest;
  /** The peer's own settings. */
  settings: Record<string, string | boolean>;
}

export interface LoadedGuest {
  boot: Guest["boot"];
  kernel: Uint8Array<ArrayBuffer>;
  initrd?: Uint8Array<ArrayBuffer>;
  commandLine: string;
  memoryBytes: number;
  lastText: string;
  usesApic: boolean;
}

export function childJob(): ChildJob {
  // As the command does (src/cli/main.ts): V8's bytecode of what is imported from now on is kept between runs.
  nodeModule.enableCompileCache?.();
  return JSON.parse(process.argv[2]) as ChildJob;
}

export function loadGuest(guest: Guest): LoadedGuest {
  const { boot, commandLine, lastText } = guest;
  const loaded: LoadedGuest = {
    boot,
    kernel: readBytes(guest.kernel),
    commandLine,
    memoryBytes: guest.memoryMiB * 2 ** 20,
    lastText,
    usesApic: guest.usesApic === true,
  };
  if (guest.initrd !== undefined) loaded.initrd = readBytes(guest.initrd);
  return loaded;
}

/** A copy with a buffer of its own: small reads of Node share one. */
function readBytes(file: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(file));
}

/** Writes at once, whatever the event loop is busy with: the harness notes the time of arrival. */
export function passOn(bytes: Uint8Array): void {
  writeSync(1, bytes);
}

/** Says when `text` has gone by in a stream of output. */
export class TextWatch {
  private readonly text: string;
  private tail = "";

  constructor(text: string) {
    this.text = text;
  }

  seen(bytes: Uint8Array): boolean {
    const all = this.tail + Buffer.from(bytes).toString("latin1");
    this.tail = all.slice(-this.text.length);
    return all.includes(this.text);
  }
}
