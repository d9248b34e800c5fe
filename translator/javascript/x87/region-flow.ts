/** Where in a region the state of the register stack is open (region-stack.ts), and what is known statically there. */
import { type CalloutName, type CalloutRow, callouts } from "../../contract/callouts.ts";
import { slot } from "../../contract/slots.ts";
import { type MicroBlock, slotNumber } from "../../ir/block.ts";
import type { Statement as MicroStatement } from "../../ir/micro.ts";
import type { RegionPlan } from "../../region/plan.ts";
import * as js from "../estree.ts";
import { hasShortcut } from "../shortcuts.ts";
import { x87ExpansionOf } from "./expand.ts";
import { Facts, type Point, RegionStack } from "./region-stack.ts";

/** What a callout has to do with the register stack. */
export type X87Use =
  /** It is done in line. */
  | "inLine"
  /** It leaves the state alone, and does not look at it. */
  | "none"
  /** It may look at the state, and change it. */
  | "any";

const harmless = new Set<CalloutName>(["checkDivide", "checkDivideSigned", "checkCodeLimit"]);

export function x87UseOf(callout: CalloutName, inDoubles: boolean): X87Use {
  if (x87ExpansionOf(callout, inDoubles) !== undefined) return "inLine";
  const row: CalloutRow = callouts[callout];
  // Callouts on vector operands say what they read.
  return row.slots !== undefined || harmless.has(callout) || hasShortcut(callout) ? "none" : "any";
}

/** MMX does, and what comes with it. */
function touchesRegisters(s: MicroStatement): boolean {
  if (s.kind === "call") return (callouts[s.callout] as CalloutRow).onX87State === true || s.callout === "pendingFloatException";
  if (s.kind !== "get" && s.kind !== "set") return false;
  const n = slotNumber(s.slot);
  return n >= slot.fpuMantissaLow && n < slot.fpuInexact + 2 && !(n > slot.fpuDs && n < slot.fpuPairHigh);
}

/** V8 never optimises a function of more than 61,440 bytes of bytecode; an expansion comes to a few hundred. */
const affordable = 120;

/** Straight code without a callout of any kind among its x87 instructions, as if it were at the start. */
interface Segment {
  /** It has x87 instructions that are done in line. */
  readonly isUsed: boolean;
  readonly facts: Facts;
  readonly moved: number;
  readonly toggled: number;
}

/** A point by its place instead of what is known of it. */
interface State {
  readonly moved: number;
  readonly toggled: number;
  /** Of the facts: the block and the segment that they begin with, as one number. */
  readonly key: number;
}

const segmentsOfBlock = 1024;
const rotate = (mask: number, by: number): number => ((mask << by) | (mask >>> (8 - by))) & 0xff;

export class X87Flow {
  /** Of the whole region. */
  readonly all = { used: 0, dirty: 0, hasPushed: false };
  private readonly segments: readonly (readonly Segment[])[];
  private readonly predecessors: readonly (readonly number[])[];
  private readonly isWanted: readonly boolean[];
  /** By block; null: closed. */
  private readonly entries: (State | null | undefined)[];
  private readonly facts = new Map<number, Facts>();

  /**
   * @param successors blocks by number
   * @returns undefined if no x87 instruction is to be done in line: there are none, or too many, or MMX has the registers as integers
   */
  static of(blocks: readonly MicroBlock[], successors: readonly (readonly number[])[], plan: RegionPlan, inDoubles: boolean): X87Flow | undefined {
    let count = 0;
    for (const { statements } of blocks) {
      for (const { s } of statements) {
        if (s.kind === "call" && x87ExpansionOf(s.callout, inDoubles) !== undefined) count++;
        else if (touchesRegisters(s)) return undefined;
      }
    }
    return count === 0 || count > affordable ? undefined : new X87Flow(blocks, successors, plan, inDoubles);
  }

  private constructor(blocks: readonly MicroBlock[], successors: readonly (readonly number[])[], plan: RegionPlan, inDoubles: boolean) {
    this.segments = blocks.map((block) => segmentsOf(block, inDoubles));
    const isDirect = (from: number, to: number): boolean => !plan.usesSelector(from) && !plan.isRedirected(from, to);
    const predecessors: number[][] = blocks.map(() => []);
    successors.forEach((list, from) => {
      for (const to of list) predecessors[to].push(isDirect(from, to) ? from : closed);
    });
    if (plan.first === 1) for (const to of plan.selected) predecessors[to].push(closed);
    predecessors[0].push(closed);
    this.predecessors = predecessors;
    const order = plan.analysis.order.slice(plan.first);
    this.isWanted = wantedBlocks(this.segments, predecessors, order);
    this.entries = blocks.map(() => undefined);
    this.solve(order);
    this.gather();
  }

  /** What is known at the start of a block; undefined: the state is closed. */
  entry(block: number): Point | undefined {
    const state = this.entries[block];
    return state == null ? undefined : { moved: state.moved, toggled: state.toggled, facts: this.factsOf(state.key) };
  }
  /** All ways to a block come with the state closed, which is open in it. */
  opensIn(block: number): boolean {
    return this.entries[block] != null && this.predecessors[block].every((from) => this.end(from) === null);
  }
  /** Behind callout number `k` of a block that may change anything; undefined: the state stays closed. */
  factsBehind(block: number, k: number): Facts | undefined {
    return this.segments[block].slice(k + 1).some(({ isUsed }) => isUsed) ? this.factsOf(block * segmentsOfBlock + k + 1) : undefined;
  }

  private factsOf(key: number): Facts {
    return this.facts.get(key) ?? new Facts(0);
  }

