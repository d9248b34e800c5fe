import { describe, expect, test } from "vitest";
import { MemoryStorage, pattern, Rig, same, status } from "./rig.ts";

const frames = 300;

function newRig(storage: MemoryStorage | null = new MemoryStorage(pattern(frames * 2048, 7))) {
  const rig = new Rig({ hdc: { kind: "cdrom", storage } });
  rig.channel = 1;
  const drive = rig.ide.cdRom("hdc");
  if (drive === undefined) throw new Error("no drive");
  return { rig, drive, storage: storage as MemoryStorage };
}

const big32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const read10 = (lba: number, count: number) => [0x28, 0, ...big32(lba), 0, count >> 8, count & 255];
const read12 = (lba: number, count: number) => [0xa8, 0, ...big32(lba), ...big32(count)];
const dataOf = (found: { data: Uint8Array } | null) => [...(found?.data ?? [])];

describe("packet protocol", () => {
  test("signature, IDENTIFY PACKET DEVICE, and IDENTIFY DEVICE aborted with the signature", () => {
    const { rig } = newRig();
    expect([1, 2, 3, 4, 5, 7].map((offset) => rig.in(offset))).toEqual([1, 1, 1, 0x14, 0xeb, 0]);
    for (const code of [0xec, 0x20]) {
      rig.command(code, { lba: 0x123456 });
      expect(rig.interrupt()).toBe(0x41);
      expect([1, 2, 3, 4, 5].map((offset) => rig.in(offset))).toEqual([4, 1, 1, 0x14, 0xeb]);
    }
    const words = rig.identify(0xa1);
    expect([words[0], words[49] & 0x300, words[63], words[80]]).toEqual([0x85c0, 0x300, 7, 0x1e]);
    expect(rig.alternateStatus).toBe(0x50);
  });

  test("phases: command, data, status by interrupt reason and byte count", () => {
    const { rig, storage } = newRig();
    rig.out(1, 0);
    rig.out(4, 0x00);
    rig.out(5, 0x10);
    rig.out(7, 0xa0);
    rig.wait();
    // Packet: command to device, no interrupt.
    expect([rig.alternateStatus, rig.in(2) & 7, rig.irq.high]).toEqual([0x58, 1, false]);
    rig.writeWords(Uint8Array.from([...read10(5, 3), 0, 0, 0]));
    expect(rig.interrupt()).toBe(0x58);
    expect([rig.in(2) & 7, rig.in(4), rig.in(5)]).toEqual([2, 0x00, 0x10]);
    const first = rig.readWords(4096).slice();
    expect(rig.interrupt()).toBe(0x58);
    expect([rig.in(2) & 7, rig.in(4), rig.in(5)]).toEqual([2, 0x00, 0x08]);
    const second = rig.readWords(2048).slice();
    expect(rig.interrupt()).toBe(0x50);
    expect([rig.in(2) & 7, rig.in(1)]).toEqual([3, 0]);
    same(first, storage.bytes.subarray(5 * 2048, 7 * 2048));
    same(second, storage.bytes.subarray(7 * 2048, 8 * 2048));
  });

  test.each([2048, 3000, 3001, 0xffff, 100, 2])("READ(10), byte count limit %i", (limit) => {
    const { rig, storage } = newRig();
    const found = rig.packetRead(read10(10, 5), limit);
    same(found?.data as Uint8Array, storage.bytes.subarray(10 * 2048, 15 * 2048));
    const most = limit === 0xffff ? 0xfffe : limit & ~1;
    expect(found?.blocks.every((size, n, all) => size === most || (n === all.length - 1 && size <= most))).toBe(true);
  });

  test("a read is one storage operation, a long one a few", () => {
    const { rig, storage } = newRig();
    same(rig.packetRead(read12(0, frames))?.data as Uint8Array, storage.bytes);
    expect(storage.log).toEqual(["read 0+256", "read 256+256", "read 512+256", "read 768+256", "read 1024+176"]);
  });

  test("a byte count limit of 0 with data to send is aborted", () => {
    const { rig } = newRig();
    rig.packet(read10(0, 1), { limit: 0 });
    expect([rig.interrupt(), rig.in(1)]).toEqual([0x41, 0x04]);
    expect(rig.packetRead([0], 0)).not.toBeNull();
  });

  test("DMA: data by the bus master, then the status interrupt", () => {
    const { rig, storage } = newRig();
    rig.table(0x1000, [
      [0x20000, 5000],
      [0x30000, 4 * 2048 - 5000],
    ]);
    rig.packet(read10(20, 4), { dma: true });
    rig.start(true);
    expect(rig.interrupt()).toBe(0x50);
    expect(rig.in(2) & 7).toBe(3);
    expect(rig.dmaStatus & 7).toBe(4);
    same(rig.memory.bytes.subarray(0x20000, 0x20000 + 5000), storage.bytes.subarray(20 * 2048, 20 * 2048 + 5000));
    same(rig.memory.bytes.subarray(0x30000, 0x30000 + 3192), storage.bytes.subarray(20 * 2048 + 5000, 24 * 2048));
    rig.table(0x1000, [[0x40000, 36]]);
    rig.packet([0x12, 0, 0, 0, 36], { dma: true });
    rig.start(true);
    expect(rig.interrupt()).toBe(0x50);
    expect(Buffer.from(rig.memory.bytes.subarray(0x40008, 0x40020)).toString()).toBe("XLAT86  XLAT86 DVD-ROM  ");
  });

  test("DEVICE RESET in the middle of a transfer", () => {
    const { rig } = newRig();
    rig.packet(read10(0, 5));
    rig.interrupt();
    rig.readWords(100);
    rig.out(7, 0x08);
    expect(rig.wait()).toBe(0);
    expect([1, 4, 5].map((offset) => rig.in(offset))).toEqual([1, 0x14, 0xeb]);
    expect(rig.irq.high).toBe(false);
    expect(rig.packetRead(read10(0, 1))?.data.length).toBe(2048);
  });

  test("overlapped commands are refused", () => {
    const { rig } = newRig();
    rig.command(0xa0, { feature: 2 });
    expect([rig.interrupt(), rig.in(1)]).toEqual([0x41, 4]);
  });
});

