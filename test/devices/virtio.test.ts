import { describe, expect, test } from "vitest";
import { MemoryImage } from "./floppy-rig.ts";
import { buffers, common, feature, memoryBytes, type Part, VirtioDriver, VirtioRig } from "./virtio-rig.ts";

const sectors = 2048;

function rigOf(image = new MemoryImage(512 * sectors)) {
  const rig = new VirtioRig(image);
  return { rig, image, driver: new VirtioDriver(rig) };
}

async function started(features?: readonly number[], size?: number, image?: MemoryImage) {
  const all = rigOf(image);
  await all.driver.start(features, size);
  return all;
}

const sector = (image: MemoryImage, n: number, count = 1) => image.bytes.slice(512 * n, 512 * (n + count));

describe("PCI identity and capabilities (virtio 1.2, 4.1.2 and 4.1.4)", () => {
  test("vendor, device, subsystem, class, revision, pin", async () => {
    const { driver } = rigOf();
    expect(await driver.config(0x00, 4)).toBe(0x10421af4);
    expect(await driver.config(0x2c, 4)).toBe(0x11001af4);
    expect(await driver.config(0x08, 4)).toBe(0x01000001);
    expect(await driver.config(0x3d, 1)).toBe(1);
    expect((await driver.config(0x06, 2)) & 0x10).toBe(0x10);
  });

  test("all five capabilities, each in the BAR and apart from the others", async () => {
    const { driver } = rigOf();
    await driver.probe();
    expect(driver.capabilities.map(({ type }) => type).sort()).toEqual([1, 2, 3, 4, 5]);
    const placed = driver.capabilities.filter(({ type }) => type !== 5).sort((a, b) => a.offset - b.offset);
    let end = 0;
    for (const { offset, length, bar } of placed) {
      expect(bar).toBe(4);
      expect(offset).toBeGreaterThanOrEqual(end);
      end = offset + length;
    }
    expect(driver.capability(1).length).toBeGreaterThanOrEqual(0x38);
    expect(driver.capability(4).length).toBeGreaterThanOrEqual(24);
    const size = await (async () => {
      await driver.setConfig(0x20, 4, 0xffffffff);
      return ~((await driver.config(0x20, 4)) & ~15) + 1;
    })();
    expect(end).toBeLessThanOrEqual(size);
  });

  test("registers through the PCI configuration access capability, with memory decoding off", async () => {
    const { driver } = rigOf();
    await driver.probe();
    await driver.setConfig(4, 2, 0);
    const { at } = driver.capability(5);
    const access = async (offset: number, size: 1 | 2 | 4, value?: number) => {
      await driver.setConfig(at + 4, 1, 4);
      await driver.setConfig(at + 8, 4, driver.capability(1).offset + offset);
      await driver.setConfig(at + 12, 4, size);
      if (value === undefined) return await driver.config(at + 16, size);
      await driver.setConfig(at + 16, size, value);
      return 0;
    };
    await access(common.status, 1, 0);
    await access(common.status, 1, 3);
    expect(await access(common.status, 1)).toBe(3);
    expect(await access(common.queueCount, 2)).toBe(1);
    await access(common.deviceFeatureSelect, 4, 1);
    expect(await access(common.deviceFeature, 4)).toBe(1);
    for (const [bar, offset, size] of [
      [0, 0, 4],
      [4, 0x4000, 4],
      [4, 0xfffffffe, 2],
      [4, 0, 3],
      [4, 0, 0],
      [4, 1, 4],
    ]) {
      await driver.setConfig(at + 4, 1, bar);
      await driver.setConfig(at + 8, 4, offset);
      await driver.setConfig(at + 12, 4, size);
      expect(await driver.config(at + 16, 4), `${bar} ${offset} ${size}`).toBe(0);
      await driver.setConfig(at + 16, 4, 0xffffffff);
    }
  });
});

