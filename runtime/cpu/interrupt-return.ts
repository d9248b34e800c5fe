/** IRET in all its forms (SDM vol. 2, IRET): real mode, virtual-8086 mode, protected mode to the same or an outer ring, to virtual-8086 mode, to a task. */
import { mode as modeImported } from "../../translator/contract/mode-key.ts";
import {
  cr4bit as cr4bitImported,
  eflag as eflagImported,
  segment as segmentImported,
  slot as slotImported,
  userFlags32 as userFlags32Imported,
  userFlags as userFlagsImported,
  vector as vectorImported,
} from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import { markAccessed } from "./descriptors.ts";
import { checkRealTarget, checkReturnCode, checkTarget, enterReal, returnOutward } from "./far-transfers.ts";
import { getEflags, setEflags } from "./flags.ts";
import { updateModeKey } from "./mode.ts";
import { setSegment, setVirtual8086Segment } from "./segments.ts";
import { frameOnStack, moveStackPointer, readStack } from "./stack.ts";
import { returnToPreviousTask } from "./tasks.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const mode = modeImported;
const cr4bit = cr4bitImported;
const eflag = eflagImported;
const segment = segmentImported;
const slot = slotImported;
const vector = vectorImported;
const userFlags = userFlagsImported;
const userFlags32 = userFlags32Imported;

/** What IRET restores besides (contract/slots.ts) at ring 0, with a 32-bit operand. */
export const supervisorFlags32 = eflag.vif | eflag.vip;

/** Sets the flags of `mask` from `image` and leaves the others. */
export function mergeEflags(R: Int32Array, image: number, mask: number): void {
  setEflags(R, (getEflags(R) & ~mask) | (image & mask));
}

export function interruptReturn(cpu: Cpu, size: number): void {
  // Even if it faults (SDM vol. 3, 6.7.1).
  cpu.nmiBlocked = false;
  if (cpu.isProtected) {
    if (cpu.R[slot.eflags] & eflag.nt) returnToPreviousTask(cpu);
    else returnProtected(cpu, size);
  } else if (cpu.isVirtual8086) returnInVirtual8086(cpu, size);
  else returnReal(cpu, size);
  // RF lives for one instruction. Where no breakpoint could be met it has nothing to hold off, and nobody would clear it.
  if ((cpu.R[slot.mode] & mode.singleStep) === 0) cpu.R[slot.eflags] &= ~eflag.rf;
}

/**
 * VIF and VIP both set where the CPU minds them (VME, or PVI in ring 3): the monitor wants to know at once, by #GP(0) before the next instruction. Every
 * other way to set VIF raises it beforehand.
 */
export function isVirtualInterruptDue(R: Int32Array): boolean {
  const flags = R[slot.eflags];
  const both = eflag.vif | eflag.vip;
  return (flags & both) === both && R[slot.cpl] === 3 && (R[slot.cr4] & (flags & eflag.vm ? cr4bit.vme : cr4bit.pvi)) !== 0;
}

function returnReal(cpu: Cpu, size: number): void {
  const R = cpu.R;
  const eip = readStack(cpu, 0, size);
  const selector = readStack(cpu, size, size) & 0xffff;
  const image = readStack(cpu, 2 * size, size);
  checkRealTarget(cpu, eip);
  moveStackPointer(R, 3 * size);
  mergeEflags(R, image, (size === 4 ? userFlags32 : userFlags) | eflag.if | eflag.iopl);
  enterReal(cpu, selector, eip);
}

function returnInVirtual8086(cpu: Cpu, size: number): void {
  const R = cpu.R;
  const iopl = (R[slot.eflags] >>> 12) & 3;
  const extended = iopl < 3 && (R[slot.cr4] & cr4bit.vme) !== 0 && size === 2;
  if (iopl < 3 && !extended) cpu.raise(vector.gp, 0);
  const eip = readStack(cpu, 0, size);
  const selector = readStack(cpu, size, size) & 0xffff;
  const image = readStack(cpu, 2 * size, size);
  checkRealTarget(cpu, eip);
  if (extended) {
    // IF becomes VIF; the monitor must see the request that a pending virtual interrupt makes, and single-stepping (SDM vol. 3, 20.3.3).
    if (image & eflag.tf || (image & eflag.if && R[slot.eflags] & eflag.vip)) cpu.raise(vector.gp, 0);
    moveStackPointer(R, 3 * size);
    mergeEflags(R, image | ((image & eflag.if) << 10), userFlags | eflag.vif);
  } else {
    moveStackPointer(R, 3 * size);
    mergeEflags(R, image, (size === 4 ? userFlags32 : userFlags) | eflag.if);
  }
  enterReal(cpu, selector, eip);
}

function returnProtected(cpu: Cpu, size: number): void {
  const R = cpu.R;
  const cpl = R[slot.cpl];
  const frame = size === 4 ? frameOnStack(cpu, 0, 12) : -1;
  const { i32 } = cpu.board.physical;
  const eip = frame >= 0 ? i32[frame] : readStack(cpu, 0, size);
  const selector = (frame >= 0 ? i32[frame + 1] : readStack(cpu, size, size)) & 0xffff;
  const image = frame >= 0 ? i32[frame + 2] : readStack(cpu, 2 * size, size);
  if (size === 4 && image & eflag.vm && cpl === 0) return returnToVirtual8086(cpu, eip, selector, image);
  checkReturnCode(cpu, selector);
  // Privilege to change IF, IOPL and the virtual interrupt flags is that of the code that executes IRET.
  let mask = size === 4 ? userFlags32 : userFlags;
  if (cpl <= ((R[slot.eflags] >>> 12) & 3)) mask |= eflag.if;
  if (cpl === 0) mask |= size === 4 ? eflag.iopl | supervisorFlags32 : eflag.iopl;
  if ((selector & 3) === cpl) {
    checkTarget(cpu, eip);
    markAccessed(cpu);
    moveStackPointer(R, 3 * size);
    setSegment(cpu, segment.cs, selector);
    R[slot.eip] = eip;
  } else returnOutward(cpu, selector, eip, 3 * size, size, 0, vector.np);
  setEflags(R, (getEflags(R) & ~mask) | (image & mask));
  updateModeKey(cpu);
}

function returnToVirtual8086(cpu: Cpu, eip: number, selector: number, image: number): void {
  const R = cpu.R;
  const pointer = readStack(cpu, 12, 4);
  const ss = readStack(cpu, 16, 4);
  const es = readStack(cpu, 20, 4);
  const ds = readStack(cpu, 24, 4);
  const fs = readStack(cpu, 28, 4);
  const gs = readStack(cpu, 32, 4);
  if (eip >>> 0 > 0xffff) cpu.raise(vector.gp, 0);
  setEflags(R, image);
  R[slot.cpl] = 3;
  setVirtual8086Segment(R, segment.cs, selector);
  setVirtual8086Segment(R, segment.ss, ss);
  setVirtual8086Segment(R, segment.es, es);
  setVirtual8086Segment(R, segment.ds, ds);
  setVirtual8086Segment(R, segment.fs, fs);
  setVirtual8086Segment(R, segment.gs, gs);
  R[slot.esp] = pointer;
  R[slot.eip] = eip;
  updateModeKey(cpu);
}
