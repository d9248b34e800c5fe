/**
 * Vector loads and stores, and moves between registers. One TLB look-up an access. Values are copied as doubles where that is exact, because
 * what reads them next is most often a double operation, and a CPU cannot forward two 4-byte stores to an 8-byte load; but a NaN goes as
 * integers, since JavaScript may change its bits.
 */
import { cr0bit, eflag, slot, vector } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";

/** A module's own constants are constants to V8, imported ones are variables. */
const { tlbHalf, cr0, eflags } = slot;
const { am } = cr0bit;
const { ac } = eflag;

/** Copies two words between 8-byte aligned places. */
function copyPair(F: Float64Array, R: Int32Array, target: number, source: number): void {
  const value = F[source >> 1];
  if (!Number.isNaN(value)) F[target >> 1] = value;
  else {
    R[target] = R[source];
    R[target + 1] = R[source + 1];
  }
}

function copy64(cpu: Cpu, target: number, source: number): void {
  copyPair(cpu.F, cpu.R, target, source);
}
function copy128(cpu: Cpu, target: number, source: number): void {
  copyPair(cpu.F, cpu.R, target, source);
  copyPair(cpu.F, cpu.R, target + 2, source + 2);
}

/** RAM at physical address `p`, a multiple of 8, to slot `target`. */
function fromRam(cpu: Cpu, p: number, target: number): void {
  const value = cpu.simd.ram64[p >>> 3];
  if (!Number.isNaN(value)) cpu.F[target >> 1] = value;
  else {
    cpu.R[target] = cpu.memory.physical.i32[p >>> 2];
    cpu.R[target + 1] = cpu.memory.physical.i32[(p >>> 2) + 1];
  }
}
function toRam(cpu: Cpu, p: number, source: number): void {
  const value = cpu.F[source >> 1];
  if (!Number.isNaN(value)) cpu.simd.ram64[p >>> 3] = value;
  else {
    cpu.memory.physical.i32[p >>> 2] = cpu.R[source];
    cpu.memory.physical.i32[(p >>> 2) + 1] = cpu.R[source + 1];
  }
}

function load64(cpu: Cpu, A: number, target: number): void {
  const memory = cpu.memory;
  const T = memory.TR[cpu.R[tlbHalf] + (A >>> 12)];
  if (((T | A) & 7) === 0) fromRam(cpu, (T ^ A) >>> 0, target);
  else if ((T & 1) === 0 && (A & 0xfff) <= 0xff8 && isMisalignmentFine(cpu, A, 8)) fromAnywhere(cpu, (T ^ A) >>> 0, target, 2);
  else {
    memory.requireAlignment(A, 8);
    const low = memory.ld4(A);
    cpu.R[target + 1] = memory.ld4((A + 4) | 0);
    cpu.R[target] = low;
  }
}

function load128(cpu: Cpu, A: number, target: number): void {
  const memory = cpu.memory;
  const T = memory.TR[cpu.R[tlbHalf] + (A >>> 12)];
  if ((T & 1) === 0 && (A & 0xfff) <= 0xff0 && isMisalignmentFine(cpu, A, 16)) {
    const p = (T ^ A) >>> 0;
    if ((p & 7) !== 0) return fromAnywhere(cpu, p, target, 4);
    fromRam(cpu, p, target);
    fromRam(cpu, p + 8, target + 2);
  } else {
    memory.requireAlignment(A, 16);
    loadWords(cpu, A, target);
  }
}

/** With alignment checking, a misaligned access goes the slow way, which raises #AC: at CPL 3, also of 16 bytes, as AMD's CPUs do (the SDM leaves that open: vol. 2, MOVUPS). */
function isMisalignmentFine(cpu: Cpu, A: number, size: 8 | 16): boolean {
  const { R } = cpu;
  return (A & (size - 1)) === 0 || (R[cr0] & am) === 0 || (R[eflags] & ac) === 0;
}

/** `count` words of RAM at physical address `p`, however aligned, from the words of RAM that they lie in. */
function fromAnywhere(cpu: Cpu, p: number, target: number, count: number): void {
  const { R } = cpu;
  const { i32 } = cpu.memory.physical;
  const shift = (p & 3) << 3;
  let at = p >>> 2;
  if (shift === 0) {
    for (let k = 0; k < count; k++) R[target + k] = i32[at + k];
    return;
  }
  let word = i32[at];
  for (let k = 0; k < count; k++) {
    const next = i32[++at];
    R[target + k] = (word >>> shift) | (next << (32 - shift));
    word = next;
  }
}
/** The other way. */
function toAnywhere(cpu: Cpu, p: number, source: number, count: number): void {
  const { R } = cpu;
  const { i32 } = cpu.memory.physical;
  const shift = (p & 3) << 3;
  let at = p >>> 2;
  if (shift === 0) {
    for (let k = 0; k < count; k++) i32[at + k] = R[source + k];
    return;
  }
  /** Bits of a word of RAM that lie below a word of the operand. */
  const below = (1 << shift) - 1;
  let carried = i32[at] & below;
  for (let k = 0; k < count; k++) {
    const word = R[source + k];
    i32[at++] = carried | (word << shift);
    carried = word >>> (32 - shift);
  }
  i32[at] = (i32[at] & ~below) | carried;
}

