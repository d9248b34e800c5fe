/**
 * ROUNDxx (SSE4.1). Immediate: bits 0 and 1 are a rounding mode as MXCSR encodes it, bit 2 says that it is MXCSR's instead, bit 3 keeps precision from being
 * raised. Denormal operands are not recorded; with DAZ they are zeros.
 */
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { denormalsAreZeros, flag, roundingMask, signal } from "./control.ts";
import { isOrdinaryDouble, isOrdinarySingle } from "./ranges.ts";
import { doubles, type IsSingle, singles } from "./soft.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const byControl = 4;
const suppress = 8;
const roundingShift = 13;
const quietBitDouble = 0x80000;
const quietBitSingle = 0x400000;

/** Adding it to a smaller double leaves no room for a fraction. */
const wholeFrom = 2 ** 52;

function nearest(x: number): number {
  const magnitude = Math.abs(x);
  const r = magnitude < wholeFrom ? magnitude + wholeFrom - wholeFrom : magnitude;
  // The zero has the operand's sign, as what the others give has.
  return r === 0 ? x * 0 : x < 0 ? -r : r;
}

function rounded(x: number, mode: number): number {
  switch (mode) {
    case 0:
      return nearest(x);
    case 1:
      return Math.floor(x);
    case 2:
      return Math.ceil(x);
    default:
      return Math.trunc(x);
  }
}

/** A lane's result into the unit's `out`; returns what is raised. */
function roundDouble(cpu: Cpu, at: number, mode: number, into: number): number {
  const { R, simd } = cpu;
  const x = cpu.F[at >> 1];
  if (Number.isNaN(x)) {
    simd.out[2 * into] = R[at];
    simd.out[2 * into + 1] = R[at + 1] | quietBitDouble;
    return R[at + 1] & quietBitDouble ? 0 : flag.invalid;
  }
  const operand = isOrdinaryDouble(x) || (R[slot.mxcsr] & denormalsAreZeros) === 0 ? x : x < 0 ? -0 : 0;
  const r = rounded(operand, mode);
  simd.outF[into] = r;
  return r === operand ? 0 : flag.precision;
}
function roundSingle(cpu: Cpu, at: number, mode: number, into: number): number {
  const { R, simd } = cpu;
  const x = simd.S[at];
  if (Number.isNaN(x)) {
    simd.out[into] = R[at] | quietBitSingle;
    return R[at] & quietBitSingle ? 0 : flag.invalid;
  }
  const operand = isOrdinarySingle(x) || (R[slot.mxcsr] & denormalsAreZeros) === 0 ? x : x < 0 ? -0 : 0;
  const r = rounded(operand, mode);
  simd.outS[into] = r;
  return r === operand ? 0 : flag.precision;
}

function round(cpu: Cpu, single: IsSingle, lanes: number, target: number, source: number, immediate: number): void {
  const { R, simd } = cpu;
  const mode = immediate & byControl ? (R[slot.mxcsr] & roundingMask) >>> roundingShift : immediate & 3;
  let flags = 0;
  for (let k = 0; k < lanes; k++) flags |= single ? roundSingle(cpu, source + k, mode, k) : roundDouble(cpu, source + 2 * k, mode, k);
  signal(cpu, immediate & suppress ? flags & ~flag.precision : flags);
  const words = single ? lanes : 2 * lanes;
  for (let k = 0; k < words; k++) R[target + k] = simd.out[k];
}

export const roundImplementations = {
  roundss: (cpu: Cpu, target: number, source: number, immediate: number): void => round(cpu, singles, 1, target, source, immediate),
  roundsd: (cpu: Cpu, target: number, source: number, immediate: number): void => round(cpu, doubles, 1, target, source, immediate),
  roundps: (cpu: Cpu, target: number, source: number, immediate: number): void => round(cpu, singles, 4, target, source, immediate),
  roundpd: (cpu: Cpu, target: number, source: number, immediate: number): void => round(cpu, doubles, 2, target, source, immediate),
};
