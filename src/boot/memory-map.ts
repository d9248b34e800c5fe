/** The memory map a guest is told about (ACPI 6, 15.1: the E820 interface) and the space that is left while a loader places things. */
export const memoryType = { usable: 1, reserved: 2, acpiReclaimable: 3, acpiNvs: 4 } as const;
export type MemoryType = (typeof memoryType)[keyof typeof memoryType];

export interface MemoryRange {
  readonly base: number;
  readonly length: number;
  readonly type: MemoryType;
}

export const conventionalEnd = 0x9fc00;
export const highMemory = 0x100000;
/** Where firmware's tables live: the last 128 KiB below 1 MiB. */
export const firmwareArea = { base: 0xe0000, length: 0x20000 } as const;

/** The map of a PC without firmware data at the top of memory: conventional memory, the EBDA, the BIOS area, and the rest. */
export function pcMemoryMap(memorySize: number): MemoryRange[] {
  return [
    { base: 0, length: conventionalEnd, type: memoryType.usable },
    { base: conventionalEnd, length: 0xa0000 - conventionalEnd, type: memoryType.reserved },
    { base: firmwareArea.base, length: firmwareArea.length, type: memoryType.reserved },
    { base: highMemory, length: memorySize - highMemory, type: memoryType.usable },
  ];
}

interface Span {
  readonly base: number;
  readonly end: number;
}

/** Hands out usable memory to a loader; what it has handed out is taken. Addresses are numbers, so nothing wraps at 2 GiB. */
export class Placement {
  readonly #usable: Span[];
  readonly #taken: Span[] = [];

  constructor(map: readonly MemoryRange[]) {
    this.#usable = map.filter((r) => r.type === memoryType.usable).map((r) => ({ base: r.base, end: r.base + r.length }));
    this.#usable.sort((a, b) => a.base - b.base);
  }

  /** The end of the highest usable range. */
  get top(): number {
    return Math.max(0, ...this.#usable.map((u) => u.end));
  }

  /** Takes exactly this span; false when it is not all usable and free. */
  take(base: number, length: number): boolean {
    const end = base + length;
    if (!this.#usable.some((u) => u.base <= base && end <= u.end)) return false;
    if (this.#taken.some((t) => t.base < end && base < t.end)) return false;
    this.#taken.push({ base, end });
    return true;
  }

  /** The lowest free span at or above `from`, taken; undefined when there is none. */
  lowest(length: number, alignment: number, from = 0): number | undefined {
    const starts = [from, ...this.#usable.map((u) => u.base), ...this.#taken.map((t) => t.end)].filter((s) => s >= from).sort((a, b) => a - b);
    for (const start of starts) {
      const base = Math.ceil(start / alignment) * alignment;
      if (this.take(base, length)) return base;
    }
    return undefined;
  }

  /** The highest free span that ends at or below `limit`, taken; undefined when there is none. */
  highest(length: number, alignment: number, limit: number): number | undefined {
    const ends = [limit, ...this.#usable.map((u) => u.end), ...this.#taken.map((t) => t.base)].filter((e) => e <= limit).sort((a, b) => b - a);
    for (const end of ends) {
      const base = Math.floor((end - length) / alignment) * alignment;
      if (base >= 0 && this.take(base, length)) return base;
    }
    return undefined;
  }
}
