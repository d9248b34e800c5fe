/**
 * A CD-ROM drive: the packet protocol of ATA/ATAPI-6 (9.8, 9.9). The host sends a packet of 12 bytes through the data port, then data come through the data
 * port in blocks that the host's byte count limits, or by the bus master, then a status. What the packets mean is in packet-commands.ts.
 */
import type { SavedState, SavedValue } from "../device.ts";
import type { BlockStorage } from "../storage/block-storage.ts";
import { type DiskIdentity, transferKind } from "./ata-identify.ts";
import { frameBytes, identifyCdRom, mediaEvent, wrapFrames } from "./cd-replies.ts";
import { type Activity, chunkBytes, type DriveHost, duration, IdeDrive } from "./drive.ts";
import { additional, needsMedium, packetCommands, type Sense, senseKey, underAttention } from "./packet-commands.ts";
import { command, errorBit, interruptReason, register, status } from "./registers.ts";

const packetBytes = 12;
const useDma = 0x01;
const useOverlap = 0x02;
const setFeature = { transferMode: 0x03 } as const;
const defaultTransferMode = (transferKind.ultra << 3) | 5;
const powerMode = { active: 0xff } as const;

export interface CdRomOptions {
  readonly name: string;
  readonly host: DriveHost;
  /** Null: no medium in the drive. */
  readonly storage: BlockStorage | null;
  readonly identity: DiskIdentity;
  readonly activity: (kind: Activity) => void;
}

export class AtapiCdRom extends IdeDrive {
  protected readonly signature = [0x14, 0xeb] as const;
  /** A packet device answers a reset with DRDY clear (9.10). */
  protected readonly resetStatus = 0;

  private readonly identity: DiskIdentity;
  private readonly activity: (kind: Activity) => void;
  private medium: BlockStorage | null;
  private trayOpen = false;
  /** The guest has locked the tray. */
  private locked = false;
  /** The medium may have changed, and the guest has not been told. */
  private attention = false;
  private event: number = mediaEvent.none;
  private sense: Sense = additional.none;
  private transferMode = defaultTransferMode;

  // The packet command in progress.
  private byDma = false;
  private byteLimit = 0;
  /** Frame that comes next and how many are left to read; bytes of each that the host wants. */
  private frame = 0;
  private framesLeft = 0;
  private frameSize: number = frameBytes.data;
  private framesInBuffer = 0;
  private filled = 0;
  private moved = 0;
  /** Where in the buffer the block at the data port ends. */
  private blockEnd = 0;

  constructor({ name, host, storage, identity, activity }: CdRomOptions) {
    super(name, host);
    this.medium = storage;
    this.identity = identity;
    this.activity = activity;
    this.powerOn();
  }

  // The front of the drive.

  get hasMedium(): boolean {
    return this.medium !== null && !this.trayOpen;
  }

  get trayIsOpen(): boolean {
    return this.trayOpen;
  }

  get trayIsLocked(): boolean {
    return this.locked;
  }

  /** Puts a medium in, in place of one that may be there, and closes the tray. */
  insert(storage: BlockStorage): void {
    this.medium = storage;
    this.trayOpen = false;
    this.mediumChanged();
  }

  /**
   * Takes the medium out and leaves the tray open. While the guest has the tray locked this only tells the guest of the wish and returns false, unless forced.
   */
  eject(force = false): boolean {
    if (this.locked && !force && this.medium !== null) {
      this.event = mediaEvent.ejectRequest;
      return false;
    }
    this.medium = null;
    this.trayOpen = true;
    this.locked = false;
    this.event = mediaEvent.removal;
    return true;
  }

  override get acceptsReset(): boolean {
    return true;
  }

  override powerOn(): void {
    super.powerOn();
    this.locked = false;
    this.attention = false;
    this.event = mediaEvent.none;
    this.sense = additional.none;
    this.transferMode = defaultTransferMode;
    this.forget();
  }

  override hold(): void {
    super.hold();
    this.forget();
  }

  busMasterStarted(): void {
    if (this.stage === "dma to memory") this.push();
  }

