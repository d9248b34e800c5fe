/**
 * The page, served by the process that has the machine, and the WebSockets over which pages look at it. Several may; none of them is needed, and the guest does not notice
 * one that comes, goes or hangs.
 */
import { readFile, realpath } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { answerWithFile, refuse } from "../host/files.ts";
import { type Address, type ListeningServer, listen } from "../host/listen.ts";
import { remotePagePolicy, workerPolicies } from "../host/policy.ts";
import type { FromHost } from "../protocol.ts";
import type { MachineSession } from "../session/machine-session.ts";
import { describeProblem } from "../session/problems.ts";
import { decodeToHost, encodeFromHost } from "../wire.ts";
import { Access, hostOf } from "./access.ts";
import { Uploads } from "./uploads.ts";

export interface RemoteOptions extends Address {
  /** The built page. */
  readonly folder: string;
}

export interface ShownMachine {
  readonly session: MachineSession;
  readonly name: string;
  /** Somebody pressed the power button. */
  readonly switchOff: () => void;
}

const mostPages = 32;
/** Longer than any key, click or pasted text. */
const longestMessage = 1 << 20;
const heartbeat = 30_000;
/** Bytes that a connection may have waiting; then it goes without what comes again by itself. */
const mostWaiting = 1 << 20;
const repeated: ReadonlySet<FromHost["kind"]> = new Set(["speed", "drives", "hot", "download", "screenText"]);
/** What pages get to draw the last frame, and to say good-bye. */
const farewell = 500;

const closeCode = { unsupported: 1003, policy: 1008, error: 1011, goingAway: 1001 } as const;

export class RemoteServer {
  readonly uploads = new Uploads();
  private readonly root: string;
  private readonly index: string;
  private readonly server: Server;
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: longestMessage, perMessageDeflate: false });
  private listening!: ListeningServer;
  private access!: Access;
  private shown: ShownMachine | undefined;
  private pulse: NodeJS.Timeout | undefined;

  /** Errors: `ServeError`; those of the file system where the page is not there. */
  static async open({ folder, ...address }: RemoteOptions): Promise<RemoteServer> {
    const root = await realpath(folder);
    const index = await readFile(join(root, "index.html"), "utf8");
    const server = new RemoteServer(root, index);
    server.listening = await listen(server.server, address);
    server.access = new Access({ host: address.host, isEverywhere: server.listening.isEverywhere });
    return server;
  }

  private constructor(root: string, index: string) {
    this.root = root;
    this.index = index.replace('data-host="worker"', 'data-host="remote"');
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else refuse(response, 500, error instanceof Error ? error.message : String(error));
      });
    });
    // A CD takes its time.
    this.server.requestTimeout = 0;
    this.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => this.upgrade(request, socket, head));
  }

  /** With the token. */
  get url(): string {
    return `${this.listening.url}${this.access.token}/`;
  }

  /** How many look on. */
  get pages(): number {
    return this.sockets.clients.size;
  }

  /** Pages see this machine from now on. */
  show(machine: ShownMachine): void {
    this.shown = machine;
    this.pulse = setInterval(() => this.beat(), heartbeat);
    this.pulse.unref();
  }

  /** Pages have been told that the machine is off: says good-bye, and ends. */
  async close(): Promise<void> {
    clearInterval(this.pulse);
    const { clients } = this.sockets;
    for (const socket of clients) socket.close(closeCode.goingAway);
    const end = performance.now() + farewell;
    while (clients.size > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const socket of clients) socket.terminate();
    this.sockets.close();
    await this.listening.close();
    await this.uploads.close();
  }

  // ---- HTTP ----

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const host = hostOf(request);
    if (host === undefined || !this.access.isForUs(request)) return refuse(response, 421, "this is not a name of the machine's computer");
    const url = this.access.within(request.url);
    if (url === undefined) return refuse(response, 404, "the address is not complete: it ends as the command has printed it");
    const path = url.split(/[?#]/, 1)[0];
    if (path === "/media" && request.method === "POST") return this.receive(request, response, url);
    const policy = remotePagePolicy(host);
    if ((path === "/" || path === "/index.html") && request.method === "GET") {
      response.writeHead(200, {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
      });
      return void response.end(this.index);
    }
    // The machine is here: nobody needs a script that makes code.
    if (workerPolicies.has(path)) return refuse(response, 404, "there is no such file");
    await answerWithFile({ root: this.root, request, response, url, policy: () => policy });
  }

  private async receive(request: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
    if (!this.access.isFromUs(request)) return refuse(response, 403, "only the machine's own page may send media");
    const name = new URL(url, "http://localhost").searchParams.get("name") ?? "";
    try {
      const id = await this.uploads.receive(request, name === "" ? "medium" : name);
      response.writeHead(201, { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" });
      response.end(id);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (!response.destroyed) refuse(response, 507, code === "ENOSPC" ? "the disk of the machine's computer is full" : message);
    }
  }

  // ---- WebSockets ----

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { access, sockets } = this;
    socket.on("error", () => socket.destroy());
    const isAllowed = access.isForUs(request) && access.isFromUs(request) && access.within(request.url) === "/machine";
    if (!isAllowed) return void socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
    if (!this.shown || sockets.clients.size >= mostPages) return void socket.end("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n");
    sockets.handleUpgrade(request, socket, head, (opened) => this.opened(opened, this.shown!));
  }

  private opened(socket: WebSocket, { session, name, switchOff }: ShownMachine): void {
    const post = (message: FromHost): void => {
      if (socket.readyState !== socket.OPEN || (socket.bufferedAmount > mostWaiting && repeated.has(message.kind))) return;
      socket.send(encodeFromHost(message));
    };
    post({ kind: "ready", name });
    const client = session.attach({ post, isRemote: true });
    socket.on("close", () => client.close());
    // What is wrong with a connection closes it.
    socket.on("error", () => {});
    socket.on("message", (data, isBinary) => {
      if (isBinary) return socket.close(closeCode.unsupported, "text messages only");
      const message = decodeToHost(String(data));
      if (message === undefined) return socket.close(closeCode.policy, "not a message of the page");
      if (message.kind === "switchOff") return switchOff();
      client.handle(message).catch((error: unknown) => post({ kind: "error", message: describeProblem(error) }));
    });
    const alive = socket as WebSocket & { isAlive?: boolean };
    alive.isAlive = true;
    socket.on("pong", () => {
      alive.isAlive = true;
    });
  }

  /** A page whose computer sleeps says nothing when it goes. */
  private beat(): void {
    for (const socket of this.sockets.clients as Set<WebSocket & { isAlive?: boolean }>) {
      if (socket.isAlive === false) socket.terminate();
      else {
        socket.isAlive = false;
        socket.ping();
      }
    }
  }
}
