/**
 * ADD, SUB, MUL, DIV and SQRT. Nearly every execution has the same circumstances: rounding to nearest, all exceptions masked, precision
 * already recorded, operands and result normal or zero. Then a JavaScript operation on doubles is the whole instruction; for singles rounded
 * once more, which is harmless for these five operations (Figueroa, "When is double rounding innocuous?", SIGNUM 30(3)). The functions
 * named after instructions are that fast path, small enough to be inlined into generated code; all else goes to `arithmetic`.
 */
import { slot } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { allMasks, flag, roundingMask, signal } from "./control.ts";
import { computeBinary, computeSquareRoot, operation, unpackDouble, unpackSingle } from "./soft.ts";
import {
  normalProductDouble, normalProductSingle, normalQuotientDouble, normalQuotientSingle,
  normalRootDouble, normalRootSingle, normalSumDouble, normalSumSingle,
} from "./ranges.ts";
import type { SimdUnit } from "./unit.ts";
import { inexactProduct, inexactSum } from "./exactness.ts";

const circumstances = roundingMask | allMasks | flag.precision;
const usual = allMasks | flag.precision;
const isUsual = (mxcsr: number): boolean => (mxcsr & circumstances) === usual;

function addsd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const a = F[target >> 1];
  const b = F[source >> 1];
  const r = a + b;
  if (isUsual(cpu.R[slot.mxcsr]) && normalSumDouble(a, b, r)) F[target >> 1] = r;
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
  if (isUsual(cpu.R[slot.mxcsr]) && normalSumDouble(a0, b0, r0) && normalSumDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else arithmetic(cpu, operation.add, doubles, target, source, 2);
}
function addss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a = S[target];
  const b = S[source];
  const r = Math.fround(a + b);
  if (isUsual(cpu.R[slot.mxcsr]) && normalSumSingle(a, b, r)) S[target] = r;
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
  if (low && normalSumSingle(a2, b2, r2) && normalSumSingle(a3, b3, r3) && isUsual(cpu.R[slot.mxcsr])) {
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
  if (isUsual(cpu.R[slot.mxcsr]) && normalSumDouble(a, b, r)) F[target >> 1] = r;
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
  if (isUsual(cpu.R[slot.mxcsr]) && normalSumDouble(a0, b0, r0) && normalSumDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else arithmetic(cpu, operation.subtract, doubles, target, source, 2);
}
function subss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a = S[target];
  const b = S[source];
  const r = Math.fround(a - b);
  if (isUsual(cpu.R[slot.mxcsr]) && normalSumSingle(a, b, r)) S[target] = r;
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
  if (low && normalSumSingle(a2, b2, r2) && normalSumSingle(a3, b3, r3) && isUsual(cpu.R[slot.mxcsr])) {
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
  if (isUsual(cpu.R[slot.mxcsr]) && normalProductDouble(a, b, r)) F[target >> 1] = r;
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
  if (isUsual(cpu.R[slot.mxcsr]) && normalProductDouble(a0, b0, r0) && normalProductDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else arithmetic(cpu, operation.multiply, doubles, target, source, 2);
}
function mulss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a = S[target];
  const b = S[source];
  const r = Math.fround(a * b);
  if (isUsual(cpu.R[slot.mxcsr]) && normalProductSingle(a, b, r)) S[target] = r;
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
  if (low && normalProductSingle(a2, b2, r2) && normalProductSingle(a3, b3, r3) && isUsual(cpu.R[slot.mxcsr])) {
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
  if (isUsual(cpu.R[slot.mxcsr]) && normalQuotientDouble(a, b, r)) F[target >> 1] = r;
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
  if (isUsual(cpu.R[slot.mxcsr]) && normalQuotientDouble(a0, b0, r0) && normalQuotientDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else arithmetic(cpu, operation.divide, doubles, target, source, 2);
}
function divss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a = S[target];
  const b = S[source];
  const r = Math.fround(a / b);
  if (isUsual(cpu.R[slot.mxcsr]) && normalQuotientSingle(a, b, r)) S[target] = r;
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
  if (low && normalQuotientSingle(a2, b2, r2) && normalQuotientSingle(a3, b3, r3) && isUsual(cpu.R[slot.mxcsr])) {
    S[target] = r0;
    S[target + 1] = r1;
    S[target + 2] = r2;
    S[target + 3] = r3;
  } else arithmetic(cpu, operation.divide, singles, target, source, 4);
}

function sqrtsd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const b = F[source >> 1];
  if (isUsual(cpu.R[slot.mxcsr]) && normalRootDouble(b)) F[target >> 1] = Math.sqrt(b);
  else arithmetic(cpu, operation.squareRoot, doubles, target, source, 1);
}
function sqrtpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const b0 = F[source >> 1];
  const b1 = F[(source >> 1) + 1];
  if (isUsual(cpu.R[slot.mxcsr]) && normalRootDouble(b0) && normalRootDouble(b1)) {
    F[target >> 1] = Math.sqrt(b0);
    F[(target >> 1) + 1] = Math.sqrt(b1);
  } else arithmetic(cpu, operation.squareRoot, doubles, target, source, 2);
}
function sqrtss(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const b = S[source];
  if (isUsual(cpu.R[slot.mxcsr]) && normalRootSingle(b)) S[target] = Math.sqrt(b);
  else arithmetic(cpu, operation.squareRoot, singles, target, source, 1);
}
function sqrtps(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  let normal = isUsual(cpu.R[slot.mxcsr]);
  for (let k = 0; k < 4; k++) normal = normal && normalRootSingle(S[source + k]);
  if (normal) for (let k = 0; k < 4; k++) S[target + k] = Math.sqrt(S[source + k]);
  else arithmetic(cpu, operation.squareRoot, singles, target, source, 4);
}

