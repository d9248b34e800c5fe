/** Callouts of the control and debug registers, CLTS, LMSW, SMSW, INVLPG, INVD, WBINVD and HLT (SDM vol. 3, 2.5 and 17.2). */
import {
  cr0bit as cr0bitImported,
  cr4bit as cr4bitImported,
  segment as segmentImported,
  slot as slotImported,
  vector,
} from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { updateWatching } from "../cpu/debug.ts";
import { updateMode } from "../cpu/mode.ts";
import { readPlace, requireSupervisor } from "./place.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr0bit = cr0bitImported;
const cr4bit = cr4bitImported;
const segment = segmentImported;
const slot = slotImported;

const cr0Implemented = cr0bit.pe | cr0bit.mp | cr0bit.em | cr0bit.ts | cr0bit.ne | cr0bit.wp | cr0bit.am | cr0bit.nw | cr0bit.cd | cr0bit.pg;
/** No machine-check exceptions and no performance counters, so CR4.MCE and PCE are reserved. */
const cr4Implemented = cr4bit.vme | cr4bit.pvi | cr4bit.tsd | cr4bit.de | cr4bit.pse | cr4bit.pae | cr4bit.pge | cr4bit.osfxsr | cr4bit.osxmmexcpt;
/** Changes of these bits change translations: the TLBs must go, global entries included (SDM vol. 3, 4.10.4.1). */
const cr0Translation = cr0bit.pg | cr0bit.pe | cr0bit.wp;
const cr4Translation = cr4bit.pse | cr4bit.pae | cr4bit.pge;
/** Data segment, writable, accessed, present: what CS is in real mode, whatever it was before. */
const realCodeAccess = 0x9300;
const typeAndDpl = 0xff00;

/** Takes a new value of CR0 that has been found valid. */
function setCr0(cpu: Cpu, value: number): void {
  const R = cpu.R;
  const changed = R[slot.cr0] ^ value;
  R[slot.cr0] = value;
  if (changed & cr0bit.pe && (value & cr0bit.pe) === 0) {
    // Real mode: CPL 0, and CS writable like any other segment; limit and D flag stay until CS is loaded.
    R[slot.cpl] = 0;
    R[slot.segmentAccess + segment.cs] = (R[slot.segmentAccess + segment.cs] & ~typeAndDpl) | realCodeAccess;
  }
  if (changed & cr0Translation) cpu.memory.flush(true);
  updateMode(cpu);
}

function writeCr0(cpu: Cpu, wanted: number): void {
  const R = cpu.R;
  const value = (wanted & cr0Implemented) | cr0bit.et;
  if (value & cr0bit.pg && (value & cr0bit.pe) === 0) cpu.raise(vector.gp, 0);
  if (value & cr0bit.nw && (value & cr0bit.cd) === 0) cpu.raise(vector.gp, 0);
  const reloads = (R[slot.cr0] ^ value) & (cr0bit.pg | cr0bit.cd | cr0bit.nw) && value & cr0bit.pg && R[slot.cr4] & cr4bit.pae;
  if (reloads && !cpu.walker.loadPdptrs(R[slot.cr3])) cpu.raise(vector.gp, 0);
  setCr0(cpu, value);
}

function writeCr3(cpu: Cpu, value: number): void {
  const R = cpu.R;
  const pae = R[slot.cr0] & cr0bit.pg && R[slot.cr4] & cr4bit.pae;
  if (pae && !cpu.walker.loadPdptrs(value)) cpu.raise(vector.gp, 0);
  R[slot.cr3] = value;
  cpu.memory.flush(false);
}

function writeCr4(cpu: Cpu, value: number): void {
  const R = cpu.R;
  if (value & ~cr4Implemented) cpu.raise(vector.gp, 0);
  const changed = R[slot.cr4] ^ value;
  const reloads = changed & cr4Translation && R[slot.cr0] & cr0bit.pg && value & cr4bit.pae;
  if (reloads && !cpu.walker.loadPdptrs(R[slot.cr3])) cpu.raise(vector.gp, 0);
  R[slot.cr4] = value;
  if (changed & cr4Translation) cpu.memory.flush(true);
}