describe("initialization (3.1) and features", () => {
  test("offers what it does; FEATURES_OK needs VERSION_1 and nothing more than that", async () => {
    const { driver } = rigOf();
    await driver.probe();
    const [low, high] = await driver.offered();
    const bit = (n: number) => 2 ** n;
    expect(low).toBe(bit(2) + bit(6) + bit(9) + bit(28) + bit(29));
    expect(high).toBe(1);
    expect(await driver.negotiate([feature.version1])).toBe(0x0b);
    expect(await driver.negotiate([feature.version1, 2, 6, 9, 28, 29])).toBe(0x0b);
    expect(await driver.negotiate([feature.flush]), "no VERSION_1").toBe(0x03);
    expect(await driver.negotiate([feature.version1, 11]), "CONFIG_WCE is not offered").toBe(0x03);
    expect(await driver.negotiate([feature.version1, 40])).toBe(0x03);
    await driver.write(common.status, 1, 0x0f);
    expect(await driver.status(), "nor starts it so").toBe(0x03);
    await driver.write(common.deviceFeatureSelect, 4, 2);
    expect(await driver.read(common.deviceFeature, 4)).toBe(0);
  });

  test("a read-only image offers RO", async () => {
    const { driver } = rigOf(new MemoryImage(512 * 100, true));
    await driver.probe();
    expect((await driver.offered())[0] & (1 << 5)).not.toBe(0);
  });

  test("configuration: capacity, most segments, block size", async () => {
    const { driver } = rigOf();
    await driver.probe();
    expect([await driver.read(0, 4, 4), await driver.read(4, 4, 4)]).toEqual([sectors, 0]);
    expect(await driver.read(12, 4, 4)).toBe(254);
    expect(await driver.read(20, 4, 4)).toBe(512);
    await driver.write(0, 4, 77, 4);
    expect(await driver.read(0, 4, 4)).toBe(sectors);
  });

  test("queue registers: sizes are powers of two up to the device's; a queue there is not has size 0", async () => {
    const { driver } = rigOf();
    await driver.probe();
    await driver.negotiate([feature.version1]);
    expect(await driver.read(common.queueSize, 2)).toBe(256);
    for (const size of [3, 512, 0, 255, 65535]) {
      await driver.write(common.queueSize, 2, size);
      expect(await driver.read(common.queueSize, 2)).toBe(256);
    }
    await driver.write(common.queueSize, 2, 8);
    expect(await driver.read(common.queueSize, 2)).toBe(8);
    await driver.write(common.queueSelect, 2, 1);
    expect(await driver.read(common.queueSize, 2)).toBe(0);
    await driver.write(common.queueEnable, 2, 1);
    expect(await driver.read(common.queueEnable, 2)).toBe(0);
    for (const register of [common.configVector, common.queueVector]) expect(await driver.read(register, 2)).toBe(0xffff);
    await driver.write(common.status, 1, 0);
    await driver.write(common.queueSelect, 2, 0);
    expect(await driver.read(common.queueSize, 2)).toBe(256);
  });

  test("reset forgets everything the driver set", async () => {
    const { driver, rig } = await started();
    await driver.readSectors(0, 1);
    expect(rig.irq.high).toBe(true);
    await driver.write(common.status, 1, 0);
    expect(rig.irq.high).toBe(false);
    expect(await driver.status()).toBe(0);
    expect(await driver.isr()).toBe(0);
    await driver.write(common.queueSelect, 2, 0);
    expect(await driver.read(common.queueEnable, 2)).toBe(0);
    for (let at = 0x20; at < 0x38; at += 4) expect(await driver.read(at, 4)).toBe(0);
    await driver.start();
    expect((await driver.readSectors(5, 1)).status).toBe(0);
  });
});

