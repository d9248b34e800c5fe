/** How files that are offered as disks begin: formats that must be converted, archives that must be unpacked, and downloads that went wrong. */

export interface Signature {
  readonly name: string;
  /** An image format of a virtual machine, something with an image inside, or no image at all. */
  readonly kind: "image" | "packed" | "other";
  /** Under which name qemu-img knows an image format. */
  readonly qemuName?: string;
  /** How to unpack it, or what else to do. */
  readonly hint?: string;
  readonly offset: number;
  readonly bytes: readonly number[];
}

const ascii = (text: string): number[] => Array.from(text, (c) => c.charCodeAt(0));

const image = (name: string, qemuName: string, bytes: readonly number[], offset = 0): Signature => ({ name, kind: "image", qemuName, bytes, offset });
const packed = (name: string, command: string, bytes: readonly number[]): Signature => ({
  name,
  kind: "packed",
  hint: `unpack it first: ${command}`,
  bytes,
  offset: 0,
});

export const qcowMagic: readonly number[] = [0x51, 0x46, 0x49, 0xfb];

const signatures: readonly Signature[] = [
  image("qcow", "qcow2", qcowMagic),
  image("VMDK", "vmdk", ascii("KDMV")),
  image("VMDK (ESX)", "vmdk", ascii("COWD")),
  image("VMDK descriptor", "vmdk", ascii("# Disk DescriptorFile")),
  image("VDI", "vdi", [0x7f, 0x10, 0xda, 0xbe], 64),
  image("VHDX", "vhdx", ascii("vhdxfile")),
  image("VHD", "vpc", ascii("conectix")),
  image("QED", "qed", ascii("QED\0")),
  image("Parallels", "parallels", ascii("WithoutFreeSpace")),
  image("Parallels", "parallels", ascii("WithouFreSpacExt")),
  image("Bochs", "bochs", ascii("Bochs Virtual HD Image")),
  packed("gzip", "gunzip FILE", [0x1f, 0x8b, 0x08]),
  packed("xz", "unxz FILE", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
  packed("bzip2", "bunzip2 FILE", ascii("BZh")),
  packed("Zstandard", "unzstd FILE", [0x28, 0xb5, 0x2f, 0xfd]),
  packed("LZ4", "unlz4 FILE", [0x04, 0x22, 0x4d, 0x18]),
  packed("7-Zip", "7z x FILE", [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]),
  packed("ZIP", "unzip FILE", [0x50, 0x4b, 0x03, 0x04]),
  packed("RAR", "unrar x FILE", ascii("Rar!\x1a\x07")),
  {
    name: "raw CD (2352-byte sectors)",
    kind: "other",
    hint: "convert it to ISO: bchunk FILE.bin FILE.cue NAME, or iat FILE NAME.iso",
    offset: 0,
    bytes: [0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0],
  },
  { name: "Git LFS pointer", kind: "other", hint: "fetch the file itself: git lfs pull", offset: 0, bytes: ascii("version https://git-lfs") },
];

export function recognise(start: Uint8Array): Signature | undefined {
  return signatures.find(({ offset, bytes }) => bytes.every((byte, i) => start[offset + i] === byte));
}

/** Formats that sign at their end: the last sector begins with it. */
export function recogniseTrailer(last: Uint8Array): Signature | undefined {
  const begins = (text: string): boolean => ascii(text).every((byte, i) => last[i] === byte);
  if (begins("conectix")) return image("VHD (fixed size)", "vpc", []);
  if (begins("koly")) return image("DMG", "dmg", []);
  return undefined;
}

/** A page or message of a web server, saved under the image's name; undefined for everything with binary content. */
export function textKind(start: Uint8Array): "HTML" | "text" | undefined {
  // Bytes that text in any encoding in use has: no control characters but tab, line ends, form feed and escape.
  if (start.length === 0 || !start.every((byte) => byte >= 0x20 || (byte >= 9 && byte <= 13) || byte === 27)) return undefined;
  return /^\W*<(!doctype\s+html|html|head|body|\?xml)/i.test(new TextDecoder("latin1").decode(start)) ? "HTML" : "text";
}
