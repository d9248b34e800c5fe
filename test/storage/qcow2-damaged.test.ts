/** Damaged, truncated and foreign images: a StorageError that says what is wrong, or the content; nothing else, and never a change for the worse. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { createQcow2, MemoryStore, openImage, StorageError } from "../../src/storage/index.ts";
import { openImageFile } from "../../src/storage/node.ts";
import { Random } from "../fuzz/random.ts";
import { mustSkip } from "../guests/oracle.ts";
import { check, difference, img, io, qemuImg, scratch } from "./qemu.ts";
import { randomRequest } from "./requests.ts";
import { openBytes, problem, readAll } from "./stores.ts";

const { file, remove } = scratch();
afterAll(remove);

const size = 256 << 10;

function sample(name: string, options: string, compressed = false, snapshot = true): Uint8Array {
  const image = file(`${name}.qcow2`);
  if (compressed) {
    const random = new Random(101);
    const content = new Uint8Array(size);
    for (let at = 0; at < size; at += 4096) content.fill(random.below(256), at, at + random.below(4096));
    writeFileSync(file("content.raw"), content);
    img("convert", "-c", "-O", "qcow2", "-o", options, file("content.raw"), image);
  } else {
    img("create", "-f", "qcow2", "-o", options, image, String(size));
    io(image, ["write -P 1 0 50k", "write -P 2 100k 33k", "write -P 3 230k 20k"]);
  }
  if (snapshot) img("snapshot", "-c", "s", image);
  io(image, ["write -P 4 50k 10k"]);
  return new Uint8Array(readFileSync(image));
}

/** Places that say where other things are: there a changed byte does most harm. */
function delicatePlaces(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = (offset: number): number => Number(view.getBigUint64(offset) & 0x00ff_ffff_ffff_fe00n);
  const places = Array.from({ length: 160 }, (_, i) => i);
  const range = (offset: number, length: number): void => {
    for (let i = offset; i < Math.min(offset + length, bytes.length); i++) places.push(i);
  };
  const l1 = at(40);
  range(l1, view.getUint32(36) * 8);
  range(at(48), 64);
  range(at(at(48)), 64);
  if (view.getUint32(60) > 0) range(at(64), 64);
  for (let i = 0; i < view.getUint32(36); i++) if (at(l1 + i * 8) !== 0) range(at(l1 + i * 8), 128);
  return places;
}

function mutate(original: Uint8Array, places: readonly number[], random: Random): Uint8Array {
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  for (let n = 1 + random.below(3); n > 0; n--) {
    const place = random.pick(places);
    const aligned = Math.min(place & ~7, bytes.length - 8);
    switch (random.below(6)) {
      case 0:
        bytes[place] = random.next();
        break;
      case 1:
        bytes[place] ^= 1 << random.below(8);
        break;
      case 2:
        view.setBigUint64(aligned, random.pick([0n, 1n, 0xffff_ffff_ffff_ffffn, 1n << 63n, BigInt(bytes.length), BigInt(bytes.length & ~511)]));
        break;
      case 3:
        view.setUint32(aligned, random.pick([0, 1, 0xffff_ffff, 0x7fff_ffff, 0x1000, 0x10000]));
        break;
      case 4:
        // Another cluster of the file.
        view.setBigUint64(aligned, BigInt(random.below(bytes.length) & ~511) | (random.once(2) ? 1n << 63n : 0n));
        break;
      default:
        return bytes.slice(0, random.below(bytes.length));
    }
  }
  return bytes;
}

/** Undefined where it was refused. Everything but a StorageError fails the test. */
async function attempt<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    expect(error.message).toMatch(/^image: expected .+, found .+; .+/s);
    return undefined;
  }
}