describe("requests (5.2.6)", () => {
  test("IN and OUT", async () => {
    const { driver, image, rig } = await started();
    const read = await driver.readSectors(7, 3);
    expect(read).toEqual({ status: 0, length: 3 * 512 + 1, data: sector(image, 7, 3) });
    const data = Uint8Array.from({ length: 1024 }, (_, i) => (i * 11) & 0xff);
    expect(await driver.writeSectors(sectors - 2, data)).toEqual({ status: 0, length: 1 });
    expect(sector(image, sectors - 2, 2)).toEqual(data);
    expect(image.flushes).toBe(0);
    expect(await driver.request(4, 0)).toEqual({ status: 0, length: 1 });
    expect(image.flushes).toBe(1);
    expect(rig.activity).toEqual(["read", "write"]);
    expect(rig.complaints).toEqual([]);
  });

  test("without FLUSH a write is on stable storage before it completes", async () => {
    const { driver, image } = await started([feature.version1]);
    await driver.writeSectors(0, new Uint8Array(512));
    expect(image.flushes).toBe(1);
  });

  test("GET_ID; a type nobody knows; discard", async () => {
    const { driver, rig } = await started();
    const address = buffers + 0x1000;
    expect(await driver.request(8, 0, [{ address, length: 20, write: true }])).toEqual({ status: 0, length: 21 });
    expect(new TextDecoder().decode(await rig.peek(address, 7))).toBe("disk-0\0");
    expect((await driver.request(99, 0)).status).toBe(2);
    expect((await driver.request(11, 0, [{ address, length: 16 }])).status).toBe(2);
    expect((await driver.request(8, 0, [{ address, length: 10, write: true }])).status).toBe(1);
  });

  test("beyond the end, part of a sector, sector numbers of 64 bits, nothing at all", async () => {
    const { driver, image } = await started();
    const before = image.bytes.slice();
    expect((await driver.readSectors(sectors - 1, 2)).status).toBe(1);
    expect((await driver.readSectors(2 ** 40, 1)).status).toBe(1);
    expect((await driver.readSectors(Number.MAX_SAFE_INTEGER, 1)).status).toBe(1);
    expect((await driver.writeSectors(sectors, new Uint8Array(512))).status).toBe(1);
    expect((await driver.writeSectors(0, new Uint8Array(100))).status).toBe(1);
    expect((await driver.request(0, 0)).status).toBe(0);
    expect(Buffer.compare(image.bytes, before)).toBe(0);
  });

  test("a write to a read-only disk fails and changes nothing", async () => {
    const { driver } = await started([feature.version1], 64, new MemoryImage(512 * 64, true));
    expect((await driver.writeSectors(0, new Uint8Array(512))).status).toBe(1);
    expect((await driver.readSectors(0, 1)).status).toBe(0);
  });

  test("header, data and status may be cut anywhere (2.7.4.1)", async () => {
    const { driver, image, rig } = await started();
    await driver.header(0, 9);
    const at = buffers;
    const target = buffers + 0x2000;
    const parts: Part[] = [
      { address: at, length: 3 },
      { address: at + 3, length: 0 },
      { address: at + 3, length: 13 },
      { address: target, length: 700, write: true },
      { address: target + 700, length: 324, write: true },
      { address: target + 0x1000, length: 0, write: true },
    ];
    // The status byte in one part with the end of the data.
    const last = { address: target + 0x2000, length: 513, write: true };
    await driver.chain(0, [...parts, last]);
    await driver.offer([0]);
    await rig.wait(1e6);
    expect(await driver.used()).toEqual([[0, 3 * 512 + 1]]);
    expect(await rig.peek(target, 1024)).toEqual(sector(image, 9, 2));
    expect(await rig.peek(target + 0x2000, 513)).toEqual(Uint8Array.from([...sector(image, 11), 0]));
  });

  test("indirect descriptors", async () => {
    const { driver, image, rig } = await started([feature.version1, feature.indirect]);
    const table = buffers + 0x8000;
    const header = await driver.header(0, 4);
    const target = buffers + 0x2000;
    await driver.chain(0, [header, { address: target, length: 1024, write: true }, { address: buffers + 0x100, length: 1, write: true }], table);
    await driver.describe(5, { address: table, length: 48, flags: 4, next: 0 });
    await driver.offer([5]);
    await rig.wait(1e6);
    expect(await driver.used()).toEqual([[5, 1025]]);
    expect(await rig.peek(target, 1024)).toEqual(sector(image, 4, 2));
  });

  test("several requests at once, the ring wrapping round many times", async () => {
    const { driver, rig, image } = await started([feature.version1], 8);
    let offered = 0;
    for (let round = 0; round < 40; round++) {
      const heads: number[] = [];
      for (const head of [0, 3]) {
        const header = await driver.header(0, offered % sectors, buffers + 0x40 * head);
        const target = buffers + 0x1000 + 0x400 * head;
        await driver.chain(head, [
          header,
          { address: target, length: 512, write: true },
          { address: buffers + 0x800 + head, length: 1, write: true },
        ]);
        heads.push(head);
        offered++;
      }
      await driver.offer(heads);
      await rig.wait(1e6);
      expect((await driver.used()).map(([head]) => head)).toEqual([0, 3]);
      expect(await rig.peek(buffers + 0x1000 + 0xc00, 512)).toEqual(sector(image, offered - 1));
    }
  });

  test("a request larger than a piece", async () => {
    const image = new MemoryImage(8 << 20);
    const { driver } = await started(undefined, 64, image);
    const { status, data } = await driver.readSectors(3, 7000);
    expect(status).toBe(0);
    expect(Buffer.compare(data, sector(image, 3, 7000))).toBe(0);
    const written = Uint8Array.from({ length: 7000 * 512 }, (_, i) => (i * 17 + (i >> 8)) & 0xff);
    expect((await driver.writeSectors(100, written)).status).toBe(0);
    expect(Buffer.compare(sector(image, 100, 7000), written)).toBe(0);
  });
});

