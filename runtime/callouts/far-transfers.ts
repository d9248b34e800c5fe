/**
 * Callouts of far JMP, CALL, RET, IRET, INT and SYSENTER/SYSEXIT. The work is in runtime/cpu; here is what makes them instructions: a fault at the
 * start of a *new task* belongs to that task and must not rewind EIP to the instruction that switched, so it is delivered on the spot.
 */
import {
  cr0bit as cr0bitImported,
  eflag as eflagImported,
  segment as segmentImported,
  slot as slotImported,
  vector as vectorImported,
} from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import * as transfer from "../cpu/far-transfers.ts";
import { getEflags } from "../cpu/flags.ts";
import * as returns from "../cpu/interrupt-return.ts";
import { deliverException, deliverInterrupt, type EventKind, eventKind as eventKindImported } from "../cpu/interrupts.ts";
import { updateModeKey, updateSegmentCheck } from "../cpu/mode.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const eflag = eflagImported;
const segment = segmentImported;
const slot = slotImported;
const vector = vectorImported;
const eventKind = eventKindImported;

/** Rethrows a fault of the instruction itself; delivers one that the task just entered began with. */
function settle(cpu: Cpu, thrown: unknown, task: number): void {
  if (thrown !== cpu.fault || cpu.R[slot.selector + segment.tr] === task) throw thrown;
  deliverException(cpu, cpu.fault.vector, cpu.fault.errorCode);
}

function farJump(cpu: Cpu, selector: number, offset: number): void {
  const task = cpu.R[slot.selector + segment.tr];
  try {
    transfer.farJump(cpu, selector & 0xffff, offset);
  } catch (thrown) {
    settle(cpu, thrown, task);
  }
}

function farCall(cpu: Cpu, selector: number, offset: number, size: number): void {
  const task = cpu.R[slot.selector + segment.tr];
  try {
    transfer.farCall(cpu, selector & 0xffff, offset, size);
  } catch (thrown) {
    settle(cpu, thrown, task);
  }
}

function interruptReturn(cpu: Cpu, size: number): void {
  const task = cpu.R[slot.selector + segment.tr];
  try {
    returns.interruptReturn(cpu, size);
    if (returns.isVirtualInterruptDue(cpu.R)) deliverException(cpu, vector.gp, 0);
  } catch (thrown) {
    settle(cpu, thrown, task);
  }
}

function deliver(cpu: Cpu, number: number, kind: EventKind): void {
  const task = cpu.R[slot.selector + segment.tr];
  try {
    deliverInterrupt(cpu, number, kind, -1);
  } catch (thrown) {
    settle(cpu, thrown, task);
  }
}

function softwareInterrupt(cpu: Cpu, number: number): void {
  deliver(cpu, number, eventKind.software);
}

function breakpointInterrupt(cpu: Cpu): void {
  deliver(cpu, vector.bp, eventKind.breakpoint);
}

function overflowInterrupt(cpu: Cpu): void {
  if (getEflags(cpu.R) & eflag.of) deliver(cpu, vector.of, eventKind.breakpoint);
}

/** ICEBP: #DB without DR6 bits and, unlike INT 1, without a check of the gate's DPL. */
function debugInterrupt(cpu: Cpu): void {
  deliver(cpu, vector.db, eventKind.exception);
}

/** Access rights of the flat segments that SYSENTER and SYSEXIT load without looking at a descriptor (SDM vol. 2). */
const flatCode = 0x00c09b00;
const flatStack = 0x00c09300;
const dpl3 = 3 << 13;

function setFlat(R: Int32Array, s: number, selector: number, rights: number): void {
  R[slot.selector + s] = selector;
  R[slot.segmentBase + s] = 0;
  R[slot.segmentLimit + s] = -1;
  R[slot.segmentAccess + s] = rights;
  updateSegmentCheck(R, s);
}

function sysenter(cpu: Cpu): void {
  const R = cpu.R;
  const selector = R[slot.sysenterCs] & 0xfffc;
  if ((R[slot.cr0] & cr0bit.pe) === 0 || selector === 0) cpu.raise(vector.gp, 0);
  R[slot.eflags] &= ~(eflag.vm | eflag.if | eflag.rf);
  R[slot.cpl] = 0;
  setFlat(R, segment.cs, selector, flatCode);
  setFlat(R, segment.ss, selector + 8, flatStack);
  R[slot.esp] = R[slot.sysenterEsp];
  R[slot.eip] = R[slot.sysenterEip];
  updateModeKey(cpu);
}

function sysexit(cpu: Cpu): void {
  const R = cpu.R;
  const selector = R[slot.sysenterCs] & 0xfffc;
  if ((R[slot.cr0] & cr0bit.pe) === 0 || selector === 0 || R[slot.cpl] !== 0) cpu.raise(vector.gp, 0);
  R[slot.cpl] = 3;
  setFlat(R, segment.cs, (selector + 16) | 3, flatCode | dpl3);
  setFlat(R, segment.ss, (selector + 24) | 3, flatStack | dpl3);
  R[slot.esp] = R[slot.ecx];
  R[slot.eip] = R[slot.edx];
  updateModeKey(cpu);
}

export const farTransferImplementations = {
  farJump,
  farCall,
  farReturn: transfer.farReturn,
  interruptReturn,
  softwareInterrupt,
  breakpointInterrupt,
  overflowInterrupt,
  debugInterrupt,
  sysenter,
  sysexit,
};
