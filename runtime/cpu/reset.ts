/** Power-on state (SDM vol. 3, table 9-1). */
import { slot as slotImported } from "../../translator/contract/slots.ts";
import { forgetPairs } from "../callouts/x87/registers.ts";
import type { Cpu } from "./cpu.ts";
import { setEflags } from "./flags.ts";
import { updateMode } from "./mode.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;

/**
 * Family 6, model 5Ch, stepping 9, which CPUID tells and EDX holds after reset: Goldmont, a processor that has SSE4.2, AES and SHA but no AVX. C libraries choose by the model: to them
 * unaligned loads and stores are cheap on it, which is what they are here.
 */
export const processorSignature = 0x506c9;

const dataSegmentAccess = 0x9300;
const ldtAccess = 0x8200;
const busyTssAccess = 0x8b00;

export function resetCpu(cpu: Cpu): void {
  const R = cpu.R;
  // What is left of the running slice is the dispatcher's: the count of retired instructions, and with it virtual time, goes on.
  const budget = R[slot.budget];
  R.fill(0);
  R[slot.budget] = budget;
  R[slot.edx] = processorSignature;
  R[slot.cr0] = 0x60000010;
  for (let s = 0; s < 6; s++) {
    R[slot.segmentLimit + s] = 0xffff;
    R[slot.segmentAccess + s] = dataSegmentAccess;
  }
  R[slot.selector + 1] = 0xf000;
  R[slot.segmentBase + 1] = 0xffff0000 | 0;
  R[slot.eip] = 0xfff0;
  R[slot.segmentLimit + 6] = R[slot.segmentLimit + 7] = 0xffff;
  R[slot.segmentAccess + 6] = ldtAccess;
  R[slot.segmentAccess + 7] = busyTssAccess;
  R[slot.idtLimit] = R[slot.gdtLimit] = 0xffff;
  R[slot.dr6] = 0xffff0ff0 | 0;
  R[slot.dr7] = 0x400;
  R[slot.fpuControl] = 0x40;
  forgetPairs(cpu);
  R[slot.mxcsr] = 0x1f80;
  setEflags(R, 2);
  cpu.msrs.clear();
  cpu.tscOffset = 0;
  cpu.walker.pdptr.fill(0);
  cpu.pendingDebug = 0;
  cpu.nmiBlocked = false;
  cpu.deliveredInterrupt = false;
  cpu.deliveringVector = -1;
  cpu.shutdown = false;
  cpu.memory.watching = false;
  cpu.memory.flush(true);
  updateMode(cpu);
}
