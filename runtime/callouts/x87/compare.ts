/** Comparisons and classification (SDM vol. 1, 5.2.3). */
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import { compare, comparison, examine } from "../../float/compare.ts";
import { loadOperand } from "./arithmetic.ts";
import {
  begin,
  isEmpty,
  physical,
  pop,
  recordInstruction,
  recordOperand,
  settle,
  stackFault,
  status as statusImported,
  type X87Host,
} from "./host.ts";
import { isC1, setC1, spill } from "./registers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const status = statusImported;

/** Joined to the result: an unmasked invalid or denormal operand. The condition codes are set all the same, but nothing is popped. */
const refused = 0x100;
/** Joined to the result: a register was empty. */
const faulted = 0x200;

/** Compares ST(0) with ST(i): an EFLAGS-shaped result, perhaps with `refused`. */
function compareRegisters(cpu: X87Host, info: number, i: number, ordered: boolean): number {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const a = R[slot.fpuTop];
  const b = physical(R, i);
  if (isEmpty(R, a) || isEmpty(R, b)) return comparison.unordered | faulted | (stackFault(cpu, false) ? 0 : refused);
  spill(cpu, a);
  spill(cpu, b);
  const result = compare(
    f,
    R[slot.fpuMantissaLow + a],
    R[slot.fpuMantissaHigh + a],
    R[slot.fpuSignExponent + a],
    R[slot.fpuMantissaLow + b],
    R[slot.fpuMantissaHigh + b],
    R[slot.fpuSignExponent + b],
    ordered,
  );
  return settle(cpu, f) ? result : result | refused;
}

/** C0 = CF, C2 = PF, C3 = ZF: the same bits eight places up. */
function setConditions(R: Int32Array, result: number): void {
  R[slot.fpuStatus] = (R[slot.fpuStatus] & ~status.conditions) | ((result & 0x45) << 8);
}

/** FCOM, FCOMP, FCOMPP and the unordered three; `pops` is 0, 1 or 2. */
function statusForm(ordered: boolean) {
  return (cpu: X87Host, info: number, i: number, pops: number): void => {
    const result = compareRegisters(cpu, info, i, ordered);
    const R = cpu.R;
    setConditions(R, result);
    if ((result & refused) !== 0) return;
    if (pops > 0) pop(R);
    if (pops > 1) pop(R);
  };
}

/** FCOMI and FUCOMI: the answer goes to EFLAGS, which the lift writes. */
function flagsForm(ordered: boolean) {
  return (cpu: X87Host, info: number, i: number, pops: number): number => {
    const R = cpu.R;
    const c1 = isC1(cpu.F);
    const result = compareRegisters(cpu, info, i, ordered);
    // Only a stack fault touches C1.
    if ((result & faulted) === 0) setC1(cpu, c1);
    if (pops > 0 && (result & refused) === 0) pop(R);
    return result & comparison.unordered;
  };
}

function fcomMemory(cpu: X87Host, info: number, linear: number, pops: number, format: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  loadOperand(cpu, f, format, linear);
  recordOperand(R, info, linear);
  const top = R[slot.fpuTop];
  let result: number = comparison.unordered;
  let goesOn: boolean;
  if (isEmpty(R, top)) goesOn = stackFault(cpu, false);
  else {
    spill(cpu, top);
    result = compare(
      f,
      R[slot.fpuMantissaLow + top],
      R[slot.fpuMantissaHigh + top],
      R[slot.fpuSignExponent + top],
      f.low,
      f.high,
      f.signExponent,
      true,
    );
    goesOn = settle(cpu, f);
  }
  setConditions(R, result);
  if (goesOn && pops > 0) pop(R);
}

/** Compares ST(0) with +0. */
function ftst(cpu: X87Host, info: number): void {
  const R = cpu.R;
  const f = begin(cpu);
  recordInstruction(R, info);
  const top = R[slot.fpuTop];
  let result: number = comparison.unordered;
  if (isEmpty(R, top)) stackFault(cpu, false);
  else {
    spill(cpu, top);
    result = compare(f, R[slot.fpuMantissaLow + top], R[slot.fpuMantissaHigh + top], R[slot.fpuSignExponent + top], 0, 0, 0, true);
    settle(cpu, f);
  }
  setConditions(R, result);
}

/** C1 is the sign, even of an empty register. */
function fxam(cpu: X87Host, info: number): void {
  const R = cpu.R;
  begin(cpu);
  recordInstruction(R, info);
  const top = R[slot.fpuTop];
  spill(cpu, top);
  const signExponent = R[slot.fpuSignExponent + top];
  const kind = isEmpty(R, top) ? status.c3 | status.c0 : examine(R[slot.fpuMantissaLow + top], R[slot.fpuMantissaHigh + top], signExponent);
  R[slot.fpuStatus] = (R[slot.fpuStatus] & ~status.conditions) | kind;
  setC1(cpu, (signExponent & 0x8000) !== 0);
}

export const compareImplementations = {
  fcom: statusForm(true),
  fucom: statusForm(false),
  fcomi: flagsForm(true),
  fucomi: flagsForm(false),
  fcomMemory,
  ftst,
  fxam,
};
