/** The guest's screen on a canvas: frames drawn as they come, scaled by whole device pixels where that fills the place well enough. */
import type { FromHost } from "../protocol.ts";
import { byId } from "./dom.ts";

export type ScreenFrame = Pick<Extract<FromHost, { kind: "frame" }>, "width" | "height" | "parts" | "buffer">;

/** A whole factor is taken when it fills at least this much of what a fractional one would. */
const wellEnough = 0.66;

export class ScreenView {
  readonly canvas = byId<HTMLCanvasElement>("screen");
  private readonly stage = byId("stage");
  private readonly context: CanvasRenderingContext2D;
  private readonly release: (buffer: ArrayBuffer) => void;
  private pending: ScreenFrame | undefined;
  private isFourToThree = false;

  /** @param release a frame has been drawn */
  constructor(release: (buffer: ArrayBuffer) => void) {
    this.release = release;
    this.context = this.canvas.getContext("2d", { alpha: false })!;
    new ResizeObserver(() => this.layOut()).observe(this.stage);
  }

  show(frame: ScreenFrame): void {
    this.pending = frame;
    requestAnimationFrame(() => this.draw());
  }

  clear(): void {
    this.pending = undefined;
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.setText([]);
  }

  setSharp(isSharp: boolean): void {
    this.canvas.classList.toggle("sharp", isSharp);
  }

  setAspect(isFourToThree: boolean): void {
    this.isFourToThree = isFourToThree;
    this.layOut();
  }

  /** What is inside a canvas element is for those who do not see it. */
  setText(lines: readonly string[]): void {
    this.canvas.textContent = lines.join("\n").trimEnd();
  }

  private draw(): void {
    const { pending, canvas } = this;
    if (!pending) return;
    this.pending = undefined;
    const { width, height, parts, buffer } = pending;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      this.layOut();
    }
    let at = 0;
    for (const part of parts) {
      const length = part.width * part.height * 4;
      this.context.putImageData(new ImageData(new Uint8ClampedArray(buffer, at, length), part.width, part.height), part.x, part.y);
      at += length;
    }
    this.release(buffer);
  }

  private layOut(): void {
    const { canvas, stage } = this;
    const ratio = window.devicePixelRatio || 1;
    const height = this.isFourToThree ? (canvas.width * 3) / 4 : canvas.height;
    const fit = Math.min(stage.clientWidth / canvas.width, stage.clientHeight / height) * ratio;
    if (!(fit > 0)) return;
    const whole = Math.floor(fit);
    const isWhole = whole >= 1 && whole / fit >= wellEnough;
    const factor = (isWhole ? whole : fit) / ratio;
    // Between whole factors sharp pixels would be of uneven width.
    canvas.classList.toggle("enlarged", isWhole);
    canvas.style.width = `${canvas.width * factor}px`;
    canvas.style.height = `${height * factor}px`;
  }
}
