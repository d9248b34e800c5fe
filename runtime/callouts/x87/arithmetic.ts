/** Basic arithmetic (SDM vol. 1, 5.2.2): two operands in registers, or ST(0) and memory; and the operations on ST(0) alone. */
import { memoryFormat as memoryFormatImported } from "../../../translator/contract/callouts/x87.ts";
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import { add, subtract } from "../../float/add.ts";
import { extendDouble, extendSingle, fromInt32 } from "../../float/convert.ts";
import { divide, squareRoot } from "../../float/divide.ts";
import { addDoubles, addExact, divideDoubles, divideExact, multiplyDoubles, multiplyExact } from "../../float/exact-pairs.ts";
import { multiply } from "../../float/multiply.ts";
import { beginDouble, endDouble, roundToDouble } from "../../float/narrow.ts";
import { incomplete, remainder, undivided } from "../../float/remainder.ts";
import { extract, roundToIntegral, scale } from "../../float/scale.ts";
import type { FloatUnit } from "../../float/unit.ts";
import {
  begin,
  isEmpty,
  isFull,
  physical,
  pop,
  readRegister,
  recordInstruction,
  recordOperand,
  settle,
  spillOperand,
  stackFault,
  status as statusImported,
  writeRegister,
  type X87Host,
} from "./host.ts";
import { joinDouble, pairHigh as pairHighImported, pairLow as pairLowImported, setC1, spill, writeIntegers, writePair } from "./registers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const memoryFormat = memoryFormatImported;
const slot = slotImported;
const status = statusImported;
const pairHigh = pairHighImported;
const pairLow = pairLowImported;
const minInt32 = -0x80000000;

/** f = a op b, each operand as mantissa low, mantissa high, sign and exponent. */
export type BinaryOperation = (f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number) => void;

/** The four operations, by number: closures of one function share V8's call feedback, so that passing functions would make every call megamorphic. */
const operation = { add: 0, subtract: 1, multiply: 2, divide: 3 } as const;

/** f = a op b, and a double where registers hold doubles. */
function operate(which: number, f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  const control = beginDouble(f);
  operateExactly(which, f, aLow, aHigh, aSign, bLow, bHigh, bSign);
  endDouble(f, control);
}