  /** Behind a block; null: closed; undefined: not known yet. */
  private end(block: number): State | null | undefined {
    if (block === closed) return null;
    const entry = this.entries[block];
    if (entry == null) return entry;
    let { moved, toggled, key } = entry;
    const segments = this.segments[block];
    if (segments.length > 1 && !segments[segments.length - 1].isUsed) return null;
    segments.forEach((segment, k) => {
      if (k > 0) key = block * segmentsOfBlock + k;
      toggled ^= rotate(segment.toggled, moved);
      moved = (moved + segment.moved) & 7;
    });
    return { moved, toggled, key };
  }

  private solve(order: readonly number[]): void {
    const blocks = order.map((_, k) => k).filter((k) => order[k] >= 0);
    blocks.sort((a, b) => order[a] - order[b]);
    // Once facts begin with a block, or the state is closed there, that is so for good.
    const isSettled = blocks.map(() => false);
    for (let changed = true; changed; ) {
      changed = false;
      for (const k of blocks) {
        if (isSettled[k]) continue;
        const ends = this.predecessors[k].map((from) => this.end(from)).filter((end) => end !== undefined);
        if (ends.length === 0) continue;
        const open = ends.filter((end) => end !== null);
        const before = this.entries[k];
        const [first] = open;
        const agree = open.length === ends.length && open.every((end) => end.moved === first.moved && end.toggled === first.toggled);
        if (agree && open.length > 0 && open.every(({ key }) => key === first.key)) this.entries[k] = first;
        else {
          isSettled[k] = true;
          const { moved, toggled } = first ?? { moved: 0, toggled: 0 };
          this.entries[k] = this.isWanted[k] || agree ? { moved, toggled, key: k * segmentsOfBlock } : null;
        }
        const now = this.entries[k];
        if (before?.moved !== now?.moved || before?.toggled !== now?.toggled || before?.key !== now?.key || before === undefined) changed = true;
      }
    }
  }

  /** What is counted on where it is asked for. */
  private gather(): void {
    this.segments.forEach((segments, block) => {
      const entry = this.entries[block];
      if (entry == null) return;
      let { moved, toggled, key } = entry;
      segments.forEach((segment, k) => {
        if (k > 0) key = block * segmentsOfBlock + k;
        let facts = this.facts.get(key);
        if (facts === undefined) {
          facts = new Facts(this.toggledAt(key));
          this.facts.set(key, facts);
        }
        for (let at = 0; at < 8; at++) {
          if (((segment.facts.known >>> at) & 1) !== 0) facts.expect((at + moved) & 7, ((segment.facts.empty >>> at) & 1) !== 0, toggled);
        }
        facts.used |= rotate(segment.facts.used, moved);
        this.all.used |= rotate(segment.facts.used, moved);
        this.all.dirty |= rotate(segment.facts.dirty, moved);
        if (segment.facts.hasPushed) this.all.hasPushed = true;
        toggled ^= rotate(segment.toggled, moved);
        moved = (moved + segment.moved) & 7;
      });
    });
  }

  /** Tags changed where facts begin. */
  private toggledAt(key: number): number {
    const block = Math.floor(key / segmentsOfBlock);
    let { moved, toggled } = this.entries[block] as State;
    for (const segment of this.segments[block].slice(0, key % segmentsOfBlock)) {
      toggled ^= rotate(segment.toggled, moved);
      moved = (moved + segment.moved) & 7;
    }
    return toggled;
  }
}

const closed = -1;

/** Blocks with x87 instructions, and headers of loops around some: there the state is opened. */
function wantedBlocks(segments: readonly (readonly Segment[])[], predecessors: readonly (readonly number[])[], order: readonly number[]): boolean[] {
  const isWanted = segments.map((list) => list.some(({ isUsed }) => isUsed));
  const own = [...isWanted];
  predecessors.forEach((list, header) => {
    const inside = new Set<number>([header]);
    const work = list.filter((from) => from !== closed && order[from] >= order[header]);
    for (let from = work.pop(); from !== undefined; from = work.pop()) {
      if (inside.has(from)) continue;
      inside.add(from);
      work.push(...predecessors[from].filter((k) => k !== closed));
    }
    if (inside.size > 1 || list.includes(header)) for (const k of inside) if (own[k]) isWanted[header] = true;
  });
  return isWanted;
}

/** What a block's instructions do, found by expanding them for nobody. */
function segmentsOf(block: MicroBlock, inDoubles: boolean): Segment[] {
  const out: Segment[] = [];
  const nowhere = { push: () => {}, free: () => {}, name: () => "v" };
  const site = { next: 0, codeAddress: js.toInt32, leaveBehind: () => [], afterInstruction: () => {} };
  let stack: RegionStack | undefined;
  const begin = (): RegionStack => {
    const made = new RegionStack(site, inDoubles, { used: 0, dirty: 0, hasPushed: false }).attach(nowhere);
    made.at({ moved: 0, toggled: 0, facts: new Facts(0) });
    return made;
  };
  const finish = (): void => {
    const point = stack?.point ?? { moved: 0, toggled: 0, facts: new Facts(0) };
    out.push({ ...point, isUsed: stack !== undefined });
    stack = undefined;
  };
  for (const { s } of block.statements) {
    if (s.kind !== "call") continue;
    const expand = x87ExpansionOf(s.callout, inDoubles);
    if (expand !== undefined) {
      stack ??= begin();
      const args = s.args.map((v) => (v.kind === "constant" ? js.literal(v.value) : js.identifier("v")));
      expand({ ...nowhere, stack, args, callout: () => [], tlbEntry: () => js.identifier("v") });
    } else if (x87UseOf(s.callout, inDoubles) === "any") finish();
  }
  finish();
  return out;
}
