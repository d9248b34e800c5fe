/**
 * Frames on their way to one page: one is under way at a time, so that a page that is hidden gets none. To a worker's page a buffer is moved, and comes back: whole frames
 * cost least. Elsewhere only the parts go that have changed.
 */
import type { FramePart } from "../protocol.ts";
import { changedParts, gather } from "./frame-parts.ts";
import type { Picture } from "./picture.ts";

export interface SentFrame {
  readonly width: number;
  readonly height: number;
  readonly mode: Picture["kind"];
  readonly parts: readonly FramePart[];
  readonly buffer: ArrayBuffer;
}

export class Frames {
  private readonly picture: Picture;
  private readonly isPartial: boolean;
  private readonly send: (frame: SentFrame) => void;
  private version = 0;
  private isUnderWay = false;
  /** A buffer that came back. */
  private spare: ArrayBuffer | undefined;
  /** What the page shows, where parts are sent. */
  private shown: { readonly width: number; readonly height: number; readonly mode: Picture["kind"]; readonly pixels: Uint32Array } | undefined;

  constructor(picture: Picture, isPartial: boolean, send: (frame: SentFrame) => void) {
    this.picture = picture;
    this.isPartial = isPartial;
    this.send = send;
  }

  /** Whether the page has drawn what it was sent. */
  get isFree(): boolean {
    return !this.isUnderWay;
  }

  drawn(buffer?: ArrayBuffer): void {
    this.spare = buffer;
    this.isUnderWay = false;
  }

  /** Sends the picture if the page has another. */
  show(): void {
    const { version, kind: mode, frame } = this.picture;
    if (this.isUnderWay || version === this.version) return;
    this.version = version;
    const { width, height } = frame;
    const pixels = frame.pixels.subarray(0, width * height * 4);
    if (!this.isPartial) {
      const buffer = this.spare?.byteLength === pixels.length ? this.spare : new ArrayBuffer(pixels.length);
      this.spare = undefined;
      new Uint8ClampedArray(buffer).set(pixels);
      return this.post({ width, height, mode, parts: [{ x: 0, y: 0, width, height }], buffer });
    }
    const words = new Uint32Array(pixels.buffer, pixels.byteOffset, width * height);
    if (this.shown?.width !== width || this.shown.height !== height || this.shown.mode !== mode) {
      this.shown = { width, height, mode, pixels: words.slice() };
      return this.post({ width, height, mode, parts: [{ x: 0, y: 0, width, height }], buffer: words.slice().buffer });
    }
    const parts = changedParts(this.shown.pixels, words, width, height);
    if (parts.length === 0) return;
    this.shown.pixels.set(words);
    this.post({ width, height, mode, parts, buffer: gather(words, width, parts) });
  }

  private post(frame: SentFrame): void {
    this.isUnderWay = true;
    this.send(frame);
  }
}
