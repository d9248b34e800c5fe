/** What a display shows to the people and programs outside the machine. */

/** One frame. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue, 255 for each pixel, rows from the top; width * height * 4 bytes. May be reused for the next frame. */
  readonly pixels: Uint8ClampedArray;
}

/** A text mode's screen. */
export interface TextScreen {
  readonly columns: number;
  readonly rows: number;
  /** Character codes (code page 437) and attributes, row by row. */
  readonly characters: Uint8Array;
  readonly attributes: Uint8Array;
  readonly cursor: { readonly column: number; readonly row: number; readonly visible: boolean };
}

export interface Display {
  /** "blank" while the screen is off or no mode is set. */
  readonly kind: "text" | "graphics" | "blank";
  /** Pixels of a frame now. */
  readonly width: number;
  readonly height: number;
  /** Changes whenever what is shown may have changed; a viewer may skip frames while it does not. Blinking does not count. */
  readonly generation: number;
  /** The text shown; undefined in graphics modes. */
  text(): TextScreen | undefined;
  /** Draws what is shown now. `blinkOn`: the phase of blinking characters and the cursor. */
  render(blinkOn: boolean): Frame;
}
