/** The one ordered list of passes over a block. Dead writes come last, for they need the liveness of the whole region. */
import type { MicroBlock } from "../ir/block.ts";
import { forward } from "./forward.ts";
import { type Fold, simplify } from "./simplify.ts";

export interface Pass {
  /** Its name among the optimisations (contract/optimisations.ts). */
  readonly name: string;
  readonly run: (block: MicroBlock, fold: Fold) => MicroBlock;
}

export const blockPasses: readonly Pass[] = [
  { name: "forward", run: forward },
  { name: "simplify", run: simplify },
];

/** Told of a block as a pass left it; "lifted" and "dead" are what comes before and after `blockPasses`. */
export type PassObserver = (pass: string, block: MicroBlock) => void;

/** @param disabled names of passes to leave out, to bisect a wrong result; @param passes others than the usual ones, for tests */
export function runPasses(
  block: MicroBlock,
  fold: Fold,
  disabled: ReadonlySet<string> = new Set(),
  observe?: PassObserver,
  passes: readonly Pass[] = blockPasses,
): MicroBlock {
  let current = block;
  for (const pass of passes) {
    if (disabled.has(pass.name)) continue;
    current = pass.run(current, fold);
    observe?.(pass.name, current);
  }
  return current;
}
