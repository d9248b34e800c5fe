/**
 * From a file to a disk: which format it has, the files under it, and what is odd about it. A backing file is named inside the image, that is by whoever made the
 * image: it is opened for reading only, and how a name becomes a file is the caller's choice (`openBacking`).
 */
import { type ByteStore, readPadded } from "./byte-store.ts";
import { StorageError } from "./error.ts";
import { floppyCapacity } from "./floppy.ts";
import { type DiskImage, type ImageFormat, type ImageMedia, roundUp, sectorSize } from "./image.ts";
import { SnapshotOverlay } from "./overlay.ts";
import { probeFormat, probeOptical } from "./probe.ts";
import { readHeader } from "./qcow2/header.ts";
import { Qcow2Image } from "./qcow2/image.ts";
import { readSnapshots } from "./qcow2/snapshots.ts";
import { RawImage } from "./raw.ts";
import { run, type Settling, type Steps } from "./steps.ts";

/** `chain`: the images over the one to open, `overlay` last. */
export type OpenBacking = (name: string, overlay: ByteStore, chain: readonly ByteStore[]) => Settling<ByteStore>;

export interface OpenImageOptions {
  /** Found out from the content where it is not given. */
  readonly format?: ImageFormat;
  readonly readOnly?: boolean;
  /** Writes are kept in memory, the file stays as it is. */
  readonly snapshot?: boolean;
  /** The drive that it is for, where that is known. */
  readonly media?: ImageMedia;
  /** Opens the file that `overlay` names as its backing file. Without it, images with backing files are refused. */
  readonly openBacking?: OpenBacking;
  /** Milliseconds after a write until metadata in memory is flushed though the guest does not ask for it (DOS never does); 0: never. */
  readonly idleFlush?: number;
}

const defaultIdleFlush = 2000;

const maximumChain = 64;

