/**
 * Hardware task switching (SDM vol. 3, chapter 7) with 16- and 32-bit TSSs. A switch has two halves. Up to its commit point everything is checked
 * and nothing changed, so that a fault restarts the instruction in the old task. After it the new task's registers are in place and faults (bad
 * selectors in the new TSS) belong to the new task, at its EIP.
 */
import { mode as modeImported } from "../../translator/contract/mode-key.ts";
import {
  cr0bit as cr0bitImported,
  cr4bit as cr4bitImported,
  eflag as eflagImported,
  segment as segmentImported,
  slot as slotImported,
  vector,
} from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import {
  descriptorBase,
  descriptorLimit,
  descriptorPrivilege,
  descriptorType,
  isCode,
  isConforming,
  isWritableData,
  markAccessed,
  readDescriptor,
  requireDescriptor,
  systemType,
} from "./descriptors.ts";
import { getEflags, setEflags } from "./flags.ts";
import { access, updateMode } from "./mode.ts";
import { checkDataDescriptor, offsetsValid, setNullSegment, setSegment, setVirtual8086Segment } from "./segments.ts";
import { moveStackPointer, stackHasRoom, tssIsWide, writeStack } from "./stack.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const mode = modeImported;
const cr0bit = cr0bitImported;
const cr4bit = cr4bitImported;
const eflag = eflagImported;
const segment = segmentImported;
const slot = slotImported;

export const switchKind = { jump: 0, /** CALL, interrupt or exception: the new task links back. */ call: 1, return: 2 } as const;
type SwitchKind = (typeof switchKind)[keyof typeof switchKind];

const typeMask = 0x1f00;
const busyBit = 0x200;
const taskSwitchTrap = 1 << 15;
/** DR7: L0-L3 and LE, which a task switch clears. */
const localEnables = 0x155;

/** Offsets in a TSS by size (SDM vol. 3, figures 7-2 and 7-10), and the segment registers in the order they lie there. */
interface TssLayout {
  readonly size: 2 | 4;
  readonly minimumLimit: number;
  readonly eip: number;
  readonly flags: number;
  readonly registers: number;
  readonly selectors: number;
  readonly selectorStride: 2 | 4;
  readonly selectorOrder: readonly number[];
  readonly ldt: number;
}

const layout32: TssLayout = {
  size: 4,
  minimumLimit: 103,
  eip: 32,
  flags: 36,
  registers: 40,
  selectors: 72,
  selectorStride: 4,
  selectorOrder: [segment.es, segment.cs, segment.ss, segment.ds, segment.fs, segment.gs],
  ldt: 96,
};
const layout16: TssLayout = {
  size: 2,
  minimumLimit: 43,
  eip: 14,
  flags: 16,
  registers: 18,
  selectors: 34,
  selectorStride: 2,
  selectorOrder: [segment.es, segment.cs, segment.ss, segment.ds],
  ldt: 42,
};
const cr3Offset = 28;
const trapWordOffset = 100;

/** Through the task gate of an interrupt or exception (its selector and DPL already checked). Faults after the commit point go to the caller. */
export function taskGateSwitch(cpu: Cpu, selector: number, flags: number, errorCode: number, ext: number): void {
  requireAvailableTss(cpu, selector, ext);
  switchTask(cpu, selector, switchKind.call, flags, ext);
  finishSwitch(cpu, ext);
  if (errorCode >= 0) pushErrorCode(cpu, errorCode, ext);
}

/** Error: #GP, except that it must be in the GDT and not busy; not present: #NP. Leaves its descriptor as the one read last. */
export function requireAvailableTss(cpu: Cpu, selector: number, ext: number): void {
  const code = (selector & 0xfffc) | ext;
  if (selector & 4) cpu.raise(vector.gp, code);
  requireDescriptor(cpu, selector, vector.gp, ext);
  const type = descriptorType(cpu.descriptorHigh);
  if (type !== systemType.availableTss16 && type !== systemType.availableTss32) cpu.raise(vector.gp, code);
  if ((cpu.descriptorHigh & access.present) === 0) cpu.raise(vector.np, code);
}

/** IRET with NT set: back to the task that the current TSS links to. */
export function returnToPreviousTask(cpu: Cpu): void {
  const R = cpu.R;
  const selector = cpu.memory.systemRead2(R[slot.segmentBase + segment.tr]);
  const code = selector & 0xfffc;
  if (selector & 4) cpu.raise(vector.ts, code);
  requireDescriptor(cpu, selector, vector.ts, 0);
  const type = descriptorType(cpu.descriptorHigh);
  if (type !== systemType.busyTss16 && type !== systemType.busyTss32) cpu.raise(vector.ts, code);
  if ((cpu.descriptorHigh & access.present) === 0) cpu.raise(vector.np, code);
  switchFromInstruction(cpu, selector, switchKind.return);
}

/** A switch asked for by JMP, CALL or IRET; the TSS descriptor is the one read last. */
export function switchFromInstruction(cpu: Cpu, selector: number, kind: SwitchKind): void {
  switchTask(cpu, selector, kind, getEflags(cpu.R), 0);
  finishSwitch(cpu, 0);
}

