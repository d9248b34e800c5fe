/** Blocks of tier 0 that a guest exception leaves in the middle: which instruction met it, and how many of those that the header took off the budget did not run. */
import { slot } from "../../translator/contract/slots.ts";
import type { Translator } from "../../translator/contract/translator.ts";
import type { BlockBuilder } from "../code/block-builder.ts";
import { shapeBits as shapeBitsImported } from "../code/code-cache.ts";
import { firstShape as firstShapeImported, pseudo as pseudoImported } from "../code/pseudo-shapes.ts";
import type { Cpu } from "../cpu/cpu.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const { budget, page: pageSlot, eip: eipSlot, faultOffset } = slot;
const pseudo = pseudoImported;
const firstShape = firstShapeImported;
const shapeBits = shapeBitsImported;

export class PartialBlocks {
  private readonly cpu: Cpu;
  private readonly C: Int32Array;
  private readonly builder: BlockBuilder;
  private readonly translator: Translator;

  constructor(cpu: Cpu, C: Int32Array, builder: BlockBuilder, translator: Translator) {
    this.cpu = cpu;
    this.C = C;
    this.builder = builder;
    this.translator = translator;
  }

  /** The handler at word `p` met a guest exception: R[eip] becomes that of the instruction, and the budget has back what did not run. */
  leave(p: number): void {
    const { R } = this.cpu;
    const offset = this.faultingOffset(p);
    R[eipSlot] = (R[pageSlot] + offset) | 0;
    R[budget] += this.unexecuted(p, offset);
  }

  /** Page offset of the instruction that faulted in the handler at word `p`. */
  private faultingOffset(p: number): number {
    return this.builder.instructions[this.C[p] & shapeBits] > 1 ? this.cpu.R[faultOffset] : this.C[p] >>> 16;
  }

  /** Instructions of a block from the one at word `p`, or the part of it at page offset `offset`, on: its header took them off the budget, but they did not run. */
  private unexecuted(p: number, offset: number): number {
    const { C } = this;
    const { sizes, instructions } = this.builder;
    let count = 0;
    if (instructions[C[p] & shapeBits] > 1) {
      // The parts before the one at fault did run.
      this.translator.shape((C[p] & shapeBits) - firstShape).parts.forEach((word, k) => {
        if (word !== 0 && C[p + word] === offset) count = -1 - k;
      });
    }
    for (let at = p; (C[at] & shapeBits) !== pseudo.fall; at += sizes[C[at] & shapeBits]) {
      const shape = C[at] & shapeBits;
      if (shape >= pseudo.poisonAtStart && shape < firstShape) return count + shape - pseudo.poisonAtStart;
      if (shape >= pseudo.poison && shape < firstShape) return count + shape - pseudo.poison;
      if (shape === pseudo.stub) break;
      if (shape !== pseudo.straddle) count += instructions[shape];
      if (shape < firstShape ? shape === pseudo.undefinedOpcode || shape === pseudo.tooLong : this.translator.shape(shape - firstShape).endsBlock)
        break;
    }
    return count;
  }
}
