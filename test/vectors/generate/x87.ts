/**
 * The x87: every instruction over every rounding and precision control, stacks with and without faults, masked and unmasked
 * exceptions. What the architecture gives exactly is one family, what it bounds by an error (the transcendentals) another.
 */
import { type CaseGroup, type CpuState, defaultState, fx, register } from "../state.ts";
import { littleEndian, memoryForm, operandOffset } from "./encoder.ts";
import { extendedBytes, floatBytes } from "./floats.ts";
import { integer, type Random } from "./random.ts";
import { addChunk, randomFlags } from "./rows.ts";

const { eax } = register;

interface Setting {
  /** ST(i) this many from the top are valid, as the instruction needs them. */
  readonly needs: number;
  /** Also ST(also). */
  readonly also?: number;
  /** Pushes: ST(7) is free. */
  readonly pushes?: boolean;
  readonly value?: (r: Random, i: number) => number[];
}

/** Control word: all RC, mostly 64-bit precision, mostly masked. */
function controlWord(r: Random): number {
  const precision = r.chance(70) ? 3 : r.pick([0, 2, 3]);
  const masks = r.chance(90) ? 0x3f : r.below(64);
  return 0x40 | masks | (precision << 8) | (r.below(4) << 10);
}

export function x87State(r: Random, s: Setting): CpuState {
  const state = defaultState();
  state.eflags = randomFlags(r);
  const view = new DataView(state.fpu.buffer);
  const control = controlWord(r);
  const top = r.below(8);
  const conditions = r.pick([0, 0x4700, 0x100, 0x200, 0x400, 0x4000, 0x4500]);
  let sticky = r.chance(35) ? r.below(64) : 0;
  if (sticky & 1 && r.chance(30)) sticky |= 0x40;
  // ES and B follow from the rest: only a few cases start with an exception pending.
  if (sticky & ~control & 0x3f && r.chance(80)) sticky &= control | 0x40;
  const pending = sticky & ~control & 0x3f ? 0x8080 : 0;
  let tags = r.chance(50) ? 0xff : r.below(256);
  const physical = (i: number) => 1 << ((top + i) & 7);
  if (!r.chance(10)) {
    for (let i = 0; i < s.needs; i++) tags |= physical(i);
    if (s.also !== undefined) tags |= physical(s.also);
    if (s.pushes) tags &= ~physical(7);
  }
  view.setUint16(fx.control, control, true);
  view.setUint16(fx.status, conditions | sticky | pending | (top << 11), true);
  state.fpu[fx.tag] = tags;
  for (const i of new Set([...Array.from({ length: s.needs }, (_, k) => k), ...(s.also === undefined ? [] : [s.also])])) {
    state.fpu.set(s.value ? s.value(r, i) : extendedBytes(r), fx.st + 16 * i);
  }
  // Close pairs: equal, or a few units apart.
  if ((s.needs > 1 || s.also) && r.chance(15)) {
    const other = s.also ?? 1;
    state.fpu.copyWithin(fx.st + 16 * other, fx.st, fx.st + 10);
    if (r.chance(50)) state.fpu[fx.st + 16 * other] ^= 1 << r.below(3);
    if (r.chance(30)) state.fpu[fx.st + 16 * other + 9] ^= 0x80;
  }
  return state;
}

type Data = "single" | "double" | "extended" | "int16" | "int32" | "int64" | "bcd";
const dataSize: Record<Data, number> = { single: 4, double: 8, extended: 10, int16: 2, int32: 4, int64: 8, bcd: 10 };

function dataOf(r: Random, kind: Data): number[] {
  switch (kind) {
    case "single":
      return floatBytes(r, 4);
    case "double":
      return floatBytes(r, 8);
    case "extended":
      return extendedBytes(r);
    case "bcd":
      return Array.from({ length: 10 }, (_, i) => (i === 9 ? r.pick([0, 0x80]) : r.chance(30) ? 0 : r.below(10) * 16 + r.below(10)));
    default:
      return Array.from({ length: Math.ceil(dataSize[kind] / 4) }, () =>
        littleEndian(integer(r, Math.min(4, dataSize[kind])), Math.min(4, dataSize[kind])),
      ).flat();
  }
}

