/**
 * The execution phase of the 82077AA's data commands (datasheet 290166, 5.1): sector after sector is found by its ID field, goes through the DMA channel
 * or byte by byte through the FIFO, and the command ends with the terminal count, at the end of the track, or with an error.
 *
 * One sector's life: a timer stands for the disk turning to it ("sector"); the image is read or written ("storage", until its promise settles); the host
 * takes or gives the bytes ("host" without DMA, "service" while the DMA channel is not ready). What is written has reached stable storage ("flush") before
 * the result phase: a floppy has no cache.
 */
import type { Clock, SavedState, Timer } from "../device.ts";
import type { DmaChannel } from "../dma8237.ts";
import { restoreDeadline, savedDeadline } from "../saved.ts";
import { type CommandName, option } from "./commands.ts";
import { type FloppyDrive, readSector, type Track, writeSector } from "./drive.ts";
import { sectorBytes } from "./formats.ts";
import { st0, st1, st2 } from "./status.ts";

/** Times in nanoseconds. */
export interface FloppyTiming {
  /** From one sector to the next. */
  readonly sector: number;
  /** A seek: to settle, and for each step. */
  readonly settle: number;
  readonly step: number;
  /** From the end of reset to its interrupt. */
  readonly reset: number;
}

/** What the execution phase needs of its controller. */
export interface ExecutionHost {
  readonly clock: Clock;
  readonly dma: DmaChannel;
  readonly timing: FloppyTiming;
  drive(n: number): FloppyDrive | null;
  dataRate(): number;
  /** SPECIFY's ND bit: bytes go through the FIFO. */
  nonDma(): boolean;
  /** DMA requests and interrupts leave the chip: DOR bit 3. */
  dmaGate(): boolean;
  /** Non-DMA: bytes a request of the host stands for. */
  fifoChunk(): number;
  /** The non-DMA request interrupt. */
  request(high: boolean): void;
  /** With implied seeks configured, moves the drive's head; nanoseconds that takes, or -1 when they are not. */
  impliedSeek(drive: number, cylinder: number): number;
  activity(drive: number, kind: "read" | "write"): void;
  finished(result: readonly number[]): void;
}

type Stage = "idle" | "sector" | "storage" | "host" | "service" | "flush";

/** The 8-bit size code of 512-byte sectors: 128 << 2. */
const sizeCode512 = 2;
const formatIdBytes = 4;
/** How long DMA service may stay out. Sectors pass faster here than on a disk, so hosts get the time of a real revolution. */
const servicePatience = 200e6;
const reads = new Set<CommandName>(["readData", "readDeletedData", "readTrack", "verify", "scanEqual", "scanLowOrEqual", "scanHighOrEqual"]);
const writes = new Set<CommandName>(["writeData", "writeDeletedData", "formatTrack"]);
const scans = new Set<CommandName>(["scanEqual", "scanLowOrEqual", "scanHighOrEqual"]);

export class Execution {
  private readonly host: ExecutionHost;
  private readonly timer: Timer;

  private stage: Stage = "idle";
  private name: CommandName = "readData";
  private firstByte = 0;
  private unit = 0;
  /** The head in use, and the ID field looked for. */
  private head = 0;
  private id = { cylinder: 0, head: 0, record: 0, size: 0 };
  private endOfTrack = 0;
  /** DTL, SC or STP: the last parameter. */
  private last = 0;
  /** VERIFY's EC bit: the last parameter is a number of sectors. */
  private verifyCount = false;
  private filler = 0;
  private status0 = 0;
  private status1 = 0;
  private status2 = 0;
  /** Sectors done, for commands that count them. */
  private index = 0;
  private terminal = false;
  /** The disk has turned twice without the ID field. */
  private searched = false;
  private waited = 0;
  /** What goes to or comes from the host, and how much of it has. */
  private readonly data = new Uint8Array(sectorBytes);
  private length = sectorBytes;
  private position = 0;
  /** A scan's sector from the disk. */
  private readonly scanned = new Uint8Array(sectorBytes);
  /** Tells a settled promise whether it is still waited for. */
  private generation = 0;

  constructor(host: ExecutionHost) {
    this.host = host;
    this.timer = host.clock.timer(() => this.expired());
  }

  get busy(): boolean {
    return this.stage !== "idle";
  }

