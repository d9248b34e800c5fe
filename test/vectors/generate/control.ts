/** Branches, calls, returns, loops and software interrupts. INT3 lies everywhere around: the outcome is where EIP went. */
import { layout } from "../layout.ts";
import { type CaseGroup, type CpuState, defaultState, register } from "../state.ts";
import { littleEndian, memoryForm, operandOffset } from "./encoder.ts";
import { integer, type Random } from "./random.ts";
import { addChunk, randomFlags } from "./rows.ts";
import { stackPointer } from "./stack.ts";

const { eax, ecx, esp } = register;
const conditions = ["o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle"];

/** Somewhere in the code page, clear of the instruction itself. */
const target = (r: Random) => layout.code + (r.chance(50) ? 0x100 + r.below(0x600) : 0x900 + r.below(0x600));
const displacement8 = (r: Random) => (r.chance(50) ? 0x18 + r.below(0x68) : 0x80 + r.below(0x50));

/** An offset for a 16-bit branch: EIP is cut to 16 bits, where nothing is mapped but the data pages. */
function offset16(r: Random): number {
  const offset = r.below(0x10000);
  return offset >= layout.low - 16 && offset < layout.low + layout.dataSize ? offset ^ 0x8000 : offset;
}
const relative16 = (r: Random, length: number) => littleEndian(offset16(r) - layout.entry - length, 2);

function states(r: Random, n: number, change: (s: CpuState, i: number) => void): CpuState[] {
  return Array.from({ length: n }, (_, i) => {
    const state = defaultState();
    state.eflags = randomFlags(r);
    change(state, i);
    return state;
  });
}

const group = (name: string, bytes: number[], list: CpuState[]): CaseGroup => ({ name, bytes, branch: true, usesFpu: false, states: list });
const relative = (r: Random, length: number) => littleEndian(target(r) - layout.entry - length, 4);

/** Every combination of the flags a condition may look at. */
const flagsOf = (i: number) => 0x202 | (i & 1) | ((i & 2) << 1) | ((i & 4) << 4) | ((i & 8) << 4) | ((i & 16) << 7);

