/** SSE3 to SSE4.2, POPCNT, MOVBE, AES and SHA. */
import { layout } from "../layout.ts";
import { type CaseGroup, type CpuState, defaultState, fx, register } from "../state.ts";
import { littleEndian, memoryForm, operandOffset } from "./encoder.ts";
import { integer, type Random } from "./random.ts";
import { addChunk, type Context, dataBytes, type Row, randomFlags, row } from "./rows.ts";
import { controlSimd, floating, stack } from "./simd.ts";
import { x87State } from "./x87.ts";

const { eax, edx, ebx } = register;
const hex = (n: number) => n.toString(16).padStart(2, "0");
const count = (n: number) => Array.from({ length: n }, (_, i) => i);
const any = (r: Random) => r.below(256);
/** One row per immediate, of one encoding in each form. */
const withImmediates = (values: readonly number[], text: string, extra: Partial<Row>) =>
  values.map((value) => row(text, { weight: 0, ...extra, immediate: () => value }));

const packed = (text: string, extra: Partial<Row> = {}) => row(text, { align: 16, plainFlags: true, ...extra });
const float = (text: string, align: number, extra: Partial<Row> = {}) => row(text, { align, prepare: floating, plainFlags: true, ...extra });

/** Gives the last operand, register or memory, another value. */
function setSource(state: CpuState, { memory, offset, rm }: Context, bytes: ArrayLike<number>): void {
  if (memory) {
    state.memory.pop();
    addChunk(state, offset, bytes);
  } else state.fpu.set(bytes, fx.xmm + 16 * rm);
}

const setDestination = (state: CpuState, { reg }: Context, bytes: ArrayLike<number>) => state.fpu.set(bytes, fx.xmm + 16 * reg);
const destination = (state: CpuState, { reg }: Context) => state.fpu.slice(fx.xmm + 16 * reg, fx.xmm + 16 * reg + 16);

/** XMM0 is an operand without being named. */
function maskInXmm0(state: CpuState, c: Context): void {
  const { r, memory, rm, reg } = c;
  if ((memory || rm !== 0) && reg !== 0) state.fpu.set(dataBytes(r, "dq"), fx.xmm);
}

export function sse3Rows(): Row[] {
  return [
    ...(
      [
        ["addsub", 0xd0],
        ["hadd", 0x7c],
        ["hsub", 0x7d],
      ] as const
    ).flatMap(([name, opcode]) => [
      float(`${name}pd 66:0f${hex(opcode)} Vpd,Wpd`, 16, { weight: 1.3 }),
      float(`${name}ps f2:0f${hex(opcode)} Vps,Wps`, 16, { weight: 1.3 }),
    ]),
    float("movsldup f3:0f12 Vps,Wps", 16, { weight: 0.7 }),
    float("movshdup f3:0f16 Vps,Wps", 16, { weight: 0.7 }),
    float("movddup f2:0f12 Vq,Wq", 8),
    packed("lddqu f2:0ff0 Vdq,Mdq", { align: 1 }),
  ];
}

/** FISTTP, and what is reserved beside the others. */
export function* sse3(r: Random): Generator<CaseGroup> {
  for (const [data, opcode, size] of [
    ["int16", 0xdf, 2],
    ["int32", 0xdb, 4],
    ["int64", 0xdd, 8],
  ] as const)
    for (let k = 0; k < 10; k++) {
      const form = memoryForm(r, { offset: operandOffset(r, size, 4, 2) });
      const states = count(30).map(() => {
        const state = x87State(r, { needs: 1 });
        form.place(state, form.fixedOffset ?? operandOffset(r, size, 4, 2), r);
        return state;
      });
      yield { name: `fisttp ${data}`, bytes: [...form.prefixes, opcode, form.modrm | (1 << 3), ...form.tail], branch: false, usesFpu: true, states };
    }
  yield* reserved(
    r,
    sse3Rows().filter(({ opcode }) => opcode[1] !== 0x12 && opcode[1] !== 0x16),
  );
  yield invalid(r, [0xf2, 0x0f, 0x16, 0xc1]);
  yield invalid(r, [0xf2, 0x0f, 0x16, 0x03]);
}

