/**
 * The general case of ADD, SUB, MUL, DIV and SQRT, and of what is made of them (horizontal.ts): any number of lanes, any MXCSR. A lane whose operands
 * and result are normal is still computed with doubles when rounding to nearest, and its precision exception by an error-free transformation: a program
 * whose arithmetic happens to be exact (integers in doubles) never sets the sticky flag that the fast path asks for. The rest is soft.ts's.
 */
import { slot as slotImported } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { flag, roundingMask, signal } from "./control.ts";
import { inexactProduct, inexactSum } from "./exactness.ts";
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
import { computeBinary, computeSquareRoot, doubles, operation, singles, unpackDouble, unpackSingle } from "./soft.ts";
import type { SimdUnit } from "./unit.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;

/** ADD, SUB, MUL, DIV or SQRT on `lanes` lanes from slot `target` and `source` on; nothing is written when an unmasked exception is raised. */
export function arithmetic(cpu: Cpu, op: number, single: boolean, target: number, source: number, lanes: number): void {
  const R = cpu.R;
  const u = cpu.simd;
  const mxcsr = R[slot.mxcsr];
  const toNearest = (mxcsr & roundingMask) === 0;
  u.flags = 0;
  for (let k = 0; k < lanes; k++) {
    if (single) {
      if (toNearest && nearestSingle(u, op, u.S[target + k], u.S[source + k], k)) continue;
      softSingle(u, op, mxcsr, R, target + k, source + k, k);
    } else {
      const at = 2 * k;
      if (toNearest && nearestDouble(u, op, cpu.F[(target + at) >> 1], cpu.F[(source + at) >> 1], k)) continue;
      softDouble(u, op, mxcsr, R, target + at, source + at, k);
    }
  }
  signal(cpu, u.flags);
  const words = single ? lanes : 2 * lanes;
  for (let k = 0; k < words; k++) R[target + k] = u.out[k];
}

/**
 * One lane of operands that need not be in line with each other: `left` and `right` are their first words in `words`, which `numbers` is another view of. The
 * result goes to lane `into` of the unit's `out`, what is raised to its flags.
 */
export function computeSingle(
  u: SimdUnit,
  op: number,
  mxcsr: number,
  words: Int32Array,
  numbers: Float32Array,
  left: number,
  right: number,
  into: number,
): void {
  if ((mxcsr & roundingMask) === 0 && nearestSingle(u, op, numbers[left], numbers[right], into)) return;
  softSingle(u, op, mxcsr, words, left, right, into);
}
export function computeDouble(
  u: SimdUnit,
  op: number,
  mxcsr: number,
  words: Int32Array,
  numbers: Float64Array,
  left: number,
  right: number,
  into: number,
): void {
  if ((mxcsr & roundingMask) === 0 && nearestDouble(u, op, numbers[left >> 1], numbers[right >> 1], into)) return;
  softDouble(u, op, mxcsr, words, left, right, into);
}

function softSingle(u: SimdUnit, op: number, mxcsr: number, words: Int32Array, left: number, right: number, into: number): void {
  unpackSingle(u, u.a, words[left], mxcsr);
  unpackSingle(u, u.b, words[right], mxcsr);
  if (op === operation.squareRoot) computeSquareRoot(u, singles, mxcsr);
  else computeBinary(u, op, singles, mxcsr);
  u.out[into] = u.low;
}
function softDouble(u: SimdUnit, op: number, mxcsr: number, words: Int32Array, left: number, right: number, into: number): void {
  unpackDouble(u, u.a, words[left], words[left + 1], mxcsr);
  unpackDouble(u, u.b, words[right], words[right + 1], mxcsr);
  if (op === operation.squareRoot) computeSquareRoot(u, doubles, mxcsr);
  else computeBinary(u, op, doubles, mxcsr);
  u.out[2 * into] = u.low;
  u.out[2 * into + 1] = u.high;
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
