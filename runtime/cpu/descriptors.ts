/**
 * Segment and gate descriptors (SDM vol. 3, 3.4.5 and 5.8.3): reading one from the GDT or LDT and taking it apart. A descriptor read is left in
 * `cpu.descriptorLow`, `descriptorHigh` and `descriptorAddress`, so that segment loads and interrupt delivery allocate nothing.
 */
import { segment as segmentImported, slot as slotImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import { access as accessImported } from "./mode.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const segment = segmentImported;
const slot = slotImported;
const access = accessImported;

/** Types of system descriptors (SDM vol. 3, table 3-2): bits 8-12 of the high word, S = 0. */
export const systemType = {
  availableTss16: 1,
  ldt: 2,
  busyTss16: 3,
  callGate16: 4,
  taskGate: 5,
  interruptGate16: 6,
  trapGate16: 7,
  availableTss32: 9,
  busyTss32: 11,
  callGate32: 12,
  interruptGate32: 14,
  trapGate32: 15,
} as const;

/** The bits of the high word that the slot `segmentAccess` keeps. */
export const accessMask = 0x00f0ff00;

/** Reads the descriptor that a selector (not null) names. False when it lies outside its table. May raise #PF. */
export function readDescriptor(cpu: Cpu, selector: number): boolean {
  const R = cpu.R;
  const offset = selector & 0xfff8;
  let base = R[slot.gdtBase];
  if (selector & 4) {
    if ((R[slot.segmentAccess + segment.ldtr] & access.present) === 0 || offset + 7 > R[slot.segmentLimit + segment.ldtr] >>> 0) return false;
    base = R[slot.segmentBase + segment.ldtr];
  } else if (offset + 7 > (R[slot.gdtLimit] & 0xffff)) return false;
  const address = (base + offset) | 0;
  cpu.descriptorAddress = address;
  const { memory } = cpu;
  const frame = memory.systemFrameToRead(address, 8);
  if (frame >= 0) {
    const { i32 } = memory.physical;
    cpu.descriptorLow = i32[frame];
    cpu.descriptorHigh = i32[frame + 1];
  } else {
    cpu.descriptorLow = memory.systemRead4(address);
    cpu.descriptorHigh = memory.systemRead4((address + 4) | 0);
  }
  return true;
}

/** Reads the descriptor of a selector, or raises `exception` with it: null selectors and those outside their table (error code bit 0 = `ext`). */
export function requireDescriptor(cpu: Cpu, selector: number, exception: number, ext: number): void {
  if ((selector & 0xfffc) === 0 || !readDescriptor(cpu, selector)) cpu.raise(exception, (selector & 0xfffc) | ext);
}

/** Sets the accessed bit in the descriptor read last, in memory and in `descriptorHigh`. */
export function markAccessed(cpu: Cpu): void {
  const high = cpu.descriptorHigh;
  if (high & access.accessed) return;
  cpu.memory.systemWrite1((cpu.descriptorAddress + 5) | 0, ((high >>> 8) & 0xff) | 1);
  cpu.descriptorHigh = high | access.accessed;
}

export function descriptorBase(low: number, high: number): number {
  return (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000);
}

/** Last valid offset, granularity applied, as int32. */
export function descriptorLimit(low: number, high: number): number {
  const raw = (low & 0xffff) | (high & 0xf0000);
  return high & access.granular ? (raw << 12) | 0xfff : raw;
}

/** DPL of a descriptor's high word, or of a `segmentAccess` slot. */
export function descriptorPrivilege(high: number): number {
  return (high >>> 13) & 3;
}

/** Type and S bit: compare with `systemType`. */
export function descriptorType(high: number): number {
  return (high >>> 8) & 0x1f;
}

/** A code segment (S = 1). */
export function isCode(high: number): boolean {
  return (high & (access.codeOrData | access.code)) === (access.codeOrData | access.code);
}

/** A code segment that is conforming. */
export function isConforming(high: number): boolean {
  return (high & access.expandDown) !== 0;
}

/** A data segment that may be written. */
export function isWritableData(high: number): boolean {
  return (high & (access.codeOrData | access.code | access.writable)) === (access.codeOrData | access.writable);
}
