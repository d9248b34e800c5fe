/**
 * The PC's floppy controller: an Intel 82077AA (datasheet 290166) in AT mode at 3F0h-3F5h and 3F7h, with IRQ6 and DMA channel 2. This file has the
 * registers, the command and result phases, and the commands without data: seeks, senses, set-up. Commands that find sectors are in execution.ts.
 *
 * A command's bytes gather in `bytes` while the MSR asks for them; the result leaves from `answer`. The interrupt is raised at the end of a seek, of a data
 * command, and of reset; it falls with the first result byte read, or with SENSE INTERRUPT, which reports the ends of seeks.
 */
import { ByteBank } from "../byte-bank.ts";
import type { Clock, Device, Line, RegisterBank, SavedState, Timer } from "../device.ts";
import type { DmaChannel } from "../dma8237.ts";
import { restoreDeadline, savedDeadline } from "../saved.ts";
import type { BlockStorage } from "../storage/block-storage.ts";
import { type Command, type CommandName, commandOf, option } from "./commands.ts";
import { FloppyDrive, type FloppyMedium, floppyMedium } from "./drive.ts";
import { Execution, type ExecutionHost, type FloppyTiming } from "./execution.ts";
import type { FloppyDriveType } from "./formats.ts";
import { st0, st3 } from "./status.ts";

const units = 4;
const register = { digitalOutput: 2, tape: 3, status: 4, data: 5 };
const digitalOutput = { select: 0x03, running: 0x04, dmaGate: 0x08, motors: 0xf0 };
const mainStatus = { request: 0x80, toHost: 0x40, nonDma: 0x20, busy: 0x10 };
const dataRateSelect = { reset: 0x80, rate: 0x03 };
const diskChange = 0x80;
/** CONFIGURE's second byte: implied seeks, FIFO disabled, polling disabled, FIFO threshold. */
const configuration = { impliedSeek: 0x40, noFifo: 0x20, noPolling: 0x10, threshold: 0x0f };
const fifoBytes = 16;
const version82077 = 0x90;
const perpendicularGap = 0x03;
/** RECALIBRATE gives up after this many steps (datasheet, "Recalibrate"). */
const recalibrateSteps = 79;

const defaultTiming: FloppyTiming = { sector: 300e3, settle: 200e3, step: 20e3, reset: 50e3 };

export type FloppyOptions = {
  readonly clock: Clock;
  readonly irq: Line;
  readonly dma: DmaChannel;
  /** Drives A and B; null where none is fitted. */
  readonly drives: readonly (FloppyDriveType | null)[];
  /** Faster than a real drive's by default, in the same proportions. */
  readonly timing?: Partial<FloppyTiming>;
  readonly activity?: (drive: number, kind: "read" | "write") => void;
};

/** What a seek in progress will leave. */
interface Seek {
  readonly steps: number;
  readonly cylinder: number;
  readonly status0: number;
}

export class FloppyController implements Device {
  readonly name = "floppy";
  /** Ports 3F0h-3F5h. Status registers A and B float in AT mode. */
  readonly registers: RegisterBank;
  /** Port 3F7h: digital input (disk change), configuration control (data rate). */
  readonly directory: RegisterBank;

  private readonly clock: Clock;
  private readonly irq: Line;
  private readonly timing: FloppyTiming;
  private readonly drives: readonly (FloppyDrive | null)[];
  private readonly execution: Execution;
  private readonly resetTimer: Timer;
  private readonly seekTimers: readonly Timer[];

  private digitalOutput = 0;
  private tape = 0;
  private rate = 2;
  private phase: "command" | "execution" | "result" = "command";
  private readonly bytes = new Uint8Array(9);
  private received = 0;
  private answer: number[] = [];
  private interrupt = false;
  /** Statuses that SENSE INTERRUPT still has to report of the poll after reset: one for each drive. */
  private pollStatuses = 0;
  /** By drive, the ST0 of a finished seek not yet sensed. */
  private seekStatus: (number | null)[] = new Array(units).fill(null);
  private seeks: (Seek | null)[] = new Array(units).fill(null);
  /** The chip's idea of each drive's cylinder. */
  private readonly cylinders = new Uint8Array(units);
  private stepAndUnload = 0;
  private loadAndNonDma = 0;
  private config = configuration.noFifo;
  private precompensation = 0;
  private perpendicular = 0;
  private locked = false;
  private lastEndOfTrack = 0;

