/**
 * A 16550A UART (National Semiconductor PC16550D datasheet) as wired in the PC: 1.8432 MHz crystal, OUT2 gating the interrupt.
 *
 * The host side is a byte pipe: `onTransmit` gets what the guest sends, `receive` takes as much as the receiver has room for, and
 * `onReceiveSpace` says when there is room again, so that nothing the host sends is overrun. Transmission is instantaneous unless `paced`:
 * the holding register is empty again, and its interrupt pending again, at the end of the very write that filled it.
 *
 * Characters keep their eight bits whatever word length LCR says: the pipe has no wire. Word length and divisor only set the pace.
 *
 * THRE interrupt: pending from the moment the transmitter runs empty, or when enabled while it is empty, until IIR reports it or THR is
 * written. Drivers probe for exactly this (Linux's 8250 port calls other behaviour UART_BUG_TXEN and UART_BUG_THRE).
 */
import { ByteBank } from "./byte-bank.ts";
import type { Clock, Device, Line, RegisterBank, SavedState, Timer } from "./device.ts";
import { restoreDeadline, savedDeadline } from "./saved.ts";
import { fifoSize, UartFifo } from "./uart-fifo.ts";

const ier = { receive: 0x01, transmit: 0x02, lineStatus: 0x04, modemStatus: 0x08 };
const iir = { none: 0x01, modemStatus: 0x00, transmit: 0x02, receive: 0x04, lineStatus: 0x06, timeout: 0x0c, fifos: 0xc0 };
const fcr = { enable: 0x01, clearReceiver: 0x02, clearTransmitter: 0x04, dmaMode: 0x08, trigger: 0xc0 };
const lcr = { parity: 0x08, twoStops: 0x04, wordLength: 0x03, divisorLatch: 0x80 };
const mcr = { dtr: 0x01, rts: 0x02, out1: 0x04, out2: 0x08, loopback: 0x10, writable: 0x1f };
const lsr = { dataReady: 0x01, overrun: 0x02, parity: 0x04, framing: 0x08, break: 0x10, holdingEmpty: 0x20, empty: 0x40, fifoError: 0x80 };
const lineErrors = lsr.overrun | lsr.parity | lsr.framing | lsr.break;
/** MSR: the four inputs, and below them their changes since the last read. */
export const modemInput = { clearToSend: 0x10, dataSetReady: 0x20, ringIndicator: 0x40, carrierDetect: 0x80 };
const ringIndicatorTrailingEdge = 0x04;

const triggerLevels: readonly number[] = [1, 4, 8, 14];
/** Nanoseconds per bit for each unit of the divisor: 16 cycles of the crystal. */
const bitNanosecondsPerDivisor = (16 * 1e9) / 1_843_200;
/** The FIFO's time-out: four character times without a byte in or out. */
const timeoutCharacters = 4;

export type UartOptions = {
  /** Device name; COM1 to COM4 are told apart by it. */
  readonly name: string;
  readonly clock: Clock;
  readonly irq: Line;
  readonly onTransmit: (byte: number) => void;
  /** The receiver has room again after it was full. */
  readonly onReceiveSpace?: () => void;
  /** Transmit at the programmed baud rate instead of instantaneously. */
  readonly paced?: boolean;
};

export class Uart16550 implements Device {
  readonly name: string;
  /** Eight ports. */
  readonly registers: RegisterBank;

  private readonly irq: Line;
  private readonly onTransmit: (byte: number) => void;
  private readonly onReceiveSpace: () => void;
  private readonly paced: boolean;
  private readonly clock: Clock;
  private readonly timeoutTimer: Timer;
  private readonly transmitTimer: Timer;

  private readonly receiver = new UartFifo();
  private readonly transmitter = new UartFifo();
  private interruptEnable = 0;
  private fifoControl = 0;
  private lineControl = 0;
  private modemControl = 0;
  private scratch = 0;
  private divisor = 12;
  /** LSR's error bits as they stand until read; the rest of LSR follows from the FIFOs. */
  private lineErrors = 0;
  private modemStatus = 0;
  private modemInputs = modemInput.clearToSend | modemInput.dataSetReady | modemInput.carrierDetect;
  private transmitPending = false;
  private timeoutPending = false;
  /** A paced byte is in the shift register. */
  private shifting = false;
  private shiftByte = 0;
  private wasFull = false;
  /** The receive holding register's last byte without FIFOs. */
  private holding = 0;

