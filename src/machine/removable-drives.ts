/**
 * The drives whose medium can be changed while the machine runs: floppy drives, and the CD drives among hda to hdd. The guest sees what it would see of a person at
 * the PC: a disk-change line, a unit attention, a tray that opens unless it is locked.
 */
import { FloppyMediumError, FloppySizeError } from "../../runtime/devices/floppy/index.ts";
import type { AtapiCdRom } from "../../runtime/devices/ide/index.ts";
import type { BlockStorage } from "../../runtime/devices/storage/block-storage.ts";
import type { DriveControllers } from "./drive-controllers.ts";
import { type Drives, floppyDriveNames, ideDriveNames, isStorage, MachineError } from "./options.ts";

export type RemovablePlace = (typeof ideDriveNames)[number] | (typeof floppyDriveNames)[number];

export interface RemovableDrive {
  readonly place: RemovablePlace;
  readonly kind: "floppy" | "cdrom";
  /** The name of what is in it; undefined: nothing. */
  readonly medium: string | undefined;
}

/** What goes into a drive. */
export interface Medium {
  readonly storage: BlockStorage;
  /** For messages. */
  readonly name: string;
}

type Fitted = { readonly kind: "floppy"; readonly unit: number } | { readonly kind: "cdrom"; readonly drive: AtapiCdRom };

export class RemovableDrives {
  readonly #controllers: DriveControllers;
  readonly #fitted = new Map<RemovablePlace, Fitted>();
  readonly #names = new Map<RemovablePlace, string>();

  constructor(controllers: DriveControllers, drives: Drives) {
    this.#controllers = controllers;
    for (const [unit, type] of controllers.floppyTypes.entries()) {
      const place = floppyDriveNames[unit];
      if (place !== undefined && type !== null) this.#fitted.set(place, { kind: "floppy", unit });
    }
    for (const place of ideDriveNames) {
      const drive = controllers.ide?.cdRom(place);
      if (drive !== undefined) this.#fitted.set(place, { kind: "cdrom", drive });
    }
    for (const place of this.#fitted.keys()) {
      const drive = drives[place];
      if (drive?.storage) this.#names.set(place, drive.name);
    }
  }

  /** What there is and what is in it. A CD that the guest ejected is still there: its tray is open. */
  list(): RemovableDrive[] {
    return Array.from(this.#fitted, ([place, { kind }]) => ({ place, kind, medium: this.#names.get(place) }));
  }

  /**
   * Puts a medium into a drive, in place of what is in it. Returns what the person should know of it, if anything. The storage before is the caller's again, to close:
   * nothing uses it after the transfer under way. Errors: `MachineError`; the drive is then as before.
   */
  insert(place: RemovablePlace, { storage, name }: Medium): string | undefined {
    const fitted = this.#find("insert", place);
    if (!isStorage(storage)) throw new MachineError(`drives.insert: expected { storage, name }; openImage and openImageFile make a storage`);
    let notice: string | null = null;
    if (fitted.kind === "cdrom") fitted.drive.insert(storage);
    else {
      try {
        notice = this.#controllers.floppy?.insert(fitted.unit, storage) ?? null;
      } catch (error) {
        if (error instanceof FloppyMediumError || error instanceof FloppySizeError) throw new MachineError(`${name}: ${error.message}`);
        throw error;
      }
    }
    this.#names.set(place, name);
    return notice ?? undefined;
  }

  /** Empties a drive. False: the guest has locked its tray; it is told of the wish, and `force` does not ask. Errors: `MachineError`. */
  eject(place: RemovablePlace, { force = false }: { readonly force?: boolean } = {}): boolean {
    const fitted = this.#find("eject", place);
    if (fitted.kind === "floppy") this.#controllers.floppy?.insert(fitted.unit, null);
    else if (!fitted.drive.eject(force)) return false;
    this.#names.delete(place);
    return true;
  }

  #find(method: string, place: RemovablePlace): Fitted {
    const fitted = this.#fitted.get(place);
    if (fitted !== undefined) return fitted;
    const there = [...this.#fitted.keys()].join(", ") || "none";
    throw new MachineError(`drives.${method}: no floppy or CD drive ${String(place)}; there are: ${there}. An empty one is made with storage null`);
  }
}
