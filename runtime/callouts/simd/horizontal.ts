/**
 * Sums that are not lane by lane: ADDSUB, HADD, HSUB, and the dot products. As in arithmetic.ts the usual circumstances are dealt with here and all others by
 * general.ts, where the first operand of an addition is the lower lane: its NaN is the result's.
 */
import { slot } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { isUsual } from "./arithmetic.ts";
import { signal } from "./control.ts";
import { computeDouble, computeSingle } from "./general.ts";
import { normalProductDouble, normalProductSingle, normalSumDouble, normalSumSingle } from "./ranges.ts";
import { operation } from "./soft.ts";

/** A module's own constants are constants to V8, imported ones are variables. */
const { mxcsr } = slot;
const { add, subtract, multiply } = operation;

function addsubpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const t = target >> 1;
  const s = source >> 1;
  const a0 = F[t];
  const a1 = F[t + 1];
  const b0 = F[s];
  const b1 = F[s + 1];
  const r0 = a0 - b0;
  const r1 = a1 + b1;
  if (isUsual(cpu.R[mxcsr]) && normalSumDouble(a0, b0, r0) && normalSumDouble(a1, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else generalAddSub(cpu, false, target, source);
}
function addsubps(cpu: Cpu, target: number, source: number): void {
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
  const r1 = Math.fround(a1 + b1);
  const r2 = Math.fround(a2 - b2);
  const r3 = Math.fround(a3 + b3);
  const low = normalSumSingle(a0, b0, r0) && normalSumSingle(a1, b1, r1);
  if (low && normalSumSingle(a2, b2, r2) && normalSumSingle(a3, b3, r3) && isUsual(cpu.R[mxcsr])) {
    S[target] = r0;
    S[target + 1] = r1;
    S[target + 2] = r2;
    S[target + 3] = r3;
  } else generalAddSub(cpu, true, target, source);
}

function generalAddSub(cpu: Cpu, single: boolean, target: number, source: number): void {
  const { R, F, simd } = cpu;
  const control = R[mxcsr];
  simd.flags = 0;
  for (let k = 0; k < (single ? 4 : 2); k++) {
    const op = k & 1 ? add : subtract;
    if (single) computeSingle(simd, op, control, R, simd.S, target + k, source + k, k);
    else computeDouble(simd, op, control, R, F, target + 2 * k, source + 2 * k, k);
  }
  signal(cpu, simd.flags);
  for (let k = 0; k < 4; k++) R[target + k] = simd.out[k];
}

function haddpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const t = target >> 1;
  const s = source >> 1;
  const a0 = F[t];
  const a1 = F[t + 1];
  const b0 = F[s];
  const b1 = F[s + 1];
  const r0 = a0 + a1;
  const r1 = b0 + b1;
  if (isUsual(cpu.R[mxcsr]) && normalSumDouble(a0, a1, r0) && normalSumDouble(b0, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else generalPairs(cpu, add, false, target, source);
}
function hsubpd(cpu: Cpu, target: number, source: number): void {
  const F = cpu.F;
  const t = target >> 1;
  const s = source >> 1;
  const a0 = F[t];
  const a1 = F[t + 1];
  const b0 = F[s];
  const b1 = F[s + 1];
  const r0 = a0 - a1;
  const r1 = b0 - b1;
  if (isUsual(cpu.R[mxcsr]) && normalSumDouble(a0, a1, r0) && normalSumDouble(b0, b1, r1)) {
    F[t] = r0;
    F[t + 1] = r1;
  } else generalPairs(cpu, subtract, false, target, source);
}
function haddps(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a0 = S[target];
  const a1 = S[target + 1];
  const a2 = S[target + 2];
  const a3 = S[target + 3];
  const b0 = S[source];
  const b1 = S[source + 1];
  const b2 = S[source + 2];
  const b3 = S[source + 3];
  const r0 = Math.fround(a0 + a1);
  const r1 = Math.fround(a2 + a3);
  const r2 = Math.fround(b0 + b1);
  const r3 = Math.fround(b2 + b3);
  const low = normalSumSingle(a0, a1, r0) && normalSumSingle(a2, a3, r1);
  if (low && normalSumSingle(b0, b1, r2) && normalSumSingle(b2, b3, r3) && isUsual(cpu.R[mxcsr])) {
    S[target] = r0;
    S[target + 1] = r1;
    S[target + 2] = r2;
    S[target + 3] = r3;
  } else generalPairs(cpu, add, true, target, source);
}
function hsubps(cpu: Cpu, target: number, source: number): void {
  const S = cpu.simd.S;
  const a0 = S[target];
  const a1 = S[target + 1];
  const a2 = S[target + 2];
  const a3 = S[target + 3];
  const b0 = S[source];
  const b1 = S[source + 1];
  const b2 = S[source + 2];
  const b3 = S[source + 3];
  const r0 = Math.fround(a0 - a1);
  const r1 = Math.fround(a2 - a3);
  const r2 = Math.fround(b0 - b1);
  const r3 = Math.fround(b2 - b3);
  const low = normalSumSingle(a0, a1, r0) && normalSumSingle(a2, a3, r1);
  if (low && normalSumSingle(b0, b1, r2) && normalSumSingle(b2, b3, r3) && isUsual(cpu.R[mxcsr])) {
    S[target] = r0;
    S[target + 1] = r1;
    S[target + 2] = r2;
    S[target + 3] = r3;
  } else generalPairs(cpu, subtract, true, target, source);
}

/** Neighbours: the target's give the lower half of the result, the source's the upper. */
function generalPairs(cpu: Cpu, op: number, single: boolean, target: number, source: number): void {
  const { R, F, simd } = cpu;
  const control = R[mxcsr];
  simd.flags = 0;
  if (single) {
    for (let k = 0; k < 4; k++) {
      const at = (k < 2 ? target : source) + 2 * (k & 1);
      computeSingle(simd, op, control, R, simd.S, at, at + 1, k);
    }
  } else {
    computeDouble(simd, op, control, R, F, target, target + 2, 0);
    computeDouble(simd, op, control, R, F, source, source + 2, 1);
  }
  signal(cpu, simd.flags);
  for (let k = 0; k < 4; k++) R[target + k] = simd.out[k];
}

/** Immediate: bits 4 to 7 which products count, bits 0 to 3 which lanes get their sum; the others get +0. */
function dpps(cpu: Cpu, target: number, source: number, immediate: number): void {
  const { R, simd } = cpu;
  const S = simd.S;
  let isNormal = isUsual(R[mxcsr]);
  let p0 = 0;
  let p1 = 0;
  let p2 = 0;
  let p3 = 0;
  if (immediate & 0x10) {
    p0 = Math.fround(S[target] * S[source]);
    isNormal = isNormal && normalProductSingle(S[target], S[source], p0);
  }
  if (immediate & 0x20) {
    p1 = Math.fround(S[target + 1] * S[source + 1]);
    isNormal = isNormal && normalProductSingle(S[target + 1], S[source + 1], p1);
  }
  if (immediate & 0x40) {
    p2 = Math.fround(S[target + 2] * S[source + 2]);
    isNormal = isNormal && normalProductSingle(S[target + 2], S[source + 2], p2);
  }
  if (immediate & 0x80) {
    p3 = Math.fround(S[target + 3] * S[source + 3]);
    isNormal = isNormal && normalProductSingle(S[target + 3], S[source + 3], p3);
  }
  const low = Math.fround(p0 + p1);
  const high = Math.fround(p2 + p3);
  const r = Math.fround(low + high);
  // A half that is not normal is found by the last test: it is denormal, infinite or a NaN.
  if (isNormal && normalSumSingle(low, high, r)) simd.outS[0] = r;
  else generalDotOfSingles(cpu, target, source, immediate);
  const sum = simd.out[0];
  for (let k = 0; k < 4; k++) R[target + k] = (immediate >> k) & 1 ? sum : 0;
}

/** The products, then two sums, then theirs: what is unmasked is raised between these steps, so that later ones go unrecorded. */
function generalDotOfSingles(cpu: Cpu, target: number, source: number, immediate: number): void {
  const { R, simd } = cpu;
  const { out, outS } = simd;
  const control = R[mxcsr];
  simd.flags = 0;
  for (let k = 0; k < 4; k++) {
    if ((immediate >> (4 + k)) & 1) computeSingle(simd, multiply, control, R, simd.S, target + k, source + k, k);
    else out[k] = 0;
  }
  signal(cpu, simd.flags);
  simd.flags = 0;
  computeSingle(simd, add, control, out, outS, 0, 1, 0);
  computeSingle(simd, add, control, out, outS, 2, 3, 1);
  signal(cpu, simd.flags);
  simd.flags = 0;
  computeSingle(simd, add, control, out, outS, 0, 1, 0);
  signal(cpu, simd.flags);
}

/** Immediate: bits 4 and 5, 0 and 1 likewise. */
function dppd(cpu: Cpu, target: number, source: number, immediate: number): void {
  const { R, F, simd } = cpu;
  const t = target >> 1;
  const s = source >> 1;
  let isNormal = isUsual(R[mxcsr]);
  let p0 = 0;
  let p1 = 0;
  if (immediate & 0x10) {
    p0 = F[t] * F[s];
    isNormal = isNormal && normalProductDouble(F[t], F[s], p0);
  }
  if (immediate & 0x20) {
    p1 = F[t + 1] * F[s + 1];
    isNormal = isNormal && normalProductDouble(F[t + 1], F[s + 1], p1);
  }
  const r = p0 + p1;
  if (isNormal && normalSumDouble(p0, p1, r)) simd.outF[0] = r;
  else generalDotOfDoubles(cpu, target, source, immediate);
  const low = simd.out[0];
  const high = simd.out[1];
  for (let k = 0; k < 2; k++) {
    const isWanted = (immediate >> k) & 1;
    R[target + 2 * k] = isWanted ? low : 0;
    R[target + 2 * k + 1] = isWanted ? high : 0;
  }
}

function generalDotOfDoubles(cpu: Cpu, target: number, source: number, immediate: number): void {
  const { R, F, simd } = cpu;
  const { out, outF } = simd;
  const control = R[mxcsr];
  simd.flags = 0;
  for (let k = 0; k < 2; k++) {
    if ((immediate >> (4 + k)) & 1) computeDouble(simd, multiply, control, R, F, target + 2 * k, source + 2 * k, k);
    else out[2 * k] = out[2 * k + 1] = 0;
  }
  signal(cpu, simd.flags);
  simd.flags = 0;
  computeDouble(simd, add, control, out, outF, 0, 2, 0);
  signal(cpu, simd.flags);
}

export const horizontalImplementations = { addsubps, addsubpd, haddps, haddpd, hsubps, hsubpd, dpps, dppd };
