import { describe, expect, test } from "vitest";
import { floppyCmos, floppyDriveFor, floppyFormat, floppyFormats, formatBytes } from "../../runtime/devices/floppy/index.ts";
import { type Chrn, dmaBuffer, FloppyDriver, FloppyRig, MemoryImage } from "./floppy-rig.ts";

const size144 = 1_474_560;

/** Controller, driver and a 1.44M image in drive A, reset, at 500 kbit/s, head at track 0. */
async function ready(image = new MemoryImage(size144)) {
  const rig = new FloppyRig(["1.44M", "1.44M"]);
  rig.fdc.insert(0, image);
  const driver = new FloppyDriver(rig);
  await driver.reset();
  await rig.out(0x3f7, 0);
  await driver.command([0x03, 0xdf, 0x02]);
  await driver.recalibrate(0);
  return { rig, driver, image };
}

const sectorOf = (image: MemoryImage, cylinder: number, head: number, record: number, count = 1) => {
  const at = ((cylinder * 2 + head) * 18 + record - 1) * 512;
  return image.bytes.slice(at, at + 512 * count);
};

describe("floppyFormat", () => {
  test.each([
    [163_840, "160K", 40, 1, 8],
    [184_320, "180K", 40, 1, 9],
    [327_680, "320K", 40, 2, 8],
    [368_640, "360K", 40, 2, 9],
    [737_280, "720K", 80, 2, 9],
    [1_228_800, "1.2M", 80, 2, 15],
    [1_474_560, "1.44M", 80, 2, 18],
    [1_720_320, "1.68M", 80, 2, 21],
    [2_949_120, "2.88M", 80, 2, 36],
  ])("%i bytes are %s: %i cylinders, %i heads, %i sectors", (size, name, cylinders, heads, sectors) => {
    const { format, missing, notice } = floppyFormat(size);
    expect(format).toMatchObject({ name, cylinders, heads, sectors });
    expect([missing, notice]).toEqual([0, null]);
  });

  test.each([0, -512, 513, 1_474_561, 2_949_632, 1e9, 0.5, Number.NaN])("%d bytes are refused, with the sizes that would do", (size) => {
    expect(() => floppyFormat(size)).toThrow(/floppy image of .* bytes: .*; expected .*1\.44M \(1474560\)/);
  });

  test.each([
    [512, "360K"],
    [1_440_256, "1.44M"],
    [400_384, "720K"],
  ])("%i bytes are taken for a cut-off %s, with a notice", (size, name) => {
    const { format, missing, notice } = floppyFormat(size);
    expect(format.name).toBe(name);
    expect(missing).toBe(formatBytes(format) - size);
    expect(notice).toContain(`${size} bytes`);
  });

  test("the drive to fit takes every disk of its size that is not denser", () => {
    const fitted = Object.fromEntries(floppyFormats.map((format) => [format.name, floppyDriveFor(format)]));
    expect(fitted).toMatchObject({
      "160K": "1.2M",
      "360K": "1.2M",
      "1.2M": "1.2M",
      "720K": "1.44M",
      "1.44M": "1.44M",
      "1.72M": "1.44M",
      "2.88M": "2.88M",
    });
    for (const format of floppyFormats)
      expect(new FloppyRig([floppyDriveFor(format)]).fdc.insert(0, new MemoryImage(formatBytes(format)))).toBeNull();
  });

  test("CMOS bytes", () => {
    expect(floppyCmos([])).toEqual({ driveTypes: 0, equipment: 0 });
    expect(floppyCmos(["1.44M"])).toEqual({ driveTypes: 0x40, equipment: 0x01 });
    expect(floppyCmos(["1.44M", "1.2M"])).toEqual({ driveTypes: 0x42, equipment: 0x41 });
    expect(floppyCmos([null, "2.88M"])).toEqual({ driveTypes: 0x05, equipment: 0x01 });
  });
});

