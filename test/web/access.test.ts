/** Who may talk to a machine over HTTP: the token in the address, the Host and Origin headers; and what the server makes of clients that mean no good. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { DEMO_INTERACTIVE, demoImage } from "../../src/demo/image.ts";
import { createMachine, type Machine } from "../../src/machine/machine.ts";
import { MediaChanger } from "../../src/machine/media-changer.ts";
import type { FromHost, ToHost } from "../../src/web/protocol.ts";
import { RemoteServer } from "../../src/web/remote/remote-server.ts";
import { HotPlaces } from "../../src/web/session/hot-places.ts";
import { MachineSession } from "../../src/web/session/machine-session.ts";
import { decodeFromHost, encodeToHost } from "../../src/web/wire.ts";

let folder: string;
let server: RemoteServer;
let machine: Machine;
let session: MachineSession;
let ended: Promise<unknown>;
let switchedOff = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-access-"));
  writeFileSync(join(folder, "index.html"), '<html data-host="worker">');
  writeFileSync(join(folder, "page.js"), "0");
  writeFileSync(join(folder, "worker.js"), "0");
  writeFileSync(join(folder, "region-worker.js"), "0");
  server = await RemoteServer.open({ folder, host: "127.0.0.1", port: 0 });
  const samples = new HotPlaces();
  machine = createMachine({ kernel: demoImage(), append: DEMO_INTERACTIVE, memory: 64 << 20, sampler: samples });
  const media = new MediaChanger(machine.drives, () => {});
  session = new MachineSession({ machine, samples, media, hasDisplay: false, openMedium: () => Promise.reject(new Error("no media here")) });
  server.show({
    session,
    name: "demo",
    switchOff: () => {
      switchedOff++;
    },
  });
  ended = session.power.run();
});
afterAll(async () => {
  session.power.stop();
  await ended;
  await server.close();
  machine.destroy();
  rmSync(folder, { recursive: true });
});

const address = (): URL => new URL(server.url);

function get(
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
  body = "",
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }> {
  const { port } = address();
  return new Promise((resolve, reject) => {
    const sent = request({ hostname: "127.0.0.1", port, path, method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

interface Page {
  readonly socket: WebSocket;
  readonly messages: FromHost[];
  say(message: ToHost): void;
  until(isIt: (message: FromHost) => boolean): Promise<FromHost>;
  readonly closed: Promise<number>;
}

/** Connects as a browser would; rejects with the status of the answer. */
function connect(headers: Record<string, string> = {}, path = `${address().pathname}machine`): Promise<Page> {
  const { host, port } = address();
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { Host: host, Origin: `http://${host}`, ...headers } });
  socket.binaryType = "arraybuffer";
  const messages: FromHost[] = [];
  const waiting = new Set<() => void>();
  socket.on("message", (data: ArrayBuffer | Buffer, isBinary: boolean) => {
    messages.push(decodeFromHost(isBinary ? (data as ArrayBuffer) : new TextDecoder().decode(data)));
    for (const look of waiting) look();
  });
  const closed = new Promise<number>((resolve) => socket.on("close", resolve));
  return new Promise((resolve, reject) => {
    socket.on("unexpected-response", (_, response) => {
      reject(new Error(String(response.statusCode)));
      socket.terminate();
    });
    socket.on("error", () => {});
    socket.on("open", () =>
      resolve({
        socket,
        messages,
        closed,
        say: (message) => socket.send(encodeToHost(message)),
        until: (isIt) =>
          new Promise((found) => {
            const look = (): void => {
              const message = messages.find(isIt);
              if (message === undefined) return;
              waiting.delete(look);
              found(message);
            };
            waiting.add(look);
            look();
          }),
      }),
    );
  });
}