function writeControl(cpu: Cpu, number: number, value: number): void {
  requireControlRegister(cpu, number);
  requireSupervisor(cpu);
  if (number === 0) writeCr0(cpu, value);
  else if (number === 2) cpu.R[slot.cr2] = value;
  else if (number === 3) writeCr3(cpu, value);
  else writeCr4(cpu, value);
}

function readControl(cpu: Cpu, number: number): number {
  requireControlRegister(cpu, number);
  requireSupervisor(cpu);
  if (number === 0) return cpu.R[slot.cr0];
  return cpu.R[slot.cr2 + number - 2];
}

/** Only CR0, CR2, CR3 and CR4 exist. */
function requireControlRegister(cpu: Cpu, number: number): void {
  if (number === 1 || number > 4) cpu.raise(vector.ud);
}

const machineStatusBits = cr0bit.pe | cr0bit.mp | cr0bit.em | cr0bit.ts;

function loadMachineStatusWord(cpu: Cpu, s: number, value: number): void {
  requireSupervisor(cpu);
  const word = readPlace(cpu, s, value);
  const old = cpu.R[slot.cr0];
  // PE can be set but not cleared.
  setCr0(cpu, (old & ~machineStatusBits) | (word & machineStatusBits) | (old & cr0bit.pe));
}

/** SMSW stores all of CR0 in a 32-bit register; the lift truncates. */
function storeMachineStatusWord(cpu: Cpu): number {
  return cpu.R[slot.cr0];
}

function clearTaskSwitched(cpu: Cpu): void {
  requireSupervisor(cpu);
  cpu.R[slot.cr0] &= ~cr0bit.ts;
}

const generalDetect = 1 << 13;
const dr6Writable = 0xe00f;
const dr6Fixed = 0xffff0ff0 | 0;
const dr7Fixed = 0x400;
const dr7Reserved = 0xd800;

/** The debug register that `number` means, DR4 and DR5 being aliases of DR6 and DR7 unless CR4.DE makes them undefined. */
function debugRegister(cpu: Cpu, number: number): number {
  const R = cpu.R;
  const isAlias = number === 4 || number === 5;
  if (isAlias && R[slot.cr4] & cr4bit.de) cpu.raise(vector.ud);
  requireSupervisor(cpu);
  if (R[slot.dr7] & generalDetect) {
    // Delivery of #DB clears GD, so that its handler may use the registers.
    R[slot.dr6] |= generalDetect;
    cpu.raise(vector.db);
  }
  return isAlias ? number + 2 : number;
}

function readDebug(cpu: Cpu, number: number): number {
  const register = debugRegister(cpu, number);
  return cpu.R[register < 4 ? slot.dr0 + register : slot.dr6 + register - 6];
}

function writeDebug(cpu: Cpu, number: number, value: number): void {
  const R = cpu.R;
  const register = debugRegister(cpu, number);
  if (register < 4) R[slot.dr0 + register] = value;
  else if (register === 6) R[slot.dr6] = (value & dr6Writable) | dr6Fixed;
  else {
    R[slot.dr7] = (value & ~dr7Reserved) | dr7Fixed;
    updateWatching(cpu);
    updateMode(cpu);
  }
}

function invalidatePage(cpu: Cpu, s: number, offset: number): void {
  requireSupervisor(cpu);
  cpu.memory.invalidatePage((cpu.R[slot.segmentBase + s] + offset) | 0);
}

function halt(cpu: Cpu): void {
  requireSupervisor(cpu);
  cpu.R[slot.halted] = 1;
}

export const controlImplementations = {
  writeControl,
  readControl,
  loadMachineStatusWord,
  storeMachineStatusWord,
  clearTaskSwitched,
  readDebug,
  writeDebug,
  invalidatePage,
  // There is no cache to write back: memory is always coherent here.
  invalidateCaches: requireSupervisor,
  writeBackCaches: requireSupervisor,
  halt,
};
