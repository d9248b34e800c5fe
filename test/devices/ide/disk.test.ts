import { describe, expect, test } from "vitest";
import { MemoryStorage, pattern, Rig, same, status } from "./rig.ts";

const mebibyte = 1 << 20;

function newRig(bytes = 8 * mebibyte): { rig: Rig; storage: MemoryStorage } {
  const storage = new MemoryStorage(pattern(bytes));
  const rig = new Rig({ hda: { kind: "disk", storage } }, 4 * mebibyte);
  storage.log.length = 0;
  return { rig, storage };
}

const sectorsOf = (storage: MemoryStorage, from: number, count: number) => storage.bytes.subarray(from * 512, (from + count) * 512);

/** Words 27-46 and the like: the first character in the high byte. */
const identifyText = (words: Uint16Array, at: number, count: number) =>
  String.fromCharCode(...Array.from(words.subarray(at, at + count)).flatMap((word) => [word >> 8, word & 0xff])).trim();

describe("registers", () => {
  test("after power-on the disk is ready and shows the signature of a disk", () => {
    const { rig } = newRig();
    expect([1, 2, 3, 4, 5, 6].map((offset) => rig.in(offset))).toEqual([1, 1, 1, 0, 0, 0xa0]);
    expect(rig.alternateStatus).toBe(status.drdy | status.dsc);
  });

  test("nothing answers before the decode bits are set", () => {
    const { rig } = newRig();
    rig.ide.reset();
    expect(rig.in(7)).toBe(0xff);
    expect(rig.alternateStatus).toBe(0xff);
    rig.ide.writeConfig(0x40, 2, 0x8000);
    expect(rig.in(7)).toBe(0xff);
    rig.ide.writeConfig(0x04, 2, 1);
    expect(rig.in(7)).toBe(0x50);
  });

  test("PCI: identity, and the bus master ports follow the base address register", () => {
    const { rig } = newRig();
    expect(rig.ide.readConfig(0, 4)).toBe(0x70108086);
    expect(rig.ide.readConfig(8, 4)).toBe(0x01018000);
    rig.ide.writeConfig(0x20, 4, 0xffffffff);
    expect(rig.ide.readConfig(0x20, 4)).toBe(0xfffffff1);
    rig.ide.writeConfig(0x20, 4, 0xd000);
    rig.ports.write(0xd004, 4, 0x12345678);
    expect(rig.ports.read(0xd004, 4)).toBe(0x12345678);
    rig.ports.write(0xd00c, 4, 0x87654321);
    expect(rig.ports.read(0xd00c, 4)).toBe(0x87654320);
    expect(rig.ports.read(0xc004, 4)).toBe(0xffffffff);
  });

  test("high order bytes are read back through HOB, which the next register write clears", () => {
    const { rig } = newRig();
    for (const offset of [1, 2, 3, 4, 5]) {
      rig.out(offset, 0x10 + offset);
      rig.out(offset, 0x20 + offset);
    }
    expect([2, 3, 4, 5].map((offset) => rig.in(offset))).toEqual([0x22, 0x23, 0x24, 0x25]);
    rig.control(0x80);
    expect([2, 3, 4, 5].map((offset) => rig.in(offset))).toEqual([0x12, 0x13, 0x14, 0x15]);
    rig.out(6, 0xa0);
    expect(rig.in(2)).toBe(0x22);
  });

  test("alone on the channel, device 0 answers for device 1 with a status of 0, and commands to device 1 do nothing", () => {
    const { rig } = newRig();
    rig.select(1);
    rig.out(2, 0x55);
    expect(rig.in(2)).toBe(0x55);
    expect(rig.in(6)).toBe(0xb0);
    expect(rig.in(7)).toBe(0);
    rig.out(7, 0xec);
    rig.clock.run(1e9);
    expect(rig.in(7)).toBe(0);
    expect(rig.irq.rises).toBe(0);
  });

  test("an empty channel reads as zeros", () => {
    const { rig } = newRig();
    rig.channel = 1;
    rig.out(2, 0x55);
    expect([1, 2, 3, 4, 5, 6, 7].map((offset) => rig.in(offset))).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  test("software reset: busy while asserted, then the signature, without an interrupt, device 0 selected", () => {
    const storage = new MemoryStorage(mebibyte);
    const rig = new Rig({ hda: { kind: "disk", storage }, hdb: { kind: "disk", storage } });
    rig.select(1);
    rig.command(0x20, { count: 2, lba: 5 });
    rig.interrupt();
    rig.control(0x04);
    expect(rig.alternateStatus & status.bsy).toBe(status.bsy);
    expect(rig.alternateStatus & status.drq).toBe(0);
    rig.clock.run(1e7);
    expect(rig.alternateStatus & status.bsy).toBe(status.bsy);
    rig.control(0x00);
    expect(rig.alternateStatus & status.bsy).toBe(status.bsy);
    expect(rig.wait()).toBe(0x50);
    expect([1, 2, 3, 4, 5, 6].map((offset) => rig.in(offset))).toEqual([1, 1, 1, 0, 0, 0xa0]);
    expect(rig.irq.high).toBe(false);
  });

  test("EXECUTE DEVICE DIAGNOSTIC: to both devices, one interrupt, code 01h", () => {
    const storage = new MemoryStorage(mebibyte);
    const rig = new Rig({ hda: { kind: "disk", storage }, hdb: { kind: "cdrom", storage: null } });
    rig.select(1);
    rig.out(7, 0x90);
    expect(rig.interrupt()).toBe(0x50);
    expect([1, 2, 3, 4, 5, 6].map((offset) => rig.in(offset))).toEqual([1, 1, 1, 0, 0, 0xa0]);
    rig.select(1);
    expect([1, 2, 3, 4, 5, 6, 7].map((offset) => rig.in(offset))).toEqual([1, 1, 1, 0x14, 0xeb, 0xb0, 0]);
  });

  test("nIEN keeps the interrupt off the wire, and the status register clears what is pending", () => {
    const { rig } = newRig();
    rig.control(0x02);
    rig.command(0xe5);
    rig.wait();
    expect(rig.irq.rises).toBe(0);
    rig.control(0x00);
    expect(rig.irq.high).toBe(true);
    expect(rig.alternateStatus).toBe(0x50);
    expect(rig.irq.high).toBe(true);
    rig.in(7);
    expect(rig.irq.high).toBe(false);
  });
});

describe("IDENTIFY DEVICE", () => {
  test("geometry, capacity, modes and features", () => {
    const { rig } = newRig();
    const words = rig.identify();
    const sectors = (8 * mebibyte) / 512;
    const cylinders = Math.floor(sectors / (16 * 63));
    expect([words[0], words[1], words[3], words[6]]).toEqual([0x40, cylinders, 16, 63]);
    expect(identifyText(words, 27, 20)).toBe("XLAT86 HARDDISK");
    expect(words[47]).toBe(0x8010);
    expect(words[49] & 0x300).toBe(0x300);
    expect([words[54], words[55], words[56]]).toEqual([cylinders, 16, 63]);
    expect(words[57] | (words[58] << 16)).toBe(cylinders * 16 * 63);
    expect(words[59]).toBe(0x110);
    expect(words[60] | (words[61] << 16)).toBe(sectors);
    expect(words[63]).toBe(0x07);
    expect(words[88]).toBe(0x203f);
    expect(words[83] & 0x7400).toBe(0x7400);
    expect(words[85] & 0x20).toBe(0x20);
    expect(words[100] | (words[101] << 16)).toBe(sectors);
    // No interrupt follows the data.
    expect(rig.alternateStatus).toBe(0x50);
    expect(rig.irq.high).toBe(false);
  });

  test("follows SET FEATURES, SET MULTIPLE MODE and INITIALIZE DEVICE PARAMETERS", () => {
    const { rig } = newRig();
    rig.command(0xef, { feature: 0x03, count: 0x22 });
    expect(rig.interrupt()).toBe(0x50);
    rig.command(0xef, { feature: 0x82 });
    expect(rig.interrupt()).toBe(0x50);
    rig.command(0xc6, { count: 4 });
    expect(rig.interrupt()).toBe(0x50);
    rig.command(0x91, { count: 17, chs: [0, 7, 0] });
    expect(rig.interrupt()).toBe(0x50);
    const words = rig.identify();
    expect([words[63], words[88]]).toEqual([0x0407, 0x003f]);
    expect(words[85] & 0x20).toBe(0);
    expect(words[59]).toBe(0x104);
    expect([words[54], words[55], words[56]]).toEqual([Math.floor(16384 / (8 * 17)), 8, 17]);
  });

  test("of a disk past 2^28 sectors: 28-bit capacity at its limit, the whole in words 100-103", () => {
    const storage = { size: 2 ** 42, readOnly: false, read: (_: number, into: Uint8Array) => void into.fill(7), write() {}, flush() {} };
    const rig = new Rig({ hda: { kind: "disk", storage } });
    const words = rig.identify();
    expect(words[1]).toBe(16383);
    expect((words[60] | (words[61] << 16)) >>> 0).toBe(0x0fffffff);
    expect([words[100], words[101], words[102], words[103]]).toEqual([0, 0, 2, 0]);
    expect(rig.pioRead(0x24, { count: 1, lba: 2 ** 33 - 1, ext: true }, 1)[0]).toBe(7);
  });
});

describe("data through the data port", () => {
  test.each([
    ["READ SECTORS", 0x20, 512],
    ["READ MULTIPLE", 0xc4, 16 * 512],
  ] as const)("%s: LBA and CHS, 1 and 256 sectors", (_, code, block) => {
    const { rig, storage } = newRig();
    expect(rig.pioRead(code, { count: 1, lba: 0 }, 1, block)).toEqual(sectorsOf(storage, 0, 1));
    expect(rig.pioRead(code, { count: 37, lba: 12345 }, 37, block)).toEqual(sectorsOf(storage, 12345, 37));
    // Cylinder 3, head 5, sector 7 of 16 heads of 63 sectors.
    const lba = (3 * 16 + 5) * 63 + 6;
    expect(rig.pioRead(code, { count: 2, chs: [3, 5, 7] }, 2, block)).toEqual(sectorsOf(storage, lba, 2));
    storage.log.length = 0;
    expect(rig.pioRead(code, { count: 0, lba: 100 }, 256, block)).toEqual(sectorsOf(storage, 100, 256));
    expect(storage.log).toEqual(["read 100+256"]);
    expect(rig.alternateStatus).toBe(0x50);
    expect(rig.irq.high).toBe(false);
  });

  test("READ SECTORS EXT: 48-bit count, address registers move on", () => {
    const { rig, storage } = newRig();
    expect(rig.pioRead(0x24, { count: 0x102, lba: 1000, ext: true }, 0x102)).toEqual(sectorsOf(storage, 1000, 0x102));
    expect([3, 4, 5].map((offset) => rig.in(offset))).toEqual([0xea, 0x04, 0]);
  });

  test.each([
    ["WRITE SECTORS", 0x30, 512, false],
    ["WRITE MULTIPLE", 0xc5, 16 * 512, false],
    ["WRITE SECTORS EXT", 0x34, 512, true],
    ["WRITE MULTIPLE EXT", 0x39, 16 * 512, true],
  ] as const)("%s", (_, code, block, ext) => {
    const { rig, storage } = newRig();
    const before = storage.bytes.slice();
    const data = pattern(37 * 512, 99);
    expect(rig.pioWrite(code, { count: 37, lba: 4321, ext }, data, block)).toBe(0x50);
    expect(sectorsOf(storage, 4321, 37)).toEqual(data);
    before.set(data, 4321 * 512);
    same(storage.bytes, before);
  });

  test("32-bit accesses, byte accesses, and bulk transfers give the same bytes", () => {
    const { rig, storage } = newRig();
    rig.command(0x20, { count: 3, lba: 8 });
    rig.interrupt();
    expect(rig.readWords(512, 4)).toEqual(sectorsOf(storage, 8, 1));
    rig.interrupt();
    const bank = rig.ide.channels[0].commandBlock;
    const into = new Uint8Array(400);
    expect(bank.readBlock?.(0, 2, into)).toBe(400);
    expect(into).toEqual(sectorsOf(storage, 9, 1).slice(0, 400));
    expect(bank.readBlock?.(0, 4, into)).toBe(112);
    expect(into.slice(0, 112)).toEqual(sectorsOf(storage, 9, 1).slice(400));
    expect(bank.readBlock?.(0, 2, into)).toBe(0);
    rig.interrupt();
    expect(rig.ports.read(0x1f0, 1)).toBe(storage.bytes[10 * 512]);
    expect(rig.ports.read(0x1f0, 2)).toBe(storage.bytes[10 * 512 + 2] | (storage.bytes[10 * 512 + 3] << 8));
  });

  test("READ MULTIPLE without a block size is aborted", () => {
    const { rig } = newRig();
    rig.command(0xc6, { count: 0 });
    rig.interrupt();
    rig.command(0xc4, { count: 1 });
    expect(rig.interrupt()).toBe(0x41);
    expect(rig.in(1)).toBe(0x04);
    rig.command(0xc6, { count: 3 });
    expect(rig.interrupt()).toBe(0x41);
  });
});

describe("bus master DMA", () => {
  test("READ DMA into one region; interrupt 1, active 0", () => {
    const { rig, storage } = newRig();
    rig.table(0x1000, [[0x20000, 16 * 512]]);
    rig.command(0xc8, { count: 16, lba: 77 });
    rig.start(true);
    expect(rig.dmaStatus & 7).toBe(1);
    expect(rig.interrupt()).toBe(0x50);
    expect(rig.dmaStatus & 7).toBe(4);
    expect(rig.memory.bytes.subarray(0x20000, 0x20000 + 16 * 512)).toEqual(sectorsOf(storage, 77, 16));
    rig.ports.write(rig.busMaster + 2, 1, 4);
    expect(rig.dmaStatus & 7).toBe(0);
  });

  test("the engine may be started before the command", () => {
    const { rig, storage } = newRig();
    rig.table(0x1000, [[0x20000, 512]]);
    rig.start(true);
    rig.command(0x25, { count: 1, lba: 9, ext: true });
    expect(rig.interrupt()).toBe(0x50);
    expect(rig.memory.bytes.subarray(0x20000, 0x20200)).toEqual(sectorsOf(storage, 9, 1));
  });

  test("regions of odd sizes, at odd places, of 64 KiB", () => {
    const { rig, storage } = newRig();
    const regions: [number, number][] = [
      [0x20000, 2],
      [0x20103, 510],
      [0x30000, 0x10000],
      [0x20501, 1022],
      [0x21000, 514],
    ];
    const total = regions.reduce((sum, [, bytes]) => sum + bytes, 0);
    rig.table(0x1000, regions);
    rig.command(0xc8, { count: total / 512, lba: 50 });
    rig.start(true);
    expect(rig.interrupt()).toBe(0x50);
    expect(rig.dmaStatus & 7).toBe(4);
    const data = storage.bytes.subarray(50 * 512, 50 * 512 + total);
    let at = 0;
    const expected = new Uint8Array(rig.memory.bytes.length);
    expected.set(rig.memory.bytes.subarray(0x1000, 0x1000 + 8 * regions.length), 0x1000);
    for (const [address, bytes] of regions) {
      expected.set(data.subarray(at, at + bytes), address);
      at += bytes;
    }
    same(rig.memory.bytes, expected);
  });

  test("a table that is longer than the transfer leaves the engine active", () => {
    const { rig, storage } = newRig();
    rig.table(0x1000, [
      [0x20000, 512],
      [0x30000, 1024],
    ]);
    rig.command(0xc8, { count: 2, lba: 50 });
    rig.start(true);
    expect(rig.interrupt()).toBe(0x50);
    expect(rig.dmaStatus & 7).toBe(5);
    rig.stop();
    expect(rig.dmaStatus & 7).toBe(4);
    same(rig.memory.bytes.subarray(0x30000, 0x30200), sectorsOf(storage, 51, 1));
    same(rig.memory.bytes.subarray(0x30200, 0x30400), new Uint8Array(512));
  });

  test("a table that is shorter: no interrupt, engine inactive, the drive waits; a new table goes on where the old one ended", () => {
    const { rig, storage } = newRig();
    rig.table(0x1000, [[0x20000, 700]]);
    rig.command(0xc8, { count: 4, lba: 50 });
    rig.start(true);
    rig.clock.run(1e9);
    expect(rig.irq.high).toBe(false);
    expect(rig.dmaStatus & 7).toBe(0);
    expect(rig.alternateStatus).toBe(0x58);
    same(rig.memory.bytes.subarray(0x20000, 0x20000 + 700), sectorsOf(storage, 50, 2).subarray(0, 700));
    rig.stop();
    rig.table(0x1000, [[0x30000, 2048 - 700]]);
    rig.start(true);
    expect(rig.interrupt()).toBe(0x50);
    same(rig.memory.bytes.subarray(0x30000, 0x30000 + 2048 - 700), sectorsOf(storage, 50, 4).subarray(700));
    expect(rig.dmaStatus & 7).toBe(4);
  });

  test("a short table of a write writes nothing until the rest is there, and a reset drops it", () => {
    const { rig, storage } = newRig();
    const before = storage.bytes.slice();
    rig.table(0x1000, [[0x20000, 700]]);
    rig.command(0xca, { count: 4, lba: 50 });
    rig.start(false);
    rig.clock.run(1e9);
    expect(rig.dmaStatus & 7).toBe(0);
    rig.control(4);
    rig.control(0);
    expect(rig.wait()).toBe(0x50);
    same(storage.bytes, before);
    expect(rig.pioRead(0x20, { count: 1, lba: 50 }, 1)).toEqual(sectorsOf(storage, 50, 1));
  });

  test("65536 sectors are one command, in pieces", () => {
    const storage = new MemoryStorage(pattern(33 * mebibyte));
    const rig = new Rig({ hda: { kind: "disk", storage } }, 36 * mebibyte);
    storage.log.length = 0;
    rig.table(
      0x1000,
      Array.from({ length: 512 }, (_, n) => [mebibyte + n * 0x10000, 0x10000]),
    );
    rig.command(0x25, { count: 0, lba: 3, ext: true });
    rig.start(true);
    expect(rig.interrupt()).toBe(0x50);
    same(rig.memory.bytes.subarray(mebibyte, 33 * mebibyte), sectorsOf(storage, 3, 65536));
    expect(storage.log.length).toBe(32);
    // A disk of more than 200 MB a second.
    expect(rig.clock.now()).toBeLessThan(((32 * mebibyte) / 200e6) * 1e9);
  });

  test("without the function's bus master bit nothing moves until it is set", () => {
    const { rig } = newRig();
    rig.ide.writeConfig(0x04, 2, 1);
    rig.table(0x1000, [[0x20000, 512]]);
    rig.command(0xc8, { count: 1, lba: 50 });
    rig.start(true);
    rig.clock.run(1e9);
    expect([rig.irq.high, rig.dmaStatus & 7]).toEqual([false, 1]);
    rig.ide.writeConfig(0x04, 2, 5);
    expect(rig.interrupt()).toBe(0x50);
  });

  test("WRITE DMA gathers", () => {
    const { rig, storage } = newRig();
    const data = pattern(8 * 512, 5);
    rig.memory.bytes.set(data.subarray(0, 100), 0x20000);
    rig.memory.bytes.set(data.subarray(100, 1100), 0x30000);
    rig.memory.bytes.set(data.subarray(1100), 0x40000);
    rig.table(0x1000, [
      [0x20000, 100],
      [0x30000, 1000],
      [0x40000, 8 * 512 - 1100],
    ]);
    rig.command(0xca, { count: 8, lba: 3000 });
    rig.start(false);
    expect(rig.interrupt()).toBe(0x50);
    expect(sectorsOf(storage, 3000, 8)).toEqual(data);
    expect(rig.dmaStatus & 7).toBe(4);
  });
});

describe("other commands", () => {
  test.each([
    ["IDLE IMMEDIATE", 0xe1, 0x50],
    ["IDLE", 0xe3, 0x50],
    ["STANDBY", 0xe2, 0x50],
    ["RECALIBRATE", 0x10, 0x50],
    ["SEEK", 0x70, 0x50],
    ["READ VERIFY SECTORS", 0x40, 0x50],
    ["READ VERIFY SECTORS EXT", 0x42, 0x50],
    ["INITIALIZE DEVICE PARAMETERS", 0x91, 0x50],
    ["FLUSH CACHE", 0xe7, 0x50],
    ["FLUSH CACHE EXT", 0xea, 0x50],
    ["NOP", 0x00, 0x41],
    ["SMART", 0xb0, 0x41],
    ["DEVICE RESET", 0x08, 0x41],
    ["PACKET", 0xa0, 0x41],
    ["IDENTIFY PACKET DEVICE", 0xa1, 0x41],
    ["SECURITY UNLOCK", 0xf2, 0x41],
  ] as const)("%s", (_, code, expected) => {
    const { rig } = newRig();
    rig.command(code, { count: 1, lba: 1, ext: code === 0x42 });
    expect(rig.interrupt()).toBe(expected);
    expect(rig.in(1)).toBe(expected === 0x50 ? 0 : 4);
    expect(rig.irq.rises).toBe(1);
  });

  test("CHECK POWER MODE sees standby, and that a read ends it", () => {
    const { rig } = newRig();
    const mode = () => {
      rig.command(0xe5);
      rig.interrupt();
      return rig.in(2);
    };
    expect(mode()).toBe(0xff);
    rig.command(0xe0);
    rig.interrupt();
    expect(mode()).toBe(0x00);
    rig.pioRead(0x20, { count: 1 }, 1);
    expect(mode()).toBe(0xff);
  });

  test("READ NATIVE MAX ADDRESS: in LBA, in CHS, EXT", () => {
    const { rig } = newRig();
    rig.command(0xf8);
    rig.interrupt();
    expect([3, 4, 5, 6].map((offset) => rig.in(offset))).toEqual([0xff, 0x3f, 0, 0xe0]);
    rig.command(0x27, { ext: true });
    rig.interrupt();
    expect([3, 4, 5].map((offset) => rig.in(offset))).toEqual([0xff, 0x3f, 0]);
    rig.command(0xf8, { chs: [0, 0, 0] });
    rig.interrupt();
    // 16383 = (16 * 16 + 4) * 63 + 3
    expect([3, 4, 5, 6].map((offset) => rig.in(offset))).toEqual([4, 16, 0, 0xa4]);
  });

  test("FLUSH CACHE ends only when storage has flushed", async () => {
    const { rig, storage } = newRig();
    storage.later = true;
    rig.command(0xe7);
    rig.clock.run(10e9);
    expect([rig.alternateStatus & status.bsy, rig.irq.high]).toEqual([status.bsy, false]);
    await storage.answer();
    expect([rig.alternateStatus, rig.irq.high]).toEqual([0x50, true]);
  });

  test("without write cache every write is followed by a flush before it ends", async () => {
    const { rig, storage } = newRig();
    rig.command(0xef, { feature: 0x82 });
    rig.interrupt();
    storage.log.length = 0;
    storage.later = true;
    rig.command(0x30, { count: 1, lba: 7 });
    rig.writeWords(pattern(512, 3));
    rig.clock.run(10e9);
    expect(storage.log).toEqual(["write 7+1"]);
    await storage.answer();
    expect(storage.log).toEqual(["write 7+1", "flush"]);
    expect(rig.irq.high).toBe(true);
  });
});

describe("errors", () => {
  const last = 16 * 1024 - 1;

  test("the last sector is there, the next is not: ID not found, its address in the registers", () => {
    const { rig, storage } = newRig();
    expect(rig.pioRead(0x20, { count: 1, lba: last }, 1)).toEqual(sectorsOf(storage, last, 1));
    rig.command(0x20, { count: 3, lba: last });
    expect(rig.interrupt()).toBe(0x58);
    rig.readWords(512);
    expect(rig.interrupt()).toBe(0x41);
    expect([1, 2, 3, 4].map((offset) => rig.in(offset))).toEqual([0x10, 2, 0, 0x40]);
    for (const code of [0x20, 0x30, 0xc4, 0xc5, 0xc8, 0xca, 0x40]) {
      rig.command(code, { count: 1, lba: last + 1 });
      expect([rig.interrupt(), rig.in(1)], code.toString(16)).toEqual([0x41, 0x10]);
    }
    for (const code of [0x24, 0x34, 0x29, 0x39, 0x25, 0x35, 0x42]) {
      rig.command(code, { count: 1, lba: 2 ** 47, ext: true });
      expect([rig.interrupt(), rig.in(1)], code.toString(16)).toEqual([0x41, 0x10]);
    }
  });

  test.each([[[0, 0, 0]], [[0, 0, 64]], [[17, 0, 1]]] as [number, number, number][][])("CHS %j is no address", (chs) => {
    const { rig } = newRig();
    rig.command(0x20, { count: 1, chs });
    expect([rig.interrupt(), rig.in(1)]).toEqual([0x41, 0x10]);
  });

  test("DMA across the end moves what there is, then ID not found", () => {
    const { rig, storage } = newRig();
    rig.table(0x1000, [[0x20000, 4096]]);
    rig.command(0xc8, { count: 8, lba: last - 1 });
    rig.start(true);
    expect(rig.interrupt()).toBe(0x41);
    expect(rig.in(1)).toBe(0x10);
    same(rig.memory.bytes.subarray(0x20000, 0x20400), sectorsOf(storage, last - 1, 2));
    expect(rig.dmaStatus & 7).toBe(5);
  });

  test.each([false, true])("a medium error is an uncorrectable error (storage answers later: %s)", async (later) => {
    const { rig, storage } = newRig();
    storage.bad.push([100 * 512, 101 * 512]);
    storage.later = later;
    const settle = async () => {
      rig.clock.run(1e9);
      await storage.answer();
      rig.clock.run(1e9);
      return rig.in(7);
    };
    rig.command(0x20, { count: 1, lba: 100 });
    expect([await settle(), rig.in(1)]).toEqual([0x41, 0x40]);
    rig.command(0x30, { count: 1, lba: 100 });
    rig.writeWords(new Uint8Array(512));
    expect([await settle(), rig.in(1)]).toEqual([0x41, 0x40]);
    rig.table(0x1000, [[0x20000, 512]]);
    rig.command(0xc8, { count: 1, lba: 100 });
    rig.start(true);
    expect([await settle(), rig.in(1)]).toEqual([0x41, 0x40]);
    rig.command(0x20, { count: 1, lba: 101 });
    expect([await settle(), rig.in(1)]).toEqual([0x58, 0]);
  });

  test("writes to a read-only medium are aborted", () => {
    const { rig, storage } = newRig();
    storage.readOnly = true;
    for (const code of [0x30, 0xc5, 0xca, 0x34, 0x35, 0x39]) {
      rig.command(code, { count: 1, lba: 3, ext: (code & 0xf0) === 0x30 && code !== 0x30 });
      expect([rig.interrupt(), rig.in(1)], code.toString(16)).toEqual([0x41, 0x04]);
    }
  });
});

describe("storage that answers later", () => {
  test("busy until it has answered", async () => {
    const { rig, storage } = newRig();
    storage.later = true;
    rig.command(0x20, { count: 2, lba: 9 });
    rig.clock.run(10e9);
    expect(rig.alternateStatus & status.bsy).toBe(status.bsy);
    await storage.answer();
    expect(rig.irq.high).toBe(true);
    rig.interrupt();
    expect(rig.readWords(512)).toEqual(sectorsOf(storage, 9, 1));
  });

  test("a reset forgets the read, and the next command waits for the abandoned one", async () => {
    const { rig, storage } = newRig();
    storage.later = true;
    rig.command(0xc8, { count: 8, lba: 9 });
    rig.clock.run(1e6);
    rig.control(4);
    rig.control(0);
    expect(rig.wait()).toBe(0x50);
    storage.log.length = 0;
    rig.command(0x20, { count: 1, lba: 30 });
    rig.clock.run(1e9);
    expect(storage.log).toEqual([]);
    await storage.answer();
    await storage.answer();
    expect(storage.log).toEqual(["read 30+1"]);
    rig.interrupt();
    expect(rig.readWords(512)).toEqual(sectorsOf(storage, 30, 1));
  });

  test("a write that a reset forgot while it waited its turn never reaches storage; one that storage had begun is done before the next", async () => {
    const { rig, storage } = newRig();
    const before = storage.bytes.slice();
    const data = pattern(512, 3);
    const reset = () => {
      rig.control(4);
      rig.control(0);
      rig.wait();
    };
    storage.later = true;
    for (const lba of [5, 6, 7]) {
      rig.command(0x30, { count: 1, lba });
      rig.writeWords(data);
      rig.clock.run(1e6);
      reset();
    }
    rig.command(0x30, { count: 1, lba: 8 });
    rig.writeWords(data);
    for (let i = 0; i < 4; i++) await storage.answer();
    rig.interrupt();
    expect(storage.log).toEqual(["write 5+1", "write 8+1"]);
    before.set(data, 5 * 512);
    before.set(data, 8 * 512);
    same(storage.bytes, before);
  });

  test("the partition table is read before IDENTIFY answers", async () => {
    const image = new Uint8Array(8 * mebibyte);
    // One partition, ending at head 7, sector 17.
    image.set([0x80, 0, 1, 0, 6, 7, 17, 100], 0x1be);
    image.set([1, 0, 0, 0, 100, 0, 0, 0, 0x55, 0xaa].slice(0, 8), 0x1c6);
    image.set([0x55, 0xaa], 510);
    const storage = new MemoryStorage(image);
    storage.later = true;
    const rig = new Rig({ hda: { kind: "disk", storage } });
    rig.command(0xec);
    rig.clock.run(1e9);
    expect(rig.irq.high).toBe(false);
    await storage.answer();
    await storage.answer();
    rig.interrupt();
    const words = new Uint16Array(rig.readWords(512).slice().buffer);
    expect([words[1], words[3], words[6]]).toEqual([Math.floor(16384 / (8 * 17)), 8, 17]);
    expect(rig.ide.disk("hda")?.translation).toBe("none");
  });
});

test("activity is told", () => {
  const { rig } = newRig();
  rig.pioRead(0x20, { count: 2 }, 2);
  rig.pioWrite(0x30, { count: 1 }, new Uint8Array(512));
  expect(rig.activity).toEqual(["hda read", "hda write"]);
});
