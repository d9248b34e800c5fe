/**
 * One IDE channel: the command block (eight ports), the control block (one), the interrupt line, and up to two drives, which both see what the host writes
 * and of which the selected one answers (ATA/ATAPI-6, 9.16: alone on the channel, device 0 answers for device 1 too, with a status of 0).
 */
import type { Clock, Line, RegisterBank, SavedState } from "../device.ts";
import type { BusMaster } from "./bus-master.ts";
import type { DriveHost, IdeDrive } from "./drive.ts";
import { command, controlBit, deviceBit, register } from "./registers.ts";

export class IdeChannel implements DriveHost {
  readonly commandBlock: RegisterBank;
  readonly controlBlock: RegisterBank;
  readonly clock: Clock;
  readonly busMaster: BusMaster;
  readonly drives: [IdeDrive | null, IdeDrive | null] = [null, null];

  private readonly line: Line;
  private selected = 0;
  private control = 0;
  private decoded = false;
  private interrupting = false;

  constructor(clock: Clock, line: Line, busMaster: BusMaster) {
    this.clock = clock;
    this.line = line;
    this.busMaster = busMaster;
    busMaster.started = () => {
      for (const drive of this.drives) drive?.busMasterStarted();
    };
    this.commandBlock = {
      read: (offset, size) => this.read(offset, size),
      write: (offset, size, value) => this.write(offset, size, value),
      readBlock: (offset, size, into) => (offset === register.data && this.decoded ? (this.drive?.readDataBlock(into, size) ?? 0) : 0),
      writeBlock: (offset, size, from) => (offset === register.data && this.decoded ? (this.drive?.writeDataBlock(from, size) ?? 0) : 0),
    };
    this.controlBlock = {
      read: (offset, size) => this.readControl(offset, size),
      write: (offset, size, value) => this.writeControl(offset, size, value),
    };
  }

  /** The function's decode bits: whether the channel answers at its ports. */
  decode(decoded: boolean): void {
    this.decoded = decoded;
  }

  interruptChanged(): void {
    const high = (this.control & controlBit.noInterrupt) === 0 && (this.drive?.pending ?? false);
    if (high === this.interrupting) return;
    this.interrupting = high;
    if (high) this.busMaster.interrupt();
    this.line.set(high);
  }

  reset(): void {
    this.selected = 0;
    this.control = 0;
    for (const drive of this.drives) drive?.powerOn();
    this.busMaster.reset();
    this.interruptChanged();
  }

  save(): SavedState {
    const { selected, control } = this;
    const drives = this.drives.map((drive) => drive?.save() ?? null);
    return { selected, control, interrupting: this.interrupting, drives, busMaster: this.busMaster.save() };
  }

  restore(state: SavedState): void {
    this.selected = state.selected as number;
    this.control = state.control as number;
    this.busMaster.restore(state.busMaster as SavedState);
    const drives = state.drives as (SavedState | null)[];
    this.drives.forEach((drive, n) => {
      const saved = drives[n];
      if (drive !== null && saved !== null) drive.restore(saved);
    });
    this.interrupting = state.interrupting as boolean;
    this.line.set(this.interrupting);
  }

  /** The selected drive. */
  private get drive(): IdeDrive | null {
    return this.drives[this.selected];
  }

  private read(offset: number, size: 1 | 2 | 4): number {
    if (offset === register.data && this.decoded) {
      const drive = this.drives[this.selected];
      return drive === null ? 0 : drive.readData(size);
    }
    if (size === 1) return this.readRegister(offset);
    let value = 0;
    for (let i = 0; i < size; i++) value |= (offset + i < 8 ? this.readRegister(offset + i) : 0xff) << (8 * i);
    return value >>> 0;
  }

  private write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (!this.decoded) return;
    if (offset === register.data) this.drive?.writeData(size, value);
    else if (size === 1) this.writeRegister(offset, value & 0xff);
    else for (let i = 0; i < size && offset + i < 8; i++) this.writeRegister(offset + i, (value >>> (8 * i)) & 0xff);
  }

  private readRegister(offset: number): number {
    if (!this.decoded) return 0xff;
    const drive = this.drive;
    if (offset === register.command) {
      if (drive === null) return 0;
      const value = this.alternateStatus();
      drive.setPending(false);
      return value;
    }
    if (offset === register.features) return drive?.error ?? 0;
    const answering = drive ?? (this.selected === 1 ? this.drives[0] : null);
    if (answering === null) return 0;
    const highOrder = (this.control & controlBit.hob) !== 0 && offset < register.device;
    return (highOrder ? answering.previous : answering.registers)[offset];
  }

  private alternateStatus(): number {
    const drive = this.drive;
    if (drive === null) return 0;
    drive.poll();
    return drive.status;
  }

  private writeRegister(offset: number, value: number): void {
    const { drive } = this;
    drive?.poll();
    this.control &= ~controlBit.hob;
    if (offset === register.command) this.command(drive, value);
    // What is written to a drive at work is lost.
    else if (!(drive?.occupied ?? false)) {
      for (const each of this.drives) each?.writeRegister(offset, value);
      if (offset === register.device) {
        this.selected = (value & deviceBit.slave) !== 0 ? 1 : 0;
        this.interruptChanged();
      }
    }
  }

  private command(drive: IdeDrive | null, code: number): void {
    if (code === command.diagnostic) {
      if (drive?.occupied ?? false) return;
      this.selectFirst();
      this.drives.forEach((each, n) => {
        each?.diagnose(n === 0);
      });
    } else if (drive !== null && (!drive.occupied || (code === command.deviceReset && drive.acceptsReset))) drive.command(code);
  }

  private readControl(offset: number, size: 1 | 2 | 4): number {
    const high = size === 4 ? 0xffffff00 : size === 2 ? 0xff00 : 0;
    return (high | (this.decoded && offset === 0 ? this.alternateStatus() : 0xff)) >>> 0;
  }

  private writeControl(offset: number, _size: 1 | 2 | 4, value: number): void {
    if (!this.decoded || offset !== 0) return;
    const before = this.control;
    this.control = value & (controlBit.hob | controlBit.reset | controlBit.noInterrupt);
    const changed = before ^ this.control;
    if ((changed & controlBit.reset) !== 0) {
      if ((value & controlBit.reset) !== 0) for (const drive of this.drives) drive?.hold();
      else {
        this.selectFirst();
        for (const drive of this.drives) drive?.diagnose(false);
      }
    }
    this.interruptChanged();
  }

  /** A reset leaves device 0 selected. */
  private selectFirst(): void {
    this.selected = 0;
    for (const drive of this.drives) drive?.deselect();
    this.interruptChanged();
  }
}
