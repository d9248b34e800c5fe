/**
 * From a control-flow graph to nested statements: loops, labelled blocks, and jumps to them only. The method is the one of Ramsey, "Beyond Relooper" (ICFP 2022):
 * walk the dominator tree; a node that several forward edges reach becomes the place behind a labelled block; a back edge becomes `continue`.
 *
 * An edge that enters a loop elsewhere than at its header (irreducible flow) is cut: it becomes an exit of the region.
 */

/** The graph by dense numbers; node 0 is the entry. */
export interface Graph {
  readonly successors: readonly (readonly number[])[];
}

export interface Analysis {
  /** Position in reverse postorder; -1 for unreachable nodes. */
  readonly order: readonly number[];
  readonly dominator: readonly number[];
  readonly isLoopHeader: readonly boolean[];
  /** Reached by two or more forward edges. */
  readonly isMerge: readonly boolean[];
  /** Children in the dominator tree, latest in reverse postorder first. */
  readonly children: readonly (readonly number[])[];
  /** `from * size + to` of edges that are cut. */
  readonly cut: ReadonlySet<number>;
}

export function analyse(graph: Graph): Analysis {
  const cut = new Set<number>();
  for (;;) {
    const analysis = attempt(graph, cut);
    if (analysis !== undefined) return analysis;
  }
}

function attempt(graph: Graph, cut: Set<number>): Analysis | undefined {
  const size = graph.successors.length;
  const edges = graph.successors.map((list, from) => list.filter((to) => !cut.has(from * size + to)));
  const nodes = reversePostorder(edges);
  const order: number[] = edges.map(() => -1);
  nodes.forEach((n, k) => {
    order[n] = k;
  });
  const predecessors: number[][] = edges.map(() => []);
  for (const from of nodes) for (const to of edges[from]) predecessors[to].push(from);
  const dominator = dominators(nodes, order, predecessors);

  const isLoopHeader = edges.map(() => false);
  const forwardEdges = edges.map(() => 0);
  let isReducible = true;
  for (const from of nodes) {
    for (const to of edges[from]) {
      if (order[to] > order[from]) forwardEdges[to]++;
      else if (dominates(dominator, order, to, from)) isLoopHeader[to] = true;
      else {
        cut.add(from * size + to);
        isReducible = false;
      }
    }
  }
  if (!isReducible) return undefined;
  const children: number[][] = edges.map(() => []);
  for (const n of nodes) if (n !== 0) children[dominator[n]].push(n);
  for (const list of children) list.sort((a, b) => order[b] - order[a]);
  return { order, dominator, isLoopHeader, isMerge: forwardEdges.map((n) => n > 1), children, cut };
}

/** From whom each node is reached. */
export function predecessorsOf({ successors }: Graph): number[][] {
  const predecessors: number[][] = successors.map(() => []);
  successors.forEach((list, from) => {
    for (const to of list) predecessors[to].push(from);
  });
  return predecessors;
}

/**
 * Nodes of the loop that the edges from `back` to `header` close (the natural loop).
 * @param isOutside of nodes that are not looked at: what comes before the header, to which edges that enter the loop elsewhere lead where the graph is not reducible
 */
export function naturalLoop(
  header: number,
  back: readonly number[],
  predecessors: readonly (readonly number[])[],
  isOutside: (node: number) => boolean,
): Set<number> {
  const inside = new Set([header]);
  const todo = [...back];
  for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
    if (inside.has(node) || isOutside(node)) continue;
    inside.add(node);
    todo.push(...predecessors[node]);
  }
  return inside;
}

/** The nodes that can be reached. */
function reversePostorder(edges: readonly (readonly number[])[]): number[] {
  const seen = new Set<number>([0]);
  const post: number[] = [];
  const stack: { node: number; next: number }[] = [{ node: 0, next: 0 }];
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    if (top.next < edges[top.node].length) {
      const to = edges[top.node][top.next++];
      if (!seen.has(to)) {
        seen.add(to);
        stack.push({ node: to, next: 0 });
      }
    } else {
      post.push(top.node);
      stack.pop();
    }
  }
  return post.reverse();
}

/** Immediate dominators by iteration (Cooper, Harvey, Kennedy). */
function dominators(nodes: readonly number[], order: readonly number[], predecessors: readonly (readonly number[])[]): number[] {
  const dominator: number[] = predecessors.map(() => -1);
  dominator[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (const n of nodes) {
      if (n === 0) continue;
      let best = -1;
      for (const p of predecessors[n]) {
        if (dominator[p] < 0) continue;
        best = best < 0 ? p : intersect(dominator, order, p, best);
      }
      if (best >= 0 && dominator[n] !== best) {
        dominator[n] = best;
        changed = true;
      }
    }
  }
  return dominator;
}

function intersect(dominator: readonly number[], order: readonly number[], a: number, b: number): number {
  while (a !== b) {
    while (order[a] > order[b]) a = dominator[a];
    while (order[b] > order[a]) b = dominator[b];
  }
  return a;
}

function dominates(dominator: readonly number[], order: readonly number[], a: number, b: number): boolean {
  while (order[b] > order[a]) b = dominator[b];
  return a === b;
}
