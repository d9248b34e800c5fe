/**
 * A hard disk by ATA/ATAPI-6. Which command is which method is in ata-commands.ts.
 *
 * Data to the host's data port is read ahead, many sectors in one storage operation; data from it goes to storage block by block, so that whatever the
 * disk has taken from the host is with storage. The bus master moves pieces of at most 1 MiB.
 */
import type { SavedState, SavedValue } from "../device.ts";
import type { BlockStorage } from "../storage/block-storage.ts";
import { diskCommands } from "./ata-commands.ts";
import { type DiskIdentity, identifyDisk, lba28Limit, maximumMultiple, transferKind } from "./ata-identify.ts";
import { type Activity, chunkBytes, type DriveHost, duration, IdeDrive } from "./drive.ts";
import { type Geometry, guessGeometry, standardGeometry, type Translation } from "./geometry.ts";
import { deviceBit, errorBit, register, sectorBytes, status } from "./registers.ts";

/** Bits of an address. */
export type Addressing = 28 | 48;

const setFeature = { writeCacheOn: 0x02, transferMode: 0x03, writeCacheOff: 0x82 } as const;
/** Features that change nothing here: power management, acoustic management, read look-ahead, reverting to defaults. */
const idleFeatures = new Set([0x05, 0x85, 0x42, 0xc2, 0x55, 0xaa, 0x66, 0xcc, 0x67, 0x69, 0x96, 0x9a]);
const defaultTransferMode = (transferKind.ultra << 3) | 5;
const powerMode = { standby: 0x00, active: 0xff } as const;

export interface DiskOptions {
  readonly name: string;
  readonly host: DriveHost;
  readonly storage: BlockStorage;
  readonly identity: DiskIdentity;
  readonly activity: (kind: Activity) => void;
}

export class AtaDisk extends IdeDrive {
  protected readonly signature = [0x00, 0x00] as const;
  protected readonly resetStatus = status.drdy | status.dsc;

  private readonly storage: BlockStorage;
  private readonly identity: DiskIdentity;
  private readonly activity: (kind: Activity) => void;
  private readonly sectorCount: number;
  private native: Geometry;
  private current: Geometry;
  private biosTranslation: Translation = "none";
  /** Settles when the geometry is known; null then. */
  private geometryRead: Promise<void> | null = null;
  private multiple = maximumMultiple;
  private writeCache = true;
  private transferMode = defaultTransferMode;
  private power: number = powerMode.active;

  // The command in progress.
  private addressing: Addressing = 28;
  /** Sector that comes next, and how many the command has left to move; those on offer at the data port count as moved. */
  private lba = 0;
  private left = 0;
  /** Sectors of a block at the data port. */
  private blockSectors = 1;
  /** What of the buffer is a command's data, and how much of that has been moved. */
  private filled = 0;
  private moved = 0;

  constructor({ name, host, storage, identity, activity }: DiskOptions) {
    super(name, host);
    this.storage = storage;
    this.identity = identity;
    this.activity = activity;
    this.sectorCount = Math.floor(storage.size / sectorBytes);
    this.native = this.current = standardGeometry(this.sectorCount);
    this.readGeometry();
    this.powerOn();
  }

  get geometry(): Geometry {
    return this.native;
  }

  /** How firmware is to translate the geometry for INT 13h. */
  get translation(): Translation {
    return this.biosTranslation;
  }

  /** Calls back when `geometry` and `translation` are final: at once where storage has answered at once. */
  whenKnown(known: () => void): void {
    if (this.geometryRead === null) known();
    else void this.geometryRead.then(known);
  }

  override powerOn(): void {
    super.powerOn();
    this.current = this.native;
    this.multiple = maximumMultiple;
    this.writeCache = true;
    this.transferMode = defaultTransferMode;
    this.power = powerMode.active;
    this.left = this.filled = this.moved = 0;
  }

  busMasterStarted(): void {
    if (this.stage === "dma to memory") this.push();
    else if (this.stage === "dma from memory") this.pull();
  }

  protected execute(code: number): void {
    const method = diskCommands[code];
    if (method === undefined) this.abort();
    else method(this);
  }

