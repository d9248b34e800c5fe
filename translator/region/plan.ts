/**
 * How a region's blocks become nested statements. The structuring (structure.ts) needs a reducible graph; where guest code is not, and where several computed jumps share
 * their targets (an interpreter's threaded code), a *selector* is put in front of everything: a node that goes to the block whose EIP is in `t`.
 */
import { type Analysis, analyse } from "./structure.ts";

export interface RegionPlan {
  /** Blocks are nodes from `first` on: 1 if there is a selector, which is node 0; otherwise 0. */
  readonly first: 0 | 1;
  /** Blocks the selector goes to, by number. */
  readonly selected: readonly number[];
  readonly analysis: Analysis;
  /** Whether the edge between two blocks goes through the selector. */
  isRedirected(from: number, to: number): boolean;
  /** Whether the computed jump that ends a block leaves its choice to the selector. */
  usesSelector(block: number): boolean;
}

/** Targets of one computed jump up to which it tests for them itself although others share them. */
const fewTargets = 4;

/**
 * @param successors of each block, as block numbers
 * @param isTable whether the block ends in a jump through a table
 */
export function plan(successors: readonly (readonly number[])[], isTable: (block: number) => boolean): RegionPlan {
  const size = successors.length;
  const selected = new Set<number>();
  const redirected = new Set<number>();
  const tables = successors.flatMap((list, block) => (isTable(block) && list.length > fewTargets ? [block] : []));
  const shared = new Set(tables.length > 1 ? tables : []);
  for (const block of shared) for (const to of successors[block]) selected.add(to);
  for (;;) {
    const first = selected.size > 0 ? 1 : 0;
    const edges = successors.map((list, from) => {
      const direct = shared.has(from) ? [] : list.filter((to) => !redirected.has(from * size + to)).map((to) => to + first);
      return direct.length === list.length ? direct : [...direct, 0];
    });
    if (first === 1) edges.unshift([...new Set([0, ...selected])].map((to) => to + 1));
    const analysis = analyse({ successors: edges });
    if (analysis.cut.size === 0) {
      return {
        first,
        selected: [...new Set([0, ...selected])],
        analysis,
        isRedirected: (from, to) => redirected.has(from * size + to),
        usesSelector: (block) => shared.has(block),
      };
    }
    for (const edge of analysis.cut) {
      const from = Math.floor(edge / edges.length) - first;
      const to = (edge % edges.length) - first;
      redirected.add(from * size + to);
      selected.add(to);
    }
  }
}