describe("reset and registers", () => {
  test("held in reset the MSR is 0; four SENSE INTERRUPTs report the poll, a fifth is invalid", async () => {
    const rig = new FloppyRig();
    const driver = new FloppyDriver(rig);
    expect(await driver.msr()).toBe(0);
    await rig.out(0x3f2, 0x0c);
    expect(await driver.msr()).toBe(0x80);
    expect(rig.irq.high).toBe(false);
    await rig.wait(1e6);
    expect(rig.irq.high).toBe(true);
    for (let n = 0; n < 4; n++) {
      expect(await driver.command([0x08])).toEqual([0xc0 | n, 0]);
      expect(rig.irq.high).toBe(false);
    }
    expect(await driver.command([0x08])).toEqual([0x80]);
    expect(await rig.in(0x3f2)).toBe(0x0c);
  });

  test("a reset by the DSR comes back by itself", async () => {
    const { rig, driver } = await ready();
    await rig.out(0x3f4, 0x80);
    await rig.wait(1e6);
    expect(rig.irq.high).toBe(true);
    expect(await driver.command([0x08])).toEqual([0xc0, 0]);
  });

  test("the DMA gate keeps the interrupt in", async () => {
    const rig = new FloppyRig();
    await rig.out(0x3f2, 0x04);
    await rig.wait(1e6);
    expect(rig.irq.high).toBe(false);
    await rig.out(0x3f2, 0x0c);
    expect(rig.irq.high).toBe(true);
  });

  test("VERSION, LOCK, CONFIGURE and DUMPREG; a lock outlives resets by software only", async () => {
    const { rig, driver } = await ready();
    expect(await driver.command([0x10])).toEqual([0x90]);
    expect(await driver.command([0x0e])).toEqual([0, 0, 0, 0, 0xdf, 0x02, 0, 0, 0x20, 0]);
    expect(await driver.command([0x13, 0, 0x57, 0x40])).toEqual([]);
    expect(await driver.command([0x94])).toEqual([0x10]);
    expect(await driver.command([0x12, 0x80 | 0x3c | 0x03])).toEqual([]);
    expect(await driver.command([0x0e])).toEqual([0, 0, 0, 0, 0xdf, 0x02, 0, 0x80 | 0x3f, 0x57, 0x40]);
    await driver.reset();
    // Implied seeks and the polling bit go, FIFO threshold and precompensation stay; GAP and WGATE go, drive bits stay.
    expect(await driver.command([0x0e])).toEqual([0, 0, 0, 0, 0xdf, 0x02, 0, 0x80 | 0x3c, 0x07, 0x40]);
    expect(await driver.command([0x14])).toEqual([0]);
    await driver.reset();
    expect((await driver.command([0x0e])).slice(7)).toEqual([0x3c, 0x20, 0]);
    await driver.command([0x94]);
    rig.fdc.reset();
    await driver.reset();
    expect(await driver.command([0x0e])).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0]);
  });

  test.each([0x00, 0x01, 0x0b, 0x15, 0x17, 0x18, 0x1f, 0x4f, 0x9f, 0xff])("%i is an invalid command: ST0 80h, no interrupt", async (code) => {
    const { rig, driver } = await ready();
    await driver.send([code]);
    expect(rig.irq.high).toBe(false);
    expect(await driver.result()).toEqual([0x80]);
    expect(await driver.msr()).toBe(0x80);
  });

  test("busy while a command comes in; the answer's direction while it goes out", async () => {
    const { rig, driver } = await ready();
    await driver.send([0x03]);
    expect(await driver.msr()).toBe(0x90);
    await driver.send([0xdf, 0x02]);
    expect(await driver.msr()).toBe(0x80);
    await driver.send([0x10]);
    expect(await driver.msr()).toBe(0xd0);
    await rig.in(0x3f5);
    expect(await driver.msr()).toBe(0x80);
  });
});

