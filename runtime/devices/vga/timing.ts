/** Where the beam is, from guest time and the CRTC's timing registers: what input status 1 tells, and programs wait for. */
import { crtcRegister, sequencerRegister, type VgaRegisters } from "./registers.ts";

/** Dot clocks by miscellaneous output bits 3:2; the last two are not connected, and get one that a monitor could follow. */
const dotClocks = [25_175_000, 28_322_000, 25_175_000, 25_175_000];
const status = { displayDisabled: 0x01, verticalRetrace: 0x08 };
/** Frames of modes not set up in the CRTC (the Bochs interface sets none): 60 Hz, 525 lines of which 480 show, as 640x480 has. */
const usual = { lineNanoseconds: 1e9 / 60 / 525, visiblePart: 0.8, total: 525, displayed: 480, retraceStart: 490, retraceLines: 2 };

export interface Timing {
  readonly lineNanoseconds: number;
  /** Part of a line's time in which pixels show. */
  readonly visiblePart: number;
  readonly total: number;
  readonly displayed: number;
  readonly retraceStart: number;
  readonly retraceLines: number;
}

/** Lines in the frame's visible part. */
export function displayedLines({ crtc }: VgaRegisters): number {
  const overflow = crtc[crtcRegister.overflow];
  return (crtc[crtcRegister.verticalDisplayEnd] | ((overflow & 0x02) << 7) | ((overflow & 0x40) << 3)) + 1;
}

export function timingOf(registers: VgaRegisters): Timing {
  const { crtc, sequencer, miscellaneous } = registers;
  const overflow = crtc[crtcRegister.overflow];
  const clocking = sequencer[sequencerRegister.clocking];
  const dotsPerCharacter = ((clocking & 1) !== 0 ? 8 : 9) * ((clocking & 8) !== 0 ? 2 : 1);
  const charactersPerLine = crtc[crtcRegister.horizontalTotal] + 5;
  const total = (crtc[crtcRegister.verticalTotal] | ((overflow & 0x01) << 8) | ((overflow & 0x20) << 4)) + 2;
  const retraceStart = crtc[crtcRegister.verticalRetraceStart] | ((overflow & 0x04) << 6) | ((overflow & 0x80) << 2);
  const displayed = displayedLines(registers);
  const lineNanoseconds = (1e9 * charactersPerLine * dotsPerCharacter) / dotClocks[(miscellaneous >> 2) & 3];
  const hertz = 1e9 / (lineNanoseconds * total);
  if (hertz < 40 || hertz > 200 || displayed >= total || retraceStart >= total) return usual;
  const visiblePart = (crtc[crtcRegister.horizontalDisplayEnd] + 1) / charactersPerLine;
  // The end register holds the low four bits of the line at which retrace ends.
  const retraceLines = (crtc[crtcRegister.verticalRetraceEnd] - retraceStart) & 15 || 16;
  return { lineNanoseconds, visiblePart, total, displayed, retraceStart, retraceLines };
}

/** Input status 1 at guest time `now`. */
export function inputStatus(timing: Timing, now: number): number {
  const lines = (now / timing.lineNanoseconds) % timing.total;
  const line = Math.floor(lines);
  if (line >= timing.retraceStart && line < timing.retraceStart + timing.retraceLines) return status.verticalRetrace | status.displayDisabled;
  return line >= timing.displayed || lines - line >= timing.visiblePart ? status.displayDisabled : 0;
}
