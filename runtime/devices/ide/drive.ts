/**
 * What disks and CD-ROM drives share: the registers of the command block, the interrupt-pending latch, the data port with the block of words that waits
 * behind it, and the access that a command in progress is busy with. ATA/ATAPI-6, clauses 5.2, 7 and 9.
 *
 * A command goes through *stages*. A stage either waits for the access (BSY), for the host at the data port (DRQ) or for the bus master (DRQ). The stage's
 * name and the registers are all there is to it: no closures, so that a drive can be saved at any moment.
 */
import type { Clock, SavedState, SavedValue } from "../device.ts";
import type { BusMaster } from "./bus-master.ts";
import { MediaAccess } from "./media-access.ts";
import { deviceBit, diagnosticPassed, errorBit, register, status } from "./registers.ts";

/** What a drive sees of its channel. */
export interface DriveHost {
  readonly clock: Clock;
  readonly busMaster: BusMaster;
  /** The interrupt-pending latch changed. */
  interruptChanged(): void;
}

export type Activity = "read" | "write";

/**
 * Nanoseconds of guest time. A disk faster than any: 10 us and 8 GB/s, so that what a guest waits for is the host's storage. A transfer that took a millisecond would take
 * two or three, for a halted guest is woken by the host's timers.
 */
export const duration = {
  /** Commands that touch no medium, and the pause between two blocks that are in the buffer. */
  step: 1_000,
  media: 10_000,
  reset: 50_000,
  perByte: 1 / 8,
} as const;

/** Sectors or frames read ahead for the data port, and moved at once by the bus master. */
export const chunkBytes = { pio: 128 << 10, dma: 1 << 20 } as const;

const leastBuffer = 4096;
/** Bytes after what the buffer is for: the host may read a word where one byte is left. */
const slack = 2;

export abstract class IdeDrive {
  readonly name: string;
  /** Registers by offset, features to device, as the host last wrote them or the drive set them. */
  readonly registers = new Uint8Array(8);
  /** What they held before: the high order bytes of 48-bit commands. */
  readonly previous = new Uint8Array(8);
  status = 0;
  error = 0;
  /** The drive wants to interrupt. */
  pending = false;

  protected readonly host: DriveHost;
  protected readonly access: MediaAccess;
  protected stage = "idle";
  /** The command in progress. */
  protected code = 0;
  protected buffer = new Uint8Array(leastBuffer + slack);
  /** The block at the data port: bytes of the buffer. */
  protected position = 0;
  protected end = 0;
  private toHost = false;

  constructor(name: string, host: DriveHost) {
    this.name = name;
    this.host = host;
    this.access = new MediaAccess(host.clock, (failed) => this.accessEnded(failed));
  }

  /** Cylinder registers after a reset: what kind of drive this is. */
  protected abstract readonly signature: readonly [lbaMid: number, lbaHigh: number];
  /** Status after a reset. */
  protected abstract readonly resetStatus: number;
  /** A command other than the diagnostic, with registers and BSY as the host left them. */
  protected abstract execute(code: number): void;
  /** The host has emptied, or filled, the block at the data port. */
  protected abstract blockEnded(): void;
  /** The access of this stage is over. */
  protected abstract stageEnded(failed: boolean): void;
  /** What the access of this stage asks of storage. */
  protected abstract stageOperation(): void | Promise<void>;
  /** The bus master has been started or allowed onto the bus. */
  abstract busMasterStarted(): void;

  get busy(): boolean {
    return (this.status & status.bsy) !== 0;
  }

  /** DEVICE RESET is obeyed at any time. */
  get acceptsReset(): boolean {
    return false;
  }

  /** A new command, or a write of the command block, would be ignored. */
  get occupied(): boolean {
    return (this.status & (status.bsy | status.drq)) !== 0;
  }

  /** The guest looks: what is due is done. */
  poll(): void {
    if ((this.status & status.bsy) !== 0) this.access.poll();
  }

  writeRegister(offset: number, value: number): void {
    this.previous[offset] = this.registers[offset];
    this.registers[offset] = offset === register.device ? value | deviceBit.always : value;
  }

  command(code: number): void {
    this.setPending(false);
    this.code = code;
    this.error = 0;
    this.status = status.drdy | status.bsy;
    this.execute(code);
  }

  /** Device 0 is selected. */
  deselect(): void {
    this.registers[register.device] &= ~deviceBit.slave;
  }

  /** Software reset asserted: busy until it is released. */
  hold(): void {
    this.abandon();
    this.setPending(false);
    this.status |= status.bsy;
    this.status &= ~status.drq;
  }

  /** Software reset released, or the diagnostic command. */
  diagnose(interrupts: boolean): void {
    this.hold();
    this.begin(interrupts ? "diagnose" : "reset", duration.reset);
  }

  powerOn(): void {
    this.abandon();
    this.registers.fill(0);
    this.previous.fill(0);
    this.pending = false;
    this.code = 0;
    this.sign();
  }

  /** The data port: 16 or 32 bits; the low byte of a word for 8. */
  readData(size: 1 | 2 | 4): number {
    if (size === 4) return (this.readData(2) | (this.readData(2) << 16)) >>> 0;
    if (this.position >= this.end || !this.toHost) return 0;
    const { buffer, position } = this;
    const value = buffer[position] | (buffer[position + 1] << 8);
    this.position = position + 2;
    if (this.position >= this.end) this.closeBlock();
    return size === 1 ? value & 0xff : value;
  }

