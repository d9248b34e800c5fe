/**
 * From what was chosen on the page to what the machine is given: files as bytes, images as drives. What a guest writes goes to memory, or, where it is to be kept, to a
 * qcow2 image in the browser's private file system that names the chosen image as its backing file.
 */
import type { OpenMedium } from "../../machine/media-changer.ts";
import type { Drive } from "../../machine/options.ts";
import {
  BlobStore,
  type ByteStore,
  createQcow2,
  type DiskImage,
  HttpStore,
  httpBacking,
  type ImageDescription,
  OpfsStore,
  openImage,
  StorageError,
} from "../../storage/index.ts";
import type { DrivePlace, DriveSetup, ImageSource, MediumSource } from "../protocol.ts";
import { watched } from "../session/watched-drive.ts";
import { overlayPath, storedPath } from "../stored-disks.ts";
import { type DownloadProgress, download } from "./download.ts";

export interface ImageEvents {
  download(name: string, progress: DownloadProgress & { readonly problem?: string }, isWhole: boolean): void;
  activity(place: string, read: number, written: number): void;
}

export interface OpenedDrive {
  readonly drive: Drive;
  readonly image: DiskImage;
  readonly description: ImageDescription;
}

/** A medium for a drive of a machine that runs; what is written to it stays in memory. Errors: `StorageError`. */
export async function openMedium(place: DrivePlace, source: MediumSource, events: ImageEvents): Promise<OpenMedium> {
  if (source.kind === "upload") throw new TypeError("a worker is given the files themselves");
  const media = place.startsWith("fd") ? ("floppy" as const) : ("cdrom" as const);
  const image = await openPlain(source, media, events);
  return {
    storage: watched(image, (read, written) => events.activity(place, read, written)),
    name: nameOf(source),
    warnings: image.describe().warnings,
    close: () => image.close(),
  };
}

export function nameOf(source: ImageSource): string {
  return source.kind === "file" ? source.file.name : source.kind === "url" ? source.url : source.name;
}

/** Errors: `StorageError`. */
export async function readWhole(source: ImageSource, events: ImageEvents): Promise<{ name: string; bytes: Uint8Array }> {
  const name = nameOf(source);
  if (source.kind === "url") return { name, bytes: await download(source.url, (progress) => events.download(name, progress, true)) };
  const store = await storeOf(source, events);
  try {
    const bytes = new Uint8Array(store.size);
    await store.read(0, bytes);
    return { name, bytes };
  } finally {
    await store.close();
  }
}

/** Errors: `StorageError`. */
export async function openDrive({ place, source, keep }: DriveSetup, events: ImageEvents): Promise<OpenedDrive> {
  const media = place.startsWith("fd") ? ("floppy" as const) : undefined;
  const image = keep && source.kind !== "stored" ? await openKept(source, events) : await openPlain(source, media, events);
  const description = image.describe();
  const drive: Drive = {
    storage: watched(image, (read, written) => events.activity(place, read, written)),
    media: description.media === "cdrom" && place.startsWith("hd") ? "cdrom" : "disk",
    name: nameOf(source),
  };
  return { drive, image, description };
}

async function openPlain(source: ImageSource, media: "floppy" | "cdrom" | undefined, events: ImageEvents): Promise<DiskImage> {
  const store = await storeOf(source, events);
  const backing = source.kind === "url" ? { openBacking: httpBacking() } : {};
  return openImage(store, { ...backing, ...(media ? { media } : {}), ...(source.kind === "stored" ? { format: "qcow2" } : { snapshot: true }) });
}

/** A qcow2 image over the chosen one; the one of last time where there is one. */
async function openKept(source: Exclude<ImageSource, { kind: "stored" }>, events: ImageEvents): Promise<DiskImage> {
  const base = await openImage(await storeOf(source, events), { readOnly: true });
  const { format, media } = base.describe();
  // Nothing is ever written to a CD.
  if (media === "cdrom") return base;
  await base.close();
  const overlay = await OpfsStore.open(await overlayPath(source), { create: true });
  try {
    if (overlay.size === 0) await createQcow2(overlay, { size: base.size, backing: { name: nameOf(source), format } });
  } catch (error) {
    overlay.close();
    throw error;
  }
  let isFirst = true;
  const deeper = source.kind === "url" ? httpBacking() : undefined;
  const openBacking = async (name: string, over: ByteStore): Promise<ByteStore> => {
    if (isFirst) {
      isFirst = false;
      return storeOf(source, events);
    }
    if (deeper) return deeper(name, over);
    throw new StorageError({
      kind: "unsupported",
      file: over.name,
      expected: "an image without a backing file",
      found: `the backing file "${name}"`,
      hint: "flatten the image: qemu-img convert -O qcow2 FILE NEW.qcow2",
    });
  };
  return openImage(overlay, { format: "qcow2", openBacking });
}

async function storeOf(source: ImageSource, events: ImageEvents): Promise<ByteStore> {
  switch (source.kind) {
    case "file":
      return new BlobStore(source.file);
    case "url":
      return HttpStore.open(source.url, { onProgress: (progress) => events.download(source.url, progress, false) });
    case "stored": {
      const store = await OpfsStore.open(storedPath(source.name), { create: source.size !== undefined });
      if (store.size === 0 && source.size !== undefined) await createQcow2(store, { size: source.size });
      return store;
    }
  }
}