describe("seeks and senses", () => {
  test("RECALIBRATE and SEEK end with an interrupt and are sensed", async () => {
    const { rig, driver } = await ready();
    await driver.send([0x0f, 0x04, 40]);
    expect(await driver.msr()).toBe(0x81);
    expect(await driver.command([0x08]), "still moving").toEqual([0x80]);
    await rig.wait(5e6);
    expect(await driver.msr()).toBe(0x80);
    expect(rig.irq.high).toBe(true);
    expect(await driver.command([0x08])).toEqual([0x24, 40]);
    expect(rig.irq.high).toBe(false);
    expect(await driver.command([0x04, 0x04]), "ST3: head 1, not at track 0").toEqual([0x2c]);
    expect(await driver.recalibrate(0)).toEqual([0x20, 0]);
    expect(await driver.command([0x04, 0x00])).toEqual([0x38]);
  });

  test("a relative seek both ways; the cylinder register counts modulo 256", async () => {
    const { rig, driver } = await ready();
    await driver.seek(0, 10);
    await driver.send([0xcf, 0x00, 5]);
    await rig.wait(5e6);
    expect(await driver.command([0x08])).toEqual([0x20, 15]);
    await driver.send([0x8f, 0x00, 3]);
    await rig.wait(5e6);
    expect(await driver.command([0x08])).toEqual([0x20, 12]);
    expect((await driver.command([0x4a, 0])).slice(3, 5)).toEqual([12, 0]);
  });

  test("two drives seek at once and each is sensed", async () => {
    const { rig, driver } = await ready();
    await driver.send([0x0f, 0x00, 20]);
    await driver.send([0x0f, 0x01, 30]);
    expect((await driver.msr()) & 3).toBe(3);
    await rig.wait(5e6);
    const edges = rig.irq.rises;
    expect(await driver.command([0x08])).toEqual([0x20, 20]);
    expect(rig.irq.rises, "the other drive asks again").toBe(edges + 1);
    expect(await driver.command([0x08])).toEqual([0x21, 30]);
    expect(await driver.command([0x08])).toEqual([0x80]);
  });

  test("RECALIBRATE gives up after 79 steps, and of a drive that is not there", async () => {
    const rig = new FloppyRig(["1.44M", null]);
    const driver = new FloppyDriver(rig);
    await driver.reset();
    await driver.seek(0, 82);
    expect(await driver.recalibrate(0), "abnormal, seek end, equipment check").toEqual([0x70, 0]);
    expect(await driver.recalibrate(0)).toEqual([0x20, 0]);
    expect(await driver.recalibrate(1)).toEqual([0x71, 0]);
    expect(await driver.command([0x04, 1])).toEqual([0x29]);
  });

  test("disk change is latched until a step with a disk in", async () => {
    const rig = new FloppyRig();
    const driver = new FloppyDriver(rig);
    await driver.reset();
    expect((await rig.in(0x3f7)) & 0x80).toBe(0x80);
    await driver.seek(0, 1);
    expect((await rig.in(0x3f7)) & 0x80, "no disk").toBe(0x80);
    rig.fdc.insert(0, new MemoryImage(size144));
    expect((await rig.in(0x3f7)) & 0x80).toBe(0x80);
    await driver.seek(0, 0);
    expect((await rig.in(0x3f7)) & 0x80).toBe(0);
    rig.fdc.insert(0, null);
    expect((await rig.in(0x3f7)) & 0x80).toBe(0x80);
    expect(() => rig.fdc.insert(0, new MemoryImage(1_228_800))).toThrow(/1\.2M floppy does not fit a 1\.44M drive/);
    expect(() => rig.fdc.insert(1, null)).toThrow(/not fitted/);
  });
});

