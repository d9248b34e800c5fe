/** Requests that are repeated when the connection drops: with pauses that grow, and only as long as that leads anywhere. */
import { StorageError, type StorageErrorKind } from "../error.ts";

export interface HttpProgress {
  /** Bytes of the image that have been received, and its size (0 while it is not known). */
  readonly received: number;
  readonly size: number;
  readonly requests: number;
  readonly retries: number;
  /** Requests that are under way. */
  readonly active: number;
  /** Why the last attempt failed, while it is being repeated. */
  readonly problem?: string;
}

export interface ConnectionOptions {
  readonly fetch: typeof fetch;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly attempts: number;
  readonly retryDelay: number;
  readonly timeout: number;
  readonly onProgress?: (progress: HttpProgress) => void;
}

const longestDelay = 10_000;
/** Less than this is no progress: a server that drops every connection after a few bytes is given up. */
const worthwhile = 4096;
const retriable = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Nothing came, or the connection broke: worth another attempt. */
class Dropped extends Error {
  readonly retryAfter: number;

  constructor(message: string, retryAfter = 0) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** One address, asked again and again. */
export class Connection {
  /** For progress: set by who learns it. */
  size = 0;
  private readonly url: string;
  private readonly options: ConnectionOptions;
  private readonly closing = new AbortController();
  private received = 0;
  private requests = 0;
  private retries = 0;
  private active = 0;

  constructor(url: string, options: ConnectionOptions) {
    this.url = url;
    this.options = options;
    options.signal?.addEventListener("abort", () => this.close());
    if (options.signal?.aborted) this.close();
  }

  /** Ends what is under way. */
  close(): void {
    this.closing.abort();
  }

  /**
   * Runs `attempt` until it ends well, ends badly for good, or has brought nothing several times in a row. One that does not go on where the last broke off
   * (`resumes` false) has brought nothing, whatever came: it would be cut off at the same place for ever.
   */
  async repeat<T>(attempt: (request: Request) => Promise<T>, { resumes = true }: { readonly resumes?: boolean } = {}): Promise<T> {
    const { attempts, retryDelay } = this.options;
    for (let failures = 0; ; ) {
      const before = this.received;
      const request = new Request(this.url, this.options, this.closing.signal, (bytes) => this.arrived(bytes));
      this.active++;
      this.requests++;
      try {
        return await attempt(request);
      } catch (error) {
        if (this.closing.signal.aborted) throw this.problem("request", "an open image", "one that was closed", "open it again");
        if (!(error instanceof Dropped)) throw error;
        failures = resumes && this.received - before >= worthwhile ? 1 : failures + 1;
        if (failures >= attempts) {
          const isPage = "location" in globalThis;
          const hint = `look whether the network and the server work${isPage ? ", and whether the server allows this page to read from it (CORS)" : ""}`;
          throw this.problem("io", "an answer of the server", `${error.message} (${failures} times in a row)`, hint);
        }
        this.retries++;
        this.report(error.message);
        await this.pause(Math.min(longestDelay, Math.max(retryDelay * 2 ** (failures - 1), error.retryAfter)));
      } finally {
        this.active--;
        request.end();
        this.report();
      }
    }
  }

  problem(kind: StorageErrorKind, expected: string, found: string, hint: string, offset?: number): StorageError {
    return new StorageError({ kind, file: this.url, offset, expected, found, hint });
  }

  private arrived(bytes: number): void {
    this.received += bytes;
    this.report();
  }

  private report(problem?: string): void {
    const { received, size, requests, retries, active } = this;
    this.options.onProgress?.({ received, size, requests, retries, active, problem });
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.closing;
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      signal.addEventListener("abort", wake);
    });
  }
}

/** One attempt. It is given up when nothing arrives for some time. */
export class Request {
  private readonly url: string;
  private readonly options: ConnectionOptions;
  private readonly arrived: (bytes: number) => void;
  private readonly abort = new AbortController();
  private readonly closing: AbortSignal;
  private readonly stop = (): void => this.abort.abort();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private silent = false;

  constructor(url: string, options: ConnectionOptions, closing: AbortSignal, arrived: (bytes: number) => void) {
    this.url = url;
    this.options = options;
    this.arrived = arrived;
    this.closing = closing;
    closing.addEventListener("abort", this.stop);
    if (closing.aborted) this.stop();
  }

  /** The answer's head. Answers that say "later" count as dropped connections. */
  async send(method: "GET" | "HEAD", headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const { fetch, headers: always } = this.options;
    const response = await this.watched(
      // A page that browsers have in their cache may be an older one.
      fetch(this.url, { method, headers: { ...always, ...headers }, signal: this.abort.signal, cache: "no-store" }),
    );
    if (!retriable.has(response.status)) return response;
    const seconds = Number(response.headers.get("Retry-After"));
    throw new Dropped(`the server answers ${response.status} ${response.statusText}`.trim(), Number.isFinite(seconds) ? seconds * 1000 : 0);
  }

  /** Delivers up to `length` bytes of the body; `complete` says that fewer are a dropped connection. */
  async body(response: Response, length: number, complete: boolean, deliver: (piece: Uint8Array) => void): Promise<void> {
    const reader = response.body?.getReader();
    let done = 0;
    while (reader && done < length) {
      const { value } = await this.watched(reader.read());
      if (!value) break;
      const piece = value.subarray(0, length - done);
      done += piece.length;
      deliver(piece);
      this.arrived(piece.length);
    }
    if (complete && done < length) throw new Dropped(`the connection ended ${length - done} bytes early`);
  }

  /** What is left of the answer is not wanted. */
  end(): void {
    clearTimeout(this.timer);
    this.closing.removeEventListener("abort", this.stop);
    this.stop();
  }

  private async watched<T>(waiting: Promise<T>): Promise<T> {
    this.timer = setTimeout(() => {
      this.silent = true;
      this.stop();
    }, this.options.timeout);
    try {
      return await waiting;
    } catch (error) {
      if (this.silent) throw new Dropped(`nothing came for ${this.options.timeout / 1000} seconds`);
      const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
      throw new Dropped(`the connection failed: ${[message, cause?.message || cause?.code].filter(Boolean).join(", ")}`);
    } finally {
      clearTimeout(this.timer);
    }
  }
}
