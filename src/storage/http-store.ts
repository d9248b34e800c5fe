/**
 * An image on a web server, read by range requests: only what the guest reads is fetched. Dropped connections are taken up where they broke off. The image must not
 * change meanwhile, or the guest would see halves of two: size, ETag and Last-Modified of every answer are compared with those of the first (RFC 9110, sections 8.8,
 * 13 and 14).
 */
import { BlockCache } from "./block-cache.ts";
import { type ByteStore, behindEnd, notWritable } from "./byte-store.ts";
import { hostError, StorageError } from "./error.ts";
import { Connection, type ConnectionOptions, type Request } from "./http/connection.ts";
import type { Settling } from "./steps.ts";

export type { HttpProgress } from "./http/connection.ts";

export interface HttpStoreOptions extends Partial<ConnectionOptions> {
  /** Unit of requests and of the cache, bytes. */
  readonly blockSize?: number;
  /** Memory for what was fetched, bytes. */
  readonly budget?: number;
  /** Blocks fetched ahead of a sequential reader, at most. */
  readonly readAhead?: number;
  /** An image up to this size is fetched as a whole from a server that knows no ranges. */
  readonly wholeLimit?: number;
}

type Settings = ConnectionOptions & Required<Pick<HttpStoreOptions, "blockSize" | "budget" | "readAhead" | "wholeLimit">>;

const defaults: Omit<Settings, "fetch"> = {
  headers: {},
  blockSize: 128 << 10,
  budget: 64 << 20,
  readAhead: 16,
  wholeLimit: 64 << 20,
  /** Without progress, before giving up; the delay before the second in milliseconds is doubled each time. */
  attempts: 6,
  retryDelay: 250,
  /** Milliseconds without a byte after which a connection counts as dropped. */
  timeout: 30_000,
};

/** What identifies the version of a file. Browsers hide what the server does not expose. */
interface Validators {
  readonly etag: string | null;
  readonly modified: string | null;
}

export class HttpStore implements ByteStore {
  readonly name: string;
  readonly identity: string;
  readonly size: number;
  readonly readOnly = true;
  private readonly connection: Connection;
  private readonly validators: Validators;
  private readonly whole: Uint8Array | undefined;
  private readonly cache: BlockCache;
  /** The image changed, or was closed. */
  private failure: StorageError | undefined;

  /** The first request tells the size, and whether the server knows ranges. */
  static async open(url: string, options: HttpStoreOptions = {}): Promise<HttpStore> {
    const settings: Settings = { fetch: globalThis.fetch.bind(globalThis), ...defaults, ...options };
    const connection = new Connection(url, settings);
    // Pages may give an address relative to their own.
    if (!URL.canParse(url, globalThis.location?.href))
      throw connection.problem("unavailable", "an address", "something else", "give it in full: https://...");
    try {
      const opening = await connection.repeat((request) => openImage(connection, request, settings.blockSize, settings.wholeLimit), {
        resumes: false,
      });
      return new HttpStore(url, connection, opening, settings);
    } catch (error) {
      connection.close();
      throw hostError(error, url, "to open it");
    }
  }

  private constructor(url: string, connection: Connection, { size, validators, start }: Opening, settings: Settings) {
    this.name = url;
    this.identity = url;
    this.size = size;
    this.connection = connection;
    this.validators = validators;
    this.whole = start.length === size ? start : undefined;
    this.cache = new BlockCache(size, (offset, length, deliver) => this.fetchRange(offset, length, deliver), settings);
    if (start.length === Math.min(settings.blockSize, size)) this.cache.put(0, start);
  }

  read(offset: number, into: Uint8Array): Settling<void> {
    if (this.failure) throw this.failure;
    if (offset + into.length > this.size) throw behindEnd(this, offset, into.length);
    if (!this.whole) return this.cache.read(offset, into);
    into.set(this.whole.subarray(offset, offset + into.length));
  }

  write(): never {
    throw notWritable(this.name);
  }

  resize(): never {
    throw notWritable(this.name);
  }

  flush(): void {}

  close(): void {
    this.failure ??= this.connection.problem("request", "an open image", "one that was closed", "open it again");
    this.connection.close();
  }

  private async fetchRange(offset: number, length: number, deliver: (piece: Uint8Array) => void): Promise<void> {
    let done = 0;
    try {
      await this.connection.repeat(async (request) => {
        const from = offset + done;
        const response = await request.send("GET", rangeHeaders(from, offset + length - 1));
        this.requireUnchanged(response, from);
        await request.body(response, offset + length - from, true, (piece) => {
          done += piece.length;
          deliver(piece);
        });
      });
    } catch (error) {
      const failure = hostError(error, this.name, `to fetch ${length} bytes`, offset);
      // A changed image stays changed; everything else may work the next time.
      if (failure.kind === "changed") this.failure ??= failure;
      throw failure;
    }
  }

  private requireUnchanged(response: Response, offset: number): void {
    const { etag, modified } = validatorsOf(response);
    const changed = (expected: string, found: string): StorageError =>
      this.connection.problem("changed", expected, found, "the image was changed on the server: start the machine again", offset);
    const range = contentRange(response);
    if ([404, 410, 416].includes(response.status)) throw changed(`an image of ${this.size} bytes`, `the answer ${response.status}`);
    if (range?.total !== undefined && range.total !== this.size) throw changed(`an image of ${this.size} bytes`, `one of ${range.total}`);
    if (etag !== this.validators.etag) throw changed(`the image with ETag ${this.validators.etag}`, `${etag}`);
    if (modified !== this.validators.modified) throw changed(`the image of ${this.validators.modified}`, `one of ${modified}`);
    if (response.status !== 206) throw refuseStatus(this.connection, response);
    refuseEncoding(this.connection, response);
    if (range && range.start !== offset) {
      const hint = "the server answers range requests wrongly: use another one";
      throw this.connection.problem("unsupported", "the range that was asked for", `one from ${range.start}`, hint, offset);
    }
  }
}

