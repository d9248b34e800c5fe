/**
 * What is left of an image when the process or the machine dies. The judge is qemu-img: no errors (clusters that nobody uses may remain), and everything that was
 * written before the last flush is there; of a sector written later, the old or one of the later contents.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it, vi } from "vitest";
import { type DiskImage, MemoryStore, openImage } from "../../src/storage/index.ts";
import { openImageFile } from "../../src/storage/node.ts";
import { Random } from "../fuzz/random.ts";
import { mustSkip } from "../guests/oracle.ts";
import { check, img, io, qemuImg, scratch } from "./qemu.ts";
import { randomRequest } from "./requests.ts";
import { SectorModel } from "./sector-model.ts";
import { openBytes, readAll, VolatileStore } from "./stores.ts";

const { file, remove } = scratch();
afterAll(remove);

async function expectSurvived(bytes: Uint8Array, model: SectorModel, what: string, backing?: Uint8Array): Promise<void> {
  const image = file("crashed.qcow2");
  writeFileSync(image, bytes);
  const { verdict, report } = check(image);
  expect(verdict, `${what}: ${report}`).not.toBe("errors");
  const openBacking = backing && (() => new MemoryStore(backing, "backing"));
  const disk = await openBytes(bytes.slice(), { readOnly: true, openBacking });
  expect(model.lost(await readAll(disk)), `${what}: sectors that lost what they had`).toEqual([]);
  // It is as good as before: it can be written again.
  const again = await openBytes(bytes.slice(), { openBacking });
  await again.write(0, new Uint8Array(4096).fill(1));
  await again.close();
}

/** Keeps what the file would be if the power went at one of its flushes, of which a flush of the image has several. */
class CutStore extends VolatileStore {
  cuts: Uint8Array[] = [];
  private readonly random: Random;
  private readonly each: number;

  constructor(bytes: Uint8Array, random: Random, each = 1) {
    super(bytes, "volatile");
    this.random = random;
    this.each = each;
  }

  contents(): Uint8Array {
    return (this.inner as MemoryStore).contents();
  }

  override flush(): void {
    for (let i = 0; i < this.each; i++) this.cuts.push(this.afterPowerCut(this.random));
    super.flush();
  }
}

interface Scenario {
  readonly name: string;
  readonly options: string;
  readonly size: number;
  readonly backing?: boolean;
  readonly prepare?: (image: string) => void;
}

const scenarios: readonly Scenario[] = [
  { name: "small clusters", options: "cluster_size=512,refcount_bits=64", size: 3 << 20 },
  { name: "version 2", options: "compat=0.10,cluster_size=4k", size: 2 << 20 },
  { name: "usual clusters", options: "compat=1.1", size: 6 << 20 },
  { name: "over a backing file", options: "cluster_size=8k", size: 2 << 20, backing: true },
  {
    name: "snapshots",
    options: "cluster_size=1k",
    size: 1 << 20,
    prepare: (image) => {
      io(image, ["write -P 1 0 300k", "write -P 2 500k 200k"]);
      img("snapshot", "-c", "s", image);
      io(image, ["write -P 3 100k 100k"]);
    },
  },
];

