/** Integer instructions that work on general registers and memory: everything but strings, stack and control flow. */
import { type CpuState, register } from "../state.ts";
import { littleEndian } from "./encoder.ts";
import { integer, type Random } from "./random.ts";
import { addChunk, type Context, type Row, row } from "./rows.ts";

const { eax, ecx, edx, ebx } = register;
const hex = (n: number) => n.toString(16).padStart(2, "0");

export function arithmetic(): Row[] {
  const rows = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"].flatMap((name, i) => {
    const at = i * 8;
    const lockable = name !== "cmp";
    return [
      row(`${name} ${hex(at)} Eb,Gb`, { lockable }),
      row(`${name} ${hex(at + 1)} Ev,Gv`, { lockable }),
      row(`${name} ${hex(at + 2)} Gb,Eb`),
      row(`${name} ${hex(at + 3)} Gv,Ev`),
      row(`${name} ${hex(at + 4)} AL,Ib`, { weight: 0.5 }),
      row(`${name} ${hex(at + 5)} eAX,Iz`, { weight: 0.5 }),
      row(`${name} 80/${i} Eb,Ib`, { lockable }),
      row(`${name} 81/${i} Ev,Iz`, { lockable }),
      row(`${name} 82/${i} Eb,Ib`, { lockable, weight: 0.3 }),
      row(`${name} 83/${i} Ev,Ib`, { lockable }),
    ];
  });
  return [
    ...rows,
    row("test 84 Eb,Gb"),
    row("test 85 Ev,Gv"),
    row("test a8 AL,Ib"),
    row("test a9 eAX,Iz"),
    row("test f6/0 Eb,Ib"),
    row("test f7/0 Ev,Iz"),
    row("test f6/1 Eb,Ib", { weight: 0.3 }),
    row("test f7/1 Ev,Iz", { weight: 0.3 }),
    row("inc fe/0 Eb", { lockable: true }),
    row("dec fe/1 Eb", { lockable: true }),
    row("inc ff/0 Ev", { lockable: true }),
    row("dec ff/1 Ev", { lockable: true }),
    row("inc 40 Zv"),
    row("dec 48 Zv"),
    row("not f6/2 Eb", { lockable: true }),
    row("not f7/2 Ev", { lockable: true }),
    row("neg f6/3 Eb", { lockable: true }),
    row("neg f7/3 Ev", { lockable: true }),
    row("xadd 0fc0 Eb,Gb", { lockable: true }),
    row("xadd 0fc1 Ev,Gv", { lockable: true }),
    row("cmpxchg 0fb0 Eb,Gb", { lockable: true, uses: [eax], weight: 2, prepare: matchAccumulator }),
    row("cmpxchg 0fb1 Ev,Gv", { lockable: true, uses: [eax], weight: 2, prepare: matchAccumulator }),
    row("cmpxchg8b 0fc7/1 Mq", { lockable: true, uses: [eax, edx, ecx, ebx], weight: 2, prepare: matchPair }),
  ];
}

function operandBytes(state: CpuState, c: Context, size: number): number[] | undefined {
  return state.memory.find((m) => m.offset === c.offset && m.bytes.length === size)?.bytes as unknown as number[] | undefined;
}

function matchAccumulator(state: CpuState, c: Context): void {
  if (!c.r.chance(45)) return;
  const bytes = c.memory ? state.memory.at(-1)?.bytes : undefined;
  const from = bytes ? (bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24)) >>> 0 : c.rm >= 0 ? state.gpr[c.rm] : 0;
  if (!c.memory && c.rm === eax) return;
  // For bytes the register numbers 4-7 name AH to BH: their value may lie in bits 8-15.
  state.gpr[eax] = c.r.chance(50) ? from : ((state.gpr[eax] & 0xffffff00) | ((c.rm & 4 ? state.gpr[c.rm & 3] >>> 8 : from) & 0xff)) >>> 0;
}

function matchPair(state: CpuState, c: Context): void {
  const bytes = operandBytes(state, c, 8);
  if (!bytes || !c.r.chance(50)) return;
  state.gpr[eax] = (bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24)) >>> 0;
  state.gpr[edx] = (bytes[4] | (bytes[5] << 8) | (bytes[6] << 16) | (bytes[7] << 24)) >>> 0;
}

