// Child process: Debian's disk on this project; writes stay in memory.

import { readFileSync } from "node:fs";
import { createMachine } from "../../src/index.ts";
import { openImageFile } from "../../src/storage/node.ts";
import { diskJob, passingOn } from "./disk-child.ts";

const job = diskJob();
const drive = { storage: await openImageFile(job.image, { media: "disk", format: "raw", snapshot: true }), name: "disk" };
const machine = createMachine({
  kernel: readFileSync(job.kernel),
  initrd: readFileSync(job.initrd),
  append: job.commandLine,
  memory: job.memoryMiB << 20,
  drives: job.bus === "ide" ? { hda: drive } : { virtio: [drive] },
});
machine.on("serial", passingOn(job));
await machine.run();
process.exit(0);