  protected execute(code: number): void {
    const { registers } = this;
    switch (code) {
      case command.packet:
        this.receivePacket();
        return;
      case command.identifyPacket:
        this.begin("identify", duration.step);
        return;
      case command.deviceReset:
        // Allowed at any time; no interrupt (8.11).
        this.hold();
        this.sign();
        return;
      case command.setFeatures:
        if (registers[register.features] === setFeature.transferMode) this.transferMode = registers[register.count];
        this.begin("done", duration.step);
        return;
      case command.checkPower:
      case command.checkPowerOld:
        registers[register.count] = powerMode.active;
        this.begin("done", duration.step);
        return;
      case command.idleImmediate:
      case command.idleImmediateOld:
      case command.standbyImmediate:
      case command.standbyImmediateOld:
      case command.sleep:
      case command.sleepOld:
        this.begin("done", duration.step);
        return;
      case command.identify:
      case command.readSectors:
      case command.readSectorsNoRetry:
        // So that a host that knows no packet devices sees what this is (8.15.5.2, 8.34.5.2).
        this.sign();
        this.abort();
        return;
      default:
        this.abort();
    }
  }

  protected blockEnded(): void {
    if (this.stage === "packet") {
      this.interpret(this.buffer.slice(0, packetBytes));
      return;
    }
    this.moved = this.blockEnd;
    if (this.code === command.identifyPacket) {
      this.stage = "idle";
      this.status = status.drdy | status.dsc;
    } else if (this.moved < this.filled) this.begin("next block", duration.step);
    else if (this.framesLeft > 0) this.fetch();
    else this.begin("done", duration.step);
  }

  protected stageOperation(): void | Promise<void> {
    if (this.stage !== "fetch") return;
    const { medium, framesInBuffer, frame, frameSize } = this;
    if (medium === null) throw new Error("no medium");
    this.activity("read");
    // For whole frames the data go to the end of the buffer's part in use, to be spread out from there.
    const start = framesInBuffer * (frameSize - frameBytes.data);
    return medium.read(frame * frameBytes.data, this.buffer.subarray(start, start + framesInBuffer * frameBytes.data));
  }

  protected stageEnded(failed: boolean): void {
    if (failed) {
      this.check(additional.readError);
      return;
    }
    switch (this.stage) {
      case "identify": {
        const bytes = identifyCdRom(this.identity, this.transferMode);
        this.fill(bytes);
        this.blockEnd = bytes.length;
        this.offer("data to host", 0, bytes.length, true);
        this.setPending(true);
        return;
      }
      case "fetch":
        if (this.frameSize === frameBytes.raw) wrapFrames(this.buffer, this.frame, this.framesInBuffer);
        this.frame += this.framesInBuffer;
        this.framesLeft -= this.framesInBuffer;
        this.deliver();
        return;
      case "reply":
      case "next block":
        this.deliver();
        return;
      case "check":
        this.check(this.sense);
        return;
      default:
        if (this.code === command.packet) this.setReason(interruptReason.command | interruptReason.toHost);
        this.finish();
    }
  }

  protected saveCommand(): { [key: string]: SavedValue } {
    const { trayOpen, locked, attention, event, transferMode, byDma, byteLimit } = this;
    const { frame, framesLeft, frameSize, framesInBuffer, filled, moved, blockEnd } = this;
    const settings = { trayOpen, locked, attention, event, transferMode, byDma, byteLimit, sense: [...this.sense] };
    return { ...settings, frame, framesLeft, frameSize, framesInBuffer, filled, moved, blockEnd };
  }

  /** The medium is the machine's affair: what was in the drive when it was saved must be in it again. */
  protected restoreCommand(state: SavedState): void {
    this.trayOpen = state.trayOpen as boolean;
    this.locked = state.locked as boolean;
    this.attention = state.attention as boolean;
    this.event = state.event as number;
    this.transferMode = state.transferMode as number;
    this.byDma = state.byDma as boolean;
    this.byteLimit = state.byteLimit as number;
    this.sense = state.sense as unknown as Sense;
    this.frame = state.frame as number;
    this.framesLeft = state.framesLeft as number;
    this.frameSize = state.frameSize as number;
    this.framesInBuffer = state.framesInBuffer as number;
    this.filled = state.filled as number;
    this.moved = state.moved as number;
    this.blockEnd = state.blockEnd as number;
  }

  // For the packet commands.

  /** Frames of the medium; 0 without one. */
  get frames(): number {
    return this.hasMedium ? Math.floor((this.medium as BlockStorage).size / frameBytes.data) : 0;
  }

  get identification(): DiskIdentity {
    return this.identity;
  }

  /** Answers with bytes, no more than the host has asked for. */
  reply(bytes: ArrayLike<number>, allocated: number): void {
    const count = Math.min(bytes.length, allocated);
    if (count === 0) return this.good();
    if (!this.mayTransfer()) return;
    this.fill(Array.prototype.slice.call(bytes, 0, count));
    this.begin("reply", duration.step);
  }

