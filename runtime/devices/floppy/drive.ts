/**
 * A floppy drive: head position, motor, disk-change latch, and the medium in it. It knows cylinders as its own steps; the numbers that a sector's ID
 * field carries are the medium's.
 */
import type { SavedState } from "../device.ts";
import type { BlockStorage } from "../storage/block-storage.ts";
import { driveTraits, type FloppyDriveType, type FloppyFormat, floppyFormat, formatBytes, sectorBytes } from "./formats.ts";

/** Steps the mechanism can make beyond the last cylinder before it meets its end stop. */
const stepsBeyond = 3;

export class FloppyMediumError extends Error {
  override readonly name = "FloppyMediumError";
}

export interface FloppyMedium {
  readonly storage: BlockStorage;
  readonly format: FloppyFormat;
  /** What the user should know of the image. */
  readonly notice: string | null;
}

/** Checks that an image is a floppy. Errors: `FloppySizeError`. */
export function floppyMedium(storage: BlockStorage): FloppyMedium {
  const { format, notice } = floppyFormat(storage.size);
  return { storage, format, notice };
}

/** A track under the head: what its sectors' ID fields say. */
export interface Track {
  readonly medium: FloppyMedium;
  readonly cylinder: number;
  readonly head: number;
  readonly sectors: number;
}

export class FloppyDrive {
  readonly type: FloppyDriveType;
  medium: FloppyMedium | null = null;
  motor = false;
  /** The disk-change latch: set when the medium leaves, reset by a step with one inserted. */
  changed = true;
  /** Steps from track 0. */
  position = 0;

  constructor(type: FloppyDriveType) {
    this.type = type;
  }

  /** Errors: `FloppyMediumError` when the medium does not fit this drive. */
  insert(medium: FloppyMedium | null): void {
    if (medium !== null && !driveTraits[this.type].reads.includes(medium.format.drive)) {
      throw new FloppyMediumError(
        `a ${medium.format.name} floppy does not fit a ${this.type} drive, which takes those of ${driveTraits[this.type].reads.join(", ")} drives`,
      );
    }
    this.medium = medium;
    this.changed = true;
  }

  get atTrack0(): boolean {
    return this.position === 0;
  }

  get writeProtected(): boolean {
    return this.medium?.storage.readOnly === true;
  }

  /** Moves the heads by `steps`, outwards if negative, as far as they go. */
  step(steps: number): void {
    if (steps === 0) return;
    this.position = Math.max(0, Math.min(driveTraits[this.type].cylinders + stepsBeyond - 1, this.position + steps));
    if (this.medium !== null) this.changed = false;
  }

  /**
   * What the head reads at a data rate; null where there is nothing readable. The heads of an 80-cylinder drive are over cylinder n of a 40-cylinder
   * disk at step 2n: software steps twice (DOS, Linux) or, not knowing, once (SeaBIOS, which works where nobody modelled that). Both are served:
   * `wanted` is the cylinder the command asks for, and the ID field of the step's own number answers where it fits.
   */
  track(head: number, rate: number, wanted = -1): Track | null {
    const { medium, position } = this;
    if (medium === null || !this.motor) return null;
    const { format } = medium;
    if (!format.rates.includes(rate) || head >= format.heads) return null;
    const halves = format.cylinders <= 42 && driveTraits[this.type].cylinders >= 80;
    const cylinder = halves && wanted !== position ? position >> 1 : position;
    return cylinder < format.cylinders ? { medium, cylinder, head, sectors: format.sectors } : null;
  }

  save(): SavedState {
    const { motor, changed, position } = this;
    return { motor, changed, position, size: this.medium?.storage.size ?? null };
  }

  /** The medium is the machine's to put back; one that is not the saved one's size counts as changed. */
  restore(state: SavedState): void {
    this.motor = state.motor as boolean;
    this.changed = (state.changed as boolean) || (this.medium?.storage.size ?? null) !== state.size;
    this.position = state.position as number;
  }
}

/** Reads one sector; what a cut-off image lacks is zeros. */
export function readSector(track: Track, sector: number, into: Uint8Array): void | Promise<void> {
  const { storage } = track.medium;
  const offset = sectorOffset(track, sector);
  if (offset + sectorBytes <= storage.size) return storage.read(offset, into);
  into.fill(0);
}

/** Writes one sector; throws for one the image lacks. */
export function writeSector(track: Track, sector: number, from: Uint8Array): void | Promise<void> {
  const { storage, format } = track.medium;
  const offset = sectorOffset(track, sector);
  if (offset + sectorBytes <= storage.size) return storage.write(offset, from);
  throw new FloppyMediumError(`sector at ${offset} lies beyond the image's ${storage.size} bytes (${format.name}: ${formatBytes(format)})`);
}

function sectorOffset({ medium, cylinder, head, sectors }: Track, sector: number): number {
  return ((cylinder * medium.format.heads + head) * sectors + sector - 1) * sectorBytes;
}
