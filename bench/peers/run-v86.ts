// Child process: one guest on v86.

import { childJob, loadGuest, passOn } from "./guest-process.ts";
import { v86Options } from "./v86-options.ts";

const NEWLINE = 0x0a;

const { guest, settings } = childJob();
const { V86 } = await import("v86");
const emulator = new V86(v86Options(loadGuest(guest), settings));

// Whole lines: a system call for each byte would be charged to the guest.
let line: number[] = [];
emulator.add_listener("serial0-output-byte", (byte: number) => {
  line.push(byte);
  if (byte !== NEWLINE) return;
  passOn(Uint8Array.from(line));
  line = [];
});