  /** Non-DMA: a byte can be read or written now. */
  get requesting(): boolean {
    return this.stage === "host";
  }

  get toHost(): boolean {
    return reads.has(this.name) && !scans.has(this.name);
  }

  /** @param bytes the whole command */
  start(name: CommandName, bytes: Uint8Array): void {
    this.name = name;
    this.firstByte = bytes[0];
    this.unit = bytes[1] & 3;
    this.head = (bytes[1] >> 2) & 1;
    const isFormat = name === "formatTrack";
    this.id = isFormat
      ? { cylinder: 0, head: 0, record: 0, size: bytes[2] }
      : { cylinder: bytes[2], head: bytes[3], record: bytes[4], size: bytes[5] };
    this.endOfTrack = isFormat ? bytes[3] : bytes[6];
    this.filler = bytes[5];
    this.last = bytes[8];
    this.verifyCount = (bytes[1] & 0x80) !== 0;
    this.status0 = this.status1 = this.status2 = this.index = this.waited = 0;
    this.terminal = this.searched = false;
    if (writes.has(name) && this.host.drive(this.unit)?.writeProtected === true) {
      this.fail(st1.notWritable);
      return;
    }
    const moving = name === "readId" || isFormat ? -1 : this.host.impliedSeek(this.unit, this.id.cylinder);
    if (moving >= 0) this.status0 |= st0.seekEnd;
    this.turn(Math.max(0, moving) + this.host.timing.sector);
  }

  /** Reset: whatever is under way is dropped. */
  abort(): void {
    this.stage = "idle";
    this.generation++;
    this.timer.cancel();
  }

  /** Non-DMA: the next byte for the host. */
  readByte(): number {
    const value = this.data[this.position];
    this.exchanged();
    return value;
  }

  writeByte(value: number): void {
    this.data[this.position] = value;
    this.exchanged();
  }

  private exchanged(): void {
    this.position++;
    this.host.request(false);
    if (this.position >= this.length) this.served();
    else if (this.position % this.host.fifoChunk() === 0) this.host.request(true);
  }

  private turn(nanoseconds: number): void {
    this.stage = "sector";
    this.timer.at(this.host.clock.now() + nanoseconds);
  }

  private track(cylinder: number): Track | null {
    if ((this.firstByte & option.mfm) === 0) return null;
    return this.host.drive(this.unit)?.track(this.head, this.host.dataRate(), cylinder) ?? null;
  }

  private expired(): void {
    if (this.stage === "service") this.serveByDma();
    else if (this.stage === "flush") this.complete();
    else if (this.stage === "storage" && writes.has(this.name)) this.store();
    else this.atSector();
  }

  /** The disk has turned to the next sector. */
  private atSector(): void {
    if (this.name === "readId") this.readId();
    else if (this.name === "formatTrack") this.formatNext();
    else {
      const track = this.find();
      if (track !== null) {
        if (writes.has(this.name)) this.serve(sectorBytes);
        else this.readFrom(track);
      }
    }
  }

  /** The track if it has the wanted sector; otherwise the search goes on for two turns, and ends the command. */
  private find(): Track | null {
    const track = this.track(this.id.cylinder);
    const { cylinder, head, record, size } = this.id;
    const matches =
      track !== null && track.cylinder === cylinder && track.head === head && size === sizeCode512 && record >= 1 && record <= track.sectors;
    if (track !== null && this.name === "readTrack" && this.index < track.sectors) {
      // Sectors come as they lie on the track, whatever their ID fields say.
      if (!matches) this.status1 |= st1.noData;
      return track;
    }
    if (matches) return track;
    if (this.twoTurns(track)) {
      if (track !== null && track.cylinder !== cylinder) this.status2 |= st2.wrongCylinder;
      this.fail(track === null ? st1.missingAddressMark : st1.noData);
    }
    return null;
  }

  /** True once the disk has turned twice. */
  private twoTurns(track: Track | null): boolean {
    if (this.searched) return true;
    this.searched = true;
    this.turn(2 * (track?.sectors ?? 18) * this.host.timing.sector);
    return false;
  }

