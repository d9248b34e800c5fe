import { type ByteStore, behindEnd } from "./byte-store.ts";
import { hostError, StorageError } from "./error.ts";

/** FileSystemSyncAccessHandle (WHATWG File System), which TypeScript knows in its types for workers only. */
export interface SyncAccessHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(from: Uint8Array, options: { at: number }): number;
  getSize(): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

/** A file in the origin's private file system, in a worker: stays when the page is closed, and is this page's alone while it is open. */
export class OpfsStore implements ByteStore {
  readonly name: string;
  readonly identity: string;
  readonly readOnly = false;
  private readonly handle: SyncAccessHandle;
  private length: number;

  /** Opens `path` ("images/disk.qcow2"), and makes it where `create` says so. */
  static async open(path: string, options: { readonly create?: boolean } = {}): Promise<OpfsStore> {
    const create = options.create === true;
    try {
      const names = path.split("/").filter((name) => name !== "");
      let folder = await navigator.storage.getDirectory();
      for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name, { create });
      const file = await folder.getFileHandle(names.at(-1) ?? "", { create });
      const { createSyncAccessHandle } = file as { createSyncAccessHandle?: () => Promise<SyncAccessHandle> };
      if (!createSyncAccessHandle) {
        const hint = "run the machine in a dedicated worker";
        throw new StorageError({ kind: "unsupported", file: path, expected: "a worker", found: "no synchronous access to files", hint });
      }
      return new OpfsStore(await createSyncAccessHandle.call(file), path);
    } catch (error) {
      throw hostError(error, path, "to open it in the browser's storage");
    }
  }

  constructor(handle: SyncAccessHandle, name: string) {
    this.name = name;
    this.identity = `opfs:${name}`;
    this.handle = handle;
    this.length = handle.getSize();
  }

  get size(): number {
    return this.length;
  }

  read(offset: number, into: Uint8Array): void {
    if (offset + into.length > this.length) throw behindEnd(this, offset, into.length);
    this.attempt(`to read ${into.length} bytes`, offset, () => {
      for (let done = 0; done < into.length; ) {
        const count = this.handle.read(into.subarray(done), { at: offset + done });
        if (count === 0) throw behindEnd(this, offset + done, into.length - done);
        done += count;
      }
    });
  }

  write(offset: number, from: Uint8Array): void {
    this.attempt(`to write ${from.length} bytes`, offset, () => {
      for (let done = 0; done < from.length; ) {
        const count = this.handle.write(from.subarray(done), { at: offset + done });
        // Some browsers write less than they were given when there is no space.
        if (count === 0) throw Object.assign(new Error("nothing was written"), { name: "QuotaExceededError" });
        done += count;
      }
    });
    this.length = Math.max(this.length, offset + from.length);
  }

  resize(size: number): void {
    this.attempt(`to make it ${size} bytes long`, undefined, () => this.handle.truncate(size));
    this.length = size;
  }

  flush(): void {
    this.attempt("to bring what was written to stable storage", undefined, () => this.handle.flush());
  }

  close(): void {
    this.handle.close();
  }

  private attempt(action: string, offset: number | undefined, act: () => void): void {
    try {
      act();
    } catch (error) {
      throw hostError(error, this.name, action, offset);
    }
  }
}