const integers: readonly (readonly [string, number])[] = [
  ["pshufb", 0x00],
  ["phaddw", 0x01],
  ["phaddd", 0x02],
  ["phaddsw", 0x03],
  ["pmaddubsw", 0x04],
  ["phsubw", 0x05],
  ["phsubd", 0x06],
  ["phsubsw", 0x07],
  ["psignb", 0x08],
  ["psignw", 0x09],
  ["psignd", 0x0a],
  ["pmulhrsw", 0x0b],
  ["pabsb", 0x1c],
  ["pabsw", 0x1d],
  ["pabsd", 0x1e],
];
const alignment = (r: Random) => (r.chance(85) ? r.below(36) : r.below(256));

export function ssse3Rows(): Row[] {
  const mmx = (text: string, extra: Partial<Row> = {}) => row(text, { prepare: stack, plainFlags: true, ...extra });
  return [
    ...integers.flatMap(([name, opcode]) => [mmx(`${name} 0f38${hex(opcode)} Pq,Qq`), packed(`${name} 66:0f38${hex(opcode)} Vdq,Wdq`)]),
    mmx("palignr 0f3a0f Pq,Qq,Ib", { immediate: alignment, weight: 2.5 }),
    packed("palignr 66:0f3a0f Vdq,Wdq,Ib", { immediate: alignment, weight: 3.5 }),
  ];
}

/** A pending x87 exception, which comes before what memory has to say; what is reserved. */
export function* ssse3(r: Random): Generator<CaseGroup> {
  for (const modrm of [0xc1, 0x03])
    for (const bytes of [
      [0x0f, 0x38, 0x00, modrm],
      [0x0f, 0x3a, 0x0f, modrm, 3],
    ])
      yield {
        name: `${bytes[1] === 0x38 ? "pshufb" : "palignr"} Pq,Qq pending`,
        bytes,
        branch: false,
        usesFpu: true,
        states: count(12).map(() => {
          const state = x87State(r, { needs: 0 });
          const exception = r.below(6);
          state.fpu[fx.control] = 0x7f & ~(1 << exception);
          state.fpu[fx.status] = (1 << exception) | 0x80;
          state.fpu[fx.status + 1] |= 0x80;
          state.gpr[ebx] = layout.data + r.pick([0x100, layout.dataSize, layout.dataSize - 4]);
          return state;
        }),
      };
  yield* reserved(r, ssse3Rows());
}

/** Both operands close to each other: equal, a bit apart, one within the other, all or nothing. */
function related(state: CpuState, c: Context): void {
  const { r } = c;
  const a = destination(state, c);
  const kind = r.below(8);
  if (kind === 0) setSource(state, c, a);
  else if (kind === 1)
    setSource(
      state,
      c,
      a.map((b) => ~b),
    );
  else if (kind === 2)
    setSource(
      state,
      c,
      a.map((b) => b & r.next()),
    );
  else if (kind === 3)
    setSource(
      state,
      c,
      [...a.map((b) => b & r.next())].map((b, i) => (i === 5 ? b ^ (1 << r.below(8)) : b)),
    );
  else if (kind === 4) setSource(state, c, new Uint8Array(16).fill(r.pick([0, 0xff])));
  else if (kind === 5) {
    a[r.below(16)] ^= 1 << r.below(8);
    setSource(state, c, a);
  }
}

function floatValue(value: number, size: number): number[] {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return Array.from(new Uint8Array(view.buffer));
}

