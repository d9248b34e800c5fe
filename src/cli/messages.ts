/**
 * What the person is told on stderr while a guest runs. Where the terminal shows the guest's screen, a message would be drawn over: it stands in the last line
 * for a while, and comes on stderr once the terminal is given back.
 */

/** Kept while the screen is shown; more would only hide the first ones. */
const mostKept = 100;

export class Messages {
  #show: ((line: string) => void) | undefined;
  #kept: string[] = [];
  #isRunning = false;
  readonly #isTerminal = process.stderr.isTTY === true;

  readonly say = (message: string): void => {
    if (this.#show !== undefined && this.#isTerminal) {
      if (this.#kept.length < mostKept) this.#kept.push(message);
      this.#show(`xlat86: ${message}`);
      return;
    }
    // In the terminal the guest may have stopped in the middle of a line.
    process.stderr.write(`${this.#isRunning && this.#isTerminal ? "\n" : ""}xlat86: ${message}\n`);
  };

  /** The guest runs, and writes to the terminal; with `show`, its screen is drawn there, and `show` puts a line on it. */
  hold(show?: (line: string) => void): void {
    this.#isRunning = true;
    this.#show = show;
  }

  release(): void {
    this.#isRunning = false;
    this.#show = undefined;
    const kept = this.#kept;
    this.#kept = [];
    for (const message of kept) this.say(message);
    if (kept.length === mostKept) this.say("... and what came after that");
  }
}
