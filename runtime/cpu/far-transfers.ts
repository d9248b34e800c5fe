/**
 * Far JMP, CALL and RET (SDM vol. 2 under each; vol. 3, 5.8): in real and virtual-8086 mode, to code segments, through call gates with or without
 * a stack switch, and to tasks. R[slot.eip] is the next instruction's EIP on entry. All of them raise before anything changes, except where a new
 * task begins with a fault (tasks.ts).
 */
import { segment as segmentImported, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import {
  descriptorLimit,
  descriptorPrivilege,
  descriptorType,
  isCode,
  isConforming,
  isWritableData,
  markAccessed,
  requireDescriptor,
  systemType as systemTypeImported,
} from "./descriptors.ts";
import { access as accessImported, updateModeKey, updateModeKeyForFlags } from "./mode.ts";
import { dropInnerSegments, offsetsValid, setRealSegment, setSegment, setVirtual8086Segment } from "./segments.ts";
import {
  frameOnStack,
  moveStackPointer,
  readInnerStackPointer,
  readInnerStackSegment,
  readStack,
  setStackPointer,
  stackHasRoom,
  stackMask,
  writeStack,
} from "./stack.ts";
import { requireAvailableTss, switchFromInstruction, switchKind } from "./tasks.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const segment = segmentImported;
const slot = slotImported;
const vector = vectorImported;
const access = accessImported;
const systemType = systemTypeImported;

export function farJump(cpu: Cpu, selector: number, offset: number): void {
  if (!cpu.isProtected) {
    checkRealTarget(cpu, offset);
    return enterReal(cpu, selector, offset);
  }
  requireDescriptor(cpu, selector, vector.gp, 0);
  if (cpu.descriptorHigh & access.codeOrData) {
    checkDirectCode(cpu, selector);
    enterCode(cpu, selector, offset);
  } else systemTransfer(cpu, selector, switchKind.jump);
}

export function farCall(cpu: Cpu, selector: number, offset: number, size: number): void {
  if (!cpu.isProtected) {
    requireRoom(cpu, 2 * size, size);
    checkRealTarget(cpu, offset);
    pushReturnAddress(cpu, size);
    return enterReal(cpu, selector, offset);
  }
  requireDescriptor(cpu, selector, vector.gp, 0);
  if ((cpu.descriptorHigh & access.codeOrData) === 0) return systemTransfer(cpu, selector, switchKind.call);
  checkDirectCode(cpu, selector);
  requireRoom(cpu, 2 * size, size);
  checkTarget(cpu, offset);
  markAccessed(cpu);
  pushReturnAddress(cpu, size);
  enterCode(cpu, selector, offset);
}

/** RETF. @param bytes of parameters to drop from the stack */
export function farReturn(cpu: Cpu, size: number, bytes: number): void {
  const R = cpu.R;
  const eip = readStack(cpu, 0, size);
  const selector = readStack(cpu, size, size) & 0xffff;
  if (!cpu.isProtected) {
    checkRealTarget(cpu, eip);
    moveStackPointer(R, 2 * size + bytes);
    return enterReal(cpu, selector, eip);
  }
  checkReturnCode(cpu, selector);
  if ((selector & 3) === R[slot.cpl]) {
    checkTarget(cpu, eip);
    markAccessed(cpu);
    moveStackPointer(R, 2 * size + bytes);
    enterCode(cpu, selector, eip);
    return;
  }
  returnOutward(cpu, selector, eip, 2 * size + bytes, size, bytes, vector.ss);
  updateModeKey(cpu);
}

/**
 * RETF and IRET to an outer ring: takes the new stack from (E)SP + `stackAt`, enters code and stack, and nulls the data segments out of reach. The
 * code descriptor, already checked, is the one read last. The mode key is left to the caller.
 * @param dropped bytes of parameters to drop from the outer stack
 * @param absentStack the exception for a stack segment that is not present
 */
export function returnOutward(cpu: Cpu, selector: number, eip: number, stackAt: number, size: number, dropped: number, absentStack: number): void {
  const R = cpu.R;
  const frame = size === 4 ? frameOnStack(cpu, stackAt, 8) : -1;
  const { i32 } = cpu.board.physical;
  const pointer = frame >= 0 ? i32[frame] : readStack(cpu, stackAt, size);
  const stackSelector = (frame >= 0 ? i32[frame + 1] : readStack(cpu, stackAt + size, size)) & 0xffff;
  const codeAddress = cpu.descriptorAddress;
  const codeLow = cpu.descriptorLow;
  const codeHigh = cpu.descriptorHigh;
  const level = selector & 3;
  requireDescriptor(cpu, stackSelector, vector.gp, 0);
  const stackHigh = cpu.descriptorHigh;
  if ((stackSelector & 3) !== level || !isWritableData(stackHigh) || descriptorPrivilege(stackHigh) !== level) {
    cpu.raiseSelector(vector.gp, stackSelector);
  }
  if ((stackHigh & access.present) === 0) cpu.raiseSelector(absentStack, stackSelector);
  if (!offsetsValid(codeHigh, descriptorLimit(codeLow, codeHigh), eip, 1)) cpu.raise(vector.gp, 0);
  markAccessed(cpu);
  const stackLow = cpu.descriptorLow;
  const stackAccess = cpu.descriptorHigh;
  cpu.descriptorAddress = codeAddress;
  cpu.descriptorLow = codeLow;
  cpu.descriptorHigh = codeHigh;
  markAccessed(cpu);
  // Nothing below can fault.
  setSegment(cpu, segment.cs, selector);
  cpu.descriptorLow = stackLow;
  cpu.descriptorHigh = stackAccess;
  setSegment(cpu, segment.ss, stackSelector);
  R[slot.cpl] = level;
  R[slot.eip] = eip;
  setStackPointer(R, pointer + dropped);
  dropInnerSegments(R);
}

/** The code segment a RETF or IRET goes to: null, outside its table, not code, or of the wrong privilege: #GP; absent: #NP. */
export function checkReturnCode(cpu: Cpu, selector: number): void {
  requireDescriptor(cpu, selector, vector.gp, 0);
  const high = cpu.descriptorHigh;
  const rpl = selector & 3;
  const dpl = descriptorPrivilege(high);
  if (!isCode(high) || rpl < cpu.R[slot.cpl] || (isConforming(high) ? dpl > rpl : dpl !== rpl)) cpu.raiseSelector(vector.gp, selector);
  if ((high & access.present) === 0) cpu.raiseSelector(vector.np, selector);
}

/** EIP within the code segment whose descriptor was read last. */
export function checkTarget(cpu: Cpu, eip: number): void {
  if (!offsetsValid(cpu.descriptorHigh, descriptorLimit(cpu.descriptorLow, cpu.descriptorHigh), eip, 1)) cpu.raise(vector.gp, 0);
}

/** Real and virtual-8086 mode: within the limit CS has, which a load does not change. */
export function checkRealTarget(cpu: Cpu, eip: number): void {
  const limit = cpu.isVirtual8086 ? 0xffff : cpu.R[slot.segmentLimit + segment.cs] >>> 0;
  if (eip >>> 0 > limit) cpu.raise(vector.gp, 0);
}

export function enterReal(cpu: Cpu, selector: number, eip: number): void {
  if (cpu.isVirtual8086) setVirtual8086Segment(cpu.R, segment.cs, selector);
  else setRealSegment(cpu.R, segment.cs, selector);
  cpu.R[slot.eip] = eip;
  updateModeKeyForFlags(cpu);
}

/** A JMP or CALL straight to a code segment keeps CPL: conforming code of the same or an inner ring, or non-conforming code of this one. */
function checkDirectCode(cpu: Cpu, selector: number): void {
  const high = cpu.descriptorHigh;
  const cpl = cpu.R[slot.cpl];
  const dpl = descriptorPrivilege(high);
  const allowed = isCode(high) && (isConforming(high) ? dpl <= cpl : (selector & 3) <= cpl && dpl === cpl);
  if (!allowed) cpu.raiseSelector(vector.gp, selector);
  if ((high & access.present) === 0) cpu.raiseSelector(vector.np, selector);
}

/** Enters the code segment read last, at the current CPL. */
export function enterCode(cpu: Cpu, selector: number, eip: number): void {
  checkTarget(cpu, eip);
  markAccessed(cpu);
  setSegment(cpu, segment.cs, (selector & 0xfffc) | cpu.R[slot.cpl]);
  cpu.R[slot.eip] = eip;
  updateModeKey(cpu);
}

/** #SS(0) unless the current stack takes `bytes` more in pushes of `size`. */
function requireRoom(cpu: Cpu, bytes: number, size: number): void {
  const R = cpu.R;
  if (!stackHasRoom(R[slot.segmentAccess + segment.ss], R[slot.segmentLimit + segment.ss], R[slot.esp], bytes, size)) cpu.raise(vector.ss, 0);
}

/** Writes CS and EIP below the stack pointer, then moves it. */
function pushReturnAddress(cpu: Cpu, size: number): void {
  const R = cpu.R;
  writeStack(cpu, -size, size, R[slot.selector + segment.cs]);
  writeStack(cpu, -2 * size, size, R[slot.eip]);
  moveStackPointer(R, -2 * size);
}

/** JMP or CALL to a call gate, task gate or TSS, whose descriptor is the one read last. */
function systemTransfer(cpu: Cpu, selector: number, kind: typeof switchKind.jump | typeof switchKind.call): void {
  const high = cpu.descriptorHigh;
  const type = descriptorType(high);
  const isTss = type === systemType.availableTss16 || type === systemType.availableTss32;
  if (!isTss && type !== systemType.taskGate && type !== systemType.callGate16 && type !== systemType.callGate32) {
    cpu.raiseSelector(vector.gp, selector);
  }
  const dpl = descriptorPrivilege(high);
  if (dpl < cpu.R[slot.cpl] || dpl < (selector & 3)) cpu.raiseSelector(vector.gp, selector);
  if ((high & access.present) === 0) cpu.raiseSelector(vector.np, selector);
  if (isTss) {
    if (selector & 4) cpu.raiseSelector(vector.gp, selector);
    switchFromInstruction(cpu, selector, kind);
  } else if (type === systemType.taskGate) {
    const task = cpu.descriptorLow >>> 16;
    requireAvailableTss(cpu, task, 0);
    switchFromInstruction(cpu, task, kind);
  } else throughCallGate(cpu, kind);
}

function throughCallGate(cpu: Cpu, kind: number): void {
  const R = cpu.R;
  const gateLow = cpu.descriptorLow;
  const gateHigh = cpu.descriptorHigh;
  const size = descriptorType(gateHigh) === systemType.callGate32 ? 4 : 2;
  const eip = size === 4 ? (gateLow & 0xffff) | (gateHigh & 0xffff0000) : gateLow & 0xffff;
  const selector = gateLow >>> 16;
  requireDescriptor(cpu, selector, vector.gp, 0);
  const high = cpu.descriptorHigh;
  const cpl = R[slot.cpl];
  const dpl = descriptorPrivilege(high);
  // A jump keeps CPL, so it cannot enter inner non-conforming code.
  const allowed = isCode(high) && (kind === switchKind.jump && !isConforming(high) ? dpl === cpl : dpl <= cpl);
  if (!allowed) cpu.raiseSelector(vector.gp, selector);
  if ((high & access.present) === 0) cpu.raiseSelector(vector.np, selector);
  if (kind === switchKind.jump) return enterCode(cpu, selector, eip);
  if (dpl < cpl && !isConforming(high)) return callInner(cpu, selector, eip, size, gateHigh & 31, dpl);
  requireRoom(cpu, 2 * size, size);
  checkTarget(cpu, eip);
  markAccessed(cpu);
  pushReturnAddress(cpu, size);
  enterCode(cpu, selector, eip);
}

/** CALL through a gate to an inner ring: new stack from the TSS, old SS:ESP, parameters and return address pushed on it. */
function callInner(cpu: Cpu, selector: number, eip: number, size: number, parameters: number, level: number): void {
  const { R, memory } = cpu;
  markAccessed(cpu);
  const codeLow = cpu.descriptorLow;
  const codeHigh = cpu.descriptorHigh;
  const stackSelector = readInnerStackSegment(cpu, level, 0);
  const pointer = readInnerStackPointer(cpu, level, 0);
  const stackLow = cpu.descriptorLow;
  const stackHigh = cpu.descriptorHigh;
  const mask = stackMask(stackHigh);
  const base = (stackLow >>> 16) | ((stackHigh & 0xff) << 16) | (stackHigh & 0xff000000);
  if (!stackHasRoom(stackHigh, descriptorLimit(stackLow, stackHigh), pointer, (4 + parameters) * size, size)) {
    cpu.raiseSelector(vector.ss, stackSelector);
  }
  if (!offsetsValid(codeHigh, descriptorLimit(codeLow, codeHigh), eip, 1)) cpu.raise(vector.gp, 0);
  const write = (depth: number, value: number) => {
    const linear = (base + ((pointer - depth * size) & mask)) | 0;
    if (size === 4) memory.systemWrite4(linear, value);
    else memory.systemWrite2(linear, value);
  };
  write(1, R[slot.selector + segment.ss]);
  write(2, R[slot.esp]);
  for (let i = 0; i < parameters; i++) write(2 + parameters - i, readStack(cpu, i * size, size));
  write(3 + parameters, R[slot.selector + segment.cs]);
  write(4 + parameters, R[slot.eip]);
  // Nothing below can fault.
  R[slot.cpl] = level;
  setSegment(cpu, segment.ss, stackSelector);
  setStackPointer(R, pointer - (4 + parameters) * size);
  cpu.descriptorLow = codeLow;
  cpu.descriptorHigh = codeHigh;
  setSegment(cpu, segment.cs, (selector & 0xfffc) | level);
  R[slot.eip] = eip;
  updateModeKey(cpu);
}
