/** Files that were dropped on a page, and the browser's private file system, with Node's Blob and a stand-in for the file handle. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { BlobStore, createQcow2, MemoryStore, OpfsStore, openImage, type SyncAccessHandle } from "../../src/storage/index.ts";
import { Random } from "../fuzz/random.ts";
import { randomRequest } from "./requests.ts";
import { expectSame, problem, readAll } from "./stores.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

const size = 1 << 20;

describe("a dropped file", () => {
  const content = new Uint8Array(new Random(141).bytes(size));

  it("is read in slices, and not written", async () => {
    const disk = await openImage(new BlobStore(new File([content], "stick.img")), { format: "raw" });
    expect(disk.describe()).toMatchObject({ name: "stick.img", readOnly: true, size });
    const random = new Random(142);
    for (let i = 0; i < 100; i++) {
      const { offset, length } = randomRequest(random, size);
      const into = new Uint8Array(length);
      await disk.read(offset, into);
      expectSame(into, content.subarray(offset, offset + length), `read ${i}`);
    }
    expect(await problem(() => disk.write(0, new Uint8Array(512)))).toMatchObject({ kind: "request" });
  });

  it("is read at once where there is a FileReaderSync", async () => {
    let reads = 0;
    // What workers have, over the bytes that the test knows.
    class Reader {
      readAsArrayBuffer(blob: Blob & { from?: number }): ArrayBuffer {
        reads++;
        return content.slice(blob.from, blob.from! + blob.size).buffer;
      }
    }
    vi.stubGlobal("FileReaderSync", Reader);
    const blob = new Blob([content]);
    const slice = blob.slice.bind(blob);
    blob.slice = (from, to) => Object.assign(slice(from, to), { from });
    const disk = await openImage(new BlobStore(blob, "dropped"), { format: "raw" });
    const into = new Uint8Array(2048);
    expect(disk.read(4096, into)).toBeUndefined();
    expectSame(into, content.subarray(4096, 6144), "at once");
    expect(reads).toBeGreaterThan(0);
  });

  it("that cannot be read any more is an error", async () => {
    const blob = new Blob([content]);
    blob.slice = () => Object.assign(new Blob(), { arrayBuffer: () => Promise.reject(new DOMException("changed", "NotReadableError")) });
    const error = await problem(() => new BlobStore(blob, "dropped").read(0, new Uint8Array(512)));
    expect(error).toMatchObject({ kind: "changed", file: "dropped" });
    expect(error.message).toMatch(/choose it again/);
  });
});

/** A file with a quota, as the standard describes its methods. */
class Handle implements SyncAccessHandle {
  bytes = new Uint8Array(0);
  open = true;
  flushes = 0;
  readonly quota: number;

  constructor(quota: number) {
    this.quota = quota;
  }
  read(into: Uint8Array, { at }: { at: number }): number {
    const part = this.bytes.subarray(at, at + into.length);
    into.set(part);
    return part.length;
  }
  write(from: Uint8Array, { at }: { at: number }): number {
    this.truncate(Math.max(this.bytes.length, at + from.length));
    this.bytes.set(from, at);
    return from.length;
  }
  getSize(): number {
    return this.bytes.length;
  }
  truncate(length: number): void {
    if (length > this.quota) throw new DOMException("no space", "QuotaExceededError");
    const resized = new Uint8Array(length);
    resized.set(this.bytes.subarray(0, length));
    this.bytes = resized;
  }
  flush(): void {
    this.flushes++;
  }
  close(): void {
    this.open = false;
  }
}

describe("the browser's private file system", () => {
  it("keeps a qcow2 image over a file elsewhere", async () => {
    const handle = new Handle(4 << 20);
    const base = new Uint8Array(new Random(143).bytes(size));
    await createQcow2(new OpfsStore(handle, "disk.qcow2"), { size, clusterSize: 4096, backing: { name: "base.img", format: "raw" } });
    const openBacking = () => new BlobStore(new Blob([base]), "base.img");
    const model = base.slice();
    for (let round = 0; round < 3; round++) {
      const disk = await openImage(new OpfsStore(handle, "disk.qcow2"), { openBacking });
      expectSame(await readAll(disk), model, `round ${round}`);
      const random = new Random(144, round);
      for (let i = 0; i < 40; i++) {
        const { offset, length } = randomRequest(random, size);
        const bytes = random.bytes(length);
        await disk.write(offset, bytes);
        model.set(bytes, offset);
      }
      await disk.close();
      expect(handle.open).toBe(false);
    }
    expect(handle.flushes).toBeGreaterThan(3);
  });

  it("a full one is an error for the guest, and what was flushed stays", async () => {
    const handle = new Handle(200 << 10);
    await createQcow2(new OpfsStore(handle, "disk.qcow2"), { size, clusterSize: 4096 });
    const disk = await openImage(new OpfsStore(handle, "disk.qcow2"));
    await disk.write(0, new Uint8Array(65536).fill(1));
    await disk.flush();
    const error = await problem(() => disk.write(0, new Uint8Array(size).fill(2)));
    expect(error).toMatchObject({ kind: "full", file: "disk.qcow2" });
    const again = await openImage(new MemoryStore(handle.bytes.slice(), "copy"));
    const into = new Uint8Array(65536);
    await again.read(0, into);
    expect(into.every((byte) => byte === 1 || byte === 2)).toBe(true);
  });

  it("is opened by path; taken or outside of a worker it is an error", async () => {
    const handle = new Handle(size);
    const opened: string[] = [];
    const folder = (path: string): unknown => ({
      getDirectoryHandle: (name: string) => Promise.resolve(folder(`${path}${name}/`)),
      getFileHandle: (name: string, { create }: { create: boolean }) => {
        opened.push(`${path}${name} ${create}`);
        if (name === "missing") return Promise.reject(new DOMException("not there", "NotFoundError"));
        if (name === "page") return Promise.resolve({});
        const taken = (): Promise<never> => Promise.reject(new DOMException("taken", "NoModificationAllowedError"));
        return Promise.resolve({ createSyncAccessHandle: name === "taken" ? taken : () => Promise.resolve(handle) });
      },
    });
    vi.stubGlobal("navigator", { storage: { getDirectory: () => Promise.resolve(folder("/")) } });
    const store = await OpfsStore.open("images/disk.img", { create: true });
    store.write(0, new Uint8Array(512).fill(3));
    expect(handle.bytes[511]).toBe(3);
    expect(opened).toEqual(["/images/disk.img true"]);
    expect(await problem(() => OpfsStore.open("missing"))).toMatchObject({ kind: "unavailable" });
    expect(await problem(() => OpfsStore.open("taken"))).toMatchObject({ kind: "locked" });
    expect((await problem(() => OpfsStore.open("page"))).message).toMatch(/worker/);
  });
});
