/**
 * How a region's blocks become nested statements. The structuring (structure.ts) needs a reducible graph; where guest code is not, and where several computed jumps share
 * their targets (an interpreter's threaded code), a *selector* is put in front of everything: a node that goes to the block whose EIP is in `t`. Where the entry begins two
 * loops, one in the other, such a node is the outer one's header.
 */
import { type Analysis, analyse, naturalLoop, predecessorsOf } from "./structure.ts";

export interface RegionPlan {
  /** Blocks are nodes from `first` on: 1 if there is a selector, which is node 0; otherwise 0. */
  readonly first: 0 | 1;
  /** Blocks the selector goes to, by number. */
  readonly selected: readonly number[];
  /** The selector has one target, the entry, and is there for the outer of two loops that would have one header. */
  readonly isNest: boolean;
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
 * @param hasNests whether two loops that begin at the entry are told apart
 */
export function plan(successors: readonly (readonly number[])[], isTable: (block: number) => boolean, hasNests: boolean): RegionPlan {
  const size = successors.length;
  const selected = new Set<number>();
  const redirected = new Set<number>();
  const tables = successors.flatMap((list, block) => (isTable(block) && list.length > fewTargets ? [block] : []));
  let isNest = false;
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
      const outer = hasNests && first === 0 ? outerBackEdges(successors, analysis) : [];
      if (outer.length > 0) {
        isNest = true;
        selected.add(0);
        for (const from of outer) redirected.add(from * size);
        continue;
      }
      return {
        first,
        selected: [...new Set([0, ...selected])],
        // Other edges may have come to need the selector as well.
        isNest: isNest && selected.size === 1,
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

/**
 * Blocks from which the outer of two loops goes back that begin at the entry both: regions are often made from an inner loop's beginning on, around which the outer one goes. They are told
 * apart by what is in them: the smallest loop that one edge back closes is inside, and what goes back from elsewhere belongs to the outer one.
 */
function outerBackEdges(successors: readonly (readonly number[])[], { order }: Analysis): number[] {
  const predecessors = predecessorsOf({ successors });
  const isUnreachable = (block: number): boolean => order[block] < 0;
  const back = [...new Set(predecessors[0])].filter((from) => !isUnreachable(from));
  if (back.length < 2) return [];
  const loops = back.map((from) => naturalLoop(0, [from], predecessors, isUnreachable));
  const inner = loops.reduce((a, b) => (b.size < a.size ? b : a));
  const isNest = loops.every((loop) => [...inner].every((block) => loop.has(block)));
  return isNest ? back.filter((from) => !inner.has(from)) : [];
}
