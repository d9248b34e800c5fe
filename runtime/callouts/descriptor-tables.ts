/** Callouts of LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT and STR. */
import { segment as segmentImported, slot as slotImported, vector } from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { descriptorType, requireDescriptor, systemType } from "../cpu/descriptors.ts";
import { access } from "../cpu/mode.ts";
import { checkSegment, setNullSegment, setSegment } from "../cpu/segments.ts";
import { readPlace, requireSupervisor } from "./place.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const segment = segmentImported;
const slot = slotImported;

/** Reads a pseudo-descriptor into the two slots. A 16-bit operand size keeps 24 bits of base (SDM vol. 2, LGDT). */
function loadTable(cpu: Cpu, s: number, offset: number, size: number, baseSlot: number, limitSlot: number): void {
  requireSupervisor(cpu);
  const { R, memory } = cpu;
  checkSegment(cpu, s, offset, 6, false);
  const limit = memory.ld2(checkSegment(cpu, s, offset, 2, false));
  const base = memory.ld4((R[slot.segmentBase + s] + offset + 2) | 0);
  R[limitSlot] = limit;
  R[baseSlot] = size === 2 ? base & 0xffffff : base;
}

function loadGdt(cpu: Cpu, s: number, offset: number, size: number): void {
  loadTable(cpu, s, offset, size, slot.gdtBase, slot.gdtLimit);
}

function loadIdt(cpu: Cpu, s: number, offset: number, size: number): void {
  loadTable(cpu, s, offset, size, slot.idtBase, slot.idtLimit);
}

/** Processors store all 32 bits of the base with either operand size, whatever the SDM says of the 16-bit form. */
function storeTable(cpu: Cpu, s: number, offset: number, base: number, limit: number): void {
  const linear = checkSegment(cpu, s, offset, 6, true);
  cpu.memory.probeWrite(linear, 6);
  cpu.memory.st2(linear, limit);
  cpu.memory.st4((linear + 2) | 0, base);
}

function storeGdt(cpu: Cpu, s: number, offset: number): void {
  storeTable(cpu, s, offset, cpu.R[slot.gdtBase], cpu.R[slot.gdtLimit]);
}

function storeIdt(cpu: Cpu, s: number, offset: number): void {
  storeTable(cpu, s, offset, cpu.R[slot.idtBase], cpu.R[slot.idtLimit]);
}

function loadLdt(cpu: Cpu, s: number, value: number): void {
  requireSupervisor(cpu);
  const selector = readPlace(cpu, s, value);
  if ((selector & 0xfffc) === 0) return setNullSegment(cpu.R, segment.ldtr, selector);
  readSystemDescriptor(cpu, selector);
  if (descriptorType(cpu.descriptorHigh) !== systemType.ldt) cpu.raiseSelector(vector.gp, selector);
  if ((cpu.descriptorHigh & access.present) === 0) cpu.raiseSelector(vector.np, selector);
  setSegment(cpu, segment.ldtr, selector);
}

function loadTask(cpu: Cpu, s: number, value: number): void {
  requireSupervisor(cpu);
  const selector = readPlace(cpu, s, value);
  readSystemDescriptor(cpu, selector);
  const type = descriptorType(cpu.descriptorHigh);
  if (type !== systemType.availableTss16 && type !== systemType.availableTss32) cpu.raiseSelector(vector.gp, selector);
  if ((cpu.descriptorHigh & access.present) === 0) cpu.raiseSelector(vector.np, selector);
  cpu.descriptorHigh |= busy;
  cpu.memory.systemWrite4((cpu.descriptorAddress + 4) | 0, cpu.descriptorHigh);
  setSegment(cpu, segment.tr, selector);
}

/** The busy bit of a TSS descriptor's type. */
const busy = 0x200;

/** LDTs and TSSs are described in the GDT only; null is #GP(0). */
function readSystemDescriptor(cpu: Cpu, selector: number): void {
  if (selector & 4) cpu.raiseSelector(vector.gp, selector);
  requireDescriptor(cpu, selector, vector.gp, 0);
}

function storeLdt(cpu: Cpu): number {
  return cpu.R[slot.selector + segment.ldtr];
}

function storeTask(cpu: Cpu): number {
  return cpu.R[slot.selector + segment.tr];
}

export const descriptorTableImplementations = { loadGdt, loadIdt, storeGdt, storeIdt, loadLdt, loadTask, storeLdt, storeTask };
