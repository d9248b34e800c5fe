/** Basic arithmetic (SDM vol. 1, 5.2.2): two operands in registers, or ST(0) and memory; and the operations on ST(0) alone. */
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import { add, subtract } from "../../float/add.ts";
import { extendDouble, extendSingle, fromInt32 } from "../../float/convert.ts";
import { divide, squareRoot } from "../../float/divide.ts";
import { multiply } from "../../float/multiply.ts";
import { incomplete, remainder, undivided } from "../../float/remainder.ts";
import { extract, roundToIntegral, scale } from "../../float/scale.ts";
import type { FloatUnit } from "../../float/unit.ts";
import {
  begin,
  isEmpty,
  isFull,
  physical,
  pop,
  recordInstruction,
  recordOperand,
  settle,
  stackFault,
  status as statusImported,
  writeRegister,
  type X87Host,
} from "./host.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const status = statusImported;

/** f = a op b, each operand as mantissa low, mantissa high, sign and exponent. */
export type BinaryOperation = (f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number) => void;

/** The four operations, by number: closures of one function share V8's call feedback, so that passing functions would make every call megamorphic. */
const operation = { add: 0, subtract: 1, multiply: 2, divide: 3 } as const;

/** f = a op b. */
function operate(which: number, f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  if (which === operation.multiply) multiply(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
  else if (which === operation.add) add(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
  else if (which === operation.subtract) subtract(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
  else divide(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
}
export type UnaryOperation = (f: FloatUnit, low: number, high: number, signExponent: number) => void;

/** In the escape byte of a register form (bits 8-10 of the x87 opcode): DE and DA forms pop. */
const popBit = 0x200;

/**
 * Loads a memory operand of arithmetic, in the format that bits 1 and 2 of the escape byte give (D8 m32fp, DA m32int, DC m64fp, DE m16int).
 */
export function loadOperand(cpu: X87Host, f: FloatUnit, info: number, linear: number): void {
  const memory = cpu.memory;
  switch (info & 0x600) {
    case 0:
      extendSingle(f, memory.ld4(linear));
      break;
    case 0x200:
      fromInt32(f, memory.ld4(linear));
      break;
    case 0x400: {
      const low = memory.ld4(linear);
      extendDouble(f, low, memory.ld4((linear + 4) | 0));
      break;
    }
    default:
      fromInt32(f, (memory.ld2(linear) << 16) >> 16);
  }
}

/** ST(destination) = ST(destination) op ST(source), or with the operands the other way round; pops when the escape byte says so. */
function registerForm(which: number, isReversed: boolean) {
  return (cpu: X87Host, info: number, destination: number, source: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const d = physical(R, destination);
    const a = isReversed ? physical(R, source) : d;
    const b = isReversed ? d : physical(R, source);
    if (isEmpty(R, a) || isEmpty(R, b)) {
      if (!stackFault(cpu, false)) return;
    } else {
      operate(
        which,
        f,
        R[slot.fpuMantissaLow + a],
        R[slot.fpuMantissaHigh + a],
        R[slot.fpuSignExponent + a],
        R[slot.fpuMantissaLow + b],
        R[slot.fpuMantissaHigh + b],
        R[slot.fpuSignExponent + b],
      );
      if (!settle(cpu, f)) return;
    }
    writeRegister(R, d, f);
    if ((info & popBit) !== 0) pop(R);
  };
}

/** ST(0) = ST(0) op memory, or memory op ST(0). */
function memoryForm(which: number, isReversed: boolean) {
  return (cpu: X87Host, info: number, linear: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    loadOperand(cpu, f, info, linear);
    recordOperand(R, info, linear);
    const top = R[slot.fpuTop];
    if (isEmpty(R, top)) {
      if (!stackFault(cpu, false)) return;
    } else {
      const low = R[slot.fpuMantissaLow + top];
      const high = R[slot.fpuMantissaHigh + top];
      const signExponent = R[slot.fpuSignExponent + top];
      if (isReversed) operate(which, f, f.low, f.high, f.signExponent, low, high, signExponent);
      else operate(which, f, low, high, signExponent, f.low, f.high, f.signExponent);
      if (!settle(cpu, f)) return;
    }
    writeRegister(R, top, f);
  };
}

/** ST(0) = operation(ST(0)). */
export function unaryForm(operation: UnaryOperation) {
  return (cpu: X87Host, info: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const top = R[slot.fpuTop];
    if (isEmpty(R, top)) {
      if (!stackFault(cpu, false)) return;
    } else {
      operation(f, R[slot.fpuMantissaLow + top], R[slot.fpuMantissaHigh + top], R[slot.fpuSignExponent + top]);
      if (!settle(cpu, f)) return;
    }
    writeRegister(R, top, f);
  };
}

/** ST(0) = ST(0) * 2^ST(1). */
function fscale(cpu: X87Host, info: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const a = R[slot.fpuTop];
  const b = physical(R, 1);
  if (isEmpty(R, a) || isEmpty(R, b)) {
    if (!stackFault(cpu, false)) return;
  } else {
    scale(
      f,
      R[slot.fpuMantissaLow + a],
      R[slot.fpuMantissaHigh + a],
      R[slot.fpuSignExponent + a],
      R[slot.fpuMantissaLow + b],
      R[slot.fpuMantissaHigh + b],
      R[slot.fpuSignExponent + b],
    );
    if (!settle(cpu, f)) return;
  }
  writeRegister(R, a, f);
}

/** C2 = reduction incomplete, otherwise C0 C3 C1 = bits 2 1 0 of the quotient. */
function remainderForm(nearest: boolean) {
  return (cpu: X87Host, info: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const a = R[slot.fpuTop];
    const b = physical(R, 1);
    if (isEmpty(R, a) || isEmpty(R, b)) {
      R[slot.fpuStatus] &= ~status.c2;
      if (!stackFault(cpu, false)) return;
    } else {
      remainder(
        f,
        R[slot.fpuMantissaLow + a],
        R[slot.fpuMantissaHigh + a],
        R[slot.fpuSignExponent + a],
        R[slot.fpuMantissaLow + b],
        R[slot.fpuMantissaHigh + b],
        R[slot.fpuSignExponent + b],
        nearest,
      );
      R[slot.fpuStatus] &= ~status.c2;
      if (!settle(cpu, f)) return;
      const q = f.quotient;
      if (q !== undivided) R[slot.fpuStatus] &= ~status.conditions;
      if (q === undivided) {
        // Without a quotient C0 and C3 stay.
      } else if (q === incomplete) R[slot.fpuStatus] |= status.c2;
      else R[slot.fpuStatus] |= ((q & 4) !== 0 ? status.c0 : 0) | ((q & 2) !== 0 ? status.c3 : 0) | ((q & 1) !== 0 ? status.c1 : 0);
    }
    writeRegister(R, a, f);
  };
}

/** Exponent to ST(0), then the significand pushed on it. */
function fxtract(cpu: X87Host, info: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const top = R[slot.fpuTop];
  const empty = isEmpty(R, top);
  if (empty || isFull(R)) {
    if (!stackFault(cpu, !empty)) return;
    f.secondLow = f.low;
    f.secondHigh = f.high;
    f.secondSignExponent = f.signExponent;
  } else {
    extract(f, R[slot.fpuMantissaLow + top], R[slot.fpuMantissaHigh + top], R[slot.fpuSignExponent + top]);
    if (!settle(cpu, f)) return;
  }
  writeRegister(R, top, f);
  pushSecond(R, f);
}

/** Pushes the unit's second result. */
export function pushSecond(R: Int32Array, f: FloatUnit): void {
  f.low = f.secondLow;
  f.high = f.secondHigh;
  f.signExponent = f.secondSignExponent;
  const top = (R[slot.fpuTop] - 1) & 7;
  R[slot.fpuTop] = top;
  writeRegister(R, top, f);
}

/** FABS and FCHS: the sign only, whatever the value. */
function signForm(change: (signExponent: number) => number) {
  return (cpu: X87Host, info: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const top = R[slot.fpuTop];
    if (isEmpty(R, top)) {
      if (stackFault(cpu, false)) writeRegister(R, top, f);
      return;
    }
    R[slot.fpuStatus] &= ~status.c1;
    R[slot.fpuSignExponent + top] = change(R[slot.fpuSignExponent + top]);
  };
}

export const arithmeticImplementations = {
  fadd: registerForm(operation.add, false),
  fmul: registerForm(operation.multiply, false),
  fsub: registerForm(operation.subtract, false),
  fsubr: registerForm(operation.subtract, true),
  fdiv: registerForm(operation.divide, false),
  fdivr: registerForm(operation.divide, true),
  faddMemory: memoryForm(operation.add, false),
  fmulMemory: memoryForm(operation.multiply, false),
  fsubMemory: memoryForm(operation.subtract, false),
  fsubrMemory: memoryForm(operation.subtract, true),
  fdivMemory: memoryForm(operation.divide, false),
  fdivrMemory: memoryForm(operation.divide, true),
  fsqrt: unaryForm(squareRoot),
  frndint: unaryForm(roundToIntegral),
  fscale,
  fprem: remainderForm(false),
  fprem1: remainderForm(true),
  fxtract,
  fabs: signForm((signExponent) => signExponent & 0x7fff),
  fchs: signForm((signExponent) => signExponent ^ 0x8000),
};