  constructor(options: UartOptions) {
    this.name = options.name;
    this.clock = options.clock;
    this.irq = options.irq;
    this.onTransmit = options.onTransmit;
    this.onReceiveSpace = options.onReceiveSpace ?? (() => {});
    this.paced = options.paced ?? false;
    this.timeoutTimer = options.clock.timer(() => {
      this.timeoutPending = true;
      this.updateInterrupt();
    });
    this.transmitTimer = options.clock.timer(() => this.shifted());
    this.registers = new ByteBank(
      8,
      (offset) => this.read(offset),
      (offset, value) => this.write(offset, value),
    );
    this.reset();
  }

  /** Bytes that `receive` would take now. In loopback the receiver's pin is cut off. */
  get receiveSpace(): number {
    if ((this.modemControl & mcr.loopback) !== 0) return 0;
    return this.capacity() - this.receiver.length;
  }

  /** Receives what fits of `bytes`; returns how many it took. */
  receive(bytes: ArrayLike<number>): number {
    const taken = Math.min(bytes.length, this.receiveSpace);
    for (let i = 0; i < taken; i++) this.arrive(bytes[i] & 0xff, 0);
    this.wasFull = taken < bytes.length || this.receiveSpace === 0;
    if (taken > 0) this.updateInterrupt();
    return taken;
  }

  /** A break condition on the line: a zero byte with framing and break errors. Returns false when there is no room for it. */
  receiveBreak(): boolean {
    if (this.receiveSpace === 0) return false;
    this.arrive(0, lsr.break | lsr.framing);
    this.updateInterrupt();
    return true;
  }

  /** Levels of CTS, DSR, RI and DCD, as bits of MSR. */
  setModemInputs(inputs: number): void {
    this.modemInputs = inputs & 0xf0;
    if ((this.modemControl & mcr.loopback) === 0) this.changeModemStatus(this.modemInputs);
    this.updateInterrupt();
  }

  reset(): void {
    this.interruptEnable = 0;
    this.fifoControl = 0;
    this.lineControl = 0;
    this.modemControl = 0;
    this.lineErrors = 0;
    this.modemStatus = this.modemInputs;
    this.transmitPending = false;
    this.shifting = false;
    this.transmitTimer.cancel();
    this.transmitter.clear();
    this.clearReceiver();
    this.updateInterrupt();
  }

  save(): SavedState {
    const { interruptEnable, fifoControl, lineControl, modemControl, scratch, divisor, lineErrors, modemStatus, modemInputs } = this;
    const { transmitPending, timeoutPending, shifting, shiftByte, wasFull, holding } = this;
    return {
      ...{ interruptEnable, fifoControl, lineControl, modemControl, scratch, divisor, lineErrors, modemStatus, modemInputs },
      ...{ transmitPending, timeoutPending, shifting, shiftByte, wasFull, holding },
      receiver: this.receiver.save(),
      transmitter: this.transmitter.save(),
      timeoutDeadline: savedDeadline(this.timeoutTimer),
      transmitDeadline: savedDeadline(this.transmitTimer),
    };
  }

  restore(state: SavedState): void {
    const { receiver, transmitter, timeoutDeadline, transmitDeadline, ...fields } = state;
    Object.assign(this, fields);
    this.receiver.restore(receiver as SavedState);
    this.transmitter.restore(transmitter as SavedState);
    restoreDeadline(this.timeoutTimer, timeoutDeadline as number | null);
    restoreDeadline(this.transmitTimer, transmitDeadline as number | null);
    this.updateInterrupt();
  }

  private read(offset: number): number {
    switch (offset) {
      case 0:
        return this.divisorLatched() ? this.divisor & 0xff : this.readReceiver();
      case 1:
        return this.divisorLatched() ? this.divisor >> 8 : this.interruptEnable;
      case 2:
        return this.readInterruptIdentification();
      case 3:
        return this.lineControl;
      case 4:
        return this.modemControl;
      case 5:
        return this.readLineStatus();
      case 6:
        return this.readModemStatus();
      default:
        return this.scratch;
    }
  }

