// Child process: one guest on this project.

import { LINUX_READY_LINE } from "../../src/guest/initramfs.ts";
import { createMachine } from "../../src/index.ts";
import { childJob, loadGuest, passOn, STATS_MARKER } from "./guest-process.ts";

const job = childJob();
const guest = loadGuest(job);
const machine = createMachine({
  kernel: guest.kernel,
  initrd: guest.initrd,
  append: guest.commandLine,
  memory: guest.memoryBytes,
  engine: job.settings.engine === "interpret" ? "interpret" : "translate",
});
// After the guest's own end, or once the marker of the Linux boot has passed, the counters go out as one more line.
let tail = "";
machine.on("serial", (bytes) => {
  passOn(bytes);
  if (job.task.kind !== "linux") return;
  tail = (tail + new TextDecoder("latin1").decode(bytes)).slice(-2 * LINUX_READY_LINE.length);
  if (tail.includes(LINUX_READY_LINE)) machine.pause();
});
await machine.run();
passOn(new TextEncoder().encode(`\n${STATS_MARKER}${JSON.stringify(machine.stats())}\n`));
process.exit(0);