/** [name, opcode, digit, data, needs, pushes] */
type MemoryRow = readonly [string, number, number, Data, number, boolean?];
const arithmetic = ["add", "mul", "com", "comp", "sub", "subr", "div", "divr"];
const memoryRows: readonly MemoryRow[] = [
  ...arithmetic.flatMap((n, i): MemoryRow[] => [
    [`f${n}`, 0xd8, i, "single", 1],
    [`f${n}`, 0xdc, i, "double", 1],
    [`fi${n}`, 0xda, i, "int32", 1],
    [`fi${n}`, 0xde, i, "int16", 1],
  ]),
  ["fld", 0xd9, 0, "single", 0, true],
  ["fld", 0xdd, 0, "double", 0, true],
  ["fld", 0xdb, 5, "extended", 0, true],
  ["fild", 0xdf, 0, "int16", 0, true],
  ["fild", 0xdb, 0, "int32", 0, true],
  ["fild", 0xdf, 5, "int64", 0, true],
  ["fbld", 0xdf, 4, "bcd", 0, true],
  ["fst", 0xd9, 2, "single", 1],
  ["fstp", 0xd9, 3, "single", 1],
  ["fst", 0xdd, 2, "double", 1],
  ["fstp", 0xdd, 3, "double", 1],
  ["fstp", 0xdb, 7, "extended", 1],
  ["fist", 0xdf, 2, "int16", 1],
  ["fistp", 0xdf, 3, "int16", 1],
  ["fist", 0xdb, 2, "int32", 1],
  ["fistp", 0xdb, 3, "int32", 1],
  ["fistp", 0xdf, 7, "int64", 1],
  ["fbstp", 0xdf, 6, "bcd", 1],
];

/** [name, first byte, second byte (for ST0), needs, also ST(i)] for the forms with a register number in the low bits. */
type RegisterRow = readonly [string, number, number, boolean?];
const reversed = ["add", "mul", "com2", "comp3", "subr", "sub", "divr", "div"];
const registerRows: readonly RegisterRow[] = [
  ...arithmetic.map((n, i): RegisterRow => [`f${n}`, 0xd8, 0xc0 + 8 * i]),
  ...reversed.map((n, i): RegisterRow => [n.startsWith("com") ? `f${n.slice(0, -1)}` : `f${n}`, 0xdc, 0xc0 + 8 * i]),
  ...reversed.flatMap((n, i): RegisterRow[] => (i === 3 ? [] : [[i === 2 ? "fcomp" : `f${n}p`, 0xde, 0xc0 + 8 * i]])),
  ["fld", 0xd9, 0xc0, true],
  ["fxch", 0xd9, 0xc8],
  ["fxch", 0xdd, 0xc8],
  ["fxch", 0xdf, 0xc8],
  ["ffree", 0xdd, 0xc0],
  ["ffreep", 0xdf, 0xc0],
  ["fst", 0xdd, 0xd0],
  ["fstp", 0xdd, 0xd8],
  ["fstp", 0xd9, 0xd8],
  ["fstp", 0xdf, 0xd0],
  ["fstp", 0xdf, 0xd8],
  ["fucom", 0xdd, 0xe0],
  ["fucomp", 0xdd, 0xe8],
  ...["b", "e", "be", "u"].flatMap((c, i): RegisterRow[] => [
    [`fcmov${c}`, 0xda, 0xc0 + 8 * i],
    [`fcmovn${c}`, 0xdb, 0xc0 + 8 * i],
  ]),
  ["fucomi", 0xdb, 0xe8],
  ["fcomi", 0xdb, 0xf0],
  ["fucomip", 0xdf, 0xe8],
  ["fcomip", 0xdf, 0xf0],
];

const loadConstant = ["fld1", "fldl2t", "fldl2e", "fldpi", "fldlg2", "fldln2", "fldz"];

/** FSCALE's scale and FPREM's quotient want numbers of some size. */
const scale = (r: Random, i: number): number[] => {
  if (i === 0 || r.chance(35)) return extendedBytes(r);
  const exponent = 0x3ffc + r.below(r.chance(50) ? 6 : 18);
  return [...littleEndian(0, 4), ...littleEndian(0x80000000 | (r.chance(60) ? 0 : r.next()), 4), ...littleEndian(exponent | (r.below(2) << 15), 2)];
};
const distant = (r: Random, i: number): number[] => {
  if (r.chance(30)) return extendedBytes(r);
  const exponent = i === 0 ? 0x3ff0 + r.below(r.chance(30) ? 0x100 : 0x60) : 0x3ff0 + r.below(0x20);
  return [
    ...littleEndian(r.chance(50) ? r.next() : 0, 4),
    ...littleEndian(0x80000000 | r.next(), 4),
    ...littleEndian(exponent | (r.below(2) << 15), 2),
  ];
};

