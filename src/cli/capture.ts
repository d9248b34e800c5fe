/** `--screenshot` and `--screen-text`: the screen into files, once. */
import type { Screen } from "../machine/screen.ts";
import type { RunOptions } from "./arguments.ts";
import { closeOutput, openOutput, writeOutput } from "./files.ts";

const standardOutput = 1;

export class Capture {
  readonly #picture: number | undefined;
  readonly #text: number | undefined;
  #isTaken = false;

  /** Opens the files, so that a bad path is reported before the guest starts. Errors: `UsageError`. */
  constructor({ screenshot, screenText }: RunOptions) {
    if (screenshot !== undefined) this.#picture = openOutput("screenshot", screenshot);
    if (screenText !== undefined) this.#text = screenText === "-" ? standardOutput : openOutput("screen-text", screenText);
  }

  /** Errors: `UsageError`. */
  take(screen: Screen): void {
    if (this.#isTaken) return;
    this.#isTaken = true;
    if (this.#picture !== undefined) writeOutput("screenshot", this.#picture, screen.png());
    if (this.#text !== undefined) {
      const lines = screen.text();
      while (lines.length > 0 && lines.at(-1) === "") lines.pop();
      writeOutput("screen-text", this.#text, lines.map((line) => `${line}\n`).join(""));
      if (screen.kind !== "text") process.stderr.write(`xlat86: --screen-text: ${screen.describe()}\n`);
    }
    this.close();
  }

  close(): void {
    this.#isTaken = true;
    for (const file of [this.#picture, this.#text]) if (file !== undefined && file !== standardOutput) closeOnce(file, this.#closed);
  }
  readonly #closed = new Set<number>();
}

function closeOnce(file: number, closed: Set<number>): void {
  if (closed.has(file)) return;
  closed.add(file);
  closeOutput(file);
}