/** The first half, with the commit at its end. The new TSS's descriptor is the one read last. */
function switchTask(cpu: Cpu, selector: number, kind: SwitchKind, flags: number, ext: number): void {
  const { R, memory } = cpu;
  const newLow = cpu.descriptorLow;
  const newHigh = cpu.descriptorHigh;
  const newDescriptor = cpu.descriptorAddress;
  const target = newHigh & access.code ? layout32 : layout16;
  const newBase = descriptorBase(newLow, newHigh);
  if (descriptorLimit(newLow, newHigh) >>> 0 < target.minimumLimit) cpu.raise(vector.ts, (selector & 0xfffc) | ext);

  // Everything that may fault: old TSS written, new TSS read (and its link written), both busy bits.
  const source = tssIsWide(R) ? layout32 : layout16;
  const oldBase = R[slot.segmentBase + segment.tr];
  memory.systemProbeWrite((oldBase + source.eip) | 0, source.ldt - source.eip);
  const loaded = readTss(cpu, newBase, target);
  if (kind === switchKind.call) memory.systemProbeWrite(newBase, 2);
  if (kind !== switchKind.return) memory.systemProbeWrite((newDescriptor + 4) | 0, 4);
  const oldSelector = R[slot.selector + segment.tr];
  let oldDescriptor = 0;
  let oldHigh = 0;
  if (kind !== switchKind.call) {
    requireDescriptor(cpu, oldSelector, vector.ts, ext);
    oldDescriptor = cpu.descriptorAddress;
    oldHigh = cpu.descriptorHigh;
    memory.systemProbeWrite((oldDescriptor + 4) | 0, 4);
  }
  // CR3 comes with the new TSS; with PAE its table must be loadable before the switch commits.
  const paging = target.size === 4 && (R[slot.cr0] & cr0bit.pg) !== 0;
  const reloadsTables = paging && (R[slot.cr4] & cr4bit.pae) !== 0;
  if (reloadsTables && !cpu.walker.loadPdptrs(loaded.cr3)) cpu.raise(vector.ts, (selector & 0xfffc) | ext);

  saveTss(cpu, oldBase, source, kind === switchKind.return ? flags & ~eflag.nt : flags);
  if (kind !== switchKind.call) memory.systemWrite4((oldDescriptor + 4) | 0, oldHigh & ~busyBit);
  if (kind === switchKind.call) memory.systemWrite2(newBase, oldSelector);
  if (kind !== switchKind.return) memory.systemWrite4((newDescriptor + 4) | 0, newHigh | busyBit);

  R[slot.selector + segment.tr] = selector;
  cpu.descriptorLow = newLow;
  cpu.descriptorHigh = newHigh | busyBit;
  setSegment(cpu, segment.tr, selector);
  R[slot.cr0] |= cr0bit.ts;
  if (paging) {
    R[slot.cr3] = loaded.cr3;
    memory.flush(false);
  }
  R[slot.dr7] &= ~localEnables;
  loadTask(cpu, loaded, kind === switchKind.call);
}

interface LoadedTask {
  readonly cr3: number;
  readonly eip: number;
  readonly flags: number;
  readonly registers: readonly number[];
  /** By segment register number; FS and GS null from a 16-bit TSS. */
  readonly selectors: readonly number[];
  readonly ldt: number;
  readonly trap: boolean;
}

function readTss(cpu: Cpu, base: number, layout: TssLayout): LoadedTask {
  const memory = cpu.memory;
  const word = (offset: number) => memory.systemRead2((base + offset) | 0);
  const wide = (offset: number) => memory.systemRead4((base + offset) | 0);
  const isWide = layout.size === 4;
  const registers: number[] = [];
  for (let i = 0; i < 8; i++) {
    // A 16-bit TSS leaves the upper halves as they are; FFFFh is what processors of the P6 family put there.
    registers.push(isWide ? wide(layout.registers + 4 * i) : word(layout.registers + 2 * i) | 0xffff0000);
  }
  const selectors = [0, 0, 0, 0, 0, 0];
  layout.selectorOrder.forEach((s, i) => {
    selectors[s] = word(layout.selectors + layout.selectorStride * i);
  });
  return {
    cr3: isWide ? wide(cr3Offset) : 0,
    eip: isWide ? wide(layout.eip) : word(layout.eip),
    flags: isWide ? wide(layout.flags) : word(layout.flags),
    registers,
    selectors,
    ldt: word(layout.ldt),
    trap: isWide && (word(trapWordOffset) & 1) !== 0,
  };
}

function saveTss(cpu: Cpu, base: number, layout: TssLayout, flags: number): void {
  const { R, memory } = cpu;
  const put = (offset: number, value: number) =>
    layout.size === 4 ? memory.systemWrite4((base + offset) | 0, value) : memory.systemWrite2((base + offset) | 0, value);
  put(layout.eip, R[slot.eip]);
  put(layout.flags, flags);
  for (let i = 0; i < 8; i++) put(layout.registers + layout.size * i, R[slot.eax + i]);
  layout.selectorOrder.forEach((s, i) => {
    memory.systemWrite2((base + layout.selectors + layout.selectorStride * i) | 0, R[slot.selector + s]);
  });
}

