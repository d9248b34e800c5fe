/** The x87 FPU (SDM vol. 1, 5.2): every instruction is a callout; what differs is which, and where operands come from. */

import { memoryFormat } from "../contract/callouts/x87.ts";
import type { CalloutName } from "../contract/callouts.ts";
import { slot } from "../contract/slots.ts";
import { operandKind } from "../decode/instruction.ts";
import type { Value } from "../ir/micro.ts";
import type { Builder, LiftFunction } from "./builder.ts";
import type { Shape, ShapeOperand } from "./shape.ts";

/** The callouts' `info` argument (contract/callouts/x87.ts). */
function info(b: Builder, i: Shape): Value {
  const memory = i.operands.find((o) => o.kind === operandKind.memory);
  const segment = (memory === undefined ? 0 : memory.segment) << 16;
  // #NM and #MF come before the faults of the operand's segment, as on hardware; where there is nothing to check the callout itself is in time.
  if (memory !== undefined && !b.needsNoSegmentCheck(memory.segment)) b.call(i.row.name.startsWith("fn") ? "x87Available" : "x87Ready");
  return i.x87Field < 0 ? b.constant(segment) : b.or(b.field(i.x87Field), segment);
}

function isMemory(o: ShapeOperand | undefined): boolean {
  return o?.kind === operandKind.memory;
}

/** ST(i) of a "ST0,STi" or "STi" form; 1 for forms without operands. */
function otherRegister(b: Builder, i: Shape): Value {
  const o = i.operands[i.operands.length - 1];
  return o === undefined ? b.constant(1) : b.field(o.field);
}

function liftPlain(callout: CalloutName): LiftFunction {
  return (b, i) => {
    b.call(callout, info(b, i));
  };
}

/** The format of a memory operand of arithmetic: FIADD and the like take integers. */
function formatOf(i: Shape): number {
  const isInteger = i.row.name.startsWith("fi");
  const { size } = i.operands[0];
  return isInteger ? (size === 2 ? memoryFormat.word : memoryFormat.dword) : size === 4 ? memoryFormat.single : memoryFormat.double;
}

function liftArithmetic(register: CalloutName, memory: CalloutName, pops = 0): LiftFunction {
  return (b, i) => {
    const [first, second] = i.operands;
    if (isMemory(first)) b.call(memory, info(b, i), b.address(first), formatOf(i));
    else b.call(register, info(b, i), b.field(first.field), b.field(second.field), pops);
  };
}

function liftCompare(register: CalloutName, pops: number): LiftFunction {
  return (b, i) => {
    const first = i.operands[0];
    if (isMemory(first)) b.call("fcomMemory", info(b, i), b.address(first), pops, formatOf(i));
    else b.call(register, info(b, i), otherRegister(b, i), pops);
  };
}

/** ZF, PF and CF from the answer; OF, SF and AF cleared. */
function liftCompareToFlags(callout: "fcomi" | "fucomi", pops: number): LiftFunction {
  return (b, i) => {
    const answer = b.call(callout, info(b, i), otherRegister(b, i), pops);
    b.set(slot.flagZero, b.xor(b.and(answer, 0x40), 0x40));
    // A zero low byte has even parity: PF.
    b.set(slot.flagSign, b.xor(b.and(b.shr(answer, 2), 1), 1));
    b.set(slot.flagCarry, b.pure("mul", b.and(answer, 1), b.constant(0xc0000000)));
  };
}

const carryFlag = (b: Builder): Value => b.carry;
const zeroFlag = (b: Builder): Value => b.pure("toInt", b.equal(b.get(slot.flagZero), 0));
const belowOrEqual = (b: Builder): Value => b.or(carryFlag(b), zeroFlag(b));
const parityFlag = (b: Builder): Value => b.pure("evenParity", b.get(slot.flagSign));

function liftConditionalMove(condition: (b: Builder) => Value, isNegated: boolean): LiftFunction {
  return (b, i) => {
    const value = condition(b);
    b.call("fcmov", info(b, i), isNegated ? b.xor(value, 1) : value, otherRegister(b, i));
  };
}

