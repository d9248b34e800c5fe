/** MMX, SSE and SSE2. */

import { layout } from "../layout.ts";
import { type CaseGroup, type CpuState, defaultState, fx, register } from "../state.ts";
import { littleEndian, memoryForm, operandOffset } from "./encoder.ts";
import { integer, type Random } from "./random.ts";
import { addChunk, type Context, dataBytes, type Row, row } from "./rows.ts";
import { x87State } from "./x87.ts";

const hex = (n: number) => n.toString(16).padStart(2, "0");

/** MXCSR: all RC, DAZ and FTZ at times, a few unmasked exceptions, sticky bits. */
export function controlSimd(state: CpuState, r: Random): void {
  let mxcsr = 0x1f80 | (r.below(4) << 13);
  if (r.chance(12)) mxcsr |= 0x8000;
  if (r.chance(12)) mxcsr |= 0x40;
  if (r.chance(6)) mxcsr &= ~(r.below(64) << 7);
  if (r.chance(25)) mxcsr |= r.below(64);
  new DataView(state.fpu.buffer).setUint32(fx.mxcsr, mxcsr, true);
}

export const floating = (state: CpuState, { r }: Context) => controlSimd(state, r);

/** x87 tags and TOP an MMX instruction finds: it leaves TOP 0 and every tag valid. */
export function stack(state: CpuState, { r }: Context): void {
  if (r.chance(50)) return;
  state.fpu[fx.tag] = r.below(256);
  state.fpu[fx.status + 1] = r.below(8) << 3;
}

/** Shift counts in a register or memory: small, at the lane width, beyond it. */
function shiftCounts(state: CpuState, c: Context): void {
  stack(state, c);
  const count = [...littleEndian(c.r.chance(85) ? c.r.below(70) : c.r.next(), 4), ...littleEndian(c.r.chance(93) ? 0 : 1, 4)];
  if (c.memory) {
    const chunk = state.memory.pop();
    if (chunk) addChunk(state, c.offset, [...count, ...chunk.bytes.slice(8)]);
  }
}

const shiftImmediate = (r: Random) => (r.chance(90) ? r.below(70) : r.below(256));

const mmx = (text: string, extra: Partial<Row> = {}) => row(text, { prepare: stack, plainFlags: true, ...extra });

/** The packed-integer instructions MMX and SSE2 share: name, opcode, data. */
const packed: readonly (readonly [string, number, string])[] = [
  ["punpcklbw", 0x60, "b"],
  ["punpcklwd", 0x61, "w"],
  ["punpckldq", 0x62, "d"],
  ["packsswb", 0x63, "w"],
  ["pcmpgtb", 0x64, "b"],
  ["pcmpgtw", 0x65, "w"],
  ["pcmpgtd", 0x66, "d"],
  ["packuswb", 0x67, "w"],
  ["punpckhbw", 0x68, "b"],
  ["punpckhwd", 0x69, "w"],
  ["punpckhdq", 0x6a, "d"],
  ["packssdw", 0x6b, "d"],
  ["pcmpeqb", 0x74, "b"],
  ["pcmpeqw", 0x75, "w"],
  ["pcmpeqd", 0x76, "d"],
  ["paddq", 0xd4, "q"],
  ["pmullw", 0xd5, "w"],
  ["psubusb", 0xd8, "b"],
  ["psubusw", 0xd9, "w"],
  ["pminub", 0xda, "b"],
  ["pand", 0xdb, "q"],
  ["paddusb", 0xdc, "b"],
  ["paddusw", 0xdd, "w"],
  ["pmaxub", 0xde, "b"],
  ["pandn", 0xdf, "q"],
  ["pavgb", 0xe0, "b"],
  ["pavgw", 0xe3, "w"],
  ["pmulhuw", 0xe4, "w"],
  ["pmulhw", 0xe5, "w"],
  ["psubsb", 0xe8, "b"],
  ["psubsw", 0xe9, "w"],
  ["pminsw", 0xea, "w"],
  ["por", 0xeb, "q"],
  ["paddsb", 0xec, "b"],
  ["paddsw", 0xed, "w"],
  ["pmaxsw", 0xee, "w"],
  ["pxor", 0xef, "q"],
  ["pmuludq", 0xf4, "d"],
  ["pmaddwd", 0xf5, "w"],
  ["psadbw", 0xf6, "b"],
  ["psubb", 0xf8, "b"],
  ["psubw", 0xf9, "w"],
  ["psubd", 0xfa, "d"],
  ["psubq", 0xfb, "q"],
  ["paddb", 0xfc, "b"],
  ["paddw", 0xfd, "w"],
  ["paddd", 0xfe, "d"],
];
const packedShifts: readonly (readonly [string, number])[] = [
  ["psrlw", 0xd1],
  ["psrld", 0xd2],
  ["psrlq", 0xd3],
  ["psraw", 0xe1],
  ["psrad", 0xe2],
  ["psllw", 0xf1],
  ["pslld", 0xf2],
  ["psllq", 0xf3],
];
const immediateShifts: readonly (readonly [string, number, number])[] = [
  ["psrlw", 0x71, 2],
  ["psraw", 0x71, 4],
  ["psllw", 0x71, 6],
  ["psrld", 0x72, 2],
  ["psrad", 0x72, 4],
  ["pslld", 0x72, 6],
  ["psrlq", 0x73, 2],
  ["psllq", 0x73, 6],
];

