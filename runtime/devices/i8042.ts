/**
 * The PC's 8042 keyboard controller, ports 60h and 64h (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller"): one output buffer towards the CPU, filled from the controller's own replies at once and from the devices after the time a
 * byte takes on their serial link, so that a handler may read port 60h twice. Set 2 codes are translated to set 1 while the command
 * byte says so.
 *
 * Without an auxiliary device the controller is an AT's: D3h echoes as if from the keyboard and the aux interface test fails, which is
 * how Linux finds out at once that there is no aux port rather than by time-outs.
 */
import { ByteBank } from "./byte-bank.ts";
import type { Clock, Device, Line, RegisterBank, SavedState, Timer } from "./device.ts";
import type { Ps2Device } from "./ps2-keyboard.ts";
import { set2ToSet1 } from "./ps2-scan-codes.ts";
import { restoreDeadline, savedDeadline } from "./saved.ts";

const status = { outputFull: 0x01, system: 0x04, commandWritten: 0x08, unlocked: 0x10, auxOutput: 0x20 };
const commandByte = { keyboardInterrupt: 0x01, auxInterrupt: 0x02, system: 0x04, keyboardOff: 0x10, auxOff: 0x20, translate: 0x40 };
const outputPort = { resetInactive: 0x01, gateA20: 0x02, outputFull: 0x10, auxOutputFull: 0x20, held: 0xcf };
/** P1: keyboard not inhibited by its lock. */
const inputPort = 0x80;
/** T0 and T1, the clock lines of keyboard and aux device: low while idle as the 8042 sees them. */
const testInputs = 0;

const selfTestPassed = 0x55;
const lineTest = { passed: 0x00, clockStuckLow: 0x01 };
const noPassword = 0xf1;
const breakPrefix = 0xf0;
const writes = { commandByte: 0x60, outputPort: 0xd1, keyboardOutput: 0xd2, auxOutput: 0xd3, aux: 0xd4 };
const takesData: readonly number[] = [writes.outputPort, writes.keyboardOutput, writes.auxOutput, writes.aux];

/** Eleven bits at 16.7 kHz. */
const byteNanoseconds = 660_000;

export type I8042Options = {
  readonly clock: Clock;
  readonly keyboard: Ps2Device;
  readonly keyboardIrq: Line;
  /** A mouse, if there is one. */
  readonly aux?: Ps2Device;
  readonly auxIrq?: Line;
  readonly gateA20: Line;
  readonly resetMachine: () => void;
};

export class I8042 implements Device {
  readonly name = "i8042";
  /** Port 60h. */
  readonly data: RegisterBank;
  /** Port 64h: status (read) and command (write). */
  readonly control: RegisterBank;

  private readonly options: I8042Options;
  private readonly linkTimer: Timer;
  private readonly ram = new Uint8Array(32);
  /** P2 as last written: reset, A20 and the devices' clock and data lines. */
  private port = 0;
  private output = 0;
  private outputFull = false;
  private outputIsAux = false;
  private commandWritten = false;
  /** The command whose data byte comes next at port 60h. */
  private awaitsDataFor = 0;
  /** The controller's own bytes that wait for the output buffer; aux ones have bit 8 set. */
  private replies: number[] = [];
  /** A break prefix was swallowed by the translation. */
  private breaking = false;

  /** Commands without data; any other code is not a command of this controller and has no effect. */
  private readonly commands: ReadonlyMap<number, () => void> = new Map([
    [0xa4, () => this.reply(noPassword)],
    [0xa7, () => this.setCommandByte(this.ram[0] | commandByte.auxOff)],
    [0xa8, () => this.setCommandByte(this.ram[0] & ~commandByte.auxOff)],
    [0xa9, () => this.reply(this.options.aux === undefined ? lineTest.clockStuckLow : lineTest.passed)],
    [0xaa, () => this.selfTest()],
    [0xab, () => this.reply(lineTest.passed)],
    [0xad, () => this.setCommandByte(this.ram[0] | commandByte.keyboardOff)],
    [0xae, () => this.setCommandByte(this.ram[0] & ~commandByte.keyboardOff)],
    [0xc0, () => this.reply(inputPort)],
    [0xd0, () => this.reply(this.readOutputPort())],
    [0xdd, () => this.writeOutputPort(this.port & ~outputPort.gateA20)],
    [0xdf, () => this.writeOutputPort(this.port | outputPort.gateA20)],
    [0xe0, () => this.reply(testInputs)],
  ]);

