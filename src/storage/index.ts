/** Disk images: where their bytes come from, their formats, and what is kept in memory over them. Runs in browsers and in Node; files of the host are in node.ts. */
export { BlobStore } from "./blob-store.ts";
export type { ByteStore } from "./byte-store.ts";
export { StorageError, type StorageErrorKind, type StorageProblem } from "./error.ts";
export { type HttpProgress, HttpStore, type HttpStoreOptions, httpBacking } from "./http-store.ts";
export type { DiskImage, ImageDescription, ImageFormat, ImageMedia } from "./image.ts";
export { MemoryStore } from "./memory-store.ts";
export { type OpenBacking, type OpenImageOptions, openImage } from "./open.ts";
export { OpfsStore, type SyncAccessHandle } from "./opfs-store.ts";
export { type OverlayState, SnapshotOverlay } from "./overlay.ts";
export { type CreateOptions, createQcow2 } from "./qcow2/create.ts";
