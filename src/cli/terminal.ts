/**
 * The person's side of the machine, serial port 0 or screen and keyboard: stdin and stdout, raw when stdin is a terminal. In raw mode Ctrl-C and the like go to the
 * guest, so Ctrl-A is the way out, as with QEMU. Whatever happens, the terminal is put back: on return, on signals, on exit.
 */
import type { ReadStream } from "node:tty";

export interface TerminalHandlers {
  /** Bytes for the guest. */
  input(bytes: Uint8Array): void;
  /** Ctrl-A X, or a signal: `code` is the exit code that goes with it. */
  leave(code: number): void;
  /** Ctrl-A H; by default the list goes to stderr. */
  help?(): void;
  /** Ctrl-A D: Ctrl-Alt-Delete, which no terminal sends. Without it, Ctrl-A D is two bytes for the guest. */
  controlAltDelete?(): void;
  /** The program goes on after it was stopped: the terminal may show something else. */
  continued?(): void;
}

const controlA = 0x01;
export const escapeHelp = "Ctrl-A X  leave xlat86\r\nCtrl-A H  this list\r\nCtrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

type EscapeCommand = "leave" | "help" | "controlAltDelete";

/** Splits Ctrl-A sequences out of what is typed; a sequence may arrive in two pieces. */
export class EscapeFilter {
  #afterEscape = false;
  readonly #letters: Readonly<Record<string, EscapeCommand>>;

  /** @param hasKeyboard the guest's keyboard is at the other end */
  constructor(hasKeyboard = false) {
    this.#letters = { x: "leave", h: "help", "?": "help", ...(hasKeyboard ? { d: "controlAltDelete" } : {}) };
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

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
const brokenPipe = 128 + 13;

export class Terminal {
  readonly #handlers: TerminalHandlers;
  readonly #escapes: EscapeFilter;
  readonly #isTty = process.stdin.isTTY === true;
  #open = false;

  constructor(handlers: TerminalHandlers) {
    this.#handlers = handlers;
    this.#escapes = new EscapeFilter(handlers.controlAltDelete !== undefined);
  }

  /** @param readInput whether stdin goes to the guest; signals and a closed stdout are looked after either way. */
  open(readInput: boolean): void {
    this.#open = true;
    process.stdout.on("error", this.#outputFailed);
    process.stderr.on("error", this.#outputFailed);
    for (const signal of Object.keys(signals)) process.on(signal, this.#signalled);
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
    for (const signal of Object.keys(signals)) process.off(signal, this.#signalled);
    process.off("SIGCONT", this.#continued);
    process.off("exit", this.#restore);
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
    if (!this.#isTty) return this.#handlers.input(chunk);
    const { data, commands } = this.#escapes.filter(chunk);
    if (data.length > 0) this.#handlers.input(data);
    for (const command of commands) {
      if (command === "leave") this.#handlers.leave(0);
      else if (command === "controlAltDelete") this.#handlers.controlAltDelete?.();
      else if (this.#handlers.help !== undefined) this.#handlers.help();
      else process.stderr.write(`\r\n${escapeHelp}`);
    }
  };

  readonly #inputFailed = (): void => {};

  readonly #signalled = (signal: NodeJS.Signals): void => {
    this.#handlers.leave(128 + (signals[signal as keyof typeof signals] ?? 0));
  };

  readonly #outputFailed = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") process.exitCode ??= 1;
    this.#handlers.leave(brokenPipe);
  };
}
