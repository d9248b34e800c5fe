/**
 * x87 callouts. `info` is bits 0-10 the x87 opcode, 11-14 the instruction's length, 16-18 the memory operand's segment register; `linear` is a
 * linear address, `pops` a count, `i` the number in ST(i). Those that need CPU-general state get it as arguments, so that none touches it.
 */
import type { CalloutRow } from "../callouts.ts";

/** (info) */
const plain = { args: 1, general: false } as const;
/** (info, destination i, source i) or (info, i, pops) or (info, condition, i) */
const registers = { args: 3, general: false } as const;
/** (info, linear) */
const memory = { args: 2, general: false } as const;
/** (info, linear, pops) */
const memoryPops = { args: 3, general: false } as const;
/** (info, i, pops): 1 = CF, 4 = PF, 0x40 = ZF as EFLAGS should have them. */
const flags = { args: 3, returns: true, general: false } as const;
/** (linear), (linear, operand size) */
const address = { args: 1, general: false } as const;
const image = { args: 2, general: false } as const;

export const x87Callouts = {
  // ST(destination) = ST(destination) op ST(source); reversed: ST(source) op ST(destination). Escape DE pops.
  fadd: registers,
  fmul: registers,
  fsub: registers,
  fsubr: registers,
  fdiv: registers,
  fdivr: registers,
  // ST(0) op memory, whose format the escape byte gives: D8 m32fp, DA m32int, DC m64fp, DE m16int.
  faddMemory: memory,
  fmulMemory: memory,
  fsubMemory: memory,
  fsubrMemory: memory,
  fdivMemory: memory,
  fdivrMemory: memory,
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
  fcomMemory: memoryPops,
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
  fxsave: address,
  fxrstor: address,
} as const satisfies Record<string, CalloutRow>;
