/** Media that a page has sent: files of their own in a temporary folder, each for as long as it is in a drive. */
import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Files that wait to be inserted; the page inserts each at once. */
const mostWaiting = 4;

export class Uploads {
  private folder: Promise<string> | undefined;
  private readonly waiting = new Map<string, string>();
  private isClosed = false;

  /** Returns what the file is called from now on. Errors: those of the file system and of the connection; nothing is left then. */
  async receive(request: IncomingMessage, name: string): Promise<string> {
    this.folder ??= mkdtemp(join(tmpdir(), "xlat86-media-"));
    const id = randomBytes(12).toString("hex");
    // The name is in it for messages.
    const path = join(await this.folder, `${id.slice(0, 6)}-${name.replaceAll(/[^\w.() -]/g, "_").slice(-80)}`);
    try {
      await pipeline(request, createWriteStream(path, { flags: "wx", mode: 0o600 }));
      if (this.isClosed) throw new Error("the machine has ended");
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    this.waiting.set(id, path);
    for (const [oldest, file] of this.waiting) {
      if (this.waiting.size <= mostWaiting) break;
      this.waiting.delete(oldest);
      await rm(file, { force: true });
    }
    return id;
  }

  /** The file's path; it is the caller's, to `discard`. */
  take(id: string): string | undefined {
    const path = this.waiting.get(id);
    this.waiting.delete(id);
    return path;
  }

  async discard(path: string): Promise<void> {
    await rm(path, { force: true });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    if (this.folder) await rm(await this.folder, { recursive: true, force: true });
  }
}
