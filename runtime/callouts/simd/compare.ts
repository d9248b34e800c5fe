/**
 * CMPxx, COMISx, UCOMISx, MINx and MAXx. Comparisons of ordinary numbers (no NaN, no denormal) raise nothing, whatever MXCSR says. A NaN is
 * invalid when it is signalling, and even when quiet for the instructions and predicates that ask for order (SDM vol. 1, 11.5.2.1, vol. 2,
 * table 3-1 of CMPPD). A denormal is recorded unless an operand is a NaN, and with DAZ compares as zero.
 */
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { denormalsAreZeros, flag, signal } from "./control.ts";
import { isOrdinaryDouble, isOrdinarySingle } from "./ranges.ts";
import { doubles, type IsSingle, singles, unpackDouble, unpackSingle } from "./soft.ts";
import { kind } from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;

/** Bits of a relation; a predicate is the set of relations that satisfy it. */
const relation = { less: 1, equal: 2, greater: 4, unordered: 8 } as const;
const { less, equal, greater, unordered } = relation;
/** CMPxx by the low three bits of its immediate: EQ LT LE UNORD NEQ NLT NLE ORD. */
const predicates = [
  equal,
  less,
  less | equal,
  unordered,
  less | greater | unordered,
  equal | greater | unordered,
  greater | unordered,
  less | equal | greater,
];
/** Predicates for which a quiet NaN is invalid: LT LE NLT NLE. */
const ordered = (predicate: number): boolean => (predicate & 3) === 1 || (predicate & 3) === 2;

const relationOf = (a: number, b: number): number => (a < b ? less : a > b ? greater : a === b ? equal : unordered);

/** How the lanes at slots `left` and `right` compare; collects exceptions in the unit. */
function compareLanes(cpu: Cpu, single: IsSingle, left: number, right: number, quietIsInvalid: boolean): number {
  const { R, simd } = cpu;
  const mxcsr = R[slot.mxcsr];
  unpackLane(cpu, single, left, right, mxcsr);
  const { a, b } = simd;
  if (a.kind >= kind.quietNaN || b.kind >= kind.quietNaN) {
    if (quietIsInvalid || a.kind === kind.signallingNaN || b.kind === kind.signallingNaN) simd.flags |= flag.invalid;
    return unordered;
  }
  if (a.isDenormal || b.isDenormal) simd.flags |= flag.denormal;
  const x = a.kind === kind.zero ? 0 : single ? simd.S[left] : cpu.F[left >> 1];
  const y = b.kind === kind.zero ? 0 : single ? simd.S[right] : cpu.F[right >> 1];
  return relationOf(x, y);
}

function unpackLane(cpu: Cpu, single: IsSingle, left: number, right: number, mxcsr: number): void {
  const { R, simd } = cpu;
  if (single) {
    unpackSingle(simd, simd.a, R[left], mxcsr);
    unpackSingle(simd, simd.b, R[right], mxcsr);
  } else {
    unpackDouble(simd, simd.a, R[left], R[left + 1], mxcsr);
    unpackDouble(simd, simd.b, R[right], R[right + 1], mxcsr);
  }
}

/** The relation when it needs no care; -1 otherwise. */
function quickDouble(cpu: Cpu, left: number, right: number): number {
  const a = cpu.F[left >> 1];
  const b = cpu.F[right >> 1];
  return isOrdinaryDouble(a) && isOrdinaryDouble(b) ? relationOf(a, b) : -1;
}
function quickSingle(cpu: Cpu, left: number, right: number): number {
  const a = cpu.simd.S[left];
  const b = cpu.simd.S[right];
  return isOrdinarySingle(a) && isOrdinarySingle(b) ? relationOf(a, b) : -1;
}

/** CMPxx: all ones in the lanes that satisfy the predicate. */
function compareInto(single: IsSingle, lanes: number) {
  return (cpu: Cpu, target: number, source: number, immediate: number): void => {
    const { R, simd } = cpu;
    const wanted = predicates[immediate & 7];
    simd.flags = 0;
    let met = 0;
    for (let k = 0; k < lanes; k++) {
      const at = single ? k : 2 * k;
      let found = single ? quickSingle(cpu, target + at, source + at) : quickDouble(cpu, target + at, source + at);
      if (found < 0) found = compareLanes(cpu, single, target + at, source + at, ordered(immediate));
      if (found & wanted) met |= single ? 1 << at : 3 << at;
    }
    signal(cpu, simd.flags);
    const words = single ? lanes : 2 * lanes;
    for (let k = 0; k < words; k++) R[target + k] = -((met >> k) & 1);
  };
}