describe("READ DATA by DMA", () => {
  // Datasheet, "Result Phase Table": MT, head of the command, last sector; C, H and R that follow.
  test.each([
    [0, 0, 5, 1, [10, 0, 6]],
    [0, 0, 18, 1, [11, 0, 1]],
    [0, 1, 5, 1, [10, 1, 6]],
    [0, 1, 18, 1, [11, 1, 1]],
    [1, 0, 5, 1, [10, 0, 6]],
    [1, 0, 18, 1, [10, 1, 1]],
    [1, 1, 5, 1, [10, 1, 6]],
    [1, 1, 18, 1, [11, 0, 1]],
    [1, 0, 17, 6, [10, 1, 5]],
  ] as const)("MT %i, head %i, from sector %i, %i sectors and the terminal count", async (mt, head, record, count, next) => {
    const { rig, driver, image } = await ready();
    await driver.seek(0, 10, head);
    await driver.dma(0x44, 512 * count);
    const result = await driver.transfer(0x46 | (mt << 7), 0, head, [10, head, record, 2], 18);
    expect(result.slice(0, 3).map((byte, i) => (i === 0 ? byte & 0xfb : byte))).toEqual([0, 0, 0]);
    expect(result.slice(3)).toEqual([...next, 2]);
    expect(await rig.peek(dmaBuffer, 512 * count)).toEqual(sectorOf(image, 10, head, record, count));
    expect(await rig.in(0x08)).toBe(4);
    expect(rig.activity.length).toBe(count);
  });

  test("without a terminal count the end of the track ends it abnormally", async () => {
    const { rig, driver } = await ready();
    await driver.dma(0x44, 512 * 30);
    expect(await driver.transfer(0x46, 0, 0, [0, 0, 17, 2], 18)).toEqual([0x40, 0x80, 0, 1, 0, 1, 2]);
    expect(await rig.peek(dmaBuffer, 1024)).toEqual(sectorOf((await ready()).image, 0, 0, 17, 2));
    await driver.dma(0x44, 512 * 40);
    const result = await driver.transfer(0xc6, 0, 0, [0, 0, 18, 2], 18);
    expect(result.slice(1)).toEqual([0x80, 0, 1, 0, 1, 2]);
    expect(result[0] & 0xf3).toBe(0x40);
  });

  test("a terminal count within a sector", async () => {
    const { rig, driver, image } = await ready();
    await driver.dma(0x44, 700);
    expect(await driver.transfer(0x46, 0, 0, [0, 0, 1, 2], 18)).toEqual([0, 0, 0, 0, 0, 3, 2]);
    expect(await rig.peek(dmaBuffer, 700)).toEqual(sectorOf(image, 0, 0, 1, 2).slice(0, 700));
    expect(await rig.peek(dmaBuffer + 700, 100)).toEqual(new Uint8Array(100));
  });

  test("interrupt at the result phase, gone with its first byte", async () => {
    const { rig, driver } = await ready();
    await driver.dma(0x44, 512);
    await driver.send([0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff]);
    expect(await driver.msr(), "execution with DMA").toBe(0x10);
    expect(rig.irq.high).toBe(false);
    await rig.wait(2e6);
    expect(rig.irq.high).toBe(true);
    await rig.in(0x3f5);
    expect(rig.irq.high).toBe(false);
  });

  const failures: [string, number, Chrn, number[]][] = [
    ["no such sector", 0x46, [0, 0, 19, 2], [0x40, 0x04, 0]],
    ["sector 0", 0x46, [0, 0, 0, 2], [0x40, 0x04, 0]],
    ["another size", 0x46, [0, 0, 1, 3], [0x40, 0x04, 0]],
    ["another head in the ID", 0x46, [0, 1, 1, 2], [0x40, 0x04, 0]],
    ["another cylinder", 0x46, [5, 0, 1, 2], [0x40, 0x04, 0x10]],
    ["FM", 0x06, [0, 0, 1, 2], [0x40, 0x01, 0]],
  ];
  test.each(failures)("%s", async (_, code, chrn, status) => {
    const { driver } = await ready();
    await driver.dma(0x44, 512);
    expect(await driver.transfer(code, 0, 0, chrn, 30)).toEqual([...status, ...chrn]);
  });

  test("the wrong data rate, a motor that stands, an empty drive: no address mark", async () => {
    const { rig, driver } = await ready();
    await rig.out(0x3f7, 2);
    expect((await driver.command([0x4a, 0])).slice(0, 3)).toEqual([0x40, 0x01, 0]);
    await rig.out(0x3f4, 0);
    expect((await driver.command([0x4a, 0])).slice(0, 3)).toEqual([0, 0, 0]);
    await rig.out(0x3f2, 0x0c);
    expect((await driver.command([0x4a, 0])).slice(0, 3)).toEqual([0x40, 0x01, 0]);
    await rig.out(0x3f2, 0x1c);
    expect((await driver.command([0x4a, 0])).slice(0, 3)).toEqual([0, 0, 0]);
    rig.fdc.insert(0, null);
    expect((await driver.command([0x4a, 0])).slice(0, 3)).toEqual([0x40, 0x01, 0]);
    expect((await driver.command([0x4a, 2])).slice(0, 3)).toEqual([0x42, 0x01, 0]);
  });

  test("a masked channel is an overrun after a revolution's time; one that opens late is served", async () => {
    const { rig, driver, image } = await ready();
    await rig.out(0x0a, 6);
    expect(await driver.transfer(0x46, 0, 0, [0, 0, 1, 2], 18)).toEqual([0x40, 0x10, 0, 0, 0, 1, 2]);
    await rig.out(0x0a, 6);
    await driver.send([0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff]);
    await rig.wait(20e6);
    await driver.dma(0x44, 512);
    expect(await driver.result()).toEqual([0, 0, 0, 0, 0, 2, 2]);
    expect(await rig.peek(dmaBuffer, 512)).toEqual(sectorOf(image, 0, 0, 1));
  });

  test("implied seek, and ST0 says so", async () => {
    const { rig, driver, image } = await ready();
    await driver.command([0x13, 0, 0x40 | 0x20, 0]);
    await driver.dma(0x44, 512);
    expect(await driver.transfer(0x46, 0, 1, [33, 1, 4, 2], 18)).toEqual([0x24, 0, 0, 33, 1, 5, 2]);
    expect(await rig.peek(dmaBuffer, 512)).toEqual(sectorOf(image, 33, 1, 4));
    expect((await driver.command([0x0e]))[0]).toBe(33);
  });

  test("deleted data: every mark is the other one", async () => {
    const { rig, driver, image } = await ready();
    await driver.dma(0x44, 1024);
    expect(await driver.transfer(0x4c, 0, 0, [0, 0, 1, 2], 18), "one sector, control mark").toEqual([0, 0, 0x40, 0, 0, 2, 2]);
    expect(await rig.peek(dmaBuffer, 512)).toEqual(sectorOf(image, 0, 0, 1));
    expect(await driver.transfer(0x6c, 0, 0, [0, 0, 1, 2], 18), "all skipped").toEqual([0x40, 0x80, 0x40, 1, 0, 1, 2]);
  });

  test("READ TRACK takes sectors as they lie and says when an ID was another", async () => {
    const { rig, driver, image } = await ready();
    await driver.dma(0x44, 512 * 3);
    expect(await driver.transfer(0x42, 0, 0, [0, 0, 1, 2], 18)).toEqual([0, 0, 0, 0, 0, 4, 2]);
    expect(await rig.peek(dmaBuffer, 1536)).toEqual(sectorOf(image, 0, 0, 1, 3));
    await driver.dma(0x44, 512 * 2);
    expect((await driver.transfer(0x42, 0, 0, [7, 0, 5, 2], 18)).slice(0, 3)).toEqual([0, 0x04, 0]);
    expect(await rig.peek(dmaBuffer, 1024)).toEqual(sectorOf(image, 0, 0, 1, 2));
  });

  test("VERIFY moves nothing; to the end of the track, or the number of sectors it is given", async () => {
    const { rig, driver } = await ready();
    expect(await driver.transfer(0x56, 0, 0, [0, 0, 10, 2], 18)).toEqual([0, 0, 0, 1, 0, 1, 2]);
    expect(await driver.command([0x56, 0x80, 0, 0, 10, 2, 18, 0x1b, 4])).toEqual([0, 0, 0, 0, 0, 14, 2]);
    expect(await driver.command([0x56, 0x80, 0, 0, 17, 2, 18, 0x1b, 4])).toEqual([0x40, 0x80, 0, 1, 0, 1, 2]);
    expect(await driver.transfer(0x56, 0, 0, [0, 0, 10, 2], 30)).toEqual([0x40, 0x04, 0, 0, 0, 19, 2]);
    expect(await rig.peek(dmaBuffer, 512)).toEqual(new Uint8Array(512));
  });

  test("SCAN EQUAL and LOW OR EQUAL", async () => {
    const { rig, driver, image } = await ready();
    const third = sectorOf(image, 0, 0, 3);
    third[5] = 0xff;
    await rig.poke(dmaBuffer, third);
    await rig.poke(dmaBuffer + 512, third);
    await rig.poke(dmaBuffer + 1024, third);
    await driver.dma(0x48, 512 * 18);
    expect(await driver.transfer(0x51, 0, 0, [0, 0, 1, 2], 18, 1), "hit at sector 3").toEqual([0, 0, 0x08, 0, 0, 4, 2]);
    await rig.poke(dmaBuffer, new Uint8Array(512 * 18));
    await driver.dma(0x48, 512 * 18);
    expect(await driver.transfer(0x59, 0, 0, [0, 0, 1, 2], 18, 1), "nothing is below zero").toEqual([0, 0, 0x04, 1, 0, 1, 2]);
    await driver.dma(0x48, 512 * 18);
    expect(await driver.transfer(0x5d, 0, 0, [0, 0, 2, 2], 18, 1), "all is above zero").toEqual([0, 0, 0, 0, 0, 3, 2]);
  });
});