const singles = true;
const doubles = false;

/** The general case: `lanes` lanes from slot `target` and `source` on; nothing is written when an unmasked exception is raised. */
function arithmetic(cpu: Cpu, op: number, single: boolean, target: number, source: number, lanes: number): void {
  const R = cpu.R;
  const u = cpu.simd;
  const mxcsr = R[slot.mxcsr];
  const toNearest = (mxcsr & roundingMask) === 0;
  u.flags = 0;
  for (let k = 0; k < lanes; k++) {
    if (single) {
      if (toNearest && nearestSingle(u, op, u.S[target + k], u.S[source + k], k)) continue;
      unpackSingle(u, u.a, R[target + k], mxcsr);
      unpackSingle(u, u.b, R[source + k], mxcsr);
    } else {
      const at = 2 * k;
      if (toNearest && nearestDouble(u, op, cpu.F[(target + at) >> 1], cpu.F[(source + at) >> 1], k)) continue;
      unpackDouble(u, u.a, R[target + at], R[target + at + 1], mxcsr);
      unpackDouble(u, u.b, R[source + at], R[source + at + 1], mxcsr);
    }
    if (op === operation.squareRoot) computeSquareRoot(u, single, mxcsr);
    else computeBinary(u, op, single, mxcsr);
    if (single) u.out[k] = u.low;
    else {
      u.out[2 * k] = u.low;
      u.out[2 * k + 1] = u.high;
    }
  }
  signal(cpu, u.flags);
  const words = single ? lanes : 2 * lanes;
  for (let k = 0; k < words; k++) R[target + k] = u.out[k];
}

/** Normal operands and result, rounded to nearest: all that may be raised is precision. False: not such a case. */
function nearestDouble(u: SimdUnit, op: number, a: number, b: number, lane: number): boolean {
  let r: number;
  let inexact: boolean;
  switch (op) {
    case operation.add:
    case operation.subtract:
      r = op === operation.add ? a + b : a - b;
      if (!normalSumDouble(a, b, r)) return false;
      inexact = inexactSum(a, op === operation.add ? b : -b, r);
      break;
    case operation.multiply:
      r = a * b;
      if (!normalProductDouble(a, b, r) || !isSplittable(a, b, r)) return false;
      inexact = inexactProduct(a, b, r);
      break;
    case operation.divide:
      r = a / b;
      if (!normalQuotientDouble(a, b, r) || !isSplittable(r, b, a)) return false;
      inexact = r * b !== a || inexactProduct(r, b, a);
      break;
    default:
      r = Math.sqrt(b);
      if (!normalRootDouble(b) || !isSplittable(r, r, b)) return false;
      inexact = r * r !== b || inexactProduct(r, r, b);
  }
  if (inexact) u.flags |= flag.precision;
  u.outF[lane] = r;
  return true;
}

/** Veltkamp's splitting of x and y must not overflow, nor the parts of their product p, nor may its error underflow. */
function isSplittable(x: number, y: number, p: number): boolean {
  const magnitude = Math.abs(p);
  return Math.abs(x) < 2 ** 996 && Math.abs(y) < 2 ** 996 && ((magnitude > 2 ** -960 && magnitude < 2 ** 1020) || p === 0);
}

/** The same for singles, whose products and error terms doubles hold exactly. */
function nearestSingle(u: SimdUnit, op: number, a: number, b: number, lane: number): boolean {
  let r: number;
  let inexact: boolean;
  switch (op) {
    case operation.add:
    case operation.subtract: {
      const exact = op === operation.add ? a + b : a - b;
      r = Math.fround(exact);
      if (!normalSumSingle(a, b, r)) return false;
      inexact = exact !== r || inexactSum(a, op === operation.add ? b : -b, exact);
      break;
    }
    case operation.multiply:
      r = Math.fround(a * b);
      if (!normalProductSingle(a, b, r)) return false;
      inexact = a * b !== r;
      break;
    case operation.divide:
      r = Math.fround(a / b);
      if (!normalQuotientSingle(a, b, r)) return false;
      // A zero may have been divided by an infinity.
      inexact = a !== 0 && r * b !== a;
      break;
    default:
      r = Math.fround(Math.sqrt(b));
      if (!normalRootSingle(b)) return false;
      inexact = r * r !== b;
  }
  if (inexact) u.flags |= flag.precision;
  u.outS[lane] = r;
  return true;
}

export const arithmeticImplementations = {
  addss, addsd, addps, addpd, subss, subsd, subps, subpd, mulss, mulsd, mulps, mulpd, divss, divsd, divps, divpd,
  sqrtss, sqrtsd, sqrtps, sqrtpd,
};