  /** Reads frames; they exist. */
  readFrames(frame: number, count: number, size: number): void {
    if (!this.mayTransfer()) return;
    this.frame = frame;
    this.framesLeft = count;
    this.frameSize = size;
    this.fetch();
  }

  good(): void {
    this.begin("done", duration.step);
  }

  /** Ends with CHECK CONDITION. */
  reject(sense: Sense): void {
    this.sense = sense;
    this.begin("check", duration.step);
  }

  /** The sense data, which reading them clears. */
  takeSense(): Sense {
    const { sense } = this;
    this.sense = additional.none;
    if (sense !== additional.none && sense[0] !== senseKey.none) return sense;
    if (!this.attention) return sense;
    this.attention = false;
    return additional.mediumChanged;
  }

  takeEvent(): number {
    const { event } = this;
    this.event = mediaEvent.none;
    return event;
  }

  lock(locked: boolean): void {
    this.locked = locked;
  }

  /** Opens or closes the tray with what is in it. False: it is locked. */
  moveTray(open: boolean): boolean {
    if (open === this.trayOpen) return true;
    if (open && this.locked) return false;
    this.trayOpen = open;
    if (open) this.event = mediaEvent.removal;
    else if (this.medium !== null) this.mediumChanged();
    return true;
  }

  // Steps of the packet protocol.

  private receivePacket(): void {
    const { registers } = this;
    const features = registers[register.features];
    if ((features & useOverlap) !== 0) return this.abort();
    this.byDma = (features & useDma) !== 0;
    this.byteLimit = registers[register.lbaMid] | (registers[register.lbaHigh] << 8);
    this.need(packetBytes);
    this.setReason(interruptReason.command);
    this.offer("packet", 0, packetBytes, false);
  }

  private interpret(packet: Uint8Array): void {
    const operation = packet[0];
    const handler = packetCommands[operation];
    if (!underAttention.has(operation)) {
      this.sense = additional.none;
      if (this.attention) {
        this.attention = false;
        return this.reject(additional.mediumChanged);
      }
    }
    if (handler === undefined) this.reject(additional.invalidOperation);
    else if (needsMedium.has(operation) && !this.hasMedium) this.reject(this.trayOpen ? additional.trayOpen : additional.noMedium);
    else handler(this, packet);
  }

  /** Without DMA the host must have said how much it takes at a time. */
  private mayTransfer(): boolean {
    if (this.byDma || this.byteLimit !== 0) return true;
    this.abort();
    return false;
  }

  private fetch(): void {
    const limit = this.byDma ? chunkBytes.dma : chunkBytes.pio;
    this.framesInBuffer = Math.min(this.framesLeft, Math.floor(limit / this.frameSize));
    this.filled = this.framesInBuffer * this.frameSize;
    this.moved = 0;
    this.need(this.filled);
    this.ask("fetch", duration.media + this.filled * duration.perByte);
  }

  private fill(bytes: ArrayLike<number>): void {
    this.need(bytes.length);
    this.buffer.set(bytes);
    this.filled = bytes.length;
    this.moved = 0;
    this.framesLeft = 0;
  }

  /** The buffer's data to the host. */
  private deliver(): void {
    if (this.byDma) {
      this.stage = "dma to memory";
      this.status = status.drdy | status.dsc | status.drq;
      this.push();
      return;
    }
    const left = this.filled - this.moved;
    const limit = Math.min(this.byteLimit, 0xfffe);
    // A block that is not the last is of an even number of bytes.
    const size = left <= limit ? left : Math.max(2, limit & ~1);
    this.setReason(interruptReason.toHost);
    this.registers[register.lbaMid] = size;
    this.registers[register.lbaHigh] = size >> 8;
    this.blockEnd = this.moved + size;
    this.offer("data to host", this.moved, this.blockEnd, true);
    this.setPending(true);
  }

  private push(): void {
    this.moved += this.host.busMaster.transfer(this.buffer, this.moved, this.filled, true);
    if (this.moved < this.filled) return;
    if (this.framesLeft > 0) this.fetch();
    else this.begin("done", duration.step);
  }

  private check(sense: Sense): void {
    this.sense = sense;
    this.framesLeft = 0;
    this.setReason(interruptReason.command | interruptReason.toHost);
    this.fail((sense[0] << 4) | (sense === additional.none ? errorBit.abort : 0));
  }

  private setReason(reason: number): void {
    this.registers[register.count] = (this.registers[register.count] & ~interruptReason.mask) | reason;
  }

  private mediumChanged(): void {
    this.attention = true;
    this.event = mediaEvent.newMedia;
  }

  private forget(): void {
    this.framesLeft = this.filled = this.moved = 0;
  }
}
