/**
 * Where the decoder and iced-x86 may differ, and why. iced decodes every x86 there is; this CPU is an i686 with MMX, SSE to SSE4.2, AES
 * and SHA. Each row must be met at least once by the comparison, so that none outlives its reason.
 */
import { CpuidFeature, type Instruction, OpKind, Register } from "iced-x86";
import type { DecodedInstruction } from "../../translator/decode/instruction.ts";

/** What iced's `cpuidFeatures` may name for an instruction this CPU has. */
const features: ReadonlySet<CpuidFeature> = new Set([
  CpuidFeature.INTEL8086,
  CpuidFeature.INTEL8086_ONLY,
  CpuidFeature.INTEL186,
  CpuidFeature.INTEL286,
  CpuidFeature.INTEL386,
  CpuidFeature.INTEL486,
  CpuidFeature.FPU,
  CpuidFeature.FPU287,
  CpuidFeature.FPU387,
  CpuidFeature.CMOV,
  CpuidFeature.CPUID,
  CpuidFeature.CX8,
  CpuidFeature.FXSR,
  CpuidFeature.MMX,
  CpuidFeature.MSR,
  CpuidFeature.MULTIBYTENOP,
  CpuidFeature.PAUSE,
  CpuidFeature.RDPMC,
  CpuidFeature.SEP,
  CpuidFeature.SSE,
  CpuidFeature.SSE2,
  CpuidFeature.SSE3,
  CpuidFeature.SSSE3,
  CpuidFeature.SSE4_1,
  CpuidFeature.SSE4_2,
  CpuidFeature.POPCNT,
  CpuidFeature.MOVBE,
  CpuidFeature.AES,
  CpuidFeature.SHA,
  CpuidFeature.CLFSH,
  CpuidFeature.SMM,
  CpuidFeature.TSC,
]);

/** iced knows the bytes as an instruction this CPU lacks. */
export const lacksFeature = (iced: Instruction): boolean => [...iced.cpuidFeatures()].some((feature) => !features.has(feature));

export interface Difference {
  readonly what: string;
  readonly why: string;
  /** Ours is invalid where iced decodes. */
  readonly invalid?: (iced: Instruction, opcode: number, second: number) => boolean;
  /** Operand `n` differs in its size alone. */
  readonly size?: (out: DecodedInstruction, iced: Instruction, n: number) => boolean;
  /** Operands of ours that iced should be compared from, and how many: where one of the two leaves an implicit operand out. */
  readonly operands?: (out: DecodedInstruction, iced: Instruction) => boolean;
  readonly first?: number;
  readonly count?: number;
}

const names = (...list: string[]) => {
  const set = new Set(list);
  return (out: DecodedInstruction) => set.has(out.row.name);
};
const selectorNames = names("lldt", "ltr", "verr", "verw", "lmsw", "arpl", "mov.sreg");
const sizeless = names("clflush", "fxsave", "fxrstor", "prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2");
const nop = names("nop");
const maskedMoves = names("maskmovq", "maskmovdqu");
const xlat = names("xlat");

export const differences: readonly Difference[] = [
  {
    what: "instructions of later CPUs, of 3DNow! and of VIA are invalid",
    why: "CPUID reports none of their features; by iced's cpuidFeatures",
    invalid: (iced) => lacksFeature(iced),
  },
  {
    what: "0F 0D is invalid",
    why: "a 3DNow! prefetch; Intel made it a NOP with 64-bit processors only, CPUs before gave #UD",
    invalid: (_iced, opcode, second) => opcode === 0x0f && second === 0x0d,
  },
  {
    what: "a selector in a register is 16 bits wide",
    why: "the SDM writes Ew (r/m16); iced names the 32-bit register of the encoding. The upper half is not read either way",
    size: (out, iced, n) =>
      selectorNames(out) && iced.opKind(n) === OpKind.Register && iced.opRegister(n) >= Register.EAX && out.operands[n].size === 2,
  },
  {
    what: "FXSAVE, FXRSTOR, CLFLUSH and the prefetches have memory operands without a size",
    why: "contract of translator/decode/instruction.ts: size 0 where the size is no operand size",
    size: (out, iced, n) => sizeless(out) && iced.opKind(n) === OpKind.Memory && out.operands[n].size === 0,
  },
  {
    what: "0F 18 /6 and /7 are hint NOPs of the operand size",
    why: "iced knows them as PREFETCHIT0/1, an Intel 64 feature; here 0F 18 /4-/7 are NOP Ev as on the P6",
    size: (out, iced, n) => nop(out) && iced.opKind(n) === OpKind.Memory && [...iced.cpuidFeatures()].includes(CpuidFeature.PREFETCHITI),
  },
  {
    what: "hint NOPs have one operand",
    why: "the SDM writes NOP Ev; iced adds ModRM.reg as a second one",
    operands: (out, iced) => nop(out) && out.operandCount === 1 && iced.opCount === 2,
    first: 0,
    count: 1,
  },
  {
    what: "MASKMOVQ and MASKMOVDQU have two operands",
    why: "the SDM's map writes Pq,Nq and Vdq,Udq; iced puts the implicit memory at (E)DI first",
    operands: (out, iced) => maskedMoves(out) && iced.opCount === 3,
    first: 1,
    count: 2,
  },
  {
    what: "XLAT has no operand",
    why: "the SDM's map writes none; iced lists the implicit memory at (E)BX+AL",
    operands: (out, iced) => xlat(out) && iced.opCount === 1,
    first: 0,
    count: 0,
  },
];

/** iced mnemonics for a row's name where they are not the name without its suffix. */
export const mnemonics: Readonly<Record<string, readonly string[]>> = {
  cbw: ["cbw", "cwde"],
  cwd: ["cwd", "cdq"],
  pusha: ["pusha", "pushad"],
  popa: ["popa", "popad"],
  pushf: ["pushf", "pushfd"],
  popf: ["popf", "popfd"],
  iret: ["iret", "iretd"],
  jcxz: ["jcxz", "jecxz"],
  movs: ["movsb", "movsw", "movsd"],
  cmps: ["cmpsb", "cmpsw", "cmpsd"],
  stos: ["stosb", "stosw", "stosd"],
  lods: ["lodsb", "lodsw", "lodsd"],
  scas: ["scasb", "scasw", "scasd"],
  ins: ["insb", "insw", "insd"],
  outs: ["outsb", "outsw", "outsd"],
  // D0-D3, C0 and C1 with /6: SAL, an alias of SHL.
  shl: ["shl", "sal"],
  icebp: ["int1"],
  fwait: ["wait"],
  xlat: ["xlatb"],
  "ret.far": ["retf"],
  // P6's reserved NOPs, and PREFETCHIT0/1 among them.
  nop: ["nop", "reservednop", "prefetchit0", "prefetchit1"],
  // 8087 and 80287 control instructions that do nothing since the 80387.
};