describe("crashes", () => {
  it.for(scenarios)("power cuts and kills, $name", async ({ options, size, backing, prepare }) => {
    if (mustSkip("crashes of qcow2", qemuImg)) return;
    const image = file("before.qcow2");
    const below = backing ? new Random(80).bytes(size) : undefined;
    if (below) writeFileSync(file("backing"), below);
    img("create", "-f", "qcow2", "-o", options, ...(below ? ["-b", "backing", "-F", "raw"] : []), image, String(size));
    prepare?.(image);
    for (let seed = 0; seed < 3; seed++) {
      const random = new Random(81, seed);
      const store = new VolatileStore(readFileSync(image), "volatile");
      const disk: DiskImage = await openImage(store, { openBacking: () => new MemoryStore(below!, "backing") });
      const model = new SectorModel(await readAll(disk));
      for (let i = 0; i < 60; i++) {
        const { offset, length } = randomRequest(random, size);
        const bytes = random.bytes(length);
        model.write(offset, bytes);
        await disk.write(offset, bytes);
        if (random.once(8)) {
          await disk.flush();
          model.flush();
        }
        if (random.once(24)) await expectSurvived(store.afterPowerCut(random), model, `seed ${seed}, operation ${i}, power cut`, below);
        if (random.once(24)) await expectSurvived(store.afterKill(random), model, `seed ${seed}, operation ${i}, kill`, below);
      }
      await disk.close();
      model.flush();
      await expectSurvived(store.afterPowerCut(random), model, `seed ${seed}, closed`, below);
    }
  });

  it.for(["cluster_size=512,refcount_bits=64", "cluster_size=4k"])("power cuts in the middle of a flush, %s", async (options) => {
    if (mustSkip("crashes of qcow2", qemuImg)) return;
    const image = file("before.qcow2");
    const size = 3 << 20;
    img("create", "-f", "qcow2", "-o", options, image, String(size));
    io(image, ["write -P 1 0 100k"]);
    img("snapshot", "-c", "s", image);
    const random = new Random(91);
    for (let seed = 0; seed < 3; seed++) {
      const store = new CutStore(readFileSync(image), random);
      const disk = await openImage(store);
      const model = new SectorModel(await readAll(disk));
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 12; i++) {
          const { offset, length } = randomRequest(random, size);
          const bytes = random.bytes(length);
          model.write(offset, bytes);
          await disk.write(offset, bytes);
        }
        store.cuts = [];
        await disk.flush();
        for (const bytes of store.cuts.filter(() => random.once(2))) await expectSurvived(bytes, model, `seed ${seed}, round ${round}`);
        model.flush();
      }
    }
  });

  it("power cuts while the refcount table moves to a larger place", async () => {
    if (mustSkip("crashes of qcow2", qemuImg)) return;
    const image = file("before.qcow2");
    const size = 3 << 20;
    img("create", "-f", "qcow2", "-o", "cluster_size=512,refcount_bits=64", image, String(size));
    const random = new Random(93);
    const store = new CutStore(readFileSync(image), random, 4);
    const disk = await openImage(store);
    const model = new SectorModel(new Uint8Array(size));
    const fill = async (from: number, to: number): Promise<void> => {
      const bytes = random.bytes(to - from);
      model.write(from, bytes);
      await disk.write(from, bytes);
      store.cuts = [];
      await disk.flush();
    };
    await fill(0, size / 2);
    model.flush();
    expect(store.contents()[59]).toBe(1);
    await fill(size / 2, size);
    for (const cut of store.cuts) await expectSurvived(cut, model, "moving");
    expect(store.contents()[59]).toBeGreaterThan(1);
  });

  it("a guest that never flushes: what it wrote is safe two seconds later", async () => {
    if (mustSkip("crashes of qcow2", qemuImg)) return;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const image = file("before.qcow2");
      img("create", "-f", "qcow2", image, "1M");
      const store = new VolatileStore(readFileSync(image), "volatile");
      const disk = await openImage(store);
      const model = new SectorModel(new Uint8Array(1 << 20));
      const bytes = new Random(97).bytes(100 << 10);
      disk.write(0, bytes);
      model.write(0, bytes);
      vi.advanceTimersByTime(2000);
      model.flush();
      await expectSurvived(store.afterPowerCut(new Random(98)), model, "idle");
      expect(vi.getTimerCount()).toBe(0);
      disk.write(0, bytes);
      await disk.close();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it("kill -9 of a process that writes and flushes", async () => {
    if (mustSkip("crashes of qcow2", qemuImg)) return;
    const random = new Random(95);
    for (let round = 0; round < 4; round++) {
      const image = file(`killed-${round}.qcow2`);
      const size = 8 << 20;
      img("create", "-f", "qcow2", "-o", `cluster_size=${["512", "4k", "64k"][round % 3]}`, image, String(size));
      const model = await writerKilled(image, size, random, 20 + random.below(150));
      const { verdict, report } = check(image);
      expect(verdict, report).not.toBe("errors");
      // The lock of the dead process is taken over.
      const disk = await openImageFile(image);
      expect(model.lost(await readAll(disk)), `round ${round}`).toEqual([]);
      await disk.close();
    }
  });
});

/** Runs writer.ts, which announces each write and flush before it begins and each flush when it is done, and kills it after some announcements. */
async function writerKilled(image: string, size: number, random: Random, announcements: number): Promise<SectorModel> {
  const model = new SectorModel(new Uint8Array(size));
  const writer = fileURLToPath(new URL("writer.ts", import.meta.url));
  const seed = random.below(1 << 30);
  const child: ChildProcess = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", writer, image, String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (output.split("\n").length > announcements) child.kill("SIGKILL");
  });
  const [, signal] = await new Promise<[number | null, string | null]>((resolve) => child.on("close", (code, by) => resolve([code, by])));
  expect(signal).toBe("SIGKILL");
  expect(model.replay(output, seed)).toBeGreaterThan(10);
  return model;
}
