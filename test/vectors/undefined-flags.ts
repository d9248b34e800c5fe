/**
 * What an instruction leaves undefined, per the SDM's "Flags Affected" sections (vol. 2) and its FPU counterparts. A vector holds
 * what one CPU did; a comparison leaves out what is named here.
 */
import { layout } from "./layout.ts";
import { operandOffset } from "./operand-address.ts";
import { type CpuState, fx, type Outcome, register, type VectorCase } from "./state.ts";

const cf = 0x1,
  pf = 0x4,
  af = 0x10,
  zf = 0x40,
  sf = 0x80,
  of = 0x800;
const all = cf | pf | af | zf | sf | of;

/** The count of a shift or rotate: the last operand, masked to five bits. */
function shiftCount(c: VectorCase): number {
  if (/\b1\b/.test(operandsOf(c.name))) return 1;
  return (c.name.includes("CL") ? c.input.gpr[register.ecx] : c.bytes[c.bytes.length - 1]) & 31;
}

const operandsOf = (name: string) => name.split(" ")[1]?.split("/")[0] ?? "";

function operandBits(c: VectorCase): number {
  return c.name.includes("Eb") ? 8 : c.name.includes("/16") ? 16 : 32;
}

function rotate(c: VectorCase): number {
  const count = shiftCount(c);
  return count > 1 ? of : 0;
}

function shift(c: VectorCase): number {
  const count = shiftCount(c);
  if (count === 0) return 0;
  // CF too once every bit of the operand has been shifted out; SAR keeps shifting in the sign.
  const carry = !c.name.startsWith("sar") && count >= operandBits(c) ? cf : 0;
  return af | (count > 1 ? of : 0) | carry;
}

function doubleShift(c: VectorCase): number {
  const count = shiftCount(c);
  if (count === 0) return 0;
  if (count > operandBits(c)) return all;
  return af | (count > 1 ? of : 0);
}

type Mask = number | ((c: VectorCase) => number);

/** EFLAGS bits by mnemonic. What is not listed is defined in full. */
export const undefinedFlags: Readonly<Record<string, Mask>> = {
  aaa: of | sf | zf | pf,
  aas: of | sf | zf | pf,
  aad: of | af | cf,
  aam: of | af | cf,
  daa: of,
  das: of,
  and: af,
  or: af,
  xor: af,
  test: af,
  bsf: cf | of | sf | af | pf,
  bsr: cf | of | sf | af | pf,
  bt: of | sf | af | pf,
  bts: of | sf | af | pf,
  btr: of | sf | af | pf,
  btc: of | sf | af | pf,
  div: all,
  idiv: all,
  mul: sf | zf | af | pf,
  imul: sf | zf | af | pf,
  rol: rotate,
  ror: rotate,
  rcl: rotate,
  rcr: rotate,
  shl: shift,
  shr: shift,
  sar: shift,
  shld: doubleShift,
  shrd: doubleShift,
};

const c0 = 0x100,
  c1 = 0x200,
  c2 = 0x400,
  c3 = 0x4000;

/**
 * x87 condition codes left undefined, by mnemonic (SDM vol. 2, "FPU Flags Affected"; vol. 1, table 8-1 has no entry where none is
 * listed). `fdefault` is for the arithmetic, load and store instructions: C1 tells of rounding or the stack fault, the rest is undefined.
 */
export const undefinedConditionCodes: Readonly<Record<string, number>> = {
  fcom: 0,
  fcomp: 0,
  fcompp: 0,
  fucom: 0,
  fucomp: 0,
  fucompp: 0,
  ficom: 0,
  ficomp: 0,
  ftst: 0,
  fxam: 0,
  fprem: 0,
  fprem1: 0,
  fptan: c0 | c3,
  fsin: c0 | c3,
  fcos: c0 | c3,
  fsincos: c0 | c3,
  fninit: 0,
  fnsave: 0,
  fldenv: 0,
  frstor: 0,
  fxrstor: 0,
  fxsave: 0,
  fnstenv: c0 | c1 | c2 | c3,
  fldcw: c0 | c1 | c2 | c3,
  fnstcw: c0 | c1 | c2 | c3,
  fnstsw: c0 | c1 | c2 | c3,
  fnclex: c0 | c1 | c2 | c3,
  fnop: c0 | c1 | c2 | c3,
  fneni: c0 | c1 | c2 | c3,
  fndisi: c0 | c1 | c2 | c3,
  fnsetpm: c0 | c1 | c2 | c3,
  fwait: c0 | c1 | c2 | c3,
  ffree: c0 | c1 | c2 | c3,
  ffreep: c0 | c1 | c2 | c3,
  fcomi: c0 | c2 | c3,
  fcomip: c0 | c2 | c3,
  fucomi: c0 | c2 | c3,
  fucomip: c0 | c2 | c3,
};
const otherX87 = c0 | c2 | c3;

export const mnemonicOf = (c: { name: string }) => c.name.split(/[ /]/)[0] as string;

