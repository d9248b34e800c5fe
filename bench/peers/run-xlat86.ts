// Child process: one guest on this project.

import { pathToFileURL } from "node:url";
import { childJob, loadGuest, passOn, STATS_MARKER, TextWatch } from "./guest-process.ts";

const job = childJob();
const { createMachine } = (await import(pathToFileURL(`${job.settings.package}`).href)) as typeof import("../../src/index.ts");
const guest = loadGuest(job.guest);
const machine = createMachine({
  kernel: guest.kernel,
  initrd: guest.initrd,
  append: guest.commandLine,
  memory: guest.memoryBytes,
  engine: job.settings.engine === "interpret" ? "interpret" : "translate",
});
// After the guest's own end, or once the last text has passed, the counters go out as one more line.
const end = new TextWatch(guest.lastText);
machine.on("serial", (bytes) => {
  passOn(bytes);
  if (end.seen(bytes)) machine.pause();
});
const exit = await machine.run();
if (exit.reason === "triple-fault") console.error(`triple fault: ${exit.state}`);
passOn(new TextEncoder().encode(`\n${STATS_MARKER}${JSON.stringify(machine.stats())}\n`));
process.exit(0);