/** Halves, among them the largest there are, and their neighbours. */
function halves(size: number) {
  return (state: CpuState, c: Context): void => {
    const { r, memory, offset } = c;
    controlSimd(state, r);
    if (r.chance(45)) return;
    const lanes = count(16 / size).flatMap(() => {
      const largest = size === 4 ? 2 ** 22 : 2 ** 51;
      const value = r.chance(75) ? (r.below(32) - 16) / 2 : (largest + r.below(32) / 2 - 8) * r.pick([1, -1]);
      const bytes = floatValue(value, size);
      if (r.chance(30)) bytes[0] ^= 1;
      return bytes;
    });
    const old = memory ? state.memory.find((m) => m.offset === offset)?.bytes.length : 16;
    setSource(state, c, lanes.slice(0, old ?? 0));
  };
}

/** Mostly numbers whose products and sums round instead of leaving the range. */
function factors(size: number) {
  return (state: CpuState, c: Context): void => {
    const { r } = c;
    controlSimd(state, r);
    // An exception of one of the three steps keeps the next from happening.
    if (r.chance(15)) new DataView(state.fpu.buffer).setUint32(fx.mxcsr, 0x1f80 & ~(r.below(64) << 7), true);
    if (r.chance(40)) return;
    const numbers = () => count(16 / size).flatMap(() => floatValue((r.next() - 0x80000000) / 2 ** (20 + r.below(24)), size));
    setDestination(state, c, numbers());
    setSource(state, c, numbers());
  };
}

/** [name, opcode less 20h or 30h, operand] of PMOVSX and PMOVZX. */
const extending: readonly (readonly [string, number, string])[] = [
  ["bw", 0, "q"],
  ["bd", 1, "d"],
  ["bq", 2, "w"],
  ["wd", 3, "q"],
  ["wq", 4, "d"],
  ["dq", 5, "q"],
];
const wide: readonly (readonly [string, number])[] = [
  ["pmuldq", 0x28],
  ["packusdw", 0x2b],
  ["pminsb", 0x38],
  ["pminsd", 0x39],
  ["pminuw", 0x3a],
  ["pminud", 0x3b],
  ["pmaxsb", 0x3c],
  ["pmaxsd", 0x3d],
  ["pmaxuw", 0x3e],
  ["pmaxud", 0x3f],
  ["pmulld", 0x40],
  ["phminposuw", 0x41],
];

export function sse41Rows(): Row[] {
  const lane = (lanes: number) => (r: Random) => (r.chance(80) ? r.below(lanes) : r.below(256));
  return [
    packed("pblendvb 66:0f3810 Vdq,Wdq", { prepare: maskInXmm0 }),
    packed("blendvps 66:0f3814 Vps,Wps", { prepare: maskInXmm0 }),
    packed("blendvpd 66:0f3815 Vpd,Wpd", { prepare: maskInXmm0 }),
    packed("ptest 66:0f3817 Vdq,Wdq", { prepare: related, plainFlags: false, weight: 2 }),
    ...extending.flatMap(([name, n, operand]) => [
      packed(`pmovsx${name} 66:0f38${hex(0x20 + n)} Vdq,W${operand}`, { align: 1, weight: 0.8 }),
      packed(`pmovzx${name} 66:0f38${hex(0x30 + n)} Vdq,W${operand}`, { align: 1, weight: 0.8 }),
    ]),
    ...wide.map(([name, opcode]) => packed(`${name} 66:0f38${hex(opcode)} Vdq,Wdq`)),
    packed("pcmpeqq 66:0f3829 Vdq,Wdq", { prepare: related }),
    packed("movntdqa 66:0f382a Vdq,Mdq"),
    ...(
      [
        ["ps", 0x08, 4, 16],
        ["pd", 0x09, 8, 16],
        ["ss", 0x0a, 4, 4],
        ["sd", 0x0b, 8, 8],
      ] as const
    ).flatMap(([type, opcode, size, align]) => {
      const extra = { align, prepare: halves(size), plainFlags: true };
      const text = `round${type} 66:0f3a${hex(opcode)} V${type},W${type},Ib`;
      return [...withImmediates(count(16), text, extra), row(text, { ...extra, immediate: any, weight: 0.5 })];
    }),
    packed("blendps 66:0f3a0c Vps,Wps,Ib", { immediate: any }),
    packed("blendpd 66:0f3a0d Vpd,Wpd,Ib", { immediate: any }),
    packed("pblendw 66:0f3a0e Vdq,Wdq,Ib", { immediate: any }),
    packed("pextrb 66:0f3a14 Ed,Vdq,Ib", { memorySize: 1, align: 1, immediate: lane(16), weight: 2 }),
    packed("pextrw 66:0f3a15 Ed,Vdq,Ib", { memorySize: 2, align: 2, immediate: lane(8), weight: 1.5 }),
    packed("pextrd 66:0f3a16 Ed,Vdq,Ib", { align: 4, immediate: lane(4) }),
    packed("extractps 66:0f3a17 Ed,Vps,Ib", { align: 4, immediate: lane(4) }),
    packed("pinsrb 66:0f3a20 Vdq,Ed,Ib", { memorySize: 1, align: 1, immediate: lane(16), weight: 2 }),
    packed("insertps 66:0f3a21 Vps,Wps,Ib", { memorySize: 4, align: 4, immediate: any, weight: 3 }),
    packed("pinsrd 66:0f3a22 Vdq,Ed,Ib", { align: 4, immediate: lane(4) }),
    float("dpps 66:0f3a40 Vps,Wps,Ib", 16, { prepare: factors(4), immediate: any, weight: 5 }),
    float("dppd 66:0f3a41 Vpd,Wpd,Ib", 16, { prepare: factors(8), immediate: any, weight: 3 }),
    packed("mpsadbw 66:0f3a42 Vdq,Wdq,Ib", { immediate: lane(8), weight: 2 }),
  ];
}

