/** Integer instructions too long to be in line: division, decimal adjustment, rotation through carry, ENTER, CMPXCHG8B. */
import type { integerCallouts } from "../../translator/contract/callouts/integer.ts";
import { segment as segmentImported, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { signedQuotientFits } from "../cpu/divide.ts";
import { checkSegment } from "../cpu/segments.ts";
import { cmps, ins, lods, movs, outs, scas, stos, tryMovs, tryStos } from "./strings.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const segment = segmentImported;
const slot = slotImported;
const vector = vectorImported;

function checkCodeLimit(cpu: Cpu, eip: number): void {
  if (eip >>> 0 > cpu.R[slot.segmentLimit + segment.cs] >>> 0) cpu.raise(vector.gp, 0);
}

function raiseException(cpu: Cpu, exception: number): void {
  cpu.raise(exception);
}

// ---- division (SDM vol. 2, DIV and IDIV). Flags are undefined; hardware here leaves them alone. Each once for callers that look for a note, once for others.

function tryDivide(cpu: Cpu, size: number, divisor: number): void {
  const R = cpu.R;
  if (divisor === 0) return cpu.note(vector.de);
  if (size === 1) {
    const dividend = R[slot.eax] & 0xffff;
    const quotient = Math.trunc(dividend / divisor);
    if (quotient > 0xff) return cpu.note(vector.de);
    R[slot.eax] = (R[slot.eax] & ~0xffff) | quotient | ((dividend % divisor) << 8);
  } else {
    const dividend = ((R[slot.edx] << 16) | (R[slot.eax] & 0xffff)) >>> 0;
    const quotient = Math.trunc(dividend / divisor);
    if (quotient > 0xffff) return cpu.note(vector.de);
    R[slot.eax] = (R[slot.eax] & ~0xffff) | quotient;
    R[slot.edx] = (R[slot.edx] & ~0xffff) | (dividend % divisor);
  }
}

function tryDivideSigned(cpu: Cpu, size: number, operand: number): void {
  const R = cpu.R;
  const divisor = size === 1 ? (operand << 24) >> 24 : (operand << 16) >> 16;
  if (divisor === 0) return cpu.note(vector.de);
  const dividend = size === 1 ? (R[slot.eax] << 16) >> 16 : (R[slot.edx] << 16) | (R[slot.eax] & 0xffff);
  const quotient = Math.trunc(dividend / divisor);
  const limit = size === 1 ? 0x80 : 0x8000;
  if (quotient >= limit || quotient < -limit) return cpu.note(vector.de);
  const rest = (dividend - quotient * divisor) | 0;
  if (size === 1) R[slot.eax] = (R[slot.eax] & ~0xffff) | (quotient & 0xff) | ((rest & 0xff) << 8);
  else {
    R[slot.eax] = (R[slot.eax] & ~0xffff) | (quotient & 0xffff);
    R[slot.edx] = (R[slot.edx] & ~0xffff) | (rest & 0xffff);
  }
}

function tryCheckDivide(cpu: Cpu, high: number, _low: number, divisor: number): void {
  if (high >>> 0 >= divisor >>> 0) cpu.note(vector.de);
}

function tryCheckDivideSigned(cpu: Cpu, high: number, low: number, divisor: number): void {
  if (!signedQuotientFits(high, low, divisor)) cpu.note(vector.de);
}

function divide(cpu: Cpu, size: number, divisor: number): void {
  tryDivide(cpu, size, divisor);
  if (cpu.noted[1] !== 0) cpu.raiseNoted();
}
function divideSigned(cpu: Cpu, size: number, operand: number): void {
  tryDivideSigned(cpu, size, operand);
  if (cpu.noted[1] !== 0) cpu.raiseNoted();
}
function checkDivide(cpu: Cpu, high: number, low: number, divisor: number): void {
  tryCheckDivide(cpu, high, low, divisor);
  if (cpu.noted[1] !== 0) cpu.raiseNoted();
}
function checkDivideSigned(cpu: Cpu, high: number, low: number, divisor: number): void {
  tryCheckDivideSigned(cpu, high, low, divisor);
  if (cpu.noted[1] !== 0) cpu.raiseNoted();
}

// ---- decimal adjustment (SDM vol. 2, DAA and so on)

function setResult(R: Int32Array, al: number): void {
  R[slot.flagZero] = R[slot.flagSign] = (al << 24) >> 24;
}
function setCarryAndAdjust(R: Int32Array, cf: boolean, af: boolean): void {
  // OF is undefined and cleared: bit 30 equals bit 31.
  R[slot.flagCarry] = (cf ? 0xc0000000 : 0) | (af ? 8 : 0);
}

function decimalAdjust(cpu: Cpu, sign: 1 | -1): void {
  const R = cpu.R;
  const al = R[slot.eax] & 0xff;
  const cf = R[slot.flagCarry] < 0;
  const adjust = (al & 15) > 9 || (R[slot.flagCarry] & 8) !== 0;
  let result = al;
  let carry = false;
  if (adjust) {
    result += sign * 6;
    carry = cf || result < 0 || result > 0xff;
  }
  if (al > 0x99 || cf) {
    result += sign * 0x60;
    carry = true;
  }
  R[slot.eax] = (R[slot.eax] & ~0xff) | (result & 0xff);
  setResult(R, result);
  setCarryAndAdjust(R, carry, adjust);
}

function asciiAdjust(cpu: Cpu, sign: 1 | -1): void {
  const R = cpu.R;
  const adjust = (R[slot.eax] & 15) > 9 || (R[slot.flagCarry] & 8) !== 0;
  let ax = R[slot.eax] & 0xffff;
  if (adjust) ax = (ax + sign * 0x106) & 0xffff;
  ax &= 0xff0f;
  R[slot.eax] = (R[slot.eax] & ~0xffff) | ax;
  setResult(R, ax & 0xff);
  setCarryAndAdjust(R, adjust, adjust);
}

function aam(cpu: Cpu, base: number): void {
  const R = cpu.R;
  if (base === 0) cpu.raise(vector.de);
  const al = R[slot.eax] & 0xff;
  const rest = al % base;
  R[slot.eax] = (R[slot.eax] & ~0xffff) | (Math.trunc(al / base) << 8) | rest;
  setResult(R, rest);
  setCarryAndAdjust(R, false, false);
}

function aad(cpu: Cpu, base: number): void {
  const R = cpu.R;
  const al = (R[slot.eax] + ((R[slot.eax] >>> 8) & 0xff) * base) & 0xff;
  R[slot.eax] = (R[slot.eax] & ~0xffff) | al;
  setResult(R, al);
  setCarryAndAdjust(R, false, false);
}

// ---- rotation through carry

function setRotateFlags(R: Int32Array, cf: number, of: number): void {
  R[slot.flagCarry] = (R[slot.flagCarry] & 8) | (cf << 31) | ((cf ^ of) << 30);
}

/** Rotates the (bits + 1)-bit string CF:value left by `count`. */
function rotateLeft(cpu: Cpu, size: number, value: number, count: number): number {
  const R = cpu.R;
  const bits = size * 8;
  let cf = R[slot.flagCarry] >>> 31;
  let x = value;
  let n = count % (bits + 1);
  if (count === 0) return value;
  for (; n > 0; n--) {
    const out = (x >>> (bits - 1)) & 1;
    x = (x << 1) | cf;
    cf = out;
  }
  setRotateFlags(R, cf, cf ^ ((x >>> (bits - 1)) & 1));
  return x;
}

function rotateRight(cpu: Cpu, size: number, value: number, count: number): number {
  const R = cpu.R;
  const bits = size * 8;
  let cf = R[slot.flagCarry] >>> 31;
  let x = value;
  let n = count % (bits + 1);
  if (count === 0) return value;
  for (; n > 0; n--) {
    const out = x & 1;
    x = (x >>> 1) | (cf << (bits - 1));
    cf = out;
  }
  setRotateFlags(R, cf, ((x >>> (bits - 1)) ^ (x >>> (bits - 2))) & 1);
  return x;
}

// ---- ENTER (SDM vol. 2)

function enter(cpu: Cpu, size: number, bytes: number, nesting: number): void {
  const { R, memory } = cpu;
  const wide = (R[slot.segmentAccess + segment.ss] & (1 << 22)) !== 0;
  const wrap = (offset: number): number => (wide ? offset | 0 : offset & 0xffff);
  const linear = (offset: number, isWrite: boolean): number => {
    checkSegment(cpu, segment.ss, wrap(offset), size, isWrite);
    return (wrap(offset) + R[slot.segmentBase + segment.ss]) | 0;
  };
  const level = nesting & 31;
  const depth = level === 0 ? 1 : level + 1;
  const at = (k: number): number => wrap(R[slot.esp] - (k + 1) * size);
  const from = (k: number): number => wrap(R[slot.ebp] - k * size);
  // Everything that may fault is tried before anything is written, in the order of the accesses: the frame pointers read, the slots pushed, at last the
  // final stack pointer (SDM: a page fault there is reported before ENTER completes).
  const sp = wrap(at(depth - 1) - bytes);
  for (let k = 0; k < depth; k++) {
    if (k > 0 && k < level) memory.probeRead(linear(from(k), false), size);
    memory.probeWrite(linear(at(k), true), size);
  }
  memory.probeWrite(linear(sp, true), size);
  // Reads and pushes alternate: with overlapping frames a later read sees an earlier push.
  const push = (k: number, value: number): void => (size === 2 ? memory.st2(linear(at(k), true), value) : memory.st4(linear(at(k), true), value));
  const frame = at(0);
  push(0, R[slot.ebp]);
  for (let k = 1; k < level; k++) push(k, size === 2 ? memory.ld2(linear(from(k), false)) : memory.ld4(linear(from(k), false)));
  if (level > 0) push(level, frame);
  if (wide) R[slot.esp] = sp;
  else R[slot.esp] = (R[slot.esp] & ~0xffff) | sp;
  R[slot.ebp] = size === 2 ? (R[slot.ebp] & ~0xffff) | (frame & 0xffff) : wide ? frame : (R[slot.ebp] & ~0xffff) | frame;
}

function probeWrite(cpu: Cpu, linear: number, size: number): void {
  cpu.memory.probeWrite(linear, size);
}

function storeHigherRpl(cpu: Cpu, s: number, linear: number, selector: number, wanted: number): void {
  if ((selector & 3) >= wanted) return;
  checkSegment(cpu, s, (linear - cpu.R[slot.segmentBase + s]) | 0, 2, true);
  cpu.memory.st2(linear, (selector & ~3) | wanted);
}

function bound(cpu: Cpu, lower: number, upper: number, index: number): void {
  if (index < lower || index > upper) cpu.raise(vector.br);
}

function cmpxchg8b(cpu: Cpu, linear: number): void {
  const { R, memory } = cpu;
  memory.probeWrite(linear, 8);
  const low = memory.ldw4(linear);
  const high = memory.ldw4((linear + 4) | 0);
  const same = low === R[slot.eax] && high === R[slot.edx];
  memory.st4(linear, same ? R[slot.ebx] : low);
  memory.st4((linear + 4) | 0, same ? R[slot.ecx] : high);
  if (!same) {
    R[slot.eax] = low;
    R[slot.edx] = high;
  }
  R[slot.flagZero] = same ? 0 : 1;
}

export const integerImplementations = {
  checkCodeLimit,
  raiseException,
  divide,
  divideSigned,
  checkDivide,
  checkDivideSigned,
  subroutine: () => {
    throw new Error("subroutine: regions print it");
  },
  movs,
  cmps,
  stos,
  lods,
  scas,
  ins,
  outs,
  daa: (cpu: Cpu) => decimalAdjust(cpu, 1),
  das: (cpu: Cpu) => decimalAdjust(cpu, -1),
  aaa: (cpu: Cpu) => asciiAdjust(cpu, 1),
  aas: (cpu: Cpu) => asciiAdjust(cpu, -1),
  aam,
  aad,
  enter,
  storeHigherRpl,
  probeWrite,
  bound,
  cmpxchg8b,
  rcl: rotateLeft,
  rcr: rotateRight,
} satisfies Record<keyof typeof integerCallouts, (cpu: Cpu, ...args: number[]) => number | void>;

/** Those that note an exception instead of throwing it (`Cpu.note`), otherwise the same. */
export const notingImplementations = {
  raiseException: (cpu: Cpu, exception: number) => cpu.note(exception),
  divide: tryDivide,
  divideSigned: tryDivideSigned,
  checkDivide: tryCheckDivide,
  checkDivideSigned: tryCheckDivideSigned,
  movs: tryMovs,
  stos: tryStos,
  probeWrite: (cpu: Cpu, linear: number, size: number) => {
    cpu.memory.tryProbeWrite(linear, size);
  },
} satisfies Partial<Record<keyof typeof integerCallouts, (cpu: Cpu, ...args: number[]) => number | void>>;
