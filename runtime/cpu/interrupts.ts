/**
 * Interrupt and exception delivery (SDM vol. 3, chapter 6; vol. 2, INT n). R[slot.eip] is the EIP to return to: the faulting instruction's for
 * faults, the next one's for traps, INT n and hardware interrupts.
 *
 * `deliverInterrupt` changes registers only after its last access that may fault, and raises through cpu.raise like an instruction. INT n is an
 * instruction, so its faults go the way of every callout's. For events without an instruction there are `deliverHardwareInterrupt` and
 * `deliverException`, which also apply the rules of double and triple faults.
 */
import {
  cr0bit as cr0bitImported,
  cr4bit as cr4bitImported,
  eflag as eflagImported,
  segment as segmentImported,
  slot as slotImported,
  vector as vectorImported,
} from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import {
  descriptorLimit,
  descriptorPrivilege,
  descriptorType,
  isCode,
  isConforming,
  markAccessed,
  requireDescriptor,
  systemType as systemTypeImported,
} from "./descriptors.ts";
import { getEflags } from "./flags.ts";
import { access as accessImported, updateModeKey, updateModeKeyForFlags } from "./mode.ts";
import { offsetsValid, setNullSegment, setRealSegment, setSegment, setVirtual8086Segment } from "./segments.ts";
import {
  moveStackPointer,
  readInnerStackPointer,
  readInnerStackSegment,
  setStackPointer,
  stackHasRoom,
  stackMask,
  tssIsWide,
  writeStack,
} from "./stack.ts";
import { taskGateSwitch } from "./tasks.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const cr4bit = cr4bitImported;
const eflag = eflagImported;
const segment = segmentImported;
const slot = slotImported;
const vector = vectorImported;
const access = accessImported;
const systemType = systemTypeImported;

export const eventKind = {
  /** An external interrupt or NMI. */
  hardware: 0,
  /** INT n: subject to IOPL and redirection in virtual-8086 mode. */
  software: 1,
  /** A processor-detected exception, or ICEBP. */
  exception: 2,
  /** INT3 and INTO: like INT n, but free in virtual-8086 mode. */
  breakpoint: 3,
} as const;
export type EventKind = (typeof eventKind)[keyof typeof eventKind];

const generalDetect = 1 << 13;

/** Bit n set: exception n is a fault, after which the pushed EFLAGS has RF set (SDM vol. 3, 17.3.1.1). */
const faultVectors =
  (1 << vector.de) |
  (1 << vector.br) |
  (1 << vector.ud) |
  (1 << vector.nm) |
  (1 << vector.ts) |
  (1 << vector.np) |
  (1 << vector.ss) |
  (1 << vector.gp) |
  (1 << vector.pf) |
  (1 << vector.mf) |
  (1 << vector.ac) |
  (1 << vector.xm);

/** Contributory exceptions (SDM vol. 3, table 6-4). */
const contributory = (1 << vector.de) | (1 << vector.ts) | (1 << vector.np) | (1 << vector.ss) | (1 << vector.gp);

/** Whether an exception is a fault: it says so in the EFLAGS that its handler finds. */
export function isFault(exception: number): boolean {
  return exception < 32 && ((faultVectors >>> exception) & 1) !== 0;
}

function isContributory(exception: number): boolean {
  return exception < 32 && ((contributory >>> exception) & 1) !== 0;
}

/**
 * Longer than any chain of exceptions raised in delivering one another that comes to an end. One that does not: #AC with a misaligned stack, handled in
 * ring 3, each of whose pushes is another #AC, benign and so never a double fault. A processor stays in it for good, deaf to interrupts.
 */
const longestChain = 16;

/** Delivers an exception, and whatever exceptions that leads to; a triple fault or an endless chain sets `cpu.shutdown`. Never raises. */
export function deliverException(cpu: Cpu, exception: number, errorCode: number): void {
  let current = exception;
  let code = errorCode;
  for (let length = 0; ; length++) {
    cpu.deliveringVector = current;
    if (current === vector.db) cpu.R[slot.dr7] &= ~generalDetect;
    try {
      deliverInterrupt(cpu, current, eventKind.exception, code);
      cpu.deliveringVector = -1;
      return;
    } catch (thrown) {
      if (thrown !== cpu.fault) throw thrown;
    }
    const second = cpu.fault.vector;
    if (current === vector.df || length === longestChain) {
      cpu.shutdown = true;
      cpu.deliveringVector = -1;
      return;
    }
    const doubleFault =
      (isContributory(current) && isContributory(second)) || (current === vector.pf && (second === vector.pf || isContributory(second)));
    current = doubleFault ? vector.df : second;
    code = doubleFault ? 0 : cpu.fault.errorCode;
  }
}

