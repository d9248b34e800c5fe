/** The monitor's line at the terminal: in the last line of a screen that is drawn there, or among what the serial port shows. */
import { LineEditor } from "./monitor.ts";

export interface PromptPlace {
  /** What the line looks like now. */
  show(text: string): void;
  /** The line is over; these are the answers. */
  end(answers: readonly string[]): void;
}

export type Execute = (line: string) => Promise<string[]>;

const prompt = "(xlat86) ";

/** Serial output goes on above and below; the line is drawn again with every key. */
export function serialPrompt(write: (text: string) => void): PromptPlace {
  write("\r\n");
  return {
    show: (text) => write(`\r\x1b[K${text}`),
    end: (answers) => write(`\r\n${answers.map((answer) => `${answer}\r\n`).join("")}`),
  };
}

export class MonitorPrompt {
  readonly #editor = new LineEditor();
  readonly #place: PromptPlace;
  readonly #execute: Execute;
  readonly #closed: () => void;

  /** @param closed the keys are the guest's again */
  constructor(place: PromptPlace, execute: Execute, closed: () => void) {
    this.#place = place;
    this.#execute = execute;
    this.#closed = closed;
    this.#show();
  }

  type(bytes: Uint8Array): void {
    const end = this.#editor.feed(bytes);
    this.#show();
    if (end === undefined) return;
    this.#closed();
    if (end === "cancelled") this.#place.end([]);
    else void this.#execute(this.#editor.line).then((answers) => this.#place.end(answers));
  }

  #show(): void {
    this.#place.show(`${prompt}${this.#editor.line}`);
  }
}
