/** Disk images in the host's file system: for Node only, so that bundles for browsers stay free of node: modules. */
import { dirname, isAbsolute, join } from "node:path";
import type { ByteStore } from "./byte-store.ts";
import { StorageError } from "./error.ts";
import { HttpStore, type HttpStoreOptions, httpBacking } from "./http-store.ts";
import type { DiskImage } from "./image.ts";
import { FileStore } from "./node/file-store.ts";
import { looksOptical, type OpenImageOptions, openImage, refuseLoop } from "./open.ts";

export { FileStore, type FileStoreOptions } from "./node/file-store.ts";

export interface OpenImageFileOptions extends Omit<OpenImageOptions, "openBacking"> {
  readonly onWarning?: (message: string) => void;
  /** How an image on a web server is fetched. */
  readonly http?: HttpStoreOptions;
}

/** Whether a name is that of an image on a web server. */
export function isAddress(name: string): boolean {
  return /^https?:\/\//i.test(name);
}

/** Opens an image file, or one on a web server (read-only, or `snapshot`), with everything under it. Backing files are opened for reading only; their names count from the folder of the image that names them. */
export async function openImageFile(path: string, options: OpenImageFileOptions = {}): Promise<DiskImage> {
  if (isAddress(path)) return openAddress(path, options);
  // An optical disk is never written: several machines may use one file.
  const readOnly = options.readOnly === true || options.snapshot === true || options.media === "cdrom" || (await isOptical(path, options));
  const store = FileStore.open(path, { readOnly, onWarning: options.onWarning });
  return openImage(store, { ...options, openBacking: openBackingFile });
}

async function openAddress(address: string, options: OpenImageFileOptions): Promise<DiskImage> {
  const store = await HttpStore.open(address, options.http ?? {});
  return openImage(store, { ...options, openBacking: httpBacking(options.http) });
}

async function isOptical(path: string, { format, media }: OpenImageFileOptions): Promise<boolean> {
  if (media !== undefined || format === "qcow2") return false;
  const store = FileStore.open(path, { readOnly: true });
  try {
    return await looksOptical(store);
  } finally {
    store.close();
  }
}

/** The file that an image names as its backing file: a path, possibly with "file:" in front. `chain`: the images over it, the one that names it last. */
export function openBackingFile(name: string, overlay: ByteStore, chain: readonly ByteStore[] = [overlay]): ByteStore {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(name)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== "file") {
    throw new StorageError({
      kind: "unsupported",
      file: overlay.name,
      expected: "a backing file on this machine",
      found: `"${name}"`,
      hint: "copy it here and name the copy: qemu-img rebase -u -F FORMAT -b BACKING FILE",
    });
  }
  const path = name.replace(/^file:(\/\/(?=\/))?/i, "");
  const place = isAbsolute(path) ? path : join(dirname(overlay.name), path);
  // Before it is opened: an image that is written is locked, against itself as well.
  refuseLoop(chain, { name: place, identity: FileStore.identify(place) });
  return FileStore.open(place, { readOnly: true });
}