  constructor(options: FloppyOptions) {
    this.clock = options.clock;
    this.irq = options.irq;
    this.timing = { ...defaultTiming, ...options.timing };
    this.drives = Array.from({ length: units }, (_, n) => (options.drives[n] == null ? null : new FloppyDrive(options.drives[n])));
    this.execution = new Execution(this.executionHost(options));
    this.resetTimer = options.clock.timer(() => this.polled());
    this.seekTimers = Array.from({ length: units }, (_, n) => options.clock.timer(() => this.arrived(n)));
    this.registers = new ByteBank(
      6,
      (offset) => this.read(offset),
      (offset, value) => this.write(offset, value),
    );
    this.directory = new ByteBank(
      1,
      () => this.readDirectory(),
      (_, value) => {
        this.rate = value & dataRateSelect.rate;
      },
    );
    this.reset();
  }

  /** The RESET pin. Heads and media stay as they are. */
  reset(): void {
    this.digitalOutput = 0;
    this.tape = 0;
    this.rate = 2;
    this.locked = false;
    this.stepAndUnload = this.loadAndNonDma = this.lastEndOfTrack = 0;
    this.perpendicular = 0;
    for (const drive of this.drives) if (drive !== null) drive.motor = false;
    this.clear();
  }

  /**
   * Puts an image into drive 0-3, or takes it out (null). Returns what the user should know of the image, if anything. The guest sees a disk change.
   * Errors: `FloppySizeError`, `FloppyMediumError`; the drive is then as before.
   */
  insert(unit: number, storage: BlockStorage | null): string | null {
    const drive = this.drives[unit] ?? null;
    if (drive === null) throw new RangeError(`floppy drive ${unit}: not fitted`);
    const medium = storage === null ? null : floppyMedium(storage);
    drive.insert(medium);
    return medium?.notice ?? null;
  }

  medium(unit: number): FloppyMedium | null {
    return this.drives[unit]?.medium ?? null;
  }

  // --- registers

  private read(offset: number): number {
    if (offset === register.digitalOutput) return this.digitalOutput;
    if (offset === register.tape) return this.tape | 0xfc;
    if (offset === register.status) return this.status();
    return offset === register.data ? this.readData() : 0xff;
  }

  private write(offset: number, value: number): void {
    if (offset === register.digitalOutput) this.writeDigitalOutput(value);
    else if (offset === register.tape) this.tape = value & 3;
    else if (offset === register.status) this.writeDataRateSelect(value);
    else if (offset === register.data) this.writeData(value);
  }

  private readDirectory(): number {
    const drive = this.drives[this.digitalOutput & digitalOutput.select];
    // The change line floats, and reads as changed, where no drive is; the low bits belong to nobody.
    return drive?.changed === false ? 0xff & ~diskChange : 0xff;
  }

  private writeDigitalOutput(value: number): void {
    const before = this.digitalOutput;
    this.digitalOutput = value;
    this.drives.forEach((drive, n) => {
      if (drive !== null) drive.motor = (value & (0x10 << n)) !== 0;
    });
    if ((value & digitalOutput.running) === 0) this.clear();
    else if ((before & digitalOutput.running) === 0) this.leaveReset();
    this.drive();
  }

  private writeDataRateSelect(value: number): void {
    this.rate = value & dataRateSelect.rate;
    if ((value & dataRateSelect.reset) === 0) return;
    this.clear();
    this.leaveReset();
  }

  private status(): number {
    if (!this.running()) return 0;
    let value = 0;
    this.seeks.forEach((seek, n) => {
      if (seek !== null) value |= 1 << n;
    });
    if (this.phase === "result") return value | mainStatus.request | mainStatus.toHost | mainStatus.busy;
    if (this.phase === "command") return value | mainStatus.request | (this.received > 0 ? mainStatus.busy : 0);
    const { execution } = this;
    if (this.nonDma()) value |= mainStatus.nonDma;
    if (execution.requesting) value |= mainStatus.request | (execution.toHost ? mainStatus.toHost : 0);
    return value | mainStatus.busy;
  }

  private readData(): number {
    if (!this.running()) return 0;
    if (this.phase === "execution") return this.execution.requesting && this.execution.toHost ? this.execution.readByte() : 0;
    if (this.phase !== "result") return 0;
    this.setInterrupt(false);
    const value = this.answer.shift() ?? 0;
    if (this.answer.length === 0) this.idle();
    return value;
  }

  private writeData(value: number): void {
    if (!this.running() || this.phase === "result") return;
    if (this.phase === "execution") {
      if (this.execution.requesting && !this.execution.toHost) this.execution.writeByte(value);
      return;
    }
    this.bytes[this.received++] = value;
    const command = commandOf(this.bytes[0]);
    if (command === null) this.finish([st0.invalid]);
    else if (this.received > command.parameters) this.execute(command);
  }