  protected blockEnded(): void {
    if (this.stage === "data to host") {
      this.moved += this.blockBytes();
      if (this.moved < this.filled) this.begin("next block", duration.step);
      else if (this.left > 0) this.fetch();
      else {
        // The host has all of it: nothing more to tell it.
        this.stage = "idle";
        this.status = status.drdy | status.dsc;
      }
    } else if (this.stage === "data from host") this.ask("store", this.mediaTime(this.filled));
  }

  protected stageOperation(): void | Promise<void> {
    const { storage, buffer, filled, lba } = this;
    const offset = lba * sectorBytes;
    switch (this.stage) {
      case "fetch":
      case "dma fetch":
        this.activity("read");
        return storage.read(offset, buffer.subarray(0, filled));
      case "store":
      case "dma store": {
        this.activity("write");
        const written = storage.write(offset, buffer.subarray(0, filled));
        // Without a write cache what has been written is on the medium.
        if (this.writeCache) return written;
        return written === undefined ? storage.flush() : written.then(() => storage.flush());
      }
      case "flush":
        return storage.flush();
      case "identify":
        return this.geometryRead ?? undefined;
    }
  }

  protected stageEnded(failed: boolean): void {
    if (failed) {
      this.fail(errorBit.uncorrectable);
      return;
    }
    switch (this.stage) {
      case "fetch":
      case "next block":
        this.offerBlock();
        return;
      case "identify":
        this.reply(this.identification());
        return;
      case "store":
        this.advance(this.filled / sectorBytes);
        if (this.left > 0 && this.addressable() > 0) {
          this.accept();
          this.setPending(true);
        } else this.endOfSectors();
        return;
      case "dma fetch":
        this.stage = "dma to memory";
        this.status = status.drdy | status.dsc | status.drq;
        this.push();
        return;
      case "dma store":
        this.advance(this.filled / sectorBytes);
        if (this.left > 0 && this.addressable() > 0) this.collect();
        else this.endOfSectors();
        return;
      case "not found":
        this.fail(errorBit.idNotFound);
        return;
      default:
        this.finish();
    }
  }

  protected saveCommand(): { [key: string]: SavedValue } {
    const { addressing, lba, left, blockSectors, filled, moved, multiple, writeCache, transferMode, power } = this;
    const { cylinders, heads, sectors } = this.current;
    return { addressing, lba, left, blockSectors, filled, moved, multiple, writeCache, transferMode, power, cylinders, heads, sectors };
  }

  protected restoreCommand(state: SavedState): void {
    this.addressing = state.addressing as Addressing;
    this.lba = state.lba as number;
    this.left = state.left as number;
    this.blockSectors = state.blockSectors as number;
    this.filled = state.filled as number;
    this.moved = state.moved as number;
    this.multiple = state.multiple as number;
    this.writeCache = state.writeCache as boolean;
    this.transferMode = state.transferMode as number;
    this.power = state.power as number;
    this.current = { cylinders: state.cylinders as number, heads: state.heads as number, sectors: state.sectors as number };
  }

  // Commands.

  /** Reads or writes through the data port, a single sector or as many as SET MULTIPLE MODE said at a time. */
  moveByHost(isWrite: boolean, addressing: Addressing, single: boolean): void {
    if ((isWrite && this.storage.readOnly) || (!single && this.multiple === 0)) return this.abort();
    this.blockSectors = single ? 1 : this.multiple;
    if (!this.takeAddress(addressing)) return;
    if (!isWrite) this.fetch();
    else this.accept();
  }

  moveByDma(isWrite: boolean, addressing: Addressing): void {
    if (isWrite && this.storage.readOnly) return this.abort();
    if (!this.takeAddress(addressing)) return;
    if (isWrite) this.collect();
    else this.fetchForDma();
  }

  /** READ VERIFY and SEEK: the address is all that is looked at. */
  verify(addressing: Addressing, count?: number): void {
    if (!this.takeAddress(addressing)) return;
    if (count !== undefined) this.left = count;
    const { left } = this;
    const inside = this.addressable();
    if (count === undefined) this.advance(Math.min(left, inside));
    if (left > inside) this.begin("not found", duration.media);
    else this.begin("verify", duration.media);
    this.left = 0;
  }

  identify(): void {
    this.ask("identify", duration.step);
  }

  flush(): void {
    this.ask("flush", duration.media);
  }

  done(): void {
    this.begin("done", duration.step);
  }

  reject(): void {
    this.abort();
  }

  recalibrate(): void {
    this.registers[register.lbaMid] = this.registers[register.lbaHigh] = 0;
    this.done();
  }

