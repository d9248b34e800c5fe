/** Callouts of the integer instruction set that are not part of the VMM's business. */
import type { CalloutRow } from "../callouts.ts";

export const integerCallouts = {
  /** (eip): #GP(0) beyond the limit of CS. */
  checkCodeLimit: { args: 1, general: false, writesMemory: false },
  /** (vector): raises an exception without error code. */
  raiseException: { args: 1 },
  /**
   * (target EIP): runs the function there and comes back behind the CALL, whose push was done. Never called by this name: a region prints a call of the function's
   * own region instead, and leaves where that cannot be (RegionPrinter.subroutine).
   */
  subroutine: { args: 1, neverFaults: true, vectors: true },
  /** (high, low, divisor): #DE if the quotient of a DIV of EDX:EAX does not fit 32 bits. */
  checkDivide: { args: 3, general: false, writesMemory: false },
  /** The same for IDIV. */
  checkDivideSigned: { args: 3, general: false, writesMemory: false },
  /** (size, divisor): DIV of AX or DX:AX; #DE. */
  divide: { args: 2 },
  /** (size, divisor): IDIV. */
  divideSigned: { args: 2 },
  /** (size, addressSize, segment, repeat): MOVS, with or without REP. Returns 1 if it stopped before the end (run it again). */
  movs: { args: 4, returns: true },
  cmps: { args: 4, returns: true },
  stos: { args: 3, returns: true },
  lods: { args: 4, returns: true },
  scas: { args: 3, returns: true },
  ins: { args: 3, returns: true },
  outs: { args: 4, returns: true },
  /** BCD adjustments. */
  daa: { args: 0, neverFaults: true },
  das: { args: 0, neverFaults: true },
  aaa: { args: 0, neverFaults: true },
  aas: { args: 0, neverFaults: true },
  aam: { args: 1 },
  aad: { args: 1, neverFaults: true },
  /** (size, linear low, frame pointer offset, nesting level): ENTER's copying of frame pointers. */
  enter: { args: 3 },
  /** (segment, linear, selector, wanted RPL): ARPL's store, which happens only where the RPL changes. */
  storeHigherRpl: { args: 4, general: false },
  /** (linear, size): raises the fault a write there would. */
  probeWrite: { args: 2, general: false },
  /** (lower bound, upper bound, index): #BR. */
  bound: { args: 3, general: false },
  /** (size, linear): CMPXCHG8B. */
  cmpxchg8b: { args: 1 },
  /** (size, value, count, carry in or other operand): RCL/RCR set flags themselves. */
  rcl: { args: 3, returns: true, neverFaults: true },
  rcr: { args: 3, returns: true, neverFaults: true },
} as const satisfies Record<string, CalloutRow>;
