/** What a file is taken for: raw images of disks, CDs and floppies, and everything that is none. */

import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { MemoryStore, openImage } from "../../src/storage/index.ts";
import { openImageFile } from "../../src/storage/node.ts";
import { Random } from "../fuzz/random.ts";
import { mustSkip } from "../guests/oracle.ts";
import { difference, img, io, qemuImg, scratch } from "./qemu.ts";
import { openBytes, problem, readAll } from "./stores.ts";

const { file, remove } = scratch();
afterAll(remove);

describe("formats of other programs", () => {
  const formats = ["vmdk", "vdi", "vhdx", "vpc", "qcow", "qed", "parallels"] as const;
  it.for(formats)("%s: names it and how to convert it, and that conversion works", async (format) => {
    if (mustSkip("recognising other formats", qemuImg)) return;
    const image = file(`image.${format}`);
    img("create", "-f", format, image, "2M");
    io(image, ["write -P 5 64k 4k"], "-f", format);
    const error = await problem(() => openImageFile(image));
    expect(error.kind).toBe("unsupported");
    const command = /qemu-img (convert .*)$/.exec(error.message)?.[1];
    expect(command, error.message).toBeDefined();
    const converted = file("converted.qcow2");
    img(...command!.split(" ").map((word) => ({ FILE: image, "NEW.qcow2": converted })[word] ?? word));
    const disk = await openImageFile(converted);
    const into = new Uint8Array(512);
    await disk.read(65536, into);
    expect(into[0]).toBe(5);
    await disk.close();
  });

  it("a VHD of fixed size, by its last sector", async () => {
    if (mustSkip("recognising other formats", qemuImg)) return;
    img("create", "-f", "vpc", "-o", "subformat=fixed", file("fixed.vhd"), "2M");
    expect((await problem(() => openImageFile(file("fixed.vhd")))).message).toMatch(/VHD \(fixed size\).*-f vpc/);
  });

  it("compressed files, pages and messages of web servers, empty files", async () => {
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [gzipSync(new Uint8Array(100000)), /gzip.*gunzip/],
      [new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4]), /xz.*unxz/],
      [new TextEncoder().encode("<!DOCTYPE html>\n<html><head><title>Not found</title>".padEnd(6000)), /HTML page.*download failed/],
      [new TextEncoder().encode("\ufeff  <html lang='de'>"), /HTML page/],
      [new TextEncoder().encode("404: Not Found"), /text.*download failed/],
      [new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\noid sha256:abc\n"), /Git LFS.*git lfs pull/],
      [new Uint8Array(0), /empty file/],
      [new Uint8Array([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 9, ...new Uint8Array(600)]), /version 9/],
      [new Uint8Array([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]), /complete header/],
    ];
    for (const [bytes, message] of cases) expect((await problem(() => openBytes(bytes))).message).toMatch(message);
    // Who says raw means it.
    const disk = await openBytes(new TextEncoder().encode("404: Not Found"), { format: "raw" });
    expect(disk.size).toBe(512);
  });
});