export function mmxRows(): Row[] {
  return [
    // The 32-bit unpacks of the low half read only 32 bits of memory.
    ...packed.map(([name, opcode]) => mmx(`${name} 0f${hex(opcode)} Pq,Qq`, name.startsWith("punpckl") ? { memorySize: 4 } : {})),
    ...packedShifts.map(([name, opcode]) => mmx(`${name} 0f${hex(opcode)} Pq,Qq`, { prepare: shiftCounts })),
    ...immediateShifts.map(([name, opcode, digit]) => mmx(`${name} 0f${hex(opcode)}/${digit} Nq,Ib`, { immediate: shiftImmediate, weight: 1.5 })),
    mmx("movd 0f6e Pq,Ed"),
    mmx("movd 0f7e Ed,Pq"),
    mmx("movq 0f6f Pq,Qq"),
    mmx("movq 0f7f Qq,Pq"),
    mmx("pshufw 0f70 Pq,Qq,Ib"),
    mmx("pinsrw 0fc4 Pq,Ed,Ib", { memorySize: 2 }),
    mmx("pextrw 0fc5 Gd,Nq,Ib"),
    mmx("pmovmskb 0fd7 Gd,Nq"),
    mmx("movntq 0fe7 Mq,Pq"),
    mmx("emms 0f77", { usesFpu: true }),
    mmx("maskmovq 0ff7 Pq,Nq", { uses: [register.edi], prepare: maskedStore, weight: 2 }),
  ];
}

function maskedStore(state: CpuState, { r }: Context): void {
  state.gpr[register.edi] = (layout.data + (r.chance(5) ? layout.dataSize - 4 : 0x100 + r.below(0x1e00))) >>> 0;
}

export function sse2IntegerRows(): Row[] {
  const sse = (text: string, extra: Partial<Row> = {}) => row(text, { align: 16, plainFlags: true, ...extra });
  return [
    ...packed.map(([name, opcode]) => sse(`${name} 66:0f${hex(opcode)} Vdq,Wdq`)),
    ...packedShifts.map(([name, opcode]) => sse(`${name} 66:0f${hex(opcode)} Vdq,Wdq`, { prepare: shiftCountsWide })),
    ...immediateShifts.map(([name, opcode, digit]) => sse(`${name} 66:0f${hex(opcode)}/${digit} Udq,Ib`, { immediate: shiftImmediate, weight: 1.5 })),
    sse("psrldq 66:0f73/3 Udq,Ib", { immediate: (r) => r.below(20), weight: 2 }),
    sse("pslldq 66:0f73/7 Udq,Ib", { immediate: (r) => r.below(20), weight: 2 }),
    sse("punpcklqdq 66:0f6c Vdq,Wdq"),
    sse("punpckhqdq 66:0f6d Vdq,Wdq"),
    sse("pshufd 66:0f70 Vdq,Wdq,Ib"),
    sse("pshufhw f3:0f70 Vdq,Wdq,Ib"),
    sse("pshuflw f2:0f70 Vdq,Wdq,Ib"),
    sse("movdqa 66:0f6f Vdq,Wdq"),
    sse("movdqa 66:0f7f Wdq,Vdq"),
    sse("movdqu f3:0f6f Vdq,Wdq", { align: 1 }),
    sse("movdqu f3:0f7f Wdq,Vdq", { align: 1 }),
    sse("movntdq 66:0fe7 Mdq,Vdq"),
    sse("movd 66:0f6e Vdq,Ed", { align: 4 }),
    sse("movd 66:0f7e Ed,Vdq", { align: 4 }),
    sse("movq f3:0f7e Vdq,Wq", { align: 8 }),
    sse("movq 66:0fd6 Wq,Vdq", { align: 8 }),
    sse("movq2dq f3:0fd6 Vdq,Nq", { prepare: stack }),
    sse("movdq2q f2:0fd6 Pq,Udq", { prepare: stack }),
    sse("pinsrw 66:0fc4 Vdq,Ed,Ib", { memorySize: 2, align: 2 }),
    sse("pextrw 66:0fc5 Gd,Udq,Ib"),
    sse("pmovmskb 66:0fd7 Gd,Udq"),
    sse("maskmovdqu 66:0ff7 Vdq,Udq", { uses: [register.edi], prepare: maskedStore, weight: 2 }),
    sse("movnti 0fc3 Md,Gd", { align: 4 }),
  ];
}

