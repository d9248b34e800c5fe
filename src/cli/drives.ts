/** Opens the images named on the command line for the machine's drives, and closes them when the machine is no more. */
import { access, constants } from "node:fs/promises";
import type { Drive, Drives } from "../machine/options.ts";
import type { DiskImage } from "../storage/index.ts";
import { StorageError } from "../storage/index.ts";
import { openImageFile } from "../storage/node.ts";
import { ReportingStorage } from "../storage/reporting.ts";
import type { DrivePlace, DriveRequest } from "./drive-options.ts";
import { UsageError } from "./error.ts";
import { fileExists } from "./files.ts";

export interface OpenDrives {
  readonly drives: Drives;
  readonly warnings: readonly string[];
  /** Brings everything written to stable storage and lets go of the files. */
  close(): Promise<void>;
}

/** Errors: `UsageError`, `StorageError`; nothing stays open then. */
export async function openDrives(requests: readonly DriveRequest[], snapshot: boolean): Promise<OpenDrives> {
  const images: DiskImage[] = [];
  const warnings: string[] = [];
  const drives: Partial<Record<Exclude<DrivePlace, "virtio">, Drive>> = {};
  const virtio: Drive[] = [];
  // One that cannot be closed properly (the host is full) must not leave the others unflushed and locked.
  const close = async (): Promise<void> => {
    let failure: { readonly error: unknown } | undefined;
    for (const image of images.splice(0)) {
      try {
        await image.close();
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  };
  try {
    for (const request of requests) {
      const image = await open(request, snapshot, warnings);
      images.push(image);
      for (const warning of image.describe().warnings) warnings.push(`${request.path}: ${warning}`);
      const storage = new ReportingStorage(image, (message) => process.stderr.write(`\nxlat86: the guest got an I/O error: ${message}\n`));
      const drive: Drive = { storage, media: request.media, name: request.path };
      if (request.place === "virtio") virtio.push(drive);
      else drives[request.place] = drive;
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { drives: { ...drives, virtio }, warnings, close };
}

async function open(request: DriveRequest, snapshotAll: boolean, warnings: string[]): Promise<DiskImage> {
  const { path, format, media, place } = request;
  const isFloppy = place === "fda" || place === "fdb";
  const options = {
    ...(format === undefined ? {} : { format }),
    media: isFloppy ? ("floppy" as const) : media,
    snapshot: (request.snapshot || snapshotAll) && media !== "cdrom",
    readOnly: request.readOnly,
    onWarning: (message: string) => void warnings.push(message),
  };
  try {
    return await openImageFile(wholeName(request), options);
  } catch (error) {
    if (!isForbidden(error) || options.readOnly || options.snapshot) throw error;
    // A floppy can be write-protected; a disk that cannot be written is nothing that guests expect.
    if (!isFloppy && (await canBeRead(request)))
      throw new UsageError(
        `${request.option}: ${path} may not be written; make it writable, or add --snapshot, which keeps what the guest writes in memory`,
      );
    // What may not be read either fails here, and says so.
    const image = await openImageFile(wholeName(request), { ...options, readOnly: true });
    warnings.push(`${path} may not be written: the floppy is write-protected`);
    return image;
  }
}

async function canBeRead(request: DriveRequest): Promise<boolean> {
  return access(wholeName(request), constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** A file whose name has a comma in it can be named as it is. */
function wholeName({ option, path }: DriveRequest): string {
  const whole = option.slice(option.indexOf(" ") + 1);
  return !option.startsWith("--drive") && whole !== path && fileExists(whole) ? whole : path;
}

function isForbidden(error: unknown): boolean {
  const code = error instanceof StorageError ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined;
  return code === "EACCES" || code === "EPERM" || code === "EROFS";
}
