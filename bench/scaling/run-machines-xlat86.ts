// Child process: the same guest on several machines of this project at once.

import { createMachine } from "../../src/index.ts";
import { childJob, loadGuest } from "../peers/guest-process.ts";
import { reportMachines } from "./machines-process.ts";

const job = childJob();
const guest = loadGuest(job.guest);
await reportMachines(Number(job.settings.machines), async (onOutput) => {
  const machine = createMachine({ kernel: guest.kernel, append: guest.commandLine, memory: guest.memoryBytes });
  machine.on("serial", onOutput);
  return async () => {
    await machine.run();
  };
});
