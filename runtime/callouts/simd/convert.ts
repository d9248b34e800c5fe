/** Conversions between integers, singles and doubles (SDM vol. 1, 11.4.1.6; what each raises: appendix E.4). */
import { slot } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { exponentBias } from "../../float/unit.ts";
import { allMasks, denormalsAreZeros, flag, roundingMask, signal } from "./control.ts";
import { isOrdinarySingle } from "./ranges.ts";
import { type IsSingle, pack, setInfinity, setNaN, setZero, unpackDouble, unpackSingle } from "./soft.ts";
import { kind, type SimdUnit } from "./unit.ts";

/** A module's own constants are constants to V8, imported ones are variables. */
const { mxcsr: mxcsrSlot } = slot;
const { precision } = flag;
const circumstances = roundingMask | allMasks | precision;
const usual = allMasks | precision;
/** Rounding to nearest, all masked, precision already recorded: a conversion that can raise nothing else is a plain one. */
const unaffectedByRounding = (mxcsr: number): boolean => (mxcsr & circumstances) === usual;

const integerIndefinite = -0x80000000;
const smallestDouble = 2 ** -1022;
const smallestSingle = 2 ** -126;

/** 1.5 * 2^52: adding and subtracting it rounds a double below 2^51 to an integer, to nearest even. */
const roundingConstant = 6755399441055744;

function roundToInteger(x: number, mxcsr: number): number {
  switch (mxcsr & roundingMask) {
    case 0:
      return x + roundingConstant - roundingConstant;
    case 1 << 13:
      return Math.floor(x);
    case 2 << 13:
      return Math.ceil(x);
    default:
      return Math.trunc(x);
  }
}

/** Lane value to int32; a result out of range, and a NaN, is invalid and gives 80000000h. Denormal operands are not recorded. */
function toInteger(cpu: Cpu, x: number, smallest: number, truncate: boolean): number {
  const mxcsr = cpu.R[mxcsrSlot];
  if (Math.abs(x) < smallest && mxcsr & denormalsAreZeros) return 0;
  const r = truncate ? Math.trunc(x) : Math.abs(x) < 2 ** 33 ? roundToInteger(x, mxcsr) : x;
  if (r >= -2147483648 && r <= 2147483647) {
    if (r !== x) cpu.simd.flags |= flag.precision;
    return r | 0;
  }
  cpu.simd.flags |= flag.invalid;
  return integerIndefinite;
}

const doubleToInteger = (cpu: Cpu, at: number, truncate: boolean) => toInteger(cpu, cpu.F[at >> 1], smallestDouble, truncate);
const singleToInteger = (cpu: Cpu, at: number, truncate: boolean) => toInteger(cpu, cpu.simd.S[at], smallestSingle, truncate);

const truncate = true;
const round = false;

/** To a general register. */
function scalarToInteger(lane: (cpu: Cpu, at: number, truncate: boolean) => number, truncate: boolean) {
  return (cpu: Cpu, source: number): number => {
    cpu.simd.flags = 0;
    const result = lane(cpu, source, truncate);
    signal(cpu, cpu.simd.flags);
    return result;
  };
}

const truncateDouble = scalarToInteger(doubleToInteger, truncate);
const truncateSingle = scalarToInteger(singleToInteger, truncate);

/** Whether `x`, whose int32 is `r`, can be truncated without raising anything: exact, or within range and precision already recorded. */
function truncatesQuietly(x: number, r: number, mxcsr: number): boolean {
  return r === x || ((mxcsr & precision) !== 0 && (mxcsr & allMasks) === allMasks && x > -2147483649 && x < 2147483648);
}
function cvttsd2si(cpu: Cpu, source: number): number {
  const x = cpu.F[source >> 1];
  const r = x | 0;
  return truncatesQuietly(x, r, cpu.R[mxcsrSlot]) ? r : truncateDouble(cpu, source);
}
function cvttss2si(cpu: Cpu, source: number): number {
  const x = cpu.simd.S[source];
  const r = x | 0;
  return truncatesQuietly(x, r, cpu.R[mxcsrSlot]) ? r : truncateSingle(cpu, source);
}

