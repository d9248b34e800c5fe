/** Screen to terminal and terminal to keyboard. What is drawn is judged by a small terminal that obeys the ANSI sequences; sequences of keys are xterm's. */
import { describe, expect, it } from "vitest";
import { TerminalKeys } from "../../src/cli/terminal-keys.ts";
import { selectRendition, TextDisplay } from "../../src/cli/text-display.ts";
import { Screen } from "../../src/machine/screen.ts";

/** Understands cursor positions, clearing, renditions and the cursor's visibility; throws at anything else. */
class SmallTerminal {
  columns = 80;
  rows = 25;
  cells = new Map<string, string>();
  row = 1;
  column = 1;
  rendition = "";
  cursorShown = true;
  alternate = false;
  written = 0;

  write(text: string): void {
    this.written += text.length;
    for (const [piece, parameters, final, single] of text.matchAll(/\x1b\[([?0-9;]*)([A-Za-z])|\x1b([78])|[\s\S]/gu)) {
      if (single !== undefined) continue;
      if (final === undefined) {
        if (piece === "\r" || piece === "\n") continue;
        this.cells.set(`${this.row},${this.column++}`, piece);
      } else if (final === "H") [this.row, this.column] = parameters!.split(";").map(Number) as [number, number];
      else if (final === "J") this.cells.clear();
      else if (final === "m") this.rendition = parameters!;
      else if (parameters === "?25") this.cursorShown = final === "h";
      else if (parameters === "?1049") this.alternate = final === "h";
      else throw new Error(`unknown sequence ${JSON.stringify(piece)}`);
    }
  }
  line(row: number): string {
    return Array.from({ length: this.columns }, (_, column) => this.cells.get(`${row},${column + 1}`) ?? " ").join("");
  }
}

function setUp(columns = 80, rows = 25) {
  const characters = new Uint8Array(80 * 25).fill(32);
  const attributes = new Uint8Array(80 * 25).fill(7);
  const display = { kind: "text" as "text" | "graphics", generation: 0, cursor: { column: 0, row: 0, visible: true } };
  const screen = new Screen({
    width: 720,
    height: 400,
    get kind() {
      return display.kind;
    },
    get generation() {
      return display.generation;
    },
    text: () => (display.kind === "text" ? { columns: 80, rows: 25, characters, attributes, cursor: display.cursor } : undefined),
    render: () => ({ width: 1, height: 1, pixels: new Uint8ClampedArray(4) }),
  });
  const terminal = new SmallTerminal();
  [terminal.columns, terminal.rows] = [columns, rows];
  const shown = new TextDisplay(screen, { write: (text) => terminal.write(text), size: () => ({ columns: terminal.columns, rows: terminal.rows }) });
  const put = (row: number, column: number, text: string): void => {
    for (let i = 0; i < text.length; i++) characters[row * 80 + column + i] = text.charCodeAt(i);
    display.generation++;
  };
  return { terminal, shown, put, display, attributes };
}

describe("the text screen in a terminal", () => {
  it("is drawn whole, then by what changed, with the cursor where the guest has it", () => {
    const { terminal, shown, put, display } = setUp();
    put(0, 0, "SeaBIOS");
    put(24, 77, "\xdb\xb3x");
    display.cursor = { column: 5, row: 3, visible: true };
    shown.open();
    expect(terminal.alternate).toBe(true);
    expect(terminal.line(1).trimEnd()).toBe("SeaBIOS");
    expect(terminal.line(25).slice(77)).toBe("█│x");
    expect([terminal.row, terminal.column, terminal.cursorShown]).toEqual([4, 6, true]);
    const before = terminal.written;
    shown.draw();
    expect(terminal.written).toBe(before);
    put(10, 10, "A");
    display.cursor = { ...display.cursor, visible: false };
    shown.draw();
    expect(terminal.line(11).trim()).toBe("A");
    expect(terminal.cursorShown).toBe(false);
    expect(terminal.written - before).toBeLessThan(60);
  });

  it("uses the VGA's colours", () => {
    expect(selectRendition(0x07)).toBe("\x1b[0;37;40m");
    // Bright red on blue: 12 on 1; ANSI's red is 1, its blue 4.
    expect(selectRendition(0x1c)).toBe("\x1b[0;91;44m");
    expect(selectRendition(0x8e)).toBe("\x1b[0;5;93;40m");
  });

  it("shows the part with the cursor in a small terminal, and all of it again when that grows", () => {
    const { terminal, shown, put, display } = setUp(40, 10);
    put(0, 0, "top");
    put(20, 30, "login:");
    display.cursor = { column: 36, row: 20, visible: true };
    shown.open();
    expect(terminal.line(10)).toContain("login:");
    expect([terminal.row, terminal.column]).toEqual([10, 37]);
    [terminal.columns, terminal.rows] = [100, 30];
    shown.draw();
    expect(terminal.line(1).trim()).toBe("top");
    expect(terminal.line(21).trim()).toBe("login:");
    expect(terminal.line(30)).toContain("Ctrl-A X  leave");
  });

  it("says so in graphics modes, and leaves the last text behind", () => {
    const { terminal, shown, put, display } = setUp();
    put(0, 0, "text");
    shown.open();
    display.kind = "graphics";
    display.generation++;
    shown.draw();
    expect(Array.from({ length: 25 }, (_, n) => terminal.line(n + 1)).join("\n")).toContain("graphics mode of 720 x 400");
    display.kind = "text";
    display.generation++;
    shown.draw();
    shown.close();
    expect([terminal.alternate, terminal.cursorShown]).toEqual([false, true]);
  });
});

describe("a notice over the screen", () => {
  it("stays while the guest draws, is one line of what a terminal can show, and goes", () => {
    const { terminal, shown, put } = setUp(40, 25);
    put(24, 0, "last line");
    shown.open();
    shown.notice("xlat86: \x1b[2Jread\r\nonly \u202ereversed");
    expect(terminal.line(25)).toBe("xlat86:  [2Jread only  reversed".padEnd(40));
    put(24, 0, "LAST");
    put(3, 0, "three");
    shown.draw();
    expect(terminal.line(4).trimEnd()).toBe("three");
    expect(terminal.line(25)).toMatch(/^xlat86/);
    shown.endNotice();
    expect(terminal.line(25).trimEnd()).toBe("LAST line");
  });

  it.each([
    [20, 5],
    [300, 100],
    [1, 1],
  ])("never leaves a terminal of %i columns and %i rows", (columns, rows) => {
    const { terminal, shown, put, display } = setUp(columns, rows);
    display.cursor = { column: 79, row: 24, visible: true };
    put(24, 70, "0123456789");
    shown.open();
    shown.notice("x".repeat(500));
    for (const place of terminal.cells.keys()) {
      const [row, column] = place.split(",").map(Number) as [number, number];
      expect([row >= 1 && row <= rows, column >= 1 && column <= columns], place).toEqual([true, true]);
    }
    [terminal.columns, terminal.rows] = [columns + 7, rows + 3];
    terminal.cells.clear();
    shown.redraw();
    expect(terminal.line(rows + 3).trimEnd().length).toBeLessThanOrEqual(columns + 7);
  });
});

describe("keys from a terminal", () => {
  const keys = (...pieces: string[]) => {
    const parser = new TerminalKeys();
    return pieces.flatMap((piece) => parser.feed(new TextEncoder().encode(piece))).map((chord) => chord.join("+"));
  };

  it.each([
    ["aB!", ["KeyA", "ShiftLeft+KeyB", "ShiftLeft+Digit1"]],
    ["\r\x7f\t", ["Enter", "Backspace", "Tab"]],
    ["\x03\x1a\x1c\x00", ["ControlLeft+KeyC", "ControlLeft+KeyZ", "ControlLeft+Backslash", "ControlLeft+Space"]],
    ["\x1b[A\x1b[B\x1bOC\x1b[D", ["ArrowUp", "ArrowDown", "ArrowRight", "ArrowLeft"]],
    ["\x1bOP\x1b[15~\x1b[24~\x1b[11~\x1b[[A", ["F1", "F5", "F12", "F1", "F1"]],
    ["\x1b[3~\x1b[5~\x1b[H\x1b[4~\x1b[2~", ["Delete", "PageUp", "Home", "End", "Insert"]],
    ["\x1b[1;5C\x1b[1;2P\x1b[3;3~\x1b[Z", ["ControlLeft+ArrowRight", "ShiftLeft+F1", "AltLeft+Delete", "ShiftLeft+Tab"]],
    ["\x1bx\x1bX", ["AltLeft+KeyX", "AltLeft+ShiftLeft+KeyX"]],
    ["\x1b\x1b[A", ["Escape", "ArrowUp"]],
    ["é\x1b[99z", []],
  ])("%j", (text, wanted) => expect(keys(text)).toEqual(wanted));

  it("come together from pieces; an Escape alone is the key once nothing follows", () => {
    expect(keys("\x1b", "[", "A", "\x1b[1", ";5D")).toEqual(["ArrowUp", "ControlLeft+ArrowLeft"]);
    const parser = new TerminalKeys();
    expect(parser.feed(Uint8Array.of(0x1b))).toEqual([]);
    expect(parser.isWaiting).toBe(true);
    expect(parser.flush()).toEqual([["Escape"]]);
    expect(parser.isWaiting).toBe(false);
  });
});