describe("interrupts and notifications (2.7.7, 2.7.10)", () => {
  test("INTx with ISR, cleared by reading it; the PCI status bit and the disable bit", async () => {
    const { driver, rig } = await started();
    await driver.readSectors(0, 1);
    expect(rig.irq.high).toBe(true);
    expect((await driver.config(6, 2)) & 8).toBe(8);
    await driver.setConfig(4, 2, 0x406);
    expect(rig.irq.high).toBe(false);
    expect((await driver.config(6, 2)) & 8).toBe(8);
    await driver.setConfig(4, 2, 0x006);
    expect(rig.irq.high).toBe(true);
    expect(await driver.isr()).toBe(1);
    expect(rig.irq.high).toBe(false);
    expect(await driver.isr()).toBe(0);
    expect((await driver.config(6, 2)) & 8).toBe(0);
  });

  test("a driver that polls asks for none", async () => {
    const { driver, rig } = await started();
    await driver.setAvailableFlags(1);
    await driver.readSectors(0, 1);
    expect(rig.irq.high).toBe(false);
    expect(await driver.isr()).toBe(0);
  });

  test("event index: an interrupt when the chain asked for comes back", async () => {
    const { driver, rig } = await started([feature.version1, feature.eventIndex]);
    await driver.setUsedEvent(2);
    for (const [n, expected] of [false, false, true].entries()) {
      await driver.chain(0, [
        await driver.header(0, n),
        { address: buffers + 0x1000, length: 512, write: true },
        { address: buffers + 0x100, length: 1, write: true },
      ]);
      await driver.offer([0]);
      await rig.wait(1e6);
      expect(rig.irq.high, `after ${n + 1}`).toBe(expected);
      expect(await driver.availableEvent()).toBe(n + 1);
    }
  });

  test("without the right to master the bus it waits, and goes on when it has it", async () => {
    const { driver, rig } = await started();
    await driver.setConfig(4, 2, 0x02);
    await driver.chain(0, [
      await driver.header(0, 1),
      { address: buffers + 0x1000, length: 512, write: true },
      { address: buffers + 0x100, length: 1, write: true },
    ]);
    await driver.offer([0]);
    await rig.wait(1e9);
    expect(await driver.used()).toEqual([]);
    await driver.setConfig(4, 2, 0x06);
    await rig.wait(1e6);
    expect(await driver.used()).toEqual([[0, 513]]);
  });

  test("a notification before DRIVER_OK is kept", async () => {
    const { driver, rig } = await started();
    await driver.write(common.status, 1, 0);
    await driver.start();
    expect((await driver.readSectors(1, 1)).status).toBe(0);
    await rig.wait(1e6);
  });
});