  constructor(options: I8042Options) {
    this.options = options;
    this.linkTimer = options.clock.timer(() => this.receive());
    options.keyboard.onByte = () => this.fill();
    if (options.aux !== undefined) options.aux.onByte = () => this.fill();
    this.data = new ByteBank(
      1,
      () => this.readData(),
      (_, value) => this.writeData(value),
    );
    this.control = new ByteBank(
      1,
      () => this.readStatus(),
      (_, value) => this.writeCommand(value),
    );
    this.reset();
  }

  /** As firmware leaves it: keyboard on, interrupting and translated; the aux port off. P2 is all ones, so A20 is open. */
  reset(): void {
    this.ram.fill(0);
    this.ram[0] = commandByte.keyboardInterrupt | commandByte.system | commandByte.auxOff | commandByte.translate;
    this.port = outputPort.held;
    this.output = 0;
    this.outputFull = false;
    this.outputIsAux = false;
    this.commandWritten = false;
    this.awaitsDataFor = 0;
    this.replies = [];
    this.breaking = false;
    this.linkTimer.cancel();
    this.updateInterrupts();
    this.options.gateA20.set(true);
    this.fill();
  }

  save(): SavedState {
    const { port, output, outputFull, outputIsAux, commandWritten, awaitsDataFor, breaking } = this;
    return {
      ...{ port, output, outputFull, outputIsAux, commandWritten, awaitsDataFor, breaking },
      ram: this.ram.slice(),
      replies: [...this.replies],
      linkDeadline: savedDeadline(this.linkTimer),
    };
  }

  restore(state: SavedState): void {
    const { ram, replies, linkDeadline, ...fields } = state;
    Object.assign(this, fields);
    this.ram.set(ram as Uint8Array);
    this.replies = [...(replies as number[])];
    restoreDeadline(this.linkTimer, linkDeadline as number | null);
    this.options.gateA20.set((this.port & outputPort.gateA20) !== 0);
    this.updateInterrupts();
  }

  /** Nothing is on its way to the guest: it has read all that it was sent. */
  get idle(): boolean {
    return !this.outputFull && this.replies.length === 0 && this.linkTimer.deadline === Number.POSITIVE_INFINITY;
  }

  // ---- ports ----

  private readData(): number {
    const value = this.output;
    if (this.outputFull) {
      this.outputFull = false;
      this.outputIsAux = false;
      this.updateInterrupts();
      this.fill();
    }
    return value;
  }

  private readStatus(): number {
    return (
      status.unlocked |
      (this.ram[0] & commandByte.system ? status.system : 0) |
      (this.commandWritten ? status.commandWritten : 0) |
      (this.outputFull ? status.outputFull : 0) |
      (this.outputIsAux ? status.auxOutput : 0)
    );
  }

  private writeCommand(value: number): void {
    this.commandWritten = true;
    this.awaitsDataFor = 0;
    if ((value & 0xe0) === 0x20) this.reply(this.ram[value & 31]);
    else if ((value & 0xe0) === 0x60) this.awaitsDataFor = value;
    else if ((value & 0xf0) === 0xf0) this.pulse(value);
    else if (takesData.includes(value)) this.awaitsDataFor = value;
    else this.commands.get(value)?.();
  }