/** Delivers an external interrupt (or NMI, vector 2) at an instruction boundary. Never raises. */
export function deliverHardwareInterrupt(cpu: Cpu, number: number): void {
  try {
    deliverInterrupt(cpu, number, eventKind.hardware, -1);
  } catch (thrown) {
    if (thrown !== cpu.fault) throw thrown;
    deliverException(cpu, cpu.fault.vector, cpu.fault.errorCode);
  }
}

/** Delivers #DB for `causes`, the DR6 bits: B0-3, BD (13), BS (14), BT (15) (SDM vol. 3, 17.2.3). */
export function deliverDebugException(cpu: Cpu, causes: number): void {
  noteDebugCauses(cpu.R, causes);
  deliverException(cpu, vector.db, -1);
}

/** B0-3 are those of the latest exception; the other bits stay until software clears them. */
export function noteDebugCauses(R: Int32Array, causes: number): void {
  R[slot.dr6] = (R[slot.dr6] & ~15) | causes;
}

/**
 * Enters the handler of `number`.
 * @param errorCode pushed in protected mode; -1 for none
 */
export function deliverInterrupt(cpu: Cpu, number: number, kind: EventKind, errorCode: number): void {
  const R = cpu.R;
  if (cpu.eventObserver !== undefined) cpu.eventObserver(number, kind, errorCode);
  if ((R[slot.cr0] & cr0bit.pe) === 0) deliverReal(cpu, number);
  else if ((R[slot.eflags] & eflag.vm) === 0 || kind !== eventKind.software || !deliverRedirected(cpu, number)) {
    deliverProtected(cpu, number, kind, errorCode);
  }
  R[slot.halted] = 0;
  R[slot.interruptShadow] = 0;
  cpu.deliveredInterrupt = true;
}

function deliverReal(cpu: Cpu, number: number): void {
  const R = cpu.R;
  if (number * 4 + 3 > (R[slot.idtLimit] & 0xffff)) cpu.raise(vector.gp, number * 8 + 2);
  const entry = cpu.memory.systemRead4((R[slot.idtBase] + number * 4) | 0);
  writeStack(cpu, -2, 2, getEflags(R));
  writeStack(cpu, -4, 2, R[slot.selector + segment.cs]);
  writeStack(cpu, -6, 2, R[slot.eip]);
  moveStackPointer(R, -6);
  R[slot.eflags] &= ~(eflag.if | eflag.tf | eflag.ac | eflag.rf);
  setRealSegment(R, segment.cs, entry >>> 16);
  R[slot.eip] = entry & 0xffff;
  updateModeKeyForFlags(cpu);
}

/**
 * INT n in virtual-8086 mode (SDM vol. 3, table 20-2). True: the program's own handler was entered through the vector table at linear address 0;
 * false: the IDT decides. Raises #GP(0) where IOPL is below 3 and the handler is not redirected.
 */
function deliverRedirected(cpu: Cpu, number: number): boolean {
  const R = cpu.R;
  const iopl = (R[slot.eflags] >>> 12) & 3;
  if ((R[slot.cr4] & cr4bit.vme) === 0 || isTrappedToMonitor(cpu, number)) {
    if (iopl < 3) cpu.raise(vector.gp, 0);
    return false;
  }
  const entry = cpu.memory.ld4(number * 4);
  let image = getEflags(R) & 0xffff;
  // Below IOPL 3 the program sees VIF as its IF, and an IOPL of 3.
  if (iopl < 3) image = (image & ~eflag.if) | eflag.iopl | ((R[slot.eflags] & eflag.vif) >>> 10);
  writeStack(cpu, -2, 2, image);
  writeStack(cpu, -4, 2, R[slot.selector + segment.cs]);
  writeStack(cpu, -6, 2, R[slot.eip]);
  moveStackPointer(R, -6);
  R[slot.eflags] &= ~(eflag.tf | eflag.rf | (iopl < 3 ? eflag.vif : eflag.if));
  setVirtual8086Segment(R, segment.cs, entry >>> 16);
  R[slot.eip] = entry & 0xffff;
  updateModeKey(cpu);
  return true;
}