  private readId(): void {
    const track = this.track(-1);
    if (track === null) {
      // On a drive that does not turn the chip would wait for ever, and its driver until it gives up: this only spares that time.
      if (this.twoTurns(track)) this.fail(st1.missingAddressMark);
      return;
    }
    const sector = (Math.floor(this.host.clock.now() / this.host.timing.sector) % track.sectors) + 1;
    this.id = { cylinder: track.cylinder, head: track.head, record: sector, size: sizeCode512 };
    this.result();
  }

  private readFrom(track: Track): void {
    const sector = this.name === "readTrack" ? this.index + 1 : this.id.record;
    if (this.name === "readDeletedData") {
      // Images have no deleted sectors: every data mark is the other one.
      this.status2 |= st2.controlMark;
      if ((this.firstByte & option.skip) !== 0) {
        this.nextSector();
        return;
      }
    }
    this.host.activity(this.unit, "read");
    const into = scans.has(this.name) ? this.scanned : this.data;
    this.await(
      () => readSector(track, sector, into),
      () => (this.name === "verify" ? this.nextSector() : this.serve(sectorBytes)),
      () => {
        this.status2 |= st2.dataFieldError;
        this.fail(st1.dataError);
      },
    );
  }

  /** Goes on with `done` once the image has answered; at once when it did so at once. */
  private await(act: () => void | Promise<void>, done: () => void, failed: () => void, stage: Stage = "storage"): void {
    this.stage = stage;
    const generation = ++this.generation;
    const still = (next: () => void) => () => {
      if (generation === this.generation) next();
    };
    try {
      const pending = act();
      if (pending === undefined) done();
      else pending.then(still(done), still(failed));
    } catch {
      failed();
    }
  }

  /** Exchanges `length` bytes of `data` with the host. */
  private serve(length: number): void {
    this.length = length;
    this.position = 0;
    if (this.host.nonDma()) {
      this.stage = "host";
      this.host.request(true);
      return;
    }
    this.waited = 0;
    this.serveByDma();
  }

  private serveByDma(): void {
    const { dma, timing, clock } = this.host;
    const bytes = this.data.subarray(this.position, this.length);
    const { count, terminal } = this.host.dmaGate() ? dma.transfer(this.toHost ? "toMemory" : "fromMemory", bytes) : { count: 0, terminal: false };
    this.position += count;
    if (terminal || this.position === this.length) {
      this.terminal = terminal;
      this.served();
      return;
    }
    if (this.waited >= servicePatience) {
      this.fail(st1.overrun);
      return;
    }
    this.waited += timing.sector;
    this.stage = "service";
    this.timer.at(clock.now() + timing.sector);
  }

  /** The host has had or given its bytes. */
  private served(): void {
    if (scans.has(this.name)) this.compare();
    else if (this.toHost) this.nextSector();
    else this.store();
  }

  /** Writes what the host gave; a sector cut short by the terminal count is filled up with zeros. */
  private store(): void {
    const isFormat = this.name === "formatTrack";
    const track = this.track(isFormat ? this.data[0] : this.id.cylinder);
    if (track === null) {
      this.fail(st1.missingAddressMark);
      return;
    }
    const next = () => (isFormat ? this.nextFormat(track) : this.nextSector());
    if (isFormat) {
      const [cylinder, head, record, size] = this.data;
      const fits = cylinder === track.cylinder && head === track.head && size === sizeCode512 && record >= 1 && record <= track.sectors;
      // An image has no place for another ID field; the sector stays out, and reading it will say so.
      if (!fits) return next();
      this.scanned.fill(this.filler);
    } else {
      this.data.fill(0, this.position);
      this.scanned.set(this.data);
    }
    const sector = isFormat ? this.data[2] : this.id.record;
    this.host.activity(this.unit, "write");
    this.await(
      () => writeSector(track, sector, this.scanned),
      next,
      () => this.writeFault(),
    );
  }

  private writeFault(): void {
    this.status0 |= st0.equipmentCheck;
    this.fail(0);
  }

  private formatNext(): void {
    const track = this.track(-1);
    const drive = this.host.drive(this.unit);
    if (track !== null && this.id.size === sizeCode512) this.serve(formatIdBytes);
    else if (drive?.medium != null && drive.motor) this.writeFault();
    else if (this.twoTurns(track)) this.fail(st1.missingAddressMark);
  }

