/** What the screen shows, drawn once for all who look at it, and only when it has changed or a cursor blinks. */
import type { Screen } from "../../machine/screen.ts";

/** Half a period: a VGA cursor is on for 16 frames of 60 a second, and off for as many. */
const blinkMilliseconds = 16 * (1000 / 60);

export class Picture {
  private readonly screen: Screen;
  private generation = -1;
  private phase = -1;
  private drawn: ReturnType<Screen["pixels"]> | undefined;
  /** Changes with what is shown. */
  version = 0;
  kind: Screen["kind"] = "blank";

  constructor(screen: Screen) {
    this.screen = screen;
  }

  /** Brings it up to date. @param now milliseconds */
  update(now: number): void {
    const { generation, kind } = this.screen;
    const phase = kind === "text" ? Math.floor(now / blinkMilliseconds) & 1 : 0;
    if (this.drawn && generation === this.generation && phase === this.phase) return;
    this.generation = generation;
    this.phase = phase;
    this.kind = kind;
    this.drawn = this.screen.pixels(phase === 0);
    this.version++;
  }

  /** After `update`; the pixels are those of the moment, and change with the next one. */
  get frame(): ReturnType<Screen["pixels"]> {
    return this.drawn!;
  }
}