export function* sse41(r: Random): Generator<CaseGroup> {
  yield* reserved(r, sse41Rows());
}

/** What strings are made of: few letters, so that they match; numbers about the sign; words with zero bytes in them. */
const alphabets: Readonly<Record<1 | 2, readonly (readonly number[])[]>> = {
  1: [
    [0x61, 0x62],
    [0x61, 0x62, 0x63, 0x64],
    [0x7f, 0x80, 0x81],
    [0xff, 0x01, 0x7f, 0x80],
    [0x00, 0x30, 0x31],
  ],
  2: [
    [0x61, 0x62],
    [0x6100, 0x0061, 0x6161],
    [0x7fff, 0x8000, 0x8001],
    [0xffff, 0x0001, 0x0100, 0xff00],
    [0x0000, 0x0130, 0x3001],
  ],
};

/** Two strings, the needle or set first, that make the aggregation an immediate asks for meet matches and near misses. */
function texts(r: Random, immediate: number): { size: 1 | 2; length: number; first: number[]; second: number[]; needle: number } {
  const size = immediate & 1 ? 2 : 1;
  const length = 16 / size;
  const letters = r.pick(alphabets[size]);
  const text = () => count(length).map(() => r.pick(letters));
  let first = text();
  const second = text();
  /** How much of the first one is meant. */
  let needle = r.below(length + 1);
  switch ((immediate >> 2) & 3) {
    case 0:
      // Any of a set, which should not be all the letters there are.
      needle = 1 + r.below(3);
      if (r.chance(50)) first = first.map(() => integer(r, size));
      break;
    case 1: {
      // Ranges, the lower bound first as the comparison sees it.
      const sign = immediate & 2 ? 1 << (8 * size - 1) : 0;
      const wideRange = r.chance(50);
      const bound = () => (wideRange ? integer(r, size) : r.pick(letters));
      for (let i = 0; i < length; i += 2) {
        const pair = [bound(), bound()];
        if (r.chance(80)) pair.sort((a, b) => (a ^ sign) - (b ^ sign));
        first.splice(i, 2, ...pair);
      }
      if (wideRange) for (let i = 0; i < length; i++) second[i] = r.chance(30) ? r.pick(first) : integer(r, size);
      needle = r.chance(70) ? 2 * (1 + r.below(3)) : needle;
      break;
    }
    case 2:
      first = second.map((letter) => (r.chance(12) ? r.pick(letters) : letter));
      needle = length;
      break;
    default: {
      needle = r.chance(80) ? 1 + r.below(4) : needle;
      const at = r.below(length + 1);
      if (r.chance(70)) for (let i = 0; i < needle && at + i < length; i++) second[at + i] = first[i];
    }
  }
  return { size, length, first, second, needle };
}