const realFormats: Record<number, readonly [load: CalloutName, store: CalloutName]> = {
  4: ["fldSingle", "fstSingle"],
  8: ["fldDouble", "fstDouble"],
  10: ["fldExtended", "fstExtended"],
};
const integerFormats: Record<number, readonly [load: CalloutName, store: CalloutName]> = {
  2: ["fildWord", "fistWord"],
  4: ["fildDword", "fistDword"],
  8: ["fildQword", "fistQword"],
};

const liftLoad: LiftFunction = (b, i) => {
  const [source] = i.operands;
  if (isMemory(source)) b.call(realFormats[source.size][0], info(b, i), b.address(source));
  else b.call("fld", info(b, i), b.field(source.field));
};

function liftStore(pops: number): LiftFunction {
  return (b, i) => {
    const [target] = i.operands;
    if (isMemory(target)) b.call(realFormats[target.size][1], info(b, i), b.address(target, target.size, true), pops);
    else b.call("fst", info(b, i), b.field(target.field), pops);
  };
}

const liftLoadInteger: LiftFunction = (b, i) => {
  const [source] = i.operands;
  b.call(integerFormats[source.size][0], info(b, i), b.address(source));
};

function liftStoreInteger(pops: number): LiftFunction {
  return (b, i) => {
    const [target] = i.operands;
    b.call(integerFormats[target.size][1], info(b, i), b.address(target, target.size, true), pops);
  };
}

const truncating: Readonly<Record<number, CalloutName>> = { 2: "fisttWord", 4: "fisttDword", 8: "fisttQword" };
const liftStoreTruncated: LiftFunction = (b, i) => {
  const [target] = i.operands;
  b.call(truncating[target.size], info(b, i), b.address(target, target.size, true), 1);
};

function liftConstant(index: number): LiftFunction {
  return (b, i) => {
    b.call("fldConstant", info(b, i), index);
  };
}

/** FNSTENV and the like: 14 or 28 bytes, and 80 more with the registers. */
function liftImage(callout: CalloutName, registers: number, isWrite: boolean): LiftFunction {
  return (b, i) => {
    b.call(callout, b.address(i.operands[0], 7 * i.operandSize + registers, isWrite), i.operandSize);
  };
}

function liftAddress(callout: CalloutName, size: number, isWrite: boolean): LiftFunction {
  return (b, i) => {
    b.call(callout, b.address(i.operands[0], size, isWrite));
  };
}

const liftStoreStatus: LiftFunction = (b, i) => {
  const [target] = i.operands;
  if (isMemory(target)) b.call("fnstsw", b.address(target, 2, true));
  else b.setRegister(0, 2, b.call("fnstswAx"));
};

function liftBare(callout: CalloutName): LiftFunction {
  return (b) => {
    b.call(callout);
  };
}

function liftFree(pops: number): LiftFunction {
  return (b, i) => {
    b.call("ffree", info(b, i), b.field(i.operands[0].field), pops);
  };
}

