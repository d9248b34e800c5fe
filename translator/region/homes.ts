/**
 * Where a region with a selector (plan.ts) keeps what its computed jumps leave behind. Of the registers and flags that a block sets many are set again behind the jump before anything
 * reads them; but a load there may fault first, and the guest then sees them. In locals they would go around the loop with the selector, a move or two each and a register of the
 * host's less. So their *home* in front of the selector is memory: written there once, read only by who leaves.
 *
 * A slot is at home where a block begins if all ways to it come from the selector with no write of it. Sets of slots are bit sets.
 */
import { type CalloutRow, callouts } from "../contract/callouts.ts";
import { slot } from "../contract/slots.ts";
import { type MicroBlock, slotNumber } from "../ir/block.ts";
import { operandsOf, operandsOfTerminator, type ResultStatement, type Value } from "../ir/micro.ts";
import type { RegionPlan } from "./plan.ts";

/** General registers and flag words. */
const slots = slot.flagCarry + 1;

export class Homes {
  /** Slots that have a home. */
  readonly all: number;
  /** Of those: at home where each block begins and ends. */
  private readonly begin: Int32Array;
  private readonly end: Int32Array;

  /**
   * @param successors blocks by number
   * @param written slots that may have one
   */
  constructor(blocks: readonly MicroBlock[], successors: readonly (readonly number[])[], plan: RegionPlan, written: Iterable<number>) {
    const uses = blocks.map(useOf);
    let candidates = 0;
    for (const n of written) if (n < slots) candidates |= 1 << n;
    this.all = candidates & ~readBehindSelector(uses, successors, plan);
    this.begin = new Int32Array(blocks.length).fill(this.all);
    this.end = new Int32Array(blocks.length);
    for (let changed = true; changed; ) {
      changed = false;
      blocks.forEach((_, k) => {
        this.end[k] = this.begin[k] & ~uses[k].writes;
      });
      successors.forEach((list, k) => {
        if (plan.usesSelector(k)) return;
        for (const to of list) {
          if (plan.isRedirected(k, to)) continue;
          const both = this.begin[to] & this.end[k];
          changed ||= both !== this.begin[to];
          this.begin[to] = both;
        }
      });
    }
  }

  atBegin(block: number): number {
    return this.begin[block];
  }
  atEnd(block: number): number {
    return this.end[block];
  }
}

/** Numbers of the slots in a bit set. */
export function* slotsIn(set: number): Generator<number> {
  for (let n = 0; n < slots; n++) if ((set & (1 << n)) !== 0) yield n;
}

interface Use {
  /** Before it writes them. */
  readonly reads: number;
  readonly writes: number;
}

function useOf(block: MicroBlock): Use {
  const { statements } = block;
  const isUsed = resultsUsed(block);
  let reads = 0;
  let writes = 0;
  for (const { s } of statements) {
    if (s.kind === "call") {
      const row: CalloutRow = callouts[s.callout];
      if (row.general !== false) reads |= ~writes;
    } else if (s.kind === "get" || s.kind === "set") {
      const n = slotNumber(s.slot);
      if (n >= slots) continue;
      if (s.kind === "set") writes |= 1 << n;
      else if ((writes & (1 << n)) === 0 && isUsed.has(s)) reads |= 1 << n;
    }
  }
  return { reads, writes };
}

/** What passes left unused still stands among the statements. */
function resultsUsed({ statements, terminator }: MicroBlock): ReadonlySet<ResultStatement> {
  const found = new Set<ResultStatement>();
  const seen = new Set<Value>();
  const look = (v: Value): void => {
    if (v.kind === "result") found.add(v.statement);
    if (v.kind !== "pure" || seen.has(v)) return;
    seen.add(v);
    for (const a of v.args) look(a);
  };
  for (const { s } of statements) for (const v of operandsOf(s)) look(v);
  if (terminator !== undefined) for (const v of operandsOfTerminator(terminator)) look(v);
  return found;
}

/** Slots that some block behind the selector reads before any writes them. */
function readBehindSelector(uses: readonly Use[], successors: readonly (readonly number[])[], plan: RegionPlan): number {
  const seen = uses.map(({ reads }) => reads);
  for (let changed = true; changed; ) {
    changed = false;
    for (let k = uses.length - 1; k >= 0; k--) {
      let behind = 0;
      for (const to of plan.usesSelector(k) ? plan.selected : successors[k]) behind |= seen[to];
      const now = seen[k] | (behind & ~uses[k].writes);
      changed ||= now !== seen[k];
      seen[k] = now;
    }
  }
  return plan.selected.reduce((set, k) => set | seen[k], 0);
}
