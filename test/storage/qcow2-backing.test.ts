/** Images over others: what is not in the overlay comes from below, and what is below never changes. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createQcow2, MemoryStore, openImage } from "../../src/storage/index.ts";
import { FileStore, openImageFile } from "../../src/storage/node.ts";
import { Random } from "../fuzz/random.ts";
import { mustSkip } from "../guests/oracle.ts";
import { check, difference, img, io, qemuImg, scratch } from "./qemu.ts";
import { randomRequest } from "./requests.ts";
import { expectSame, problem, readAll } from "./stores.ts";

const { folder, file, remove } = scratch();
afterAll(remove);

const hash = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("backing files", () => {
  it("a chain of three, each larger than the one below, made by QEMU and written by us", async () => {
    if (mustSkip("backing files", qemuImg)) return;
    const random = new Random(71);
    const base = file("base.raw");
    writeFileSync(base, random.bytes(2 << 20));
    img("create", "-f", "qcow2", "-o", "cluster_size=4k", "-b", "base.raw", "-F", "raw", file("middle.qcow2"), String(3 << 20));
    io(file("middle.qcow2"), ["write -P 5 64k 100k", "write -z 1M 128k", "write -P 6 2500k 32k"]);
    img("create", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", file("top.qcow2"), String((4 << 20) + 512));
    io(file("top.qcow2"), ["write -P 7 150k 8k", "write -z 2600k 64k", "write -P 8 3500k 4k"]);
    img("convert", "-O", "raw", file("top.qcow2"), file("flat.raw"));
    const before = [base, file("middle.qcow2")].map(hash);

    const disk = await openImageFile(file("top.qcow2"));
    const model = new Uint8Array(readFileSync(file("flat.raw")));
    expectSame(await readAll(disk), model, "as QEMU flattens it");
    expect(disk.describe().backing).toMatchObject({ format: "qcow2", size: 3 << 20, readOnly: true, backing: { format: "raw", readOnly: true } });
    for (let i = 0; i < 200; i++) {
      const { offset, length } = randomRequest(random, disk.size);
      const bytes = random.bytes(length);
      await disk.write(offset, bytes);
      model.set(bytes, offset);
    }
    expectSame(await readAll(disk), model, "after writing");
    await disk.close();
    writeFileSync(file("model.raw"), model);
    expect(check(file("top.qcow2")).report).toMatch(/No errors/);
    expect(difference(file("top.qcow2"), file("model.raw"))).toBeUndefined();
    expect([base, file("middle.qcow2")].map(hash)).toEqual(before);
  });

  it("one made by us over a raw image, as QEMU sees it", async () => {
    if (mustSkip("backing files", qemuImg)) return;
    const random = new Random(72);
    const model = random.bytes((1 << 20) + 512);
    writeFileSync(file("below.raw"), model);
    writeFileSync(file("ours.qcow2"), "");
    const store = FileStore.open(file("ours.qcow2"));
    await createQcow2(store, { size: model.length, clusterSize: 2 << 20, backing: { name: "below.raw", format: "raw" } });
    store.close();
    const disk = await openImageFile(file("ours.qcow2"));
    await disk.write(512, new Uint8Array(512).fill(1));
    model.fill(1, 512, 1024);
    await disk.close();
    writeFileSync(file("model.raw"), model);
    expect(check(file("ours.qcow2")).report).toMatch(/No errors/);
    expect(difference(file("ours.qcow2"), file("model.raw"))).toBeUndefined();
    expect(JSON.parse(img("info", "--output=json", file("ours.qcow2")))).toMatchObject({
      "backing-filename": "below.raw",
      "backing-filename-format": "raw",
    });
  });

  it("names count from the image that has them, through links and folders", async () => {
    if (mustSkip("backing files", qemuImg)) return;
    mkdirSync(join(folder, "inner"));
    writeFileSync(join(folder, "inner", "disk.raw"), new Uint8Array(65536).fill(3));
    img("create", "-f", "qcow2", "-b", "disk.raw", "-F", "raw", join(folder, "inner", "over.qcow2"));
    img("create", "-f", "qcow2", "-b", "inner/over.qcow2", "-F", "qcow2", file("outer.qcow2"));
    img("create", "-f", "qcow2", "-b", `file:${join(folder, "inner/disk.raw")}`, "-F", "raw", file("scheme.qcow2"));
    for (const name of ["outer.qcow2", "scheme.qcow2"]) {
      const disk = await openImageFile(file(name), { snapshot: true });
      expect((await readAll(disk)).every((byte) => byte === 3)).toBe(true);
      await disk.close();
    }
  });

  it("a format that is not named is guessed, but a guessed image may not name further files", async () => {
    if (mustSkip("backing files", qemuImg)) return;
    writeFileSync(file("plain.raw"), new Uint8Array(65536).fill(4));
    img("create", "-f", "qcow2", "-b", "plain.raw", "-F", "raw", file("one.qcow2"));
    img("create", "-f", "qcow2", "-b", "one.qcow2", "-F", "qcow2", file("two.qcow2"));
    const unnamed = (image: string): void => {
      // The header extension with the format becomes one that nobody knows.
      const bytes = readFileSync(file(image));
      bytes.writeUInt32BE(0x11223344, bytes.indexOf(Buffer.from("e2792aca", "hex")));
      writeFileSync(file(image), bytes);
    };
    unnamed("two.qcow2");
    expect(await problem(() => openImageFile(file("two.qcow2"), { readOnly: true }))).toMatchObject({ kind: "unsupported", file: file("one.qcow2") });
    unnamed("one.qcow2");
    const disk = await openImageFile(file("one.qcow2"), { readOnly: true });
    expect((await readAll(disk))[0]).toBe(4);
    await disk.close();
  });

  it("loops, missing files, other machines and folders are refused by name", async () => {
    if (mustSkip("backing files", qemuImg)) return;
    const over = (name: string, backing: string, format: string): string => {
      img("create", "-u", "-f", "qcow2", "-b", backing, "-F", format, file(name), "1M");
      return file(name);
    };
    over("loop-a.qcow2", "loop-b.qcow2", "qcow2");
    symlinkSync(file("loop-a.qcow2"), file("loop-link.qcow2"));
    over("loop-b.qcow2", "loop-link.qcow2", "qcow2");
    const cases: readonly (readonly [string, RegExp])[] = [
      [file("loop-a.qcow2"), /a loop: .*loop-a\.qcow2 -> .*loop-b\.qcow2 -> .*loop-link\.qcow2/],
      [
        over("missing.qcow2", "nowhere.raw", "raw"),
        /missing\.qcow2: expected its backing file "nowhere\.raw", found ENOENT.*nowhere\.raw\); put it there/,
      ],
      [over("remote.qcow2", "nbd://somewhere/x", "raw"), /"nbd:\/\/somewhere\/x".*copy it here/],
      [over("json.qcow2", 'json:{"driver":"null-co"}', "raw"), /json:/],
      [over("folder.qcow2", ".", "raw"), /a directory/],
      [over("vmdk.qcow2", "x.vmdk", "vmdk"), /format "vmdk"/],
    ];
    for (const [image, message] of cases) expect((await problem(() => openImageFile(image, { readOnly: true }))).message).toMatch(message);
    // Nothing stays open or locked after a refusal.
    const store = FileStore.open(file("loop-a.qcow2"));
    store.close();
    const bytes = new MemoryStore(readFileSync(file("missing.qcow2")), "in memory");
    expect((await problem(() => openImage(bytes))).message).toMatch(/nowhere\.raw/);
  });
});
