/**
 * What the CRTC fetches for each line of the frame: from which address, which row of the character cell, shifted by how many dots. Start address,
 * preset row scan, panning, doubled lines and the split screen are all decided here; the renderers know lines only.
 */
import { wordOf } from "./layout.ts";
import { attributeRegister, crtcRegister, sequencerRegister, type VgaRegisters } from "./registers.ts";
import { displayedLines } from "./timing.ts";

export const maximumLines = 1024;

const doubleScan = 0x80;
/** Attribute mode: panning holds above the split only. */
const panningCompatible = 0x20;

export class Scan {
  columns = 0;
  lines = 0;
  /** Rows of a character cell. */
  cellHeight = 1;
  /** A dot lasts two dot clocks. */
  halfClock = false;
  /** Per line: the memory counter at its first character, the row scan counter, dots of horizontal panning. */
  readonly address = new Int32Array(maximumLines);
  readonly rowScan = new Uint8Array(maximumLines);
  readonly panning = new Uint8Array(maximumLines);
  private characterShift = 0;
  private modeControl = 0;
  private addressing: "byte" | "word" | "doubleword" = "byte";

  update(registers: VgaRegisters): void {
    const { crtc, attribute, sequencer } = registers;
    const maximumScanLine = crtc[crtcRegister.maximumScanLine];
    const overflow = crtc[crtcRegister.overflow];
    const modeControl = crtc[crtcRegister.modeControl];
    const underline = crtc[crtcRegister.underline];
    const presetRowScan = crtc[crtcRegister.presetRowScan];
    this.columns = crtc[crtcRegister.horizontalDisplayEnd] + 1;
    this.lines = displayedLines(registers);
    this.cellHeight = (maximumScanLine & 0x1f) + 1;
    this.halfClock = (sequencer[sequencerRegister.clocking] & 0x08) !== 0;
    this.modeControl = modeControl;
    this.characterShift = (underline & 0x20) !== 0 ? 2 : (modeControl & 0x08) !== 0 ? 1 : 0;
    this.addressing = (underline & 0x40) !== 0 ? "doubleword" : (modeControl & 0x40) !== 0 ? "byte" : "word";

    const lineCompare = crtc[crtcRegister.lineCompare] | ((overflow & 0x10) << 4) | ((maximumScanLine & 0x40) << 3);
    const linesPerScan = ((maximumScanLine & doubleScan) !== 0 ? 2 : 1) * ((modeControl & 0x04) !== 0 ? 2 : 1);
    const rowOffset = crtc[crtcRegister.offset] * 2;
    const mode = attribute[attributeRegister.mode];
    let panning = attribute[attributeRegister.pelPanning];
    let address = ((crtc[crtcRegister.startHigh] << 8) | crtc[crtcRegister.startLow]) + ((presetRowScan >> 5) & 3);
    let rowScan = presetRowScan & 0x1f;
    let repeat = 0;
    for (let line = 0; line < this.lines; line++) {
      this.address[line] = address;
      this.rowScan[line] = rowScan;
      this.panning[line] = panning;
      if (line === lineCompare) {
        address = rowScan = repeat = 0;
        if ((mode & panningCompatible) !== 0) panning = 0;
        continue;
      }
      if (++repeat < linesPerScan) continue;
      repeat = 0;
      if (rowScan !== this.cellHeight - 1) rowScan = (rowScan + 1) & 0x1f;
      else {
        rowScan = 0;
        address += rowOffset;
      }
    }
  }

  /** The word of video memory that character `column` of a line shows. */
  wordOf(line: number, column: number): number {
    return wordOf(this.planeAddress((this.address[line] + (column >> this.characterShift)) & 0xffff, this.rowScan[line]));
  }

  /** Whether a line shows the same dots as the one before it, in graphics modes. */
  repeats(line: number): boolean {
    if (line === 0 || this.address[line] !== this.address[line - 1] || this.panning[line] !== this.panning[line - 1]) return false;
    const rowBits = ~this.modeControl & 3;
    return ((this.rowScan[line] ^ this.rowScan[line - 1]) & rowBits) === 0;
  }

  /** The CRTC's address outputs (IBM PS/2 Hardware Interface Technical Reference, "CRT Mode Control Register", internal memory address wiring). */
  private planeAddress(counter: number, rowScan: number): number {
    const { modeControl } = this;
    let address = counter;
    if (this.addressing === "doubleword") address = ((counter << 2) & 0xfffc) | ((counter >> 12) & 3);
    else if (this.addressing === "word") address = ((counter << 1) & 0xfffe) | ((counter >> ((modeControl & 0x20) !== 0 ? 15 : 13)) & 1);
    if ((modeControl & 1) === 0) address = (address & ~0x2000) | ((rowScan & 1) << 13);
    if ((modeControl & 2) === 0) address = (address & ~0x4000) | ((rowScan & 2) << 13);
    return address;
  }
}
