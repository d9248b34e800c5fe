/** Control instructions: control and status words, environment, whole state (SDM vol. 1, 5.2.6 and 8.1.10). */
import { cr0bit as cr0bitImported, eflag as eflagImported, slot as slotImported, vector } from "../../../translator/contract/slots.ts";
import {
  begin,
  beginNoWait,
  clearSummary,
  deliverPending,
  isEmpty,
  physical,
  pop,
  recordInstruction,
  status as statusImported,
  updateSummary,
  type X87Host,
} from "./host.ts";
import { loadStatusWord, setC1, spillAll, statusWord, writeIntegers } from "./registers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const eflag = eflagImported;
const slot = slotImported;
const status = statusImported;

/** Control word bits that exist; bit 6 reads as 1. */
const controlMask = 0x1f3f;
const controlFixed = 0x40;

export function loadControl(R: Int32Array, value: number): void {
  R[slot.fpuControl] = (value & controlMask) | controlFixed;
}

/** Two bits a physical register, whose integers must be up to date: 0 valid, 1 zero, 2 special, 3 empty. */
export function tagWord(R: Int32Array): number {
  let tags = 0;
  for (let register = 0; register < 8; register++) tags |= tagOf(R, register) << (2 * register);
  return tags;
}

function tagOf(R: Int32Array, register: number): number {
  if (isEmpty(R, register)) return 3;
  const exponent = R[slot.fpuSignExponent + register] & 0x7fff;
  const high = R[slot.fpuMantissaHigh + register];
  if (exponent === 0) return (high | R[slot.fpuMantissaLow + register]) === 0 ? 1 : 2;
  return exponent === 0x7fff || high >= 0 ? 2 : 0;
}

function loadTags(R: Int32Array, tags: number): void {
  let empty = 0;
  for (let register = 0; register < 8; register++) if (((tags >>> (2 * register)) & 3) === 3) empty |= 1 << register;
  R[slot.fpuEmpty] = empty;
}

export function initialize(cpu: X87Host): void {
  const R = cpu.R;
  clearSummary(cpu);
  R[slot.fpuControl] = 0x37f;
  loadStatusWord(cpu, 0);
  R[slot.fpuEmpty] = 0xff;
  R[slot.fpuOpcode] = R[slot.fpuIp] = R[slot.fpuCs] = R[slot.fpuDp] = R[slot.fpuDs] = 0;
}

function fninit(cpu: X87Host): void {
  beginNoWait(cpu);
  initialize(cpu);
}

function fnclex(cpu: X87Host): void {
  beginNoWait(cpu);
  clearSummary(cpu);
  cpu.R[slot.fpuStatus] &= status.conditions;
}

function fldcw(cpu: X87Host, linear: number): void {
  begin(cpu);
  loadControl(cpu.R, cpu.memory.ld2(linear));
  updateSummary(cpu);
}

function fnstcw(cpu: X87Host, linear: number): void {
  beginNoWait(cpu);
  cpu.memory.st2(linear, cpu.R[slot.fpuControl]);
}

function fnstsw(cpu: X87Host, linear: number): void {
  beginNoWait(cpu);
  cpu.memory.st2(linear, statusWord(cpu));
}

function fnstswAx(cpu: X87Host): number {
  beginNoWait(cpu);
  return statusWord(cpu);
}

function isRealAddressing(R: Int32Array): boolean {
  return (R[slot.cr0] & cr0bit.pe) === 0 || (R[slot.eflags] & eflag.vm) !== 0;
}

/** Writes 14 or 28 bytes; returns how many. Writes must be known to succeed. */
function storeEnvironment(cpu: X87Host, linear: number, operandSize: number): number {
  const R = cpu.R;
  spillAll(cpu);
  const words = [R[slot.fpuControl], statusWord(cpu), tagWord(R)];
  const reserved = operandSize === 4 ? 0xffff0000 : 0;
  if (isRealAddressing(R)) {
    const ip = (R[slot.fpuCs] << 4) + R[slot.fpuIp];
    const dp = (R[slot.fpuDs] << 4) + R[slot.fpuDp];
    // The upper part sits at bit 12: bits 16-19 of a 16-bit image, 16-31 of a 32-bit one.
    words.push(ip & 0xffff, ((ip & 0xffff0000) >>> 4) | R[slot.fpuOpcode], dp & 0xffff, (dp & 0xffff0000) >>> 4);
    for (const i of [0, 1, 2, 3, 5]) words[i] |= reserved;
  } else {
    words.push(R[slot.fpuIp], R[slot.fpuCs] | (operandSize === 4 ? R[slot.fpuOpcode] << 16 : 0), R[slot.fpuDp], R[slot.fpuDs] | reserved);
    for (const i of [0, 1, 2]) words[i] |= reserved;
  }
  for (let i = 0; i < 7; i++) {
    const address = (linear + i * operandSize) | 0;
    if (operandSize === 4) cpu.memory.st4(address, words[i] | 0);
    else cpu.memory.st2(address, words[i] & 0xffff);
  }
  return 7 * operandSize;
}

/** Seven words, read before any state changes. */
function readWords(cpu: X87Host, linear: number, operandSize: number): number[] {
  const words: number[] = [];
  for (let i = 0; i < 7; i++) {
    const address = (linear + i * operandSize) | 0;
    words.push(operandSize === 4 ? cpu.memory.ld4(address) : cpu.memory.ld2(address));
  }
  return words;
}