describe("what no driver should do", () => {
  const good = { address: buffers, length: 16 };
  const data = { address: buffers + 0x1000, length: 512, write: true };
  const status = { address: buffers + 0x100, length: 1, write: true };
  type Setup = (driver: VirtioDriver) => Promise<number[]>;
  /** Descriptor 0 is the head of what is set up. */
  const one = async (setup: Promise<void>): Promise<number[]> => {
    await setup;
    return [0];
  };
  const cases: [string, RegExp, Setup][] = [
    [
      "a chain that loops",
      /loops/,
      async (driver) => {
        await driver.chain(0, [good, data, status]);
        await driver.describe(2, { ...status, flags: 3, next: 1 });
        return [0];
      },
    ],
    ["a chain that loops on itself", /loops/, (driver) => one(driver.describe(0, { ...good, flags: 1, next: 0 }))],
    ["a head outside the table", /descriptor 64 in a table of 64/, async () => [64]],
    ["a next outside the table", /descriptor 1000 in a table of 64/, (driver) => one(driver.describe(0, { ...good, flags: 1, next: 1000 }))],
    [
      "a buffer beyond RAM",
      /outside RAM/,
      (driver) => one(driver.chain(0, [good, { address: memoryBytes - 511, length: 512, write: true }, status])),
    ],
    ["a buffer above 4 GB", /outside RAM/, (driver) => one(driver.describe(0, { ...good, flags: 0, next: 0, high: 1 }))],
    ["a length that runs over", /outside RAM/, (driver) => one(driver.describe(0, { address: 0x1000, length: 0xfffff000, flags: 0, next: 0 }))],
    ["a part to read after one to write", /a part to read after one to write/, (driver) => one(driver.chain(0, [good, data, good, status]))],
    ["a header that is cut short", /without header or status/, (driver) => one(driver.chain(0, [{ address: buffers, length: 15 }, status]))],
    ["no status byte", /without header or status/, (driver) => one(driver.chain(0, [good]))],
    [
      "an indirect table nobody agreed on",
      /indirect table of 32 bytes where there may be none/,
      (driver) => one(driver.describe(0, { address: buffers + 0x8000, length: 32, flags: 4, next: 0 })),
    ],
  ];

  test.each(cases)("%s: DEVICE_NEEDS_RESET with a configuration interrupt; a reset makes it good", async (_, reason, setup) => {
    const { driver, rig } = await started([feature.version1]);
    await driver.header(0, 0);
    await driver.offer(await setup(driver));
    await rig.wait(1e6);
    expect(await driver.status()).toBe(0x4f);
    expect(rig.complaints).toHaveLength(1);
    expect(rig.complaints[0]).toMatch(reason);
    expect(rig.irq.high).toBe(true);
    expect((await driver.isr()) & 2).toBe(2);
    // Nothing moves until the reset.
    await driver.chain(10, [good, data, status]);
    await driver.offer([10]);
    await rig.wait(1e9);
    expect(await driver.used()).toEqual([]);
    await driver.start();
    expect((await driver.readSectors(0, 1)).status).toBe(0);
  });

  test.each([
    [0, /indirect table of 0 bytes/],
    [17, /indirect table of 17 bytes/],
    [16 * 2000, /indirect table of 32000 bytes/],
  ])("an indirect table of %i bytes", async (length, reason) => {
    const { driver, rig } = await started([feature.version1, feature.indirect]);
    await driver.describe(0, { address: buffers + 0x8000, length, flags: 4, next: 0 });
    await driver.offer([0]);
    await rig.wait(1e6);
    expect(rig.complaints[0]).toMatch(reason);
  });

  test("an indirect table in an indirect table, and a loop in one", async () => {
    for (const nested of [true, false]) {
      const { driver, rig } = await started([feature.version1, feature.indirect]);
      const table = buffers + 0x8000;
      await driver.describe(0, { address: table, length: 32, flags: nested ? 4 : 1, next: 0 }, table);
      await driver.describe(0, { address: table, length: 32, flags: 4, next: 0 });
      await driver.offer([0]);
      await rig.wait(1e6);
      expect(rig.complaints[0]).toMatch(nested ? /where there may be none/ : /loops/);
    }
  });

  test("an available index too far ahead", async () => {
    const { driver, rig } = await started([feature.version1]);
    await rig.store(0x102000 + 2, 2, 65);
    await driver.notify();
    await rig.wait(1e6);
    expect(rig.complaints[0]).toMatch(/available index 65 entries ahead/);
  });

  test.each([
    [common.queueDescriptors, memoryBytes - 100, /descriptor table/],
    [common.queueDriver, memoryBytes, /available ring/],
    [common.queueDevice, 0xfffffff0, /used ring/],
  ])("ring area %i outside RAM", async (register, address, reason) => {
    const { driver, rig } = rigOf();
    await driver.probe();
    await driver.negotiate([feature.version1]);
    for (const area of [common.queueDescriptors, common.queueDriver, common.queueDevice]) await driver.write(area, 4, 0x100000);
    await driver.write(register, 4, address);
    await driver.write(common.queueEnable, 2, 1);
    await driver.write(common.status, 1, 0x0f);
    await driver.notify();
    await rig.wait(1e6);
    expect(await driver.status()).toBe(0x4f);
    expect(rig.complaints[0]).toMatch(reason);
  });
});

