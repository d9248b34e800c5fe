/**
 * How instructions of each shape lie in the code array, for whoever stores many of them: as numbers in one array, for objects of several kinds would have to be told apart each time.
 */
import type { ShapeCode } from "../../translator/contract/translator.ts";
import { firstRegionShape } from "./pseudo-shapes.ts";

const firstSize = 1 << 14;

export class Layouts {
  /** Where in `words` a shape's fields are listed, behind how many they are; 0: it is not known. */
  readonly places = new Int32Array(firstRegionShape);
  /** 1: the shape ends its block; 2: it has links. */
  readonly ends = new Uint8Array(firstRegionShape);
  words = new Int32Array(firstSize);
  private top = 1;

  add(number: number, { layout, exits, endsBlock }: ShapeCode): void {
    if (this.top + layout.length >= this.words.length) {
      const { words } = this;
      this.words = new Int32Array(2 * words.length);
      this.words.set(words);
    }
    this.places[number] = this.top;
    this.ends[number] = (endsBlock ? 1 : 0) | (exits.length > 0 ? 2 : 0);
    this.words[this.top++] = layout.length;
    for (const field of layout) this.words[this.top++] = field;
  }

  clear(): void {
    this.places.fill(0);
    this.top = 1;
  }
}
