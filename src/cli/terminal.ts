/**
 * The person's side of the machine, serial port 0 or screen and keyboard: stdin and stdout, raw when stdin is a terminal. In raw mode Ctrl-C and the like go to the
 * guest, so Ctrl-A is the way out, as with QEMU. Whatever happens, the terminal is put back: on return and on exit.
 */
import type { ReadStream } from "node:tty";
import { outputFailure } from "./output-failure.ts";

export interface TerminalHandlers {
  /** Bytes for the guest. */
  input(bytes: Uint8Array): void;
  /** The guest has been given enough for now: a file or pipe is not read on until it has taken some of it. */
  isFull?(): boolean;
  /** Ctrl-A X, or an output that takes nothing any more: `code` is the exit code that goes with it. */
  leave(code: number): void;
  /** Ctrl-A H; by default the list goes to stderr. */
  help?(): void;
  /** Ctrl-A D: Ctrl-Alt-Delete, which no terminal sends. Without it, Ctrl-A D is two bytes for the guest. */
  controlAltDelete?(): void;
  /** Ctrl-A C: the monitor. Without it, Ctrl-A C is two bytes for the guest. */
  monitor?(): void;
  /** The program goes on after it was stopped: the terminal may show something else. */
  continued?(): void;
}

const controlA = 0x01;
const pauseMilliseconds = 10;
export const escapeHelp =
  "Ctrl-A X  leave xlat86\r\nCtrl-A C  change media (the monitor; help there)\r\nCtrl-A H  this list\r\nCtrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

type EscapeCommand = "leave" | "help" | "controlAltDelete" | "monitor";

/** Splits Ctrl-A sequences out of what is typed; a sequence may arrive in two pieces. */
export class EscapeFilter {
  #afterEscape = false;
  readonly #letters: Readonly<Record<string, EscapeCommand>>;

  /** @param others letters of commands that not every terminal has */
  constructor(others: Readonly<Record<string, EscapeCommand>> = {}) {
    this.#letters = { x: "leave", h: "help", "?": "help", ...others };
  }

  /** Returns the bytes for the guest and the commands found, in order of appearance. */
  filter(bytes: Uint8Array): { data: Uint8Array; commands: EscapeCommand[] } {
    const data: number[] = [];
    const commands: EscapeCommand[] = [];
    for (const byte of bytes) {
      if (!this.#afterEscape) {
        if (byte === controlA) this.#afterEscape = true;
        else data.push(byte);
        continue;
      }
      this.#afterEscape = false;
      const command = this.#letters[String.fromCharCode(byte).toLowerCase()];
      if (byte === controlA) data.push(controlA);
      else if (command !== undefined) commands.push(command);
      else data.push(controlA, byte);
    }
    return { data: Uint8Array.from(data), commands };
  }
}

export class Terminal {
  readonly #handlers: TerminalHandlers;
  readonly #escapes: EscapeFilter;
  readonly #isTty = process.stdin.isTTY === true;
  #open = false;
  #pause: NodeJS.Timeout | undefined;

  constructor(handlers: TerminalHandlers) {
    this.#handlers = handlers;
    this.#escapes = new EscapeFilter({
      ...(handlers.controlAltDelete === undefined ? {} : { d: "controlAltDelete" }),
      ...(handlers.monitor === undefined ? {} : { c: "monitor" }),
    });
  }

  /** @param readInput whether stdin goes to the guest; a closed stdout is looked after either way. */
  open(readInput: boolean): void {
    this.#open = true;
    process.stdout.on("error", this.#outputFailed);
    process.stderr.on("error", this.#outputFailed);
    process.on("exit", this.#restore);
    if (!readInput) return;
    if (this.#isTty) {
      (process.stdin as ReadStream).setRawMode(true);
      process.on("SIGCONT", this.#continued);
    }
    process.stdin.on("data", this.#typed);
    // A guest goes on when its input ends: the other end of a serial line that fell silent.
    process.stdin.on("error", this.#inputFailed);
    process.stdin.resume();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#restore();
    process.off("SIGCONT", this.#continued);
    process.off("exit", this.#restore);
    clearInterval(this.#pause);
    process.stdin.off("data", this.#typed);
    process.stdin.pause();
    // A pending read of a pipe or terminal would otherwise keep the process alive.
    process.stdin.unref?.();
  }

  write(bytes: Uint8Array): void {
    process.stdout.write(bytes);
  }

  readonly #restore = (): void => {
    if (this.#isTty && (process.stdin as ReadStream).isRaw) (process.stdin as ReadStream).setRawMode(false);
  };

  readonly #continued = (): void => {
    (process.stdin as ReadStream).setRawMode(true);
    this.#handlers.continued?.();
  };

  readonly #typed = (chunk: Buffer): void => {
    if (!this.#isTty) {
      this.#handlers.input(chunk);
      return this.#pauseIfFull();
    }
    // What follows a command may be for somebody else.
    for (let at = 0; at < chunk.length; ) {
      const next = chunk.indexOf(controlA, at);
      const end = next === at ? at + 2 : next < 0 ? chunk.length : next;
      this.#take(chunk.subarray(at, end));
      at = end;
    }
  };

  #take(piece: Uint8Array): void {
    const { data, commands } = this.#escapes.filter(piece);
    if (data.length > 0) this.#handlers.input(data);
    for (const command of commands) {
      if (command === "leave") this.#handlers.leave(0);
      else if (command === "controlAltDelete") this.#handlers.controlAltDelete?.();
      else if (command === "monitor") this.#handlers.monitor?.();
      else if (this.#handlers.help !== undefined) this.#handlers.help();
      else process.stderr.write(`\r\n${escapeHelp}`);
    }
  }

  #pauseIfFull(): void {
    if (this.#handlers.isFull?.() !== true) return;
    process.stdin.pause();
    clearInterval(this.#pause);
    this.#pause = setInterval(() => {
      if (this.#handlers.isFull?.() === true) return;
      clearInterval(this.#pause);
      process.stdin.resume();
    }, pauseMilliseconds);
  }

  readonly #inputFailed = (): void => {};

  readonly #outputFailed = (error: NodeJS.ErrnoException): void => {
    this.#handlers.leave(outputFailure(error).code);
  };
}