  setMultiple(): void {
    const count = this.registers[register.count];
    if (count > maximumMultiple || (count & (count - 1)) !== 0) return this.abort();
    this.multiple = count;
    this.done();
  }

  initializeParameters(): void {
    const sectors = this.registers[register.count];
    const heads = (this.registers[register.device] & deviceBit.head) + 1;
    if (sectors === 0) return this.abort();
    const cylinders = Math.min(Math.floor(this.sectorCount / (heads * sectors)), 0xffff);
    this.current = { cylinders, heads, sectors };
    this.done();
  }

  setFeatures(): void {
    const feature = this.registers[register.features];
    const count = this.registers[register.count];
    if (feature === setFeature.writeCacheOn) this.writeCache = true;
    else if (feature === setFeature.writeCacheOff) {
      this.writeCache = false;
      return this.flush();
    } else if (feature === setFeature.transferMode) {
      const [kind, number] = [count >> 3, count & 7];
      const most = {
        [transferKind.pioDefault]: 1,
        [transferKind.pio]: 4,
        [transferKind.singleWord]: 2,
        [transferKind.multiword]: 2,
        [transferKind.ultra]: 5,
      }[kind];
      if (most === undefined || number > most) return this.abort();
      this.transferMode = count;
    } else if (!idleFeatures.has(feature)) return this.abort();
    this.done();
  }

  /** IDLE and STANDBY, immediate or with a timer that never runs out; SLEEP, out of which a command is enough to wake. */
  setPower(standby: boolean): void {
    this.power = standby ? powerMode.standby : powerMode.active;
    if (standby) this.flush();
    else this.done();
  }

  checkPower(): void {
    this.registers[register.count] = this.power;
    this.done();
  }

  readNativeMax(addressing: Addressing): void {
    this.addressing = addressing;
    this.setAddress(addressing === 48 ? this.sectorCount - 1 : Math.min(this.sectorCount - 1, lba28Limit));
    this.done();
  }

  // Steps of moving sectors.

  /** Reads on for the data port. */
  private fetch(): void {
    const inside = this.addressable();
    if (inside === 0) return this.notFound();
    this.allot(Math.min(this.left, inside, chunkBytes.pio / sectorBytes));
    this.ask("fetch", this.mediaTime(this.filled));
  }

  private offerBlock(): void {
    if (this.left > 0) this.advance(this.blockBytes() / sectorBytes);
    this.offer("data to host", this.moved, this.moved + this.blockBytes(), true);
    this.setPending(true);
  }

  /** Asks the host for a block. */
  private accept(): void {
    const inside = this.addressable();
    if (inside === 0) return this.notFound();
    this.allot(Math.min(this.left, this.blockSectors, inside));
    this.offer("data from host", 0, this.filled, false);
  }

  private fetchForDma(): void {
    const inside = this.addressable();
    if (inside === 0) return this.notFound();
    this.allot(Math.min(this.left, inside, chunkBytes.dma / sectorBytes));
    this.ask("dma fetch", this.mediaTime(this.filled));
  }

  private push(): void {
    this.moved += this.host.busMaster.transfer(this.buffer, this.moved, this.filled, true);
    if (this.moved < this.filled) return;
    this.advance(this.filled / sectorBytes);
    if (this.left > 0 && this.addressable() > 0) this.fetchForDma();
    else this.endOfSectors();
  }

  private collect(): void {
    const inside = this.addressable();
    if (inside === 0) return this.notFound();
    this.allot(Math.min(this.left, inside, chunkBytes.dma / sectorBytes));
    this.stage = "dma from memory";
    this.status = status.drdy | status.dsc | status.drq;
    this.pull();
  }

  private pull(): void {
    this.moved += this.host.busMaster.transfer(this.buffer, this.moved, this.filled, false);
    if (this.moved === this.filled) this.ask("dma store", this.mediaTime(this.filled));
  }

  /** All sectors are done, or those that exist. */
  private endOfSectors(): void {
    if (this.left > 0) this.fail(errorBit.idNotFound);
    else this.finish();
  }

  private notFound(): void {
    this.begin("not found", duration.step);
  }

  private allot(sectors: number): void {
    this.filled = sectors * sectorBytes;
    this.moved = 0;
    this.need(this.filled);
  }

