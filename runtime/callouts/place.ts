/** What callouts of privileged instructions share: the check of CPL, and operands read after it. */
import { slot as slotImported, vector } from "../../translator/contract/slots.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { checkSegment } from "../cpu/segments.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;

/** #GP(0) unless CPL is 0: real mode passes, virtual-8086 mode (CPL 3) does not. */
export function requireSupervisor(cpu: Cpu): void {
  if (cpu.R[slot.cpl] !== 0) cpu.raise(vector.gp, 0);
}

/** A word operand: at (segment, offset), or the value itself when `s` is negative. */
export function readPlace(cpu: Cpu, s: number, offset: number): number {
  return s < 0 ? offset & 0xffff : cpu.memory.ld2(checkSegment(cpu, s, offset, 2, false));
}
