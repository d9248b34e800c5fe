/**
 * `--display text`: the PC's text screen drawn in the terminal with ANSI sequences (ECMA-48). Only what changed is written; a terminal smaller than the screen shows
 * the part with the cursor in it, a larger one has a line of help below.
 */
import type { Screen, ScreenCell, ScreenText } from "../machine/screen.ts";

export interface TextTerminal {
  write(text: string): void;
  /** Undefined where nothing is known. */
  size(): { readonly columns: number; readonly rows: number } | undefined;
}

/** ANSI's order of colours by the VGA's: red and blue are swapped. */
const ansiColour = [0, 4, 2, 6, 1, 5, 3, 7];
const reset = "\x1b[0m";
const defaultSize = { columns: 80, rows: 25 };

/** Of attribute bit 7 the screen does not say whether it means blinking or bright background; blinking is how a BIOS leaves it. */
export function selectRendition(attribute: number): string {
  const foreground = (attribute & 8 ? 90 : 30) + ansiColour[attribute & 7]!;
  const background = 40 + ansiColour[(attribute >> 4) & 7]!;
  return `\x1b[0;${attribute & 0x80 ? "5;" : ""}${foreground};${background}m`;
}

const help = " xlat86   Ctrl-A X  leave   Ctrl-A H  help ";
/** For `notice`. */
export const displayHelp = " Ctrl-A X  leave   Ctrl-A D  Ctrl-Alt-Delete   Ctrl-A C  change media   Ctrl-A Ctrl-A  Ctrl-A   Esc, then a key  Alt ";

export class TextDisplay {
  readonly #screen: Screen;
  readonly #terminal: TextTerminal;
  #shown: readonly (readonly ScreenCell[])[] = [];
  #generation = -1;
  /** What the screen is and where it goes; with the size of the text, which only the text says. */
  #place = "";
  #layout = "";
  #isOpen = false;
  /** A line over the screen's last. */
  #notice: string | undefined;

  constructor(screen: Screen, terminal: TextTerminal) {
    this.#screen = screen;
    this.#terminal = terminal;
  }

  /** Takes the terminal's alternate screen, so that what was there before comes back. */
  open(): void {
    this.#isOpen = true;
    this.#terminal.write("\x1b[?1049h\x1b[?25l");
    this.redraw();
  }

  /** Gives the terminal back, with the guest's last text left in it. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const lines = this.#screen.text();
    while (lines.length > 0 && lines.at(-1) === "") lines.pop();
    this.#terminal.write(`${reset}\x1b[?1049l\x1b[?25h${lines.map((line) => `${line}\r\n`).join("")}`);
  }

  /** Everything again: the terminal may show something else. */
  redraw(): void {
    this.#place = "";
    this.#layout = "";
    this.draw();
  }

  /** A line at the bottom, over whatever is there, until `endNotice`. */
  notice(text: string): void {
    // What would move the cursor or start a sequence is not for a terminal.
    this.#notice = text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, " ");
    this.#drawNotice();
  }

  endNotice(): void {
    if (this.#notice === undefined) return;
    this.#notice = undefined;
    this.redraw();
  }

  #drawNotice(): void {
    if (!this.#isOpen || this.#notice === undefined) return;
    const { columns, rows } = this.#terminal.size() ?? defaultSize;
    this.#terminal.write(`\x1b7\x1b[${rows};1H\x1b[0;7m${this.#notice.padEnd(columns).slice(0, columns)}${reset}\x1b8`);
  }

  /** Brings the terminal up to date. Call it as often as the eye asks for. */
  draw(): void {
    if (!this.#isOpen) return;
    const size = this.#terminal.size() ?? defaultSize;
    const { kind, width, height, generation } = this.#screen;
    const place = `${kind} ${width}x${height} in ${size.columns}x${size.rows}`;
    if (place === this.#place && generation === this.#generation) return;
    const text = this.#screen.textWithAttributes();
    const layout = `${place} ${text?.columns}x${text?.rows}`;
    const isNew = layout !== this.#layout;
    this.#place = place;
    this.#layout = layout;
    this.#generation = generation;
    let out = "";
    if (isNew) {
      this.#shown = [];
      out += `${reset}\x1b[2J`;
    }
    if (text !== undefined) out += this.#drawText(text, size, isNew);
    else if (isNew) out += message(this.#screen, size);
    if (out === "") return;
    this.#terminal.write(out);
    this.#drawNotice();
  }

  #drawText(text: ScreenText, size: { readonly columns: number; readonly rows: number }, isNew: boolean): string {
    const rows = Math.min(text.rows, size.rows);
    const columns = Math.min(text.columns, size.columns);
    const { cursor } = text;
    // The window on the screen follows the cursor.
    const top = Math.max(0, Math.min(cursor.row - rows + 1, text.rows - rows));
    const left = Math.max(0, Math.min(cursor.column - columns + 1, text.columns - columns));
    const window = Array.from({ length: rows }, (_, row) => text.cells[top + row]!.slice(left, left + columns));
    let out = "";
    let attribute = -1;
    for (const [row, cells] of window.entries()) {
      const before = this.#shown[row];
      let at = -1;
      for (const [column, cell] of cells.entries()) {
        const old = before?.[column];
        if (old !== undefined && old.character === cell.character && old.attribute === cell.attribute) continue;
        if (at !== column) out += `\x1b[${row + 1};${column + 1}H`;
        if (cell.attribute !== attribute) out += selectRendition(cell.attribute);
        attribute = cell.attribute;
        out += cell.character;
        at = column + 1;
      }
    }
    this.#shown = window;
    if (isNew && size.rows > text.rows) out += `\x1b[${size.rows};1H\x1b[0;2m${help.slice(0, size.columns)}`;
    const [row, column] = [cursor.row - top, cursor.column - left];
    const isVisible = cursor.visible && row >= 0 && row < rows && column >= 0 && column < columns;
    return `${out}${reset}${isVisible ? `\x1b[${row + 1};${column + 1}H\x1b[?25h` : "\x1b[?25l"}`;
  }
}

/** What stands there while there is no text to show. */
function message(screen: Screen, size: { readonly columns: number; readonly rows: number }): string {
  if (screen.kind !== "graphics") return "\x1b[?25l";
  const lines = [
    `The guest is in a graphics mode of ${screen.width} x ${screen.height} pixels.`,
    "--screenshot FILE.png takes a picture; --display web shows it.",
    help.trim(),
  ];
  const top = Math.max(1, Math.floor((size.rows - lines.length) / 2));
  const place = (line: string): number => Math.max(1, Math.floor((size.columns - line.length) / 2) + 1);
  return `\x1b[?25l${lines.map((line, row) => `\x1b[${top + row};${place(line)}H${line.slice(0, size.columns)}`).join("")}`;
}
