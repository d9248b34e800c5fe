/** Images from a web server: a real one on this machine that drops connections, changes its file, or does not know ranges. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createQcow2, type HttpProgress, HttpStore, type HttpStoreOptions, httpBacking, MemoryStore, openImage } from "../../src/storage/index.ts";
import { Random } from "../fuzz/random.ts";
import { randomRequest } from "./requests.ts";
import { expectSame, problem, readAll } from "./stores.ts";

const size = 3 << 20;
const content = new Random(131).bytes(size);

interface Behaviour {
  content: Uint8Array;
  etag?: string;
  modified?: string;
  ranges?: boolean;
  /** Bytes after which each connection is cut. */
  cutAfter?: (request: number) => number | undefined;
  /** Status answered instead, for some requests. */
  status?: (request: number) => number | undefined;
  hideRange?: boolean;
  encoding?: string;
}

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

interface Site {
  readonly url: string;
  readonly behaviour: Behaviour;
  /** Range headers, in order. */
  readonly requests: string[];
}

async function serve(behaviour: Behaviour, files: Readonly<Record<string, Uint8Array>> = {}): Promise<Site> {
  const requests: string[] = [];
  server = createServer((request, response) => answer(behaviour, files[request.url!.slice(1)] ?? behaviour.content, requests, request, response));
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server!.address() as AddressInfo).port}/disk.img`, behaviour, requests };
}

function answer(behaviour: Behaviour, bytes: Uint8Array, requests: string[], request: IncomingMessage, response: ServerResponse): void {
  const index = requests.push(`${request.headers.range ?? request.method}`) - 1;
  const { etag, modified, ranges = true, hideRange, encoding } = behaviour;
  if (etag) response.setHeader("ETag", etag);
  if (modified) response.setHeader("Last-Modified", modified);
  if (encoding) response.setHeader("Content-Encoding", encoding);
  const status = behaviour.status?.(index);
  if (status) {
    response.writeHead(status).end();
    return;
  }
  const range = ranges ? /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") : null;
  const from = range ? Number(range[1]) : 0;
  const to = range ? Math.min(Number(range[2]) + 1, bytes.length) : bytes.length;
  response.setHeader("Content-Length", to - from);
  if (range && !hideRange) response.setHeader("Content-Range", `bytes ${from}-${to - 1}/${bytes.length}`);
  response.writeHead(range ? 206 : 200);
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  const cut = behaviour.cutAfter?.(index);
  if (cut === undefined || cut >= to - from) response.end(bytes.subarray(from, to));
  else response.write(bytes.subarray(from, from + cut), () => setTimeout(() => response.destroy(), 2));
}

const quick: HttpStoreOptions = { blockSize: 32 << 10, retryDelay: 1, attempts: 4, timeout: 2000 };

describe("images over HTTP", () => {
  it("fetches what is read, once, and answers at once what is there", async () => {
    const site = await serve({ content, etag: '"1"' });
    const progress: HttpProgress[] = [];
    const store = await HttpStore.open(site.url, { ...quick, onProgress: (now) => progress.push(now) });
    expect(store.size).toBe(size);
    expect(site.requests).toEqual(["bytes=0-32767"]);
    const disk = await openImage(store, { format: "raw" });
    expect(disk.readOnly).toBe(true);
    const into = new Uint8Array(4096);
    expect(disk.read(512, into)).toBeUndefined();
    expectSame(into, content.subarray(512, 512 + 4096), "from the first block");
    const random = new Random(132);
    for (let i = 0; i < 100; i++) {
      const { offset, length } = randomRequest(random, size);
      const part = new Uint8Array(length);
      await disk.read(offset, part);
      expectSame(part, content.subarray(offset, offset + length), `read ${i}`);
    }
    const before = site.requests.length;
    expectSame(await readAll(disk), content, "as a whole");
    expect(disk.read(size - 4096, into)).toBeUndefined();
    expect(progress.at(-1)).toMatchObject({ received: size, size, active: 0 });
    expect(site.requests.length).toBeGreaterThan(before - 1);
    await disk.close();
    expect(await problem(() => store.read(0, into))).toMatchObject({ kind: "request" });
  });

  it("reads ahead of a sequential reader, in few requests", async () => {
    const site = await serve({ content, etag: '"1"' });
    const store = await HttpStore.open(site.url, quick);
    const into = new Uint8Array(4096);
    for (let at = 0; at < size; at += 4096) {
      await store.read(at, into);
      expectSame(into, content.subarray(at, at + 4096), `at ${at}`);
    }
    expect(site.requests.length).toBeLessThan(size / quick.blockSize! / 3);
  });

  it("goes on where a dropped connection stopped", async () => {
    const random = new Random(133);
    const site = await serve({ content, etag: '"1"', cutAfter: (index) => (index > 0 ? random.below(400_000) : undefined) });
    const store = await HttpStore.open(site.url, { ...quick, attempts: 12 });
    const all = new Uint8Array(size);
    await store.read(0, all);
    expectSame(all, content, "in spite of dropped connections");
    expect(site.requests.length).toBeGreaterThan(3);
  });

  it("does not begin for ever with a server that always breaks off at the same place", async () => {
    const cut = 20_000;
    // The first block may break off: what came is enough to know what there is.
    const site = await serve({ content, etag: '"1"', cutAfter: () => cut });
    const store = await HttpStore.open(site.url, quick);
    const into = new Uint8Array(100_000);
    await store.read(0, into);
    expectSame(into, content.subarray(0, into.length), "in pieces");
    // One that sends the whole image only cannot be taken up where it broke off.
    server!.close();
    server!.closeAllConnections();
    const whole = await serve({ content, ranges: false, cutAfter: () => cut });
    expect((await problem(() => HttpStore.open(whole.url, quick))).message).toMatch(/the connection .*\(4 times in a row\)/);
    expect(whole.requests.length).toBe(4);
  });

  it("many readers at once ask for each block once", async () => {
    const site = await serve({ content, modified: "Sat, 21 Nov 2026 05:00:00 GMT" });
    const store = await HttpStore.open(site.url, { ...quick, readAhead: 0 });
    const parts = Array.from({ length: 20 }, () => new Uint8Array(100_000));
    await Promise.all(parts.map((part) => store.read(1_000_000, part)));
    for (const part of parts) expectSame(part, content.subarray(1_000_000, 1_100_000), "one of many");
    expect(site.requests.length).toBe(2);
  });

  it("waits and tries again when the server says later, gives up when it never works, and works again afterwards", async () => {
    let broken = true;
    const site = await serve({ content, etag: '"1"', status: (index) => (index === 0 || (index === 1 && broken) ? 503 : undefined) });
    const store = await HttpStore.open(site.url, quick);
    site.behaviour.status = () => (broken ? 502 : undefined);
    const into = new Uint8Array(512);
    const error = await problem(() => store.read(1 << 20, into));
    expect(error).toMatchObject({ kind: "io" });
    expect(error.message).toMatch(/502.*4 times in a row/);
    broken = false;
    await store.read(1 << 20, into);
    expectSame(into, content.subarray(1 << 20, (1 << 20) + 512), "after the failure");
  });

  it("gives up a server that is silent", async () => {
    const site = await serve({ content, etag: '"1"' });
    const store = await HttpStore.open(site.url, { ...quick, timeout: 40, attempts: 2 });
    server!.removeAllListeners("request");
    expect((await problem(() => store.read(1 << 20, new Uint8Array(512)))).message).toMatch(/nothing came for 0\.04 seconds/);
  });

  it.for(["ETag", "Last-Modified", "size", "removed"] as const)("an image that changed on the server is an error from then on (%s)", async (what) => {
    const site = await serve({ content, etag: '"1"', modified: "Sat, 21 Nov 2026 05:00:00 GMT" });
    const store = await HttpStore.open(site.url, quick);
    if (what === "ETag") site.behaviour.etag = '"2"';
    else if (what === "Last-Modified") site.behaviour.modified = "Sat, 21 Nov 2026 06:00:00 GMT";
    else if (what === "size") site.behaviour.content = content.subarray(0, size - 512);
    else site.behaviour.status = () => 404;
    expect(await problem(() => store.read(1 << 20, new Uint8Array(512)))).toMatchObject({ kind: "changed", file: site.url });
    expect(await problem(() => store.read(0, new Uint8Array(512)))).toMatchObject({ kind: "changed" });
  });

  it("a server without ranges: small images as a whole, large ones refused", async () => {
    const site = await serve({ content, ranges: false, cutAfter: (index) => (index === 0 ? 100_000 : undefined) });
    const store = await HttpStore.open(site.url, quick);
    const all = new Uint8Array(size);
    expect(store.read(0, all)).toBeUndefined();
    expectSame(all, content, "as a whole");
    expect(site.requests.length).toBe(2);
    expect((await problem(() => HttpStore.open(site.url, { ...quick, wholeLimit: 1 << 20 }))).message).toMatch(
      /sends the whole image \(3145728 bytes\).*Range/,
    );
  });

  it("a size that only HEAD tells", async () => {
    const site = await serve({ content, hideRange: true });
    const store = await HttpStore.open(site.url, quick);
    expect(store.size).toBe(size);
    const into = new Uint8Array(1000);
    await store.read(2_000_000, into);
    expectSame(into, content.subarray(2_000_000, 2_001_000), "without Content-Range");
  });

  it("missing, forbidden, compressed, no address, no server, aborted", async () => {
    const site = await serve({ content, status: () => 404 });
    expect((await problem(() => HttpStore.open(site.url, quick))).message).toMatch(/404.*check the address/);
    site.behaviour.status = () => 403;
    expect((await problem(() => HttpStore.open(site.url, quick))).message).toMatch(/403.*login/);
    site.behaviour.status = undefined;
    site.behaviour.encoding = "br";
    expect((await problem(() => HttpStore.open(site.url, quick))).message).toMatch(/compressed by br/);
    expect(await problem(() => HttpStore.open("nowhere", quick))).toMatchObject({ kind: "unavailable" });
    expect(await problem(() => HttpStore.open("http://127.0.0.1:9/x", { ...quick, attempts: 2 }))).toMatchObject({ kind: "io" });
    expect(await problem(() => HttpStore.open(site.url, { ...quick, signal: AbortSignal.abort() }))).toMatchObject({ kind: "request" });
  });

  it("a qcow2 image with its backing file on the same server, and an overlay of it in memory", async () => {
    const image = new MemoryStore(new Uint8Array(), "over.qcow2");
    createQcow2(image, { size, backing: { name: "base.raw", format: "raw" } });
    const writable = await openImage(image, { openBacking: () => new MemoryStore(content.slice(), "base.raw") });
    await writable.write(65536, new Uint8Array(1024).fill(5));
    await writable.flush();
    const site = await serve({ content: image.contents(), etag: '"1"' }, { "base.raw": content });
    const disk = await openImage(await HttpStore.open(site.url, quick), { openBacking: httpBacking(quick), snapshot: true });
    const expected = content.slice();
    expected.fill(5, 65536, 65536 + 1024);
    expectSame(await readAll(disk), expected, "over HTTP");
    await disk.write(0, new Uint8Array(512).fill(6));
    expected.fill(6, 0, 512);
    expectSame(await readAll(disk), expected, "with what was written");
    await disk.close();

    createQcow2(image, { size, backing: { name: "http://127.0.0.1:1/base.raw", format: "raw" } });
    site.behaviour.content = image.contents();
    const store = await HttpStore.open(site.url, quick);
    expect((await problem(() => openImage(store, { openBacking: httpBacking(quick) }))).message).toMatch(/same server/);
  });
});
