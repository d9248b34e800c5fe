/** `--screenshot` and `--screen-text`: the screen into files, once. */
import type { Screen } from "../machine/screen.ts";
import type { RunOptions } from "./arguments.ts";
import { Output } from "./files.ts";

export class Capture {
  readonly #picture: Output | undefined;
  readonly #text: Output | undefined;
  readonly #say: (message: string) => void;
  #isTaken = false;

  /** Opens the files, so that a bad path is reported before the guest starts. `say` tells the person. Errors: `UsageError`. */
  constructor({ screenshot, screenText }: RunOptions, say: (message: string) => void) {
    this.#say = say;
    if (screenshot !== undefined) this.#picture = Output.open("screenshot", screenshot);
    if (screenText !== undefined) this.#text = screenText === "-" ? Output.standard("screen-text", 1) : Output.open("screen-text", screenText);
  }

  /** Errors: `UsageError`. */
  take(screen: Screen): void {
    if (this.#isTaken) return;
    this.#isTaken = true;
    this.#picture?.write(screen.png());
    if (this.#text !== undefined) {
      const lines = screen.text();
      while (lines.length > 0 && lines.at(-1) === "") lines.pop();
      this.#text.write(lines.map((line) => `${line}\n`).join(""));
      if (screen.kind !== "text") this.#say(`--screen-text: ${screen.describe()}`);
    }
    this.close();
  }

  close(): void {
    this.#isTaken = true;
    this.#picture?.close();
    this.#text?.close();
  }
}
