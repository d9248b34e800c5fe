/** The last of what the guest sent on serial port 0, for those who wait for something in it. */
import { stateless } from "./screen.ts";
import { Waiters, type WaitOptions } from "./wait.ts";

/** Characters kept. */
const limit = 1 << 20;
const shownLines = 25;

export class SerialLog {
  readonly #waiters = new Waiters();
  /** One character for each byte, so that pieces may end anywhere; made text again when it is asked for. */
  #text = "";

  add(bytes: Uint8Array): void {
    let piece = "";
    for (const byte of bytes) piece += String.fromCharCode(byte);
    this.#text += piece;
    if (this.#text.length > 2 * limit) this.#text = this.#text.slice(-limit);
    if (this.#waiters.size > 0) this.#waiters.check();
  }

  waitFor(pattern: string | RegExp, options: WaitOptions): Promise<string> {
    return this.#waiters.wait(
      {
        what: `${typeof pattern === "string" ? JSON.stringify(pattern) : pattern} on serial port 0`,
        check: () => this.#take(pattern),
        describe: () => this.#describe(),
      },
      options,
    );
  }

  /** The run is over: what has not come will not. */
  ended(why: string): void {
    this.#waiters.end(why);
  }

  /** The machine is destroyed. */
  close(): void {
    this.#waiters.close();
  }

  /** Takes the text up to the end of the first match out of the log. */
  #take(pattern: string | RegExp): string | undefined {
    const wanted = typeof pattern === "string" ? decode(encode(pattern), false) : stateless(pattern);
    let end = -1;
    if (typeof wanted === "string") {
      const at = this.#text.indexOf(wanted);
      if (at >= 0) end = at + wanted.length;
    } else {
      const match = wanted.exec(this.#text);
      if (match !== null) end = match.index + match[0].length;
    }
    if (end < 0) return undefined;
    const taken = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return decode(
      Uint8Array.from(taken, (character) => character.charCodeAt(0)),
      true,
    );
  }

  #describe(): string {
    if (this.#text === "") return "the guest has sent nothing since";
    const lines = this.#text.split("\n").slice(-shownLines);
    return `the last it sent:\n${lines.map((line) => `| ${line.trimEnd()}`).join("\n")}`;
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bytes as UTF-8, or as one character each. */
function decode(bytes: Uint8Array, isUtf8: boolean): string {
  if (isUtf8) return new TextDecoder().decode(bytes);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
