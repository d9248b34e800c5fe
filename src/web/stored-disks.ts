/**
 * Where disks are in the browser's private file system: `disks/NAME.qcow2` for those made here, `changes/KEY.qcow2` for what was written over an image that is elsewhere.
 * The key stands for one version of that image: over another version, the changes would be garbage.
 */
import type { ImageSource } from "./protocol.ts";

export const diskFolder = "disks";
export const changesFolder = "changes";
const extension = ".qcow2";

export const storedPath = (name: string): string => `${diskFolder}/${fileName(name)}${extension}`;

/** Path of the changes over an image. */
export async function overlayPath(source: Exclude<ImageSource, { kind: "stored" }>): Promise<string> {
  const { name, version } = source.kind === "file" ? versionOfFile(source.file) : await versionOfAddress(source.url);
  return `${changesFolder}/${fileName(name)} ${hash(`${name}\n${version}`)}${extension}`;
}

function versionOfFile({ name, size, lastModified }: File): { name: string; version: string } {
  return { name, version: `${size} ${lastModified}` };
}

async function versionOfAddress(url: string): Promise<{ name: string; version: string }> {
  const head = await fetch(url, { method: "HEAD", cache: "no-store" }).catch(() => undefined);
  const fields = ["ETag", "Last-Modified", "Content-Length"].map((field) => head?.headers.get(field) ?? "");
  return { name: url.split(/[?#]/, 1)[0]!.split("/").at(-1) || "image", version: `${url} ${fields.join(" ")}` };
}

/** What a file may be called wherever the browser keeps it. */
function fileName(name: string): string {
  return name.replaceAll(/[^\w.() -]/g, "_").slice(0, 80);
}

/** FNV-1a of 64 bits: tells versions apart, keeps no secret. */
function hash(text: string): string {
  let value = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) value = BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n);
  return value.toString(16).padStart(16, "0");
}

export interface StoredDisk {
  readonly folder: typeof diskFolder | typeof changesFolder;
  /** File name without the extension. */
  readonly name: string;
  /** Bytes it takes. */
  readonly size: number;
}

/** Empty where the browser keeps no files for this page (an address without TLS, say). */
export async function listStoredDisks(): Promise<StoredDisk[]> {
  const found: StoredDisk[] = [];
  try {
    const root = await navigator.storage.getDirectory();
    for (const folder of [diskFolder, changesFolder] as const) {
      const directory = await root.getDirectoryHandle(folder, { create: true });
      for await (const handle of (directory as unknown as { values(): AsyncIterable<FileSystemHandle> }).values()) {
        if (handle.kind !== "file" || !handle.name.endsWith(extension)) continue;
        const { size } = await (handle as FileSystemFileHandle).getFile();
        found.push({ folder, name: handle.name.slice(0, -extension.length), size });
      }
    }
  } catch {
    return [];
  }
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

export async function storedFile({ folder, name }: StoredDisk): Promise<File> {
  const root = await navigator.storage.getDirectory();
  return (await (await root.getDirectoryHandle(folder)).getFileHandle(name + extension)).getFile();
}

export async function removeStoredDisk({ folder, name }: StoredDisk): Promise<void> {
  const root = await navigator.storage.getDirectory();
  await (await root.getDirectoryHandle(folder)).removeEntry(name + extension);
}
