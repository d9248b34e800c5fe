// Child process: one guest on this project.

import { createMachine } from "../../src/index.ts";
import { childJob, loadGuest, passOn } from "./guest-process.ts";

const job = childJob();
const guest = loadGuest(job);
const machine = createMachine({
  kernel: guest.kernel,
  initrd: guest.initrd,
  append: guest.commandLine,
  memory: guest.memoryBytes,
  engine: job.settings.engine === "interpret" ? "interpret" : "translate",
});
machine.on("serial", passOn);
await machine.run();
