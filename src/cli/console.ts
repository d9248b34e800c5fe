/**
 * What the person at the terminal sees and types: serial port 0 or the PC's text screen, never both. Where neither was asked for, a PC that boots from its drives
 * shows its screen if stdin and stdout are a terminal; everything else is serial.
 */
import type { Machine } from "../machine/machine.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { openSerial, type SerialSink } from "./serial.ts";
import { Terminal } from "./terminal.ts";
import { type Chord, TerminalKeys } from "./terminal-keys.ts";
import { displayHelp, TextDisplay } from "./text-display.ts";

export interface ConsoleChoice {
  readonly display: "text" | "none";
  readonly serial: RunOptions["serial"];
}

/** Errors: `UsageError`. */
export function chooseConsole(options: RunOptions, isTerminal: boolean): ConsoleChoice {
  if (options.display === "web") throw new UsageError("--display web: the page is started with npm run web; choose the image there");
  // What is written to stdout would be drawn over.
  const usesOutput = options.screenText === "-" && options.captureAt !== undefined;
  const wantsSerial = options.serialGiven && options.serial.kind === "stdio";
  if (options.display === "text" && wantsSerial) {
    throw new UsageError("--display text and --serial stdio: the terminal can show one of them; --serial file:PATH keeps the other");
  }
  const bootsDrives = options.kernel === undefined && (options.drives.length > 0 || options.bios !== undefined);
  const suits = bootsDrives && isTerminal && !wantsSerial && !usesOutput;
  const display = options.display ?? (suits ? "text" : "none");
  return { display, serial: display === "text" && !options.serialGiven ? { kind: "none" } : options.serial };
}

const framesPerSecond = 30;
/** How long an Escape waits for the rest of a sequence. */
const escapeMilliseconds = 50;
const noticeMilliseconds = 5000;
/** Chords that wait for a guest that does not read: room for a text that was pasted. */
const typeAhead = 4096;

export class Console {
  readonly #choice: ConsoleChoice;
  readonly #terminal: Terminal;
  readonly #serial: SerialSink;
  readonly #keys = new TerminalKeys();
  #machine: Machine | undefined;
  #display: TextDisplay | undefined;
  #frames: NodeJS.Timeout | undefined;
  #escape: NodeJS.Timeout | undefined;
  #waiting = 0;

  /** Opens the serial port's file. `leave`: the person or a signal wants to go. Errors: `UsageError`. */
  constructor(choice: ConsoleChoice, leave: (code: number) => void) {
    this.#choice = choice;
    const isScreen = choice.display === "text";
    this.#terminal = new Terminal({
      input: (bytes) => (isScreen ? this.#typed(bytes) : this.#machine?.serial.write(bytes)),
      leave,
      ...(isScreen
        ? {
            help: () => this.#notice(),
            controlAltDelete: () => this.#press(["ControlLeft", "AltLeft", "Delete"]),
            continued: () => this.#display?.open(),
          }
        : {}),
    });
    this.#serial = openSerial(choice.serial, (bytes) => this.#terminal.write(bytes));
  }

  /** The terminal is the machine's from here to `close`. */
  open(machine: Machine): void {
    this.#machine = machine;
    machine.on("serial", (bytes) => this.#serial.write(bytes));
    const isScreen = this.#choice.display === "text";
    this.#terminal.open(isScreen || this.#choice.serial.kind === "stdio");
    if (!isScreen) return;
    const { stdout } = process;
    this.#display = new TextDisplay(machine.screen, {
      write: (text) => void stdout.write(text),
      size: () => (stdout.isTTY ? { columns: stdout.columns, rows: stdout.rows } : undefined),
    });
    this.#display.open();
    stdout.on("resize", this.#resized);
    process.on("exit", this.#closeDisplay);
    this.#frames = setInterval(() => this.#display?.draw(), 1000 / framesPerSecond);
  }

  /** Gives the terminal back; stderr is for messages again. */
  closeTerminal(): void {
    this.#closeDisplay();
    this.#terminal.close();
  }

  close(): void {
    this.closeTerminal();
    this.#serial.close();
  }

  readonly #resized = (): void => this.#display?.redraw();

  readonly #closeDisplay = (): void => {
    clearInterval(this.#frames);
    clearTimeout(this.#escape);
    this.#display?.close();
    this.#display = undefined;
    process.stdout.off("resize", this.#resized);
    process.off("exit", this.#closeDisplay);
  };

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

  #notice(): void {
    this.#display?.notice(displayHelp);
    setTimeout(() => this.#display?.redraw(), noticeMilliseconds).unref();
  }
}
