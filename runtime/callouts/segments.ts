/** Callouts of MOV, PUSH, POP and LxS on segment registers, and of the instructions that look at descriptors (LAR, LSL, VERR, VERW). */
import { segment as segmentImported, slot as slotImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { descriptorLimit, descriptorPrivilege, descriptorType, isCode, isConforming, readDescriptor, systemType } from "../cpu/descriptors.ts";
import { access, updateModeKey } from "../cpu/mode.ts";
import { loadSegmentRegister } from "../cpu/segments.ts";
import { readStack, stackMask } from "../cpu/stack.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const segment = segmentImported;
const slot = slotImported;

/** Interrupts and debug traps are held off for one instruction after a load of SS (SDM vol. 3, 6.8.3). */
const stackSegmentShadow = 3;

function settleLoad(cpu: Cpu, s: number): void {
  if (s === segment.ss) cpu.R[slot.interruptShadow] = stackSegmentShadow;
  updateModeKey(cpu);
}

function readSegment(cpu: Cpu, s: number): number {
  return cpu.R[slot.selector + s];
}

function loadSegment(cpu: Cpu, s: number, selector: number): void {
  loadSegmentRegister(cpu, s, selector & 0xffff);
  settleLoad(cpu, s);
}

function loadExtraSegment(cpu: Cpu, s: number, selector: number): void {
  loadSegmentRegister(cpu, s, selector & 0xffff);
}

function popSegment(cpu: Cpu, s: number, size: number): void {
  popExtraSegment(cpu, s, size);
  settleLoad(cpu, s);
}

function popExtraSegment(cpu: Cpu, s: number, size: number): void {
  const R = cpu.R;
  // The pointer moves in the width of the stack that was read, whatever SS is loaded.
  const mask = stackMask(R[slot.segmentAccess + segment.ss]);
  loadSegmentRegister(cpu, s, readStack(cpu, 0, size) & 0xffff);
  R[slot.esp] = (R[slot.esp] & ~mask) | ((R[slot.esp] + size) & mask);
}

function loadFarPointer(cpu: Cpu, s: number, register: number, size: number, offset: number, selector: number): void {
  loadExtraFarPointer(cpu, s, register, size, offset, selector);
  // LSS holds nothing off: it loads SS and ESP together.
  updateModeKey(cpu);
}

function loadExtraFarPointer(cpu: Cpu, s: number, register: number, size: number, offset: number, selector: number): void {
  loadSegmentRegister(cpu, s, selector & 0xffff);
  writeRegister(cpu.R, register, size, offset);
}

function writeRegister(R: Int32Array, register: number, size: number, value: number): void {
  R[slot.eax + register] = size === 4 ? value : (R[slot.eax + register] & ~0xffff) | (value & 0xffff);
}

/** ZF = (flagZero === 0); the other flags live in other words. */
function setZeroFlag(R: Int32Array, isSet: boolean): boolean {
  R[slot.flagZero] = isSet ? 0 : 1;
  return isSet;
}

/** System descriptor types LAR accepts, and those with a limit, which LSL accepts (SDM vol. 2, LAR and LSL). */
const limitTypes =
  (1 << systemType.availableTss16) |
  (1 << systemType.ldt) |
  (1 << systemType.busyTss16) |
  (1 << systemType.availableTss32) |
  (1 << systemType.busyTss32);
const rightsTypes = limitTypes | (1 << systemType.callGate16) | (1 << systemType.taskGate) | (1 << systemType.callGate32);

/** Whether LAR or LSL may look at the descriptor that `selector` names, which is then the one read last. */
function isVisible(cpu: Cpu, selector: number, systemTypes: number): boolean {
  if ((selector & 0xfffc) === 0 || !readDescriptor(cpu, selector)) return false;
  const high = cpu.descriptorHigh;
  if (isCode(high) && isConforming(high)) return true;
  if ((high & access.codeOrData) === 0 && ((systemTypes >>> descriptorType(high)) & 1) === 0) return false;
  const dpl = descriptorPrivilege(high);
  return dpl >= cpu.R[slot.cpl] && dpl >= (selector & 3);
}

function loadAccessRights(cpu: Cpu, selector: number, register: number, size: number): void {
  if (setZeroFlag(cpu.R, isVisible(cpu, selector, rightsTypes))) writeRegister(cpu.R, register, size, cpu.descriptorHigh & 0x00ffff00);
}

function loadSegmentLimit(cpu: Cpu, selector: number, register: number, size: number): void {
  const visible = setZeroFlag(cpu.R, isVisible(cpu, selector, limitTypes));
  if (visible) writeRegister(cpu.R, register, size, descriptorLimit(cpu.descriptorLow, cpu.descriptorHigh));
}

function verifyRead(cpu: Cpu, selector: number): void {
  const high = isVisible(cpu, selector, 0) ? cpu.descriptorHigh : 0;
  setZeroFlag(cpu.R, (high & access.codeOrData) !== 0 && (!isCode(high) || (high & access.writable) !== 0));
}

function verifyWrite(cpu: Cpu, selector: number): void {
  const high = isVisible(cpu, selector, 0) ? cpu.descriptorHigh : 0;
  setZeroFlag(cpu.R, (high & (access.codeOrData | access.code | access.writable)) === (access.codeOrData | access.writable));
}

export const segmentImplementations = {
  readSegment,
  readSegmentToPush: readSegment,
  loadSegment,
  loadExtraSegment,
  popSegment,
  popExtraSegment,
  loadFarPointer,
  loadExtraFarPointer,
  loadAccessRights,
  loadSegmentLimit,
  verifyRead,
  verifyWrite,
};