  private write(offset: number, value: number): void {
    switch (offset) {
      case 0:
        if (this.divisorLatched()) this.divisor = (this.divisor & 0xff00) | value;
        else this.transmit(value);
        break;
      case 1:
        if (this.divisorLatched()) this.divisor = (this.divisor & 0xff) | (value << 8);
        else this.writeInterruptEnable(value & 0x0f);
        break;
      case 2:
        this.writeFifoControl(value);
        break;
      case 3:
        this.lineControl = value;
        break;
      case 4:
        this.writeModemControl(value & mcr.writable);
        break;
      case 7:
        this.scratch = value;
        break;
      // LSR and MSR: "writing is not recommended"; factory test only.
    }
    this.updateInterrupt();
  }

  private divisorLatched(): boolean {
    return (this.lineControl & lcr.divisorLatch) !== 0;
  }

  private fifosEnabled(): boolean {
    return (this.fifoControl & fcr.enable) !== 0;
  }

  private capacity(): number {
    return this.fifosEnabled() ? fifoSize : 1;
  }

  private characterNanoseconds(): number {
    const control = this.lineControl;
    const bits = 1 + 5 + (control & lcr.wordLength) + ((control & lcr.parity) !== 0 ? 1 : 0) + ((control & lcr.twoStops) !== 0 ? 2 : 1);
    return Math.ceil(bits * bitNanosecondsPerDivisor * Math.max(1, this.divisor));
  }

  // ---- receiver ----

  private arrive(byte: number, errors: number): void {
    const { receiver } = this;
    if (receiver.length >= this.capacity()) {
      this.lineErrors |= lsr.overrun;
      // The 16450's holding register is overwritten; a full FIFO keeps its bytes and loses the new one.
      if (this.fifosEnabled()) return;
      receiver.clear();
    }
    if (!this.fifosEnabled()) this.holding = byte;
    receiver.push(byte, errors);
    if (receiver.length === 1) this.showErrors();
    this.startTimeout();
  }

  /** The errors of a byte show in LSR when it comes to the top of the FIFO. */
  private showErrors(): void {
    if (this.receiver.length === 0) return;
    this.lineErrors |= this.receiver.errors[this.receiver.head];
  }

  private readReceiver(): number {
    const { receiver } = this;
    // An empty 16450 still shows the byte it holds.
    if (receiver.length === 0) return this.fifosEnabled() ? 0 : this.holding;
    const byte = receiver.shift();
    this.showErrors();
    this.startTimeout();
    this.updateInterrupt();
    this.offerSpace();
    return byte;
  }

  private offerSpace(): void {
    if (!this.wasFull || this.receiveSpace === 0) return;
    this.wasFull = false;
    this.onReceiveSpace();
  }

  private startTimeout(): void {
    this.timeoutPending = false;
    if (this.fifosEnabled() && this.receiver.length > 0) this.timeoutTimer.at(this.clock.now() + timeoutCharacters * this.characterNanoseconds());
    else this.timeoutTimer.cancel();
  }

  private clearReceiver(): void {
    this.receiver.clear();
    this.timeoutPending = false;
    this.timeoutTimer.cancel();
  }

  private readLineStatus(): number {
    let status = this.lineErrors;
    if (this.receiver.length > 0) status |= lsr.dataReady;
    if (this.transmitter.length === 0) status |= this.shifting ? lsr.holdingEmpty : lsr.holdingEmpty | lsr.empty;
    if (this.fifosEnabled() && this.receiver.hasErrors()) status |= lsr.fifoError;
    if (this.lineErrors !== 0) {
      this.lineErrors = 0;
      if (this.receiver.length > 0) this.receiver.errors[this.receiver.head] = 0;
      this.updateInterrupt();
    }
    return status;
  }

  // ---- transmitter ----

  private transmit(byte: number): void {
    this.transmitPending = false;
    const { transmitter } = this;
    if (!this.paced) {
      // The request falls with the write and rises with the empty register: an edge each.
      this.updateInterrupt();
      this.send(byte);
      this.transmitPending = true;
      return;
    }
    if (transmitter.length >= this.capacity()) {
      // A driver that writes on loses the new byte (FIFO) or the waiting one (16450).
      if (this.fifosEnabled()) return;
      transmitter.clear();
    }
    transmitter.push(byte);
    if (!this.shifting) this.shiftNext();
  }