const elements = (values: readonly number[], size: number) => values.flatMap((value) => littleEndian(value, size));

/** Ends a string with a zero here or there, or not at all. */
function terminate(r: Random, text: number[], likely: number): void {
  const kind = r.below(20);
  if (kind < 8) text[likely] = 0;
  else if (kind < 9) text[0] = 0;
  else if (kind < 15) text[r.below(text.length)] = 0;
}

function implicitStrings(state: CpuState, c: Context): void {
  const { r, immediate } = c;
  const { size, length, first, second, needle } = texts(r, immediate);
  terminate(r, first, needle % length);
  terminate(r, second, length - 1 - r.below(3));
  setDestination(state, c, elements(first, size));
  setSource(state, c, elements(second, size));
}

/** EAX or EDX: the absolute value counts, up to the number of elements. */
function stringLength(r: Random, length: number, likely: number): number {
  const kind = r.below(20);
  if (kind < 7) return likely;
  if (kind < 11) return r.below(length + 1);
  if (kind < 13) return r.pick([length, length + 1, length - 1]);
  if (kind < 17) return -r.below(length + 3) >>> 0;
  return r.pick([0x80000000, 0x7fffffff, 0xffffffff, 0x80000001, 0x100, 0x10000, 0xffff0000, 0xffffff00, 0x80, 0x40000000]);
}

function explicitStrings(state: CpuState, c: Context): void {
  const { r, immediate } = c;
  const { size, length, first, second, needle } = texts(r, immediate);
  setDestination(state, c, elements(first, size));
  setSource(state, c, elements(second, size));
  state.gpr[eax] = stringLength(r, length, needle);
  state.gpr[edx] = stringLength(r, length, r.chance(50) ? length : length - 1 - r.below(3));
}

export function sse42Rows(): Row[] {
  const text = (name: string, opcode: number, extra: Partial<Row>) =>
    // Bit 7 is reserved and ignored.
    withImmediates([...count(128), 0x80, 0x8d, 0xc2, 0xff], `${name} 66:0f3a${hex(opcode)} Vdq,Wdq,Ib`, { align: 1, ...extra });
  const explicit = { prepare: explicitStrings, uses: [eax, edx] };
  const implicit = { prepare: implicitStrings };
  return [
    packed("pcmpgtq 66:0f3837 Vdq,Wdq", { prepare: related }),
    ...text("pcmpestrm", 0x60, explicit),
    ...text("pcmpestri", 0x61, explicit),
    ...text("pcmpistrm", 0x62, implicit),
    ...text("pcmpistri", 0x63, implicit),
    row("crc32 f2:0f38f0 Gd,Eb"),
    row("crc32 f2:0f38f1 Gd,Ev"),
    // With 66 it is the same instruction; of F2 and F3 the last one counts.
    row("crc32 66f2:0f38f0 Gd,Eb", { weight: 0.3 }),
    row("crc32 f3f2:0f38f1 Gd,Ed", { weight: 0.3 }),
    row("popcnt f3:0fb8 Gv,Ev", { weight: 1.5 }),
    row("popcnt f2f3:0fb8 Gd,Ed", { weight: 0.3 }),
    row("movbe 0f38f0 Gv,Mv"),
    row("movbe 0f38f1 Mv,Gv"),
  ];
}

export function* sse42(r: Random): Generator<CaseGroup> {
  yield* reserved(r, sse42Rows());
}

/** The SDM has SHA's memory operands raise #GP where they are misaligned, AMD's processors take them. */
const isAligned = (_: CpuState, { memory, offset }: Context): boolean => !memory || (offset & 15) === 0;