/** [name, bytes, setting] */
const fixedRows: readonly (readonly [string, number[], Setting])[] = [
  ["fucompp", [0xda, 0xe9], { needs: 2 }],
  ["fcompp", [0xde, 0xd9], { needs: 2 }],
  ["fchs", [0xd9, 0xe0], { needs: 1 }],
  ["fabs", [0xd9, 0xe1], { needs: 1 }],
  ["ftst", [0xd9, 0xe4], { needs: 1 }],
  ["fxam", [0xd9, 0xe5], { needs: 1 }],
  ...loadConstant.map((n, i): readonly [string, number[], Setting] => [n, [0xd9, 0xe8 + i], { needs: 0, pushes: true }]),
  ["fxtract", [0xd9, 0xf4], { needs: 1, pushes: true }],
  ["fsqrt", [0xd9, 0xfa], { needs: 1 }],
  ["frndint", [0xd9, 0xfc], { needs: 1 }],
  ["fprem", [0xd9, 0xf8], { needs: 2, value: distant }],
  ["fprem1", [0xd9, 0xf5], { needs: 2, value: distant }],
  ["fscale", [0xd9, 0xfd], { needs: 2, value: scale }],
  ["fdecstp", [0xd9, 0xf6], { needs: 0 }],
  ["fincstp", [0xd9, 0xf7], { needs: 0 }],
  ["fnop", [0xd9, 0xd0], { needs: 0 }],
  // The 8087's and 80287's: no operation, and they do not wait.
  ["fneni", [0xdb, 0xe0], { needs: 0 }],
  ["fndisi", [0xdb, 0xe1], { needs: 0 }],
  ["fnsetpm", [0xdb, 0xe4], { needs: 0 }],
  ["fnclex", [0xdb, 0xe2], { needs: 0 }],
  ["fninit", [0xdb, 0xe3], { needs: 0 }],
  ["fnstsw", [0xdf, 0xe0], { needs: 0 }],
  ["fwait", [0x9b], { needs: 0 }],
];

const group = (name: string, bytes: number[], states: CpuState[]): CaseGroup => ({ name, bytes, branch: false, usesFpu: true, states });

/** A tag, status and control word as FLDENV finds them, with the words between them that hold 16 bits only. */
function environment(r: Random, size: number): number[] {
  const control = controlWord(r);
  const sticky = r.chance(40) ? r.below(128) & (r.chance(80) ? control | 0x40 : 0x7f) : 0;
  const status = sticky | (r.below(8) << 11) | r.pick([0, 0x4700, 0x100]) | (sticky & ~control & 0x3f ? 0x8080 : 0);
  const words = [control, status, r.next() & 0xffff];
  return [...words.flatMap((w) => littleEndian(size === 4 ? w | 0xffff0000 : w, size)), ...Array.from({ length: size * 4 }, () => 0)];
}

export function* x87(r: Random): Generator<CaseGroup> {
  const memoryGroup = (
    name: string,
    prefix: number[],
    opcode: number,
    digit: number,
    size: number,
    avoid: number[],
    n: number,
    make: () => CpuState,
    data: () => number[] | undefined,
  ) => {
    const form = memoryForm(r, { avoid, offset: operandOffset(r, size, 4, 2) });
    const states = Array.from({ length: n }, () => {
      const state = make();
      const at = form.place(state, form.fixedOffset ?? operandOffset(r, size, 4, 2), r);
      const bytes = data();
      if (bytes) addChunk(state, at, bytes);
      return state;
    });
    return group(name, [...form.prefixes, ...prefix, opcode, form.modrm | (digit << 3), ...form.tail], states);
  };
  for (const [name, opcode, digit, data, needs, pushes] of memoryRows) {
    const stores = /^f(b|i)?st/.test(name);
    const n = name.startsWith("fi") && !stores ? 6 : 10;
    for (let k = 0; k < n; k++) {
      yield memoryGroup(
        `${name} ${data}`,
        [],
        opcode,
        digit,
        dataSize[data],
        [],
        30,
        () => x87State(r, { needs, pushes }),
        () => (stores ? undefined : dataOf(r, data)),
      );
    }
  }
  for (const [name, opcode, second, pushes] of registerRows)
    for (let i = 0; i < 8; i++) {
      yield group(
        `${name} ST(i)`,
        [opcode, second + i],
        Array.from({ length: 30 }, () => x87State(r, { needs: 1, also: i, pushes })),
      );
    }
  for (const [name, bytes, setting] of fixedRows) {
    yield group(
      name,
      bytes,
      Array.from({ length: setting.needs || setting.pushes ? 300 : 120 }, () => x87State(r, setting)),
    );
  }
  // Control: words, environments, whole states, by both operand sizes.
  const any = () => x87State(r, { needs: 3 });
  for (let k = 0; k < 8; k++) {
    yield memoryGroup("fldcw", [], 0xd9, 5, 2, [], 12, any, () => littleEndian(controlWord(r), 2));
    yield memoryGroup("fnstcw", [], 0xd9, 7, 2, [], 12, any, () => undefined);
    yield memoryGroup("fnstsw", [], 0xdd, 7, 2, [], 12, any, () => undefined);
    for (const size of [4, 2]) {
      const prefix = size === 2 ? [0x66] : [];
      const text = `/${size * 8}`;
      yield memoryGroup(`fldenv${text}`, prefix, 0xd9, 4, size * 7, [], 10, any, () => environment(r, size));
      yield memoryGroup(`fnstenv${text}`, prefix, 0xd9, 6, size * 7, [], 10, any, () => undefined);
      yield memoryGroup(`fnsave${text}`, prefix, 0xdd, 6, size * 7 + 80, [], 8, any, () => undefined);
      yield memoryGroup(`frstor${text}`, prefix, 0xdd, 4, size * 7 + 80, [], 8, any, () => [
        ...environment(r, size),
        ...Array.from({ length: 8 }, () => extendedBytes(r)).flat(),
      ]);
    }
  }
  // With an exception pending, every waiting instruction faults before it does anything.
  for (const bytes of [
    [0x9b],
    [0xd9, 0xe8],
    [0xd8, 0xc1],
    [0xd9, 0xd0],
    [0xdb, 0xe2],
    [0xdb, 0xe3],
    [0xdf, 0xe0],
    [0xd9, 0xc9],
    [0x0f, 0x77],
    [0x0f, 0xfc, 0xc1],
    [0xdd, 0xc0],
    [0xd9, 0xf7],
  ]) {
    const names = ["fwait", "fld1", "fadd", "fnop", "fnclex", "fninit", "fnstsw", "fxch", "emms", "paddb Pq,Qq", "ffree", "fincstp"];
    const name =
      names[
        [0x9b, 0xd9e8, 0xd8c1, 0xd9d0, 0xdbe2, 0xdbe3, 0xdfe0, 0xd9c9, 0x0f77, 0x0ffcc1, 0xddc0, 0xd9f7].indexOf(
          bytes.reduce((v, b) => v * 256 + b, 0),
        )
      ];
    yield group(
      `${name} pending`,
      bytes,
      Array.from({ length: 12 }, () => {
        const state = x87State(r, { needs: 2 });
        const exception = r.below(6);
        state.fpu[fx.control] = 0x7f & ~(1 << exception);
        state.fpu[fx.status] = (1 << exception) | 0x80;
        state.fpu[fx.status + 1] |= 0x80;
        state.gpr[eax] = r.next();
        return state;
      }),
    );
  }
}