describe("raw", () => {
  it("a size that is no multiple of 512: rounded up, read as zeros, grown when written, with a warning", async () => {
    const store = new MemoryStore(new Uint8Array(1300).fill(7), "odd.img");
    const disk = await openImage(store);
    expect(disk.size).toBe(1536);
    expect(disk.describe().warnings).toEqual([expect.stringMatching(/1300 bytes, is not a multiple of 512: taken as 1536/)]);
    const content = await readAll(disk);
    expect([content[1299], content[1300], content[1535]]).toEqual([7, 0, 0]);
    await disk.write(1024, new Uint8Array(512).fill(8));
    expect(store.size).toBe(1536);
  });

  it("files are written in place, as QEMU sees them", async () => {
    if (mustSkip("raw images", qemuImg)) return;
    const random = new Random(121);
    const model = random.bytes(256 << 10);
    writeFileSync(file("disk.raw"), model);
    const disk = await openImageFile(file("disk.raw"));
    for (let i = 0; i < 50; i++) {
      const offset = random.below(500) * 512;
      const bytes = random.bytes(512 * (1 + random.below(4)));
      expect(disk.write(offset, bytes)).toBeUndefined();
      model.set(bytes, offset);
    }
    expect(disk.flush()).toBeUndefined();
    await disk.close();
    writeFileSync(file("model.raw"), model);
    expect(difference(file("disk.raw"), file("model.raw"), ["raw", "raw"])).toBeUndefined();
  });

  it("a guest cannot turn an image whose format was guessed into another one", async () => {
    if (mustSkip("raw images", qemuImg)) return;
    img("create", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", file("evil.qcow2"), "1M");
    const header = new Uint8Array(readFileSync(file("evil.qcow2")).subarray(0, 512));
    const guessed = await openBytes(new Uint8Array(65536));
    expect(await problem(() => guessed.write(0, header))).toMatchObject({ kind: "request", offset: 0 });
    await guessed.write(512, header);
    const named = await openBytes(new Uint8Array(65536), { format: "raw" });
    await named.write(0, header);
  });
});

describe("media", () => {
  const iso = (size: number, claimed = size): Uint8Array => {
    const bytes = new Uint8Array(size);
    bytes.set([1, ...new TextEncoder().encode("CD001"), 1], 32768);
    const view = new DataView(bytes.buffer);
    view.setUint32(32768 + 80, claimed / 2048, true);
    view.setUint16(32768 + 128, 2048, true);
    return bytes;
  };

  it("a CD is recognised, read-only, and a truncated one said to be", async () => {
    const whole = await openBytes(iso(65536));
    expect(whole.describe()).toMatchObject({ media: "cdrom", readOnly: true, size: 65536, warnings: [] });
    const part = await openBytes(iso(65536 - 100, 1 << 20));
    expect(part.size).toBe(65536);
    expect(part.describe().warnings.join("; ")).toMatch(/truncated: the volume has 1048576 bytes.*not a multiple of 2048/);
    // A hybrid image on a stick is a disk.
    expect((await openBytes(iso(65536), { media: "disk" })).describe()).toMatchObject({ media: "disk", readOnly: false });
    expect((await openBytes(new Uint8Array(65536), { media: "cdrom" })).describe().warnings.join()).toMatch(/does not look like a CD/);
  });

  it("a CD's file is not locked: two machines may use it", async () => {
    writeFileSync(file("cd.iso"), iso(65536));
    const drives = [
      await openImageFile(file("cd.iso")),
      await openImageFile(file("cd.iso")),
      await openImageFile(file("cd.iso"), { snapshot: true }),
    ];
    for (const drive of drives) {
      expect(drive.describe()).toMatchObject({ media: "cdrom", readOnly: true, snapshot: false });
      await drive.close();
    }
  });

  it("floppies: the usual sizes as they are, others as the next usual one, none too large", async () => {
    // 82 cylinders of 21 sectors are 1722 KiB.
    const sizes = [160, 180, 320, 360, 720, 800, 1200, 1440, 1600, 1680, 1722, 2880].map((kib) => kib * 1024);
    for (const size of sizes) {
      const disk = await openBytes(new Uint8Array(size).fill(1), { media: "floppy" });
      expect([disk.size, disk.describe().warnings.length]).toEqual([size, 0]);
    }
    for (const [size, capacity] of [
      [512, 1440],
      [360 * 1024 + 1, 1440],
      [1440 * 1024 + 512, 2880],
    ] as const) {
      const disk = await openBytes(new Uint8Array(size).fill(1), { media: "floppy" });
      expect(disk.size).toBe(capacity * 1024);
      expect(disk.describe().warnings.join()).toMatch(/not a floppy's size/);
      const end = new Uint8Array(512).fill(9);
      await disk.read(disk.size - 512, end);
      expect(end.every((byte) => byte === 0)).toBe(true);
    }
    // A file system without its free end says what it was made for (BIOS parameter block): 720 KB, and DMF.
    for (const [kib, sectorsPerTrack] of [
      [720, 9],
      [1680, 21],
    ] as const) {
      const start = new Uint8Array(20 * 1024);
      const view = new DataView(start.buffer);
      for (const [at, value] of [[0x0b, 512], [0x13, kib * 2], [0x18, sectorsPerTrack], [0x1a, 2]] as const) view.setUint16(at, value, true); // biome-ignore format: one thought
      expect((await openBytes(start, { media: "floppy" })).size).toBe(kib * 1024);
      const mistaken = new Uint8Array(kib * 1024 + 512);
      mistaken.set(start);
      expect((await openBytes(mistaken, { media: "floppy" })).size).toBe((kib === 720 ? 1440 : 2880) * 1024);
    }
    expect((await problem(() => openBytes(new Uint8Array(3 << 20), { media: "floppy" }))).message).toMatch(/at most 2,949,120 bytes/);
  });
});
