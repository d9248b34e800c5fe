/**
 * The outside of a UART: what the guest sends is gathered into pieces; what it is sent waits until it wants it and its receiver has room.
 *
 * As a real sender would, it respects RTS: a driver empties the receiver while it probes and starts up, so input that is there already
 * (a pipe, someone who types early) must not be fed before. Guests that know no RTS listen when they leave the receive interrupt
 * enabled, or poll the line status and do nothing else.
 */
import type { RegisterBank, SavedState } from "../../runtime/devices/device.ts";
import type { Uart16550 } from "../../runtime/devices/uart16550.ts";

const gatherLimit = 4096;
/** Reads of LSR in a row that can only mean waiting for input: a transmitter that is always ready ends a driver's wait after one. */
const pollsThatListen = 64;
const port = { interruptEnable: 1, lineControl: 3, modemControl: 4, lineStatus: 5 } as const;
const receiveInterrupt = 1;
const requestToSend = 2;
const loopback = 0x10;
const divisorLatch = 0x80;

export class SerialPipe {
  /** The UART's registers as the guest reaches them. */
  readonly registers: RegisterBank;

  readonly #uart: Uart16550;
  readonly #emit: (bytes: Uint8Array) => void;
  readonly #gathered = new Uint8Array(gatherLimit);
  #length = 0;
  #waiting: Uint8Array[] = [];
  #requestToSend = false;
  #receiveInterrupt = false;
  /** The guest listens, with RTS or without. */
  #listens = false;
  #polls = 0;
  #divisorLatched = false;

  /** @param connect makes the UART for what is to happen with each byte it sends, and whenever its receiver has room again */
  constructor(connect: (transmit: (byte: number) => void, space: () => void) => Uart16550, emit: (bytes: Uint8Array) => void) {
    this.#emit = emit;
    this.#uart = connect(
      (byte) => this.#transmit(byte),
      () => this.#pump(),
    );
    const { registers } = this.#uart;
    this.registers = {
      read: (offset, size) => {
        const value = registers.read(offset, size);
        if (!this.#listens) this.#sawRead(offset);
        return value;
      },
      write: (offset, size, value) => {
        registers.write(offset, size, value);
        this.#sawWrite(offset, value);
      },
    };
  }

  get device(): Uart16550 {
    return this.#uart;
  }

  /** Bytes for the guest that it has not been given yet. */
  get waiting(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  /** To the guest. */
  receive(bytes: Uint8Array): void {
    // A copy: the caller may use its buffer again before the guest reads.
    if (bytes.length > 0) this.#waiting.push(bytes.slice());
    this.#pump();
  }

  /** Passes on what the guest sent since the last time. Called between slices of guest time. */
  flush(): void {
    // A driver that probes enables the interrupt for an instant; one that listens leaves it so.
    if (this.#receiveInterrupt && !this.#listens) {
      this.#listens = true;
      this.#pump();
    }
    if (this.#length === 0) return;
    const bytes = this.#gathered.slice(0, this.#length);
    this.#length = 0;
    this.#emit(bytes);
  }

  reset(): void {
    this.#requestToSend = false;
    this.#receiveInterrupt = false;
    this.#listens = false;
    this.#polls = 0;
    this.#divisorLatched = false;
  }

  /** What the guest has done so far that says whether it listens, and input it has not been given yet. Call `flush` before. */
  save(): SavedState {
    return {
      ...{ requestToSend: this.#requestToSend, receiveInterrupt: this.#receiveInterrupt, listens: this.#listens },
      ...{ polls: this.#polls, divisorLatched: this.#divisorLatched, waiting: this.#waiting.map((bytes) => bytes.slice()) },
    };
  }

  restore(state: SavedState): void {
    this.#requestToSend = state.requestToSend as boolean;
    this.#receiveInterrupt = state.receiveInterrupt as boolean;
    this.#listens = state.listens as boolean;
    this.#polls = state.polls as number;
    this.#divisorLatched = state.divisorLatched as boolean;
    this.#waiting = (state.waiting as Uint8Array[]).map((bytes) => bytes.slice());
    this.#length = 0;
  }

  #transmit(byte: number): void {
    this.#gathered[this.#length++] = byte;
    if (this.#length === gatherLimit) this.flush();
  }

  #pump(): void {
    while ((this.#requestToSend || this.#listens) && this.#waiting.length > 0) {
      const bytes = this.#waiting[0]!;
      const taken = this.#uart.receive(bytes);
      if (taken < bytes.length) {
        this.#waiting[0] = bytes.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
  }

  #sawRead(offset: number): void {
    this.#polls = offset === port.lineStatus ? this.#polls + 1 : 0;
    if (this.#polls < pollsThatListen) return;
    this.#listens = true;
    this.#pump();
  }

  #sawWrite(offset: number, value: number): void {
    this.#polls = 0;
    if (offset === port.lineControl) this.#divisorLatched = (value & divisorLatch) !== 0;
    if (offset === port.interruptEnable && !this.#divisorLatched) this.#receiveInterrupt = (value & receiveInterrupt) !== 0;
    if (offset !== port.modemControl) return;
    this.#requestToSend = (value & (requestToSend | loopback)) === requestToSend;
    this.#pump();
  }
}
