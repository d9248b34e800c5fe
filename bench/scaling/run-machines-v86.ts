// Child process: the same guest on several v86 machines at once.

import { V86 } from "v86";
import { childJob, loadGuest } from "../peers/guest-process.ts";
import { v86Options } from "../peers/v86-options.ts";
import { reportMachines } from "./machines-process.ts";

// A machine whose guest ends through port F4h throws this word out of its time slice; the others go on.
process.on("uncaughtException", (error: unknown) => {
  if (error !== "HALT") throw error;
});

const job = childJob();
const guest = loadGuest(job.guest);
await reportMachines(Number(job.settings.machines), async (onOutput) => {
  const emulator = new V86({ ...v86Options(guest, job.settings), autostart: false });
  emulator.add_listener("serial0-output-byte", (byte: number) => onOutput(Uint8Array.of(byte)));
  await new Promise<void>((ready) => emulator.add_listener("emulator-ready", () => ready()));
  return async () => {
    await emulator.run();
  };
});
