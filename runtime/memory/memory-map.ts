/**
 * What answers at which guest-physical addresses besides RAM: register windows, and memory of devices (ROM, frame buffers) or RAM shown with other rights. What is
 * added later covers what was added before on the same layer: PCI lies under the board's devices, and over these the ranges that the chipset decodes itself. From what is
 * mapped a flat list of segments is made, sorted and without overlap, so that finding one is quick and whatever a guest programs is well defined.
 */
import type { RegisterBank } from "../devices/device.ts";
import type { MapLayer, MappedRange } from "../devices/memory-space.ts";

/** From the top. */
const layers: readonly MapLayer[] = ["chipset", "board", "pci"];

/** One thing mapped; the object is its identity for `remove`. */
export interface Mapping extends MappedRange {
  readonly layer: MapLayer;
  /** Registers; null for memory. */
  readonly bank: RegisterBank | null;
  /** Memory: offset in the buffer of the byte at `base`. */
  readonly offset: number;
  /** Memory: writes vanish. */
  readonly readOnly: boolean;
}

/** A part of a mapping that nothing covers. */
export interface Segment {
  readonly base: number;
  readonly end: number;
  readonly mapping: Mapping;
}

export class MemoryMap {
  /** In the order they were added. */
  private mappings: readonly Mapping[] = [];
  private segments: readonly Segment[] = [];
  /** The segment found last: a guest that uses a device's registers comes again. */
  private last: Segment | undefined;

  add(mapping: Mapping): void {
    this.mappings = [...this.mappings, mapping];
    this.flatten();
  }

  /** False when it is not mapped. */
  remove(mapping: Mapping): boolean {
    if (!this.mappings.includes(mapping)) return false;
    this.mappings = this.mappings.filter((other) => other !== mapping);
    this.flatten();
    return true;
  }

  /** The mapping added last that is exactly this one. */
  exactly(base: number, length: number, isMemory: boolean): Mapping | undefined {
    return this.mappings.findLast((mapping) => mapping.base === base && mapping.end === base + length && (mapping.bank === null) === isMemory);
  }

  find(address: number): Segment | undefined {
    const { last, segments } = this;
    if (last !== undefined && address >= last.base && address < last.end) return last;
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (segments[middle].end <= address) low = middle + 1;
      else high = middle;
    }
    if (low === segments.length || address < segments[low].base) return undefined;
    this.last = segments[low];
    return this.last;
  }

  /** All segments that have a byte in [base, end). */
  within(base: number, end: number): readonly Segment[] {
    return this.segments.filter((segment) => segment.base < end && segment.end > base);
  }

  /** The segment of memory that shows the byte at `offset` of the buffer. */
  showing(offset: number): Segment | undefined {
    return this.segments.find(({ base, end, mapping }) => {
      const at = mapping.offset - mapping.base;
      return mapping.bank === null && offset >= base + at && offset < end + at;
    });
  }

  private flatten(): void {
    const { mappings } = this;
    const byHeight = layers.flatMap((layer) => mappings.filter((mapping) => mapping.layer === layer).reverse());
    const edges = [...new Set(mappings.flatMap(({ base, end }) => [base, end]))].sort((a, b) => a - b);
    const segments: { base: number; end: number; mapping: Mapping }[] = [];
    for (let k = 0; k + 1 < edges.length; k++) {
      const mapping = byHeight.find(({ base, end }) => base <= edges[k] && end > edges[k]);
      if (mapping === undefined) continue;
      const before = segments.at(-1);
      if (before !== undefined && before.mapping === mapping && before.end === edges[k]) before.end = edges[k + 1];
      else segments.push({ base: edges[k], end: edges[k + 1], mapping });
    }
    this.segments = segments;
    this.last = undefined;
  }
}
