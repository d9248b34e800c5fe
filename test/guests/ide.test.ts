// Debian's kernel with its own ata_piix, sd_mod, sr_mod and ext4: sees a hard disk and a CD drive on the IDE controller, reads and writes them by bus master DMA,
// mounts a file system.

import { createHash } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { LINUX_COMMAND_LINE } from "../../src/guest/debian.ts";
import { LINUX_READY_LINE } from "../../src/guest/initramfs.ts";
import { MemoryStorage, pattern } from "../devices/ide/rig.ts";
import { type GuestWithModules, guestWithModules } from "./modules.ts";
import { type Availability, mustSkip } from "./oracle.ts";
import { SerialSession } from "./serial-session.ts";

const limitSeconds = 500;
// Lines that are typed fit into 80 columns with the prompt, so that their echo does not wrap.
const prompt = "/root # ";
const megabyte = 1 << 20;
const modules = [
  ...["scsi_common", "scsi_mod", "libata", "ata_piix", "crct10dif_common", "crc-t10dif", "crc64", "crc64-rocksoft", "t10-pi", "sd_mod"],
  ...["cdrom", "sr_mod", "isofs", "jbd2", "mbcache", "crc16", "crc32c_generic", "ext4"],
];

const loadScript = modules.map((name) => `insmod /lib/${name}.ko`).join("\n");

/** Writes 16 MB that nobody has seen before, reads them back from the device, and says what they were. */
const writeScript = `
dd if=/dev/urandom of=/tmp/new bs=1M count=16 2>/dev/null
dd if=/tmp/new of=/dev/sda bs=1M seek=16 conv=fsync 2>/dev/null
echo 3 > /proc/sys/vm/drop_caches
sha256sum < /tmp/new
dd if=/dev/sda bs=1M skip=16 count=16 2>/dev/null | sha256sum`;

/** A file system on the disk, through ext4's driver: a tree goes in, comes out again after unmounting, and its checker is content. */
const fileSystemScript = `
mke2fs -F /dev/sda 30000 >/dev/null 2>&1
mkdir -p /mnt
mount -t ext4 /dev/sda /mnt || exit 1
cp -r /bin /lib /mnt/
dd if=/dev/urandom of=/mnt/big bs=64k count=100 2>/dev/null
sha256sum /mnt/big /mnt/lib/*.ko /mnt/bin/busybox > /tmp/sums
umount /mnt
echo 3 > /proc/sys/vm/drop_caches
mount -t ext4 -o ro /dev/sda /mnt
sha256sum -c /tmp/sums | grep -vc ': OK$'
umount /mnt`;

let guest: GuestWithModules;
let fetched: Availability = { available: false, reason: "not fetched yet" };

beforeAll(async () => {
  try {
    guest = await guestWithModules(modules, { "root/load": loadScript, "root/write": writeScript, "root/files": fileSystemScript });
    fetched = { available: true };
  } catch (error) {
    fetched = { available: false, reason: String(error) };
  }
}, 240_000);

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("Debian 12's i386 kernel and its own IDE drivers", () => {
  test(
    "hard disk and CD: 16 MB read, 16 MB written, checked on both sides; a file system",
    async () => {
      if (mustSkip("Linux on IDE", fetched)) return;
      const disk = new MemoryStorage(pattern(32 * megabyte, 11));
      const disc = new MemoryStorage(pattern(3000 * 2048, 12));
      disc.readOnly = true;
      const drives = { hda: { storage: disk, name: "disk" }, hdc: { storage: disc, media: "cdrom", name: "disc" } } as const;
      const session = new SerialSession({ ...guest, drives, append: LINUX_COMMAND_LINE, memory: 256 << 20 }, limitSeconds);
      const command = async (line: string): Promise<string> => {
        session.type(`${line}\n`);
        await session.expect(`${line}\r\n`);
        return (await session.expect(prompt)).trim().replaceAll("\r\n", "\n");
      };
      try {
        await session.expect(LINUX_READY_LINE);
        await session.expect(prompt);
        await command("dmesg -n 1");
        expect(await command("sh load")).toBe("");
        // Drives are found in the background.
        await command("while ! test -b /dev/sda -a -b /dev/sr0; do sleep 0.2; done");
        expect(await command("cat /sys/class/ata_device/dev[12].0/dma_mode")).toMatch(/MW_?DMA_?2\s+\S*MW_?DMA_?2/);
        expect(await command("cat /sys/block/sda/size /sys/block/s??/device/model")).toMatch(/^65536\nXLAT86 HARDDISK\s*\nXLAT86 DVD-ROM\s*$/);
        disk.log.length = 0;
        expect(await command("dd if=/dev/sda bs=1M count=16 2>/dev/null | sha256sum")).toBe(`${sha256(disk.bytes.subarray(0, 16 * megabyte))}  -`);
        // By DMA, many sectors at a time.
        expect(disk.log.length).toBeLessThan(1000);
        const [written, readBack] = (await command("sh write")).split("\n");
        expect(written).toBe(`${sha256(disk.bytes.subarray(16 * megabyte))}  -`);
        expect(readBack).toBe(written);
        expect(disk.log).toContain("flush");
        expect(await command("sha256sum < /dev/sr0")).toBe(`${sha256(disc.bytes)}  -`);
        expect(await command("sh files")).toBe("0");
        session.type("exit\n");
        expect((await session.exit()).reason).toBe("power-off");
        expect(session.output).not.toMatch(/Kernel panic|Oops|BUG:|Call Trace|I\/O error|failed command|SError/);
      } finally {
        session.machine.destroy();
      }
    },
    (limitSeconds + 20) * 1000,
  );
});