describe("slow and failing images", () => {
  test("requests under way together, each finished when its promise settles", async () => {
    const { driver, rig, image } = await started();
    image.slow = true;
    for (const head of [0, 3, 6]) {
      const header = await driver.header(0, head, buffers + 0x40 * head);
      await driver.chain(head, [
        header,
        { address: buffers + 0x1000 + 0x400 * head, length: 512, write: true },
        { address: buffers + 0x800 + head, length: 1, write: true },
      ]);
    }
    await driver.offer([0, 3, 6]);
    await rig.wait(1e6);
    expect(await driver.used()).toEqual([]);
    expect(rig.irq.high).toBe(false);
    expect(await image.settle()).toBe(3);
    expect(rig.irq.high).toBe(true);
    expect(await driver.used()).toEqual([
      [0, 513],
      [3, 513],
      [6, 513],
    ]);
    expect(await rig.peek(buffers + 0x1000 + 0x400 * 6, 512)).toEqual(sector(image, 6));
  });

  test("errors, thrown or rejected, are the guest's I/O errors", async () => {
    const { driver, rig, image } = await started();
    image.bad.add(512 * 3);
    expect(await driver.readSectors(3, 1)).toMatchObject({ status: 1, length: 1 });
    expect((await driver.writeSectors(3, new Uint8Array(512))).status).toBe(1);
    image.bad.add(-1);
    expect((await driver.request(4, 0)).status).toBe(1);
    image.slow = true;
    await driver.chain(0, [
      await driver.header(0, 3),
      { address: buffers + 0x1000, length: 512, write: true },
      { address: buffers + 0x100, length: 1, write: true },
    ]);
    await driver.offer([0]);
    await rig.wait(1e6);
    await image.settle();
    expect(await driver.used()).toEqual([[0, 1]]);
    expect(await rig.load(buffers + 0x100, 1)).toBe(1);
  });

  test("a reset with a write under way: its answer changes nothing, and new requests wait for it", async () => {
    const { driver, rig, image } = await started();
    image.slow = true;
    const old = new Uint8Array(512).fill(1);
    await rig.poke(buffers + 0x1000, old);
    await driver.chain(0, [
      await driver.header(1, 0),
      { address: buffers + 0x1000, length: 512 },
      { address: buffers + 0x100, length: 1, write: true },
    ]);
    await driver.offer([0]);
    await rig.wait(1e6);
    await driver.start();
    await rig.poke(buffers + 0x1000, new Uint8Array(512).fill(2));
    await driver.chain(0, [
      await driver.header(1, 0),
      { address: buffers + 0x1000, length: 512 },
      { address: buffers + 0x100, length: 1, write: true },
    ]);
    await driver.offer([0]);
    await rig.wait(1e6);
    expect(await image.settle(), "only the old one").toBe(1);
    expect(await driver.used()).toEqual([]);
    await rig.wait(1e6);
    expect(await image.settle()).toBe(1);
    expect(await driver.used()).toEqual([[0, 1]]);
    expect(sector(image, 0)).toEqual(new Uint8Array(512).fill(2));
  });

  test("saved with requests under way, the restored device does them again", async () => {
    const { driver, rig, image } = await started([feature.version1, feature.indirect, feature.eventIndex]);
    image.slow = true;
    for (const head of [0, 3]) {
      const header = await driver.header(0, 20 + head, buffers + 0x40 * head);
      await driver.chain(head, [
        header,
        { address: buffers + 0x1000 + 0x400 * head, length: 512, write: true },
        { address: buffers + 0x800 + head, length: 1, write: true },
      ]);
    }
    await driver.offer([0, 3]);
    await rig.wait(1e6);
    const saved = structuredClone({ clock: rig.clock.save(), pci: rig.pci.save(), memory: rig.memory.save() });
    const other = new VirtioRig(new MemoryImage(512 * sectors));
    other.clock.restore(saved.clock);
    other.pci.restore(saved.pci);
    other.memory.restore(saved.memory);
    await other.wait(1e6);
    expect(other.irq.high).toBe(true);
    const following = new VirtioDriver(other);
    Object.assign(following, { capabilities: driver.capabilities, queueSize: driver.queueSize, availableIndex: 2 });
    expect(await following.used()).toEqual([
      [0, 513],
      [3, 513],
    ]);
    expect(await other.peek(buffers + 0x1000 + 0xc00, 512)).toEqual(sector(image, 23));
    expect((await following.readSectors(9, 1)).data).toEqual(sector(image, 9));
    expect(await following.isr()).toBe(1);
  });
});