/** Most random dividends overflow: half of the time make the upper part small, or the sign extension. */
function divisible(bytes: boolean, signed: boolean) {
  return (state: CpuState, { r, size, memory, rm }: Context) => {
    const kind = r.below(4);
    if (bytes) {
      if (kind < 2) {
        const low = integer(r, 1);
        const value = kind === 0 || !signed ? low : (low << 24) >> 24;
        state.gpr[eax] = ((state.gpr[eax] & 0xffff0000) | (value & 0xffff)) >>> 0;
      }
      return;
    }
    if (!memory && rm === edx) return;
    if (kind === 0) state.gpr[edx] = size === 2 ? (state.gpr[edx] & 0xffff0000) >>> 0 : 0;
    if (kind === 1) {
      const negative = size === 2 ? (state.gpr[eax] << 16) >> 31 : state.gpr[eax] >> 31;
      state.gpr[edx] = size === 2 ? ((state.gpr[edx] & 0xffff0000) | (negative & 0xffff)) >>> 0 : negative >>> 0;
    }
    if (kind === 2) state.gpr[edx] = size === 2 ? ((state.gpr[edx] & 0xffff0000) | r.below(4)) >>> 0 : r.below(4);
  };
}

export function multiplyDivide(): Row[] {
  return [
    row("mul f6/4 Eb", { uses: [eax], weight: 2 }),
    row("mul f7/4 Ev", { uses: [eax, edx], weight: 2 }),
    row("imul f6/5 Eb", { uses: [eax], weight: 2 }),
    row("imul f7/5 Ev", { uses: [eax, edx], weight: 2 }),
    row("imul 0faf Gv,Ev", { weight: 2 }),
    row("imul 69 Gv,Ev,Iz", { weight: 2 }),
    row("imul 6b Gv,Ev,Ib", { weight: 2 }),
    row("div f6/6 Eb", { uses: [eax], weight: 2.5, prepare: divisible(true, false) }),
    row("div f7/6 Ev", { uses: [eax, edx], weight: 2.5, prepare: divisible(false, false) }),
    row("idiv f6/7 Eb", { uses: [eax], weight: 2.5, prepare: divisible(true, true) }),
    row("idiv f7/7 Ev", { uses: [eax, edx], weight: 2.5, prepare: divisible(false, true) }),
  ];
}

function shiftCount(r: Random): number {
  const kind = r.below(10);
  return kind < 7 ? r.below(34) : kind < 8 ? 1 : r.below(256);
}

function countInCl(state: CpuState, { r }: Context): void {
  state.gpr[ecx] = ((state.gpr[ecx] & 0xffffff00) | shiftCount(r)) >>> 0;
}

/** SHLD and SHRD by more than the operand size leave everything undefined: such cases say nothing. */
function countWithinSize(state: CpuState, c: Context): boolean {
  countInCl(state, c);
  return (state.gpr[ecx] & 31) <= c.size * 8;
}

export function shifts(): Row[] {
  const rows = ["rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar"].flatMap((name, i) => {
    const weight = i === 6 ? 0.3 : 2;
    return [
      row(`${name} c0/${i} Eb,Ib`, { weight, immediate: shiftCount }),
      row(`${name} c1/${i} Ev,Ib`, { weight, immediate: shiftCount }),
      row(`${name} d0/${i} Eb,1`, { weight: weight / 2 }),
      row(`${name} d1/${i} Ev,1`, { weight: weight / 2 }),
      row(`${name} d2/${i} Eb,CL`, { weight, prepare: countInCl }),
      row(`${name} d3/${i} Ev,CL`, { weight, prepare: countInCl }),
    ];
  });
  return [
    ...rows,
    ...["shld 0fa4", "shrd 0fac"].map((s) =>
      row(`${s} Ev,Gv,Ib`, { weight: 3, immediate: (r) => (r.chance(90) ? r.below(17) : 32 * r.below(8) + r.below(17)) }),
    ),
    ...["shld 0fa5", "shrd 0fad"].map((s) => row(`${s} Ev,Gv,CL`, { weight: 3, prepare: countWithinSize })),
  ];
}

/** With a register bit offset the addressed byte may lie far from the operand: keep the offset within the data pages. */
function bitOffset(state: CpuState, { r, size, memory, reg, offset }: Context): void {
  if (!memory) return;
  const bits = r.chance(50) ? r.below(size * 8) : r.below(0x2000) - 0x1000;
  state.gpr[reg] = size === 2 ? ((state.gpr[reg] & 0xffff0000) | (bits & 0xffff)) >>> 0 : bits >>> 0;
  if (r.chance(40)) addChunk(state, offset + (bits >> 3), [integer(r, 1)]);
}

export function bits(): Row[] {
  const rows = ["bt", "bts", "btr", "btc"].flatMap((name, i) => [
    row(`${name} 0f${hex(0xa3 + 8 * i)} Ev,Gv`, { lockable: i > 0, weight: 2, prepare: bitOffset }),
    row(`${name} 0fba/${4 + i} Ev,Ib`, { lockable: i > 0, weight: 1.5 }),
  ]);
  return [...rows, row("bsf 0fbc Gv,Ev", { weight: 2 }), row("bsr 0fbd Gv,Ev", { weight: 2 }), row("bswap 0fc8 Zd", { weight: 2 })];
}

