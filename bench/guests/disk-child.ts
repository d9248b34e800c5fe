// What the child processes of the disk measurements share: their job, and the guest's serial line passed on to the harness.

import { writeSync } from "node:fs";
import type { DebianBus } from "../../src/guest/debian-disk.ts";
import { TextWatch } from "../peers/guest-process.ts";

export interface DiskJob {
  /** Paths. */
  kernel: string;
  initrd: string;
  image: string;
  commandLine: string;
  memoryMiB: number;
  bus: DebianBus;
  /** Of the guest's output; it need not end a line. */
  lastText: string;
  /** After these a child that has started QEMU ends it. */
  seconds: number;
  /** Directory of SeaBIOS in the size that v86 takes. */
  v86Firmware: string;
}

/** The line that follows the last text. */
export const DISK_DONE = "LAST TEXT SEEN";

export function diskJob(): DiskJob {
  return JSON.parse(process.argv[2]) as DiskJob;
}

/** Takes the guest's output; `finish` is called before the harness hears that the last text has come, as it then kills this process. */
export function passingOn(job: DiskJob, finish: () => void = () => {}): (bytes: Uint8Array) => void {
  const end = new TextWatch(job.lastText);
  return (bytes) => {
    writeSync(1, bytes);
    if (!end.seen(bytes)) return;
    finish();
    writeSync(1, `\n${DISK_DONE}\n`);
  };
}
