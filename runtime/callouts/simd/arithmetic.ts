/**
 * ADD, SUB, MUL, DIV and SQRT. Nearly every execution has the same circumstances: rounding to nearest, all exceptions masked, precision
 * already recorded, operands and result normal or zero. Then a JavaScript operation on doubles is the whole instruction; for singles rounded
 * once more, which is harmless for these five operations (Figueroa, "When is double rounding innocuous?", SIGNUM 30(3)). The functions
 * named after instructions are that fast path, small enough to be inlined into generated code; all else goes to general.ts.
 */
import { slot } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { allMasks, flag, roundingMask } from "./control.ts";
import { arithmetic } from "./general.ts";
import {
  normalProductDouble,
  normalProductSingle,
  normalQuotientDouble,
  normalQuotientSingle,
  normalRootDouble,
  normalRootSingle,
  normalSumDouble,
  normalSumSingle,
} from "./ranges.ts";
import { doubles, operation, singles } from "./soft.ts";

/** A module's own constants are constants to V8, imported ones are variables. */
const { mxcsr } = slot;
const circumstances = roundingMask | allMasks | flag.precision;
const usual = allMasks | flag.precision;
/** Rounding to nearest, all masked, precision recorded. */
export const isUsual = (control: number): boolean => (control & circumstances) === usual;

function addsd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const a = F[target >> 1];
  const b = F[source >> 1];
  const r = a + b;
  if (isUsual(cpu.R[mxcsr]) && normalSumDouble(a, b, r)) F[target >> 1] = r;
  else arithmetic(cpu, operation.add, doubles, target, source, 1);
}
function addpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const t = target >> 1;
  const s = source >> 1;
  const a0 = F[t];
  const a1 = F[t + 1];
  const b0 = F[s];
  const b1 = F[s + 1];
  const r0 = a0 + b0;
  const r1 = a1 + b1;
  if (isUsual(cpu.R[mxcsr]) && normalSumDouble(a0, b0, r0) && normalSumDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else arithmetic(cpu, operation.add, doubles, target, source, 2);
}
function addss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a = S[target];
  const b = S[source];
  const r = Math.fround(a + b);
  if (isUsual(cpu.R[mxcsr]) && normalSumSingle(a, b, r)) S[target] = r;
  else arithmetic(cpu, operation.add, singles, target, source, 1);
}
function addps(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a0 = S[target];
  const a1 = S[target + 1];
  const a2 = S[target + 2];
  const a3 = S[target + 3];
  const b0 = S[source];
  const b1 = S[source + 1];
  const b2 = S[source + 2];
  const b3 = S[source + 3];
  const r0 = Math.fround(a0 + b0);
  const r1 = Math.fround(a1 + b1);
  const r2 = Math.fround(a2 + b2);
  const r3 = Math.fround(a3 + b3);
  const low = normalSumSingle(a0, b0, r0) && normalSumSingle(a1, b1, r1);
  if (low && normalSumSingle(a2, b2, r2) && normalSumSingle(a3, b3, r3) && isUsual(cpu.R[mxcsr])) {
    S[target] = r0;
    S[target + 1] = r1;
    S[target + 2] = r2;
    S[target + 3] = r3;
  } else arithmetic(cpu, operation.add, singles, target, source, 4);
}

function subsd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const a = F[target >> 1];
  const b = F[source >> 1];
  const r = a - b;
  if (isUsual(cpu.R[mxcsr]) && normalSumDouble(a, b, r)) F[target >> 1] = r;
  else arithmetic(cpu, operation.subtract, doubles, target, source, 1);
}
function subpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const t = target >> 1;
  const s = source >> 1;
  const a0 = F[t];
  const a1 = F[t + 1];
  const b0 = F[s];
  const b1 = F[s + 1];
  const r0 = a0 - b0;
  const r1 = a1 - b1;
  if (isUsual(cpu.R[mxcsr]) && normalSumDouble(a0, b0, r0) && normalSumDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else arithmetic(cpu, operation.subtract, doubles, target, source, 2);
}
function subss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a = S[target];
  const b = S[source];
  const r = Math.fround(a - b);
  if (isUsual(cpu.R[mxcsr]) && normalSumSingle(a, b, r)) S[target] = r;
  else arithmetic(cpu, operation.subtract, singles, target, source, 1);
}
function subps(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a0 = S[target];
  const a1 = S[target + 1];
  const a2 = S[target + 2];
  const a3 = S[target + 3];
  const b0 = S[source];
  const b1 = S[source + 1];
  const b2 = S[source + 2];
  const b3 = S[source + 3];
  const r0 = Math.fround(a0 - b0);
  const r1 = Math.fround(a1 - b1);
  const r2 = Math.fround(a2 - b2);
  const r3 = Math.fround(a3 - b3);
  const low = normalSumSingle(a0, b0, r0) && normalSumSingle(a1, b1, r1);
  if (low && normalSumSingle(a2, b2, r2) && normalSumSingle(a3, b3, r3) && isUsual(cpu.R[mxcsr])) {
    S[target] = r0;
    S[target + 1] = r1;
    S[target + 2] = r2;
    S[target + 3] = r3;
  } else arithmetic(cpu, operation.subtract, singles, target, source, 4);
}

