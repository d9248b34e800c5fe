/**
 * What the guest shows, for programs: text as Unicode, pixels, PNG files, and waiting until some text appears. The display itself belongs to the
 * graphics adapter (runtime/devices/vga); a machine without one has a blank screen.
 */
import type { Display, Frame } from "../../runtime/devices/vga/display.ts";
import { codePage437 } from "./code-page.ts";
import { encodePng } from "./png.ts";
import { type PatternWaiter, Waiters, type WaitOptions } from "./wait.ts";

/** One place of a text screen. */
export interface ScreenCell {
  readonly character: string;
  /** VGA attribute: foreground in bits 0-3, background in bits 4-6, blink (or bright background) in bit 7. */
  readonly attribute: number;
}

export interface ScreenText {
  readonly columns: number;
  readonly rows: number;
  /** Row by row from the top. */
  readonly cells: readonly (readonly ScreenCell[])[];
  readonly cursor: { readonly column: number; readonly row: number; readonly visible: boolean };
}

const blankFrame: Frame = { width: 640, height: 400, pixels: new Uint8ClampedArray(640 * 400 * 4).map((_, i) => ((i & 3) === 3 ? 255 : 0)) };

export class Screen {
  readonly #display: Display | undefined;
  readonly #waiters = new Waiters();
  #seen = -1;

  constructor(display: Display | undefined) {
    this.#display = display;
  }

  /** "blank" while the screen is off or no mode is set. */
  get kind(): "text" | "graphics" | "blank" {
    return this.#display?.kind ?? "blank";
  }

  /** Pixels of a frame. */
  get width(): number {
    return this.#display?.width ?? blankFrame.width;
  }

  get height(): number {
    return this.#display?.height ?? blankFrame.height;
  }

  /** Changes whenever what is shown may have changed. */
  get generation(): number {
    return this.#display?.generation ?? 0;
  }

  /** The lines of a text screen from the top, without the blanks at their ends; none in graphics modes. */
  text(): string[] {
    const screen = this.#display?.text();
    if (screen === undefined) return [];
    const { columns, rows, characters } = screen;
    return Array.from({ length: rows }, (_, row) => {
      let line = "";
      for (let column = 0; column < columns; column++) line += codePage437[characters[row * columns + column]!];
      return line.trimEnd();
    });
  }

  /** The same with colours and cursor; undefined in graphics modes. */
  textWithAttributes(): ScreenText | undefined {
    const screen = this.#display?.text();
    if (screen === undefined) return undefined;
    const { columns, rows, characters, attributes, cursor } = screen;
    const cell = (at: number): ScreenCell => ({ character: codePage437[characters[at]!]!, attribute: attributes[at]! });
    const cells = Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => cell(row * columns + column)));
    return { columns, rows, cells, cursor: { ...cursor } };
  }

  /** The frame shown now; its pixels may be reused for the next one. `blinkOn`: whether blinking characters and the cursor are in their visible half. */
  pixels(blinkOn = true): Frame {
    return this.#display?.render(blinkOn) ?? blankFrame;
  }

  /** The frame shown now as a PNG file. */
  png(): Uint8Array {
    return encodePng(this.pixels());
  }

  /**
   * Resolves to the screen's lines once `pattern` is on it: a string inside a line, or a RegExp over the lines joined by "\n". Text that is there already
   * counts. Waits while the machine runs; rejects after `timeout` host seconds (60 if not told) or when the run ends, with the screen in the message.
   */
  waitForText(pattern: string | RegExp, options: WaitOptions = {}): Promise<string[]> {
    const waiter: PatternWaiter<string[]> = {
      what: `text ${typeof pattern === "string" ? JSON.stringify(pattern) : pattern} on the screen`,
      check: () => {
        const lines = this.text();
        const matches = typeof pattern === "string" ? lines.some((line) => line.includes(pattern)) : stateless(pattern).test(lines.join("\n"));
        return matches ? lines : undefined;
      },
      describe: () => this.describe(),
    };
    return this.#waiters.wait(waiter, options);
  }

  /** What is on the screen, for an error message. */
  describe(): string {
    if (this.kind === "blank") return "the screen is blank";
    if (this.kind === "graphics")
      return `the screen is in a graphics mode of ${this.width} x ${this.height}, which has no text; look at screen.png()`;
    const lines = this.text();
    while (lines.length > 0 && lines.at(-1) === "") lines.pop();
    return lines.length === 0 ? "the screen is a text screen without text" : `the screen shows:\n${lines.map((line) => `| ${line}`).join("\n")}`;
  }

  /**
   * Looks whether what is waited for has appeared. Called between slices of guest time.
   * @internal
   */
  poll(): void {
    if (this.#waiters.size === 0 || this.generation === this.#seen) return;
    this.#seen = this.generation;
    this.#waiters.check();
  }

  /**
   * The run is over: what has not appeared will not.
   * @internal
   */
  ended(reason: string): void {
    this.#waiters.check();
    this.#waiters.end(reason);
  }

  /**
   * The machine is destroyed.
   * @internal
   */
  close(): void {
    this.#waiters.close();
  }
}

/** A RegExp with the g or y flag would begin where it last stopped. */
export function stateless(pattern: RegExp): RegExp {
  return pattern.global || pattern.sticky ? new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")) : pattern;
}
