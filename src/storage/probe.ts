/** What a file is, from its first bytes and its last; and what to do where it is no disk image that can be used. */
import { type ByteStore, readPadded } from "./byte-store.ts";
import { StorageError } from "./error.ts";
import type { ImageFormat } from "./image.ts";
import { recognise, recogniseTrailer, type Signature, textKind } from "./signatures.ts";
import type { Steps } from "./steps.ts";

const startLength = 4096;
/** ISO 9660: 16 sectors of 2048 bytes are the system's, then volume descriptors, each "CD001" from its second byte (ECMA-119, 8.1). */
const volumeDescriptor = 32768;

export function* probeFormat(store: ByteStore): Steps<ImageFormat> {
  if (store.size === 0) {
    throw refuse(store, "a disk image", "an empty file", "the download or copy failed, or the wrong file was given");
  }
  const start = new Uint8Array(Math.min(startLength, store.size));
  const waiting = store.read(0, start);
  if (waiting) yield waiting;
  const found = recognise(start);
  if (found?.qemuName === "qcow2") return "qcow2";
  if (found) throw refuseSignature(store, found);
  const text = textKind(start);
  if (text === "HTML")
    throw refuse(store, "a disk image", "an HTML page", "the download failed: open the address in a browser and save the image itself");
  // A data disk may begin with text (a tar archive does); a short file of nothing else is a message.
  if (text === "text" && store.size <= startLength) {
    throw refuse(store, "a disk image", "text", "the download failed or the wrong file was given; if it is meant to be a disk, give format=raw");
  }
  if (store.size >= 512) {
    const last = new Uint8Array(512);
    const waitingForLast = store.read(store.size - 512, last);
    if (waitingForLast) yield waitingForLast;
    const trailer = recogniseTrailer(last);
    if (trailer) throw refuseSignature(store, trailer);
  }
  return "raw";
}

export interface OpticalVolume {
  /** Bytes that the volume descriptor claims; undefined for UDF without ISO 9660. */
  readonly size: number | undefined;
}

/** Whether a raw image is that of a CD or DVD. */
export function* probeOptical(store: ByteStore): Steps<OpticalVolume | undefined> {
  if (store.size < volumeDescriptor + 8) return undefined;
  const descriptor = new Uint8Array(2048);
  const waiting = readPadded(store, volumeDescriptor, descriptor);
  if (waiting) yield waiting;
  const identifier = String.fromCharCode(...descriptor.subarray(1, 6));
  if (identifier === "BEA01" || identifier === "NSR02" || identifier === "NSR03") return { size: undefined };
  if (identifier !== "CD001") return undefined;
  const view = new DataView(descriptor.buffer);
  // Primary volume descriptor (type 1): volume space size in logical blocks, logical block size; both little-endian first (ECMA-119, 8.4.8 and 8.4.12).
  return { size: descriptor[0] === 1 ? view.getUint32(80, true) * view.getUint16(128, true) : undefined };
}

function refuseSignature(store: ByteStore, found: Signature): StorageError {
  if (found.kind === "image") {
    const hint = `convert it: qemu-img convert -f ${found.qemuName} -O qcow2 FILE NEW.qcow2`;
    return refuse(store, "a raw or qcow2 image", `a ${found.name} image`, hint);
  }
  const what = found.kind === "packed" ? `a file compressed by ${found.name}` : `a ${found.name} file`;
  return refuse(store, "a disk image", what, found.hint ?? "");
}

function refuse(store: ByteStore, expected: string, found: string, hint: string): StorageError {
  return new StorageError({ kind: "unsupported", file: store.name, offset: 0, expected, found, hint });
}
