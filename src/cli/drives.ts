/** Opens the images named on the command line for the machine's drives, and closes them when the machine is no more. */
import { access, constants } from "node:fs/promises";
import type { OpenMedium } from "../machine/media-changer.ts";
import type { Drive, Drives, EmptyDrive } from "../machine/options.ts";
import type { DiskImage, HttpProgress } from "../storage/index.ts";
import { StorageError } from "../storage/index.ts";
import { isAddress, openImageFile } from "../storage/node.ts";
import { ReportingStorage } from "../storage/reporting.ts";
import type { DrivePlace, DriveRequest } from "./drive-options.ts";
import { UsageError } from "./error.ts";
import { fileExists, fileIdentity } from "./files.ts";

type DriveName = Exclude<DrivePlace, "virtio">;

export interface OpenDrives {
  readonly drives: Drives;
  readonly warnings: readonly string[];
  /** The medium of a drive has been taken out: brings what was written to it to stable storage and lets go of its file. */
  release(place: string): Promise<void>;
  /** Brings everything written to stable storage and lets go of the files. */
  close(): Promise<void>;
}

/** `say` tells the person what the guest gets as an I/O error. Errors: `UsageError`, `StorageError`; nothing stays open then. */
export async function openDrives(requests: readonly DriveRequest[], snapshot: boolean, say: (message: string) => void): Promise<OpenDrives> {
  refuseTwice(requests, snapshot);
  const images = new Map<string, DiskImage>();
  const release = async (place: string): Promise<void> => {
    const image = images.get(place);
    images.delete(place);
    await image?.close();
  };
  const warnings: string[] = [];
  const drives: Partial<Record<DriveName, Drive | EmptyDrive>> = {};
  const virtio: Drive[] = [];
  // One that cannot be closed properly (the host is full) must not leave the others unflushed and locked; files are closed before this returns its promise.
  const close = async (): Promise<void> => {
    const closed = await Promise.allSettled([...images.keys()].map(release));
    const failure = closed.find((result) => result.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  };
  try {
    for (const request of requests) {
      if (request.path === "") {
        drives[request.place as DriveName] = request.media === "cdrom" ? { storage: null, media: "cdrom" } : { storage: null };
        continue;
      }
      const image = await open(request, snapshot, warnings, say);
      images.set(request.place === "virtio" ? `virtio ${virtio.length}` : request.place, image);
      for (const warning of image.describe().warnings) warnings.push(`${request.path}: ${warning}`);
      const storage = new ReportingStorage(image, (message) => say(`the guest got an I/O error: ${message}`));
      const drive: Drive = { storage, media: request.media, name: request.path };
      if (request.place === "virtio") virtio.push(drive);
      else drives[request.place] = drive;
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { drives: { ...drives, virtio }, warnings, release, close };
}

/** A medium for a drive of the machine that runs, opened as it would have been from the start. Errors: `UsageError`, `StorageError`. */
export async function openMedium(place: DriveName, path: string, snapshot: boolean, say: (message: string) => void): Promise<OpenMedium> {
  const warnings: string[] = [];
  const media = place === "fda" || place === "fdb" ? ("disk" as const) : ("cdrom" as const);
  const request = { option: `insert ${path}`, place, path, media, readOnly: false, snapshot };
  const image = await open(request, snapshot, warnings, say);
  const storage = new ReportingStorage(image, (message) => say(`the guest got an I/O error: ${message}`));
  return { storage, name: path, warnings: [...warnings, ...image.describe().warnings], close: () => image.close() };
}

/** One file under two drives, by whatever names: nobody may write to it then. */
function refuseTwice(requests: readonly DriveRequest[], snapshotAll: boolean): void {
  const isWritten = ({ media, readOnly, snapshot }: DriveRequest): boolean => media !== "cdrom" && !readOnly && !snapshot && !snapshotAll;
  for (const [n, request] of requests.entries()) {
    const identity = fileIdentity(wholeName(request));
    const other = requests.slice(0, n).find((earlier) => identity !== undefined && fileIdentity(wholeName(earlier)) === identity);
    if (other === undefined || !(isWritten(request) || isWritten(other))) continue;
    throw new UsageError(`${request.option}: ${other.option} is the same file; give each drive its own, or open both with --snapshot or readonly`);
  }
}

async function open(request: DriveRequest, snapshotAll: boolean, warnings: string[], say: (message: string) => void): Promise<DiskImage> {
  const { path, format, media, place } = request;
  const isFloppy = place === "fda" || place === "fdb";
  if (isAddress(path) && media !== "cdrom" && !request.readOnly && !request.snapshot && !snapshotAll) {
    throw new UsageError(
      `${request.option}: an image on a web server cannot be written; add --snapshot, which keeps what the guest writes in memory`,
    );
  }
  const options = {
    ...(format === undefined ? {} : { format }),
    media: isFloppy ? ("floppy" as const) : media,
    snapshot: (request.snapshot || snapshotAll) && media !== "cdrom",
    readOnly: request.readOnly,
    onWarning: (message: string) => void warnings.push(message),
    http: { onProgress: sayProblems(path, say) },
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

/** A server that does not answer is asked again for some time, in which nothing else would be seen: each reason once. */
function sayProblems(path: string, say: (message: string) => void): (progress: HttpProgress) => void {
  const said = new Set<string>();
  return ({ problem }) => {
    if (problem === undefined || said.has(problem)) return;
    said.add(problem);
    say(`${path}: ${problem}; trying again`);
  };
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
