/**
 * What the person at the terminal sees and types: serial port 0 or the PC's text screen, never both. Where neither was asked for, a PC that boots from its drives
 * shows its screen if stdin and stdout are a terminal; everything else is serial.
 */
import type { Machine } from "../machine/machine.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import type { Messages } from "./messages.ts";
import { type Execute, MonitorPrompt, type PromptPlace, serialPrompt } from "./monitor-prompt.ts";
import { openSerial, type SerialSink } from "./serial.ts";
import { Terminal } from "./terminal.ts";
import { type Chord, TerminalKeys } from "./terminal-keys.ts";
import { displayHelp, TextDisplay } from "./text-display.ts";

export interface ConsoleChoice {
  readonly display: "text" | "web" | "none";
  readonly serial: RunOptions["serial"];
}

/** Errors: `UsageError`. */
export function chooseConsole(options: RunOptions, isTerminal: boolean): ConsoleChoice {
  // What is written to stdout would be drawn over.
  const usesOutput = options.screenText === "-" && options.captureAt !== undefined;
  const wantsSerial = options.serialGiven && options.serial.kind === "stdio";
  if (options.display === "text" && wantsSerial) {
    throw new UsageError("--display text and --serial stdio: the terminal can show one of them; --serial file:PATH keeps the other");
  }
  const bootsDrives = options.kernel === undefined && (options.drives.length > 0 || options.bios !== undefined);
  const suits = bootsDrives && isTerminal && !wantsSerial && !usesOutput;
  const display = options.display ?? (suits ? "text" : "none");
  // The page has a terminal of its own for it.
  return { display, serial: display !== "none" && !options.serialGiven ? { kind: "none" } : options.serial };
}

const framesPerSecond = 30;
/** How long an Escape waits for the rest of a sequence. */
const escapeMilliseconds = 50;
const noticeMilliseconds = 5000;
/** Bytes that wait for a guest that does not listen on its serial port. */
const mostWaiting = 1 << 16;
/** Chords that wait for a guest that does not read: room for a text that was pasted. */
const typeAhead = 4096;

export class Console {
  readonly #choice: ConsoleChoice;
  readonly #messages: Messages;
  readonly #terminal: Terminal;
  readonly #serial: SerialSink;
  readonly #keys = new TerminalKeys();
  #machine: Machine | undefined;
  #display: TextDisplay | undefined;
  #frames: NodeJS.Timeout | undefined;
  #escape: NodeJS.Timeout | undefined;
  #notice: NodeJS.Timeout | undefined;
  #prompt: MonitorPrompt | undefined;
  #monitor: Execute | undefined;
  #waiting = 0;

  /** Opens the serial port's file. `leave`: the person wants to go, or the terminal has gone. Errors: `UsageError`. */
  constructor(choice: ConsoleChoice, messages: Messages, leave: (code: number) => void) {
    this.#choice = choice;
    this.#messages = messages;
    const isScreen = choice.display === "text";
    this.#terminal = new Terminal({
      isFull: () => !isScreen && (this.#machine?.serial.waiting() ?? 0) > mostWaiting,
      input: (bytes) => {
        if (this.#prompt !== undefined) this.#prompt.type(bytes);
        else if (isScreen) this.#typed(bytes);
        else this.#machine?.serial.write(bytes);
      },
      monitor: () => this.#openPrompt(),
      leave,
      ...(isScreen
        ? {
            help: () => this.#showNotice(displayHelp),
            controlAltDelete: () => this.#press(["ControlLeft", "AltLeft", "Delete"]),
            continued: () => this.#display?.open(),
          }
        : {}),
    });
    this.#serial = openSerial(choice.serial, (bytes) => this.#terminal.write(bytes));
  }

  /** The terminal is the machine's from here to `close`. `monitor` executes what is typed after Ctrl-A C. */
  open(machine: Machine, monitor: Execute): void {
    this.#machine = machine;
    this.#monitor = monitor;
    this.#serial.open();
    machine.on("serial", (bytes) => this.#serial.write(bytes));
    const isScreen = this.#choice.display === "text";
    this.#terminal.open(isScreen || this.#choice.serial.kind === "stdio");
    if (!isScreen) return this.#messages.hold();
    const { stdout } = process;
    this.#display = new TextDisplay(machine.screen, {
      write: (text) => void stdout.write(text),
      // A terminal of which nobody knows the size says 0.
      size: () => (stdout.isTTY && stdout.columns > 0 && stdout.rows > 0 ? { columns: stdout.columns, rows: stdout.rows } : undefined),
    });
    this.#display.open();
    stdout.on("resize", this.#resized);
    process.on("exit", this.#closeDisplay);
    this.#frames = setInterval(() => this.#display?.draw(), 1000 / framesPerSecond);
    this.#messages.hold(stdout.isTTY ? (line) => this.#showNotice(line) : undefined);
  }

  /** Gives the terminal back; stderr is for messages again. */
  closeTerminal(): void {
    this.#closeDisplay();
    this.#terminal.close();
    this.#messages.release();
  }

  close(): void {
    this.closeTerminal();
    this.#serial.close();
  }

  readonly #resized = (): void => this.#display?.redraw();

  readonly #closeDisplay = (): void => {
    clearInterval(this.#frames);
    clearTimeout(this.#escape);
    clearTimeout(this.#notice);
    this.#display?.close();
    this.#display = undefined;
    process.stdout.off("resize", this.#resized);
    process.off("exit", this.#closeDisplay);
  };

  #openPrompt(): void {
    const onScreen: PromptPlace = {
      show: (text) => {
        clearTimeout(this.#notice);
        const columns = (process.stdout.columns || 80) - 1;
        this.#display?.notice(`${text.length > columns ? `…${text.slice(1 - columns)}` : text}_`);
      },
      end: (answers) => (answers.length === 0 ? this.#display?.endNotice() : this.#showNotice(answers.join("; "))),
    };
    if (this.#monitor === undefined || this.#prompt !== undefined) return;
    const place = this.#choice.display === "text" ? onScreen : serialPrompt((text) => this.#terminal.write(new TextEncoder().encode(text)));
    this.#prompt = new MonitorPrompt(place, this.#monitor, () => {
      this.#prompt = undefined;
    });
  }

  #typed(bytes: Uint8Array): void {
    clearTimeout(this.#escape);
    for (const chord of this.#keys.feed(bytes)) this.#press(chord);
    if (!this.#keys.isWaiting) return;
    this.#escape = setTimeout(() => {
      for (const chord of this.#keys.flush()) this.#press(chord);
    }, escapeMilliseconds);
  }

  #press(chord: Chord): void {
    if (this.#machine === undefined || this.#waiting >= typeAhead) return;
    this.#waiting++;
    void this.#machine.keyboard.press(...chord).then(() => {
      this.#waiting--;
    });
  }

  #showNotice(line: string): void {
    this.#display?.notice(line);
    clearTimeout(this.#notice);
    this.#notice = setTimeout(() => this.#display?.endNotice(), noticeMilliseconds).unref();
  }
}
