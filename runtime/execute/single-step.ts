/**
 * One instruction alone: under TF, breakpoints and the shadows of STI and MOV SS, where a region refused it, and for whoever looks at the guest by the instruction. It runs on
 * the same handlers, as a block of one instruction under a mode key of its own.
 */
import { mode } from "../../translator/contract/mode-key.ts";
import { eflag as eflagImported, segment, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import { shapeBits as shapeBitsImported } from "../code/code-cache.ts";
import { type Handler, pseudo as pseudoImported } from "../code/pseudo-shapes.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { instructionBreakpoints } from "../cpu/debug.ts";
import { noteDebugCauses } from "../cpu/interrupts.ts";
import type { DispatcherOptions } from "./dispatcher-options.ts";
import type { Entry } from "./entry.ts";
import type { Links } from "./links.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const eflag = eflagImported;
const slot = slotImported;
const vector = vectorImported;
const pseudo = pseudoImported;
const shapeBits = shapeBitsImported;
const { budget, page: pageSlot, mode: modeSlot, eip: eipSlot } = slot;
const { singleStep } = mode;
const csBase = slot.segmentBase + segment.cs;

export interface SingleStepHost {
  readonly C: Int32Array;
  /** Handlers by shape number. */
  readonly H: readonly Handler[];
  readonly entry: Entry;
  readonly links: Links;
  /** Told of each instruction before it runs. */
  readonly traceBlock: DispatcherOptions["traceBlock"];
}

export class SingleStep {
  /** The instruction itself is under way: whoever would go on at R[eip] leaves that to `step`. */
  isUnderWay = false;
  private readonly cpu: Cpu;
  private readonly C: Int32Array;
  private readonly H: readonly Handler[];
  private readonly entry: Entry;
  private readonly links: Links;
  private readonly traceBlock: DispatcherOptions["traceBlock"];

  constructor(cpu: Cpu, { C, H, entry, links, traceBlock }: SingleStepHost) {
    this.cpu = cpu;
    this.C = C;
    this.H = H;
    this.entry = entry;
    this.links = links;
    this.traceBlock = traceBlock;
  }

  /** Executes exactly one instruction at R[eip], with its traps; R[eip] is current before and after. */
  step(): void {
    const { cpu } = this;
    const R = cpu.R;
    this.traceBlock?.(R[eipSlot], R[modeSlot]);
    const start = R[eipSlot];
    const shadow = R[slot.interruptShadow];
    const trap = (R[slot.eflags] & eflag.tf) !== 0;
    const resume = (R[slot.eflags] & eflag.rf) !== 0;
    if ((shadow & 2) === 0) cpu.pendingDebug = 0;
    cpu.deliveredInterrupt = false;
    if ((R[slot.dr7] & 0xff) !== 0 && !resume && (shadow & 2) === 0) {
      const met = instructionBreakpoints(cpu, (R[eipSlot] + R[csBase]) | 0);
      if (met !== 0) {
        noteDebugCauses(R, met);
        cpu.raise(vector.db);
      }
    }
    const header = this.entry.enterOrRaise(singleStep);
    this.settle(this.runOne(header + 2));
    // Not before: an instruction that faults has not retired.
    R[budget] -= 1;
    if (R[slot.interruptShadow] === shadow) R[slot.interruptShadow] = 0;
    // A string instruction between two iterations keeps it.
    if (resume && R[eipSlot] !== start) R[slot.eflags] &= ~eflag.rf;
    // MOV SS and POP SS hold debug traps off until after the next instruction.
    if ((R[slot.interruptShadow] & 2) === 0) this.debugTraps(trap && !cpu.deliveredInterrupt);
    cpu.deliveredInterrupt = false;
  }

  /** Runs the single instruction at word `at` (and the check before it, if it straddles pages); a fault in it finds R[eip] current. */
  private runOne(at: number): number {
    const { C, H, cpu } = this;
    this.isUnderWay = true;
    try {
      if ((C[at] & shapeBits) !== pseudo.straddle) return H[C[at] & shapeBits](at);
      const q = H[pseudo.straddle](at);
      // The page behind changed: nothing was executed yet.
      return q < 0 ? this.runOne(this.entry.enterOrRaise(singleStep) + 2) : H[C[q] & shapeBits](q);
    } catch (e) {
      if (e === cpu.fault && !this.entry.eipIsCurrent) cpu.R[eipSlot] = (cpu.R[pageSlot] + (C[at] >>> 16)) | 0;
      this.entry.eipIsCurrent = true;
      throw e;
    } finally {
      this.isUnderWay = false;
    }
  }

  /** After a single instruction returned `q`: makes R[eip] current. */
  private settle(q: number): void {
    const { C } = this;
    const R = this.cpu.R;
    this.entry.eipIsCurrent = true;
    if (q >= 0) {
      // Falls through: the pseudo-instruction after it, or poison if it overwrote itself, knows the offset.
      R[eipSlot] = (R[pageSlot] + (C[q] >>> 16)) | 0;
      return;
    }
    const header = ~q;
    const shape = C[header + 2] & shapeBits;
    if (shape === pseudo.dispatch || shape === pseudo.stop) return;
    if (shape === pseudo.stub || shape === pseudo.crossPage || shape === pseudo.crossSegmented) R[eipSlot] = this.links.target(header + 2);
    else R[eipSlot] = (R[pageSlot] + (C[header + 2] >>> 16)) | 0;
  }

  private debugTraps(trap: boolean): void {
    const { cpu } = this;
    if (!trap && cpu.pendingDebug === 0) return;
    noteDebugCauses(cpu.R, cpu.pendingDebug | (trap ? 1 << 14 : 0));
    cpu.pendingDebug = 0;
    cpu.raise(vector.db);
  }
}