describe("WRITE DATA and FORMAT TRACK", () => {
  test("written sectors are in the image and flushed before the result", async () => {
    const { rig, driver, image } = await ready();
    const data = Uint8Array.from({ length: 1024 }, (_, i) => (i * 5 + 3) & 0xff);
    await rig.poke(dmaBuffer, data);
    await driver.seek(0, 79);
    await driver.dma(0x48, 1024);
    expect(await driver.transfer(0xc5, 0, 0, [79, 0, 18, 2], 18)).toEqual([0x04, 0, 0, 79, 1, 2, 2]);
    expect(sectorOf(image, 79, 0, 18, 2)).toEqual(data);
    expect(image.flushes).toBe(1);
    expect(rig.activity).toEqual(["write 0", "write 0"]);
  });

  test("a sector cut short is filled with zeros", async () => {
    const { rig, driver, image } = await ready();
    await rig.poke(dmaBuffer, new Uint8Array(512).fill(0xee));
    await driver.dma(0x48, 512);
    await driver.transfer(0x45, 0, 0, [0, 0, 8, 2], 18);
    await driver.dma(0x48, 100);
    expect(await driver.transfer(0x45, 0, 0, [0, 0, 9, 2], 18)).toEqual([0, 0, 0, 0, 0, 10, 2]);
    expect(sectorOf(image, 0, 0, 9)).toEqual(Uint8Array.from({ length: 512 }, (_, i) => (i < 100 ? 0xee : 0)));
  });

  test("write protected: not writable, at once; ST3 says so", async () => {
    const { driver } = await ready(new MemoryImage(size144, true));
    await driver.dma(0x48, 512);
    expect(await driver.transfer(0x45, 0, 0, [0, 0, 1, 2], 18)).toEqual([0x40, 0x02, 0, 0, 0, 1, 2]);
    expect((await driver.command([0x4d, 0, 2, 18, 0x1b, 0xf6])).slice(0, 3)).toEqual([0x40, 0x02, 0]);
    expect(await driver.command([0x04, 0])).toEqual([0x78]);
  });

  test("FORMAT TRACK fills each sector it is given an ID for", async () => {
    const { rig, driver, image } = await ready();
    await driver.seek(0, 5, 1);
    const ids = Array.from({ length: 18 }, (_, i) => [5, 1, ((i * 5) % 18) + 1, 2]).flat();
    await rig.poke(dmaBuffer, Uint8Array.from(ids));
    await driver.dma(0x48, ids.length);
    const result = await driver.command([0x4d, 4, 2, 18, 0x6c, 0xf6]);
    expect(result.slice(0, 3)).toEqual([0x04, 0, 0]);
    expect(sectorOf(image, 5, 1, 1, 18)).toEqual(new Uint8Array(512 * 18).fill(0xf6));
    expect(sectorOf(image, 5, 0, 18)).toEqual(sectorOf(new MemoryImage(size144), 5, 0, 18));
    expect(sectorOf(image, 6, 0, 1)).toEqual(sectorOf(new MemoryImage(size144), 6, 0, 1));
    expect(image.flushes).toBe(1);
  });

  test("a format the image has no place for is a fault, and changes nothing", async () => {
    const { rig, driver, image } = await ready();
    const before = image.bytes.slice();
    await driver.dma(0x48, 4 * 8);
    expect((await driver.command([0x4d, 0, 3, 8, 0x6c, 0xf6])).slice(0, 3)).toEqual([0x50, 0, 0]);
    await rig.out(0x3f7, 2);
    expect((await driver.command([0x4d, 0, 2, 9, 0x6c, 0xf6])).slice(0, 3)).toEqual([0x50, 0, 0]);
    expect(Buffer.compare(image.bytes, before)).toBe(0);
  });

  test("what a cut-off image lacks reads as zeros and cannot be written", async () => {
    const image = new MemoryImage(700 * 512);
    const rig = new FloppyRig(["360K"]);
    expect(rig.fdc.insert(0, image)).toMatch(/358400 bytes .* 360K/);
    const driver = new FloppyDriver(rig);
    await driver.reset();
    await driver.seek(0, 39);
    await driver.dma(0x44, 512);
    expect((await driver.transfer(0x46, 0, 1, [39, 1, 9, 2], 9)).slice(0, 3)).toEqual([0x04, 0, 0]);
    expect(await rig.peek(dmaBuffer, 512)).toEqual(new Uint8Array(512));
    await driver.dma(0x48, 512);
    expect((await driver.transfer(0x45, 0, 1, [39, 1, 9, 2], 9)).slice(0, 3)).toEqual([0x54, 0, 0]);
  });
});

