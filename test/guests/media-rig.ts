/** Guests booted from media of Debian's packages (src/guest/media.ts), as tests drive them. */
import { readFileSync } from "node:fs";
import type { DriveFiles } from "../../bench/guests/guests.ts";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { type BootMedia, fetchBootMedia } from "../../src/guest/media.ts";
import { createMachine, type Machine, type MachineOptions } from "../../src/index.ts";
import { drive } from "./boot-media.ts";
import type { Availability } from "./oracle.ts";

export interface Media {
  readonly media: BootMedia;
  readonly firmware: { readonly bios: Uint8Array; readonly vgaBios: Uint8Array };
}

/** The media, or why there are none. */
export async function availableMedia(): Promise<{ state: Availability; files?: Media }> {
  try {
    const { bios, vgaBios } = await fetchFirmware();
    const media = await fetchBootMedia();
    return { state: { available: true }, files: { media, firmware: { bios: readFileSync(bios), vgaBios: readFileSync(vgaBios) } } };
  } catch (error) {
    return { state: { available: false, reason: String(error) } };
  }
}

/** Drives with copies in memory of the files. */
export function drivesOf(files: DriveFiles): MachineOptions["drives"] {
  return Object.fromEntries(
    Object.entries(files).map(([place, file]) => [place, drive(new Uint8Array(readFileSync(file)), place, file.endsWith(".iso") ? "cdrom" : "disk")]),
  );
}

/** Runs a machine while `during` drives it; ends it after that. */
export async function driven(options: MachineOptions, seconds: number, during: (machine: Machine) => Promise<unknown>): Promise<void> {
  const machine = createMachine(options);
  try {
    const run = machine.run({ timeout: seconds });
    await during(machine);
    machine.pause();
    await run;
  } finally {
    machine.destroy();
  }
}