export const x87Lifts: Record<string, LiftFunction> = {
  fld: liftLoad,
  fst: liftStore(0),
  fstp: liftStore(1),
  fild: liftLoadInteger,
  fist: liftStoreInteger(0),
  fistp: liftStoreInteger(1),
  fisttp: liftStoreTruncated,
  fbld: (b, i) => void b.call("fbld", info(b, i), b.address(i.operands[0], 10)),
  fbstp: (b, i) => void b.call("fbstp", info(b, i), b.address(i.operands[0], 10, true), 1),
  fstpnce: (b, i) => void b.call("fstpnce", info(b, i), otherRegister(b, i)),
  fxch: (b, i) => void b.call("fxch", info(b, i), otherRegister(b, i)),
  fcmovb: liftConditionalMove(carryFlag, false),
  fcmovnb: liftConditionalMove(carryFlag, true),
  fcmove: liftConditionalMove(zeroFlag, false),
  fcmovne: liftConditionalMove(zeroFlag, true),
  fcmovbe: liftConditionalMove(belowOrEqual, false),
  fcmovnbe: liftConditionalMove(belowOrEqual, true),
  fcmovu: liftConditionalMove(parityFlag, false),
  fcmovnu: liftConditionalMove(parityFlag, true),

  fadd: liftArithmetic("fadd", "faddMemory"),
  faddp: liftArithmetic("fadd", "faddMemory", 1),
  fiadd: liftArithmetic("fadd", "faddMemory"),
  fmul: liftArithmetic("fmul", "fmulMemory"),
  fmulp: liftArithmetic("fmul", "fmulMemory", 1),
  fimul: liftArithmetic("fmul", "fmulMemory"),
  fsub: liftArithmetic("fsub", "fsubMemory"),
  fsubp: liftArithmetic("fsub", "fsubMemory", 1),
  fisub: liftArithmetic("fsub", "fsubMemory"),
  fsubr: liftArithmetic("fsubr", "fsubrMemory"),
  fsubrp: liftArithmetic("fsubr", "fsubrMemory", 1),
  fisubr: liftArithmetic("fsubr", "fsubrMemory"),
  fdiv: liftArithmetic("fdiv", "fdivMemory"),
  fdivp: liftArithmetic("fdiv", "fdivMemory", 1),
  fidiv: liftArithmetic("fdiv", "fdivMemory"),
  fdivr: liftArithmetic("fdivr", "fdivrMemory"),
  fdivrp: liftArithmetic("fdivr", "fdivrMemory", 1),
  fidivr: liftArithmetic("fdivr", "fdivrMemory"),
  fabs: liftPlain("fabs"),
  fchs: liftPlain("fchs"),
  fsqrt: liftPlain("fsqrt"),
  frndint: liftPlain("frndint"),
  fscale: liftPlain("fscale"),
  fprem: liftPlain("fprem"),
  fprem1: liftPlain("fprem1"),
  fxtract: liftPlain("fxtract"),

  fcom: liftCompare("fcom", 0),
  fcomp: liftCompare("fcom", 1),
  fcompp: liftCompare("fcom", 2),
  fucom: liftCompare("fucom", 0),
  fucomp: liftCompare("fucom", 1),
  fucompp: liftCompare("fucom", 2),
  ficom: liftCompare("fcom", 0),
  ficomp: liftCompare("fcom", 1),
  fcomi: liftCompareToFlags("fcomi", 0),
  fcomip: liftCompareToFlags("fcomi", 1),
  fucomi: liftCompareToFlags("fucomi", 0),
  fucomip: liftCompareToFlags("fucomi", 1),
  ftst: liftPlain("ftst"),
  fxam: liftPlain("fxam"),

  f2xm1: liftPlain("f2xm1"),
  fyl2x: liftPlain("fyl2x"),
  fyl2xp1: liftPlain("fyl2xp1"),
  fptan: liftPlain("fptan"),
  fpatan: liftPlain("fpatan"),
  fsin: liftPlain("fsin"),
  fcos: liftPlain("fcos"),
  fsincos: liftPlain("fsincos"),

  fld1: liftConstant(0),
  fldl2t: liftConstant(1),
  fldl2e: liftConstant(2),
  fldpi: liftConstant(3),
  fldlg2: liftConstant(4),
  fldln2: liftConstant(5),
  fldz: liftConstant(6),

  fnop: liftPlain("fnop"),
  // What the 8087 and 80287 needed them for is gone: they do nothing, and unlike FNOP they do not wait.
  fneni: (b) => void b.call("x87Available"),
  fndisi: (b) => void b.call("x87Available"),
  fnsetpm: (b) => void b.call("x87Available"),
  ffree: liftFree(0),
  ffreep: liftFree(1),
  fincstp: (b, i) => void b.call("rotateStack", info(b, i), 1),
  fdecstp: (b, i) => void b.call("rotateStack", info(b, i), -1),
  fninit: liftBare("fninit"),
  fnclex: liftBare("fnclex"),
  fwait: liftBare("fwait"),
  emms: liftBare("emms"),
  fldcw: liftAddress("fldcw", 2, false),
  fnstcw: liftAddress("fnstcw", 2, true),
  fnstsw: liftStoreStatus,
  fnstenv: liftImage("fnstenv", 0, true),
  fldenv: liftImage("fldenv", 0, false),
  fnsave: liftImage("fnsave", 80, true),
  frstor: liftImage("frstor", 80, false),
  fxsave: liftAddress("fxsave", 512, true),
  fxrstor: liftAddress("fxrstor", 512, false),
};