  private reply(bytes: Uint8Array): void {
    this.need(bytes.length);
    this.buffer.set(bytes);
    this.left = 0;
    this.blockSectors = 1;
    this.filled = bytes.length;
    this.moved = 0;
    this.offerBlock();
  }

  /** Size of the block at the data port. */
  private blockBytes(): number {
    return Math.min(this.blockSectors * sectorBytes, this.filled - this.moved);
  }

  private mediaTime(bytes: number): number {
    return duration.media + bytes * duration.perByte;
  }

  // Addresses.

  /** Sectors from the current one to the end of the disk. */
  private addressable(): number {
    return Math.max(0, this.sectorCount - this.lba);
  }

  /** Address and count from the registers. False: the address is none, and the command has failed. */
  private takeAddress(addressing: Addressing): boolean {
    const { registers, previous } = this;
    this.addressing = addressing;
    this.power = powerMode.active;
    const low = registers[register.lbaLow] | (registers[register.lbaMid] << 8) | (registers[register.lbaHigh] << 16);
    if (addressing === 48) {
      const high = previous[register.lbaLow] | (previous[register.lbaMid] << 8) | (previous[register.lbaHigh] << 16);
      this.lba = high * 2 ** 24 + low;
      this.left = (previous[register.count] << 8) | registers[register.count] || 0x10000;
      return true;
    }
    this.left = registers[register.count] || 0x100;
    const head = registers[register.device] & deviceBit.head;
    if ((registers[register.device] & deviceBit.lba) !== 0) {
      this.lba = (head << 24) | low;
      return true;
    }
    const { cylinders, heads, sectors } = this.current;
    const sector = registers[register.lbaLow];
    const cylinder = low >> 8;
    this.lba = (cylinder * heads + head) * sectors + sector - 1;
    if (sector >= 1 && sector <= sectors && head < heads && cylinder < cylinders) return true;
    this.left = 0;
    this.notFound();
    return false;
  }

  /** Moves address and count registers past sectors that are done. */
  private advance(sectors: number): void {
    this.left -= sectors;
    this.lba += sectors;
    this.setAddress(this.lba);
    this.registers[register.count] = this.left;
    if (this.addressing === 48) this.previous[register.count] = this.left >> 8;
  }

  private setAddress(lba: number): void {
    const { registers, previous } = this;
    const set = (low: number, mid: number, high: number) => {
      registers[register.lbaLow] = low;
      registers[register.lbaMid] = mid;
      registers[register.lbaHigh] = high;
    };
    const setHead = (head: number) => {
      registers[register.device] = (registers[register.device] & ~deviceBit.head) | (head & deviceBit.head);
    };
    if (this.addressing === 48) {
      set(lba, lba >>> 8, lba >>> 16);
      const high = Math.floor(lba / 2 ** 24);
      previous[register.lbaLow] = high;
      previous[register.lbaMid] = high >>> 8;
      previous[register.lbaHigh] = high >>> 16;
    } else if ((registers[register.device] & deviceBit.lba) !== 0) {
      set(lba, lba >>> 8, lba >>> 16);
      setHead(lba >>> 24);
    } else {
      const { heads, sectors } = this.current;
      const track = Math.floor(lba / sectors);
      const cylinder = Math.floor(track / heads);
      set((lba % sectors) + 1, cylinder, cylinder >>> 8);
      setHead(track % heads);
    }
  }

  // What the disk says of itself.

  private identification(): Uint8Array {
    const { native, current, sectorCount, multiple, writeCache, transferMode } = this;
    return identifyDisk(this.identity, { native, current, sectorCount, multiple, writeCache, transferMode });
  }

  /** The partition table may tell how the disk was partitioned. */
  private readGeometry(): void {
    const bootSector = new Uint8Array(sectorBytes);
    const known = (sector: Uint8Array | null) => {
      const { geometry, translation } = guessGeometry(sector, this.sectorCount);
      if (this.current === this.native) this.current = geometry;
      this.native = geometry;
      this.biosTranslation = translation;
      this.geometryRead = null;
    };
    if (this.sectorCount === 0) return known(null);
    try {
      const work = this.storage.read(0, bootSector);
      if (work === undefined) known(bootSector);
      else
        this.geometryRead = work.then(
          () => known(bootSector),
          () => known(null),
        );
    } catch {
      known(null);
    }
  }
}
