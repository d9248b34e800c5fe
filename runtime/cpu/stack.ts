/** The stack as callouts use it: reads and writes relative to SS:(E)SP at the current privilege, and the choice of a new stack for an inner ring. */
import { segment as segmentImported, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import { descriptorPrivilege, isWritableData, markAccessed, readDescriptor } from "./descriptors.ts";
import { access as accessImported } from "./mode.ts";
import { checkSegment, offsetsValid } from "./segments.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const segment = segmentImported;
const slot = slotImported;
const vector = vectorImported;
const access = accessImported;

/** Mask of the stack pointer bits in use for a stack segment with these rights (B flag). */
export function stackMask(rights: number): number {
  return rights & access.big ? -1 : 0xffff;
}

/** Reads `size` (2 or 4) bytes at (E)SP + displacement, unsigned or int32. */
export function readStack(cpu: Cpu, displacement: number, size: number): number {
  const R = cpu.R;
  const offset = (R[slot.esp] + displacement) & stackMask(R[slot.segmentAccess + segment.ss]);
  const linear = checkSegment(cpu, segment.ss, offset, size, false);
  return size === 4 ? cpu.memory.ld4(linear) : cpu.memory.ld2(linear);
}

/** Writes at (E)SP + displacement; the pointer itself stays, for the caller to move once nothing can fault any more. */
export function writeStack(cpu: Cpu, displacement: number, size: number, value: number): void {
  const R = cpu.R;
  const offset = (R[slot.esp] + displacement) & stackMask(R[slot.segmentAccess + segment.ss]);
  const linear = checkSegment(cpu, segment.ss, offset, size, true);
  if (size === 4) cpu.memory.st4(linear, value);
  else cpu.memory.st2(linear, value);
}

/**
 * Index in RAM's words of `bytes` bytes at ESP + displacement, if `readStack` of those words would do no more than read them there: a flat stack, aligned, in one page that
 * is known. -1: it may do more.
 */
export function frameOnStack(cpu: Cpu, displacement: number, bytes: number): number {
  const R = cpu.R;
  if ((R[slot.segmentChecked + segment.ss] | R[slot.segmentBase + segment.ss]) !== 0 || (R[slot.segmentAccess + segment.ss] & access.big) === 0)
    return -1;
  return cpu.memory.frameToRead((R[slot.esp] + displacement) | 0, bytes);
}

/** Adds to ESP or SP, whichever the stack segment uses. */
export function moveStackPointer(R: Int32Array, bytes: number): void {
  setStackPointer(R, R[slot.esp] + bytes);
}

export function setStackPointer(R: Int32Array, value: number): void {
  if (R[slot.segmentAccess + segment.ss] & access.big) R[slot.esp] = value;
  else R[slot.esp] = (R[slot.esp] & ~0xffff) | (value & 0xffff);
}

/** Whether `bytes` bytes can be pushed in units of `size` on a stack of these rights and limit. */
export function stackHasRoom(rights: number, limit: number, pointer: number, bytes: number, size: number): boolean {
  if (limit === -1 && (rights & (access.expandDown | access.big)) === access.big) return true;
  const mask = stackMask(rights);
  for (let pushed = size; pushed <= bytes; pushed += size) {
    if (!offsetsValid(rights, limit, (pointer - pushed) & mask, size)) return false;
  }
  return true;
}

/** Where the TSS keeps the stack pointer of ring `level`: linear address. Raises #TS(TSS) beyond its limit. */
function innerStackAddress(cpu: Cpu, level: number, ext: number): number {
  const R = cpu.R;
  const isWide = tssIsWide(R);
  const offset = isWide ? 4 + 8 * level : 2 + 4 * level;
  if (offset + (isWide ? 7 : 3) > R[slot.segmentLimit + segment.tr] >>> 0) cpu.raise(vector.ts, (R[slot.selector + segment.tr] & 0xfffc) | ext);
  return (R[slot.segmentBase + segment.tr] + offset) | 0;
}

/** The current TSS is a 32-bit one: bit 3 of its type, where code segments have theirs. */
export function tssIsWide(R: Int32Array): boolean {
  return (R[slot.segmentAccess + segment.tr] & access.code) !== 0;
}

/**
 * The stack of inner ring `level`, from the TSS: its SS selector is returned, its descriptor is the one read last, accessed bit set. Raises #TS and
 * #SS as a call gate or an interrupt does (SDM vol. 2, CALL: MORE-PRIVILEGE; INT: INTER-PRIVILEGE-LEVEL-INTERRUPT).
 */
export function readInnerStackSegment(cpu: Cpu, level: number, ext: number): number {
  const address = innerStackAddress(cpu, level, ext);
  const selector = cpu.memory.systemRead2((address + (tssIsWide(cpu.R) ? 4 : 2)) | 0);
  const code = (selector & 0xfffc) | ext;
  if ((selector & 0xfffc) === 0 || !readDescriptor(cpu, selector)) cpu.raise(vector.ts, code);
  const high = cpu.descriptorHigh;
  if ((selector & 3) !== level || descriptorPrivilege(high) !== level || !isWritableData(high)) cpu.raise(vector.ts, code);
  if ((high & access.present) === 0) cpu.raise(vector.ss, code);
  markAccessed(cpu);
  return selector;
}

/** The stack pointer that goes with it. */
export function readInnerStackPointer(cpu: Cpu, level: number, ext: number): number {
  const address = innerStackAddress(cpu, level, ext);
  return tssIsWide(cpu.R) ? cpu.memory.systemRead4(address) : cpu.memory.systemRead2(address);
}
