/**
 * Segment registers: the checks of each access and the loading of the hidden part (SDM vol. 3, 3.4.3, 5.3 to 5.5). What is kept for each register:
 * selector, base, limit (granularity applied), access rights in the place they have in a descriptor's high word, and `segmentChecked`.
 *
 * After a change to ES, CS, SS or DS the mode key must follow: `updateModeKey`, which the loads of this file leave to their callers, because a far
 * transfer changes several at once.
 */
import { segment as segmentImported, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import {
  accessMask as accessMaskImported,
  descriptorBase,
  descriptorLimit,
  descriptorPrivilege,
  isCode,
  isConforming,
  isWritableData,
  markAccessed,
  readDescriptor,
} from "./descriptors.ts";
import { access as accessImported, segmentCheck } from "./mode.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const segment = segmentImported;
const slot = slotImported;
const vector = vectorImported;
const access = accessImported;
const accessMask = accessMaskImported;

/** Access rights of a segment loaded in virtual-8086 mode: present, DPL 3, writable, accessed. */
const virtual8086Access = 0xf300;

/**
 * Checks an access to [offset, offset + size) of segment register `s` and yields its linear address. Generated code calls it where the segments are
 * not flat; the second test is a real-mode data segment's whole cost.
 */
export function checkSegment(cpu: Cpu, s: number, offset: number, size: number, isWrite: boolean): number {
  const R = cpu.R;
  if (R[slot.segmentChecked + s] === 0) return (R[slot.segmentBase + s] + offset) | 0;
  const rights = R[slot.segmentAccess + s];
  // Present, writable, expand-up data.
  if ((rights & (access.present | access.code | access.expandDown | access.writable)) === (access.present | access.writable)) {
    if ((offset >>> 0) + size - 1 <= R[slot.segmentLimit + s] >>> 0) return (R[slot.segmentBase + s] + offset) | 0;
  }
  const linear = checkSegmentSlowly(cpu, s, offset, size, isWrite);
  if (cpu.noted[1] !== 0) cpu.raiseNoted();
  return linear;
}

/** The same; notes the exception instead of throwing it (`Cpu.note`). */
export function tryCheckSegment(cpu: Cpu, s: number, offset: number, size: number, isWrite: boolean): number {
  const R = cpu.R;
  const rights = R[slot.segmentAccess + s];
  if ((rights & (access.present | access.code | access.expandDown | access.writable)) === (access.present | access.writable)) {
    if ((offset >>> 0) + size - 1 <= R[slot.segmentLimit + s] >>> 0) return (R[slot.segmentBase + s] + offset) | 0;
  }
  return checkSegmentSlowly(cpu, s, offset, size, isWrite);
}

function checkSegmentSlowly(cpu: Cpu, s: number, offset: number, size: number, isWrite: boolean): number {
  const R = cpu.R;
  const rights = R[slot.segmentAccess + s];
  const allowed =
    (rights & access.present) !== 0 &&
    (rights & access.code ? !isWrite && (rights & access.writable) !== 0 : !isWrite || (rights & access.writable) !== 0) &&
    offsetsValid(rights, R[slot.segmentLimit + s], offset, size);
  if (allowed) return (R[slot.segmentBase + s] + offset) | 0;
  cpu.note(s === segment.ss ? vector.ss : vector.gp, 0);
  return 0;
}

/** Whether [offset, offset + size) lies within a segment of these access rights and limit. A limit of 4 GiB lets accesses wrap, as flat code's do. */
export function offsetsValid(rights: number, limit: number, offset: number, size: number): boolean {
  const last = (offset >>> 0) + size - 1;
  if ((rights & (access.code | access.expandDown)) !== access.expandDown) return limit === -1 || last <= limit >>> 0;
  return offset >>> 0 > limit >>> 0 && last <= (rights & access.big ? 0xffffffff : 0xffff);
}

/** Fills segment register `s` from the descriptor read last. */
export function setSegment(cpu: Cpu, s: number, selector: number): void {
  const R = cpu.R;
  const low = cpu.descriptorLow;
  const high = cpu.descriptorHigh;
  const rights = high & accessMask;
  const limit = descriptorLimit(low, high);
  R[slot.selector + s] = selector;
  R[slot.segmentBase + s] = descriptorBase(low, high);
  R[slot.segmentLimit + s] = limit;
  R[slot.segmentAccess + s] = rights;
  R[slot.segmentChecked + s] = segmentCheck(rights, limit);
}

/** Makes segment register `s` unusable, as a null selector does. */
export function setNullSegment(R: Int32Array, s: number, selector: number): void {
  R[slot.selector + s] = selector;
  R[slot.segmentBase + s] = 0;
  R[slot.segmentLimit + s] = 0;
  R[slot.segmentAccess + s] = 0;
  R[slot.segmentChecked + s] = 1;
}

/** Real-address mode: only selector and base change; limit and rights stay what they were ("unreal" mode depends on it). */
export function setRealSegment(R: Int32Array, s: number, selector: number): void {
  R[slot.selector + s] = selector & 0xffff;
  R[slot.segmentBase + s] = (selector & 0xffff) << 4;
}

export function setVirtual8086Segment(R: Int32Array, s: number, selector: number): void {
  R[slot.selector + s] = selector & 0xffff;
  R[slot.segmentBase + s] = (selector & 0xffff) << 4;
  R[slot.segmentLimit + s] = 0xffff;
  R[slot.segmentAccess + s] = virtual8086Access;
  R[slot.segmentChecked + s] = 1;
}

/** Loads ES, SS, DS, FS or GS in any mode as MOV, POP and LxS do (SDM vol. 2, MOV). Raises before anything changes. */
export function loadSegmentRegister(cpu: Cpu, s: number, selector: number): void {
  if (cpu.isProtected) {
    if (s === segment.ss) loadProtectedStackSegment(cpu, selector);
    else loadProtectedDataSegment(cpu, s, selector);
  } else if (cpu.isVirtual8086) setVirtual8086Segment(cpu.R, s, selector);
  else setRealSegment(cpu.R, s, selector);
}

function loadProtectedStackSegment(cpu: Cpu, selector: number): void {
  const cpl = cpu.R[slot.cpl];
  const code = selector & 0xfffc;
  if (code === 0 || !readDescriptor(cpu, selector)) cpu.raise(vector.gp, code);
  const high = cpu.descriptorHigh;
  if ((selector & 3) !== cpl || !isWritableData(high) || descriptorPrivilege(high) !== cpl) cpu.raise(vector.gp, code);
  if ((high & access.present) === 0) cpu.raise(vector.ss, code);
  markAccessed(cpu);
  setSegment(cpu, segment.ss, selector);
}

function loadProtectedDataSegment(cpu: Cpu, s: number, selector: number): void {
  const code = selector & 0xfffc;
  if (code === 0) return setNullSegment(cpu.R, s, selector);
  if (!readDescriptor(cpu, selector)) cpu.raise(vector.gp, code);
  checkDataDescriptor(cpu, selector, cpu.R[slot.cpl], vector.gp, 0);
  if ((cpu.descriptorHigh & access.present) === 0) cpu.raise(vector.np, code);
  markAccessed(cpu);
  setSegment(cpu, s, selector);
}

/** The descriptor read last must be data or readable code, and visible from `cpl` unless conforming; otherwise `exception`(selector). */
export function checkDataDescriptor(cpu: Cpu, selector: number, cpl: number, exception: number, ext: number): void {
  const high = cpu.descriptorHigh;
  const readable = (high & access.codeOrData) !== 0 && (!isCode(high) || (high & access.writable) !== 0);
  const dpl = descriptorPrivilege(high);
  const visible = (isCode(high) && isConforming(high)) || ((selector & 3) <= dpl && cpl <= dpl);
  if (!readable || !visible) cpu.raise(exception, (selector & 0xfffc) | ext);
}

/** Returning to an outer ring: data segments it may not use become null (SDM vol. 2, RET and IRET). */
export function dropInnerSegments(R: Int32Array): void {
  const cpl = R[slot.cpl];
  dropInnerSegment(R, segment.es, cpl);
  dropInnerSegment(R, segment.ds, cpl);
  dropInnerSegment(R, segment.fs, cpl);
  dropInnerSegment(R, segment.gs, cpl);
}

function dropInnerSegment(R: Int32Array, s: number, cpl: number): void {
  const rights = R[slot.segmentAccess + s];
  if (descriptorPrivilege(rights) < cpl && !(isCode(rights) && isConforming(rights))) setNullSegment(R, s, 0);
}