/** Packed: `lanes` int32 results, then zeros up to `words`. */
function packedToInteger(single: IsSingle, lanes: number, words: number, truncate: boolean) {
  return (cpu: Cpu, target: number, source: number): void => {
    const { R, simd } = cpu;
    simd.flags = 0;
    for (let k = 0; k < lanes; k++) {
      simd.out[k] = single ? singleToInteger(cpu, source + k, truncate) : doubleToInteger(cpu, source + 2 * k, truncate);
    }
    signal(cpu, simd.flags);
    for (let k = 0; k < words; k++) R[target + k] = k < lanes ? simd.out[k] : 0;
  };
}

// ---- from integers

function cvtsi2sd(cpu: Cpu, target: number, value: number): void {
  cpu.F[target >> 1] = value;
}
function cvtdq2pd(cpu: Cpu, target: number, source: number): void {
  const low = cpu.R[source];
  const high = cpu.R[source + 1];
  cpu.F[target >> 1] = low;
  cpu.F[(target >> 1) + 1] = high;
}

/** Bits of `value` as a single, into the unit. */
function integerToSingle(u: SimdUnit, value: number, mxcsr: number): void {
  if (value === 0) {
    setZero(u, true, 0);
    return;
  }
  const magnitude = Math.abs(value);
  const shift = Math.clz32(magnitude);
  pack(u, true, mxcsr, value < 0 ? 0x8000 : 0, exponentBias + 31 - shift, 0, magnitude << shift);
}

function cvtsi2ss(cpu: Cpu, target: number, value: number): void {
  const { R, simd } = cpu;
  const mxcsr = R[mxcsrSlot];
  if (unaffectedByRounding(mxcsr)) simd.S[target] = value;
  else {
    simd.flags = 0;
    integerToSingle(simd, value, mxcsr);
    signal(cpu, simd.flags);
    R[target] = simd.low;
  }
}

/** The first `lanes` integers in `simd.out` to singles at `target`. */
function integersToSingles(cpu: Cpu, target: number, lanes: number): void {
  const { R, simd } = cpu;
  const { out } = simd;
  const mxcsr = R[mxcsrSlot];
  if (unaffectedByRounding(mxcsr)) {
    for (let k = 0; k < lanes; k++) simd.S[target + k] = out[k];
    return;
  }
  simd.flags = 0;
  for (let k = 0; k < lanes; k++) {
    integerToSingle(simd, out[k], mxcsr);
    out[k] = simd.low;
  }
  signal(cpu, simd.flags);
  for (let k = 0; k < lanes; k++) R[target + k] = out[k];
}
function cvtdq2ps(cpu: Cpu, target: number, source: number): void {
  for (let k = 0; k < 4; k++) cpu.simd.out[k] = cpu.R[source + k];
  integersToSingles(cpu, target, 4);
}
function cvtpi2ps(cpu: Cpu, target: number, first: number, second: number): void {
  cpu.simd.out[0] = first;
  cpu.simd.out[1] = second;
  integersToSingles(cpu, target, 2);
}
function cvtpi2pd(cpu: Cpu, target: number, first: number, second: number): void {
  cpu.F[target >> 1] = first;
  cpu.F[(target >> 1) + 1] = second;
}

// ---- between singles and doubles

/** The single at slot `at` as double bits in the unit. Exact, but for what a NaN or a denormal raises. */
function widen(cpu: Cpu, at: number): void {
  const u = cpu.simd;
  const mxcsr = cpu.R[mxcsrSlot];
  unpackSingle(u, u.a, cpu.R[at], mxcsr);
  convert(u, false, mxcsr);
}
function narrow(cpu: Cpu, at: number): void {
  const u = cpu.simd;
  const mxcsr = cpu.R[mxcsrSlot];
  unpackDouble(u, u.a, cpu.R[at], cpu.R[at + 1], mxcsr);
  convert(u, true, mxcsr);
}

