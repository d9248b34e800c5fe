// Debian's kernel with its own virtio_blk and floppy drivers: sees the disks, reads them, writes them, and what it wrote is in the images.

import { createHash } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { LINUX_COMMAND_LINE } from "../../src/guest/debian.ts";
import { LINUX_READY_LINE } from "../../src/guest/initramfs.ts";
import type { Drives } from "../../src/machine/options.ts";
import { MemoryImage } from "../devices/floppy-rig.ts";
import { type GuestWithModules, guestWithModules } from "./modules.ts";
import { type Availability, mustSkip } from "./oracle.ts";
import { SerialSession } from "./serial-session.ts";

const limitSeconds = 500;
const prompt = "/root # ";
const megabyte = 1 << 20;
const virtioModules = ["virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"];
const load = (modules: readonly string[]): string => modules.map((name) => `insmod /lib/${name}.ko`).join("\n");

/** Writes 16 MB that nobody has seen before, reads them back from the device, and says what they were. */
const writeScript = `
dd if=/dev/urandom of=/tmp/new bs=1M count=16 2>/dev/null
dd if=/tmp/new of=/dev/vda bs=1M seek=16 conv=fsync 2>/dev/null
echo 3 > /proc/sys/vm/drop_caches
sha256sum < /tmp/new
dd if=/dev/vda bs=1M skip=16 count=16 2>/dev/null | sha256sum`;

const lookScript = `
cat /sys/block/vda/size /sys/block/vda/ro /sys/block/vdb/size /sys/block/vdb/ro /sys/block/vda/serial
echo
dd if=/dev/vda bs=1M count=16 2>/dev/null | sha256sum
sha256sum < /dev/vdb
dd if=/dev/zero of=/dev/vdb count=1 2>&1 | grep -c 'Read-only\\|not permitted'
grep -c virtio /proc/interrupts`;

let guest: GuestWithModules;
let fetched: Availability = { available: false, reason: "not fetched yet" };

beforeAll(async () => {
  try {
    guest = await guestWithModules([...virtioModules, "floppy"], {
      "root/virtio": load(virtioModules),
      "root/floppy": load(["floppy"]),
      "root/write": writeScript,
      "root/look": lookScript,
    });
    fetched = { available: true };
  } catch (error) {
    fetched = { available: false, reason: String(error) };
  }
}, 240_000);

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The kernel to its shell with the drivers loaded; `use` types commands, each short enough for one line of a terminal, where the shell would wrap its echo. */
async function withLinux(drives: Drives, script: string, use: (command: (line: string) => Promise<string>) => Promise<void>): Promise<void> {
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
    expect(await command(`sh ${script}`)).toBe("");
    await use(command);
    session.type("exit\n");
    expect((await session.exit()).reason).toBe("power-off");
    expect(session.output).not.toMatch(/Kernel panic|Oops|BUG:|Call Trace|I\/O error/);
  } finally {
    session.machine.destroy();
  }
}

describe("Debian 12's i386 kernel and its own drivers", () => {
  test(
    "virtio-blk: 16 MB read, 16 MB written, checked on both sides; a read-only second disk",
    async () => {
      if (mustSkip("Linux on virtio-blk", fetched)) return;
      const disk = new MemoryImage(32 * megabyte);
      const second = new MemoryImage(megabyte, true);
      await withLinux(
        {
          virtio: [
            { storage: disk, name: "disk" },
            { storage: second, name: "second" },
          ],
        },
        "virtio",
        async (command) => {
          const firstHalf = sha256(disk.bytes.subarray(0, 16 * megabyte));
          const seen = ["65536", "0", "2048", "1", "virtio0", `${firstHalf}  -`, `${sha256(second.bytes)}  -`, "1", "2"];
          expect((await command("sh look")).split("\n")).toEqual(seen);
          const flushes = disk.flushes;
          const [written, readBack] = (await command("sh write")).split("\n");
          expect(written).toBe(`${sha256(disk.bytes.subarray(16 * megabyte))}  -`);
          expect(readBack).toBe(written);
          expect(disk.flushes).toBeGreaterThan(flushes);
        },
      );
    },
    (limitSeconds + 20) * 1000,
  );

  test(
    "floppy: finds the drive, reads a disk whole, writes to it",
    async () => {
      if (mustSkip("Linux on the floppy controller", fetched)) return;
      const floppy = new MemoryImage(1_474_560);
      await withLinux({ fda: { storage: floppy, name: "floppy" } }, "floppy", async (command) => {
        expect(await command("dmesg | grep -o 'FDC 0 is a.*'")).toBe("FDC 0 is a post-1991 82077");
        expect(await command("dd if=/dev/fd0 bs=18k 2>/dev/null | sha256sum")).toBe(`${sha256(floppy.bytes)}  -`);
        const text = new TextEncoder().encode("written by Linux");
        await command("printf 'written by Linux' > /tmp/text");
        await command("dd if=/tmp/text of=/dev/fd0 seek=1000 conv=notrunc,fsync 2>&1");
        expect(floppy.bytes.subarray(512_000, 512_000 + text.length)).toEqual(text);
      });
    },
    (limitSeconds + 20) * 1000,
  );
});