function loadWords(cpu: Cpu, A: number, target: number): void {
  const { memory, R } = cpu;
  const word0 = memory.ld4(A);
  const word1 = memory.ld4((A + 4) | 0);
  const word2 = memory.ld4((A + 8) | 0);
  R[target + 3] = memory.ld4((A + 12) | 0);
  R[target] = word0;
  R[target + 1] = word1;
  R[target + 2] = word2;
}

function load128Aligned(cpu: Cpu, A: number, target: number): void {
  const T = cpu.memory.TR[cpu.R[tlbHalf] + (A >>> 12)];
  if (((T | A) & 15) === 0) {
    const p = (T ^ A) >>> 0;
    fromRam(cpu, p, target);
    fromRam(cpu, p + 8, target + 2);
  } else {
    if (A & 15) cpu.raise(vector.gp, 0);
    loadWords(cpu, A, target);
  }
}

function store64(cpu: Cpu, A: number, source: number): void {
  const T = cpu.memory.TW[cpu.R[tlbHalf] + (A >>> 12)];
  if (((T | A) & 7) === 0) toRam(cpu, (T ^ A) >>> 0, source);
  else if ((T & 1) === 0 && (A & 0xfff) <= 0xff8 && isMisalignmentFine(cpu, A, 8)) toAnywhere(cpu, (T ^ A) >>> 0, source, 2);
  else storeWords(cpu, A, source, 2);
}

function store128(cpu: Cpu, A: number, source: number): void {
  const T = cpu.memory.TW[cpu.R[tlbHalf] + (A >>> 12)];
  if ((T & 1) === 0 && (A & 0xfff) <= 0xff0 && isMisalignmentFine(cpu, A, 16)) {
    const p = (T ^ A) >>> 0;
    if ((p & 7) !== 0) return toAnywhere(cpu, p, source, 4);
    toRam(cpu, p, source);
    toRam(cpu, p + 8, source + 2);
  } else storeWords(cpu, A, source, 4);
}

function store128Aligned(cpu: Cpu, A: number, source: number): void {
  if (A & 15) cpu.raise(vector.gp, 0);
  store128(cpu, A, source);
}

/** Any place: all pages are probed before the first byte changes. */
function storeWords(cpu: Cpu, A: number, source: number, count: number): void {
  const { memory, R } = cpu;
  memory.requireAlignment(A, 4 * count);
  memory.probeWrite(A, 4 * count);
  for (let k = 0; k < count; k++) memory.st4((A + 4 * k) | 0, R[source + k]);
}

/** An MMX register, whose words do not lie side by side. */
function storePair(cpu: Cpu, A: number, low: number, high: number): void {
  cpu.memory.requireAlignment(A, 8);
  cpu.memory.probeWrite(A, 8);
  cpu.memory.st4(A, low);
  cpu.memory.st4((A + 4) | 0, high);
}

/**
 * MASKMOVDQU and MASKMOVQ write only the selected bytes, but fault as a store of all of them, even when none is selected. The SDM leaves that
 * open (vol. 2, MASKMOVDQU); AMD's Zen cores do so.
 */
function storeMasked(cpu: Cpu, A: number, data: number, mask: number): void {
  const R = cpu.R;
  cpu.memory.probeWrite(A, 16);
  for (let k = 0; k < 4; k++) storeSelected(cpu, (A + 4 * k) | 0, R[data + k], R[mask + k]);
}
function storeMaskedPair(cpu: Cpu, A: number, dataLow: number, dataHigh: number, maskLow: number, maskHigh: number): void {
  cpu.memory.probeWrite(A, 8);
  storeSelected(cpu, A, dataLow, maskLow);
  storeSelected(cpu, (A + 4) | 0, dataHigh, maskHigh);
}

/** The bytes of a word whose mask bytes are negative. */
function storeSelected(cpu: Cpu, A: number, word: number, mask: number): void {
  for (let k = 0; k < 4; k++) if (mask << (24 - 8 * k) < 0) cpu.memory.st1((A + k) | 0, (word >>> (8 * k)) & 0xff);
}

/** PSLLDQ: towards higher bytes; 16 and more clear the register. */
function shiftLeftBytes(cpu: Cpu, target: number, count: number): void {
  const R = cpu.R;
  const n = count > 15 ? 16 : count;
  const words = n >> 2;
  const bits = 8 * (n & 3);
  for (let k = 3; k >= 0; k--) {
    const upper = k >= words ? R[target + k - words] : 0;
    const lower = k > words ? R[target + k - words - 1] : 0;
    R[target + k] = bits === 0 ? upper : (upper << bits) | (lower >>> (32 - bits));
  }
}

function shiftRightBytes(cpu: Cpu, target: number, count: number): void {
  const R = cpu.R;
  const n = count > 15 ? 16 : count;
  const words = n >> 2;
  const bits = 8 * (n & 3);
  for (let k = 0; k < 4; k++) {
    const lower = k + words < 4 ? R[target + k + words] : 0;
    const upper = k + words < 3 ? R[target + k + words + 1] : 0;
    R[target + k] = bits === 0 ? lower : (lower >>> bits) | (upper << (32 - bits));
  }
}

export const memoryImplementations = {
  load64,
  load128,
  load128Aligned,
  store64,
  store128,
  store128Aligned,
  storePair,
  storeMasked,
  storeMaskedPair,
  copy64,
  copy128,
  shiftLeftBytes,
  shiftRightBytes,
};