  // --- phases

  private running(): boolean {
    return (this.digitalOutput & digitalOutput.running) !== 0;
  }

  private nonDma(): boolean {
    return (this.loadAndNonDma & 1) !== 0;
  }

  private idle(): void {
    this.phase = "command";
    this.received = 0;
    this.answer = [];
  }

  /** Begins the result phase; without result bytes the next command may come. */
  private finish(answer: readonly number[]): void {
    this.idle();
    if (answer.length === 0) return;
    this.answer = [...answer];
    this.phase = "result";
  }

  private setInterrupt(high: boolean): void {
    this.interrupt = high;
    this.drive();
  }

  private drive(): void {
    this.irq.set(this.interrupt && (this.digitalOutput & digitalOutput.dmaGate) !== 0);
  }

  /** What every reset does; a lock keeps the FIFO's set-up over those by software. */
  private clear(): void {
    this.execution.abort();
    this.resetTimer.cancel();
    for (const timer of this.seekTimers) timer.cancel();
    this.seeks.fill(null);
    this.seekStatus.fill(null);
    this.pollStatuses = 0;
    this.cylinders.fill(0);
    this.config = this.locked ? this.config & (configuration.noFifo | configuration.threshold) : configuration.noFifo;
    if (!this.locked) this.precompensation = 0;
    this.perpendicular &= ~perpendicularGap;
    this.idle();
    this.setInterrupt(false);
  }

  private leaveReset(): void {
    this.resetTimer.at(this.clock.now() + this.timing.reset);
  }

  /** The poll after reset finds every drive's ready line changed. */
  private polled(): void {
    if ((this.config & configuration.noPolling) !== 0) return;
    this.pollStatuses = units;
    this.setInterrupt(true);
  }

  // --- commands

  private execute(command: Command): void {
    const simple = this.simple[command.name];
    if (simple !== undefined) {
      this.finish(simple(this.bytes));
      return;
    }
    this.phase = "execution";
    if (command.parameters === 8) this.lastEndOfTrack = this.bytes[6];
    else if (command.name === "formatTrack") this.lastEndOfTrack = this.bytes[3];
    this.execution.start(command.name, this.bytes);
  }

  /** Commands that are done with their last byte: parameters in, result out. */
  private readonly simple: Partial<Record<CommandName, (bytes: Uint8Array) => readonly number[]>> = {
    specify: ([, stepAndUnload, loadAndNonDma]) => {
      this.stepAndUnload = stepAndUnload;
      this.loadAndNonDma = loadAndNonDma;
      return [];
    },
    senseDrive: ([, select]) => {
      const drive = this.drives[select & 3];
      const track0 = drive?.atTrack0 === true ? st3.track0 : 0;
      return [st3.one5 | st3.one3 | (drive?.writeProtected === true ? st3.writeProtected : 0) | track0 | (select & 7)];
    },
    recalibrate: ([, select]) => {
      const unit = select & 3;
      const position = this.drives[unit]?.position ?? Number.POSITIVE_INFINITY;
      const found = position <= recalibrateSteps;
      const status = st0.seekEnd | unit | (found ? 0 : st0.abnormal | st0.equipmentCheck);
      this.seek(unit, -Math.min(position, recalibrateSteps), 0, status);
      return [];
    },
    seek: ([, select, cylinder]) => {
      const unit = select & 3;
      this.seek(unit, cylinder - this.cylinders[unit], cylinder, st0.seekEnd | (select & 7));
      return [];
    },
    relativeSeek: ([first, select, distance]) => {
      const unit = select & 3;
      const steps = (first & option.inwards) !== 0 ? distance : -distance;
      this.seek(unit, steps, (this.cylinders[unit] + steps) & 0xff, st0.seekEnd | (select & 7));
      return [];
    },
    senseInterrupt: () => this.senseInterrupt(),
    version: () => [version82077],
    configure: ([, , config, precompensation]) => {
      this.config = config;
      this.precompensation = precompensation;
      return [];
    },
    perpendicular: ([, value]) => {
      // The drive bits change only with OW set (datasheet, "Perpendicular Mode").
      this.perpendicular = (value & 0x80) !== 0 ? value & 0x3f : (this.perpendicular & 0x3c) | (value & 3);
      return [];
    },
    lock: ([first]) => {
      this.locked = (first & option.lock) !== 0;
      return [this.locked ? 0x10 : 0];
    },
    dumpRegisters: () => [
      ...this.cylinders,
      this.stepAndUnload,
      this.loadAndNonDma,
      this.lastEndOfTrack,
      (this.locked ? 0x80 : 0) | this.perpendicular,
      this.config,
      this.precompensation,
    ],
  };