/** EFLAGS bits that a comparison of this case leaves out. */
export function eflagsMask(c: VectorCase): number {
  const mask = undefinedFlags[mnemonicOf(c)];
  if (mask === undefined || c.expected.trap?.vector === 14 || c.expected.trap?.vector === 13) return 0;
  return typeof mask === "number" ? mask : mask(c);
}

/** Within 1 ulp of the exact result (SDM vol. 1, 8.3.10), so that which way it was rounded is open. */
export const transcendental: ReadonlySet<string> = new Set(["f2xm1", "fyl2x", "fyl2xp1", "fsin", "fcos", "fsincos", "fptan", "fpatan"]);

/** Status word bits that a comparison of this case leaves out. */
export function statusMask(c: VectorCase): number {
  const mnemonic = mnemonicOf(c);
  if (!mnemonic.startsWith("f") || c.expected.trap) return 0;
  const stackFault = (c.expected.fpu[fx.status] & ~c.input.fpu[fx.status] & 0x40) !== 0;
  return (undefinedConditionCodes[mnemonic] ?? otherX87) | (transcendental.has(mnemonic) && !stackFault ? c1 : 0);
}

/** Bytes [from, to) of a state image that hold the x87 instruction and operand pointers or are reserved. */
function environmentPointers(c: VectorCase): readonly (readonly [number, number])[] {
  return c.name.includes("/16") ? [[6, 14]] : [[12, 28]];
}

/** FXSAVE: pointers, MXCSR_MASK, the reserved bytes after each ST register (SDM vol. 1, table 10-2). */
const fxsaveGaps: readonly (readonly [number, number])[] = [
  [5, 24],
  [28, 32],
  ...Array.from({ length: 8 }, (_, i) => [32 + 16 * i + 10, 32 + 16 * i + 16] as const),
];

const imageGaps: Readonly<Record<string, (c: VectorCase) => readonly (readonly [number, number])[]>> = {
  fnstenv: environmentPointers,
  fnsave: environmentPointers,
  fxsave: () => fxsaveGaps,
};

/**
 * Results besides flags that are left out. The x87's pointers in state images: selectors are the host's, and whether they are kept at
 * all depends on the model (SDM vol. 1, 8.1.8).
 */
export function isUndefinedMemory(c: VectorCase, offset: number): boolean {
  const mnemonic = mnemonicOf(c);
  // PUSH of a segment register with a 32-bit operand: whether bits 16-31 are written depends on the model (SDM vol. 2, PUSH).
  if (mnemonic === "push.sreg" && !c.name.includes("/16")) return offset - ((c.expected.gpr[register.esp] - layout.data) | 0) >= 2;
  const gaps = imageGaps[mnemonic];
  if (gaps === undefined) return false;
  const at = offset - operandOffset(c, mnemonic === "fxsave" ? 2 : 1);
  return gaps(c).some(([from, to]) => at >= from && at < to);
}

/**
 * CVTPI2PS from memory: the SDM has it switch to MMX state like its register form, AMD's processors leave the x87 alone as the SDM has
 * CVTPI2PD do. Either is accepted.
 */
export function isMmxSwitchUndefined(c: VectorCase): boolean {
  return mnemonicOf(c) === "cvtpi2ps" && c.name.endsWith("memory");
}

/**
 * Instructions with several accesses: which of two that fault is reported first, and what the others did until then, is not
 * architectural. (ENTER and PUSHA may have stored, POPA may have loaded: restarting does it all again.)
 */
const severalAccesses: ReadonlySet<string> = new Set([
  "ret.far",
  "iret",
  "jmp.far",
  "call.far",
  "bound",
  "les",
  "lds",
  "lfs",
  "lgs",
  "lss",
  "pusha",
  "popa",
  "enter",
  "fldenv",
  "frstor",
  "fnstenv",
  "fnsave",
  "fxsave",
  "fxrstor",
]);

/** Whether this case faulted in an instruction of several accesses: then only that some memory fault occurred is compared. */
export function isFaultOrderUndefined(c: VectorCase): boolean {
  return severalAccesses.has(mnemonicOf(c)) && c.expected.trap?.vector === 14;
}

/** CMPS and MOVS look at two operands; if both fault, either fault may be reported. The rest of the state is the same. */
export function isEitherFault(c: VectorCase): boolean {
  return /^(cmps|movs) /.test(c.name) && c.expected.trap !== undefined;
}

/** Vectors of faults in memory accesses: #NP #SS #GP #PF. */
export const memoryFaults: ReadonlySet<number> = new Set([11, 12, 13, 14]);

/** Cases that say nothing about the architecture; the capture drops them. */
export function isUnspecified(c: { name: string; input: CpuState; expected: Outcome }): boolean {
  const { trap } = c.expected;
  // A fetch from the data pages, which the host keeps from executing and a CPU without NX does not.
  if (trap?.vector === 14 && (trap.error & 0x11) === 0x11) return true;
  // x87 stores that an unmasked exception keeps from storing: whether they look at their destination is open.
  const unmasked = (c.input.fpu[fx.control] & 0x3f) !== 0x3f;
  return trap !== undefined && memoryFaults.has(trap.vector) && unmasked && /^f(b|i)?stt?p? /.test(c.name);
}
