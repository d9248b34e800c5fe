/** String instructions: every size, repeat prefix, address size and direction, ending at a count, a condition or a fault. */
import { layout } from "../layout.ts";
import { type CaseGroup, type CpuState, defaultState, register } from "../state.ts";
import { littleEndian } from "./encoder.ts";
import { integer, type Random } from "./random.ts";
import { addChunk, randomFlags } from "./rows.ts";

const { eax, ecx, edx, esi, edi } = register;

interface StringInstruction {
  readonly name: string;
  /** Opcode of the byte form; the next one is the wide form. */
  readonly opcode: number;
  readonly source: boolean;
  readonly destination: boolean;
  readonly compares?: boolean;
}

const instructions: readonly StringInstruction[] = [
  { name: "movs", opcode: 0xa4, source: true, destination: true },
  { name: "cmps", opcode: 0xa6, source: true, destination: true, compares: true },
  { name: "stos", opcode: 0xaa, source: false, destination: true },
  { name: "lods", opcode: 0xac, source: true, destination: false },
  { name: "scas", opcode: 0xae, source: false, destination: true, compares: true },
];

/** One of the two pointers, with room for `count` elements in the direction given, or close to an end of the pages. */
function pointer(r: Random, size: number, count: number, down: boolean): number {
  const span = size * Math.max(count, 1);
  const kind = r.below(100);
  if (kind < 9) return down ? size * r.below(Math.max(1, count)) : layout.dataSize - size * r.below(Math.max(1, count)) - r.below(size);
  if (kind < 12) return layout.constant - layout.data + 0x100;
  if (kind < 30) return 0x1000 + (down ? 1 : -1) * r.below(span) - r.below(2);
  return 0x200 + r.below(0xc00);
}

function place(state: CpuState, n: number, offset: number, address16: boolean, selector: number, r: Random): void {
  const base = selector === 0x2b ? (address16 ? layout.low : layout.data) : 0;
  const value = (base + offset) >>> 0;
  state.gpr[n] = address16 ? ((r.next() & 0xffff0000) | (value & 0xffff)) >>> 0 : value;
}

function stringState(i: StringInstruction, size: number, repeat: number, address16: boolean, override: number, r: Random): CpuState {
  const state = defaultState();
  state.eflags = randomFlags(r);
  const down = r.chance(40);
  if (down) state.eflags |= 0x400;
  const count = r.chance(8) ? 0 : r.chance(20) ? 1 : 2 + r.below(r.chance(15) ? 60 : 10);
  const steps = repeat ? count : 1;
  const segmented = r.chance(8) ? 0x07 : 0x2b;
  state.segments = [segmented, segmented, 0x07, 0x0f];
  const sourceSelector =
    override === 0x64 ? 0x07 : override === 0x65 ? 0x0f : override === 0x26 ? segmented : override === 0 || override === 0x3e ? segmented : 0x2b;
  let source = pointer(r, size, steps, down);
  let destination = pointer(r, size, steps, down);
  // Overlapping moves, the copy-forward idiom among them.
  if (i.source && i.destination && r.chance(20)) destination = source + (r.below(5) - 2) * (r.chance(50) ? size : 1);
  if (i.name === "cmps" && r.chance(10)) source = destination;
  if (address16 && Math.max(source, destination) >= 0x3000) source = destination = 0x300;
  if (i.source) place(state, esi, source, address16, sourceSelector, r);
  if (i.destination) place(state, edi, destination, address16, segmented, r);
  state.gpr[ecx] = address16 && repeat ? ((r.next() & 0xffff0000) | count) >>> 0 : repeat ? count : integer(r, 4);
  const value = integer(r, 4);
  if (!i.source) state.gpr[eax] = value;
  if (i.compares) {
    // Equal up to some element for REPE, different up to some element for REPNE.
    const stop = r.below(steps + 2);
    for (let k = 0; k < steps; k++) {
      const equal = repeat === 0xf2 ? k === stop : k !== stop;
      const element = littleEndian(i.source ? integer(r, size) : value, size);
      const other = equal ? element : littleEndian(integer(r, size), size);
      const at = (down ? -1 : 1) * k * size;
      if (i.source) {
        addChunk(state, source + at, element);
        addChunk(state, destination + at, other);
      } else addChunk(state, destination + at, equal ? element : other);
    }
  } else if (r.chance(50) && i.source) addChunk(state, source, littleEndian(integer(r, size), size));
  state.memory = state.memory.slice(0, 200);
  return state;
}

export function* strings(r: Random): Generator<CaseGroup> {
  for (const i of instructions)
    for (const size of [1, 2, 4])
      for (const repeat of [0, 0xf3, 0xf2])
        for (const address16 of [false, true]) {
          for (let variant = 0; variant < (repeat ? 3 : 2); variant++) {
            const override = variant === 0 ? 0 : r.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);
            const prefixes = [
              ...(repeat ? [repeat] : []),
              ...(size === 2 ? [0x66] : []),
              ...(address16 ? [0x67] : []),
              ...(override ? [override] : []),
            ];
            const bytes = [...prefixes, i.opcode + (size === 1 ? 0 : 1)];
            const name = `${i.name} ${"bwd"[size >> 1]}${repeat === 0xf3 ? " rep" : repeat ? " repne" : ""}${address16 ? " addr16" : ""}`;
            const states = Array.from({ length: repeat ? 40 : 24 }, () => stringState(i, size, repeat, address16, override, r));
            yield { name, bytes, branch: false, usesFpu: false, states };
          }
        }
  // IN, OUT, INS and OUTS fault with I/O privilege level 0 and no permission map; nothing may have moved by then.
  for (const bytes of [
    [0x6c],
    [0x6d],
    [0x66, 0x6d],
    [0x6e],
    [0x6f],
    [0xf3, 0x6c],
    [0xf3, 0x6f],
    [0xe4, 0x60],
    [0xe5, 0x60],
    [0xe6, 0x60],
    [0xe7, 0x60],
    [0xec],
    [0xed],
    [0xee],
    [0xef],
    [0x66, 0xed],
  ]) {
    const states = Array.from({ length: 4 }, () => {
      const state = stringState(instructions[0], 4, bytes[0] === 0xf3 ? 0xf3 : 0, false, 0, r);
      state.segments = defaultState().segments;
      if (bytes[0] === 0xf3) state.gpr[ecx] = 1 + r.below(5);
      state.gpr[edx] = r.pick([0x60, 0x80, 0x3f8, 0x1f0]);
      return state;
    });
    const last = bytes[bytes.length - 1] & 0xfe;
    const name = last === 0x6c ? "ins" : last === 0x6e ? "outs" : bytes.includes(0xe4) || bytes.includes(0xe5) || last === 0xec ? "in" : "out";
    yield { name, bytes, branch: false, usesFpu: false, states };
  }
}
