/** The handlers of the dispatcher's own instructions (code/pseudo-shapes.ts). WebAssembly has its own of those met most often (wasm-tier.ts). */
import { linearCode as linearCodeImported, modeWidth as modeWidthImported } from "../../translator/contract/mode-key.ts";
import { segment, slot as slotImported, vector as vectorImported } from "../../translator/contract/slots.ts";
import type { BlockBuilder } from "../code/block-builder.ts";
import type { CodeCache } from "../code/code-cache.ts";
import { type Handler, maximumBlockInstructions, pseudo, stopBlock as stopBlockImported } from "../code/pseudo-shapes.ts";
import type { Cpu } from "../cpu/cpu.ts";
import type { Entry } from "./entry.ts";
import type { Links } from "./links.ts";
import type { SingleStep } from "./single-step.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const vector = vectorImported;
const linearCode = linearCodeImported;
const modeWidth = modeWidthImported;
const stopBlock = stopBlockImported;
const { budget, page: pageSlot, tlbHalf, mode: modeSlot, eip: eipSlot } = slot;
const csBase = slot.segmentBase + segment.cs;
const csLimit = slot.segmentLimit + segment.cs;

export interface PseudoHost {
  readonly cache: CodeCache;
  readonly entry: Entry;
  readonly links: Links;
  readonly stepper: SingleStep;
  /** With R[eip] current: the link to go on by. */
  readonly dispatch: () => number;
  /** The same after a guest exception that WebAssembly met. */
  readonly fault: () => number;
}

/** Gives `builder` all of them. */
export function definePseudoInstructions(builder: BlockBuilder, cpu: Cpu, { cache, entry, links, stepper, dispatch, fault }: PseudoHost): void {
  const { C } = cache;
  const { R } = cpu;
  const { TX } = cpu.memory;
  const define = (number: number, size: number, handler: Handler): void => builder.define(number, size, handler);
  define(pseudo.stop, 1, () => ~stopBlock);
  define(pseudo.fault, 1, fault);
  define(pseudo.dispatch, 1, dispatch);
  for (let left = 0; left <= maximumBlockInstructions; left++) {
    define(pseudo.poison + left, 1, (p) => {
      R[eipSlot] = (R[pageSlot] + (C[p] >>> 16)) | 0;
      R[budget] += left;
      return dispatch();
    });
    define(pseudo.poisonAtStart + left, 1, (p) => {
      R[budget] += left;
      return ~links.revive(p);
    });
  }
  define(pseudo.fall, 2, (p) => C[p + 1]);
  define(pseudo.stub, 6, (p) => ~links.arrive(p));
  define(pseudo.crossPage, 6, (p) => {
    const eip = (R[pageSlot] + C[p + 1]) | 0;
    const T = TX[R[tlbHalf] + (eip >>> 12)];
    if ((T & 1) !== 0 || ((T ^ eip) & ~0xfff) !== C[p + 3]) return ~links.relink(p);
    R[pageSlot] = (eip & ~0xfff) | 0;
    return ~C[p + 4];
  });
  define(pseudo.crossSegmented, 6, (p) => {
    // If EIP wraps around here, neither the page nor its place is the one that the link was made for.
    const eip = (R[pageSlot] + C[p + 1]) | 0;
    const linear = (eip + R[csBase]) | 0;
    const T = TX[R[tlbHalf] + (linear >>> 12)];
    const page = (eip - (linear & 0xfff)) | 0;
    if ((T & 1) !== 0 || ((T ^ linear) & ~0xfff) !== C[p + 3] || !entry.fits(C[p + 4], page)) return ~links.relink(p);
    R[pageSlot] = page;
    return ~C[p + 4];
  });
  define(pseudo.straddle, 2, (p) => {
    const eip = (R[pageSlot] + 0x1000) | 0;
    if ((R[modeSlot] & linearCode) !== linearCode) {
      // The straddling instruction is alone in its block.
      const last = (R[pageSlot] + (C[p] >>> 16) + (C[p - 4] >>> modeWidth) - 1) | 0;
      if (last >>> 0 > R[csLimit] >>> 0) cpu.raise(vector.gp, 0);
    }
    const next = cpu.memory.translateFetch((eip + R[csBase]) | 0);
    if ((next | 0) === C[p + 1]) return p + 2;
    // Another page follows now: decode again. Nothing of this block has run.
    R[eipSlot] = (R[pageSlot] + (C[p] >>> 16)) | 0;
    if (!stepper.isUnderWay) R[budget] += C[p - 2];
    cache.invalidate(C[p - 2 - 3] >>> 12, C[p] >>> 16, (C[p] >>> 16) + 1);
    return dispatch();
  });
  define(pseudo.undefinedOpcode, 1, () => cpu.raise(vector.ud));
  define(pseudo.tooLong, 1, () => cpu.raise(vector.gp, 0));
}