function shiftCountsWide(state: CpuState, c: Context): void {
  const count = [...littleEndian(c.r.chance(85) ? c.r.below(70) : c.r.next(), 4), ...littleEndian(c.r.chance(93) ? 0 : 1, 4)];
  if (c.memory) {
    const chunk = state.memory.pop();
    if (chunk) addChunk(state, c.offset, [...count, ...Array.from({ length: 8 }, () => integer(c.r, 1))]);
  } else state.fpu.set(count, fx.xmm + 16 * c.rm);
}

/** The four forms of a floating-point operation, by prefix: packed and scalar, single and double. */
const forms: readonly (readonly [string, string, number])[] = [
  ["ps", "", 16],
  ["ss", "f3:", 4],
  ["pd", "66:", 16],
  ["sd", "f2:", 8],
];

export function floatRows(): Row[] {
  const sse = (text: string, align: number, extra: Partial<Row> = {}) => row(text, { align, prepare: floating, plainFlags: true, ...extra });
  const four = (name: string, opcode: number, extra: Partial<Row> = {}) =>
    forms.map(([t, prefix, size]) =>
      sse(`${name}${t} ${prefix}0f${hex(opcode)} V${t},W${t}`, size, { weight: t.endsWith("s") ? 1.6 : 1.3, ...extra }),
    );
  const packedOnly = (name: string, opcode: number, extra: Partial<Row> = {}) => [
    sse(`${name}ps 0f${hex(opcode)} Vps,Wps`, 16, extra),
    sse(`${name}pd 66:0f${hex(opcode)} Vpd,Wpd`, 16, extra),
  ];
  const compare = (name: string, opcode: number) => [
    sse(`${name}s 0f${hex(opcode)} Vss,Wss`, 4, { weight: 3, plainFlags: false }),
    sse(`${name}d 66:0f${hex(opcode)} Vsd,Wsd`, 8, { weight: 3, plainFlags: false }),
  ];
  return [
    ...four("add", 0x58),
    ...four("mul", 0x59),
    ...four("sub", 0x5c),
    ...four("min", 0x5d),
    ...four("div", 0x5e),
    ...four("max", 0x5f),
    ...four("sqrt", 0x51),
    ...four("cmp", 0xc2).map(
      (rw): Row => ({
        ...rw,
        name: rw.name === "cmpsd" ? "cmpsd.sse" : rw.name,
        operands: [...rw.operands, "Ib"],
        immediate: (r: Random) => r.below(8),
        weight: 2,
      }),
    ),
    ...packedOnly("and", 0x54, { weight: 0.6 }),
    ...packedOnly("andn", 0x55, { weight: 0.6 }),
    ...packedOnly("or", 0x56, { weight: 0.6 }),
    ...packedOnly("xor", 0x57, { weight: 0.6 }),
    ...packedOnly("unpckl", 0x14, { weight: 0.6 }),
    ...packedOnly("unpckh", 0x15, { weight: 0.6 }),
    sse("shufps 0fc6 Vps,Wps,Ib", 16),
    sse("shufpd 66:0fc6 Vpd,Wpd,Ib", 16),
    ...compare("ucomis", 0x2e),
    ...compare("comis", 0x2f),
    // Moves.
    sse("movups 0f10 Vps,Wps", 1),
    sse("movups 0f11 Wps,Vps", 1),
    sse("movss f3:0f10 Vss,Wss", 4),
    sse("movss f3:0f11 Wss,Vss", 4),
    sse("movupd 66:0f10 Vpd,Wpd", 1),
    sse("movupd 66:0f11 Wpd,Vpd", 1),
    sse("movsd.sse f2:0f10 Vsd,Wsd", 8),
    sse("movsd.sse f2:0f11 Wsd,Vsd", 8),
    sse("movaps 0f28 Vps,Wps", 16),
    sse("movaps 0f29 Wps,Vps", 16),
    sse("movapd 66:0f28 Vpd,Wpd", 16),
    sse("movapd 66:0f29 Wpd,Vpd", 16),
    sse("movntps 0f2b Mps,Vps", 16),
    sse("movntpd 66:0f2b Mpd,Vpd", 16),
    sse("movlps 0f12 Vps,Mq", 8),
    sse("movlps 0f13 Mq,Vps", 8),
    sse("movhps 0f16 Vps,Mq", 8),
    sse("movhps 0f17 Mq,Vps", 8),
    sse("movlpd 66:0f12 Vpd,Mq", 8),
    sse("movlpd 66:0f13 Mq,Vpd", 8),
    sse("movhpd 66:0f16 Vpd,Mq", 8),
    sse("movhpd 66:0f17 Mq,Vpd", 8),
    sse("movhlps 0f12 Vps,Ups", 1),
    sse("movlhps 0f16 Vps,Ups", 1),
    sse("movmskps 0f50 Gd,Ups", 1),
    sse("movmskpd 66:0f50 Gd,Upd", 1),
  ];
}

