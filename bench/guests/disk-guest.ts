// The guest of the disk measurements: Debian's disk (src/guest/debian-disk.ts), and a script that init gives the machine to. It reads and writes with O_DIRECT or with a
// sync, so that the device is measured and not the guest's memory, between markers on the serial line.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeCpioArchive } from "../../src/guest/cpio.ts";
import { type DebianBus, type DebianDisk, debianCommandLine } from "../../src/guest/debian-disk.ts";
import { DEBIAN_PROMPT } from "../../src/guest/debian-root.ts";
import type { DiskJob } from "./disk-child.ts";

const MEMORY_MIB = 256;
export const DISK_PASSES = 3;
export const DISK_LAST_TEXT = "ALL DONE";

/** What is done, by the name in its markers. */
export const DISK_WORK = {
  read: "64 MiB read in sequence, 1 MiB at a time",
  write: "64 MiB written in sequence, then synced",
  "random-read": "2,000 reads of 4 KiB at random places",
  "random-write": "1,000 writes of 4 KiB at random places",
} as const;
export type DiskWork = keyof typeof DISK_WORK;

const SCRIPT_PLACE = "/dev/disk-bench";

// The first stage is busybox's shell; the file stays in devtmpfs, which the initial RAM file system's /init mounts again and moves to the root.
const FIRST_INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox cp /disk-bench ${SCRIPT_PLACE}
exec /init
`;

const SCRIPT = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -o remount,rw /
disk=$(sed 's/.*root=\\([^ ]*\\)1 .*/\\1/' /proc/cmdline) python3 - <<'END'
import mmap, os, random, zlib
MIB = 1 << 20
disk = os.open(os.environ["disk"], os.O_RDONLY | os.O_DIRECT)
file = os.open("/root/written", os.O_RDWR | os.O_CREAT)
big = mmap.mmap(-1, MIB)
small = mmap.mmap(-1, 4096)
big[:] = random.Random(1).randbytes(MIB)
data = bytes(big)
small[:] = data[:4096]
def read():
    for n in range(64): os.preadv(disk, [big], n * MIB)
    return zlib.crc32(big)
def write():
    for n in range(64): os.pwrite(file, data, n * MIB)
    os.fsync(file)
    return os.fstat(file).st_size
def random_read():
    places = random.Random(2)
    for n in range(2000): os.preadv(disk, [small], places.randrange(64 * MIB // 4096) * 4096)
    return zlib.crc32(small)
def random_write():
    direct = os.open("/root/written", os.O_WRONLY | os.O_DIRECT)
    places = random.Random(3)
    for n in range(1000): os.pwritev(direct, [small], places.randrange(64 * MIB // 4096) * 4096)
    os.fsync(direct)
    return zlib.crc32(os.pread(file, MIB, 0))
for turn in range(${DISK_PASSES}):
    for work in (read, write, random_read, random_write):
        name = work.__name__.replace("_", "-")
        print("BEGIN", name, turn, flush=True)
        result = work()
        print("END", name, turn, result, flush=True)
print("${DISK_LAST_TEXT}", flush=True)
END
sync
/usr/lib/xlat86/busybox poweroff -f
`;

type Limits = Pick<DiskJob, "seconds" | "v86Firmware">;

/** From the start to root's prompt. */
export function bootJob(disk: DebianDisk, bus: DebianBus, limits: Limits): DiskJob {
  const { kernel, initrd, base } = disk;
  return { kernel, initrd, commandLine: debianCommandLine(bus), memoryMiB: MEMORY_MIB, bus, image: base, lastText: DEBIAN_PROMPT, ...limits };
}

/** The disk at work; writes the initial RAM file system into `folder`. */
export function workJob(disk: DebianDisk, bus: DebianBus, limits: Limits, folder: string): DiskJob {
  const encoder = new TextEncoder();
  const more = writeCpioArchive([
    { kind: "file", path: "first-init", data: encoder.encode(FIRST_INIT), permissions: 0o755 },
    { kind: "file", path: "disk-bench", data: encoder.encode(SCRIPT), permissions: 0o755 },
  ]);
  const initrd = join(folder, "disk-initrd.img");
  writeFileSync(initrd, Buffer.concat([readFileSync(disk.initrd), more]));
  const commandLine = `${debianCommandLine(bus)} rdinit=/first-init init=${SCRIPT_PLACE}`;
  return { ...bootJob(disk, bus, limits), initrd, commandLine, lastText: DISK_LAST_TEXT };
}