const conditions = ["o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle"];

export function moves(): Row[] {
  return [
    row("mov 88 Eb,Gb"),
    row("mov 89 Ev,Gv"),
    row("mov 8a Gb,Eb"),
    row("mov 8b Gv,Ev"),
    row("mov c6/0 Eb,Ib"),
    row("mov c7/0 Ev,Iz"),
    row("mov b0 Zb,Ib"),
    row("mov b8 Zv,Iz"),
    row("mov a0 AL,Ob"),
    row("mov a1 eAX,Ov"),
    row("mov a2 Ob,AL"),
    row("mov a3 Ov,eAX"),
    row("movzx 0fb6 Gv,Eb"),
    row("movzx 0fb7 Gv,Ew"),
    row("movsx 0fbe Gv,Eb"),
    row("movsx 0fbf Gv,Ew"),
    row("xchg 86 Eb,Gb", { lockable: true }),
    row("xchg 87 Ev,Gv", { lockable: true }),
    row("xchg 90 eAX,Zv"),
    row("lea 8d Gv,Mv", { weight: 3 }),
    row("xlat d7 AL", { uses: [ebx], prepare: tableInData }),
    row("xlat d7 AL", { prefixes: [0x67], uses: [ebx], prepare: tableInLow }),
    ...conditions.flatMap((c, i) => [
      row(`cmov${c} 0f${hex(0x40 + i)} Gv,Ev`, { weight: 0.6 }),
      row(`set${c} 0f${hex(0x90 + i)} Eb`, { weight: 0.6 }),
    ]),
    row("nop 90"),
    row("pause f3:90"),
    row("nop 0f1f/0 Ev"),
    row("nop 0f1e/1 Ev", { weight: 0.3 }),
    row("prefetcht0 0f18/1 Mb"),
    row("prefetchnta 0f18/0 Mb"),
    row("prefetcht1 0f18/2 Mb"),
    row("prefetcht2 0f18/3 Mb"),
    ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [
      row(`mfence 0faef${n}`, { weight: 0.1 }),
      row(`lfence 0faee${hex(n + 8)[1]}`, { weight: 0.1 }),
      row(`sfence 0faef${hex(n + 8)[1]}`, { weight: 0.1 }),
    ]),
    ...[0x19, 0x1c, 0x1d, 0x1f].map((second) => row(`nop 0f${hex(second)}/3 Ev`, { weight: 0.4 })),
    row("clflush 0fae/7 Mb"),
  ];
}

function tableInData(state: CpuState, { r }: Context): void {
  const at = 0x100 + r.below(0x1c00);
  state.gpr[ebx] = 0x20000000 + at;
  addChunk(state, at + (state.gpr[eax] & 0xff), [integer(r, 1)]);
}

function tableInLow(state: CpuState, { r }: Context): void {
  state.gpr[ebx] = ((state.gpr[ebx] & 0xffff0000) | (0x4100 + r.below(0x1c00))) >>> 0;
}

export function adjust(): Row[] {
  const nibbles = (state: CpuState, { r }: Context): void => {
    if (r.chance(60)) state.gpr[eax] = ((state.gpr[eax] & 0xffff0000) | (r.below(256) << 8) | r.below(256)) >>> 0;
  };
  const one = (text: string, extra: Partial<Row> = {}) => row(text, { uses: [eax], prepare: nibbles, weight: 8, ...extra });
  return [
    one("daa 27"),
    one("das 2f"),
    one("aaa 37"),
    one("aas 3f"),
    row("aam d4 Ib", { uses: [eax], prepare: nibbles, weight: 3, immediate: (r) => (r.chance(50) ? 10 : integer(r, 1)) }),
    row("aad d5 Ib", { uses: [eax], prepare: nibbles, weight: 3, immediate: (r) => (r.chance(50) ? 10 : integer(r, 1)) }),
    one("cbw 66:98", { weight: 2 }),
    one("cwde 98", { weight: 2 }),
    one("cwd 66:99", { uses: [eax, edx], weight: 2 }),
    one("cdq 99", { uses: [eax, edx], weight: 2 }),
    one("lahf 9f", { weight: 2 }),
    one("sahf 9e", { weight: 2 }),
    one("salc d6", { weight: 2 }),
    row("clc f8"),
    row("stc f9"),
    row("cmc f5"),
    row("cld fc", { prepare: direction }),
    row("std fd", { prepare: direction }),
  ];
}

function direction(state: CpuState, { r }: Context): void {
  if (r.chance(50)) state.eflags |= 0x400;
}

/** A 16-bit value as stored, for tests of segment selectors and the like. */
export const word = (v: number) => littleEndian(v, 2);
