/**
 * The palette DAC: 256 entries of three components, 6 bits each or, by the Bochs interface's switch, 8. A component sequence restarts with each
 * index written; the index moves on after the third (IBM PS/2 Hardware Interface Technical Reference, "Video Digital-to-Analog Converter").
 */
import type { SavedState } from "../device.ts";

const reading = 3;
const writing = 0;

export class Dac {
  mask = 0xff;
  writeIndex = 0;
  /** What a read of 3C7h gives: which of read and write index was written last. */
  state = writing;
  private readonly changed: () => void;
  /** As written: 6 or 8 significant bits. */
  private readonly components = new Uint8Array(768);
  private readonly colorTable = new Uint32Array(256);
  private colorsAreOld = true;
  private readIndex = 0;
  private component = 0;
  private readonly cache = new Uint8Array(3);
  private bits8 = false;

  constructor(changed: () => void) {
    this.changed = changed;
  }

  get is8Bit(): boolean {
    return this.bits8;
  }

  set is8Bit(on: boolean) {
    if (on === this.bits8) return;
    this.bits8 = on;
    this.touch();
  }

  /** The colours by pixel value, the mask applied, in memory order red, green, blue, 255. */
  colors(): Uint32Array {
    if (this.colorsAreOld) {
      const { components, colorTable, mask, bits8 } = this;
      for (let pixel = 0; pixel < 256; pixel++) {
        const at = 3 * (pixel & mask);
        const [red, green, blue] = [components[at], components[at + 1], components[at + 2]].map((value) => (bits8 ? value : from6(value)));
        colorTable[pixel] = 0xff000000 | (blue << 16) | (green << 8) | red;
      }
      this.colorsAreOld = false;
    }
    return this.colorTable;
  }

  writeMask(value: number): void {
    this.mask = value;
    this.touch();
  }

  startRead(index: number): void {
    this.readIndex = index;
    this.component = 0;
    this.state = reading;
  }

  startWrite(index: number): void {
    this.writeIndex = index;
    this.component = 0;
    this.state = writing;
  }

  readData(): number {
    const value = this.components[3 * this.readIndex + this.component];
    if (++this.component === 3) {
      this.component = 0;
      this.readIndex = (this.readIndex + 1) & 0xff;
    }
    return value;
  }

  /** The entry changes with its third component. */
  writeData(value: number): void {
    this.cache[this.component] = this.bits8 ? value : value & 0x3f;
    if (++this.component < 3) return;
    this.component = 0;
    this.components.set(this.cache, 3 * this.writeIndex);
    this.writeIndex = (this.writeIndex + 1) & 0xff;
    this.touch();
  }

  reset(): void {
    this.components.fill(0);
    this.cache.fill(0);
    this.mask = 0xff;
    this.state = writing;
    this.writeIndex = this.readIndex = this.component = 0;
    this.bits8 = false;
    this.touch();
  }

  save(): SavedState {
    const { components, cache, mask, state, writeIndex, readIndex, component, bits8 } = this;
    return { components: components.slice(), cache: cache.slice(), mask, state, writeIndex, readIndex, component, bits8 };
  }

  restore(state: SavedState): void {
    this.components.set(state.components as Uint8Array);
    this.cache.set(state.cache as Uint8Array);
    this.mask = state.mask as number;
    this.state = state.state as number;
    this.writeIndex = state.writeIndex as number;
    this.readIndex = state.readIndex as number;
    this.component = state.component as number;
    this.bits8 = state.bits8 as boolean;
    this.touch();
  }

  private touch(): void {
    this.colorsAreOld = true;
    this.changed();
  }
}

/** Full scale to full scale. */
function from6(value: number): number {
  const bits = value & 0x3f;
  return (bits << 2) | (bits >> 4);
}
