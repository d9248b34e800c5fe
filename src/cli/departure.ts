/**
 * Leaving early: signals, Ctrl-A X, an output that nobody reads any more. What that does depends on how far things are: an image that is open must be closed and
 * its lock released, a guest that runs must come to the end of its slice. Who sends a second signal does not want to wait: then the process ends with what can be
 * closed at once (image files can), and puts the terminal back.
 */

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type Signal = keyof typeof signals;

/** Host milliseconds that closing may take where nothing else ends the process. */
const patience = 5000;

export class Departure {
  #code: number | undefined;
  #reaction: (() => void) | undefined;
  #close: (() => Promise<void>) | undefined;
  #isSignalled = false;

  constructor() {
    for (const signal of Object.keys(signals)) process.on(signal, this.#signalled);
  }

  /** The exit code that goes with it, once somebody wants to leave. */
  get code(): number | undefined {
    return this.#code;
  }

  /** From here on, leaving means this, and its code is given by whoever it brings to an end. */
  onLeave(react: () => void): void {
    this.#reaction = react;
    if (this.#code !== undefined) react();
  }

  /** From here on, leaving means this and then the end of the process. */
  exitAfter(close: () => Promise<void>): void {
    this.#close = close;
    this.onLeave(() => {
      const exit = (): never => process.exit(this.#code);
      setTimeout(exit, patience).unref();
      close().then(exit, exit);
    });
  }

  readonly leave = (code: number): void => {
    if (this.#code !== undefined) return;
    this.#code = code;
    this.#reaction?.();
  };

  close(): void {
    for (const signal of Object.keys(signals)) process.off(signal, this.#signalled);
    this.#reaction = undefined;
  }

  readonly #signalled = (signal: NodeJS.Signals): void => {
    const code = 128 + (signals[signal as Signal] ?? 0);
    // A terminal that is closed makes writing to it fail, and then hangs up: that is one wish.
    if (this.#isSignalled || this.#reaction === undefined) {
      this.#close?.().catch(() => {});
      process.exit(this.#code ?? code);
    }
    this.#isSignalled = true;
    this.leave(code);
  };
}
