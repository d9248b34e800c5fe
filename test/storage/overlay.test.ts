/** --snapshot: the guest sees its writes, the image below sees none of them. */
import { expect, it } from "vitest";
import { MemoryStore, openImage, type SnapshotOverlay } from "../../src/storage/index.ts";
import { Random } from "../fuzz/random.ts";
import { randomRequest } from "./requests.ts";
import { expectSame, openBytes, problem, readAll, SlowStore } from "./stores.ts";

const size = (1 << 20) + 512 * 7;

it.for(["at once", "later"])("random reads and writes against an array, over storage that answers %s", async (when) => {
  const random = new Random(111);
  const original = random.bytes(size);
  const below = new MemoryStore(original.slice(), "below", true);
  const disk = (await openImage(when === "later" ? new SlowStore(below) : below, { format: "raw", snapshot: true })) as SnapshotOverlay;
  const model = original.slice();
  const saved = { state: disk.save(), model: model.slice() };
  for (let i = 0; i < 400; i++) {
    const { offset, length } = randomRequest(random, size);
    if (random.once(2)) {
      const bytes = random.bytes(length);
      expect(disk.write(offset, bytes)).toBeUndefined();
      model.set(bytes, offset);
    } else {
      const into = new Uint8Array(length);
      await disk.read(offset, into);
      expectSame(into, model.subarray(offset, offset + length), `operation ${i}`);
    }
    if (i === 200) Object.assign(saved, { state: disk.save(), model: model.slice() });
  }
  expectSame(below.contents(), original, "the image below");
  expect(disk.describe()).toMatchObject({ snapshot: true, readOnly: false });
  disk.restore(saved.state);
  expectSame(await readAll(disk), saved.model, "as it was saved");
  expect(await problem(() => disk.write(size, new Uint8Array(512)))).toMatchObject({ kind: "request" });
  expect(await problem(() => disk.read(3, new Uint8Array(512)))).toMatchObject({ kind: "request" });
});

it("an image opened for reading refuses writes", async () => {
  const disk = await openBytes(new Uint8Array(4096), { readOnly: true });
  expect(disk.readOnly).toBe(true);
  expect(await problem(() => disk.write(0, new Uint8Array(512)))).toMatchObject({ kind: "request" });
});
