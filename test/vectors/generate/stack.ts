/** Stack instructions: pushes and pops of every form, frames, flags. ESP lies within the data pages, at times near their ends. */
import { layout } from "../layout.ts";
import { type CaseGroup, type CpuState, defaultState, register } from "../state.ts";
import { littleEndian } from "./encoder.ts";
import { integer, type Random } from "./random.ts";
import { addChunk, type Context, encodeRow, expandRow, type Row, randomFlags, row } from "./rows.ts";

const { esp, ebp } = register;

/** ESP for an instruction that moves up to `size` bytes; a few cases fault in the middle. */
export function stackPointer(r: Random, size: number): number {
  const kind = r.below(100);
  if (kind < 4) return layout.data + r.below(size);
  if (kind < 8) return layout.data + layout.dataSize - r.below(size);
  if (kind < 12) return layout.constant + 0x80;
  if (kind < 25) return layout.data + 0x1000 + r.below(2 * size) - size;
  return layout.data + 0x400 + (r.chance(80) ? 4 * r.below(0x300) : r.below(0xc00));
}

const withStack =
  (size: number) =>
  (state: CpuState, { r, memory, rm }: Context): void => {
    // A memory operand addressed by ESP has placed it already.
    if (!memory || state.gpr[esp] === defaultState().gpr[esp]) state.gpr[esp] = stackPointer(r, size);
    if (!memory && rm === esp) state.gpr[esp] = stackPointer(r, size);
  };

/** What POP finds. */
const withTop =
  (size: number, values: (r: Random) => number = (r) => integer(r, 4)) =>
  (state: CpuState, c: Context): void => {
    withStack(size)(state, c);
    const at = state.gpr[esp] - layout.data;
    for (let i = 0; i < size; i += 4) addChunk(state, at + i, littleEndian(values(c.r), 4));
  };

/** Any flags but TF, which would trap in the host; NT, AC and ID may change, IF, IOPL, VM, VIF may not. */
const flagImage = (r: Random) => (r.next() & ~0x100) >>> 0;
const withFlags =
  (size: number) =>
  (state: CpuState, c: Context): boolean => {
    withTop(size, flagImage)(state, c);
    // What lies in the read-only page would set TF.
    return state.gpr[esp] < layout.constant;
  };

const rows: readonly Row[] = [
  row("push 50 Zv", { prepare: withStack(4), weight: 2 }),
  row("push ff/6 Ev", { prepare: withStack(4), weight: 2 }),
  row("push 68 Iz", { prepare: withStack(4) }),
  row("push 6a Ib", { prepare: withStack(4) }),
  row("push 66:6a Ib", { prepare: withStack(2) }),
  row("pop 58 Zv", { prepare: withTop(4), weight: 2 }),
  row("pop 8f/0 Ev", { prepare: withTop(4), weight: 2 }),
  row("pusha 60", { prepare: withStack(32), weight: 4 }),
  row("pusha 66:60", { prepare: withStack(16), weight: 4 }),
  row("popa 61", { prepare: withTop(32), weight: 4 }),
  row("popa 66:61", { prepare: withTop(16), weight: 4 }),
  row("pushf 9c", { prepare: withStack(4), weight: 3 }),
  row("pushf 66:9c", { prepare: withStack(2), weight: 3 }),
  row("popf 9d", { prepare: withFlags(4), weight: 6 }),
  row("popf 66:9d", { prepare: withFlags(2), weight: 6 }),
];

/** POP into memory addressed through ESP computes the address after the increment (SDM vol. 2, POP). */
function popThroughStack(state: CpuState, { r }: Context): void {
  state.gpr[esp] = stackPointer(r, 4);
  addChunk(state, state.gpr[esp] - layout.data, littleEndian(integer(r, 4), 4));
}

export function* stack(r: Random): Generator<CaseGroup> {
  for (const rw of rows) yield* expandRow(rw, r, { encodings: 8, states: 10 });
  for (const bytes of [
    [0x8f, 0x04, 0x24],
    [0x8f, 0x44, 0x24, 0x08],
    [0x66, 0x8f, 0x44, 0x24, 0xf0],
    [0xff, 0x34, 0x24],
    [0xff, 0x74, 0x24, 0x04],
    [0x66, 0xff, 0x74, 0x24, 0x04],
  ]) {
    const base = encodeRow(row("pop 90", { prepare: popThroughStack }), 4, false, r, 20);
    yield { ...base, name: `${bytes.includes(0x8f) ? "pop" : "push"} [esp]`, bytes };
  }
  // ENTER with every nesting level from 0 to 31 (the level is taken modulo 32), LEAVE.
  for (const prefix of [[], [0x66]])
    for (const level of [0, 0, 1, 2, 3, 4, 7, 16, 31, 32, 33, 255])
      for (const size of [0, 4, r.below(0x100), 0xfff]) {
        const bytes = [...prefix, 0xc8, ...littleEndian(size, 2), level];
        const states = Array.from({ length: 6 }, () => {
          const state = defaultState();
          state.eflags = randomFlags(r);
          state.gpr[esp] = r.chance(10) ? stackPointer(r, 16) : layout.data + 0x1200 + 4 * r.below(0x300);
          state.gpr[ebp] = r.chance(8) ? layout.data + 4 * r.below(8) : layout.data + 0x1200 + 4 * r.below(0x300);
          return state;
        });
        yield { name: `enter Iw,Ib/${prefix.length ? 16 : 32}`, bytes, branch: false, usesFpu: false, states };
      }
  for (const prefix of [[], [0x66]]) {
    const states = Array.from({ length: 100 }, () => {
      const state = defaultState();
      state.eflags = randomFlags(r);
      state.gpr[ebp] = stackPointer(r, 4);
      addChunk(state, state.gpr[ebp] - layout.data, littleEndian(integer(r, 4), 4));
      return state;
    });
    yield { name: `leave/${prefix.length ? 16 : 32}`, bytes: [...prefix, 0xc9], branch: false, usesFpu: false, states };
  }
}