describe("commands", () => {
  test("INQUIRY, and as many bytes as asked for", () => {
    const { rig } = newRig();
    const whole = dataOf(rig.packetRead([0x12, 0, 0, 0, 255]));
    expect(whole.length).toBe(36);
    expect(whole.slice(0, 5)).toEqual([5, 0x80, 0, 0x21, 31]);
    expect(dataOf(rig.packetRead([0x12, 0, 0, 0, 5]))).toEqual(whole.slice(0, 5));
    expect(dataOf(rig.packetRead([0x12, 0, 0, 0, 0]))).toEqual([]);
  });

  test("READ CAPACITY", () => {
    const { rig } = newRig();
    expect(dataOf(rig.packetRead([0x25]))).toEqual([...big32(frames - 1), ...big32(2048)]);
  });

  test("READ TOC, formats 0 to 2, in blocks and in minutes", () => {
    const { rig } = newRig();
    const toc = (format: number, msf: boolean, track = 0, size = 1000) =>
      dataOf(rig.packetRead([0x43, msf ? 2 : 0, format, 0, 0, 0, track, size >> 8, size & 255]));
    expect(toc(0, false)).toEqual([0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x16, 0xaa, 0, ...big32(frames)]);
    // 300 frames and the two seconds before block 0: six seconds.
    expect(toc(0, true)).toEqual([0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x16, 0xaa, 0, 0, 0, 6, 0]);
    expect(toc(0, false, 0xaa)).toEqual([0, 10, 1, 1, 0, 0x16, 0xaa, 0, ...big32(frames)]);
    expect(toc(0, false, 0, 4)).toEqual([0, 18, 1, 1]);
    expect(toc(1, false)).toEqual([0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    const full = toc(2, true);
    expect(full.length).toBe(4 + 4 * 11);
    expect(full.slice(4 + 2 * 11, 4 + 3 * 11)).toEqual([1, 0x14, 0, 0xa2, 0, 0, 0, 0, 0, 6, 0]);
    // The format where SFF-8020i has it.
    expect(dataOf(rig.packetRead([0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40]))).toEqual(toc(1, false));
    expect(rig.packetRead([0x43, 0, 0, 0, 0, 0, 2, 1, 0])).toBeNull();
    expect(rig.sense()).toEqual([5, 0x24, 0]);
  });

  test("READ CD: data, whole frames, nothing", () => {
    const { rig, storage } = newRig();
    const readCd = (parts: number) => rig.packetRead([0xbe, 0, ...big32(16), 0, 0, 3, parts]);
    same(readCd(0x10)?.data as Uint8Array, storage.bytes.subarray(16 * 2048, 19 * 2048));
    const raw = readCd(0xf8)?.data as Uint8Array;
    expect(raw.length).toBe(3 * 2352);
    for (let i = 0; i < 3; i++) {
      // Block 16 is at 00:02:16.
      expect([...raw.subarray(i * 2352, i * 2352 + 16)]).toEqual([0, ...new Array(10).fill(255), 0, 0, 2, 16 + i, 1]);
      same(raw.subarray(i * 2352 + 16, i * 2352 + 2064), storage.bytes.subarray((16 + i) * 2048, (17 + i) * 2048));
    }
    expect(readCd(0)?.data.length).toBe(0);
    expect(readCd(0x20)).toBeNull();
  });

  test("MODE SENSE(10)", () => {
    const { rig } = newRig();
    const page = (code: number) => dataOf(rig.packetRead([0x5a, 0, code, 0, 0, 0, 0, 1, 0]));
    expect(page(0x01).slice(8)).toEqual([1, 6, 0, 5, 0, 0, 0, 0]);
    expect(page(0x0e).length).toBe(24);
    const capabilities = page(0x2a);
    expect([capabilities[0], capabilities[1], capabilities[8], capabilities[9]]).toEqual([0, 28, 0x2a, 20]);
    expect(page(0x3f).length).toBe(8 + 8 + 16 + 22);
    expect(rig.packetRead([0x5a, 0, 0x05, 0, 0, 0, 0, 1, 0])).toBeNull();
    expect(rig.sense()).toEqual([5, 0x24, 0]);
    expect(rig.packetRead([0x5a, 0, 0xea, 0, 0, 0, 0, 1, 0])).toBeNull();
    expect(rig.sense()).toEqual([5, 0x39, 0]);
  });

  test("GET CONFIGURATION, READ DISC INFORMATION, MECHANISM STATUS, READ SUB-CHANNEL", () => {
    const { rig } = newRig();
    const all = dataOf(rig.packetRead([0x46, 0, 0, 0, 0, 0, 0, 1, 0]));
    expect(all.slice(0, 4)).toEqual(big32(all.length - 4));
    expect(all.slice(6, 8)).toEqual([0, 8]);
    const one = dataOf(rig.packetRead([0x46, 2, 0, 3, 0, 0, 0, 1, 0]));
    expect(one.slice(8, 12)).toEqual([0, 3, 3, 4]);
    expect(dataOf(rig.packetRead([0x51, 0, 0, 0, 0, 0, 0, 0, 34])).slice(0, 8)).toEqual([0, 32, 0x0e, 1, 1, 1, 1, 0x20]);
    expect(dataOf(rig.packetRead([0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8]))).toEqual([0, 0, 0, 0, 0, 1, 0, 0]);
    expect(dataOf(rig.packetRead([0x42, 0, 0, 0, 0, 0, 0, 0, 4]))).toEqual([0, 0x15, 0, 0]);
    expect(dataOf(rig.packetRead([0x42, 0, 0x40, 1, 0, 0, 0, 0, 16])).length).toBe(16);
  });

  test("errors and their sense data, which REQUEST SENSE clears", () => {
    const { rig, storage } = newRig();
    expect(rig.packetRead(read10(frames - 1, 2))).toBeNull();
    expect(rig.in(1)).toBe(0x50);
    expect(rig.sense()).toEqual([5, 0x21, 0]);
    expect(rig.sense()).toEqual([0, 0, 0]);
    expect(rig.packetRead([0xff])).toBeNull();
    expect(rig.sense()).toEqual([5, 0x20, 0]);
    storage.bad.push([2048 * 9, 2048 * 10]);
    expect(rig.packetRead(read10(8, 4))).toBeNull();
    expect(rig.in(1)).toBe(0x30);
    expect(rig.sense()).toEqual([3, 0x11, 0]);
    expect(rig.packetRead([0x2b, 0, ...big32(frames)])).toBeNull();
    expect(rig.packetRead([0x2b, 0, ...big32(frames - 1)])).not.toBeNull();
    expect(rig.packetRead([0xbb, 0, 0xff, 0xff])).not.toBeNull();
  });
});

describe("media", () => {
  const testUnitReady = [0x00];
  const getEvent = [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8];

  test("an empty drive: not ready, medium not present; then a medium is put in", () => {
    const { rig, drive } = newRig(null);
    expect(rig.packetRead(testUnitReady)).toBeNull();
    expect(rig.in(1)).toBe(0x20);
    expect(rig.sense()).toEqual([2, 0x3a, 0]);
    expect(dataOf(rig.packetRead(getEvent)).slice(4, 6)).toEqual([0, 0]);
    drive.insert(new MemoryStorage(pattern(2048 * 20)));
    expect(dataOf(rig.packetRead(getEvent))).toEqual([0, 4, 4, 0x10, 2, 2, 0, 0]);
    expect(rig.packetRead([0x12, 0, 0, 0, 36])).not.toBeNull();
    expect(rig.packetRead(testUnitReady)).toBeNull();
    expect(rig.sense()).toEqual([6, 0x28, 0]);
    expect(rig.packetRead(testUnitReady)).not.toBeNull();
    expect(dataOf(rig.packetRead([0x25])).slice(0, 4)).toEqual(big32(19));
    expect(dataOf(rig.packetRead(getEvent)).slice(4, 6)).toEqual([0, 2]);
  });

  test("REQUEST SENSE takes the unit attention too", () => {
    const { rig, drive } = newRig();
    drive.insert(new MemoryStorage(2048));
    expect(rig.sense()).toEqual([6, 0x28, 0]);
    expect(rig.packetRead(testUnitReady)).not.toBeNull();
  });

  test("a locked tray: the guest is asked, and the medium stays; forced, it goes", () => {
    const { rig, drive } = newRig();
    rig.packetRead([0x1e, 0, 0, 0, 1]);
    expect(drive.eject()).toBe(false);
    expect(drive.hasMedium).toBe(true);
    expect(dataOf(rig.packetRead(getEvent)).slice(4, 6)).toEqual([1, 2]);
    expect(rig.packetRead([0x1b, 0, 0, 0, 2])).toBeNull();
    expect(rig.sense()).toEqual([2, 0x53, 2]);
    expect(drive.eject(true)).toBe(true);
    expect(dataOf(rig.packetRead(getEvent)).slice(4, 6)).toEqual([3, 1]);
    expect(rig.packetRead(testUnitReady)).toBeNull();
    expect(rig.sense()).toEqual([2, 0x3a, 0]);
  });

  test("START STOP UNIT opens and closes the tray with what is in it", () => {
    const { rig, drive } = newRig();
    expect(rig.packetRead([0x1b, 0, 0, 0, 2])).not.toBeNull();
    expect([drive.trayIsOpen, drive.hasMedium]).toEqual([true, false]);
    expect(rig.packetRead(testUnitReady)).toBeNull();
    expect(rig.packetRead([0x1b, 0, 0, 0, 3])).not.toBeNull();
    expect(rig.packetRead(testUnitReady)).toBeNull();
    expect(rig.sense()).toEqual([6, 0x28, 0]);
    expect(rig.packetRead(testUnitReady)).not.toBeNull();
  });

  test("storage that answers later keeps the drive busy; ejecting meanwhile harms nothing", async () => {
    const { rig, storage, drive } = newRig();
    storage.later = true;
    rig.packet(read10(3, 1));
    rig.clock.run(1e9);
    expect(rig.alternateStatus & status.bsy).toBe(status.bsy);
    drive.eject();
    await storage.answer();
    expect(rig.interrupt()).toBe(0x58);
    same(rig.readWords(2048), storage.bytes.subarray(3 * 2048, 4 * 2048));
    rig.interrupt();
    expect(rig.packetRead(read10(3, 1))).toBeNull();
  });
});