export function aesShaRows(): Row[] {
  const sha = (text: string) => packed(text, { prepare: isAligned });
  return [
    packed("aesimc 66:0f38db Vdq,Wdq"),
    packed("aesenc 66:0f38dc Vdq,Wdq"),
    packed("aesenclast 66:0f38dd Vdq,Wdq"),
    packed("aesdec 66:0f38de Vdq,Wdq"),
    packed("aesdeclast 66:0f38df Vdq,Wdq"),
    packed("aeskeygenassist 66:0f3adf Vdq,Wdq,Ib", { immediate: any }),
    sha("sha1nexte 0f38c8 Vdq,Wdq"),
    sha("sha1msg1 0f38c9 Vdq,Wdq"),
    sha("sha1msg2 0f38ca Vdq,Wdq"),
    packed("sha256rnds2 0f38cb Vdq,Wdq", {
      weight: 1.5,
      prepare(state, c) {
        maskInXmm0(state, c);
        return isAligned(state, c);
      },
    }),
    sha("sha256msg1 0f38cc Vdq,Wdq"),
    sha("sha256msg2 0f38cd Vdq,Wdq"),
    ...withImmediates(count(4), "sha1rnds4 0f3acc Vdq,Wdq,Ib", { align: 16, plainFlags: true, prepare: isAligned, weight: 0.3 }),
    packed("sha1rnds4 0f3acc Vdq,Wdq,Ib", { immediate: any, prepare: isAligned, weight: 0.3 }),
  ];
}

export function* aesSha(r: Random): Generator<CaseGroup> {
  yield* reserved(r, aesShaRows());
}

function invalid(r: Random, bytes: number[]): CaseGroup {
  const states = count(2).map(() => {
    const state = defaultState();
    state.eflags = randomFlags(r);
    return state;
  });
  return { name: "invalid", bytes, branch: false, usesFpu: false, states };
}

/** #UD: these opcodes with the mandatory prefixes they have no instruction for, with LOCK, with a register instead of memory. */
function* reserved(r: Random, rows: readonly Row[]): Generator<CaseGroup> {
  for (const key of new Set(rows.map((rw) => rw.opcode.join()))) {
    const list = rows.filter((rw) => rw.opcode.join() === key);
    const { opcode } = list[0];
    const immediate = opcode[1] === 0x3a ? [1] : [];
    const encode = (prefixes: readonly number[], modrm: number) => invalid(r, [...prefixes, ...opcode, modrm, ...immediate]);
    // Of several prefixes F2 and F3 beat 66, and the last of those two counts; 66 alone may stand for the operand size.
    const taken = new Set(list.map(({ prefixes = [] }) => prefixes.at(-1)));
    if (list.some(({ prefixes = [], operands }) => !prefixes.length && operands.some((code) => code.endsWith("v")))) taken.add(0x66);
    for (const prefix of [undefined, 0x66, 0xf3, 0xf2]) {
      // F3 0F 38 DC to DF are Key Locker's.
      if (taken.has(prefix) || (prefix === 0xf3 && opcode[1] === 0x38 && opcode[2] >= 0xdc && opcode[2] <= 0xdf)) continue;
      const prefixes = prefix === undefined ? [] : prefix !== 0x66 && r.chance(50) ? [0x66, prefix] : [prefix];
      yield encode(prefixes, 0xc1);
      yield encode(prefixes, 0x03);
    }
    const prefixesOf = (rw: Row) => (rw.prefixes ?? []).join();
    for (const [i, rw] of list.entries()) {
      if (list.findIndex((other) => prefixesOf(other) === prefixesOf(rw)) < i) continue;
      const prefixes = rw.prefixes ?? [];
      yield encode([0xf0, ...prefixes], 0xc1);
      yield encode([0xf0, ...prefixes], 0x03);
      if (rw.operands.some((code) => code[0] === "M")) yield encode(prefixes, 0xc1);
    }
  }
}