/** EFLAGS by relation: less CF, equal ZF, greater none, unordered ZF PF CF. */
const flagsOf = new Uint8Array(9);
flagsOf[less] = 1;
flagsOf[equal] = 0x40;
flagsOf[unordered] = 0x45;

function compareFlags(cpu: Cpu, single: IsSingle, left: number, right: number, quietIsInvalid: boolean): number {
  cpu.simd.flags = 0;
  const found = compareLanes(cpu, single, left, right, quietIsInvalid);
  signal(cpu, cpu.simd.flags);
  return flagsOf[found];
}

/** EFLAGS of ordinary numbers. */
const quickFlags = (a: number, b: number): number => (a < b ? 1 : a === b ? 0x40 : 0);

function comisd(cpu: Cpu, left: number, right: number): number {
  const a = cpu.F[left >> 1];
  const b = cpu.F[right >> 1];
  return isOrdinaryDouble(a) && isOrdinaryDouble(b) ? quickFlags(a, b) : compareFlags(cpu, doubles, left, right, true);
}
function ucomisd(cpu: Cpu, left: number, right: number): number {
  const a = cpu.F[left >> 1];
  const b = cpu.F[right >> 1];
  return isOrdinaryDouble(a) && isOrdinaryDouble(b) ? quickFlags(a, b) : compareFlags(cpu, doubles, left, right, false);
}
function comiss(cpu: Cpu, left: number, right: number): number {
  const a = cpu.simd.S[left];
  const b = cpu.simd.S[right];
  return isOrdinarySingle(a) && isOrdinarySingle(b) ? quickFlags(a, b) : compareFlags(cpu, singles, left, right, true);
}
function ucomiss(cpu: Cpu, left: number, right: number): number {
  const a = cpu.simd.S[left];
  const b = cpu.simd.S[right];
  return isOrdinarySingle(a) && isOrdinarySingle(b) ? quickFlags(a, b) : compareFlags(cpu, singles, left, right, false);
}

/**
 * MIN and MAX keep the target only where it is strictly the one: for equal operands (two zeros) and for NaNs the result is the source, as it
 * is (SDM vol. 2, MINPD). An operand that DAZ took as zero is returned as zero.
 */
function extreme(single: IsSingle, lanes: number, keep: number) {
  return (cpu: Cpu, target: number, source: number): void => {
    const { R, simd } = cpu;
    simd.flags = 0;
    for (let k = 0; k < lanes; k++) {
      const at = single ? k : 2 * k;
      let found = single ? quickSingle(cpu, target + at, source + at) : quickDouble(cpu, target + at, source + at);
      let flush = false;
      if (found < 0) {
        found = compareLanes(cpu, single, target + at, source + at, true);
        flush = (found & keep ? simd.a : simd.b).kind === kind.zero && (R[slot.mxcsr] & denormalsAreZeros) !== 0;
      }
      const from = (found & keep ? target : source) + at;
      if (single) simd.out[k] = flush ? R[from] & (1 << 31) : R[from];
      else {
        simd.out[at] = flush ? 0 : R[from];
        simd.out[at + 1] = flush ? R[from + 1] & (1 << 31) : R[from + 1];
      }
    }
    signal(cpu, simd.flags);
    const words = single ? lanes : 2 * lanes;
    for (let k = 0; k < words; k++) R[target + k] = simd.out[k];
  };
}

export const compareImplementations = {
  cmpss: compareInto(singles, 1),
  cmpsd: compareInto(doubles, 1),
  cmpps: compareInto(singles, 4),
  cmppd: compareInto(doubles, 2),
  comiss,
  comisd,
  ucomiss,
  ucomisd,
  minss: extreme(singles, 1, less),
  minsd: extreme(doubles, 1, less),
  minps: extreme(singles, 4, less),
  minpd: extreme(doubles, 2, less),
  maxss: extreme(singles, 1, greater),
  maxsd: extreme(doubles, 1, greater),
  maxps: extreme(singles, 4, greater),
  maxpd: extreme(doubles, 2, greater),
};