describe("errors and slow images", () => {
  test("a bad sector is a data error, and the sectors before it have arrived", async () => {
    const { rig, driver, image } = await ready();
    image.bad.add(2 * 512);
    await driver.dma(0x44, 512 * 5);
    expect(await driver.transfer(0x46, 0, 0, [0, 0, 1, 2], 18)).toEqual([0x40, 0x20, 0x20, 0, 0, 3, 2]);
    expect(await rig.peek(dmaBuffer, 1024)).toEqual(sectorOf(image, 0, 0, 1, 2));
    await driver.dma(0x48, 512 * 5);
    expect((await driver.transfer(0x45, 0, 0, [0, 0, 3, 2], 18)).slice(0, 3)).toEqual([0x50, 0, 0]);
    image.bad.add(-1);
    await driver.dma(0x48, 512);
    expect((await driver.transfer(0x45, 0, 0, [0, 0, 1, 2], 18)).slice(0, 3), "a flush that fails").toEqual([0x50, 0, 0]);
  });

  test("a command waits for the image's promise, also one that is rejected", async () => {
    const { rig, driver, image } = await ready();
    image.slow = true;
    await driver.dma(0x44, 1024);
    await driver.send([0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff]);
    await rig.wait(50e6);
    expect(await driver.msr()).toBe(0x10);
    expect(await image.settle()).toBe(1);
    await rig.wait(50e6);
    expect(rig.irq.high).toBe(false);
    expect(await image.settle()).toBe(1);
    expect(rig.irq.high).toBe(true);
    expect(await driver.result()).toEqual([0, 0, 0, 0, 0, 3, 2]);
    image.bad.add(0);
    await driver.dma(0x44, 512);
    await driver.send([0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff]);
    await rig.wait(50e6);
    await image.settle();
    expect(await driver.result()).toEqual([0x40, 0x20, 0x20, 0, 0, 1, 2]);
  });

  test("a reset drops the command; the promise that settles later changes nothing", async () => {
    const { rig, driver, image } = await ready();
    image.slow = true;
    await driver.dma(0x44, 512);
    await driver.send([0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff]);
    await rig.wait(50e6);
    await driver.reset();
    expect(await image.settle()).toBe(1);
    expect(await driver.msr()).toBe(0x80);
    expect(rig.irq.high).toBe(false);
    expect(await rig.peek(dmaBuffer, 512)).toEqual(new Uint8Array(512));
  });

  test("a disk changed between sectors", async () => {
    const { rig, driver } = await ready();
    await driver.dma(0x44, 512 * 10);
    await driver.send([0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff]);
    await rig.wait(1e6);
    rig.fdc.insert(0, null);
    expect((await driver.result()).slice(0, 3)).toEqual([0x40, 0x01, 0]);
  });
});

