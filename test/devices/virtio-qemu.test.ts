/** The same virtio driver on these devices and on QEMU's `virtio-blk-pci,disable-legacy=on`. Addresses in the BAR and features that only one offers are left out. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MemoryImage } from "./floppy-rig.ts";
import { Qtest, withoutQemu } from "./qtest.ts";
import { Random } from "./support.ts";
import { buffers, common, feature, VirtioDriver, type VirtioHost, VirtioRig, virtioSlot } from "./virtio-rig.ts";

const skip = withoutQemu("virtio-blk");
const imageBytes = 1 << 20;

type Program = (driver: VirtioDriver, log: (label: string, value: unknown) => void) => Promise<void>;

async function run(host: VirtioHost, program: Program): Promise<string[]> {
  const lines: string[] = [];
  await program(new VirtioDriver(host), (label, value) => lines.push(`${label}: ${JSON.stringify(value)}`));
  return lines;
}

async function compare(program: Program, readOnly = false): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "xlat86-virtio-"));
  const file = join(folder, "disk.img");
  const image = new MemoryImage(imageBytes, readOnly);
  writeFileSync(file, image.bytes);
  const drive = `if=none,id=d,format=raw,file=${file}${readOnly ? ",readonly=on" : ""}`;
  const device = `virtio-blk-pci,disable-legacy=on,drive=d,addr=${virtioSlot},serial=disk-0,queue-size=256,num-queues=1`;
  const qtest = new Qtest(["-drive", drive, "-device", device]);
  try {
    const ours = await run(new VirtioRig(image), program);
    expect(ours).toEqual(await run(qtest, program));
    await qtest.end();
    expect(Buffer.compare(readFileSync(file), image.bytes)).toBe(0);
    return ours.length;
  } finally {
    await qtest.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

const sum = (bytes: Uint8Array): number => bytes.reduce((a, byte) => (Math.imul(a, 31) + byte) | 0, 7);

test.skipIf(skip)("identity, capabilities, common configuration and status", async () => {
  const lines = await compare(async (driver, log) => {
    for (const register of [0x00, 0x08, 0x2c]) log(`configuration ${register}`, await driver.config(register, 4));
    log("pin", await driver.config(0x3d, 1));
    await driver.probe();
    log("capabilities", driver.capabilities.map(({ type, bar }) => (type === 5 ? [type] : [type, bar])).sort());
    log("queues", [await driver.read(common.queueCount, 2), await driver.read(common.queueSize, 2), await driver.read(common.queueNotifyOffset, 2)]);
    const known = [2, 6, 9, 28, 29].reduce((word, bit) => word | (1 << bit), 0);
    const [low, high] = await driver.offered();
    log("offered", [low & known, high & 1]);
    log("capacity and block", [await driver.read(0, 4, 4), await driver.read(4, 4, 4), await driver.read(12, 4, 4), await driver.read(20, 4, 4)]);
    log("accepted", await driver.negotiate([feature.version1, feature.flush]));
    log("status", await driver.status());
    await driver.write(common.status, 1, 0);
    log("after reset", [await driver.status(), await driver.read(common.queueEnable, 2)]);
    await driver.write(common.queueSelect, 2, 5);
    log("no such queue", await driver.read(common.queueSize, 2));
    log("read-only", low & (1 << 5));
  });
  expect(lines).toBe(13);
});

test.skipIf(skip)("a read-only disk says so, and refuses writes", async () => {
  const lines = await compare(async (driver, log) => {
    await driver.probe();
    log("offered", (await driver.offered())[0] & (1 << 5));
    await driver.start([feature.version1, feature.readOnly]);
    log("read", (await driver.readSectors(3, 2)).status);
    log("write", (await driver.writeSectors(3, new Uint8Array(512))).status);
  }, true);
  expect(lines).toBe(3);
});

test.skipIf(skip).each([
  ["plain", [feature.version1, feature.flush]],
  ["indirect descriptors and event indexes", [feature.version1, feature.flush, feature.indirect, feature.eventIndex]],
])("random requests, %s", async (_, features) => {
  const random = new Random(1042);
  const requests = Array.from({ length: 150 }, () => ({
    kind: random.below(10),
    sector: random.below(2040),
    count: 1 + random.below(40),
    fill: random.below(256),
  }));
  const lines = await compare(async (driver, log) => {
    await driver.start(features);
    for (const { kind, sector, count, fill } of requests) {
      if (kind < 5) {
        const { status, length, data } = await driver.readSectors(sector, count);
        log(`read ${sector}+${count}`, status === 0 ? [status, length, sum(data)] : status);
      } else if (kind < 8) {
        const data = Uint8Array.from({ length: 512 * count }, (_, i) => (i * 3 + fill) & 0xff);
        log(`write ${sector}+${count}`, await driver.writeSectors(sector, data));
      } else if (kind === 8) log("flush", await driver.request(4, 0));
      else {
        const address = buffers + 0x1000;
        log("identity", (await driver.request(8, 0, [{ address, length: 20, write: true }])).status);
        // QEMU writes as far as the name goes, and leaves the rest as it was.
        log("bytes", sum(await driver.host.peek(address, 7)));
      }
      log("ISR", await driver.isr());
      log("gone", await driver.isr());
    }
    log("unknown type", (await driver.request(99, 0)).status);
  });
  expect(lines).toBeGreaterThan(450);
});

test.skipIf(skip)("malformed chains need a reset", async () => {
  const lines = await compare(async (driver, log) => {
    const status = { address: buffers + 0x100, length: 1, write: true };
    const cases: [head: number, setup: () => Promise<void>][] = [
      [0, () => driver.describe(0, { address: buffers, length: 16, flags: 1, next: 0 })],
      [64, async () => {}],
      [0, () => driver.describe(0, { address: buffers, length: 16, flags: 1, next: 999 })],
      [0, () => driver.chain(0, [{ address: buffers, length: 8 }, status])],
      [0, () => driver.chain(0, [status])],
    ];
    for (const [head, setup] of cases) {
      await driver.start();
      await driver.header(0, 0);
      await setup();
      await driver.offer([head]);
      await driver.host.wait(20e6);
      log("status", await driver.status());
    }
    await driver.start();
    log("good again", (await driver.readSectors(0, 1)).status);
  });
  expect(lines).toBe(6);
});