  private nextFormat(track: Track): void {
    this.id = { cylinder: this.data[0], head: this.data[1], record: this.data[2], size: this.data[3] };
    this.index++;
    if (this.index >= Math.min(this.endOfTrack, track.sectors)) this.complete();
    else this.turn(this.host.timing.sector);
  }

  private compare(): void {
    const at = this.data.subarray(0, this.position).findIndex((byte, i) => byte !== this.scanned[i] && byte !== 0xff && this.scanned[i] !== 0xff);
    const order = at < 0 ? 0 : this.scanned[at] - this.data[at];
    const satisfied = order === 0 || (this.name === "scanLowOrEqual" && order < 0) || (this.name === "scanHighOrEqual" && order > 0);
    this.status2 &= ~st2.scanNotSatisfied;
    if (order === 0) this.status2 |= st2.scanEqual;
    if (!satisfied) this.status2 |= st2.scanNotSatisfied;
    this.nextSector(satisfied, this.last === 2 ? 2 : 1);
  }

  /** The ID of the sector after this one (datasheet, "Result Phase Table"), and whether the command goes on to it. */
  private nextSector(enough = false, stride = 1): void {
    this.index++;
    this.searched = false;
    const isTrack = this.name === "readTrack";
    const isLast = isTrack
      ? this.index === this.endOfTrack
      : this.id.record === this.endOfTrack || (stride === 2 && this.id.record + 1 === this.endOfTrack);
    let cylinderDone = isLast;
    if (!isLast) this.id.record = (this.id.record + stride) & 0xff;
    else {
      this.id.record = 1;
      const multiTrack = (this.firstByte & option.multiTrack) !== 0 && !isTrack;
      cylinderDone = !multiTrack || this.head === 1;
      if (multiTrack) {
        this.head ^= 1;
        this.id.head ^= 1;
      }
      if (cylinderDone) this.id.cylinder = (this.id.cylinder + 1) & 0xff;
    }
    const isVerify = this.name === "verify";
    const counted = isVerify && (this.verifyCount ? this.index === this.last : cylinderDone);
    // A sector with the other data mark is the last one, unless such are skipped.
    const marked = (this.status2 & st2.controlMark) !== 0 && (this.firstByte & option.skip) === 0;
    if (this.terminal || enough || counted || marked) this.complete();
    else if (cylinderDone && scans.has(this.name)) this.complete();
    else if (cylinderDone) this.fail(st1.endOfCylinder);
    else this.turn(this.host.timing.sector);
  }

  private fail(status1: number): void {
    this.status0 |= st0.abnormal;
    this.status1 |= status1;
    this.complete();
  }

  private complete(): void {
    const storage = this.host.drive(this.unit)?.medium?.storage;
    if (!writes.has(this.name) || this.index === 0 || storage === undefined) {
      this.result();
      return;
    }
    this.await(
      () => storage.flush(),
      () => this.result(),
      () => {
        this.status0 |= st0.abnormal | st0.equipmentCheck;
        this.result();
      },
      "flush",
    );
  }

  private result(): void {
    this.abort();
    const { cylinder, head, record, size } = this.id;
    const first = this.status0 | (this.head !== 0 ? st0.head : 0) | this.unit;
    this.host.finished([first, this.status1, this.status2, cylinder, head, record, size]);
  }

  save(): SavedState {
    const { stage, name, firstByte, unit, head, id, endOfTrack, last, filler, status0, status1, status2 } = this;
    const { index, terminal, searched, waited, length, position, verifyCount } = this;
    const what = { stage, name, firstByte, unit, head, id: { ...id }, endOfTrack, last, filler, verifyCount };
    const progress = { status0, status1, status2, index, terminal, searched, waited, length, position };
    return { ...what, ...progress, data: this.data.slice(), scanned: this.scanned.slice(), deadline: savedDeadline(this.timer) };
  }

  /** An answer of the image that was awaited is asked for again, once the machine runs: other devices are restored after this one. */
  restore(state: SavedState): void {
    this.abort();
    const { data, scanned, deadline, ...fields } = state;
    Object.assign(this, structuredClone(fields));
    this.data.set(data as Uint8Array);
    this.scanned.set(scanned as Uint8Array);
    const retries = this.stage === "storage" || this.stage === "flush";
    restoreDeadline(this.timer, retries ? this.host.clock.now() : (deadline as number | null));
  }
}