function mulsd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const a = F[target >> 1];
  const b = F[source >> 1];
  const r = a * b;
  if (isUsual(cpu.R[mxcsr]) && normalProductDouble(a, b, r)) F[target >> 1] = r;
  else arithmetic(cpu, operation.multiply, doubles, target, source, 1);
}
function mulpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const t = target >> 1;
  const s = source >> 1;
  const a0 = F[t];
  const a1 = F[t + 1];
  const b0 = F[s];
  const b1 = F[s + 1];
  const r0 = a0 * b0;
  const r1 = a1 * b1;
  if (isUsual(cpu.R[mxcsr]) && normalProductDouble(a0, b0, r0) && normalProductDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else arithmetic(cpu, operation.multiply, doubles, target, source, 2);
}
function mulss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a = S[target];
  const b = S[source];
  const r = Math.fround(a * b);
  if (isUsual(cpu.R[mxcsr]) && normalProductSingle(a, b, r)) S[target] = r;
  else arithmetic(cpu, operation.multiply, singles, target, source, 1);
}
function mulps(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a0 = S[target];
  const a1 = S[target + 1];
  const a2 = S[target + 2];
  const a3 = S[target + 3];
  const b0 = S[source];
  const b1 = S[source + 1];
  const b2 = S[source + 2];
  const b3 = S[source + 3];
  const r0 = Math.fround(a0 * b0);
  const r1 = Math.fround(a1 * b1);
  const r2 = Math.fround(a2 * b2);
  const r3 = Math.fround(a3 * b3);
  const low = normalProductSingle(a0, b0, r0) && normalProductSingle(a1, b1, r1);
  if (low && normalProductSingle(a2, b2, r2) && normalProductSingle(a3, b3, r3) && isUsual(cpu.R[mxcsr])) {
    S[target] = r0;
    S[target + 1] = r1;
    S[target + 2] = r2;
    S[target + 3] = r3;
  } else arithmetic(cpu, operation.multiply, singles, target, source, 4);
}

function divsd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const a = F[target >> 1];
  const b = F[source >> 1];
  const r = a / b;
  if (isUsual(cpu.R[mxcsr]) && normalQuotientDouble(a, b, r)) F[target >> 1] = r;
  else arithmetic(cpu, operation.divide, doubles, target, source, 1);
}
function divpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const t = target >> 1;
  const s = source >> 1;
  const a0 = F[t];
  const a1 = F[t + 1];
  const b0 = F[s];
  const b1 = F[s + 1];
  const r0 = a0 / b0;
  const r1 = a1 / b1;
  if (isUsual(cpu.R[mxcsr]) && normalQuotientDouble(a0, b0, r0) && normalQuotientDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else arithmetic(cpu, operation.divide, doubles, target, source, 2);
}
function divss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a = S[target];
  const b = S[source];
  const r = Math.fround(a / b);
  if (isUsual(cpu.R[mxcsr]) && normalQuotientSingle(a, b, r)) S[target] = r;
  else arithmetic(cpu, operation.divide, singles, target, source, 1);
}
function divps(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a0 = S[target];
  const a1 = S[target + 1];
  const a2 = S[target + 2];
  const a3 = S[target + 3];
  const b0 = S[source];
  const b1 = S[source + 1];
  const b2 = S[source + 2];
  const b3 = S[source + 3];
  const r0 = Math.fround(a0 / b0);
  const r1 = Math.fround(a1 / b1);
  const r2 = Math.fround(a2 / b2);
  const r3 = Math.fround(a3 / b3);
  const low = normalQuotientSingle(a0, b0, r0) && normalQuotientSingle(a1, b1, r1);
  if (low && normalQuotientSingle(a2, b2, r2) && normalQuotientSingle(a3, b3, r3) && isUsual(cpu.R[mxcsr])) {
    S[target] = r0;
    S[target + 1] = r1;
    S[target + 2] = r2;
    S[target + 3] = r3;
  } else arithmetic(cpu, operation.divide, singles, target, source, 4);
}

function sqrtsd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const b = F[source >> 1];
  if (isUsual(cpu.R[mxcsr]) && normalRootDouble(b)) F[target >> 1] = Math.sqrt(b);
  else arithmetic(cpu, operation.squareRoot, doubles, target, source, 1);
}
function sqrtpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const b0 = F[source >> 1];
  const b1 = F[(source >> 1) + 1];
  if (isUsual(cpu.R[mxcsr]) && normalRootDouble(b0) && normalRootDouble(b1)) {
    F[target >> 1] = Math.sqrt(b0);
    F[(target >> 1) + 1] = Math.sqrt(b1);
  } else arithmetic(cpu, operation.squareRoot, doubles, target, source, 2);
}
function sqrtss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const b = S[source];
  if (isUsual(cpu.R[mxcsr]) && normalRootSingle(b)) S[target] = Math.sqrt(b);
  else arithmetic(cpu, operation.squareRoot, singles, target, source, 1);
}
function sqrtps(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  let normal = isUsual(cpu.R[mxcsr]);
  for (let k = 0; k < 4; k++) normal = normal && normalRootSingle(S[source + k]);
  if (normal) for (let k = 0; k < 4; k++) S[target + k] = Math.sqrt(S[source + k]);
  else arithmetic(cpu, operation.squareRoot, singles, target, source, 4);
}

export const arithmeticImplementations = {
  addss,
  addsd,
  addps,
  addpd,
  subss,
  subsd,
  subps,
  subpd,
  mulss,
  mulsd,
  mulps,
  mulpd,
  divss,
  divsd,
  divps,
  divpd,
  sqrtss,
  sqrtsd,
  sqrtps,
  sqrtpd,
};