function loadEnvironment(cpu: X87Host, words: readonly number[], operandSize: number): void {
  const R = cpu.R;
  loadControl(R, words[0]);
  loadStatusWord(cpu, words[1] & 0x7f7f);
  loadTags(R, words[2]);
  if (isRealAddressing(R)) {
    R[slot.fpuIp] = (words[3] & 0xffff) | ((words[4] & 0x0ffff000) << 4);
    R[slot.fpuDp] = (words[5] & 0xffff) | ((words[6] & 0x0ffff000) << 4);
    R[slot.fpuCs] = R[slot.fpuDs] = 0;
    R[slot.fpuOpcode] = words[4] & 0x7ff;
  } else {
    R[slot.fpuIp] = words[3];
    R[slot.fpuCs] = words[4] & 0xffff;
    if (operandSize === 4) R[slot.fpuOpcode] = (words[4] >>> 16) & 0x7ff;
    R[slot.fpuDp] = words[5];
    R[slot.fpuDs] = words[6] & 0xffff;
  }
  updateSummary(cpu);
}

function fnstenv(cpu: X87Host, linear: number, operandSize: number): void {
  beginNoWait(cpu);
  cpu.memory.probeWrite(linear, 7 * operandSize);
  storeEnvironment(cpu, linear, operandSize);
  cpu.R[slot.fpuControl] |= 0x3f;
  clearSummary(cpu);
}

function fldenv(cpu: X87Host, linear: number, operandSize: number): void {
  begin(cpu);
  loadEnvironment(cpu, readWords(cpu, linear, operandSize), operandSize);
}

function fnsave(cpu: X87Host, linear: number, operandSize: number): void {
  beginNoWait(cpu);
  const { R, memory } = cpu;
  memory.probeWrite(linear, 7 * operandSize + 80);
  let address = (linear + storeEnvironment(cpu, linear, operandSize)) | 0;
  for (let i = 0; i < 8; i++) {
    const register = physical(R, i);
    memory.st4(address, R[slot.fpuMantissaLow + register]);
    memory.st4((address + 4) | 0, R[slot.fpuMantissaHigh + register]);
    memory.st2((address + 8) | 0, R[slot.fpuSignExponent + register]);
    address = (address + 10) | 0;
  }
  initialize(cpu);
}

function frstor(cpu: X87Host, linear: number, operandSize: number): void {
  begin(cpu);
  const { R, memory } = cpu;
  const words = readWords(cpu, linear, operandSize);
  const start = (linear + 7 * operandSize) | 0;
  const registers: number[] = [];
  for (let i = 0; i < 8; i++) {
    const address = (start + 10 * i) | 0;
    registers.push(memory.ld4(address), memory.ld4((address + 4) | 0), memory.ld2((address + 8) | 0));
  }
  loadEnvironment(cpu, words, operandSize);
  for (let i = 0; i < 8; i++) {
    const register = physical(R, i);
    writeIntegers(cpu, register, registers[3 * i], registers[3 * i + 1], registers[3 * i + 2]);
  }
}

function fnop(cpu: X87Host, info: number): void {
  begin(cpu);
  recordInstruction(cpu.R, info);
}

/** FFREE; FFREEP also pops. */
function ffree(cpu: X87Host, info: number, i: number, pops: number): void {
  begin(cpu);
  recordInstruction(cpu.R, info);
  setC1(cpu, false);
  cpu.R[slot.fpuEmpty] |= 1 << physical(cpu.R, i);
  if (pops > 0) pop(cpu.R);
}

/** FINCSTP (+1) and FDECSTP (-1): TOP only, no tags. */
function rotateStack(cpu: X87Host, info: number, step: number): void {
  const R = cpu.R;
  begin(cpu);
  recordInstruction(R, info);
  setC1(cpu, false);
  R[slot.fpuTop] = (R[slot.fpuTop] + step) & 7;
}

/** WAIT tests MP and TS, not EM (SDM vol. 3, table 9-3). */
function fwait(cpu: X87Host): void {
  const R = cpu.R;
  if ((R[slot.cr0] & (cr0bit.mp | cr0bit.ts)) === (cr0bit.mp | cr0bit.ts)) cpu.raise(vector.nm);
  if ((R[slot.fpuStatus] & status.summary) !== 0) deliverPending(cpu);
}

function emms(cpu: X87Host): void {
  const R = cpu.R;
  if ((R[slot.cr0] & cr0bit.em) !== 0) cpu.raise(vector.ud);
  if ((R[slot.cr0] & cr0bit.ts) !== 0) cpu.raise(vector.nm);
  if ((R[slot.fpuStatus] & status.summary) !== 0) deliverPending(cpu);
  R[slot.fpuEmpty] = 0xff;
  R[slot.fpuTop] = 0;
}

export const controlImplementations = {
  fninit,
  fnclex,
  fldcw,
  fnstcw,
  fnstsw,
  fnstswAx,
  fnstenv,
  fldenv,
  fnsave,
  frstor,
  fnop,
  /** FNENI, FNDISI, FNSETPM: no-ops since the 80387. */
  x87Available: beginNoWait,
  x87Ready: (cpu: X87Host) => void begin(cpu),
  ffree,
  rotateStack,
  fwait,
  emms,
};