/** The number in `u.a` rounded to the format. */
function convert(u: SimdUnit, toSingle: IsSingle, mxcsr: number): void {
  const { a } = u;
  if (a.isDenormal) u.flags |= flag.denormal;
  if (a.kind === kind.signallingNaN) u.flags |= flag.invalid;
  if (a.kind >= kind.quietNaN) setNaN(u, toSingle, a);
  else if (a.kind === kind.infinity) setInfinity(u, toSingle, a.sign);
  else if (a.kind === kind.zero) setZero(u, toSingle, a.sign);
  else pack(u, toSingle, mxcsr, a.sign, a.exponent, a.low, a.high);
}

function cvtss2sd(cpu: Cpu, target: number, source: number): void {
  const { R, simd } = cpu;
  const x = simd.S[source];
  if (isOrdinarySingle(x)) {
    cpu.F[target >> 1] = x;
    return;
  }
  simd.flags = 0;
  widen(cpu, source);
  signal(cpu, simd.flags);
  R[target] = simd.low;
  R[target + 1] = simd.high;
}

function cvtsd2ss(cpu: Cpu, target: number, source: number): void {
  const { R, simd } = cpu;
  const x = cpu.F[source >> 1];
  const r = Math.fround(x);
  const magnitude = Math.abs(r);
  if (unaffectedByRounding(R[mxcsrSlot]) && ((magnitude > smallestSingle && magnitude < Number.POSITIVE_INFINITY) || x === 0)) {
    simd.S[target] = r;
    return;
  }
  simd.flags = 0;
  narrow(cpu, source);
  signal(cpu, simd.flags);
  R[target] = simd.low;
}

function cvtps2pd(cpu: Cpu, target: number, source: number): void {
  const { R, F, simd } = cpu;
  const x0 = simd.S[source];
  const x1 = simd.S[source + 1];
  if (isOrdinarySingle(x0) && isOrdinarySingle(x1)) {
    F[target >> 1] = x0;
    F[(target >> 1) + 1] = x1;
    return;
  }
  simd.flags = 0;
  for (let k = 0; k < 2; k++) {
    widen(cpu, source + k);
    simd.out[2 * k] = simd.low;
    simd.out[2 * k + 1] = simd.high;
  }
  signal(cpu, simd.flags);
  for (let k = 0; k < 4; k++) R[target + k] = simd.out[k];
}

function cvtpd2ps(cpu: Cpu, target: number, source: number): void {
  const { R, simd } = cpu;
  simd.flags = 0;
  for (let k = 0; k < 2; k++) {
    narrow(cpu, source + 2 * k);
    simd.out[k] = simd.low;
  }
  signal(cpu, simd.flags);
  R[target] = simd.out[0];
  R[target + 1] = simd.out[1];
  R[target + 2] = R[target + 3] = 0;
}

export const convertImplementations = {
  cvtss2si: scalarToInteger(singleToInteger, round),
  cvttss2si,
  cvtsd2si: scalarToInteger(doubleToInteger, round),
  cvttsd2si,
  cvtps2dq: packedToInteger(true, 4, 4, round),
  cvttps2dq: packedToInteger(true, 4, 4, truncate),
  cvtpd2dq: packedToInteger(false, 2, 4, round),
  cvttpd2dq: packedToInteger(false, 2, 4, truncate),
  cvtps2pi: packedToInteger(true, 2, 2, round),
  cvttps2pi: packedToInteger(true, 2, 2, truncate),
  cvtpd2pi: packedToInteger(false, 2, 2, round),
  cvttpd2pi: packedToInteger(false, 2, 2, truncate),
  cvtsi2ss,
  cvtsi2sd,
  cvtpi2ps,
  cvtpi2pd,
  cvtdq2ps,
  cvtdq2pd,
  cvtss2sd,
  cvtsd2ss,
  cvtps2pd,
  cvtpd2ps,
};