/** The bit of INT `number` in the interrupt redirection bitmap: the 32 bytes below the TSS's I/O map. */
function isTrappedToMonitor(cpu: Cpu, number: number): boolean {
  const R = cpu.R;
  const limit = R[slot.segmentLimit + segment.tr] >>> 0;
  const base = R[slot.segmentBase + segment.tr];
  if (!tssIsWide(R) || limit < 103) cpu.raise(vector.gp, 0);
  const at = cpu.memory.systemRead2((base + 102) | 0) - 32 + (number >>> 3);
  if (at < 0 || at > limit) cpu.raise(vector.gp, 0);
  return ((cpu.memory.systemRead1((base + at) | 0) >>> (number & 7)) & 1) !== 0;
}

function deliverProtected(cpu: Cpu, number: number, kind: EventKind, errorCode: number): void {
  const R = cpu.R;
  const memory = cpu.memory;
  const ext = kind === eventKind.hardware || kind === eventKind.exception ? 1 : 0;
  const idtCode = number * 8 + 2 + ext;
  if (number * 8 + 7 > (R[slot.idtLimit] & 0xffff)) cpu.raise(vector.gp, idtCode);
  const gateAddress = (R[slot.idtBase] + number * 8) | 0;
  const { i32 } = memory.physical;
  const gate = memory.systemFrameToRead(gateAddress, 8);
  const gateLow = gate >= 0 ? i32[gate] : memory.systemRead4(gateAddress);
  const gateHigh = gate >= 0 ? i32[gate + 1] : memory.systemRead4((gateAddress + 4) | 0);
  const type = descriptorType(gateHigh);
  if (type !== systemType.interruptGate32 && type !== systemType.trapGate32 && !isOtherGate(type)) cpu.raise(vector.gp, idtCode);
  if (ext === 0 && descriptorPrivilege(gateHigh) < R[slot.cpl]) cpu.raise(vector.gp, idtCode);
  if ((gateHigh & access.present) === 0) cpu.raise(vector.np, idtCode);
  const flags = flagsToSave(R, number, kind);
  if (type === systemType.taskGate) return taskGateSwitch(cpu, gateLow >>> 16, flags, errorCode, ext);

  const selector = gateLow >>> 16;
  requireDescriptor(cpu, selector, vector.gp, ext);
  const code = (selector & 0xfffc) | ext;
  const codeHigh = cpu.descriptorHigh;
  const cpl = R[slot.cpl];
  const dpl = descriptorPrivilege(codeHigh);
  if (!isCode(codeHigh) || dpl > cpl) cpu.raise(vector.gp, code);
  if ((codeHigh & access.present) === 0) cpu.raise(vector.np, code);
  const isInner = dpl < cpl && !isConforming(codeHigh);
  // From virtual-8086 mode only into ring 0, and not into a conforming segment.
  const fromVirtual8086 = (flags & eflag.vm) !== 0;
  if (fromVirtual8086 && (!isInner || dpl !== 0)) cpu.raise(vector.gp, code);
  markAccessed(cpu);
  const codeLow = cpu.descriptorLow;
  const codeDescriptor = cpu.descriptorHigh;

  const size = type >= systemType.interruptGate32 ? 4 : 2;
  const eip = size === 4 ? (gateLow & 0xffff) | (gateHigh & 0xffff0000) : gateLow & 0xffff;
  if (isInner) {
    const stackSelector = readInnerStackSegment(cpu, dpl, ext);
    const pointer = readInnerStackPointer(cpu, dpl, ext);
    const stackLow = cpu.descriptorLow;
    const stackHigh = cpu.descriptorHigh;
    const mask = stackMask(stackHigh);
    const words = (fromVirtual8086 ? 9 : 5) + (errorCode < 0 ? 0 : 1);
    if (!stackHasRoom(stackHigh, descriptorLimit(stackLow, stackHigh), pointer, words * size, size)) {
      cpu.raise(vector.ss, (stackSelector & 0xfffc) | ext);
    }
    if (!offsetsValid(codeDescriptor, descriptorLimit(codeLow, codeDescriptor), eip, 1)) cpu.raise(vector.gp, ext);
    // The new stack, as the registers will see it.
    const base = (stackLow >>> 16) | ((stackHigh & 0xff) << 16) | (stackHigh & 0xff000000);
    let top = pointer;
    const frame = size === 4 && mask === -1 && !fromVirtual8086 ? memory.systemFrameToWrite((base + top - words * 4) | 0, words * 4) : -1;
    if (frame >= 0) {
      let at = frame;
      if (errorCode >= 0) i32[at++] = errorCode;
      i32[at] = R[slot.eip];
      i32[at + 1] = R[slot.selector + segment.cs];
      i32[at + 2] = flags;
      i32[at + 3] = R[slot.esp];
      i32[at + 4] = R[slot.selector + segment.ss];
      top -= words * 4;
    } else {
      if (fromVirtual8086) {
        push(cpu, base, (top -= size) & mask, size, R[slot.selector + segment.gs]);
        push(cpu, base, (top -= size) & mask, size, R[slot.selector + segment.fs]);
        push(cpu, base, (top -= size) & mask, size, R[slot.selector + segment.ds]);
        push(cpu, base, (top -= size) & mask, size, R[slot.selector + segment.es]);
      }
      push(cpu, base, (top -= size) & mask, size, R[slot.selector + segment.ss]);
      push(cpu, base, (top -= size) & mask, size, R[slot.esp]);
      push(cpu, base, (top -= size) & mask, size, flags);
      push(cpu, base, (top -= size) & mask, size, R[slot.selector + segment.cs]);
      push(cpu, base, (top -= size) & mask, size, R[slot.eip]);
      if (errorCode >= 0) push(cpu, base, (top -= size) & mask, size, errorCode);
    }
    // Nothing below can fault.
    if (fromVirtual8086) {
      setNullSegment(R, segment.gs, 0);
      setNullSegment(R, segment.fs, 0);
      setNullSegment(R, segment.ds, 0);
      setNullSegment(R, segment.es, 0);
    }
    R[slot.cpl] = dpl;
    setSegment(cpu, segment.ss, stackSelector);
    setStackPointer(R, top);
  } else {
    const bytes = (errorCode < 0 ? 3 : 4) * size;
    if (!stackHasRoom(R[slot.segmentAccess + segment.ss], R[slot.segmentLimit + segment.ss], R[slot.esp], bytes, size)) cpu.raise(vector.ss, ext);
    if (!offsetsValid(codeDescriptor, descriptorLimit(codeLow, codeDescriptor), eip, 1)) cpu.raise(vector.gp, ext);
    writeStack(cpu, -size, size, flags);
    writeStack(cpu, -2 * size, size, R[slot.selector + segment.cs]);
    writeStack(cpu, -3 * size, size, R[slot.eip]);
    if (errorCode >= 0) writeStack(cpu, -4 * size, size, errorCode);
    moveStackPointer(R, -bytes);
  }
  cpu.descriptorLow = codeLow;
  cpu.descriptorHigh = codeDescriptor;
  setSegment(cpu, segment.cs, (selector & ~3) | R[slot.cpl]);
  R[slot.eip] = eip;
  // Interrupt gates (even types) also clear IF.
  R[slot.eflags] &= ~(eflag.tf | eflag.vm | eflag.rf | eflag.nt | (type & 1 ? 0 : eflag.if));
  updateModeKey(cpu);
}

/** EFLAGS as a handler's frame shows it. RF: set by faults, spent by an instruction that completed, untouched between instructions. */
function flagsToSave(R: Int32Array, number: number, kind: EventKind): number {
  const flags = getEflags(R);
  if (kind === eventKind.hardware) return flags;
  return kind === eventKind.exception && isFault(number) ? flags | eflag.rf : flags & ~eflag.rf;
}

function isOtherGate(type: number): boolean {
  return type === systemType.interruptGate16 || type === systemType.trapGate16 || type === systemType.taskGate;
}

/** A push on an inner ring's stack: always with supervisor rights. */
function push(cpu: Cpu, base: number, offset: number, size: number, value: number): void {
  if (size === 4) cpu.memory.systemWrite4((base + offset) | 0, value);
  else cpu.memory.systemWrite2((base + offset) | 0, value);
}