  writeData(size: 1 | 2 | 4, value: number): void {
    if (size === 4) {
      this.writeData(2, value & 0xffff);
      this.writeData(2, value >>> 16);
      return;
    }
    if (this.position >= this.end || this.toHost) return;
    this.buffer[this.position] = value;
    this.buffer[this.position + 1] = value >>> 8;
    this.position += 2;
    if (this.position >= this.end) this.closeBlock();
  }

  /** The data port in bulk: elements of `size` bytes, as many as the block and `into` hold whole; returns bytes. */
  readDataBlock(into: Uint8Array, size: 2 | 4): number {
    const bytes = Math.min(into.length, this.end - this.position) & -size;
    if (!this.toHost || bytes <= 0) return 0;
    into.set(this.buffer.subarray(this.position, this.position + bytes));
    this.position += bytes;
    if (this.position >= this.end) this.closeBlock();
    return bytes;
  }

  writeDataBlock(from: Uint8Array, size: 2 | 4): number {
    const bytes = Math.min(from.length, this.end - this.position) & -size;
    if (this.toHost || bytes <= 0) return 0;
    this.buffer.set(from.subarray(0, bytes), this.position);
    this.position += bytes;
    if (this.position >= this.end) this.closeBlock();
    return bytes;
  }

  setPending(pending: boolean): void {
    if (this.pending === pending) return;
    this.pending = pending;
    this.host.interruptChanged();
  }

  save(): SavedState {
    return {
      registers: this.registers.slice(),
      previous: this.previous.slice(),
      ...{ status: this.status, error: this.error, pending: this.pending, stage: this.stage, code: this.code },
      ...{ position: this.position, end: this.end, toHost: this.toHost },
      buffer: this.stage === "idle" ? new Uint8Array(0) : this.buffer.slice(0, -slack),
      command: this.saveCommand(),
      access: this.access.save(),
    };
  }

  restore(state: SavedState): void {
    this.abandon();
    this.registers.set(state.registers as Uint8Array);
    this.previous.set(state.previous as Uint8Array);
    this.status = state.status as number;
    this.error = state.error as number;
    this.pending = state.pending as boolean;
    this.stage = state.stage as string;
    this.code = state.code as number;
    this.position = state.position as number;
    this.end = state.end as number;
    this.toHost = state.toHost as boolean;
    const buffer = state.buffer as Uint8Array;
    this.need(buffer.length);
    this.buffer.set(buffer);
    this.restoreCommand(state.command as SavedState);
    this.access.restore(state.access as SavedState, () => this.stageOperation());
  }

  /** What the kind of drive keeps of its command and settings. */
  protected abstract saveCommand(): { [key: string]: SavedValue };
  protected abstract restoreCommand(state: SavedState): void;

  /** Enters a stage that is busy for a time. */
  protected begin(stage: string, nanoseconds: number): void {
    this.stage = stage;
    this.status = (this.status | status.bsy) & ~status.drq;
    this.access.start(nanoseconds, null);
  }

  /** Enters a stage that is busy for a time and until storage has done the stage's operation. */
  protected ask(stage: string, nanoseconds: number): void {
    this.stage = stage;
    this.status = (this.status | status.bsy) & ~status.drq;
    this.access.start(nanoseconds, () => this.stageOperation());
  }

  /** Enters a stage in which the host moves a block through the data port. */
  protected offer(stage: string, from: number, to: number, toHost: boolean): void {
    this.stage = stage;
    this.position = from;
    this.end = to;
    this.toHost = toHost;
    this.status = status.drdy | status.dsc | status.drq;
  }

  /** The command is over. */
  protected finish(): void {
    this.stage = "idle";
    this.status = status.drdy | status.dsc;
    this.setPending(true);
  }

  protected fail(error: number): void {
    this.stage = "idle";
    this.position = this.end = 0;
    this.error = error;
    this.status = status.drdy | status.err;
    this.setPending(true);
  }

  /** Aborts by the drive's decision, in a command's own time. */
  protected abort(): void {
    this.begin("abort", duration.step);
  }

  /** Makes the buffer hold `bytes`; a new one while storage still works with the old. */
  protected need(bytes: number): void {
    if (this.buffer.length >= bytes + slack && !this.access.storageBusy) return;
    this.buffer = new Uint8Array(Math.max(leastBuffer, bytes) + slack);
  }

  /** The signature and the outcome of self-diagnosis. */
  protected sign(): void {
    const { registers } = this;
    registers[register.count] = registers[register.lbaLow] = 1;
    [registers[register.lbaMid], registers[register.lbaHigh]] = this.signature;
    registers[register.device] = (registers[register.device] & deviceBit.slave) | deviceBit.always;
    this.error = diagnosticPassed;
    this.status = this.resetStatus;
    this.stage = "idle";
  }

  private accessEnded(failed: boolean): void {
    this.status &= ~status.bsy;
    if (this.stage === "abort") this.fail(errorBit.abort);
    else if (this.stage === "reset") this.sign();
    else if (this.stage === "diagnose") {
      this.sign();
      this.setPending(true);
    } else this.stageEnded(failed);
  }

  private closeBlock(): void {
    this.position = this.end = 0;
    this.status &= ~status.drq;
    this.blockEnded();
  }

  /** Forgets the command in progress. */
  private abandon(): void {
    this.access.cancel();
    this.stage = "idle";
    this.position = this.end = 0;
  }
}