/** f = a op b. */
function operateExactly(which: number, f: FloatUnit, aLow: number, aHigh: number, aSign: number, bLow: number, bHigh: number, bSign: number): void {
  if (which === operation.multiply) multiply(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
  else if (which === operation.add) add(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
  else if (which === operation.subtract) subtract(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
  else divide(f, aLow, aHigh, aSign, bLow, bHigh, bSign);
}

/** Precision and rounding control for which pairs will do: to nearest, 64 or 53 bits, with precision masked. */
const controlMask = 0xf20;
const bits64 = 0x320;
const bits53 = 0x220;
const roundingControl = 0xc00;

/** The same in pairs of doubles, where generated code did not do it in line; the result goes to `register`. */
function operateInPairs(cpu: X87Host, which: number, register: number, h1: number, l1: number, h2: number, l2: number): boolean {
  const f = cpu.float;
  const control = f.control & controlMask;
  const sum = h1 + h2;
  if (Number.isNaN(sum)) return false;
  let done: boolean;
  if (f.isDouble) {
    if ((control & roundingControl) !== 0) return false;
    // Generated code, too, looks at the high parts alone.
    if (which === operation.multiply) done = multiplyDoubles(f, h1, h2);
    else if (which === operation.add) done = addDoubles(f, h1, h2);
    else if (which === operation.subtract) done = addDoubles(f, h1, -h2);
    else done = divideDoubles(f, h1, h2);
    if (done) writePair(cpu, register, f.h, -0, 0);
    return done;
  }
  if (control === bits64) {
    if (which === operation.multiply) done = multiplyExact(f, h1, l1, h2, l2);
    else if (which === operation.add) done = addExact(f, h1, l1, h2, l2);
    else if (which === operation.subtract) done = addExact(f, h1, l1, -h2, -l2);
    else done = divideExact(f, h1, l1, h2, l2);
  } else if (control === bits53 && l1 === 0 && l2 === 0) {
    if (which === operation.multiply) done = multiplyDoubles(f, h1, h2);
    else if (which === operation.add) done = addDoubles(f, h1, h2);
    else if (which === operation.subtract) done = addDoubles(f, h1, -h2);
    else done = divideDoubles(f, h1, h2);
  } else return false;
  if (done) writePair(cpu, register, f.h, f.l, f.residue);
  return done;
}

/** A memory operand as a double; NaN where it has none of the range of pairs, or where it is denormal. */
function loadAsDouble(cpu: X87Host, format: number, linear: number): number {
  const memory = cpu.memory;
  if (format === memoryFormat.dword) return memory.ld4(linear);
  if (format === memoryFormat.word) return (memory.ld2(linear) << 16) >> 16;
  if (format === memoryFormat.double) memory.requireAlignment(linear, 8);
  let low = memory.ld4(linear);
  let high: number;
  if (format === memoryFormat.single) {
    const exponent = (low >>> 23) & 0xff;
    if (exponent === 0xff || (exponent === 0 && low << 1 !== 0)) return NaN;
    high = (low & minInt32) | (exponent === 0 ? 0 : ((exponent - 127 + 1023) << 20) | ((low & 0x7fffff) >>> 3));
    low <<= 29;
  } else high = memory.ld4((linear + 4) | 0);
  const v = joinDouble(cpu, low, high);
  const magnitude = Math.abs(v);
  return (magnitude >= 2 ** -899 && magnitude < 2 ** 972) || v === 0 ? v : NaN;
}
export type UnaryOperation = (f: FloatUnit, low: number, high: number, signExponent: number) => void;

/** Loads a memory operand of arithmetic. */
export function loadOperand(cpu: X87Host, f: FloatUnit, format: number, linear: number): void {
  const memory = cpu.memory;
  switch (format) {
    case memoryFormat.single:
      extendSingle(f, memory.ld4(linear));
      break;
    case memoryFormat.dword:
      fromInt32(f, memory.ld4(linear));
      break;
    case memoryFormat.double: {
      memory.requireAlignment(linear, 8);
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
  return (cpu: X87Host, info: number, destination: number, source: number, pops: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const d = physical(R, destination);
    const a = isReversed ? physical(R, source) : d;
    const b = isReversed ? d : physical(R, source);
    if (isEmpty(R, a) || isEmpty(R, b)) {
      if (!stackFault(cpu, false)) return;
    } else {
      const F = cpu.F;
      if (operateInPairs(cpu, which, d, F[pairHigh + a], F[pairLow + a], F[pairHigh + b], F[pairLow + b])) {
        R[slot.fpuEmpty] &= ~(1 << d);
        if (pops > 0) pop(R);
        return;
      }
      spillOperand(cpu, a);
      spillOperand(cpu, b);
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
    writeRegister(cpu, d, f);
    if (pops > 0) pop(R);
  };
}

/** ST(0) = ST(0) op memory, or memory op ST(0). */
function memoryForm(which: number, isReversed: boolean) {
  return (cpu: X87Host, info: number, linear: number, format: number): void => {
    const R = cpu.R;
    const F = cpu.F;
    const f = begin(cpu);
    const top = R[slot.fpuTop];
    const h = F[pairHigh + top];
    if (!isEmpty(R, top) && !Number.isNaN(h)) {
      const v = loadAsDouble(cpu, format, linear);
      const l = F[pairLow + top];
      if (isReversed ? operateInPairs(cpu, which, top, v, -0, h, l) : operateInPairs(cpu, which, top, h, l, v, -0)) {
        recordOperand(R, info, linear);
        return;
      }
    }
    loadOperand(cpu, f, format, linear);
    recordOperand(R, info, linear);
    if (isEmpty(R, top)) {
      if (!stackFault(cpu, false)) return;
    } else {
      spillOperand(cpu, top);
      const low = R[slot.fpuMantissaLow + top];
      const high = R[slot.fpuMantissaHigh + top];
      const signExponent = R[slot.fpuSignExponent + top];
      if (isReversed) operate(which, f, f.low, f.high, f.signExponent, low, high, signExponent);
      else operate(which, f, low, high, signExponent, f.low, f.high, f.signExponent);
      if (!settle(cpu, f)) return;
    }
    writeRegister(cpu, top, f);
  };
}

/**
 * ST(0) = operation(ST(0)).
 * @param roundsToInteger the rounding that the control word asks for is the operation itself
 */
export function unaryForm(operation: UnaryOperation, roundsToInteger = false) {
  return (cpu: X87Host, info: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const top = R[slot.fpuTop];
    if (isEmpty(R, top)) {
      if (!stackFault(cpu, false)) return;
    } else {
      spillOperand(cpu, top);
      const control = roundsToInteger ? f.control : beginDouble(f);
      operation(f, R[slot.fpuMantissaLow + top], R[slot.fpuMantissaHigh + top], R[slot.fpuSignExponent + top]);
      endDouble(f, control);
      if (!settle(cpu, f)) return;
    }
    writeRegister(cpu, top, f);
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
    spill(cpu, a);
    spill(cpu, b);
    const control = beginDouble(f);
    scale(
      f,
      R[slot.fpuMantissaLow + a],
      R[slot.fpuMantissaHigh + a],
      R[slot.fpuSignExponent + a],
      R[slot.fpuMantissaLow + b],
      R[slot.fpuMantissaHigh + b],
      R[slot.fpuSignExponent + b],
    );
    endDouble(f, control);
    if (!settle(cpu, f)) return;
  }
  writeRegister(cpu, a, f);
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
      spill(cpu, a);
      spill(cpu, b);
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
      endDouble(f, f.control);
      R[slot.fpuStatus] &= ~status.c2;
      if (!settle(cpu, f)) return;
      const q = f.quotient;
      // Without a quotient the condition codes stay.
      if (q !== undivided) {
        const conditions = q === incomplete ? status.c2 : ((q & 4) !== 0 ? status.c0 : 0) | ((q & 2) !== 0 ? status.c3 : 0);
        R[slot.fpuStatus] = (R[slot.fpuStatus] & ~status.conditions) | conditions;
        setC1(cpu, q !== incomplete && (q & 1) !== 0);
      }
    }
    writeRegister(cpu, a, f);
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
    spill(cpu, top);
    extract(f, R[slot.fpuMantissaLow + top], R[slot.fpuMantissaHigh + top], R[slot.fpuSignExponent + top]);
    endDouble(f, f.control);
    if (!settle(cpu, f)) return;
  }
  writeRegister(cpu, top, f);
  pushSecond(cpu, f);
}

/** Pushes the unit's second result. */
export function pushSecond(cpu: X87Host, f: FloatUnit): void {
  const R = cpu.R;
  f.low = f.secondLow;
  f.high = f.secondHigh;
  f.signExponent = f.secondSignExponent;
  if (f.isDouble) roundToDouble(f);
  const top = (R[slot.fpuTop] - 1) & 7;
  R[slot.fpuTop] = top;
  writeRegister(cpu, top, f);
}

/** FABS and FCHS: the sign only, whatever the value. */
function signForm(change: (signExponent: number) => number) {
  return (cpu: X87Host, info: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const top = R[slot.fpuTop];
    if (isEmpty(R, top)) {
      if (stackFault(cpu, false)) writeRegister(cpu, top, f);
      return;
    }
    setC1(cpu, false);
    readRegister(cpu, top, f);
    writeIntegers(cpu, top, f.low, f.high, change(f.signExponent));
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
  frndint: unaryForm(roundToIntegral, true),
  fscale,
  fprem: remainderForm(false),
  fprem1: remainderForm(true),
  fxtract,
  fabs: signForm((signExponent) => signExponent & 0x7fff),
  fchs: signForm((signExponent) => signExponent ^ 0x8000),
};
