// Child process: Debian's disk on v86, which has IDE only; the whole image is in memory, and writes stay there.

import { readFileSync } from "node:fs";
import { V86 } from "v86";
import { loadGuest } from "../peers/guest-process.ts";
import { v86Options } from "../peers/v86-options.ts";
import { diskJob, passingOn } from "./disk-child.ts";

const job = diskJob();
const guest = loadGuest({ boot: "linux", ...job });
const settings = { bios: `${job.v86Firmware}/bios.bin`, vgaBios: `${job.v86Firmware}/vgabios.bin` };
// A file this large has a buffer of its own.
const emulator = new V86({ ...v86Options(guest, settings), hda: { buffer: readFileSync(job.image).buffer } });

const NEWLINE = 0x0a;
const pass = passingOn(job);
// Whole lines, or what there is when the guest waits: a system call for each byte would be charged to it.
let line: number[] = [];
const flush = (): void => {
  if (line.length > 0) pass(Uint8Array.from(line));
  line = [];
};
emulator.add_listener("serial0-output-byte", (byte: number) => {
  line.push(byte);
  if (byte === NEWLINE) flush();
});
setInterval(flush, 10);
