/** MXCSR (SDM vol. 1, 10.2.3), the availability of MMX and SSE (vol. 3, table 2-2 and 13.1), and how SIMD exceptions are raised. */
import { cr0bit as cr0bitImported, cr4bit as cr4bitImported, slot as slotImported, vector } from "../../../translator/contract/slots.ts";
import type { Cpu } from "../../cpu/cpu.ts";
import { integersOnly } from "../x87/registers.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const cr4bit = cr4bitImported;
const slot = slotImported;

/** Exceptions; their masks lie seven bits higher. */
export const flag = { invalid: 1, denormal: 2, zeroDivide: 4, overflow: 8, underflow: 16, precision: 32 } as const;
export const maskShift = 7;
export const allMasks = 0x3f << maskShift;
export const denormalsAreZeros = 1 << 6;
/** Rounding control, encoded as in the x87 control word but three bits higher. */
export const roundingMask = 3 << 13;
export const roundDown = 1 << 13;
export const flushToZero = 1 << 15;
const reserved = ~0xffff;

/** Bound here because V8 treats a module's own constants as constants, and imported ones as variables: this runs before every instruction. */
const { cr0, cr4, fpuStatus, fpuControl } = slot;
const emOrTs = cr0bit.em | cr0bit.ts;
const { osfxsr } = cr4bit;

/** Invalid, denormal and zero-divide are found before anything is computed. */
const beforeComputing = flag.invalid | flag.denormal | flag.zeroDivide;

/**
 * Records what an instruction's lanes raised, and raises #XM (#UD without CR4.OSXMMEXCPT) if any of it is unmasked. An unmasked exception found
 * before computing keeps those that computing would raise from being recorded (SDM vol. 1, 11.5.2 and 11.5.3).
 */
export function signal(cpu: Cpu, flags: number): void {
  if (flags === 0) return;
  const R = cpu.R;
  const mxcsr = R[slot.mxcsr];
  const masks = mxcsr >>> maskShift;
  if (flags & beforeComputing & ~masks) flags &= beforeComputing;
  R[slot.mxcsr] = mxcsr | flags;
  if (flags & ~masks) cpu.raise(R[slot.cr4] & cr4bit.osxmmexcpt ? vector.xm : vector.ud);
}

function sseAvailable(cpu: Cpu): void {
  const R = cpu.R;
  if ((R[cr0] & emOrTs) === 0 && (R[cr4] & osfxsr) !== 0) return;
  cpu.raise(R[cr0] & cr0bit.em || (R[cr4] & osfxsr) === 0 ? vector.ud : vector.nm);
}

function mmxAvailable(cpu: Cpu): void {
  const R = cpu.R;
  if (R[cr0] & emOrTs) cpu.raise(R[cr0] & cr0bit.em ? vector.ud : vector.nm);
  pendingFloatException(cpu);
}

/**
 * An x87 exception is pending when a status bit is not masked. Without CR0.NE it goes out on FERR# and comes back as an interrupt. MMX registers
 * are the mantissas, which must be where integers are from here on.
 */
function pendingFloatException(cpu: Cpu): void {
  const R = cpu.R;
  if ((R[fpuStatus] & ~R[fpuControl] & 0x3f) !== 0) {
    if (R[slot.cr0] & cr0bit.ne) cpu.raise(vector.mf);
    cpu.board.setFerr(true);
  }
  integersOnly(cpu);
}

function enterMmx(cpu: Cpu): void {
  integersOnly(cpu);
  cpu.R[slot.fpuTop] = 0;
  cpu.R[slot.fpuEmpty] = 0;
}

function ldmxcsr(cpu: Cpu, value: number): void {
  if (value & reserved) cpu.raise(vector.gp, 0);
  cpu.R[slot.mxcsr] = value;
}

export const controlImplementations = { sseAvailable, mmxAvailable, pendingFloatException, enterMmx, ldmxcsr };
