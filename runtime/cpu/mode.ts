/**
 * Keeps the derived state in step: the mode key, the TLB half and the fast segment test are functions of CR0, EFLAGS, CPL and the
 * segment descriptors. Whoever changes one of those calls `updateMode` (or `updateSegment`, which ends in it) before returning.
 */
import { mode as modeImported } from "../../translator/contract/mode-key.ts";
import {
  cr0bit as cr0bitImported,
  eflag as eflagImported,
  segment as segmentImported,
  slot as slotImported,
} from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const mode = modeImported;
const cr0bit = cr0bitImported;
const eflag = eflagImported;
const segment = segmentImported;
const slot = slotImported;

/** Bits of `segmentAccess`. */
export const access = {
  accessed: 1 << 8,
  /** Data: writable; code: readable. */
  writable: 1 << 9,
  /** Data: expand-down; code: conforming. */
  expandDown: 1 << 10,
  code: 1 << 11,
  /** S: code or data, not system. */
  codeOrData: 1 << 12,
  dpl: 3 << 13,
  present: 1 << 15,
  /** D/B. */
  big: 1 << 22,
  granular: 1 << 23,
} as const;

/** Recomputes `segmentChecked` of one segment register after its base, limit or access changed. Does not touch the mode key. */
export function updateSegmentCheck(R: Int32Array, s: number): void {
  R[slot.segmentChecked + s] = segmentCheck(R[slot.segmentAccess + s], R[slot.segmentLimit + s]);
}

/** `segmentChecked` of a segment register of this access and limit: 0 where any access is allowed. */
export function segmentCheck(rights: number, limit: number): 0 | 1 {
  const needed = access.present | access.writable;
  // Data, expand-up, present and writable.
  return (rights & (needed | access.code | access.expandDown)) === needed && limit === -1 ? 0 : 1;
}

export function updateMode(cpu: Cpu): void {
  const R = cpu.R;
  for (let s = 0; s < 6; s++) updateSegmentCheck(R, s);
  updateModeKey(cpu);
}

/** The same for callers that have kept `segmentChecked` in step by themselves (segment loads, far transfers). */
export function updateModeKey(cpu: Cpu): void {
  const R = cpu.R;
  let key = 0;
  if (R[slot.cr0] & cr0bit.pe) key |= R[slot.eflags] & eflag.vm ? mode.virtual8086 : mode.protected;
  if (R[slot.segmentAccess + segment.cs] & access.big) key |= mode.code32;
  if (R[slot.segmentAccess + segment.ss] & access.big) key |= mode.stack32;
  if (R[slot.cpl] === 3) key |= mode.user;
  const flatData =
    (R[slot.segmentBase + segment.ds] | R[slot.segmentBase + segment.es] | R[slot.segmentBase + segment.ss]) === 0 &&
    (R[slot.segmentChecked + segment.ds] | R[slot.segmentChecked + segment.es] | R[slot.segmentChecked + segment.ss]) === 0;
  // A code segment that is not readable must check its data reads: not flat.
  const flatCode =
    R[slot.segmentBase + segment.cs] === 0 &&
    R[slot.segmentLimit + segment.cs] === -1 &&
    (R[slot.segmentAccess + segment.cs] & access.writable) !== 0;
  // Outside protected mode loads of a segment register must not change the key: they are done in line (lift/real-segments.ts).
  if (flatData && flatCode && (key & mode.protected) !== 0) key |= mode.flat;
  else if (isWide(R, (key & mode.protected) !== 0)) key |= mode.wide;
  R[slot.codeEnd] = codeEnd(R[slot.segmentLimit + segment.cs] >>> 0, (key & mode.code32) !== 0);
  if (R[slot.eflags] & eflag.tf || R[slot.dr7] & 0xff) key |= mode.singleStep;
  R[slot.mode] = key;
  R[slot.tlbHalf] = key & mode.user ? 1 << 20 : 0;
  cpu.memory.checkAlignment();
}

/** The same outside protected mode after a change of EFLAGS and of segment bases alone: of those, TF matters. */
export function updateModeKeyForFlags(cpu: Cpu): void {
  const R = cpu.R;
  if ((R[slot.eflags] & eflag.tf) !== 0 || (R[slot.mode] & mode.singleStep) !== 0) updateModeKey(cpu);
}

/** What mode.wide says. */
function isWide(R: Int32Array, isProtected: boolean): boolean {
  if (!isProtected && !(isWideData(R, segment.cs) && isWideData(R, segment.fs) && isWideData(R, segment.gs))) return false;
  if (isProtected) {
    const readable = access.present | access.code | access.writable;
    if ((R[slot.segmentAccess + segment.cs] & readable) !== readable || R[slot.segmentLimit + segment.cs] >>> 0 < 0xffff) return false;
  }
  return isWideData(R, segment.ds) && isWideData(R, segment.ss) && isWideData(R, segment.es);
}

function isWideData(R: Int32Array, s: number): boolean {
  const rights = R[slot.segmentAccess + s] & (access.present | access.code | access.expandDown | access.writable);
  return rights === (access.present | access.writable) && R[slot.segmentLimit + s] >>> 0 >= 0xffff;
}

function codeEnd(limit: number, isCode32: boolean): number {
  const last = isCode32 ? limit : Math.min(limit, 0xffff);
  return last < 0xfff ? 0 : last - 0xffe;
}
