/** Whether code may use a port (SDM vol. 1, 18.5): IOPL, else the I/O permission bit map of the current TSS. Also I/O breakpoints. */
import { cr4bit as cr4bitImported, segment as segmentImported, slot as slotImported, vector } from "../../translator/contract/slots.ts";
import type { Cpu } from "./cpu.ts";
import { tssIsWide } from "./stack.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const cr4bit = cr4bitImported;
const segment = segmentImported;
const slot = slotImported;

/** Raises #GP(0) unless [port, port + size) may be accessed; collects I/O breakpoints. For IN, OUT, INS and OUTS. */
export function checkPort(cpu: Cpu, port: number, size: number): void {
  const R = cpu.R;
  // CPL is 3 in virtual-8086 mode and 0 in real mode.
  if (R[slot.cpl] > ((R[slot.eflags] >>> 12) & 3) || cpu.isVirtual8086) checkBitmap(cpu, port, size);
  if (R[slot.dr7] & 0xff && R[slot.cr4] & cr4bit.de) noteBreakpoints(cpu, port, size);
}

function checkBitmap(cpu: Cpu, port: number, size: number): void {
  const R = cpu.R;
  const limit = R[slot.segmentLimit + segment.tr] >>> 0;
  const base = R[slot.segmentBase + segment.tr];
  if (!tssIsWide(R) || limit < 103) cpu.raise(vector.gp, 0);
  // Two bytes are read always, so that a word or doubleword may start at any bit: hence the byte of ones after the map.
  const at = cpu.memory.systemRead2((base + 102) | 0) + (port >>> 3);
  if (at + 1 > limit) cpu.raise(vector.gp, 0);
  const bits = cpu.memory.systemRead2((base + at) | 0) >>> (port & 7);
  if (bits & ((1 << size) - 1)) cpu.raise(vector.gp, 0);
}

function noteBreakpoints(cpu: Cpu, port: number, size: number): void {
  const R = cpu.R;
  const dr7 = R[slot.dr7];
  for (let i = 0; i < 4; i++) {
    if (((dr7 >>> (2 * i)) & 3) === 0 || ((dr7 >>> (16 + 4 * i)) & 3) !== 2) continue;
    const length = ((dr7 >>> (18 + 4 * i)) & 3) + 1;
    const start = R[slot.dr0 + i] & -length;
    if (port < start + length && port + size > start) cpu.pendingDebug |= 1 << i;
  }
}
