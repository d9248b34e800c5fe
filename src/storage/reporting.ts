/** A drive's storage that tells the person what the guest gets as an I/O error: a guest says only that there was one. */
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import { StorageError } from "./error.ts";

/** Passes everything on; `report` gets the first error of each kind in reading, in writing and in flushing: the guest tries again, and often. */
export class ReportingStorage implements BlockStorage {
  readonly size: number;
  readonly readOnly: boolean;
  private readonly storage: BlockStorage;
  private readonly report: (message: string) => void;
  private readonly reported = new Set<string>();

  constructor(storage: BlockStorage, report: (message: string) => void) {
    this.storage = storage;
    this.report = report;
    this.size = storage.size;
    this.readOnly = storage.readOnly;
  }

  read(offset: number, into: Uint8Array): void | Promise<void> {
    return this.watch("read", () => this.storage.read(offset, into));
  }

  write(offset: number, from: Uint8Array): void | Promise<void> {
    return this.watch("write", () => this.storage.write(offset, from));
  }

  flush(): void | Promise<void> {
    return this.watch("flush", () => this.storage.flush());
  }

  private watch(sort: string, act: () => void | Promise<void>): void | Promise<void> {
    const failed = (error: unknown): never => {
      const problem = `${sort} ${error instanceof StorageError ? error.kind : ""}`;
      const message = error instanceof Error ? error.message : String(error);
      if (!this.reported.has(problem) && !this.reported.has(message)) this.report(message);
      this.reported.add(problem).add(message);
      throw error;
    };
    try {
      return act()?.catch(failed);
    } catch (error) {
      return failed(error);
    }
  }
}
