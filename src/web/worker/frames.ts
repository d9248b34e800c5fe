/**
 * The screen on its way to the page: a frame is drawn when what is shown has changed or a cursor blinks, and one is under way at a time, so that a page that is hidden
 * gets none. Two buffers go to and fro.
 */
import type { Screen } from "../../machine/screen.ts";

export interface SentFrame {
  readonly width: number;
  readonly height: number;
  readonly mode: Screen["kind"];
  readonly buffer: ArrayBuffer;
}

/** Half a period: a VGA cursor is on for 16 frames of 60 a second, and off for as many. */
const blinkMilliseconds = 16 * (1000 / 60);
/** Of the worker's time, at most one part in so many goes into drawing. */
const restPerWork = 4;

const textInterval = 500;

export interface FrameReceiver {
  frame(frame: SentFrame): void;
  text(lines: readonly string[]): void;
}

export class Frames {
  private readonly screen: Screen;
  private readonly receiver: FrameReceiver;
  private text = "";
  private textNotBefore = 0;
  private generation = -1;
  private phase = -1;
  private isUnderWay = false;
  private spare: ArrayBuffer | undefined;
  private notBefore = 0;

  constructor(screen: Screen, receiver: FrameReceiver) {
    this.screen = screen;
    this.receiver = receiver;
  }

  /** The page has drawn the last frame. */
  drawn(buffer: ArrayBuffer): void {
    this.spare = buffer;
    this.isUnderWay = false;
  }

  /** Called about 60 times a second. @param now milliseconds */
  tick(now: number): void {
    if (this.isUnderWay || now < this.notBefore) return;
    const { screen } = this;
    const { generation, kind } = screen;
    const phase = kind === "text" ? Math.floor(now / blinkMilliseconds) & 1 : 0;
    if (generation === this.generation && phase === this.phase) return;
    this.generation = generation;
    this.phase = phase;
    const { width, height, pixels } = screen.pixels(phase === 0);
    const length = width * height * 4;
    const buffer = this.spare?.byteLength === length ? this.spare : new ArrayBuffer(length);
    this.spare = undefined;
    new Uint8ClampedArray(buffer).set(pixels.subarray(0, length));
    this.isUnderWay = true;
    this.notBefore = now + restPerWork * (performance.now() - now);
    this.receiver.frame({ width, height, mode: kind, buffer });
    this.tickText(now);
  }

  private tickText(now: number): void {
    if (now < this.textNotBefore) return;
    this.textNotBefore = now + textInterval;
    const lines = this.screen.text();
    const text = lines.join("\n");
    if (text === this.text) return;
    this.text = text;
    this.receiver.text(lines);
  }
}