export function conversionRows(): Row[] {
  const sse = (text: string, align: number, extra: Partial<Row> = {}) => row(text, { align, prepare: floating, plainFlags: true, ...extra });
  return [
    sse("cvtpi2ps 0f2a Vps,Qq", 8, { prepare: both }),
    sse("cvtsi2ss f3:0f2a Vss,Ed", 4),
    sse("cvtpi2pd 66:0f2a Vpd,Qq", 8, { prepare: both }),
    sse("cvtsi2sd f2:0f2a Vsd,Ed", 4),
    sse("cvttps2pi 0f2c Pq,Wps", 8, { memorySize: 8, prepare: both }),
    sse("cvttss2si f3:0f2c Gd,Wss", 4),
    sse("cvttpd2pi 66:0f2c Pq,Wpd", 16, { prepare: both }),
    sse("cvttsd2si f2:0f2c Gd,Wsd", 8),
    sse("cvtps2pi 0f2d Pq,Wps", 8, { memorySize: 8, prepare: both }),
    sse("cvtss2si f3:0f2d Gd,Wss", 4),
    sse("cvtpd2pi 66:0f2d Pq,Wpd", 16, { prepare: both }),
    sse("cvtsd2si f2:0f2d Gd,Wsd", 8),
    sse("cvtps2pd 0f5a Vpd,Wps", 8, { memorySize: 8 }),
    sse("cvtss2sd f3:0f5a Vsd,Wss", 4),
    sse("cvtpd2ps 66:0f5a Vps,Wpd", 16),
    sse("cvtsd2ss f2:0f5a Vss,Wsd", 8),
    sse("cvtdq2ps 0f5b Vps,Wdq", 16),
    sse("cvttps2dq f3:0f5b Vdq,Wps", 16),
    sse("cvtps2dq 66:0f5b Vdq,Wps", 16),
    sse("cvtdq2pd f3:0fe6 Vpd,Wdq", 8, { memorySize: 8 }),
    sse("cvtpd2dq f2:0fe6 Vdq,Wpd", 16),
    sse("cvttpd2dq 66:0fe6 Vdq,Wpd", 16),
    sse("rsqrtps 0f52 Vps,Wps", 16),
    sse("rsqrtss f3:0f52 Vss,Wss", 4),
    sse("rcpps 0f53 Vps,Wps", 16),
    sse("rcpss f3:0f53 Vss,Wss", 4),
  ].map((rw) => ({ weight: 2, ...rw }));
}

function both(state: CpuState, c: Context): void {
  stack(state, c);
  floating(state, c);
}

/** LDMXCSR, STMXCSR, FXSAVE, FXRSTOR, the x87-pending cases of MMX. */
export function* simdState(r: Random): Generator<CaseGroup> {
  const one = (
    name: string,
    digit: number,
    size: number,
    align: number,
    n: number,
    make: () => CpuState,
    data: () => number[] | undefined,
  ): CaseGroup => {
    const form = memoryForm(r, { offset: operandOffset(r, size, align, 2) });
    const states = Array.from({ length: n }, () => {
      const state = make();
      const bytes = data();
      const at = form.place(state, form.fixedOffset ?? operandOffset(r, size, align, 3), r);
      if (bytes) addChunk(state, at, bytes);
      return state;
    });
    return { name, bytes: [...form.prefixes, 0x0f, 0xae, form.modrm | (digit << 3), ...form.tail], branch: false, usesFpu: true, states };
  };
  const plain = () => {
    const state = defaultState();
    controlSimd(state, r);
    return state;
  };
  const full = () => {
    const state = x87State(r, { needs: 8 });
    controlSimd(state, r);
    state.fpu.set(dataBytes(r, "pd"), fx.xmm + 16 * r.below(8));
    return state;
  };
  for (let k = 0; k < 12; k++) {
    yield one("ldmxcsr Md", 2, 4, 4, 12, plain, () => littleEndian(r.chance(15) ? r.next() : r.next() & 0xffff, 4));
    yield one("stmxcsr Md", 3, 4, 4, 10, plain, () => undefined);
    yield one("fxsave", 0, 512, 16, 6, full, () => undefined);
    yield one("fxrstor", 1, 512, 16, 8, plain, () => {
      const image = full().fpu;
      if (r.chance(10)) image[fx.mxcsr + 2] = 1;
      image.fill(0, 5, 24);
      return Array.from(image);
    });
  }
}
