/** Alphanumeric modes: characters and attributes from planes 0 and 1, dots of the two fonts from plane 2 (FreeVGA, "Text Mode"). */
import type { TextScreen } from "./display.ts";
import { wordOf } from "./layout.ts";
import { attributeRegister, crtcRegister, sequencerRegister, type VgaRegisters } from "./registers.ts";
import type { Scan } from "./scan.ts";

const attributeMode = { lineGraphics: 0x04, blink: 0x08 };
const cursorDisable = 0x20;
const bytesPerCharacter = 32;
/** Characters whose ninth dot repeats the eighth. */
const firstLineGraphic = 0xc0;
const lastLineGraphic = 0xdf;

/** Plane address of a font, by its number in the character map select register. */
const fontStart = (number: number): number => (number & 3) * 0x4000 + (number >> 2) * 0x2000;

/** Where the cursor is in the CRTC's address space, and the rows it fills. */
function cursorOf({ crtc }: VgaRegisters): { address: number; first: number; last: number; visible: boolean } {
  const first = crtc[crtcRegister.cursorStart] & 0x1f;
  const last = crtc[crtcRegister.cursorEnd] & 0x1f;
  const skew = (crtc[crtcRegister.cursorEnd] >> 5) & 3;
  const address = (crtc[crtcRegister.cursorHigh] << 8) | crtc[crtcRegister.cursorLow];
  return { address: address + skew, first, last, visible: (crtc[crtcRegister.cursorStart] & cursorDisable) === 0 && first <= last };
}

export function dotsPerCharacter({ sequencer }: VgaRegisters): 8 | 9 {
  return (sequencer[sequencerRegister.clocking] & 1) !== 0 ? 8 : 9;
}

/** The first line of each row of characters. */
function rowLines(scan: Scan): number[] {
  const rows: number[] = [];
  for (let line = 0; line < scan.lines; line++) {
    if (line === 0 || scan.rowScan[line] < scan.rowScan[line - 1] || scan.address[line] !== scan.address[line - 1]) rows.push(line);
  }
  return rows;
}

export function textScreen(registers: VgaRegisters, scan: Scan, words: Int32Array): TextScreen {
  const { columns } = scan;
  const lines = rowLines(scan);
  const characters = new Uint8Array(columns * lines.length);
  const attributes = new Uint8Array(columns * lines.length);
  const cursor = cursorOf(registers);
  const found = { column: 0, row: 0, visible: false };
  lines.forEach((line, row) => {
    for (let column = 0; column < columns; column++) {
      const word = words[scan.wordOf(line, column)];
      characters[row * columns + column] = word;
      attributes[row * columns + column] = word >> 8;
    }
    const column = cursor.address - scan.address[line];
    if (column >= 0 && column < columns && !found.visible) Object.assign(found, { column, row, visible: cursor.visible });
  });
  return { columns, rows: lines.length, characters, attributes, cursor: found };
}

/**
 * Draws one line of dots into `row`, one element a dot, with one character more than is shown (for panning).
 * @param colors of the sixteen attribute values
 */
export function drawTextLine(
  registers: VgaRegisters,
  scan: Scan,
  line: number,
  words: Int32Array,
  colors: Uint32Array,
  blinkOn: boolean,
  row: Uint32Array,
): void {
  const mode = registers.attribute[attributeRegister.mode];
  const select = registers.sequencer[sequencerRegister.fontSelect];
  const fontA = fontStart(((select >> 2) & 3) | ((select >> 3) & 4));
  const fontB = fontStart((select & 3) | ((select >> 2) & 4));
  const dots = dotsPerCharacter(registers);
  const blinks = (mode & attributeMode.blink) !== 0;
  const extends9 = (mode & attributeMode.lineGraphics) !== 0;
  const rowScan = scan.rowScan[line];
  const isUnderline = rowScan === (registers.crtc[crtcRegister.underline] & 0x1f);
  const cursor = cursorOf(registers);
  const cursorRow = cursor.visible && blinkOn && rowScan >= cursor.first && rowScan <= cursor.last;
  const cursorColumn = cursorRow ? cursor.address - scan.address[line] : -1;
  let at = 0;
  for (let column = 0; column <= scan.columns; column++) {
    const word = words[scan.wordOf(line, column)];
    const character = word & 0xff;
    const attribute = (word >> 8) & 0xff;
    const font = (attribute & 8) !== 0 ? fontA : fontB;
    let bits = (words[wordOf(font + character * bytesPerCharacter + rowScan)] >> 16) & 0xff;
    // Intensity and the second font share a bit; blinking and the background's intensity another.
    let foreground = colors[attribute & 15];
    const background = colors[(attribute >> 4) & (blinks ? 7 : 15)];
    if (blinks && (attribute & 0x80) !== 0 && !blinkOn) foreground = background;
    if (isUnderline && (attribute & 0x77) === 0x01) bits = 0x1ff;
    else bits = (bits << 1) | (extends9 && character >= firstLineGraphic && character <= lastLineGraphic ? bits & 1 : 0);
    if (column === cursorColumn) {
      bits = 0x1ff;
      foreground = colors[attribute & 15];
    }
    for (let dot = 0; dot < dots; dot++) row[at++] = (bits & (0x100 >> dot)) !== 0 ? foreground : background;
  }
}
