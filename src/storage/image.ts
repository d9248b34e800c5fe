import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import { StorageError } from "./error.ts";
import type { Settling } from "./steps.ts";

export type ImageFormat = "raw" | "qcow2";

/** What a drive would take it for. */
export type ImageMedia = "disk" | "cdrom" | "floppy";

export interface ImageDescription {
  readonly name: string;
  readonly format: ImageFormat;
  /** What the content looks like, or what it was opened as. */
  readonly media: ImageMedia;
  /** Capacity in bytes, as the guest sees it. */
  readonly size: number;
  /** Bytes of the image file. */
  readonly fileSize: number;
  readonly readOnly: boolean;
  /** Writes are kept in memory. */
  readonly snapshot: boolean;
  readonly clusterSize?: number;
  /** The format's version (qcow2: 2 or 3). */
  readonly version?: number;
  readonly backing?: ImageDescription;
  readonly snapshots?: readonly { readonly id: string; readonly name: string; readonly seconds: number }[];
  /** What is odd about it though it can be used. */
  readonly warnings: readonly string[];
}

/** An open image: the storage that a drive is given, and what can be said about it. */
export interface DiskImage extends BlockStorage {
  describe(): ImageDescription;
  /** Flushes and lets go of the files. */
  close(): Settling<void>;
}

export const sectorSize = 512;

/** Refuses what a controller must not ask for, so that its mistake is not the image's harm. */
export function checkRequest(file: string, size: number, offset: number, length: number): void {
  if (offset >= 0 && offset + length <= size && offset % sectorSize === 0 && length % sectorSize === 0) return;
  throw new StorageError({
    kind: "request",
    file,
    offset,
    expected: `whole sectors within the disk's ${size} bytes`,
    found: `a request for ${length} bytes`,
    hint: "the controller asks for sectors that the disk does not have",
  });
}

export const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
