/** PUSHF, POPF, CLI and STI: what each ring may see and change of EFLAGS (SDM vol. 2 under each; vol. 3, 20.3 for VME). */

import { mode as modeImported } from "../../translator/contract/mode-key.ts";
import {
  cr0bit as cr0bitImported,
  cr4bit as cr4bitImported,
  eflag as eflagImported,
  farFromSliceEnd as farFromSliceEndImported,
  slot as slotImported,
  userFlags32 as userFlags32Imported,
  userFlags as userFlagsImported,
  vector as vectorImported,
} from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import { getEflags, setArithmeticFlags, systemPart } from "./flags.ts";
import { updateModeKey } from "./mode.ts";
import { moveStackPointer, readStack } from "./stack.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const cr4bit = cr4bitImported;
const eflag = eflagImported;
const slot = slotImported;
const mode = modeImported;
const vector = vectorImported;
const farFromSliceEnd = farFromSliceEndImported;
const userFlags = userFlagsImported;
const userFlags32 = userFlags32Imported;

function iopl(R: Int32Array): number {
  return (R[slot.eflags] >>> 12) & 3;
}

/** PUSHF outside virtual-8086 mode, but for the arithmetic flags. */
export function systemFlags(cpu: Cpu): number {
  return (cpu.R[slot.eflags] & ~(eflag.vm | eflag.rf)) | 2;
}

/** The image PUSHF pushes in virtual-8086 mode. */
export function readFlags(cpu: Cpu, size: number): number {
  const R = cpu.R;
  const flags = getEflags(R);
  if (iopl(R) === 3) return flags & ~(eflag.vm | eflag.rf);
  if (size === 4 || (R[slot.cr4] & cr4bit.vme) === 0) cpu.raise(vector.gp, 0);
  // VME: the program sees VIF as IF and an IOPL of 3.
  return (flags & 0xffff & ~eflag.if) | eflag.iopl | ((flags & eflag.vif) >>> 10);
}

/** Whether an interrupt is to be taken now that IF may have been set. */
function interruptWaits(cpu: Cpu): boolean {
  return (cpu.R[slot.eflags] & eflag.if) !== 0 && cpu.board.interrupts.pending;
}

/** Takes what `mask` has of an image, but for the arithmetic flags. Returns 1 if the dispatcher must look before the next instruction: an interrupt waits, or the mode is another one. */
function takeFlags(cpu: Cpu, image: number, mask: number): 0 | 1 {
  const R = cpu.R;
  const before = R[slot.eflags];
  R[slot.eflags] = systemPart((before & ~mask) | (image & mask & ~eflag.rf));
  const changed = R[slot.eflags] ^ before;
  if (changed & eflag.ac) cpu.memory.checkAlignment();
  if (changed & eflag.tf) {
    updateModeKey(cpu);
    return 1;
  }
  return interruptWaits(cpu) ? 1 : 0;
}

/** POPF outside virtual-8086 mode, but for the stack pointer and the arithmetic flags. Returns what `takeFlags` does. */
export function restoreFlags(cpu: Cpu, image: number, size: number): 0 | 1 {
  const R = cpu.R;
  const mask = size === 4 ? userFlags32 : userFlags;
  // Real mode runs with CPL 0.
  return takeFlags(cpu, image, mask | (R[slot.cpl] <= iopl(R) ? eflag.if : 0) | (R[slot.cpl] === 0 ? eflag.iopl : 0));
}

/** POPF in virtual-8086 mode. Returns what `takeFlags` does. */
export function popFlags(cpu: Cpu, size: number): 0 | 1 {
  const R = cpu.R;
  const flags = R[slot.eflags];
  const extended = iopl(R) < 3;
  if (extended && (size === 4 || (R[slot.cr4] & cr4bit.vme) === 0)) cpu.raise(vector.gp, 0);
  let image = readStack(cpu, 0, size);
  let mask = size === 4 ? userFlags32 : userFlags;
  if (extended) {
    if (image & eflag.tf || (image & eflag.if && flags & eflag.vip)) cpu.raise(vector.gp, 0);
    image |= (image & eflag.if) << 10;
    mask |= eflag.vif;
  } else mask |= eflag.if;
  moveStackPointer(R, size);
  setArithmeticFlags(R, image);
  return takeFlags(cpu, image, mask);
}

/** The flag that CLI and STI act on here: IF, or VIF under VME or PVI. Raises #GP(0) where there is neither. */
function interruptFlagInReach(cpu: Cpu): number {
  const R = cpu.R;
  if ((R[slot.cr0] & cr0bit.pe) === 0 || iopl(R) >= R[slot.cpl]) return eflag.if;
  const extension = R[slot.eflags] & eflag.vm ? cr4bit.vme : cr4bit.pvi;
  if (R[slot.cpl] < 3 || (R[slot.cr4] & extension) === 0) cpu.raise(vector.gp, 0);
  return eflag.vif;
}

export function clearInterruptFlag(cpu: Cpu): void {
  cpu.R[slot.eflags] &= ~interruptFlagInReach(cpu);
}

/** STI. Returns 1 if the dispatcher must look before the next instruction. */
export function setInterruptFlag(cpu: Cpu): number {
  const R = cpu.R;
  const flag = interruptFlagInReach(cpu);
  if (flag === eflag.vif) {
    if (R[slot.eflags] & eflag.vip) cpu.raise(vector.gp, 0);
    R[slot.eflags] |= eflag.vif;
    return 0;
  }
  const wasOff = (R[slot.eflags] & eflag.if) === 0;
  R[slot.eflags] |= eflag.if;
  // Interrupts stay off for one more instruction, if they were off (SDM vol. 2, STI). Where none waits and none can come before that instruction, there is nothing
  // to hold off.
  const nothingComes = !cpu.board.interrupts.pending && R[slot.budget] > farFromSliceEnd && (R[slot.mode] & mode.singleStep) === 0;
  if (nothingComes) return 0;
  if (wasOff) R[slot.interruptShadow] = 1;
  return 1;
}
