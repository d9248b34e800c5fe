/**
 * What every x87 instruction shares: availability and pending exceptions before it, the register stack, and the exceptions after it.
 *
 * The first argument of most callouts, `info`, says which instruction runs: bits 0-10 the x87 opcode (the low three bits of the escape byte, then
 * ModRM), bits 11-14 its length, bits 16-18 the segment register of its memory operand. From it come the last-instruction registers.
 */
import { cr0bit as cr0bitImported, slot as slotImported, vector } from "../../../translator/contract/slots.ts";
import { type FloatUnit, setIndefinite } from "../../float/unit.ts";
import { setC1, settleInexact, spill, spillHigh, writeIntegers } from "./registers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const slot = slotImported;

/** What x87 callouts need of the CPU. */
export interface X87Host {
  readonly R: Int32Array;
  /** The same slots as doubles. */
  readonly F: Float64Array;
  readonly float: FloatUnit;
  readonly memory: X87Memory;
  readonly board: {
    /** FERR#, wired to IRQ 13 on a PC: an unmasked exception is pending while CR0.NE = 0. */
    setFerr(high: boolean): void;
  };
  raise(vector: number, errorCode?: number): never;
}

/** Guest memory at linear addresses; accesses raise the guest's faults. */
export interface X87Memory {
  ld1(linear: number): number;
  ld2(linear: number): number;
  ld4(linear: number): number;
  st1(linear: number, value: number): void;
  st2(linear: number, value: number): void;
  st4(linear: number, value: number): void;
  probeWrite(linear: number, size: number): void;
  /** #AC, where an access of `size` bytes is misaligned and may not be. */
  requireAlignment(linear: number, size: number): void;
  /** Index in `physical.i32` of the word there, if it and the bytes behind it are RAM of one page that may be accessed so, without a look at anything else; else -1. */
  wordsAt(linear: number, bytes: number, isWrite: boolean): number;
  readonly physical: { readonly i32: Int32Array };
}

/** Status word bits beyond the six exceptions. */
export const status = {
  stackFault: 0x40,
  /** Exception summary: an unmasked exception is pending. */
  summary: 0x80,
  c0: 0x100,
  /** Kept apart: see registers.ts. */
  c1: 0x200,
  c2: 0x400,
  c3: 0x4000,
  /** C0, C2 and C3. */
  conditions: 0x4500,
  busy: 0x8000,
} as const;

const invalid = 1;
const precision = 0x20;
const extendedPrecision = 0x300;
/** What the control word is taken for where registers hold doubles: 53 bits, and PE, which is not kept, masked. */
const doubleControl = 0x220;
/** Invalid, denormal, zero divide: found before the operation, which is not carried out when they are unmasked. */
const beforeOperation = 7;

/** Register ST(i) as a physical register. */
export function physical(R: Int32Array, i: number): number {
  return (R[slot.fpuTop] + i) & 7;
}

export function isEmpty(R: Int32Array, register: number): boolean {
  return ((R[slot.fpuEmpty] >>> register) & 1) !== 0;
}

/** Start of a non-waiting instruction. */
export function beginNoWait(cpu: X87Host): void {
  if ((cpu.R[slot.cr0] & (cr0bit.em | cr0bit.ts)) !== 0) cpu.raise(vector.nm);
  settleInexact(cpu);
}

/** Start of every other instruction: also delivers what an earlier one left pending (SDM vol. 3, 6.15, interrupt 16). */
export function begin(cpu: X87Host): FloatUnit {
  const R = cpu.R;
  if ((R[slot.cr0] & (cr0bit.em | cr0bit.ts)) !== 0) cpu.raise(vector.nm);
  if ((R[slot.fpuStatus] & status.summary) !== 0) deliverPending(cpu);
  settleInexact(cpu);
  const f = cpu.float;
  f.control = f.isDouble ? (R[slot.fpuControl] & ~extendedPrecision) | doubleControl : R[slot.fpuControl];
  f.flags = 0;
  f.roundedUp = 0;
  return f;
}

/** Through #MF, or in the PC's way: FERR# to IRQ 13, whose handler runs before this instruction unless IGNNE# lets it pass. */
export function deliverPending(cpu: X87Host): void {
  if ((cpu.R[slot.cr0] & cr0bit.ne) !== 0) cpu.raise(vector.mf);
  cpu.board.setFerr(true);
}

/** Sets the last-instruction registers. Call once the instruction can no longer fault. */
export function recordInstruction(R: Int32Array, info: number): void {
  R[slot.fpuOpcode] = info & 0x7ff;
  R[slot.fpuIp] = R[slot.eip] - ((info >>> 11) & 15);
  R[slot.fpuCs] = R[slot.selector + 1];
}