export function* control(r: Random): Generator<CaseGroup> {
  for (const [i, c] of conditions.entries()) {
    const all = () =>
      states(r, 32, (s, n) => {
        s.eflags = flagsOf(n) | (r.below(2) << 4);
      });
    for (let k = 0; k < 2; k++) {
      yield group(`j${c} Jb`, [0x70 + i, displacement8(r)], all());
      yield group(`j${c} Jz/32`, [0x0f, 0x80 + i, ...relative(r, 6)], all());
    }
    yield group(`j${c} Jb/16`, [0x66, 0x70 + i, displacement8(r)], all());
    yield group(`j${c} Jz/16`, [0x66, 0x0f, 0x80 + i, ...relative16(r, 5)], all());
    yield group(`j${c} Jb`, [r.pick([0x2e, 0x3e]), 0x70 + i, displacement8(r)], all().slice(0, 8));
  }
  for (const [i, name] of ["loopne", "loope", "loop", "jecxz"].entries())
    for (const prefix of [[], [0x67], [0x66], [0x67, 0x66]]) {
      yield group(
        `${name} Jb${prefix.map((p) => ` ${p.toString(16)}`).join("")}`,
        [...prefix, 0xe0 + i, displacement8(r)],
        states(r, 60, (s) => {
          s.gpr[ecx] = r.chance(50) ? r.pick([0, 1, 2, 0x10000, 0x10001, 0xffff0000, 0xffffffff, 0xffff0001]) : integer(r, 4);
        }),
      );
    }
  const pushes = (size: number) => (s: CpuState) => {
    s.gpr[esp] = stackPointer(r, size);
  };
  for (let k = 0; k < 8; k++) {
    yield group(
      "jmp Jb",
      [0xeb, displacement8(r)],
      states(r, 4, () => {}),
    );
    yield group(
      "jmp Jz/32",
      [0xe9, ...relative(r, 5)],
      states(r, 4, () => {}),
    );
    yield group("call Jz/32", [0xe8, ...relative(r, 5)], states(r, 24, pushes(4)));
    yield group(
      "jmp Jb/16",
      [0x66, 0xeb, displacement8(r)],
      states(r, 3, () => {}),
    );
    yield group(
      "jmp Jz/16",
      [0x66, 0xe9, ...relative16(r, 4)],
      states(r, 3, () => {}),
    );
    yield group("call Jz/16", [0x66, 0xe8, ...relative16(r, 4)], states(r, 8, pushes(2)));
  }
  for (const [digit, name] of [
    [2, "call"],
    [4, "jmp"],
  ] as const)
    for (const size of [4, 2]) {
      const prefix = size === 2 ? [0x66] : [];
      for (let reg = 0; reg < 8; reg++) {
        yield group(
          `${name} Ev/${size * 8} register`,
          [...prefix, 0xff, 0xc0 | (digit << 3) | reg],
          states(r, 8, (s) => {
            if (reg !== esp) s.gpr[esp] = stackPointer(r, size);
            s.gpr[reg] = reg === esp && digit === 2 ? stackPointer(r, size) : target(r);
          }),
        );
      }
      for (let k = 0; k < 30; k++) {
        const form = memoryForm(r, { avoid: [esp], offset: operandOffset(r, size, size, 3) });
        yield group(
          `${name} Ev/${size * 8} memory`,
          [...form.prefixes, ...prefix, 0xff, form.modrm | (digit << 3), ...form.tail],
          states(r, 10, (s) => {
            s.gpr[esp] = stackPointer(r, size);
            const at = form.place(s, form.fixedOffset ?? operandOffset(r, size, size), r);
            addChunk(s, at, littleEndian(target(r), size));
          }),
        );
      }
    }
  for (const size of [4, 2]) {
    const prefix = size === 2 ? [0x66] : [];
    const returns = (s: CpuState) => {
      s.gpr[esp] = stackPointer(r, size);
      addChunk(s, s.gpr[esp] - layout.data, littleEndian(target(r), size));
    };
    yield group(`ret/${size * 8}`, [...prefix, 0xc3], states(r, 120, returns));
    for (const extra of [0, 4, 8, 0x7fff, 0x8000, 0xffff, r.below(0x1000)])
      yield group(`ret Iw/${size * 8}`, [...prefix, 0xc2, ...littleEndian(extra, 2)], states(r, 16, returns));
  }
  // Far transfers to the same privilege level: selector and offset, by pointer, memory and stack.
  for (const selector of [0x23, 0x20, 0x21, 0x2b, 0, 3, 0x1f, 0x27, 0x2f, 0xfffb, 0x3f]) {
    const farReturns = (s: CpuState) => {
      s.gpr[esp] = stackPointer(r, 8);
      addChunk(s, s.gpr[esp] - layout.data, [...littleEndian(target(r), 4), ...littleEndian(selector | (r.next() << 16), 4)]);
    };
    // A transfer to an LDT code segment would leave the host in it: only those that fault, and the flat one.
    if (selector === 0x1f || selector === 0x27) continue;
    for (let k = 0; k < 3; k++) {
      yield group(
        "jmp.far Ap",
        [0xea, ...littleEndian(target(r), 4), ...littleEndian(selector, 2)],
        states(r, 3, () => {}),
      );
      yield group("call.far Ap", [0x9a, ...littleEndian(target(r), 4), ...littleEndian(selector, 2)], states(r, 10, pushes(8)));
    }
    yield group("ret.far/32", [0xcb], states(r, 20, farReturns));
    yield group(
      "ret.far/16",
      [0x66, 0xcb],
      states(r, 12, (s) => {
        s.gpr[esp] = stackPointer(r, 4);
        addChunk(s, s.gpr[esp] - layout.data, [...littleEndian(target(r), 2), ...littleEndian(selector, 2)]);
      }),
    );
    yield group(
      "ret.far Iw/16",
      [0x66, 0xca, 0x06, 0x00],
      states(r, 6, (s) => {
        s.gpr[esp] = stackPointer(r, 4);
        addChunk(s, s.gpr[esp] - layout.data, [...littleEndian(target(r), 2), ...littleEndian(selector, 2)]);
      }),
    );
    yield group(
      "iret/16",
      [0x66, 0xcf],
      states(r, 12, (s) => {
        s.gpr[esp] = stackPointer(r, 6);
        addChunk(s, s.gpr[esp] - layout.data, [...littleEndian(target(r), 2), ...littleEndian(selector, 2), ...littleEndian(r.next() & ~0x4100, 2)]);
      }),
    );
    yield group(
      "jmp.far Ap/16",
      [0x66, 0xea, ...littleEndian(offset16(r), 2), ...littleEndian(selector, 2)],
      states(r, 4, () => {}),
    );
    yield group("call.far Ap/16", [0x66, 0x9a, ...littleEndian(offset16(r), 2), ...littleEndian(selector, 2)], states(r, 6, pushes(4)));
    for (const [digit, name] of [
      [3, "call.far"],
      [5, "jmp.far"],
    ] as const) {
      const form = memoryForm(r, { avoid: [esp], offset: operandOffset(r, 4, 4, 3) });
      yield group(
        `${name} Mp/16`,
        [...form.prefixes, 0x66, 0xff, form.modrm | (digit << 3), ...form.tail],
        states(r, 5, (s) => {
          s.gpr[esp] = stackPointer(r, 4);
          const at = form.place(s, form.fixedOffset ?? operandOffset(r, 4, 4), r);
          addChunk(s, at, [...littleEndian(target(r), 2), ...littleEndian(selector, 2)]);
        }),
      );
    }
    yield group("ret.far Iw/32", [0xca, 0x0c, 0x00], states(r, 12, farReturns));
    for (const [digit, name] of [
      [3, "call.far"],
      [5, "jmp.far"],
    ] as const)
      for (let k = 0; k < 4; k++) {
        const form = memoryForm(r, { avoid: [esp], offset: operandOffset(r, 6, 4, 3) });
        yield group(
          `${name} Mp`,
          [...form.prefixes, 0xff, form.modrm | (digit << 3), ...form.tail],
          states(r, 5, (s) => {
            s.gpr[esp] = stackPointer(r, 8);
            const at = form.place(s, form.fixedOffset ?? operandOffset(r, 6, 4), r);
            addChunk(s, at, [...littleEndian(target(r), 4), ...littleEndian(selector, 2)]);
          }),
        );
      }
    // IRET to the same level pops EIP, CS and the flags a POPF could set.
    yield group(
      "iret/32",
      [0xcf],
      states(r, 30, (s) => {
        s.gpr[esp] = stackPointer(r, 12);
        addChunk(s, s.gpr[esp] - layout.data, [
          ...littleEndian(target(r), 4),
          ...littleEndian(selector, 4),
          ...littleEndian(r.next() & ~0x20100 & ~0x4000, 4),
        ]);
      }),
    );
  }
  // INT3 is what everything around holds: here it and its relatives are what runs.
  const traps: [string, number[]][] = [
    ["int3", [0xcc]],
    ["int 3", [0xcd, 3]],
    ["int 4", [0xcd, 4]],
    ["into", [0xce]],
    ["int 21", [0xcd, 0x21]],
    ["int 0", [0xcd, 0]],
    ["int d", [0xcd, 13]],
    ["int ff", [0xcd, 0xff]],
    ["ud2", [0x0f, 0x0b]],
  ];
  for (const [name, bytes] of traps)
    yield {
      name,
      bytes,
      branch: false,
      usesFpu: false,
      states: states(r, 8, (s) => {
        s.gpr[eax] = 0;
      }),
    };
  for (const size of [4, 2])
    for (let k = 0; k < 14; k++) {
      const form = memoryForm(r, { avoid: [eax], offset: operandOffset(r, 2 * size, size, 3) });
      yield {
        name: `bound Gv,Ma/${size * 8}`,
        bytes: [...form.prefixes, ...(size === 2 ? [0x66] : []), 0x62, form.modrm, ...form.tail],
        branch: false,
        usesFpu: false,
        states: states(r, 14, (s) => {
          const low = integer(r, size) | 0;
          const high = r.chance(50) ? low + r.below(20) : integer(r, size) | 0;
          s.gpr[eax] = r.chance(60) ? (low + r.below(23) - 1) >>> 0 : integer(r, 4);
          const at = form.place(s, form.fixedOffset ?? operandOffset(r, 2 * size, size), r);
          addChunk(s, at, [...littleEndian(low, size), ...littleEndian(high, size)]);
        }),
      };
    }
}