/**
 * Opens what an image on a web server names as its backing file: a relative address, on the same server. Others are refused: who made the image shall not choose what
 * a page or program with other rights than his fetches.
 */
export function httpBacking(options: HttpStoreOptions = {}): (name: string, overlay: ByteStore) => Promise<HttpStore> {
  return async (name, overlay) => {
    const address = URL.canParse(name, overlay.name) ? new URL(name, overlay.name) : undefined;
    if (
      address?.origin !== undefined &&
      URL.canParse(overlay.name) &&
      address.origin === new URL(overlay.name).origin &&
      address.protocol.startsWith("http")
    ) {
      return HttpStore.open(address.href, options);
    }
    const hint = "put it beside the image, or flatten the image: qemu-img convert -O qcow2 FILE NEW.qcow2";
    throw new StorageError({ kind: "unsupported", file: overlay.name, expected: "a backing file on the same server", found: `"${name}"`, hint });
  };
}

interface Opening {
  readonly size: number;
  readonly validators: Validators;
  /** The first block or less of it, or everything. */
  readonly start: Uint8Array;
}

async function openImage(connection: Connection, request: Request, blockSize: number, wholeLimit: number): Promise<Opening> {
  const response = await request.send("GET", rangeHeaders(0, blockSize - 1));
  const validators = validatorsOf(response);
  if (response.status === 200) return { ...(await fetchWhole(connection, request, response, wholeLimit)), validators };
  if (response.status === 416) throw connection.problem("unsupported", "a disk image", "an empty file", "the upload failed, or the address is wrong");
  if (response.status !== 206) throw refuseStatus(connection, response);
  refuseEncoding(connection, response);
  const size = contentRange(response)?.total ?? (await sizeByHead(connection));
  connection.size = size;
  const start = new Uint8Array(Math.min(blockSize, size));
  let done = 0;
  try {
    await request.body(response, start.length, true, (piece) => {
      start.set(piece, done);
      done += piece.length;
    });
  } catch (error) {
    // What is missing is fetched like everything else, from where it broke off.
    if (done === 0) throw error;
  }
  return { size, validators, start: start.subarray(0, done) };
}

/** A server that knows no ranges sends everything. That will do for small images. */
async function fetchWhole(connection: Connection, request: Request, response: Response, limit: number): Promise<{ size: number; start: Uint8Array }> {
  const announced = response.headers.get("Content-Encoding") ? null : response.headers.get("Content-Length");
  const size = announced === null ? undefined : Number(announced);
  const refuse = (found: string): StorageError => {
    const hint = "put it on a server that supports Range, or download it and open the file";
    return connection.problem("unsupported", "a server that answers range requests", found, hint);
  };
  if (size !== undefined && size > limit) throw refuse(`one that sends the whole image (${size} bytes)`);
  connection.size = size ?? 0;
  const pieces: Uint8Array[] = [];
  let received = 0;
  await request.body(response, size ?? limit + 1, size !== undefined, (piece) => {
    pieces.push(piece.slice());
    received += piece.length;
  });
  if (received > limit) throw refuse(`one that sends the whole image (more than ${limit} bytes)`);
  const start = new Uint8Array(received);
  let at = 0;
  for (const piece of pieces) {
    start.set(piece, at);
    at += piece.length;
  }
  return { size: received, start };
}

/** Pages of other origins see Content-Range only if the server says so, but always Content-Length. */
async function sizeByHead(connection: Connection): Promise<number> {
  const size = await connection.repeat(async (request) => Number((await request.send("HEAD")).headers.get("Content-Length") ?? Number.NaN));
  if (Number.isSafeInteger(size) && size > 0) return size;
  const hint = "let the server send: Access-Control-Expose-Headers: Content-Range, ETag";
  throw connection.problem("unsupported", "an image whose size the server tells", "neither Content-Range nor Content-Length", hint);
}

function rangeHeaders(first: number, last: number): Record<string, string> {
  // Ranges of a compressed transfer would be ranges of something else. Browsers add this themselves and ignore it here.
  return { Range: `bytes=${first}-${last}`, "Accept-Encoding": "identity" };
}

function contentRange(response: Response): { readonly start: number; readonly total: number | undefined } | undefined {
  const found = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("Content-Range") ?? "");
  return found ? { start: Number(found[1]), total: found[2] === "*" ? undefined : Number(found[2]) } : undefined;
}

function validatorsOf(response: Response): Validators {
  return { etag: response.headers.get("ETag"), modified: response.headers.get("Last-Modified") };
}

function refuseEncoding(connection: Connection, response: Response): void {
  const encoding = response.headers.get("Content-Encoding");
  if (!encoding || encoding === "identity") return;
  throw connection.problem(
    "unsupported",
    "the image as it is",
    `a transfer compressed by ${encoding}`,
    "switch compression off for images on the server",
  );
}

function refuseStatus(connection: Connection, response: Response): StorageError {
  const found = `the answer ${response.status} ${response.statusText}`.trim();
  if (response.status === 200) {
    return connection.problem("unsupported", "a range of the image", "all of it", "the server stopped answering range requests: use another one");
  }
  const hint = response.status === 401 || response.status === 403 ? "the server wants a login or forbids it" : "check the address";
  return connection.problem("unavailable", "the image", found, hint);
}
