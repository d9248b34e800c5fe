/** `xlat86 guest linux`: Debian's kernel and busybox, fetched once, booted to a shell. `xlat86 guest debian`: a whole Debian on a disk that is kept. */
import { fetchLinuxGuest, LINUX_COMMAND_LINE } from "../guest/debian.ts";
import { debianCommandLine, fetchDebianDisk, openKeptDisk } from "../guest/debian-disk.ts";
import { progressBar } from "../guest/progress.ts";
import type { RunOptions } from "./arguments.ts";
import type { DriveRequest } from "./drive-options.ts";
import { UsageError } from "./error.ts";
import { readGuestFile } from "./files.ts";
import { runAtTerminal, withDrives } from "./run.ts";

export async function runLinuxGuest(options: RunOptions): Promise<number> {
  for (const name of ["fresh", "snapshot"] as const) {
    if (options[name]) throw new UsageError(`--${name}: guest linux has no disk; guest debian has one`);
  }
  const files = await fetchLinuxGuest({ onProgress: progressBar(process.stderr) });
  const append = options.append === undefined ? LINUX_COMMAND_LINE : `${LINUX_COMMAND_LINE} ${options.append}`;
  const images = { kernel: readGuestFile("kernel", files.kernel), initrd: readGuestFile("initrd", files.initrd), append };
  return withDrives([], options, (_, guidance) => runAtTerminal(images, options, guidance));
}

/** Errors: `GuestFetchError`, `StorageError`. */
export async function runDebianGuest(options: RunOptions): Promise<number> {
  const disk = await fetchDebianDisk({ onProgress: progressBar(process.stderr) });
  const kept = await openKeptDisk(disk, { fresh: options.fresh });
  if (kept.renewed !== undefined) process.stderr.write(`xlat86: ${kept.path}: begun anew: ${kept.renewed}\n`);
  const request: DriveRequest = {
    option: "guest debian",
    place: options.bus === "ide" ? "hda" : "virtio",
    path: kept.path,
    media: "disk",
    format: "qcow2",
    readOnly: false,
    snapshot: options.snapshot,
  };
  const append = debianCommandLine(options.bus, options.append);
  const images = { kernel: readGuestFile("kernel", disk.kernel), initrd: readGuestFile("initrd", disk.initrd), append };
  return withDrives([request], options, (drives, guidance) => runAtTerminal({ ...images, drives }, options, guidance));
}
