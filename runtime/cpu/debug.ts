/** Debug registers: which breakpoints an access or a fetch meets (SDM vol. 3, 17.2). */
import { slot as slotImported } from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;

/** R/W field of DR7 for breakpoint i: 0 execute, 1 write, 2 I/O (with CR4.DE), 3 read or write. LEN: 0 = 1, 1 = 2, 3 = 4 bytes. */
const lengths = [1, 2, 8, 4];

/** Collects the DR6 bits of data breakpoints that [linear, linear + size) touches into `cpu.pendingDebug`. */
export function checkDataBreakpoints(cpu: Cpu, linear: number, size: number, isWrite: boolean): void {
  const R = cpu.R;
  const dr7 = R[slot.dr7];
  for (let i = 0; i < 4; i++) {
    if (((dr7 >>> (2 * i)) & 3) === 0) continue;
    const kind = (dr7 >>> (16 + 4 * i)) & 3;
    if (kind !== 3 && !(kind === 1 && isWrite)) continue;
    const length = lengths[(dr7 >>> (18 + 4 * i)) & 3];
    const start = (R[slot.dr0 + i] & -length) >>> 0;
    if (linear >>> 0 < start + length && (linear >>> 0) + size > start) cpu.pendingDebug |= 1 << i;
  }
}

/** DR6 bits of the instruction breakpoints set at `linear`; 0 when none. */
export function instructionBreakpoints(cpu: Cpu, linear: number): number {
  const R = cpu.R;
  const dr7 = R[slot.dr7];
  let met = 0;
  for (let i = 0; i < 4; i++) {
    if (((dr7 >>> (2 * i)) & 3) !== 0 && ((dr7 >>> (16 + 4 * i)) & 3) === 0 && R[slot.dr0 + i] === linear) met |= 1 << i;
  }
  return met;
}

/** Data breakpoints armed: the TLBs must send every access to the slow path. */
export function updateWatching(cpu: Cpu): void {
  const dr7 = cpu.R[slot.dr7];
  let watching = false;
  for (let i = 0; i < 4; i++) if (((dr7 >>> (2 * i)) & 3) !== 0 && ((dr7 >>> (16 + 4 * i)) & 1) !== 0) watching = true;
  if (watching !== cpu.memory.watching) {
    cpu.memory.watching = watching;
    cpu.memory.flush(true);
  }
}
