/**
 * Callouts of the VMM: what every sensitive instruction is patched into (translator/lift/sensitive.ts lists which). A *place* is an operand that the
 * callout reads itself, because its privilege check comes before the operand's faults: (segment number, offset), or (-1, value) for a register.
 */
import type { CalloutRow } from "../callouts.ts";

export const systemCallouts = {
  // Segment registers.
  /** (segment): the selector, for MOV. */
  readSegment: { args: 1, returns: true, general: false, neverFaults: true },
  /** (segment): the selector, for PUSH. */
  readSegmentToPush: { args: 1, returns: true, general: false, neverFaults: true },
  /** (segment, selector): MOV to ES, SS or DS. */
  loadSegment: { args: 2, ends: true },
  /** (segment, selector): MOV to FS or GS, which the mode key does not know. */
  loadExtraSegment: { args: 2, general: false },
  /** (segment, size): POP of ES, SS or DS. */
  popSegment: { args: 2, ends: true },
  /** (segment, size): POP of FS or GS. */
  popExtraSegment: { args: 2 },
  /** (segment, register, size, offset, selector): LES, LDS, LSS. */
  loadFarPointer: { args: 5, ends: true },
  /** (segment, register, size, offset, selector): LFS, LGS. */
  loadExtraFarPointer: { args: 5 },

  // Far transfers.
  /** (selector, offset): JMP far. */
  farJump: { args: 2, ends: true },
  /** (selector, offset, size): CALL far. */
  farCall: { args: 3, ends: true },
  /** (size, bytes to drop): RETF. */
  farReturn: { args: 2, ends: true },
  /** (size): IRET. */
  interruptReturn: { args: 1, ends: true },
  /** (vector): INT n. */
  softwareInterrupt: { args: 1, ends: true },
  /** INT3. */
  breakpointInterrupt: { args: 0, ends: true },
  /** INTO, which does nothing with OF clear. */
  overflowInterrupt: { args: 0, ends: true },
  /** ICEBP (INT1). */
  debugInterrupt: { args: 0, ends: true },
  sysenter: { args: 0, ends: true },
  sysexit: { args: 0, ends: true },

  // EFLAGS.
  /** What PUSHF pushes but for the arithmetic flags, outside virtual-8086 mode. */
  systemFlags: { args: 0, returns: true, general: false, neverFaults: true, writesMemory: false },
  /** (image, size): what POPF does but for the stack pointer and the arithmetic flags, outside virtual-8086 mode. Not 0: the dispatcher must look at interrupts and the mode. */
  restoreFlags: { args: 2, returns: true, general: false, writesMemory: false },
  /** (size): in virtual-8086 mode, the image PUSHF pushes. */
  readFlags: { args: 1, returns: true, writesMemory: false },
  /** (size): in virtual-8086 mode, POPF. As restoreFlags. */
  popFlags: { args: 1, returns: true, writesMemory: false },
  clearInterruptFlag: { args: 0, general: false, writesMemory: false },
  /** Not 0: the dispatcher must look at interrupts. */
  setInterruptFlag: { args: 0, returns: true, general: false, readsTime: true, writesMemory: false },

  // Descriptor tables and the task register.
  /** (segment, offset, operand size). */
  loadGdt: { args: 3 },
  loadIdt: { args: 3 },
  /** (segment, offset). */
  storeGdt: { args: 2 },
  storeIdt: { args: 2 },
  /** (place). */
  loadLdt: { args: 2 },
  loadTask: { args: 2 },
  storeLdt: { args: 0, returns: true, general: false, neverFaults: true },
  storeTask: { args: 0, returns: true, general: false, neverFaults: true },
  /** (selector, register, size): LAR, LSL: the register and ZF. */
  loadAccessRights: { args: 3 },
  loadSegmentLimit: { args: 3 },
  /** (selector): ZF. */
  verifyRead: { args: 1 },
  verifyWrite: { args: 1 },

  // Control, debug and machine state.
  /** (number): MOV from CRn, DRn. */
  readControl: { args: 1, returns: true, general: false },
  readDebug: { args: 1, returns: true, general: false },
  /** (number, value). */
  writeControl: { args: 2, ends: true },
  writeDebug: { args: 2, ends: true },
  /** (place). */
  loadMachineStatusWord: { args: 2, ends: true },
  storeMachineStatusWord: { args: 0, returns: true, general: false, neverFaults: true },
  clearTaskSwitched: { args: 0, general: false },
  /** (segment, offset): INVLPG. */
  invalidatePage: { args: 2, ends: true },
  invalidateCaches: { args: 0, general: false },
  writeBackCaches: { args: 0, general: false },
  halt: { args: 0, ends: true },
  cpuid: { args: 0, neverFaults: true },
  readTimeStamp: { args: 0 },
  readPerformanceCounter: { args: 0 },
  readMsr: { args: 0 },
  writeMsr: { args: 0, ends: true },

  // Ports.
  /** (port, size): IN. */
  portRead: { args: 2, returns: true, general: false, readsTime: true },
  /** (port, size, value): OUT. */
  portWrite: { args: 3, general: false, readsTime: true },
} as const satisfies Record<string, CalloutRow>;
