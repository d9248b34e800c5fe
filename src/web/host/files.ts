/** Files of one folder over HTTP: GET and HEAD, ranges (RFC 9110, section 14), validators, each with the policy that it needs; and nothing outside the folder. */
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";
import { pagePolicy } from "./policy.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
};

export interface FileRequest {
  /** The folder, with links followed. */
  readonly root: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path and query within the folder, as they came: beginning with a slash. */
  readonly url: string;
  /** The Content-Security-Policy of a file, by its path. */
  readonly policy: (path: string) => string;
}

/** Errors: those of the file system. */
export async function answerWithFile({ root, request, response, url, policy }: FileRequest): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    return refuse(response, 405, "only GET and HEAD");
  }
  const path = pathOf(url);
  const file = path === undefined ? undefined : await fileWithin(root, path);
  if (path === undefined || file === undefined) return refuse(response, 404, "there is no such file");
  const etag = `"${file.size.toString(36)}-${Math.floor(file.modified).toString(36)}"`;
  const headers: Record<string, string> = {
    "Content-Type": types[extname(file.path)] ?? "application/octet-stream",
    "Content-Security-Policy": policy(path),
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

/** An answer of one line. */
export function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Security-Policy": pagePolicy,
    "X-Content-Type-Options": "nosniff",
  });
  response.end(`${message}\n`);
}
