/** Images written by us, judged by QEMU's tools: `qemu-img check` finds nothing, `qemu-img compare` finds the content that a plain array has. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { createQcow2, type DiskImage, MemoryStore, openImage } from "../../src/storage/index.ts";
import { FileStore, openImageFile } from "../../src/storage/node.ts";
import { Random } from "../fuzz/random.ts";
import { mustSkip } from "../guests/oracle.ts";
import { check, difference, img, io, qemuImg, scratch } from "./qemu.ts";
import { randomRequest } from "./requests.ts";
import { expectSame, FailingStore, readAll, SlowStore } from "./stores.ts";

const { file, remove } = scratch();
afterAll(remove);

/** Reads, writes and flushes like a guest; every read is compared with `model`, every write goes there, too. */
async function exercise(disk: DiskImage, model: Uint8Array, random: Random, operations: number): Promise<void> {
  for (let i = 0; i < operations; i++) {
    const { offset, length } = randomRequest(random, disk.size);
    if (random.once(3)) {
      const into = new Uint8Array(length).fill(0xee);
      await disk.read(offset, into);
      expectSame(into, model.subarray(offset, offset + length), `operation ${i}, ${length} at ${offset}`);
    } else {
      const bytes = random.once(4) ? new Uint8Array(length) : random.bytes(length);
      await disk.write(offset, bytes);
      model.set(bytes, offset);
    }
    if (random.once(25)) await disk.flush();
  }
}

function expectJudged(image: string, model: Uint8Array): void {
  const raw = file("model.raw");
  writeFileSync(raw, model);
  const { verdict, report } = check(image);
  expect(verdict, report).toBe("clean");
  expect(difference(image, raw)).toBeUndefined();
}

const variants: readonly (readonly [options: string, size: number])[] = [
  ["compat=0.10", 9 << 20],
  ["compat=0.10,cluster_size=512", 3 << 20],
  ["compat=1.1", 9 << 20],
  ["compat=1.1", (9 << 20) + 512 * 5],
  ["compat=1.1,cluster_size=2M", 17 << 20],
  ["compat=1.1,preallocation=metadata", 5 << 20],
  ["compat=1.1,lazy_refcounts=on,cluster_size=4k", 5 << 20],
  ...[1, 2, 4, 8, 16, 32, 64].map((bits) => [`compat=1.1,cluster_size=1k,refcount_bits=${bits}`, 3 << 20] as const),
];