describe("without DMA", () => {
  test.each([
    [0x20, 1],
    [0x0f, 1],
    [0x08, 8],
    [0x00, 16],
  ])("reading with CONFIGURE %i: an interrupt every %i bytes", async (config, chunk) => {
    const { rig, driver, image } = await ready();
    await driver.command([0x03, 0xdf, 0x03]);
    await driver.command([0x13, 0, config, 0]);
    await driver.send([0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff]);
    expect(await driver.msr()).toBe(0x30);
    const edges = rig.irq.rises;
    await rig.wait(1e6);
    const data = new Uint8Array(512);
    for (let i = 0; i < 512; i++) {
      expect(await driver.msr()).toBe(0xf0);
      data[i] = await rig.in(0x3f5);
    }
    expect(data).toEqual(sectorOf(image, 0, 0, 18));
    expect(rig.irq.rises - edges, "and one for the result").toBe(512 / chunk + 1);
    // No terminal count can come.
    expect(await driver.result()).toEqual([0x40, 0x80, 0, 1, 0, 1, 2]);
  });

  test("writing", async () => {
    const { rig, driver, image } = await ready();
    await driver.command([0x03, 0xdf, 0x03]);
    await driver.send([0x45, 0, 0, 0, 18, 2, 18, 0x1b, 0xff]);
    await rig.wait(1e6);
    for (let i = 0; i < 512; i++) {
      expect(await driver.msr()).toBe(0xb0);
      await rig.out(0x3f5, (i * 3) & 0xff);
    }
    expect(await driver.result()).toEqual([0x40, 0x80, 0, 1, 0, 1, 2]);
    expect(sectorOf(image, 0, 0, 18)).toEqual(Uint8Array.from({ length: 512 }, (_, i) => (i * 3) & 0xff));
  });
});

