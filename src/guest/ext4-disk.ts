// A disk image with one ext4 partition, filled from a directory: a partition table of our own, the file system by mke2fs -d (Debian: e2fsprogs), which needs no
// root. The image is sparse. Run by someone who is not root, the files in it are given to root afterwards, as they are in a real system.

import { randomBytes } from "node:crypto";
import { open, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { GuestFetchError, runTool } from "./apt.ts";

const sectorBytes = 512;
/** Partitions begin at 1 MiB, as every partitioning program of today aligns them; the sectors before are free for a boot loader. */
export const PARTITION_OFFSET = 1 << 20;
const linuxPartition = 0x83;
const activePartition = 0x80;
const mebibyte = 1 << 20;

export interface DiskOptions {
  /** Of the whole disk. */
  readonly mebibytes: number;
  readonly label: string;
}

/** A master boot record with one active Linux partition from 1 MiB to the end, and a fresh signature (PARTUUID of Linux). No code: a BIOS finds nothing to start. */
export function partitionTable(diskBytes: number): Uint8Array {
  const sector = new Uint8Array(sectorBytes);
  const view = new DataView(sector.buffer);
  sector.set(randomBytes(4), 440);
  const entry = 446;
  // Cylinders, heads and sectors that no disk reaches: who boots this reads the linear addresses.
  sector.set([activePartition, 0xfe, 0xff, 0xff, linuxPartition, 0xfe, 0xff, 0xff], entry);
  view.setUint32(entry + 8, PARTITION_OFFSET / sectorBytes, true);
  view.setUint32(entry + 12, (diskBytes - PARTITION_OFFSET) / sectorBytes, true);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** Writes the image. Errors: `GuestFetchError` where mke2fs is missing or fails. */
export async function writeExt4Disk(file: string, directory: string, options: DiskOptions): Promise<void> {
  const bytes = options.mebibytes * mebibyte;
  await writeFile(file, partitionTable(bytes));
  await truncate(file, bytes);
  const partition = bytes - PARTITION_OFFSET;
  const placed = `offset=${PARTITION_OFFSET},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0`;
  const settings = ["-q", "-F", "-t", "ext4", "-L", options.label, "-E", placed];
  await e2fsTool("mke2fs", [...settings, "-d", directory, file, `${partition / 1024}k`]);
  if (process.getuid?.() !== 0) await giveToRoot(file, directory);
}

async function e2fsTool(program: string, args: readonly string[]): Promise<string> {
  // Debian keeps these where only root's PATH leads.
  const env = { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` };
  return runTool(program, args, { env }).catch((error: unknown) => {
    if (error instanceof Error && /is not installed/.test(error.message))
      throw new GuestFetchError(`${program} is not installed; making the Debian disk needs it (Debian: apt-get install e2fsprogs)`);
    throw error;
  });
}

/** debugfs commands for every file; a path with a quote in it is none that Debian has. */
async function giveToRoot(file: string, directory: string): Promise<void> {
  const commands: string[] = [];
  for (const path of await readdir(directory, { recursive: true })) {
    commands.push(`set_inode_field "/${path}" uid 0`, `set_inode_field "/${path}" gid 0`);
  }
  const script = `${file}.debugfs`;
  await writeFile(script, `${commands.join("\n")}\n`);
  await e2fsTool("debugfs", ["-w", "-f", script, `${file}?offset=${PARTITION_OFFSET}`]);
  await rm(script);
}

/** Whether the host has the program that makes file systems. */
export async function hasFileSystemTools(): Promise<boolean> {
  return e2fsTool("mke2fs", ["-V"]).then(
    () => true,
    () => false,
  );
}

/** Whether two files' first sectors say they are the same disk: tells an overlay of an older base from one of this. */
export async function diskSignature(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 440);
    return buffer.toString("hex");
  } finally {
    await handle.close();
  }
}
