/** The serial port as a terminal. */
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { byId } from "./dom.ts";

const theme = {
  background: "#101417",
  foreground: "#d7dde0",
  cursor: "#7fd1c7",
  selectionBackground: "#2f5963",
  black: "#1b2226",
  red: "#e0787a",
  green: "#8cc28d",
  yellow: "#d9b86c",
  blue: "#77a8d8",
  magenta: "#b793d1",
  cyan: "#6dbfc1",
  white: "#c9d1d4",
  brightBlack: "#66747b",
};

/** Guests take a serial terminal for 80 columns wide; the font gets smaller for that, but not unreadable. */
const columnsWanted = 80;
const fontSizes = { largest: 14, smallest: 9 } as const;

export class TerminalView {
  private readonly terminal: Terminal;
  private readonly fit = new FitAddon();
  private readonly element = byId("terminal");

  /** @param typed what the person types */
  constructor(typed: (text: string) => void) {
    this.terminal = new Terminal({
      theme,
      fontFamily: "ui-monospace, 'SFMono-Regular', 'DejaVu Sans Mono', Menlo, Consolas, monospace",
      fontSize: fontSizes.largest,
      cursorBlink: true,
      scrollback: 5000,
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.open(this.element);
    this.terminal.onData(typed);
    new ResizeObserver(() => this.layOut()).observe(this.element);
  }

  /** @param shown called when the terminal has taken it in */
  write(bytes: Uint8Array, shown: () => void): void {
    this.terminal.write(bytes, shown);
  }

  clear(): void {
    this.terminal.reset();
  }

  focus(): void {
    this.terminal.focus();
  }

  private layOut(): void {
    const { terminal, fit, element } = this;
    if (element.clientWidth === 0 || element.clientHeight === 0) return;
    const { largest, smallest } = fontSizes;
    terminal.options.fontSize = largest;
    const columns = fit.proposeDimensions()?.cols ?? columnsWanted;
    if (columns < columnsWanted) terminal.options.fontSize = Math.max(smallest, Math.floor((largest * columns) / columnsWanted));
    fit.fit();
  }
}