describe("every format", () => {
  test.each(floppyFormats.map((format) => [format.name, format] as const))("%s: first, middle and last track of both heads", async (_, format) => {
    const image = new MemoryImage(formatBytes(format));
    const rig = new FloppyRig([format.drive]);
    expect(rig.fdc.insert(0, image)).toBeNull();
    const driver = new FloppyDriver(rig);
    await driver.reset();
    const { cylinders, heads, sectors, rates } = format;
    for (const rate of [0, 1, 2, 3]) {
      await rig.out(0x3f7, rate);
      expect((await driver.command([0x4a, 0]))[0] >> 6, `rate ${rate}`).toBe(rates.includes(rate) ? 0 : 1);
    }
    await rig.out(0x3f7, rates[0]);
    for (const cylinder of [0, cylinders >> 1, cylinders - 1]) {
      for (let head = 0; head < heads; head++) {
        await driver.seek(0, cylinder, head);
        await driver.dma(0x44, 512 * sectors);
        expect(await driver.transfer(0x46, 0, head, [cylinder, head, 1, 2], sectors)).toEqual([head << 2, 0, 0, cylinder + 1, head, 1, 2]);
        const at = (cylinder * heads + head) * sectors * 512;
        expect(Buffer.compare(await rig.peek(dmaBuffer, 512 * sectors), image.bytes.subarray(at, at + 512 * sectors))).toBe(0);
      }
    }
    await driver.seek(0, cylinders);
    expect((await driver.command([0x4a, 0])).slice(0, 3), "beyond the last cylinder").toEqual([0x40, 1, 0]);
    if (heads === 1) {
      await driver.seek(0, 0);
      expect((await driver.command([0x4a, 4])).slice(0, 3)).toEqual([0x44, 1, 0]);
    }
  });

  test("360K in a 1.2M drive: by software that steps twice, and by software that does not", async () => {
    const image = new MemoryImage(368_640);
    const rig = new FloppyRig(["1.2M"]);
    rig.fdc.insert(0, image);
    const driver = new FloppyDriver(rig);
    await driver.reset();
    await rig.out(0x3f7, 1);
    for (const step of [60, 30]) {
      await driver.seek(0, step);
      await driver.dma(0x44, 512);
      expect(await driver.transfer(0x46, 0, 0, [30, 0, 2, 2], 9)).toEqual([0, 0, 0, 30, 0, 3, 2]);
      expect(await rig.peek(dmaBuffer, 512)).toEqual(image.bytes.slice((30 * 2 * 9 + 1) * 512, (30 * 2 * 9 + 2) * 512));
    }
    await driver.seek(0, 60);
    expect((await driver.command([0x4a, 0])).slice(3, 5)).toEqual([30, 0]);
  });
});