describe("the address", () => {
  it("has a token that nobody guesses, and nothing is anywhere else", async () => {
    const { pathname } = address();
    expect(pathname).toMatch(/^\/[\w-]{22}\/$/);
    expect((await get(pathname)).body).toBe('<html data-host="remote">');
    expect((await get(`${pathname}page.js`)).status).toBe(200);
    for (const path of [
      "/",
      "/page.js",
      "/index.html",
      `${pathname.slice(0, -2)}/`,
      pathname.slice(0, -1),
      `/x${pathname}`,
      `${pathname}../page.js`,
    ]) {
      expect((await get(path)).status, path).toBe(404);
    }
    // Nothing there makes code: the scripts that do are not there.
    for (const script of ["worker.js", "region-worker.js"]) expect((await get(`${pathname}${script}`)).status).toBe(404);
    const { headers } = await get(pathname);
    expect(headers["content-security-policy"]).not.toContain("unsafe-eval");
    expect(headers["referrer-policy"]).toBe("no-referrer");
  });

  it("answers to its own names alone (DNS rebinding)", async () => {
    const { pathname, port } = address();
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, "localhost:1", `LOCALHOST:${port}`]) {
      expect((await get(pathname, { Host: host })).status, host).toBe(200);
    }
    for (const host of [`evil.example:${port}`, "localhost.evil.example", "192.0.2.1", "localhost@evil.example", "evil.example/localhost", "a b"]) {
      expect((await get(pathname, { Host: host })).status, host).toBe(421);
    }
  });

  it("takes media from its own page alone (cross-site request forgery)", async () => {
    const { pathname, host } = address();
    const post = (headers: Record<string, string>) => get(`${pathname}media?name=x`, { Host: host, ...headers }, "POST", "bytes");
    expect((await post({ Origin: "http://evil.example" })).status).toBe(403);
    expect((await post({ Origin: "null" })).status).toBe(403);
    expect((await post({})).status).toBe(403);
    const { status, body } = await post({ Origin: `http://${host}` });
    expect(status).toBe(201);
    expect(body).toMatch(/^[0-9a-f]{24}$/);
    expect((await get(`${pathname}page.js`, {}, "POST")).status).toBe(405);
  });
});

describe("WebSockets", () => {
  it("are for the machine's own page alone (cross-site WebSocket hijacking)", async () => {
    const { pathname, port } = address();
    const strangers: readonly Record<string, string>[] = [
      { Origin: "http://evil.example" },
      { Origin: "null" },
      { Origin: "" },
      { Host: `evil.example:${port}`, Origin: `http://evil.example:${port}` },
    ];
    for (const headers of strangers) {
      await expect(connect(headers), JSON.stringify(headers)).rejects.toThrow("403");
    }
    await expect(connect({}, "/machine")).rejects.toThrow("403");
    await expect(connect({}, `${pathname}other`)).rejects.toThrow("403");
  });

  it("show a page how things stand, and close on what is no message; the guest goes on", async () => {
    const good = await connect();
    expect(await good.until(({ kind }) => kind === "ready")).toEqual({ kind: "ready", name: "demo" });
    await good.until((message) => message.kind === "state" && message.state === "running");
    const bad: (readonly [data: string | Uint8Array, code: number])[] = [
      ["nonsense", 1008],
      ['{"kind":"switchOn"}', 1008],
      [Uint8Array.of(1, 2, 3), 1003],
      ["x".repeat((1 << 20) + 1), 1009],
    ];
    for (const [data, code] of bad) {
      const page = await connect();
      page.socket.send(data);
      expect(await page.closed).toBe(code);
    }
    // A connection that just goes away.
    (await connect()).socket.terminate();
    good.say({ kind: "serial", text: "help\n" });
    good.say({ kind: "serialShown" });
    await good.until((message) => message.kind === "serial" && /help/.test(new TextDecoder().decode(message.bytes)));
    expect(good.socket.readyState).toBe(WebSocket.OPEN);
    expect(switchedOff).toBe(0);
    good.socket.close();
    await good.closed;
  });

  it("pass on what is wrong, and what is inspected, to the page that asked", async () => {
    const [asking, other] = [await connect(), await connect()];
    asking.say({ kind: "insert", place: "fda", source: { kind: "url", url: "http://localhost/x" } });
    const error = await asking.until(({ kind }) => kind === "error");
    expect(error).toMatchObject({ message: expect.stringContaining("no floppy or CD drive fda") });
    asking.say({ kind: "inspect", address: 0x100000 });
    expect(await asking.until(({ kind }) => kind === "inspected")).toMatchObject({ place: { address: expect.any(Number) } });
    asking.say({ kind: "switchOff" });
    await expect.poll(() => switchedOff, { timeout: 20_000 }).toBe(1);
    expect(other.messages.filter(({ kind }) => kind === "error" || kind === "inspected")).toEqual([]);
    for (const page of [asking, other]) {
      page.socket.close();
      await page.closed;
    }
  });

  it("cost nothing while nobody looks: no frame is drawn, no report made", async () => {
    const page = await connect();
    await page.until(({ kind }) => kind === "speed");
    page.socket.close();
    await page.closed;
    await expect.poll(() => server.pages, { timeout: 20_000 }).toBe(0);
    const { version } = session.picture;
    let reports = 0;
    const { stats } = machine;
    machine.stats = function (this: Machine) {
      reports++;
      return stats.call(this);
    };
    await new Promise((resolve) => setTimeout(resolve, 1200));
    machine.stats = stats;
    expect(session.picture.version).toBe(version);
    expect(reports).toBe(0);
  });
});
