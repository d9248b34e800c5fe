/**
 * Random port, memory-mapped and configuration accesses to the floppy controller with its DMA and to virtio-blk, with guest memory that is nonsense as well:
 * no exception, no hang, no timer or buffer left over, nothing written outside the image, and a restored copy does the same. XLAT86_FUZZ=1000000 for more.
 */
import { describe, expect, test } from "vitest";
import { FloppyRig, MemoryImage } from "./floppy-rig.ts";
import { Random } from "./support.ts";
import { buffers, feature, memoryBytes, VirtioDriver, VirtioRig } from "./virtio-rig.ts";

const accesses = Number(process.env.XLAT86_FUZZ ?? 100_000);
const rounds = 10;
const sizes = [1, 1, 1, 1, 2, 4] as const;

const arrayBufferBytes = (): number => process.memoryUsage().arrayBuffers;

describe("floppy and DMA", () => {
  const ports = [
    ...Array.from({ length: 8 }, (_, i) => 0x3f0 + i),
    ...[0x3f2, 0x3f4, 0x3f5, 0x3f5, 0x3f5, 0x3f5, 0x3f5, 0x3f5, 0x3f7],
    ...Array.from({ length: 16 }, (_, i) => i),
    ...Array.from({ length: 32 }, (_, i) => 0xc0 + i),
    ...Array.from({ length: 16 }, (_, i) => 0x80 + i),
    ...Array.from({ length: 16 }, (_, i) => 0x480 + i),
  ];
  const starts = [0x46, 0x45, 0xc6, 0xc5, 0x4a, 0x4d, 0x07, 0x0f, 0x08, 0x42, 0x56, 0x51, 0x13, 0x03, 0x4c, 0x8f];

  function make(images: readonly MemoryImage[]): FloppyRig {
    const rig = new FloppyRig(["1.44M", "360K"]);
    images.forEach((image, n) => {
      rig.fdc.insert(n, image);
    });
    return rig;
  }

  /** What a driver does, so that the nonsense around it meets commands under way: a transfer with implied seek, from drive A or B. */
  function sensible(rig: FloppyRig, random: Random): void {
    const out = (port: number, ...values: number[]) => {
      for (const value of values) rig.bus.write(port, 1, value);
    };
    const unit = random.below(2);
    const code = random.pick([0x46, 0xc6, 0x45, 0xc5, 0x51, 0x56, 0x42]);
    out(0x3f2, 0x08, 0x0c | unit | (0x10 << unit));
    out(0x3f7, unit === 0 ? 0 : 2);
    out(0x3f5, 0x07, unit);
    rig.clock.run(10_000_000);
    out(0x3f5, 0x03, 0xdf, 0x02 | random.below(2));
    out(0x3f5, 0x13, 0, 0x40 | random.below(64), 0);
    out(0x08, 0);
    out(0x0a, 0x06);
    out(0x0c, 0);
    out(0x0b, (code & 0x1f) === 0x05 || code === 0x51 ? 0x4a : 0x46);
    out(0x04, 0, 0x20);
    out(0x81, random.below(16));
    out(0x05, random.below(256), random.below(32));
    out(0x0a, 0x02);
    const head = random.below(2);
    out(0x3f5, code, (head << 2) | unit, random.below(40), head, 1 + random.below(9), 2, unit === 0 ? 18 : 9, 0x1b, 0xff);
    if (random.below(2) === 0) rig.clock.run(random.below(10_000_000));
  }

  function step(rig: FloppyRig, random: Random): number {
    const choice = random.below(40);
    const port = random.pick(ports);
    const size = random.pick(sizes);
    if (choice === 0) rig.clock.run(random.below(3_000_000));
    else if (choice === 1) rig.clock.sleepThrough(random.below(100_000_000));
    else if (choice === 2) rig.bus.write(0x3f2, 1, random.pick([0x1c, 0x3c, 0x2d, 0x0c, 0x08, 0xff]));
    else if (choice === 3) {
      // A whole command, which random bytes seldom are.
      rig.bus.write(0x3f5, 1, random.pick(starts));
      for (let i = 0; i < 8; i++) rig.bus.write(0x3f5, 1, random.pick([0, 1, 2, 2, 4, 9, 18, random.below(256)]));
    } else if (choice === 4) sensible(rig, random);
    else if (choice < 20) {
      const value = rig.bus.read(port, size);
      if (!(value >= 0 && value < 2 ** (8 * size))) throw new Error(`port ${port.toString(16)} size ${size} read ${value}`);
      return value;
    } else rig.bus.write(port, size, random.below(3) === 0 ? random.pick([0, 0xff, 0x46, 0x02, 0x08]) : random.next() | 0);
    return -1;
  }

  test("random accesses; a restored copy goes on the same", () => {
    const random = new Random(0xf10);
    const images = [new MemoryImage(1_474_560), new MemoryImage(368_640, true)];
    const rig = make(images);
    let sectors = 0;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < accesses / rounds; i++) step(rig, random);
      expect(rig.clock.armedTimers).toBeLessThanOrEqual(6);
      sectors += rig.activity.length;
      rig.activity.length = 0;
      const copies = [new MemoryImage(1_474_560), images[1]];
      copies[0].bytes.set(images[0].bytes);
      const copy = make(copies);
      const saved = structuredClone([rig.clock.save(), rig.memory.save(), rig.dma.save(), rig.fdc.save()]);
      copy.clock.restore(saved[0]);
      copy.memory.restore(saved[1]);
      copy.dma.restore(saved[2]);
      copy.fdc.restore(saved[3]);
      expect(copy.irq.high).toBe(rig.irq.high);
      const [one, other] = [new Random(round + 1), new Random(round + 1)];
      for (let i = 0; i < 2000; i++) {
        const [expected, found] = [step(rig, one), step(copy, other)];
        if (expected !== found) throw new Error(`round ${round} step ${i}: read ${expected}, the restored copy ${found}`);
      }
      expect(copy.fdc.save()).toEqual(rig.fdc.save());
    }
    // Nonsense, but some of it reaches the disk.
    expect(sectors).toBeGreaterThan(accesses / 1000);
    expect(images[0].size).toBe(1_474_560);
  });

  test("slow images that fail, disks that come and go", async () => {
    const random = new Random(0x51);
    const images = [new MemoryImage(1_474_560), new MemoryImage(737_280)];
    const rig = new FloppyRig(["1.44M", "1.44M"]);
    for (const image of images) for (let i = 0; i < 20; i++) image.bad.add(512 * random.below(1440));
    for (let i = 0; i < accesses / 4; i++) {
      step(rig, random);
      if (random.below(50) === 0) rig.fdc.insert(random.below(2), random.pick([null, ...images]));
      if (random.below(20) === 0) {
        for (const image of images) {
          image.slow = random.below(2) === 0;
          await image.settle();
        }
      }
    }
    expect(rig.clock.armedTimers).toBeLessThanOrEqual(6);
  });
});