describe("qcow2 written by us", () => {
  it.for(variants)("%s, %d bytes", async ([options, size], { task }) => {
    if (mustSkip("writing qcow2", qemuImg)) return;
    const image = file("written.qcow2");
    img("create", "-f", "qcow2", "-o", options, image, String(size));
    const model = new Uint8Array(size);
    const random = new Random(21, task.name.length);
    // Closed and opened again, so that what is in the file counts and not what is in memory.
    for (let round = 0; round < 2; round++) {
      const disk = await openImageFile(image);
      await exercise(disk, model, random, 150);
      await disk.close();
    }
    expectJudged(image, model);
  });

  it("over what QEMU wrote: zeros, compressed clusters, snapshots", async () => {
    if (mustSkip("writing qcow2", qemuImg)) return;
    const size = 5 << 20;
    for (const [version, clusterSize, bits] of [
      ["0.10", "64k", 16],
      ["1.1", "4k", 16],
      ["1.1", "512", 16],
    ] as const) {
      const raw = file("before.raw");
      const image = file("before.qcow2");
      const random = new Random(31, bits);
      const content = new Uint8Array(size);
      for (let at = 0; at < size; at += 8192) content.fill(random.below(256), at, at + random.below(8192));
      writeFileSync(raw, content);
      img(
        "convert",
        "-c",
        "-O",
        "qcow2",
        "-o",
        `compat=${version},cluster_size=${clusterSize}${version === "1.1" ? `,refcount_bits=${bits}` : ""}`,
        raw,
        image,
      );
      const states = new Map<string, Uint8Array>();
      const model = content.slice();
      for (const name of ["first", "second"]) {
        img("snapshot", "-c", name, image);
        states.set(name, model.slice());
        io(image, ["write -z 100k 200k", "write -P 77 1M 100k", `write -P 78 ${size - 5120} 5k`]);
        model.fill(0, 100 << 10, 300 << 10);
        model.fill(77, 1 << 20, (1 << 20) + (100 << 10));
        model.fill(78, size - 5120);
        const disk = await openImageFile(image);
        await exercise(disk, model, random, 120);
        await disk.close();
        expectJudged(image, model);
      }
      // The snapshots still have what they had.
      for (const [name, state] of states) {
        const copy = file("copy.qcow2");
        writeFileSync(copy, readFileSync(image));
        img("snapshot", "-a", name, copy);
        expectJudged(copy, state);
      }
      // And are given back whole when QEMU deletes them: no cluster was freed too early or kept too long.
      for (const name of states.keys()) img("snapshot", "-d", name, image);
      expectJudged(image, model);
    }
  });

  it("a refcount table that has to grow, more than once between two flushes", async () => {
    if (mustSkip("writing qcow2", qemuImg)) return;
    const size = 12 << 20;
    const image = file("grow.qcow2");
    img("create", "-f", "qcow2", "-o", "cluster_size=512,refcount_bits=64", image, String(size));
    const disk = await openImageFile(image);
    const random = new Random(41);
    const model = new Uint8Array(size);
    // A table of one cluster counts 64 * 64 clusters of 512 bytes: 2 MiB.
    for (let at = 0; at < size; at += 1 << 20) {
      const bytes = random.bytes(1 << 20);
      await disk.write(at, bytes);
      model.set(bytes, at);
      if (at === 2 << 20) await disk.flush();
    }
    await disk.close();
    expect(readFileSync(image).readUInt32BE(56)).toBeGreaterThan(2);
    expectJudged(image, model);
  });

  it("images made by us", async () => {
    if (mustSkip("making qcow2", qemuImg)) return;
    for (const [size, clusterSize] of [
      [1 << 20, 65536],
      [512, 512],
      [0, 65536],
      [700 << 20, 512],
      [2 ** 40, 65536],
      [2 ** 43, 2 << 20],
      [3 << 20, 2 << 20],
    ] as const) {
      const image = file(`made-${size}-${clusterSize}.qcow2`);
      writeFileSync(image, "");
      const store = FileStore.open(image);
      await createQcow2(store, { size, clusterSize });
      const disk = await openImage(store);
      expect(disk.size).toBe(size);
      if (size > 0) await disk.write(size - 512, new Uint8Array(512).fill(9));
      await disk.close();
      const { verdict, report } = check(image);
      expect(verdict, report).toBe("clean");
      const info = JSON.parse(img("info", "--output=json", image)) as Record<string, unknown>;
      expect(info).toMatchObject({ format: "qcow2", "virtual-size": size, "cluster-size": clusterSize });
    }
  });

  it("a store that answers later, many requests at once", async () => {
    if (mustSkip("writing qcow2", qemuImg)) return;
    const size = 3 << 20;
    const store = new MemoryStore(new Uint8Array(), "slow");
    createQcow2(store, { size, clusterSize: 4096 });
    const disk = await openImage(new SlowStore(store));
    const model = new Uint8Array(size);
    const random = new Random(51);
    for (let round = 0; round < 30; round++) {
      const waiting: unknown[] = [];
      for (let i = 0; i < 8; i++) {
        const { offset, length } = randomRequest(random, size);
        const bytes = random.bytes(length);
        waiting.push(disk.write(offset, bytes));
        model.set(bytes, offset);
        const at = randomRequest(random, size);
        const into = new Uint8Array(at.length);
        const then = model.slice(at.offset, at.offset + at.length);
        waiting.push(Promise.resolve(disk.read(at.offset, into)).then(() => expectSame(into, then, `round ${round}`)));
      }
      if (random.once(4)) waiting.push(disk.flush());
      await Promise.all(waiting);
    }
    await disk.close();
    const image = file("slow.qcow2");
    writeFileSync(image, store.contents());
    expectJudged(image, model);
  });

  it("a host that fails now and then: errors reach the caller, the image stays sound", async () => {
    if (mustSkip("writing qcow2", qemuImg)) return;
    for (let seed = 0; seed < 8; seed++) {
      const size = 2 << 20;
      const random = new Random(61, seed);
      const memory = new MemoryStore(new Uint8Array(), "failing");
      createQcow2(memory, { size, clusterSize: seed % 2 ? 512 : 4096 });
      const store = new FailingStore(memory, random);
      const disk = await openImage(store);
      const model = new Uint8Array(size);
      let errors = 0;
      const attempt = (act: () => unknown): boolean => {
        try {
          act();
          return true;
        } catch (error) {
          expect(["full", "io"]).toContain((error as { kind?: string }).kind);
          errors++;
          return false;
        }
      };
      store.rate = 12;
      for (let i = 0; i < 200; i++) {
        const { offset, length } = randomRequest(random, size);
        const bytes = random.bytes(length);
        // What a failed write leaves may be the old or the new content, sector by sector; the guest writes it again.
        if (!attempt(() => disk.write(offset, bytes))) {
          store.rate = 0;
          disk.write(offset, bytes);
          store.rate = 12;
        }
        model.set(bytes, offset);
        if (random.once(10)) attempt(() => disk.flush());
      }
      expect(errors).toBeGreaterThan(5);
      store.rate = 0;
      expectSame(await readAll(disk), model, "after the faults");
      await disk.close();
      const image = file("failing.qcow2");
      writeFileSync(image, memory.contents());
      expectJudged(image, model);
    }
  });
});