describe("damaged qcow2", () => {
  it("thousands of damaged images: refused with a message, or readable and writable without harm", async () => {
    if (mustSkip("damaged qcow2", qemuImg)) return;
    const samples = [
      sample("small", "cluster_size=512"),
      sample("usual", "cluster_size=4k"),
      sample("v2", "compat=0.10,cluster_size=1k"),
      sample("packed", "cluster_size=4k", true, false),
    ];
    const random = new Random(102);
    const counts = { refused: 0, read: 0, written: 0, judged: 0 };
    for (const original of samples) {
      const places = delicatePlaces(original);
      for (let i = 0; i < 500; i++) {
        const bytes = mutate(original, places, random);
        const untouched = bytes.slice();
        const content = await attempt(async () => {
          const disk = await openBytes(bytes, { format: "qcow2", readOnly: true });
          if (disk.size <= 4 * size) return readAll(disk);
          for (let k = 0; k < 20; k++) await disk.read(Math.floor((random.next() / 2 ** 32) * (disk.size / 512 - 8)) * 512, new Uint8Array(4096));
          return undefined;
        });
        expect(Buffer.compare(bytes, untouched), "reading changed the file").toBe(0);
        counts[content ? "read" : "refused"]++;

        // Now and then QEMU is asked, too: what both can read is the same.
        const asksQemu = i % 25 === 0;
        const image = file("mutant.qcow2");
        let sound = false;
        if (asksQemu && content) {
          writeFileSync(image, untouched);
          writeFileSync(file("ours.raw"), content);
          const found = difference(image, file("ours.raw"));
          if (found?.includes("Content mismatch")) expect.fail(`QEMU reads something else: ${found}`);
          sound = check(image).verdict !== "errors";
          counts.judged++;
        }
        const store = new MemoryStore(bytes, "image");
        const disk = await attempt(async () => openImage(store, { format: "qcow2" }));
        if (!disk) continue;
        for (let k = 0; k < 6; k++) {
          const { offset, length } = randomRequest(random, Math.min(disk.size, size));
          await attempt(async () => disk.write(offset, random.bytes(length)));
        }
        await attempt(async () => disk.close());
        counts.written++;
        expect(store.size, "the file grew out of proportion").toBeLessThan(64 << 20);
        if (!sound) continue;
        writeFileSync(image, store.contents());
        const { verdict, report } = check(image);
        expect(verdict, report).not.toBe("errors");
      }
    }
    expect(counts.refused).toBeGreaterThan(200);
    expect(counts.read).toBeGreaterThan(200);
    expect(counts.written).toBeGreaterThan(200);
    expect(counts.judged).toBeGreaterThan(15);
  });

  it("a table in the way of data is found before it is overwritten, and the image marked as corrupt", async () => {
    const memory = new MemoryStore(new Uint8Array(), "image");
    createQcow2(memory, { size, clusterSize: 4096 });
    const writer = await openImage(memory);
    await writer.write(0, new Uint8Array(8192).fill(1));
    await writer.flush();
    // The first cluster of the disk now claims to be in the L1 table's place.
    const view = new DataView(memory.contents().buffer);
    const l1 = Number(view.getBigUint64(40));
    const l2 = Number(view.getBigUint64(l1) & 0x00ff_ffff_ffff_fe00n);
    view.setBigUint64(l2, BigInt(l1) | (1n << 63n));
    const damaged = new MemoryStore(memory.contents().slice(), "image");
    const victim = await openImage(damaged);
    const before = damaged.contents().slice(4096);
    expect(await problem(() => victim.write(0, new Uint8Array(512).fill(9)))).toMatchObject({ kind: "corrupt" });
    expect(await problem(() => victim.write(size - 512, new Uint8Array(512)))).toMatchObject({ kind: "corrupt" });
    expect(Buffer.compare(damaged.contents().slice(4096), before)).toBe(0);
    expect(damaged.contents()[79]).toBe(2);
    await victim.close();
    expect(await problem(() => openBytes(damaged.contents().slice()))).toMatchObject({ kind: "corrupt" });
    const reader = await openBytes(damaged.contents().slice(), { readOnly: true });
    expect(reader.describe().warnings.join()).toMatch(/marked as corrupt/);
  });
});

describe("what is not supported is refused by name", () => {
  const made: readonly (readonly [name: string, args: readonly string[], message: RegExp])[] = [
    ["extended L2 entries", ["-o", "extended_l2=on"], /extended L2 entries.*qemu-img convert/],
    ["an external data file", ["-o", "data_file=DATA"], /external data file.*qemu-img convert/],
    ["Zstandard", ["-o", "compression_type=zstd"], /Zstandard.*compression_type=zlib/],
  ];
  it.for(made)("%s", async ([, args, message]) => {
    if (mustSkip("unsupported features of qcow2", qemuImg)) return;
    const image = file("unsupported.qcow2");
    img("create", "-f", "qcow2", ...args.map((arg) => arg.replace("DATA", file("data"))), image, "1M");
    const error = await problem(() => openImageFile(image, { readOnly: true }));
    expect(error.kind).toBe("unsupported");
    expect(error.message).toMatch(message);
  });

  it("encryption", async () => {
    const memory = new MemoryStore(new Uint8Array(), "image");
    createQcow2(memory, { size });
    for (const [method, name] of [
      [1, "AES"],
      [2, "LUKS"],
      [3, "method 3"],
    ] as const) {
      memory.write(35, new Uint8Array([method]));
      expect(await problem(() => openBytes(memory.contents(), { readOnly: true }))).toMatchObject({
        kind: "unsupported",
        found: `${name} encryption`,
      });
    }
  });

  it("a dirty image is read, and written only after a repair; unknown features are named", async () => {
    if (mustSkip("dirty qcow2", qemuImg)) return;
    const image = file("dirty.qcow2");
    img("create", "-f", "qcow2", "-o", "lazy_refcounts=on", image, "1M");
    const bytes = readFileSync(image);
    bytes[79] = 1;
    writeFileSync(image, bytes);
    expect((await problem(() => openImageFile(image))).message).toMatch(/dirty bit.*qemu-img check -r all/);
    await (await openImageFile(image, { readOnly: true })).close();
    await (await openImageFile(image, { snapshot: true })).close();
    img("check", "-r", "all", image);
    await (await openImageFile(image)).close();
    const unknown = readFileSync(image);
    unknown[78] = 0x80;
    expect((await problem(() => openBytes(unknown, { readOnly: true }))).message).toMatch(/feature bit 15/);
    // The table of feature names says what it is.
    unknown[unknown.indexOf(Buffer.from("6803f857", "hex")) + 9] = 15;
    expect((await problem(() => openBytes(unknown, { readOnly: true }))).message).toMatch(/the feature "dirty bit" \(bit 15\)/);
  });

  it("dirty bitmaps become void when the image is written", async () => {
    if (mustSkip("bitmaps in qcow2", qemuImg)) return;
    const image = file("bitmap.qcow2");
    img("create", "-f", "qcow2", image, "1M");
    img("bitmap", "--add", image, "b");
    const untouched = await openImageFile(image);
    await untouched.close();
    expect(readFileSync(image)[95]).toBe(1);
    const disk = await openImageFile(image);
    expect(disk.describe().warnings.join()).toMatch(/bitmaps/);
    await disk.write(0, new Uint8Array(512).fill(1));
    await disk.close();
    expect(readFileSync(image)[95]).toBe(0);
    expect(check(image).verdict).not.toBe("errors");
  });
});
