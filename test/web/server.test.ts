/** What `npm run web` serves with: types, ranges, policies, and nothing outside its folder. Requests are sent as they are, by node:http, which tidies no path. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, ServeError, serve } from "../../src/web/host/server.ts";

let base: string;
let server: RunningServer;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "xlat86-serve-"));
  mkdirSync(join(base, "site/sub"), { recursive: true });
  writeFileSync(join(base, "secret.txt"), "secret");
  writeFileSync(join(base, "site/index.html"), "<!doctype html>");
  writeFileSync(join(base, "site/page.js"), "0");
  writeFileSync(join(base, "site/worker.js"), "1");
  writeFileSync(join(base, "site/region-worker.js"), "2");
  writeFileSync(join(base, "site/sub/disk image.img"), "0123456789");
  writeFileSync(join(base, "site/empty.img"), "");
  writeFileSync(join(base, "site/.hidden"), "secret");
  symlinkSync(join(base, "secret.txt"), join(base, "site/link.txt"));
  server = await serve({ folder: join(base, "site"), host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await server.close();
  rmSync(base, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function send(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        body += piece;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

const image = "/sub/disk%20image.img";

describe("the page's server", () => {
  it("serves files with their types", async () => {
    expect(await send("/")).toMatchObject({ status: 200, body: "<!doctype html>", headers: { "content-type": "text/html; charset=utf-8" } });
    expect((await send("/page.js?x=1")).headers["content-type"]).toBe("text/javascript; charset=utf-8");
    expect(await send(image)).toMatchObject({ status: 200, body: "0123456789", headers: { "content-type": "application/octet-stream" } });
    expect(await send("/empty.img")).toMatchObject({ status: 200, body: "" });
    expect((await send("/page.js")).headers["x-content-type-options"]).toBe("nosniff");
  });

  it("allows code from text in the worker alone", async () => {
    const policy = async (path: string) => String((await send(path)).headers["content-security-policy"]);
    expect(await policy("/")).toContain("script-src 'self';");
    expect(await policy("/")).not.toContain("unsafe-eval");
    expect(await policy("/page.js")).not.toContain("unsafe-eval");
    expect(await policy("/nothing")).not.toContain("unsafe-eval");
    expect(await policy("/worker.js")).toContain("script-src 'self' 'unsafe-eval'; worker-src 'self'");
    expect(await policy("/region-worker.js")).toContain("script-src 'self' 'wasm-unsafe-eval'");
    expect(await policy("/region-worker.js")).not.toContain("'unsafe-eval'");
    expect(await policy("/region-worker.js")).not.toContain("connect-src");
  });

  it.each([
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=5-", 206, "56789", "bytes 5-9/10"],
    ["bytes=-4", 206, "6789", "bytes 6-9/10"],
    ["bytes=-40", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=8-100", 206, "89", "bytes 8-9/10"],
    ["bytes=10-", 416, "", "bytes */10"],
    ["bytes=-0", 416, "", "bytes */10"],
    ["bytes=5-2", 200, "0123456789", undefined],
    ["bytes=0-1,4-5", 200, "0123456789", undefined],
    ["lines=0-1", 200, "0123456789", undefined],
  ])("answers Range: %s with %i", async (range, status, body, contentRange) => {
    const answer = await send(image, { Range: range });
    expect(answer).toMatchObject({ status, body });
    expect(answer.headers["content-range"]).toBe(contentRange);
  });

  it("knows HEAD, validators and ranges of another version", async () => {
    const { headers } = await send(image, {}, "HEAD");
    expect(headers).toMatchObject({ "content-length": "10", "accept-ranges": "bytes" });
    const etag = headers.etag!;
    expect(await send(image, { "If-None-Match": etag })).toMatchObject({ status: 304, body: "" });
    expect(await send(image, { Range: "bytes=0-3", "If-Range": etag })).toMatchObject({ status: 206, body: "0123" });
    expect(await send(image, { Range: "bytes=0-3", "If-Range": '"another"' })).toMatchObject({ status: 200, body: "0123456789" });
    expect(await send(image, {}, "POST")).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
  });

  it.each([
    "/../secret.txt",
    "/sub/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e%2fsecret.txt",
    "/sub/..%5c..%5csecret.txt",
    "//secret.txt",
    "/.hidden",
    "/link.txt",
    "/sub",
    "/%00",
    "/%zz",
    "/index.html/",
    "/index.html%00.js",
    "http://example.com/secret.txt",
  ])("has nothing at %s", async (path) => {
    const { status, body } = await send(path);
    expect(status).toBe(404);
    expect(body).not.toContain("secret");
  });

  it("says what to do when the port is taken", async () => {
    const port = Number(new URL(server.url).port);
    const taken = serve({ folder: base, host: "127.0.0.1", port });
    await expect(taken).rejects.toThrow(ServeError);
    await expect(serve({ folder: base, host: "127.0.0.1", port })).rejects.toThrow(`port ${port} of 127.0.0.1 is taken: choose another with --port`);
    await expect(serve({ folder: base, host: "203.0.113.7", port: 0 })).rejects.toThrow("no address of this machine");
  });
});
