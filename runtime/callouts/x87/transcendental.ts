/** Transcendental instructions (SDM vol. 1, 5.2.5). */
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import { exponentialMinusOne, logarithm, logarithmPlusOne } from "../../float/logarithm.ts";
import { beginDouble, endDouble, roundToDouble } from "../../float/narrow.ts";
import { angle, outOfRange, sineCosine, tangent } from "../../float/trigonometry.ts";
import { type BinaryOperation, pushSecond, unaryForm } from "./arithmetic.ts";
import {
  begin,
  isEmpty,
  isFull,
  physical,
  pop,
  recordInstruction,
  settle,
  stackFault,
  status as statusImported,
  writeRegister,
  type X87Host,
} from "./host.ts";
import { setC1, spill } from "./registers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const status = statusImported;

/** ST(1) = operation(ST(0), ST(1)), then pop. */
function poppingForm(operation: BinaryOperation) {
  return (cpu: X87Host, info: number): void => {
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
      operation(
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
    writeRegister(cpu, b, f);
    pop(R);
  };
}

/** FSIN and FCOS: C2 says that the operand is out of range and was left alone. */
function sineForm(isCosine: boolean) {
  return (cpu: X87Host, info: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const top = R[slot.fpuTop];
    R[slot.fpuStatus] &= ~status.c2;
    if (isEmpty(R, top)) {
      if (!stackFault(cpu, false)) return;
    } else {
      spill(cpu, top);
      const control = beginDouble(f);
      const outcome = sineCosine(f, R[slot.fpuMantissaLow + top], R[slot.fpuMantissaHigh + top], R[slot.fpuSignExponent + top], !isCosine, isCosine);
      endDouble(f, control);
      if (outcome === outOfRange) {
        leaveOperand(cpu);
        return;
      }
      if (!settle(cpu, f)) return;
      if (isCosine) {
        f.low = f.secondLow;
        f.high = f.secondHigh;
        f.signExponent = f.secondSignExponent;
        if (f.isDouble) roundToDouble(f);
      }
    }
    writeRegister(cpu, top, f);
  };
}

function leaveOperand(cpu: X87Host): void {
  cpu.R[slot.fpuStatus] |= status.c2;
  setC1(cpu, false);
}

/** FSINCOS and FPTAN: one result to ST(0), the other pushed on it. */
function pushingForm(isTangent: boolean) {
  return (cpu: X87Host, info: number): void => {
    const R = cpu.R;
    const f = begin(cpu);
    recordInstruction(R, info);
    const top = R[slot.fpuTop];
    R[slot.fpuStatus] &= ~status.c2;
    const empty = isEmpty(R, top);
    if (empty || isFull(R)) {
      if (!stackFault(cpu, !empty)) return;
      f.secondLow = f.low;
      f.secondHigh = f.high;
      f.secondSignExponent = f.signExponent;
    } else {
      spill(cpu, top);
      const low = R[slot.fpuMantissaLow + top];
      const high = R[slot.fpuMantissaHigh + top];
      const signExponent = R[slot.fpuSignExponent + top];
      const control = beginDouble(f);
      const outcome = isTangent ? tangent(f, low, high, signExponent) : sineCosine(f, low, high, signExponent, true, true);
      endDouble(f, control);
      if (outcome === outOfRange) {
        leaveOperand(cpu);
        return;
      }
      if (!settle(cpu, f)) return;
    }
    writeRegister(cpu, top, f);
    pushSecond(cpu, f);
  };
}

export const transcendentalImplementations = {
  f2xm1: unaryForm(exponentialMinusOne),
  fyl2x: poppingForm(logarithm),
  fyl2xp1: poppingForm(logarithmPlusOne),
  fpatan: poppingForm(angle),
  fsin: sineForm(false),
  fcos: sineForm(true),
  fsincos: pushingForm(false),
  fptan: pushingForm(true),
};