/** The commit: the new task's registers, with every segment unusable until `finishSwitch` has checked it. */
function loadTask(cpu: Cpu, task: LoadedTask, isNested: boolean): void {
  const R = cpu.R;
  for (let i = 0; i < 8; i++) R[slot.eax + i] = task.registers[i];
  R[slot.eip] = task.eip;
  setEflags(R, isNested ? task.flags | eflag.nt : task.flags);
  for (let s = 0; s < 6; s++) setNullSegment(R, s, task.selectors[s]);
  setNullSegment(R, segment.ldtr, task.ldt);
  // Until SS is loaded nothing runs on the new stack: a fault's handler must come with one, as it does from ring 3.
  R[slot.cpl] = 3;
  if (task.trap) {
    cpu.pendingDebug |= taskSwitchTrap;
    cpu.requestAttention();
  }
  R[slot.halted] = 0;
  R[slot.interruptShadow] = 0;
  updateMode(cpu);
  // As after IRET: RF is of use only to breakpoints.
  if ((R[slot.mode] & mode.singleStep) === 0) R[slot.eflags] &= ~eflag.rf;
}

/** The second half: loads the segments of the new task (SDM vol. 3, table 7-1), the stack before the code so that most faults find one, then checks EIP. */
function finishSwitch(cpu: Cpu, ext: number): void {
  const R = cpu.R;
  loadLdt(cpu, R[slot.selector + segment.ldtr], ext);
  if (R[slot.eflags] & eflag.vm) {
    for (let s = 0; s < 6; s++) setVirtual8086Segment(R, s, R[slot.selector + s]);
  } else {
    const code = R[slot.selector + segment.cs];
    const cpl = code & 3;
    loadStack(cpu, R[slot.selector + segment.ss], cpl, ext);
    R[slot.cpl] = cpl;
    updateMode(cpu);
    requireDescriptor(cpu, code, vector.ts, ext);
    const high = cpu.descriptorHigh;
    const dpl = descriptorPrivilege(high);
    if (!isCode(high) || (isConforming(high) ? dpl > cpl : dpl !== cpl)) cpu.raise(vector.ts, (code & 0xfffc) | ext);
    if ((high & access.present) === 0) cpu.raise(vector.np, (code & 0xfffc) | ext);
    markAccessed(cpu);
    setSegment(cpu, segment.cs, code);
    for (const s of [segment.ds, segment.es, segment.fs, segment.gs]) loadData(cpu, s, R[slot.selector + s], ext);
  }
  updateMode(cpu);
  if (!offsetsValid(R[slot.segmentAccess + segment.cs], R[slot.segmentLimit + segment.cs], R[slot.eip], 1)) cpu.raise(vector.gp, ext);
}

function loadLdt(cpu: Cpu, selector: number, ext: number): void {
  if ((selector & 0xfffc) === 0) return;
  const code = (selector & 0xfffc) | ext;
  if (selector & 4 || !readDescriptor(cpu, selector) || (cpu.descriptorHigh & typeMask) !== systemType.ldt << 8) cpu.raise(vector.ts, code);
  if ((cpu.descriptorHigh & access.present) === 0) cpu.raise(vector.ts, code);
  setSegment(cpu, segment.ldtr, selector);
}

function loadStack(cpu: Cpu, selector: number, cpl: number, ext: number): void {
  const code = (selector & 0xfffc) | ext;
  requireDescriptor(cpu, selector, vector.ts, ext);
  const high = cpu.descriptorHigh;
  if (!isWritableData(high)) cpu.raise(vector.ts, code);
  if ((high & access.present) === 0) cpu.raise(vector.ss, code);
  if (descriptorPrivilege(high) !== cpl || (selector & 3) !== cpl) cpu.raise(vector.ts, code);
  markAccessed(cpu);
  setSegment(cpu, segment.ss, selector);
}

function loadData(cpu: Cpu, s: number, selector: number, ext: number): void {
  if ((selector & 0xfffc) === 0) return;
  const code = (selector & 0xfffc) | ext;
  if (!readDescriptor(cpu, selector)) cpu.raise(vector.ts, code);
  checkDataDescriptor(cpu, selector, cpu.R[slot.cpl], vector.ts, ext);
  if ((cpu.descriptorHigh & access.present) === 0) cpu.raise(vector.np, code);
  markAccessed(cpu);
  setSegment(cpu, s, selector);
}

/** An exception's error code, on the new task's stack, in the width of its TSS. */
function pushErrorCode(cpu: Cpu, errorCode: number, ext: number): void {
  const R = cpu.R;
  const size = tssIsWide(R) ? 4 : 2;
  if (!stackHasRoom(R[slot.segmentAccess + segment.ss], R[slot.segmentLimit + segment.ss], R[slot.esp], size, size)) cpu.raise(vector.ss, ext);
  writeStack(cpu, -size, size, errorCode);
  moveStackPointer(R, -size);
}
