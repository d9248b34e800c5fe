/**
 * ModRM, SIB and displacement (SDM vol. 2, 2.1), and the way back: given a chosen address form and where the operand is to lie,
 * the register values that make the address come out there.
 */
import { layout } from "../layout.ts";
import { type CpuState, register } from "../state.ts";
import type { Random } from "./random.ts";

export interface MemoryForm {
  /** Address-size and segment prefixes. */
  readonly prefixes: readonly number[];
  /** mod and rm of the ModRM byte; the reg field is left 0. */
  readonly modrm: number;
  /** SIB and displacement. */
  readonly tail: readonly number[];
  /** Set when the form names its address without a register: the operand can be nowhere else. */
  readonly fixedOffset?: number;
  /** Gives the address registers the values that put the operand at `offset` from the data pages, or as near as the form can; other
   *  registers are kept. Returns where it lies. */
  place(state: CpuState, offset: number, r: Random): number;
}

export function littleEndian(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => (value >> (8 * i)) & 0xff);
}

/** [base, index] of 16-bit addressing by rm; -1 = none. */
const forms16 = [
  [3, 6],
  [3, 7],
  [5, 6],
  [5, 7],
  [6, -1],
  [7, -1],
  [5, -1],
  [3, -1],
] as const;
const overrides = [0x26, 0x2e, 0x36, 0x3e] as const;

export interface MemoryOptions {
  /** Registers whose values the instruction needs for itself. */
  avoid?: readonly number[];
  /** Where the operand lies if the form cannot choose. */
  offset: number;
  /** Only forms with the 32-bit flat address (no FS, GS, 16-bit). */
  plain?: boolean;
  /** FS and GS overrides are left out (string instructions and the like have their own). */
  noSegments?: boolean;
}

export function memoryForm(r: Random, options: MemoryOptions): MemoryForm {
  const avoid = new Set(options.avoid ?? []);
  const prefixes: number[] = [];
  // LDT segments 0x07 and 0x0f sit in FS and GS, over the data pages: offsets are then relative to them.
  let bias: number = layout.data;
  const choice = options.plain ? 99 : r.below(100);
  if (!options.noSegments && choice < 7) {
    prefixes.push(choice < 5 ? 0x64 : 0x65);
    bias = 0;
  } else if (choice < 14) prefixes.push(r.pick(overrides));
  const free = (n: number) => !avoid.has(n);

  if (choice >= 14 && choice < 22) {
    const candidates = forms16.map((regs, rm) => ({ regs, rm })).filter(({ regs }) => regs.every((n) => n < 0 || free(n)));
    const { regs, rm } = candidates.length ? r.pick(candidates) : { regs: [-1, -1] as const, rm: 6 };
    let mod = r.below(3);
    if (regs[0] < 0) mod = 0;
    else if (rm === 6 && mod === 0) mod = 1;
    const direct = regs[0] < 0;
    const displacement = direct ? (layout.low + options.offset) & 0xffff : mod === 0 ? 0 : mod === 1 ? r.below(256) - 128 : r.below(0x10000);
    return {
      prefixes: [0x67],
      modrm: (mod << 6) | rm,
      tail: littleEndian(displacement, direct || mod === 2 ? 2 : mod),
      fixedOffset: direct ? options.offset : undefined,
      place(state, offset, random) {
        if (direct) return options.offset;
        let rest = layout.low + offset - displacement;
        if (regs[1] >= 0) {
          const index = random.below(0x10000);
          state.gpr[regs[1]] = ((state.gpr[regs[1]] & 0xffff0000) | index) >>> 0;
          rest -= index;
        }
        state.gpr[regs[0]] = ((state.gpr[regs[0]] & 0xffff0000) | (rest & 0xffff)) >>> 0;
        return offset;
      },
    };
  }

  const base = r.pick([-1, 0, 1, 2, 3, 3, 5, 6, 7, 0, 2, 6, 4].filter((n) => n < 0 || free(n)));
  const index = r.chance(35) ? r.pick([-1, 0, 1, 2, 3, 5, 6, 7].filter((n) => n < 0 || (free(n) && n !== base))) : -1;
  const scale = index < 0 ? 0 : r.below(4);
  let mod = r.below(3);
  if (base < 0) mod = 0;
  else if (base === register.ebp && mod === 0) mod = 1;
  const wide = base < 0 || mod === 2;
  const nothing = base < 0 && index < 0;
  const displacement = nothing
    ? (bias + options.offset) | 0
    : base < 0
      ? r.next() | 0
      : mod === 0
        ? 0
        : mod === 1
          ? r.below(256) - 128
          : r.next() | 0;
  const sib = index >= 0 || base === register.esp || (base < 0 && r.chance(20));
  const sibByte = (scale << 6) | ((index < 0 ? 4 : index) << 3) | (base < 0 ? 5 : base);
  return {
    prefixes,
    modrm: (mod << 6) | (sib ? 4 : base < 0 ? 5 : base),
    tail: [...(sib ? [sibByte] : []), ...littleEndian(displacement, wide ? 4 : mod)],
    fixedOffset: nothing ? options.offset : undefined,
    place(state, offset, random) {
      if (nothing) return options.offset;
      let rest = bias + offset - displacement;
      if (base < 0) {
        // Only a scaled index: of the addresses it reaches take the next one below.
        state.gpr[index] = (rest >>> 0) >>> scale;
        return offset - (rest & ((1 << scale) - 1));
      }
      if (index >= 0) {
        const value = random.chance(50) ? random.next() : random.below(64);
        state.gpr[index] = value;
        rest -= Math.imul(value, 1 << scale);
      }
      state.gpr[base] = rest >>> 0;
      return offset;
    },
  };
}

/** Where an operand of `size` bytes is put: mostly inside the pages, sometimes across the page boundary, past an end, or read-only. */
export function operandOffset(r: Random, size: number, align: number, faults = 4): number {
  const kind = r.below(100);
  if (kind < faults)
    return r.pick([
      layout.dataSize - (size >> 1 || 0),
      layout.dataSize,
      -size,
      -(size >> 1 || 1),
      layout.dataSize - 1,
      layout.constant - layout.data + 0x40,
    ]);
  if (kind < faults + 3) return layout.constant - layout.data + 0x10 * r.below(16);
  if (kind < faults + 8 && size > 1) return 0x1000 - 1 - r.below(size - 1);
  if (kind < faults + 20) return 0x100 + r.below(0xe00);
  const step = Math.max(align, 1);
  return 0x100 + step * r.below(Math.floor(0x300 / step));
}