describe("virtio-blk", () => {
  const bar = 0xf0000000;
  const featureSets = [[feature.version1], [feature.version1, feature.flush, feature.indirect, feature.eventIndex]];

  /** Nonsense in the rings and tables: half of it plausible. */
  function scribble(rig: VirtioRig, random: Random): void {
    const address = random.pick([0x100000, 0x102000, 0x104000, buffers]) + random.below(0x200);
    const plausible = random.pick([0, 1, 2, 3, 4, 16, 512, 0x100000, buffers, random.below(64), memoryBytes - 8, 0xffffffff]);
    rig.memory.write4(address & ~3, random.below(2) === 0 ? plausible : random.next() | 0);
  }

  async function request(driver: VirtioDriver, random: Random): Promise<void> {
    const kind = random.pick([0, 1, 4, 8, random.below(20)]);
    const sane = random.below(2) === 0;
    const header = await driver.header(kind, sane ? random.below(100) : random.pick([127, 128, random.next()]));
    const parts = Array.from({ length: random.below(4) }, () => ({
      address: sane ? buffers + 0x1000 : random.pick([memoryBytes - 512, random.below(memoryBytes)]),
      length: sane ? 512 * random.below(4) : random.pick([512, 1024, 20, 0, random.below(5000)]),
      write: kind !== 1,
    }));
    await driver.chain(0, [header, ...parts, { address: buffers + 0x100, length: 1, write: true }]);
    await driver.offer([0]);
  }

  test("random registers, configuration space, rings and requests; a restored copy goes on the same", async () => {
    const random = new Random(0xb10c);
    const image = new MemoryImage(512 * 128);
    const rig = new VirtioRig(image);
    const driver = new VirtioDriver(rig);
    await driver.start();
    let [requests, complaints] = [0, 0];
    const read = (size: 1 | 2 | 4, at: number): number =>
      size === 1 ? rig.memory.read1(at) : size === 2 ? rig.memory.read2(at) : rig.memory.read4(at) >>> 0;
    for (let i = 0; i < accesses; i++) {
      const choice = random.below(100);
      const size = random.pick([1, 2, 4] as const);
      // Mostly the common configuration.
      const at = bar + (random.below(3) === 0 ? random.below(0x4000) : random.below(0x40));
      if (choice < 30) {
        const value = read(size, at);
        if (!(value >= 0 && value < 2 ** (8 * size))) throw new Error(`${at.toString(16)} size ${size} read ${value}`);
      } else if (choice < 55) {
        const value = random.below(2) === 0 ? random.pick([0, 1, 0x0b, 0x0f, 0x100000]) : random.next() | 0;
        if (size === 1) rig.memory.write1(at, value);
        else if (size === 2) rig.memory.write2(at, value);
        else rig.memory.write4(at, value);
      } else if (choice < 75) scribble(rig, random);
      else if (choice < 80) {
        rig.bus.write(0xcf8, 4, 0x80000000 | (4 << 11) | (random.below(64) << 2));
        if (random.below(2) === 0) rig.bus.read(0xcfc + random.below(4), 1);
        else rig.bus.write(0xcfc, 4, random.pick([0, 4, 6, 0x406, bar, random.next() | 0]));
      } else if (choice < 82) rig.clock.run(random.below(1e6));
      else if (choice === 82) image.slow = random.below(2) === 0;
      else if (choice === 83) await image.settle();
      else if (choice < 86 && random.below(10) === 0) await driver.start(random.pick(featureSets), random.pick([1, 8, 64, 256]));
      else if (choice === 86) {
        if (driver.capabilities.length === 0 || random.below(2) === 0) await driver.start(random.pick(featureSets), random.pick([8, 64, 256]));
        await request(driver, random);
        if (random.below(2) === 0) rig.clock.run(10_000);
      } else if (choice === 87 && random.below(50) === 0) {
        // Through a snapshot and back, with whatever is under way.
        await image.settle();
        const saved = structuredClone(rig.pci.save());
        const clock = rig.clock.save();
        rig.clock.restore(clock);
        rig.pci.restore(saved);
      }
      if ((i & 0xfff) === 0) {
        expect(rig.clock.armedTimers).toBeLessThanOrEqual(1);
        requests += rig.activity.length;
        complaints += rig.complaints.length;
        rig.complaints.length = rig.activity.length = 0;
      }
    }
    image.slow = false;
    while ((await image.settle()) > 0);
    rig.clock.run(1e9);
    expect(requests).toBeGreaterThan(accesses / 1000);
    expect(complaints).toBeGreaterThan(accesses / 2000);
    // And after all that it works.
    await driver.start();
    const { status, data } = await driver.readSectors(3, 2);
    expect(status).toBe(0);
    expect(data).toEqual(image.bytes.slice(3 * 512, 5 * 512));
    expect(image.size).toBe(512 * 128);
  });

  test("no memory is kept: a thousand large requests", async () => {
    const rig = new VirtioRig(new MemoryImage(4 << 20));
    const driver = new VirtioDriver(rig);
    await driver.start();
    await driver.readSectors(0, 6000);
    const before = arrayBufferBytes();
    for (let i = 0; i < 1000; i++) {
      await driver.offer([0]);
      rig.clock.run(10_000);
    }
    expect(arrayBufferBytes() - before).toBeLessThan(32 << 20);
  });
});
