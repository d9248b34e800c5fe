/**
 * x87 callouts. `info` is bits 0-10 the x87 opcode, 11-14 the instruction's length, 16-18 the memory operand's segment register; `linear` is a
 * linear address, `pops` a count, `i` the number in ST(i), `format` one of `memoryFormat`. Those that need CPU-general state get it as arguments, so that none touches it.
 */
import type { CalloutRow } from "../callouts.ts";

/**
 * What x87 registers hold, for the whole life of a machine: `exact`, every bit of the 80 as the processor would have them; `double`, IEEE doubles, faster and wrong in
 * the last bits (docs/X87.md).
 */
export const x87Arithmetics = ["exact", "double"] as const;
export type X87Arithmetic = (typeof x87Arithmetics)[number];

/**
 * Doubles that the arithmetic in pairs is made of (translator/javascript/x87/formulas.ts). Regions have them from memory, the array K, in this order: as operands of machine
 * instructions they cost nothing then, while V8 makes a constant anew, by two instructions, wherever it is named.
 */
export const x87Doubles = Object.freeze({
  split: 2 ** 27 + 1,
  half: 2 ** 51 + 0.5,
  below: 1 - 2 ** -53,
  carry: 3 * 2 ** -11,
  wide: 2 ** 32,
  three: 3,
  close: 2 ** -17,
  tie: 2 ** -64,
  nearTie: 2 ** -64 * (1 - 2 ** -14),
  leastPair: 2 ** -899,
  mostPair: 2 ** 972,
  leastSingle: 2 ** -126,
});
export type X87Double = keyof typeof x87Doubles;

/** Memory operands of arithmetic, in the order of their escape bytes: D8 DA DC DE. */
export const memoryFormat = { single: 0, dword: 1, double: 2, word: 3 } as const;

/** A constant to 66 bits and how it rounds: mantissa rounded down, and whether nearest (or up) takes the next one. */
interface X87Constant {
  readonly low: number;
  readonly high: number;
  readonly exponent: number;
  /** Nearest rounds up. */
  readonly up: boolean;
  readonly exact: boolean;
}

/**
 * FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ (SDM vol. 2): rounded by RC from a longer internal constant; PE is not raised and C1 is cleared.
 */
export const x87Constants: readonly X87Constant[] = Object.freeze([
  { low: 0, high: 0x80000000, exponent: 0x3fff, up: false, exact: true },
  /* log2(10) */ { low: 0xcd1b8afe, high: 0xd49a784b, exponent: 0x4000, up: false, exact: false },
  /* log2(e) */ { low: 0x5c17f0bb, high: 0xb8aa3b29, exponent: 0x3fff, up: true, exact: false },
  /* pi */ { low: 0x2168c234, high: 0xc90fdaa2, exponent: 0x4000, up: true, exact: false },
  /* log10(2) */ { low: 0xfbcff798, high: 0x9a209a84, exponent: 0x3ffd, up: true, exact: false },
  /* ln(2) */ { low: 0xd1cf79ab, high: 0xb17217f7, exponent: 0x3ffe, up: true, exact: false },
  { low: 0, high: 0, exponent: 0, up: false, exact: true },
]);

/** The same, rounded to nearest, as a pair of doubles; exact ones are so whatever the rounding. */
export function constantPair(index: number): { readonly h: number; readonly l: number; readonly isExact: boolean } {
  const { low, high, exponent, up, exact } = x87Constants[index];
  if (high === 0) return { h: 0, l: -0, isExact: true };
  const scale = 2 ** (exponent - 0x3fff - 63);
  const a = high * 2 ** 32 * scale;
  const b = (low + (up ? 1 : 0)) * scale;
  const h = a + b;
  return { h, l: b - (h - a) === 0 ? -0 : b - (h - a), isExact: exact };
}

/** Changes x87 state alone. */
const quiet = { general: false, writesMemory: false } as const;
/** (info) */
const plain = { args: 1, ...quiet } as const;
/** (info, destination i, source i, pops) */
const arithmetic = { args: 4, ...quiet } as const;
/** (info, i, pops) or (info, condition, i) */
const registers = { args: 3, ...quiet } as const;
/** (info, linear) */
const memory = { args: 2, ...quiet } as const;
/** (info, linear, format) */
const memoryArithmetic = { args: 3, ...quiet } as const;
/** (info, linear, pops) */
const memoryPops = { args: 3, general: false } as const;
/** (info, i, pops): 1 = CF, 4 = PF, 0x40 = ZF as EFLAGS should have them. */
const flags = { args: 3, returns: true, ...quiet } as const;
/** (linear), (linear, operand size) */
const address = { args: 1, general: false } as const;
const image = { args: 2, general: false } as const;

export const x87Callouts = {
  // ST(destination) = ST(destination) op ST(source); reversed: ST(source) op ST(destination).
  fadd: arithmetic,
  fmul: arithmetic,
  fsub: arithmetic,
  fsubr: arithmetic,
  fdiv: arithmetic,
  fdivr: arithmetic,
  // ST(0) op memory.
  faddMemory: memoryArithmetic,
  fmulMemory: memoryArithmetic,
  fsubMemory: memoryArithmetic,
  fsubrMemory: memoryArithmetic,
  fdivMemory: memoryArithmetic,
  fdivrMemory: memoryArithmetic,
  fsqrt: plain,
  frndint: plain,
  fscale: plain,
  fprem: plain,
  fprem1: plain,
  fxtract: plain,
  fabs: plain,
  fchs: plain,
  f2xm1: plain,
  fyl2x: plain,
  fyl2xp1: plain,
  fptan: plain,
  fpatan: plain,
  fsin: plain,
  fcos: plain,
  fsincos: plain,

  fcom: registers,
  fucom: registers,
  /** (info, linear, pops, format) */
  fcomMemory: { args: 4, ...quiet },
  fcomi: flags,
  fucomi: flags,
  ftst: plain,
  fxam: plain,

  fldSingle: memory,
  fldDouble: memory,
  fldExtended: memory,
  fildWord: memory,
  fildDword: memory,
  fildQword: memory,
  fbld: memory,
  fstSingle: memoryPops,
  fstDouble: memoryPops,
  fstExtended: memoryPops,
  fistWord: memoryPops,
  fistDword: memoryPops,
  fistQword: memoryPops,
  /** FISTTP: whatever RC says, towards zero. */
  fisttWord: memoryPops,
  fisttDword: memoryPops,
  fisttQword: memoryPops,
  fbstp: memoryPops,
  /** (info, i) */
  fld: memory,
  fxch: memory,
  fstpnce: memory,
  fst: registers,
  fcmov: registers,
  /** (info, index): FLD1, FLDL2T... in the order of their opcodes. */
  fldConstant: memory,

  fninit: { args: 0, general: false },
  fnclex: { args: 0, general: false },
  fldcw: address,
  fnstcw: address,
  fnstsw: address,
  fnstswAx: { args: 0, returns: true, general: false },
  fnstenv: image,
  fldenv: image,
  fnsave: image,
  frstor: image,
  fnop: plain,
  /** #NM under EM or TS. */
  x87Available: { args: 0, general: false },
  /** #NM, or the exception that an earlier instruction left pending. */
  x87Ready: { args: 0, general: false },
  ffree: registers,
  /** (info, step) */
  rotateStack: memory,
  fwait: { args: 0, general: false },
  emms: { args: 0, general: false },
  fxsave: { ...address, vectors: true },
  fxrstor: { ...address, vectors: true },
} as const satisfies Record<string, CalloutRow>;