/** On failure the store is closed. */
export async function openImage(store: ByteStore, options: OpenImageOptions = {}): Promise<DiskImage> {
  try {
    const readOnly = options.readOnly === true || options.snapshot === true || store.readOnly;
    const image = await run(openLayer(store, { ...options, readOnly, chain: [], declared: true }));
    // Nothing writes to a CD, so there is nothing to keep.
    return options.snapshot && image.describe().media !== "cdrom" ? new SnapshotOverlay(image) : image;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Whether a file is taken for a CD or DVD when nobody says what it is. */
export function looksOptical(store: ByteStore): Settling<boolean> {
  return run(looksOpticalSteps(store));
}

function* looksOpticalSteps(store: ByteStore): Steps<boolean> {
  return (yield* probeFormat(store)) === "raw" && (yield* probeOptical(store)) !== undefined;
}

interface LayerOptions extends OpenImageOptions {
  readonly readOnly: boolean;
  /** The images above this one. */
  readonly chain: readonly ByteStore[];
  /** Somebody said which format this file has; the user who opens the image himself counts. */
  readonly declared: boolean;
}

function* openLayer(store: ByteStore, options: LayerOptions): Steps<DiskImage> {
  const format = options.format ?? (yield* probeFormat(store));
  return format === "raw" ? yield* openRaw(store, options) : yield* openQcow2(store, options);
}

function* openRaw(store: ByteStore, options: LayerOptions): Steps<DiskImage> {
  if (store.size === 0) {
    const found = "an empty file";
    throw new StorageError({ kind: "unsupported", file: store.name, expected: "a disk image", found, hint: "make one: qemu-img create FILE 1G" });
  }
  const warnings: string[] = [];
  const optical = yield* probeOptical(store);
  const media = options.media ?? (optical ? "cdrom" : "disk");
  if (media === "cdrom" && !optical) warnings.push("this does not look like a CD or DVD (no volume descriptor at offset 32768)");
  if (optical?.size !== undefined && optical.size > store.size) {
    warnings.push(`the file is truncated: the volume has ${optical.size} bytes, the file ${store.size}; copy or download it again`);
  }
  const unit = media === "cdrom" ? 2048 : sectorSize;
  const start = new Uint8Array(sectorSize);
  const waitingForStart = media === "floppy" ? readPadded(store, 0, start) : undefined;
  if (waitingForStart) yield waitingForStart;
  const size = media === "floppy" ? floppyCapacity(store.name, store.size, start) : roundUp(store.size, unit);
  const readOnly = options.readOnly || media === "cdrom";
  if (size !== store.size) {
    const growth = readOnly ? "" : "; the file grows when they are written";
    const what = media === "floppy" ? `not a floppy's size: taken for a floppy of ${size / 1024} KiB` : `not a multiple of ${unit}: taken as ${size}`;
    warnings.push(`the file's size, ${store.size} bytes, is ${what}; the missing bytes read as zeros${growth}`);
  }
  return new RawImage(store, { size, readOnly, media, warnings, guessed: options.format === undefined });
}

function* openQcow2(store: ByteStore, options: LayerOptions): Steps<DiskImage> {
  const header = yield* readHeader(store);
  const warnings: string[] = [];
  const { readOnly } = options;
  if (header.dirty && !readOnly) throw notWritable(store, "refcounts that were not brought up to date (the dirty bit is set: a program crashed)");
  if (header.corrupt && !readOnly) throw notWritable(store, "an image marked as corrupt");
  if (header.corrupt) warnings.push("the image is marked as corrupt: what is read may be wrong; repair it: qemu-img check -r all FILE");
  if (header.size % sectorSize !== 0)
    warnings.push(`the disk's size, ${header.size} bytes, is not a multiple of ${sectorSize}: the last sector is filled up with zeros`);
  if (header.hasBitmaps && header.autoclear !== 0n && !readOnly) {
    warnings.push("the image has dirty bitmaps, which become void when it is written: some clusters stay taken until qemu-img check -r leaks FILE");
  }
  const l1 = new Uint8Array(header.l1Entries * 8);
  const waitingForL1 = store.read(header.l1Offset, l1);
  if (waitingForL1) yield waitingForL1;
  const snapshots = yield* readSnapshots(store, header);
  let refcountTable: Uint8Array | undefined;
  if (!readOnly) {
    refcountTable = new Uint8Array(header.refcountTableClusters * header.clusterSize);
    const waiting = readPadded(store, header.refcountTableOffset, refcountTable);
    if (waiting) yield waiting;
  }
  const backing = header.backing ? yield* openBacking(store, header.backing, options) : undefined;
  try {
    return new Qcow2Image({
      store,
      header,
      snapshots,
      l1,
      refcountTable,
      backing,
      media: options.media ?? "disk",
      warnings,
      idleFlush: options.idleFlush ?? defaultIdleFlush,
    });
  } catch (error) {
    const closing = backing?.close();
    if (closing) yield closing;
    throw error;
  }
}

function* openBacking(
  overlay: ByteStore,
  reference: { readonly name: string; readonly format: string | undefined },
  options: LayerOptions,
): Steps<DiskImage> {
  const { name, format } = reference;
  const refuse = (expected: string, found: string, hint: string): StorageError =>
    new StorageError({ kind: "unsupported", file: overlay.name, expected, found, hint });
  const flatten = "or flatten the image: qemu-img convert -O qcow2 FILE NEW.qcow2";
  if (!options.openBacking) throw refuse("an image without a backing file", `the backing file "${name}"`, `give a way to open it, ${flatten}`);
  if (format !== undefined && format !== "raw" && format !== "qcow2") {
    throw refuse("a raw or qcow2 backing file", `one of format "${format}"`, `convert it, ${flatten}`);
  }
  if (!options.declared) {
    // The guest of a raw disk can write a qcow2 header into it: it must not choose a file of the host that way.
    throw refuse(
      "the backing file's format to be named where that file has a backing file, too",
      "an image whose format was guessed",
      "name the format in the image that refers to it: qemu-img rebase -u -F qcow2 -b BACKING FILE",
    );
  }
  const chain = [...options.chain, overlay];
  if (chain.length > maximumChain) throw refuse(`at most ${maximumChain} backing files`, "more", flatten);
  let store: ByteStore | undefined;
  try {
    const opening = options.openBacking(name, overlay, chain);
    if (opening instanceof Promise) {
      yield opening.then((opened) => {
        store = opened;
      });
    } else store = opening;
  } catch (error) {
    throw error instanceof StorageError && error.kind === "unavailable" ? withoutBacking(overlay, name, error) : error;
  }
  const opened = store!;
  try {
    refuseLoop(chain, opened);
    const declared = format !== undefined;
    return yield* openLayer(opened, { format, readOnly: true, media: "disk", openBacking: options.openBacking, chain, declared });
  } catch (error) {
    const closing = opened.close();
    if (closing) yield closing;
    throw error;
  }
}

/** Errors: `StorageError` if what is to be opened is one of the images over it. */
export function refuseLoop(chain: readonly ByteStore[], opened: Pick<ByteStore, "name" | "identity">): void {
  if (opened.identity === undefined || chain.every((layer) => layer.identity !== opened.identity)) return;
  throw new StorageError({
    kind: "unsupported",
    file: chain.at(-1)!.name,
    expected: "backing files that end",
    found: `a loop: ${[...chain, opened].map((layer) => layer.name).join(" -> ")}`,
    hint: "repair it: qemu-img rebase -u -b BACKING FILE",
  });
}

/** Who reads the message knows the image, but not that there is another one under it. */
function withoutBacking(overlay: ByteStore, name: string, cause: StorageError): StorageError {
  return new StorageError({
    kind: cause.kind,
    file: overlay.name,
    expected: `its backing file "${name}"`,
    found: `${cause.found} (${cause.file})`,
    hint: "put it there, or name where it is: qemu-img rebase -u -F FORMAT -b BACKING FILE",
    cause,
  });
}

function notWritable(store: ByteStore, found: string): StorageError {
  const hint = "repair it: qemu-img check -r all FILE; or open it read-only or with --snapshot";
  return new StorageError({ kind: "corrupt", file: store.name, offset: 72, expected: "a consistent image", found, hint });
}