export function recordOperand(R: Int32Array, info: number, linear: number): void {
  recordInstruction(R, info);
  const segment = (info >>> 16) & 7;
  R[slot.fpuDp] = linear - R[slot.segmentBase + segment];
  R[slot.fpuDs] = R[slot.selector + segment];
}

/**
 * Takes over the exceptions of the operation in `cpu.float`, with C1 from its rounding; false when the instruction must leave its destination
 * and the stack alone.
 */
export function settle(cpu: X87Host, f: FloatUnit): boolean {
  const R = cpu.R;
  if (f.isDouble) {
    f.flags &= ~precision;
    f.roundedUp = 0;
  }
  const flags = f.flags;
  const word = R[slot.fpuStatus];
  const unmasked = flags & ~f.control & 0x3f;
  if (unmasked === 0) {
    R[slot.fpuStatus] = word | flags;
    setC1(cpu, f.roundedUp !== 0);
    return true;
  }
  if ((unmasked & beforeOperation) !== 0) {
    R[slot.fpuStatus] = word | (flags & beforeOperation);
    setC1(cpu, false);
    signalPending(cpu);
    return false;
  }
  R[slot.fpuStatus] = word | flags;
  setC1(cpu, f.roundedUp !== 0);
  signalPending(cpu);
  return true;
}

function signalPending(cpu: X87Host): void {
  const R = cpu.R;
  R[slot.fpuStatus] |= status.summary | status.busy;
  if ((R[slot.cr0] & cr0bit.ne) === 0) cpu.board.setFerr(true);
}

/** Makes ES and B agree with the exceptions and masks, after either was loaded. */
export function updateSummary(cpu: X87Host): void {
  const R = cpu.R;
  if ((R[slot.fpuStatus] & ~R[slot.fpuControl] & 0x3f) !== 0) signalPending(cpu);
  else clearSummary(cpu);
}

export function clearSummary(cpu: X87Host): void {
  const R = cpu.R;
  if ((R[slot.fpuStatus] & status.summary) !== 0 && (R[slot.cr0] & cr0bit.ne) === 0) cpu.board.setFerr(false);
  R[slot.fpuStatus] &= ~(status.summary | status.busy);
}

/** Stack underflow or overflow: invalid with SF, C1 telling which. True when masked, with the indefinite NaN as the result. */
export function stackFault(cpu: X87Host, isOverflow: boolean): boolean {
  const R = cpu.R;
  const f = cpu.float;
  R[slot.fpuStatus] |= invalid | status.stackFault;
  setC1(cpu, isOverflow);
  if ((R[slot.fpuControl] & invalid) === 0) {
    signalPending(cpu);
    return false;
  }
  setIndefinite(f);
  return true;
}

/** The unit's result to a physical register, which becomes non-empty. */
export function writeRegister(cpu: X87Host, register: number, f: FloatUnit): void {
  writeIntegers(cpu, register, f.low, f.high, f.signExponent);
  cpu.R[slot.fpuEmpty] &= ~(1 << register);
}

/** Brings the integers of an operand of arithmetic up to date. */
export function spillOperand(cpu: X87Host, register: number): void {
  if (cpu.float.isDouble) spillHigh(cpu, register);
  else spill(cpu, register);
}

/** As arithmetic sees it: of doubles the high part. */
export function readOperand(cpu: X87Host, register: number, f: FloatUnit): void {
  spillOperand(cpu, register);
  loadIntegers(cpu.R, register, f);
}

export function readRegister(cpu: X87Host, register: number, f: FloatUnit): void {
  spill(cpu, register);
  loadIntegers(cpu.R, register, f);
}

function loadIntegers(R: Int32Array, register: number, f: FloatUnit): void {
  f.low = R[slot.fpuMantissaLow + register];
  f.high = R[slot.fpuMantissaHigh + register];
  f.signExponent = R[slot.fpuSignExponent + register];
}

export function pop(R: Int32Array): void {
  const top = R[slot.fpuTop];
  R[slot.fpuEmpty] |= 1 << top;
  R[slot.fpuTop] = (top + 1) & 7;
}

/** Pushes the unit's result. */
export function push(cpu: X87Host, f: FloatUnit): void {
  const R = cpu.R;
  const top = (R[slot.fpuTop] - 1) & 7;
  R[slot.fpuTop] = top;
  writeRegister(cpu, top, f);
}

/** The register a push would use is in use. */
export function isFull(R: Int32Array): boolean {
  return !isEmpty(R, (R[slot.fpuTop] - 1) & 7);
}