  private writeData(value: number): void {
    this.commandWritten = false;
    const command = this.awaitsDataFor;
    this.awaitsDataFor = 0;
    if (command === 0) {
      // Sending to the keyboard enables its clock.
      this.setCommandByte(this.ram[0] & ~commandByte.keyboardOff);
      this.options.keyboard.write(value);
    } else if (command === writes.commandByte) this.setCommandByte(value);
    else if ((command & 0xe0) === 0x60) this.ram[command & 31] = value;
    else if (command === writes.outputPort) this.writeOutputPort(value);
    else if (command === writes.keyboardOutput) this.reply(value);
    else if (command === writes.auxOutput) this.reply(value, this.options.aux !== undefined);
    else if (command === writes.aux && this.options.aux !== undefined) {
      this.setCommandByte(this.ram[0] & ~commandByte.auxOff);
      this.options.aux.write(value);
    }
  }

  /** F0h-FFh pulse the output port's low bits that are 0; bit 0 is the reset line. */
  private pulse(value: number): void {
    if ((value & outputPort.resetInactive) === 0) this.options.resetMachine();
  }

  private selfTest(): void {
    this.setCommandByte(this.ram[0] | commandByte.system);
    this.reply(selfTestPassed);
  }

  private readOutputPort(): number {
    return this.port | (this.outputFull ? (this.outputIsAux ? outputPort.auxOutputFull : outputPort.outputFull) : 0);
  }

  private writeOutputPort(value: number): void {
    this.port = value & outputPort.held;
    this.options.gateA20.set((value & outputPort.gateA20) !== 0);
    if ((value & outputPort.resetInactive) === 0) this.options.resetMachine();
  }

  private setCommandByte(value: number): void {
    this.ram[0] = value;
    this.updateInterrupts();
    this.fill();
  }

  // ---- output buffer ----

  private reply(byte: number, fromAux = false): void {
    // A driver that never reads cannot fill more than the controller's own RAM.
    if (this.replies.length === this.ram.length) return;
    this.replies.push(fromAux ? byte | 0x100 : byte);
    this.fill();
  }

  /** Fills an empty output buffer: from the controller now, or from a device once its byte has come over the link. */
  private fill(): void {
    if (this.outputFull) return;
    if (this.replies.length > 0) {
      const reply = this.replies.shift()!;
      this.load(reply & 0xff, reply > 0xff);
    } else if (this.sender() !== null && this.linkTimer.deadline === Number.POSITIVE_INFINITY) {
      this.linkTimer.at(this.options.clock.now() + byteNanoseconds);
    }
  }

  /** The device whose byte comes next. */
  private sender(): Ps2Device | null {
    const { keyboard, aux } = this.options;
    if ((this.ram[0] & commandByte.keyboardOff) === 0 && keyboard.hasByte()) return keyboard;
    if (aux !== undefined && (this.ram[0] & commandByte.auxOff) === 0 && aux.hasByte()) return aux;
    return null;
  }

  /** A byte from a device has arrived; with the buffer full meanwhile, the link waits. */
  private receive(): void {
    if (this.outputFull) return;
    const sender = this.sender();
    if (sender === null) return;
    const byte = sender.take();
    if (sender === this.options.aux) this.load(byte, true);
    else if ((this.ram[0] & commandByte.translate) === 0) this.load(byte, false);
    else if (byte === breakPrefix) {
      this.breaking = true;
      this.fill();
    } else {
      this.load(set2ToSet1[byte] | (this.breaking ? 0x80 : 0), false);
      this.breaking = false;
    }
  }

  private load(byte: number, fromAux: boolean): void {
    this.output = byte;
    this.outputFull = true;
    this.outputIsAux = fromAux;
    this.updateInterrupts();
  }

  private updateInterrupts(): void {
    const control = this.ram[0];
    this.options.keyboardIrq.set(this.outputFull && !this.outputIsAux && (control & commandByte.keyboardInterrupt) !== 0);
    this.options.auxIrq?.set(this.outputIsAux && (control & commandByte.auxInterrupt) !== 0);
  }
}