const fraction = (r: Random, low: number, high: number): number[] => [
  ...littleEndian(r.chance(70) ? r.next() : 0, 4),
  ...littleEndian(0x80000000 | (r.chance(85) ? r.next() : 0), 4),
  ...littleEndian((low + r.below(high - low + 1)) | (r.below(2) << 15), 2),
];

/** Operands within each instruction's range, and the special ones: what lies outside is undefined. */
export function* transcendental(r: Random): Generator<CaseGroup> {
  const special = (percent: number, otherwise: () => number[]) => (r.chance(percent) ? extendedBytes(r) : otherwise());
  const finiteOrSpecial: readonly number[][] = [
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80],
    [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x7f],
    [1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f],
  ];
  const list: readonly (readonly [string, number[], Setting])[] = [
    [
      "f2xm1",
      [0xd9, 0xf0],
      { needs: 1, value: () => (r.chance(15) ? r.pick(finiteOrSpecial) : fraction(r, 0x3fc0 - (r.chance(10) ? 0x3000 : 0), 0x3ffe)) },
    ],
    [
      "fyl2x",
      [0xd9, 0xf1],
      {
        needs: 2,
        value: (_, i) =>
          special(20, () =>
            i === 0 && r.chance(85) ? fraction(r, 0x3fe0, 0x4010).map((b, k) => (k === 9 ? b & 0x7f : b)) : fraction(r, 0x3ff0, 0x4008),
          ),
      },
    ],
    [
      "fyl2xp1",
      [0xd9, 0xf9],
      {
        needs: 2,
        value: (_, i) =>
          i === 0 ? (r.chance(15) ? r.pick(finiteOrSpecial) : fraction(r, 0x3fb0, 0x3ffc)) : special(15, () => fraction(r, 0x3ff0, 0x4008)),
      },
    ],
    ["fptan", [0xd9, 0xf2], { needs: 1, pushes: true, value: () => special(15, () => fraction(r, 0x3fd0, 0x4003)) }],
    ["fpatan", [0xd9, 0xf3], { needs: 2, value: () => special(20, () => fraction(r, 0x3ff0, 0x400a)) }],
    ["fsin", [0xd9, 0xfe], { needs: 1, value: () => special(15, () => fraction(r, 0x3fd0, 0x4003)) }],
    ["fcos", [0xd9, 0xff], { needs: 1, value: () => special(15, () => fraction(r, 0x3fd0, 0x4003)) }],
    ["fsincos", [0xd9, 0xfb], { needs: 1, pushes: true, value: () => special(15, () => fraction(r, 0x3fd0, 0x4003)) }],
  ];
  for (const [name, bytes, setting] of list)
    yield group(
      name,
      bytes,
      Array.from({ length: 500 }, () => x87State(r, setting)),
    );
}
