/** Serves one folder: GET and HEAD, ranges (RFC 9110, section 14), and for each file the policy that it needs. */
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, sep } from "node:path";
import { pagePolicy, workerPolicy } from "./policy.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
};
const workerFile = "/worker.js";

export interface ServeOptions {
  readonly folder: string;
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
}

export interface RunningServer {
  readonly url: string;
  close(): Promise<void>;
}

/** The address cannot be listened at; the message says what to do. */
export class ServeError extends Error {
  override readonly name = "ServeError";
}

/** Errors: `ServeError`. */
export async function serve({ folder, host, port }: ServeOptions): Promise<RunningServer> {
  const root = await realpath(folder);
  const server = createServer((request, response) => {
    answer(root, request, response).catch(() => {
      if (!response.headersSent) refuse(response, 500, "the server could not read the file");
      else response.destroy();
    });
  });
  await listen(server, host, port);
  const address = server.address() as AddressInfo;
  const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
  const isEverywhere = address.address === "0.0.0.0" || address.address === "::";
  return {
    url: `http://${isEverywhere || address.address === "127.0.0.1" ? "localhost" : name}:${address.port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why: Record<string, string> = {
        EADDRINUSE: `port ${port} of ${host} is taken: choose another with --port, or end the program that has it`,
        EACCES: `port ${port} of ${host} is not for this user: choose one from 1024 up with --port`,
        EADDRNOTAVAIL: `${host} is no address of this machine: --host 127.0.0.1 is, and --host 0.0.0.0 stands for all of them`,
        ENOTFOUND: `${host} is no address: --host 127.0.0.1 is this machine`,
      };
      reject(new ServeError(why[error.code ?? ""] ?? error.message));
    });
    server.listen(port, host);
  });
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    return refuse(response, 405, "only GET and HEAD");
  }
  const path = pathOf(request.url ?? "/");
  const file = path === undefined ? undefined : await fileWithin(root, path);
  if (path === undefined || file === undefined) return refuse(response, 404, "there is no such file");
  const etag = `"${file.size.toString(36)}-${Math.floor(file.modified).toString(36)}"`;
  const headers: Record<string, string> = {
    "Content-Type": types[extname(file.path)] ?? "application/octet-stream",
    "Content-Security-Policy": path === workerFile ? workerPolicy : pagePolicy,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    // A build at any time is seen at the next reload.
    "Cache-Control": "no-cache",
    "Accept-Ranges": "bytes",
    "Last-Modified": new Date(file.modified).toUTCString(),
    ETag: etag,
  };
  if (request.headers["if-none-match"] === etag) return void response.writeHead(304, headers).end();
  const ifRange = request.headers["if-range"];
  const range = ifRange === undefined || ifRange === etag ? parseRange(request.headers.range, file.size) : undefined;
  if (range === "none") {
    return void response.writeHead(416, { ...headers, "Content-Range": `bytes */${file.size}` }).end();
  }
  const { start, end } = range ?? { start: 0, end: file.size - 1 };
  headers["Content-Length"] = String(end - start + 1);
  if (range) headers["Content-Range"] = `bytes ${start}-${end}/${file.size}`;
  response.writeHead(range ? 206 : 200, headers);
  if (request.method === "HEAD" || file.size === 0) return void response.end();
  const stream = createReadStream(file.path, { start, end });
  stream.on("error", () => response.destroy());
  response.on("close", () => stream.destroy());
  stream.pipe(response);
}

/** Decoded, with every part a plain name; undefined for anything else. */
function pathOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(url.split(/[?#]/, 1)[0]!);
    if (!path.startsWith("/") || /[\\\0]/.test(path)) return undefined;
    const parts = path.slice(1).split("/");
    if (parts.some((part, k) => part.startsWith(".") || (part === "" && k < parts.length - 1))) return undefined;
    return path.endsWith("/") ? `${path}index.html` : path;
  } catch {
    return undefined;
  }
}

/** A file of the folder, also after links are followed. */
async function fileWithin(root: string, path: string): Promise<{ path: string; size: number; modified: number } | undefined> {
  try {
    const real = await realpath(join(root, path));
    if (!real.startsWith(root + sep)) return undefined;
    const { size, mtimeMs, isFile } = await stat(real).then((s) => ({ size: s.size, mtimeMs: s.mtimeMs, isFile: s.isFile() }));
    return isFile ? { path: real, size, modified: mtimeMs } : undefined;
  } catch {
    return undefined;
  }
}

/** One range; several, and units other than bytes, are answered with the whole file, as the RFC allows. "none": nothing of the file is in it. */
function parseRange(header: string | undefined, size: number): { start: number; end: number } | "none" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  const isSuffix = match[1] === "";
  const start = isSuffix ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = isSuffix || match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (!isSuffix && match[2] !== "" && Number(match[2]) < start) return undefined;
  return start >= size || (isSuffix && Number(match[2]) === 0) ? "none" : { start, end };
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Security-Policy": pagePolicy,
    "X-Content-Type-Options": "nosniff",
  });
  response.end(`${message}\n`);
}
