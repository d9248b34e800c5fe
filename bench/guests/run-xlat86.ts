// Child process: one guest from media on this project.

import { readFileSync } from "node:fs";
import { createMachine } from "../../src/index.ts";
import { openImageFile } from "../../src/storage/node.ts";
import { say, screenJob } from "./child.ts";

const job = screenJob();
const drives: Record<string, { storage: Awaited<ReturnType<typeof openImageFile>>; media: "disk" | "cdrom"; name: string }> = {};
for (const [place, file] of Object.entries(job.drives)) {
  const isCd = file.endsWith(".iso");
  const media = isCd ? "cdrom" : place === "fda" ? "floppy" : "disk";
  drives[place] = {
    storage: await openImageFile(file, isCd ? { media } : { media, format: "raw", snapshot: true }),
    media: isCd ? "cdrom" : "disk",
    name: place,
  };
}
const firmware = { bios: readFileSync(job.firmware.bios), vgaBios: readFileSync(job.firmware.vgaBios) };
const machine = createMachine({ ...firmware, drives, boot: job.boot, memory: job.memoryMiB << 20 });
void machine.run();
await machine.screen.waitForText(new RegExp(job.landmark), { timeout: 1e6 });
say(job);
process.exit(0);
