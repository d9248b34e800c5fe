// Child process: one guest on v86.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { V86 } from "v86";
import { childJob, loadGuest, passOn } from "./guest-process.ts";

const NEWLINE = 0x0a;

const job = childJob();
const guest = loadGuest(job);
const buildDirectory = dirname(createRequire(import.meta.url).resolve("v86"));
const image = (bytes: Uint8Array<ArrayBuffer>) => ({ buffer: bytes.buffer });
const firmware = job.settings.bios ? { bios: { url: String(job.settings.bios) }, vga_bios: { url: String(job.settings.vgaBios) } } : {};
const boot =
  job.task.kind === "linux" && guest.initrd ? { bzimage: image(guest.kernel), initrd: image(guest.initrd) } : { multiboot: image(guest.kernel) };

const emulator = new V86({
  wasm_path: join(buildDirectory, "v86.wasm"),
  memory_size: guest.memoryBytes,
  vga_memory_size: 2 << 20,
  ...firmware,
  ...boot,
  cmdline: guest.commandLine,
  disable_jit: job.settings.interpret === true,
  autostart: true,
});

// Whole lines: a system call for each byte would be charged to the guest.
let line: number[] = [];
emulator.add_listener("serial0-output-byte", (byte: number) => {
  line.push(byte);
  if (byte !== NEWLINE) return;
  passOn(Uint8Array.from(line));
  line = [];
});