  private seek(unit: number, steps: number, cylinder: number, status0: number): void {
    this.seeks[unit] = { steps, cylinder, status0 };
    this.seekTimers[unit].at(this.clock.now() + this.seekTime(steps));
  }

  private seekTime(steps: number): number {
    return this.timing.settle + Math.abs(steps) * this.timing.step;
  }

  private arrived(unit: number): void {
    const seek = this.seeks[unit];
    if (seek === null) return;
    this.drives[unit]?.step(seek.steps);
    this.cylinders[unit] = seek.cylinder;
    this.seeks[unit] = null;
    this.seekStatus[unit] = seek.status0;
    this.setInterrupt(true);
  }

  /** Without anything to report the command is an invalid one. */
  private senseInterrupt(): readonly number[] {
    if (this.pollStatuses > 0) {
      const unit = units - this.pollStatuses--;
      this.setInterrupt(false);
      return [st0.polling | unit, this.cylinders[unit]];
    }
    const unit = this.seekStatus.findIndex((status) => status !== null);
    if (unit < 0) return [st0.invalid];
    const status = this.seekStatus[unit] as number;
    this.seekStatus[unit] = null;
    this.setInterrupt(false);
    // Another drive's seek has ended meanwhile: a new edge.
    if (this.seekStatus.some((other) => other !== null)) this.setInterrupt(true);
    return [status, this.cylinders[unit]];
  }

  private executionHost({ clock, dma, activity }: FloppyOptions): ExecutionHost {
    return {
      clock,
      dma,
      timing: this.timing,
      drive: (n) => this.drives[n],
      dataRate: () => this.rate,
      nonDma: () => this.nonDma(),
      dmaGate: () => (this.digitalOutput & digitalOutput.dmaGate) !== 0,
      fifoChunk: () => ((this.config & configuration.noFifo) !== 0 ? 1 : fifoBytes - (this.config & configuration.threshold)),
      request: (high) => this.setInterrupt(high),
      impliedSeek: (unit, cylinder) => {
        if ((this.config & configuration.impliedSeek) === 0) return -1;
        const steps = cylinder - this.cylinders[unit];
        this.drives[unit]?.step(steps);
        this.cylinders[unit] = cylinder;
        return this.seekTime(steps);
      },
      activity: activity ?? (() => {}),
      finished: (result) => {
        this.finish(result);
        this.setInterrupt(true);
      },
    };
  }

  // --- snapshot

  save(): SavedState {
    const { digitalOutput, tape, rate, phase, received, answer, interrupt, pollStatuses, seekStatus, stepAndUnload, loadAndNonDma } = this;
    const { config, precompensation, perpendicular, locked, lastEndOfTrack } = this;
    return {
      fields: { digitalOutput, tape, rate, phase, received, answer: [...answer], interrupt, pollStatuses, seekStatus: [...seekStatus] },
      setup: { stepAndUnload, loadAndNonDma, config, precompensation, perpendicular, locked, lastEndOfTrack },
      bytes: this.bytes.slice(),
      cylinders: this.cylinders.slice(),
      seeks: this.seeks.map((seek) => (seek === null ? null : { ...seek })),
      seekDeadlines: this.seekTimers.map(savedDeadline),
      resetDeadline: savedDeadline(this.resetTimer),
      drives: this.drives.map((drive) => drive?.save() ?? null),
      execution: this.execution.save(),
    };
  }

  /** The media are to be in their drives already. */
  restore(state: SavedState): void {
    Object.assign(this, structuredClone(state.fields), structuredClone(state.setup));
    this.bytes.set(state.bytes as Uint8Array);
    this.cylinders.set(state.cylinders as Uint8Array);
    this.seeks = structuredClone(state.seeks) as (Seek | null)[];
    (state.seekDeadlines as (number | null)[]).forEach((deadline, n) => {
      restoreDeadline(this.seekTimers[n], deadline);
    });
    restoreDeadline(this.resetTimer, state.resetDeadline as number | null);
    (state.drives as (SavedState | null)[]).forEach((saved, n) => {
      if (saved !== null) this.drives[n]?.restore(saved);
    });
    this.execution.restore(state.execution as SavedState);
    this.drive();
  }
}
