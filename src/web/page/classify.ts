/** Where a file that somebody drops belongs, by its content. What opens it later looks more closely and says what is wrong with it. */
import type { DrivePlace } from "../protocol.ts";

export type FileRole = DrivePlace | "kernel" | "initrd";

const largestFloppy = 2880 * 1024;
const headLength = 0x8006;
const multiboot = { magic: 0x1badb002, within: 8192 } as const;

export async function classify(file: File): Promise<FileRole> {
  const bytes = new Uint8Array(await file.slice(0, headLength).arrayBuffer());
  const view = new DataView(bytes.buffer);
  const text = (offset: number, length: number): string => String.fromCharCode(...bytes.subarray(offset, offset + length));
  if (text(0x8001, 5) === "CD001") return "hdc";
  if (text(0, 3) === "QFI") return "hda";
  if (text(0x202, 4) === "HdrS") return "kernel";
  for (let at = 0; at + 4 <= Math.min(bytes.length, multiboot.within); at += 4) if (view.getUint32(at, true) === multiboot.magic) return "kernel";
  if ((bytes[0] === 0x1f && bytes[1] === 0x8b) || text(0, 5) === "07070") return "initrd";
  return file.size <= largestFloppy ? "fda" : "hda";
}