  private shiftNext(): void {
    this.shiftByte = this.transmitter.shift();
    this.shifting = true;
    if (this.transmitter.length === 0) this.transmitPending = true;
    this.transmitTimer.at(this.clock.now() + this.characterNanoseconds());
  }

  private shifted(): void {
    this.shifting = false;
    this.send(this.shiftByte);
    if (this.transmitter.length > 0) this.shiftNext();
    this.updateInterrupt();
  }

  private send(byte: number): void {
    if ((this.modemControl & mcr.loopback) !== 0) this.arrive(byte, 0);
    else this.onTransmit(byte);
  }

  // ---- control and interrupts ----

  private writeInterruptEnable(value: number): void {
    const risen = value & ~this.interruptEnable;
    this.interruptEnable = value;
    if ((risen & ier.transmit) !== 0 && this.transmitter.length === 0) this.transmitPending = true;
  }

  private writeFifoControl(value: number): void {
    const toggled = ((value ^ this.fifoControl) & fcr.enable) !== 0;
    const enabled = (value & fcr.enable) !== 0;
    if (toggled || (enabled && (value & fcr.clearReceiver) !== 0)) this.clearReceiver();
    if ((toggled || (enabled && (value & fcr.clearTransmitter) !== 0)) && this.transmitter.length > 0) {
      this.transmitter.clear();
      this.transmitPending = true;
    }
    // "This bit must be a 1 when other FCR bits are written to or they will not be programmed."
    this.fifoControl = enabled ? value & (fcr.enable | fcr.dmaMode | fcr.trigger) : 0;
    this.offerSpace();
  }

  private writeModemControl(value: number): void {
    this.modemControl = value;
    this.changeModemStatus((value & mcr.loopback) !== 0 ? loopedBack(value) : this.modemInputs);
    this.offerSpace();
  }

  private changeModemStatus(inputs: number): void {
    const before = this.modemStatus & 0xf0;
    let changes = (before ^ inputs) >> 4;
    // The ring indicator reports its trailing edge only.
    if ((inputs & modemInput.ringIndicator) !== 0) changes &= ~ringIndicatorTrailingEdge;
    this.modemStatus = inputs | (this.modemStatus & 0x0f) | changes;
  }

  private readModemStatus(): number {
    const status = this.modemStatus;
    this.modemStatus = status & 0xf0;
    if (status !== this.modemStatus) this.updateInterrupt();
    return status;
  }

  /** The highest-priority enabled source, as IIR's low four bits. */
  private interruptSource(): number {
    const enabled = this.interruptEnable;
    if (enabled === 0) return iir.none;
    if ((enabled & ier.lineStatus) !== 0 && (this.lineErrors & lineErrors) !== 0) return iir.lineStatus;
    if ((enabled & ier.receive) !== 0) {
      const trigger = this.fifosEnabled() ? triggerLevels[this.fifoControl >> 6] : 1;
      if (this.receiver.length >= trigger) return iir.receive;
      if (this.timeoutPending) return iir.timeout;
    }
    if ((enabled & ier.transmit) !== 0 && this.transmitPending) return iir.transmit;
    if ((enabled & ier.modemStatus) !== 0 && (this.modemStatus & 0x0f) !== 0) return iir.modemStatus;
    return iir.none;
  }

  private readInterruptIdentification(): number {
    const source = this.interruptSource();
    if (source === iir.transmit) {
      this.transmitPending = false;
      this.updateInterrupt();
    }
    return source | (this.fifosEnabled() ? iir.fifos : 0);
  }

  /** On the PC, OUT2 connects the interrupt to the bus; in loopback the modem outputs are off. */
  private updateInterrupt(): void {
    const connected = (this.modemControl & (mcr.out2 | mcr.loopback)) === mcr.out2;
    this.irq.set(connected && this.interruptSource() !== iir.none);
  }
}

/** Loopback wires RTS to CTS, DTR to DSR, OUT1 to RI and OUT2 to DCD. */
function loopedBack(control: number): number {
  return (
    ((control & mcr.rts) !== 0 ? modemInput.clearToSend : 0) |
    ((control & mcr.dtr) !== 0 ? modemInput.dataSetReady : 0) |
    ((control & mcr.out1) !== 0 ? modemInput.ringIndicator : 0) |
    ((control & mcr.out2) !== 0 ? modemInput.carrierDetect : 0)
  );
}
