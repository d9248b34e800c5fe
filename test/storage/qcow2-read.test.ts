/** Images made and filled by QEMU's tools, read by us: what we read is what `qemu-img convert` makes of them. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { openImageFile } from "../../src/storage/node.ts";
import { Random } from "../fuzz/random.ts";
import { mustSkip } from "../guests/oracle.ts";
import { img, io, qemuImg, scratch } from "./qemu.ts";
import { randomRequest } from "./requests.ts";
import { expectSame, readAll } from "./stores.ts";

const { file, remove } = scratch();
afterAll(remove);

const size = 9 << 20;

/** Data, zeros and holes, aligned and not, over the whole disk. */
function fill(image: string, seed: number, options: readonly string[] = []): void {
  const random = new Random(seed);
  const commands = [
    "write -P 1 0 64k",
    "write -P 2 1m 256k",
    "write -z 1100k 300k",
    "write -P 3 2m 512",
    "write -P 4 4194816 130k",
    `write -P 5 ${size - 4096} 4k`,
  ];
  for (let i = 0; i < 20; i++) {
    const { offset, length } = randomRequest(random, size);
    commands.push(random.once(4) ? `write -z ${offset} ${length}` : `write -P ${1 + random.below(255)} ${offset} ${length}`);
  }
  io(image, commands, ...options);
}

async function expectAsQemu(image: string, format = "qcow2"): Promise<void> {
  const raw = file("expected.raw");
  img("convert", "-f", format, "-O", "raw", image, raw);
  const expected = new Uint8Array(readFileSync(raw));
  const disk = await openImageFile(image, { readOnly: true });
  expect(disk.size).toBe(expected.length);
  expectSame(await readAll(disk), expected, "read as a whole");
  const random = new Random(11);
  for (let i = 0; i < 100; i++) {
    const { offset, length } = randomRequest(random, expected.length);
    const into = new Uint8Array(length).fill(0xee);
    expect(disk.read(offset, into)).toBeUndefined();
    expectSame(into, expected.subarray(offset, offset + length), `read ${length} at ${offset}`);
  }
  await disk.close();
}

const variants: readonly string[] = [
  "compat=0.10",
  "compat=0.10,cluster_size=512",
  "compat=0.10,cluster_size=2M",
  "compat=1.1",
  "compat=1.1,cluster_size=512",
  "compat=1.1,cluster_size=4k,refcount_bits=1",
  "compat=1.1,cluster_size=2M,refcount_bits=64",
  "compat=1.1,lazy_refcounts=on",
  "compat=1.1,preallocation=metadata",
  "compat=1.1,preallocation=falloc,cluster_size=32k",
];

describe("qcow2 made by QEMU", () => {
  it.for(variants)("%s", async (options) => {
    if (mustSkip("reading qcow2", qemuImg)) return;
    const image = file("image.qcow2");
    img("create", "-f", "qcow2", "-o", options, image, String(size));
    await expectAsQemu(image);
    fill(image, 3);
    await expectAsQemu(image);
  });

  it.for(["512", "4k", "64k", "2M"])("compressed, clusters of %s", async (clusterSize) => {
    if (mustSkip("reading compressed qcow2", qemuImg)) return;
    const raw = file("content.raw");
    const image = file("compressed.qcow2");
    // Compressible in part: repeated numbers, text, noise, holes.
    const random = new Random(5);
    const content = new Uint8Array(size);
    for (let at = 0; at < size; at += 4096) {
      const part = content.subarray(at, at + 4096);
      const kind = random.below(4);
      if (kind === 0) part.fill(random.below(256), 0, random.below(4096));
      else if (kind === 1) random.fill(part);
      else if (kind === 2) new TextEncoder().encodeInto(`line ${at} of a text\n`.repeat(200), part);
    }
    writeFileSync(raw, content);
    img("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", `cluster_size=${clusterSize}`, raw, image);
    await expectAsQemu(image);
    // Compressed and other clusters side by side.
    fill(image, 6);
    await expectAsQemu(image);
  });

  it("internal snapshots: the active state is read", async () => {
    if (mustSkip("reading qcow2 with snapshots", qemuImg)) return;
    const image = file("snapshots.qcow2");
    img("create", "-f", "qcow2", image, String(size));
    fill(image, 7);
    img("snapshot", "-c", "first", image);
    fill(image, 8);
    img("snapshot", "-c", "second, with a longer name", image);
    fill(image, 9);
    await expectAsQemu(image);
    const disk = await openImageFile(image, { readOnly: true });
    expect(disk.describe().snapshots?.map((snapshot) => snapshot.name)).toEqual(["first", "second, with a longer name"]);
    await disk.close();
  });

  it("a disk whose size is no multiple of the cluster", async () => {
    if (mustSkip("reading qcow2", qemuImg)) return;
    const image = file("odd.qcow2");
    img("create", "-f", "qcow2", image, String(size + 512 * 3));
    io(image, [`write -P 9 ${size - 1024} 2560`]);
    await expectAsQemu(image);
  });

  it("a terabyte disk, nearly empty", async () => {
    if (mustSkip("reading qcow2", qemuImg)) return;
    const image = file("large.qcow2");
    img("create", "-f", "qcow2", image, "1T");
    io(image, ["write -P 7 1023G 64k", "write -P 8 512G 4k"]);
    const disk = await openImageFile(image, { readOnly: true });
    const into = new Uint8Array(8192);
    await disk.read(1023 * 2 ** 30 + 65536 - 4096, into);
    expect([into[0], into[4095], into[4096]]).toEqual([7, 7, 0]);
    await disk.read(512 * 2 ** 30, into);
    expect([into[0], into[4095], into[4096]]).toEqual([8, 8, 0]);
    await disk.close();
  });
});
