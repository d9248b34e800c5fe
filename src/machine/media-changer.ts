/**
 * Media that come and go while a machine runs, with the files behind them: whoever takes a medium out gets its file closed, flushed before, so that it can be taken
 * elsewhere. One changer for each machine; everybody who changes media there (a terminal, a page) goes through it and hears of the others.
 */
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import type { RemovableDrive, RemovableDrives, RemovablePlace } from "./removable-drives.ts";

/** A medium that was opened to be inserted. */
export interface OpenMedium {
  readonly storage: BlockStorage;
  /** For messages. */
  readonly name: string;
  /** What the person should know of it. */
  readonly warnings: readonly string[];
  /** Brings everything written to where it stays, and lets go of it. */
  close(): void | Promise<void>;
}

export class MediaChanger {
  readonly #drives: RemovableDrives;
  /** What is to be closed when the medium leaves the drive. */
  readonly #close = new Map<RemovablePlace, () => void | Promise<void>>();
  readonly #listeners = new Set<() => void>();

  /** @param close closes the medium that was in a drive from the start */
  constructor(drives: RemovableDrives, close: (place: RemovablePlace) => void | Promise<void>) {
    this.#drives = drives;
    for (const { place, medium } of drives.list()) if (medium !== undefined) this.#close.set(place, () => close(place));
  }

  list(): RemovableDrive[] {
    return this.#drives.list();
  }

  /** @param listener called after each change */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Puts a medium in place of what is there. Returns what the person should know. Errors: `MachineError`, and what opening it throws; the drive is then as before. What
   * closing the medium before throws comes last: the change has been made then.
   */
  async insert(place: RemovablePlace, open: () => Promise<OpenMedium>): Promise<string[]> {
    // A wrong place is found before anything is opened.
    if (!this.list().some((drive) => drive.place === place)) this.#drives.eject(place);
    const medium = await open();
    let notice: string | undefined;
    try {
      notice = this.#drives.insert(place, medium);
    } catch (error) {
      await medium.close();
      throw error;
    }
    const closeBefore = this.#close.get(place);
    this.#close.set(place, () => medium.close());
    this.#changed();
    await closeBefore?.();
    return [...medium.warnings, ...(notice === undefined ? [] : [notice])];
  }

  /** Empties a drive. False: the guest has locked its tray. Errors: `MachineError`, and what closing the medium throws; the drive is empty then. */
  async eject(place: RemovablePlace, options: { readonly force?: boolean } = {}): Promise<boolean> {
    if (!this.#drives.eject(place, options)) return false;
    const close = this.#close.get(place);
    this.#close.delete(place);
    this.#changed();
    await close?.();
    return true;
  }

  /** Closes all media; the machine is no more. Errors: what the first one throws that cannot be closed. */
  async close(): Promise<void> {
    const results = await Promise.allSettled([...this.#close.values()].map(async (close) => close()));
    this.#close.clear();
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
