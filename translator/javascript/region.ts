/**
 * A region as JavaScript:
 *
 *     function f_c0123456() {
 *       const PB = R[13];                        // EIP of the page's first byte: the region does not care where it is mapped
 *       let eax = R[0], ...;                     // only registers it uses
 *       let n = R[14], n0 = n, x = 0, t = 0;     // budget, and what it was; exit number; computed target
 *       try { X: { ...structured code... } }
 *       catch (e) { x = guestFault(e) }          // rethrows what is not a guest exception
 *       R[0] = eax; ...                          // one epilogue, dirty registers only
 *       R[14] = R[14] - (n0 - n) | 0;
 *       return leave(x)
 *     }
 *
 * Code on other pages than the entry's: an edge to it tests that the instruction TLB still leads to the physical page it was translated from.
 *
 * Exit numbers: k >= 0, the static exit whose link word is C[L + k]; below, see `leaving`. Budget: each block takes its instructions off `n`, a back edge looks at it;
 * leaving in the middle gives back what was not executed.
 *
 * Around a selector (region/plan.ts) part of the state is in memory, and in locals only once it is written (region/homes.ts).
 */
import { type CalloutName, type CalloutRow, callouts } from "../contract/callouts.ts";
import { isLinearCode, type ModeKey, mode } from "../contract/mode-key.ts";
import { deepestCall } from "../contract/region-targets.ts";
import { faultPlace, jsCall, type SlotName, segment, slot } from "../contract/slots.ts";
import type { RegionCode, RegionFacts } from "../contract/translator.ts";
import { type MicroBlock, slotNumber } from "../ir/block.ts";
import {
  type LoadStatement,
  type SetStatement,
  type SlotRef,
  type SlotType,
  type StoreStatement,
  type Terminator,
  type Value,
  wordsOfType,
} from "../ir/micro.ts";
import { sunkSets } from "../passes/sink.ts";
import { Homes, slotsIn } from "../region/homes.ts";
import { jumpTableOf } from "../region/jump-table.ts";
import type { RegionPlan } from "../region/plan.ts";
import { type SiteAccess, type SiteGroup, Sites } from "../region/sites.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { LazyCarry } from "./lazy-carry.ts";
import { print } from "./print.ts";
import type { PureTemplates } from "./pure-templates.ts";
import { type RegionTarget, regionTarget, targetNames } from "./region-targets.ts";
import { isVectorSlot, mayAccessVectors, placeOf } from "./simd/accesses.ts";
import { MmxRegisters } from "./simd/mmx.ts";
import { isStoreInLine } from "./simd/packed.ts";
import { VectorPlaces } from "./simd/places.ts";
import { WholeVectors } from "./simd/whole.ts";
import { type SiteBase, StatementEmitter, type Target } from "./statements.ts";
import { tailValues } from "./tier0.ts";
import { x87ExpansionOf } from "./x87/expand.ts";
import type { RegionSite } from "./x87/region-stack.ts";
import { outsideBlocks, RegionX87 } from "./x87/region-x87.ts";
import type { X87Site } from "./x87/stack.ts";

const nothing: readonly never[] = Object.freeze([]);

/** Exits other than to a link. */
const leaving = {
  /** jump to EIP t */ computed: -1,
  /** to EIP t by RET */ returned: -2,
  /** R[eip] = t is set below; go on there through the dispatcher */ dispatchAt: -3,
  /** R[eip] is right */ dispatch: -4,
  fault: -5,
} as const;

/** Slots that live in locals: general registers and flag words. */
const localNames: Partial<Record<number, string>> = {};
for (const name of ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "flagZero", "flagSign", "flagCarry"] satisfies SlotName[]) {
  localNames[slot[name]] = name.replace("flag", "f");
}
Object.freeze(localNames);

export interface RegionInput {
  readonly name: string;
  readonly mode: ModeKey;
  /** Blocks after the passes; the entry first. */
  readonly blocks: readonly MicroBlock[];
  /** Successors of each block by page offset, in the order of its terminator (branch: taken, fall; a computed jump: those to test for). */
  readonly successors: readonly (readonly number[])[];
  readonly plan: RegionPlan;
  /** What something sees of the slots as they are where each block begins (passes/dead.ts); absent: all of it. */
  readonly liveAtEntry?: readonly number[] | undefined;
  /** Physical address of the page `k` pages behind the entry's. */
  readonly pageAddress: (k: number) => number;
  /** Whether callouts on vector registers are done in line. */
  readonly inLineVectors: boolean;
  /** Whether these are vectors of WebAssembly: then their lifts know them. */
  readonly hasWholeVectors: boolean;
  /** Whether carries are computed only where they are seen. */
  readonly isCarryLazy: boolean;
  /** Whether computed jumps to many places go by a table. */
  readonly hasTables: boolean;
  /** Whether what nothing reads behind the selector is in memory there. */
  readonly hasHomes: boolean;
  /** Whether calls, jumps and returns look for the region that they lead to themselves. */
  readonly hasTargets: boolean;
  /** Whether accesses that stay on one page for long have sites. */
  readonly hasSites: boolean;
  /** Whether accesses near each other that have none ask the TLB together. */
  readonly hasNeighbours: boolean;
  /** Whether x87 registers hold plain doubles. */
  readonly x87InDoubles?: boolean;
  /** As in the request (contract/translator.ts). */
  readonly usualEntry: number | undefined;
  /** As in the facts. */
  readonly soft: ReadonlySet<number>;
}

/** Where a CALL goes: a computed EIP, or a page offset relative to the entry's page. */
type CallTarget = { readonly eip: Expression } | { readonly offset: number };

/** What is sunk out of a block (passes/sink.ts): if its back edge leaves, and on its other way. */
interface SunkStatements {
  readonly outOfTime: readonly Statement[];
  readonly otherwise: readonly Statement[];
}

/** A region as it is made. */
export interface RegionParts extends RegionFacts {
  readonly statements: readonly Statement[];
}

export function regionParts(input: RegionInput, templates: PureTemplates): RegionParts {
  return new RegionPrinter(input, templates).print();
}

/**
 * The region as a tree, too: WebAssembly is made from it as well (../wasm). A tree takes ten times the memory of its text, and few are ever looked at: once released it is
 * made again for whoever asks.
 */
export class RegionTree implements RegionCode {
  readonly name: string;
  readonly size: number;
  readonly freeNames: readonly string[];
  readonly exits: readonly number[];
  readonly wrapping: ReadonlySet<number>;
  readonly ranges: RegionCode["ranges"];
  readonly soft: ReadonlySet<number>;
  readonly instructions: number;
  readonly isCallable: boolean;
  private made: readonly Statement[] | undefined;
  private readonly again: () => readonly Statement[];

  /** @param again the same statements once more */
  constructor(parts: RegionParts, again: () => readonly Statement[]) {
    this.name = parts.name;
    this.size = parts.size;
    this.freeNames = parts.freeNames;
    this.exits = parts.exits;
    this.wrapping = parts.wrapping;
    this.ranges = parts.ranges;
    this.soft = parts.soft;
    this.instructions = parts.instructions;
    this.isCallable = parts.isCallable;
    this.made = parts.statements;
    this.again = again;
  }

  get statements(): readonly Statement[] {
    return this.made ?? this.again();
  }
  get text(): string {
    return print(js.functionExpression(this.name, [], [...this.statements]));
  }
  release(): void {
    this.made = undefined;
  }
}

class RegionPrinter implements Target, RegionSite {
  private readonly input: RegionInput;
  private readonly templates: PureTemplates;
  private readonly numbers = new Map<number, number>();
  private readonly freeNames = new Set<string>(["R", "C", "L", "guestFault"]);
  private readonly used = new Set<number>();
  private readonly dirty = new Set<number>();
  private readonly exits: number[] = [];
  private readonly wrapping = new Set<number>();
  private names = 0;
  /** Page offset of the instruction being printed, and of its successor. */
  private offset = 0;
  next = 0;
  /** Instructions of the block from the current one on. */
  private unexecuted = 0;
  private current: MicroBlock;
  /** The instruction under way made a callout that may write memory. */
  private calledOut = false;
  private readonly callsSubroutines: boolean;
  /** Some callout may fault after it changed general registers. */
  private callsGeneral = false;
  private readonly analysis;
  private readonly leavesBy = new Set<number>();
  private readonly carry: LazyCarry;
  private readonly vectors: VectorPlaces;
  private readonly whole: WholeVectors | undefined;
  readonly inLineVectors: VectorPlaces | undefined;
  /** MMX registers, if they are in locals. */
  private readonly mmx: MmxRegisters | undefined;
  /** The x87 registers, if they are in locals. */
  private readonly registers: RegionX87 | undefined;
  /** Where state is around the selector, if there is one; and which slots are at home where the text is being printed. */
  private readonly homes: Homes | undefined;
  private atHome = 0;
  private readonly sites: Sites | undefined;
  readonly siteBases = new Map<SiteGroup, SiteBase>();
  /** What x87 instructions want printed behind the running instruction. */
  private readonly behind: Statement[] = [];

  constructor(input: RegionInput, templates: PureTemplates) {
    this.input = input;
    this.templates = templates;
    this.current = input.blocks[0];
    let callsSubroutines = false;
    let hasVectors = false;
    input.blocks.forEach((block, k) => {
      this.numbers.set(block.offset, k + input.plan.first);
      for (const { s } of block.statements) {
        if (s.kind === "call" && s.callout === "subroutine") callsSubroutines = true;
        if (!hasVectors && mayAccessVectors(s)) hasVectors = true;
        if (s.kind !== "get" && s.kind !== "set") continue;
        const n = slotNumber(s.slot);
        if (localNames[n] === undefined) continue;
        this.used.add(n);
        if (s.kind === "set") this.dirty.add(n);
      }
    });
    this.callsSubroutines = callsSubroutines;
    this.carry = new LazyCarry(input.blocks);
    this.analysis = input.plan.analysis;
    const { first, selected, usesSelector } = input.plan;
    const inside = input.successors.map((list) => list.map((to) => (this.numbers.get(to) ?? -1) - first).filter((to) => to >= 0));
    const graph = inside.map((list, k) => (usesSelector(k) ? selected : list));
    const [vectorBlocks, edges] = input.inLineVectors && hasVectors ? [input.blocks, graph] : [[], []];
    this.whole = input.hasWholeVectors ? new WholeVectors(vectorBlocks, edges, templates) : undefined;
    this.vectors = this.whole ?? new VectorPlaces(vectorBlocks, edges, templates);
    this.inLineVectors = input.inLineVectors ? this.vectors : undefined;
    this.mmx = input.inLineVectors ? MmxRegisters.of(input.blocks) : undefined;
    for (const { used, dirty } of this.mmx === undefined ? [this.vectors] : [this.vectors, this.mmx]) {
      for (const n of used) this.used.add(n);
      for (const n of dirty) this.dirty.add(n);
    }
    if (input.hasSites) {
      const seed = (input.pageAddress(0) >>> 12) ^ (input.blocks[0].offset << 8);
      this.sites = new Sites(input.blocks, inside, input.plan, input.hasNeighbours, (input.mode & mode.user) !== 0, seed);
    }
    if (input.hasHomes && first === 1) {
      const carryStays = this.isLazy(slot.flagCarry) && !this.carry.isPlain;
      this.homes = new Homes(
        input.blocks,
        inside,
        input.plan,
        [...this.dirty].filter((n) => !(carryStays && n === slot.flagCarry)),
      );
    }
    this.registers = RegionX87.of(this, input.blocks, inside, input.plan, input.x87InDoubles === true);
    if (this.registers !== undefined) this.freeNames.add("K");
  }

  print(): RegionParts {
    const body: Statement[] = [];
    const { registers } = this;
    if (this.input.plan.first === 0) body.push(...(registers?.atEntry() ?? []));
    this.tree(0, body);
    const fault = leaving.fault;
    const spill = this.writeBack(this.dirty);
    const statements: Statement[] = [
      js.declare("const", "PB", this.register(slot.page)),
      ...[...this.used].flatMap((n) =>
        this.isLazy(n) ? this.carry.declarations(this.register(n)) : [js.declare("let", this.local(n).name, this.register(n))],
      ),
      ...this.vectors.declarations(),
      ...(registers?.declarations(body) ?? []),
      ...(this.callsSubroutines ? [js.declare("const", "r", js.index("J", js.literal(jsCall.returnTo)))] : []),
      js.declare("let", "n", this.register(slot.budget)),
      this.homes === undefined ? js.declare("let", "n0", js.identifier("n")) : this.noteBudget(),
      js.declare("let", "x", js.literal(0)),
      js.declare("let", "t", this.input.plan.first === 0 ? js.literal(0) : this.codeAddress(js.literal(this.input.blocks[0].offset))),
      // In R all is at home, but for the carries.
      ...this.storeHome((this.homes?.all ?? 0) & (this.isLazy(slot.flagCarry) ? 1 << slot.flagCarry : 0)),
      js.tryCatch([js.labeled("X", js.block(body))], "e", [
        js.expressionStatement(js.call("guestFault", [js.identifier("e")])),
        js.expressionStatement(js.assign(js.identifier("x"), js.literal(fault))),
        // Not to be kept for it.
        ...(this.input.plan.first === 0 ? [] : [js.expressionStatement(js.assign(js.identifier("t"), js.literal(0)))]),
        ...this.faultInGeneralCall(),
      ]),
      ...spill,
      ...(registers?.epilogue() ?? []),
      this.spillBudget(),
      ...this.epilogue(),
    ];
    const ranges = this.input.blocks.flatMap((block) => {
      const end = block.instructions[block.instructions.length - 1].next;
      const boundary = ((block.offset >> 12) + 1) << 12;
      if (end <= boundary) return [[block.offset, end - block.offset] as const];
      return [[block.offset, boundary - block.offset] as const, [boundary, end - boundary] as const];
    });
    const isCallable = this.leavesBy.has(leaving.returned) || this.leavesBy.has(leaving.computed);
    const instructions = this.input.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
    return {
      name: this.input.name,
      statements,
      size: estimatedSize(this.input.blocks),
      freeNames: [...new Set([...this.freeNames, ...this.vectors.freeNames])],
      exits: this.exits,
      wrapping: this.wrapping,
      ranges,
      soft: this.input.soft,
      instructions,
      isCallable,
    };
  }

  /** A callout that may change general registers and then fault (a string instruction under way): what it left in R counts, not the locals from before. */
  private faultInGeneralCall(): Statement[] {
    if (!this.callsGeneral) return [];
    const isGeneral = js.binary("!==", js.binary("&", this.register(slot.faultOffset), js.literal(faultPlace.inGeneralCall)), js.literal(0));
    return [js.ifStatement(isGeneral, this.reload())];
  }

  /** Locals from R, after a callout may have changed it. */
  private reload(): Statement[] {
    return [...this.readBack(this.used), js.expressionStatement(js.assign(js.identifier("n"), this.register(slot.budget))), this.noteBudget()];
  }

  /** Locals to R: `slots`, and vector registers that are in locals at times. */
  private writeBack(slots: Iterable<number>): Statement[] {
    return [...this.registersToState(slots), ...this.vectors.spill()];
  }
  private registersToState(slots: Iterable<number>): Statement[] {
    const value = (n: number): Expression => (this.isLazy(n) ? this.carry.vector() : this.local(n));
    return [...slots].map((n) => js.expressionStatement(js.assign(this.register(n) as never, value(n))));
  }
  private readBack(slots: Iterable<number>): Statement[] {
    return [...slots].flatMap((n) =>
      this.isLazy(n) ? this.carry.setBoth(this.register(n)) : [js.expressionStatement(js.assign(this.local(n), this.register(n)))],
    );
  }
  /** Kept as what it can be computed from: see lazy-carry.ts. */
  private isLazy(n: number): boolean {
    return n === slot.flagCarry && this.input.isCarryLazy && this.dirty.has(n);
  }

  /** To memory from locals. */
  private storeHome(set: number): Statement[] {
    return [...slotsIn(set)].flatMap((n) =>
      this.isLazy(n) ? this.carry.store(this.carryHome) : [js.expressionStatement(js.assign(this.register(n) as never, this.local(n)))],
    );
  }
  /** To locals what is at home here. */
  private loadHome(set = this.atHome): Expression[] {
    return [...slotsIn(set)].flatMap((n) => (this.isLazy(n) ? this.carry.load(this.carryHome) : [js.assign(this.local(n), this.register(n))]));
  }
  private get carryHome(): [Expression, Expression] {
    return [this.register(slot.carryAddends), this.register(slot.carryAddends + 1)];
  }
  /** The text goes on behind block number `k`, or behind the selector where `k` is less than 0. */
  private goOnBehind(k: number): void {
    this.registers?.behind(k < 0 ? outsideBlocks : k);
    this.atHome = (k < 0 ? this.homes?.all : this.homes?.atEnd(k)) ?? 0;
  }

  private epilogue(): Statement[] {
    const out: Statement[] = [];
    const t = js.identifier("t");
    const when = (x: number, ...then: Statement[]): void => {
      out.push(js.ifStatement(js.binary("===", js.identifier("x"), js.literal(x)), then));
    };
    const leavesBy = (x: number): boolean => this.leavesBy.has(x);
    if (leavesBy(leaving.returned)) {
      // The caller mostly waits for just this: `returnTo` would say so, too.
      this.freeNames.add("J");
      const word = (k: number): Expression => js.index("J", js.literal(k));
      const isAwaited = js.logical("&&", js.binary("===", word(jsCall.returnTo), t), js.binary("!==", word(jsCall.depth), js.literal(0)));
      when(leaving.returned, js.ifStatement(js.mostly(isAwaited, true), [js.returnStatement(js.literal(jsCall.returned))]));
    }
    if (this.exits.length > 0 || leavesBy(leaving.computed) || leavesBy(leaving.returned)) out.push(...this.goOnInRegion());
    if (this.exits.length > 0) {
      const link = js.index("C", js.binary("+", js.identifier("L"), js.identifier("x")));
      if (this.isLinear) this.freeNames.add("follow");
      const exit = js.returnStatement(this.isLinear ? js.call("follow", [link]) : link);
      out.push(js.ifStatement(js.binary(">=", js.identifier("x"), js.literal(0)), [exit]));
    }
    const helpers = [
      [leaving.computed, this.isLinear ? "followTo" : "jumpSegmented"],
      [leaving.returned, "returnTo"],
    ] as const;
    for (const [x, name] of helpers) {
      if (!leavesBy(x)) continue;
      this.freeNames.add(name);
      when(x, js.returnStatement(js.call(name, [t])));
    }
    this.freeNames.add("faulted");
    this.freeNames.add("dispatch");
    when(leaving.fault, js.returnStatement(js.call("faulted", [])));
    when(leaving.dispatchAt, js.expressionStatement(js.assign(this.register(slot.eip) as never, t)));
    out.push(js.returnStatement(js.call("dispatch", [])));
    return out;
  }

  /** Where the region is left for EIP t: on at the region there, if there is one. */
  private goOnInRegion(): Statement[] {
    const target = this.target(js.identifier("t"));
    if (target === undefined) return [];
    const e = this.name("e");
    this.freeNames.add("H");
    const go = [...target.enter, js.declare("const", e, js.index("H", target.shape)), js.returnStatement(js.call(e, []))];
    const isToEip = js.binary(">=", js.identifier("x"), js.literal(leaving.returned));
    return [js.ifStatement(isToEip, [...target.before, js.ifStatement(target.isFound, go)])];
  }
  private get findsTargets(): boolean {
    return this.input.hasTargets && this.isLinear;
  }
  private target(address: Expression): RegionTarget | undefined {
    if (!this.findsTargets) return undefined;
    for (const name of targetNames) this.freeNames.add(name);
    return regionTarget(address, this.tlbHalf(), (hint) => this.name(hint));
  }

  /** The local that holds a slot. */
  private local(n: number): { type: "Identifier"; name: string } {
    const name = this.nameOf(n);
    return name === undefined ? this.vectors.local(n) : { type: "Identifier", name };
  }
  /** Of the locals of general registers, flags and MMX registers. */
  private nameOf(n: number): string | undefined {
    return localNames[n] ?? this.mmx?.nameOf(n);
  }
  private register(n: number): Expression {
    return js.index("R", js.literal(n));
  }

  /** R[budget] may have been changed under us (attention requested): subtract what was used since. */
  private spillBudget(): Statement {
    const usedUp = js.binary("-", this.budgetNoted, js.identifier("n"));
    return js.expressionStatement(js.assign(this.register(slot.budget) as never, js.toInt32(js.binary("-", this.register(slot.budget), usedUp))));
  }

  /** What the budget was when it was read last: it has a home as well. (Everywhere it would have calls of regions wait for what the one before wrote.) */
  private get budgetNoted(): Expression {
    return this.homes === undefined ? js.identifier("n0") : this.register(slot.budgetNoted);
  }
  private noteBudget(): Statement {
    return js.expressionStatement(js.assign(this.budgetNoted as never, js.identifier("n")));
  }

  // ---- structure

  // What is nested goes to the end of a list, `out`: lists that are put together level by level would be copied again and again.

  private tree(node: number, out: Statement[]): void {
    const { isLoopHeader, isMerge, children } = this.analysis;
    const merges = children[node].filter((child) => isMerge[child]);
    if (!isLoopHeader[node]) return this.within(node, merges, 0, out);
    const inner: Statement[] = [];
    this.within(node, merges, 0, inner);
    out.push(js.labeled(`L${node}`, js.forever(inner)));
  }

  /** Code of `node` with the merge nodes it dominates, from number `k` on, behind labelled blocks, the latest outermost. */
  private within(node: number, merges: readonly number[], k: number, out: Statement[]): void {
    if (k === merges.length) return this.block(node, out);
    const inner: Statement[] = [];
    this.within(node, merges, k + 1, inner);
    out.push(js.labeled(`B${merges[k]}`, js.block(inner)));
    this.tree(merges[k], out);
  }

  /**
   * An edge from `from` to page offset `target`.
   * @param wraps EIP there is taken modulo 64 KiB; inside the region it is below that; @param sunk what is yet to be done if a back edge leaves
   */
  private edge(from: number, target: number, out: Statement[], wraps = false, sunk: readonly Statement[] = nothing): void {
    const { first, isRedirected } = this.input.plan;
    this.goOnBehind(from - first);
    const to = this.numbers.get(target);
    if (to === undefined) return void out.push(...this.exit(target, wraps));
    if (from >= first && isRedirected(from - first, to - first)) {
      out.push(js.expressionStatement(js.assign(js.identifier("t"), this.codeAddress(js.literal(target)))), ...this.toSelector());
      return;
    }
    this.pageChecks(from, to, target, wraps, out);
    this.edgeOnPage(from, to, target, out, sunk);
  }
  /** The same as a list of its own. */
  private edgeAlone(from: number, target: number, wraps = false, sunk = nothing as readonly Statement[]): Statement[] {
    const out: Statement[] = [];
    this.edge(from, target, out, wraps, sunk);
    return out;
  }

  /** Leaves by the exit to `target` if a page that `to` is on and `from` is not is another one now, or not wholly in the code segment. */
  private pageChecks(from: number, to: number, target: number, wraps: boolean, out: Statement[]): void {
    const { first } = this.input.plan;
    const known = from < first ? [] : pagesOf(this.input.blocks[from - first]);
    for (const k of pagesOf(this.input.blocks[to - first])) {
      if (k !== 0 && !known.includes(k)) out.push(js.ifStatement(js.mostly(this.isAnotherPage(k), false), this.exit(target, wraps)));
    }
  }

  /** Whether the page `k` pages behind the entry's is not the one that this was made from any more, or not in the TLB, or not in the code segment. */
  private isAnotherPage(k: number): Expression {
    this.freeNames.add("TX");
    const eip = k === 0 ? js.identifier("PB") : js.toInt32(js.binary("+", js.identifier("PB"), js.literal(k << 12)));
    const page = this.isLinear ? eip : js.toInt32(js.binary("+", eip, this.register(slot.segmentBase + segment.cs)));
    const number = js.binary(">>>", page, js.literal(12));
    const half = this.tlbHalf();
    const entry = js.index("TX", half === undefined ? number : js.binary("+", half, number));
    const isAnother = js.binary("!==", js.binary("^", entry, page), js.literal(this.input.pageAddress(k) | 0));
    if (this.isLinear) return isAnother;
    const unsigned = (value: Expression): Expression => js.binary(">>>", value, js.literal(0));
    return js.logical("||", js.binary(">=", unsigned(eip), unsigned(this.register(slot.codeEnd))), isAnother);
  }

  private edgeOnPage(from: number, to: number, target: number, out: Statement[], sunk: readonly Statement[]): void {
    const { order, isMerge } = this.analysis;
    // Looked at here rather than at the loop's header, so that only the way out needs the flags.
    out.push(...(this.registers?.edgeTo(to - this.input.plan.first) ?? []));
    const left = this.homes === undefined ? 0 : this.atHome & ~this.homes.atBegin(to - this.input.plan.first);
    for (const e of this.loadHome(left)) out.push(js.expressionStatement(e));
    if (order[to] <= order[from]) {
      out.push(this.outOfTime([...sunk, ...this.leaveAt(this.codeAddress(js.literal(target)), 0)]), js.continueTo(`L${to}`));
    } else if (isMerge[to]) out.push(js.breakTo(`B${to}`));
    else this.tree(to, out);
  }

  private exit(target: number, wraps: boolean): Statement[] {
    let k = this.exits.findIndex((other, n) => other === target && this.wrapping.has(n) === wraps);
    if (k < 0) k = this.exits.push(target) - 1;
    if (wraps) this.wrapping.add(k);
    return this.leaveBy(k);
  }

  /** EIP is the linear address. */
  private get isLinear(): boolean {
    return isLinearCode(this.input.mode);
  }

  private leaveBy(x: number): Statement[] {
    this.leavesBy.add(x);
    const mark = this.registers === undefined ? [] : [js.expressionStatement(this.registers.mark())];
    const loads = this.loadHome().map(js.expressionStatement);
    // Where a link leads is looked for as well.
    const eip = x >= 0 && this.findsTargets ? [this.codeAddress(js.literal(this.exits[x]))] : [];
    return [
      ...mark,
      ...loads,
      ...eip.map((value) => js.expressionStatement(js.assign(js.identifier("t"), value))),
      js.expressionStatement(js.assign(js.identifier("x"), js.literal(x))),
      js.breakTo("X"),
    ];
  }

  /** @param unexecuted instructions of the block that were paid for in advance */
  private leaveAt(eip: Expression, unexecuted: number): Statement[] {
    const paidBack = js.assign(js.identifier("n"), js.toInt32(js.binary("+", js.identifier("n"), js.literal(unexecuted))));
    return [
      ...(unexecuted === 0 ? [] : [js.expressionStatement(paidBack)]),
      js.expressionStatement(js.assign(js.identifier("t"), eip)),
      ...this.leaveBy(leaving.dispatchAt),
    ];
  }
  /** What R[faultOffset] holds while the current instruction may fault. */
  private faultPlace(flags = 0): Expression {
    return js.literal((this.offset & (faultPlace.inGeneralCall - 1)) | flags | (this.unexecuted << faultPlace.unexecutedShift));
  }

  /** The slice is used up: another one at once if nothing waits for the dispatcher. */
  private outOfTime(leave: Statement[]): Statement {
    this.freeNames.add("moreTime");
    const n = js.identifier("n");
    const more = js.assign(n, js.call("moreTime", [js.toInt32(js.binary("-", this.budgetNoted, n))]));
    return js.ifStatement(js.mostly(js.binary("<", n, js.literal(0)), false), [
      js.expressionStatement(more),
      this.noteBudget(),
      js.ifStatement(js.binary("<", n, js.literal(0)), leave),
    ]);
  }

  /** On at EIP t, inside if the selector knows it. */
  private toSelector(): Statement[] {
    const all = this.homes?.all ?? 0;
    const stores = this.storeHome(all & ~this.atHome);
    this.atHome = all;
    return [...(this.registers?.edgeTo(outsideBlocks) ?? []), ...stores, this.outOfTime(this.leaveBy(leaving.dispatchAt)), js.continueTo("L0")];
  }

  private block(node: number, out: Statement[]): void {
    const { first, selected } = this.input.plan;
    if (node < first) {
      const targets = selected.map((k) => this.input.blocks[k].offset);
      out.push(...this.computedEdges(node, targets));
      this.goOnBehind(node - first);
      out.push(...this.leaveBy(leaving.computed));
      return;
    }
    const block = this.input.blocks[node - first];
    const count = js.literal(block.instructions.length);
    out.push(js.expressionStatement(js.assign(js.identifier("n"), js.toInt32(js.binary("-", js.identifier("n"), count)))));
    const emitter = new StatementEmitter(this, this.templates, out);
    out.push(...(this.registers?.beginBlock(node - first) ?? []));
    const sunk = this.sunkSets(node, block);
    const now = block.statements.filter(({ s }) =>
      s.kind === "set" ? !sunk.includes(s) : s.kind !== "call" || !this.isCheckedBefore(node, s.callout),
    );
    this.current = { ...block, statements: now };
    this.calledOut = false;
    this.atHome = this.homes?.atBegin(node - first) ?? 0;
    emitter.emit(now, [...tailValues(block.terminator), ...sunk.map(({ value }) => value)]);
    // Before other blocks' code comes behind this one's.
    const { terminator } = block;
    const value = terminator && subjectOf(terminator);
    const printed = value && emitter.value(value);
    const [outOfTime, otherwise] = sunk.length === 0 ? [nothing, nothing] : [emitter.aside(sunk), emitter.aside(sunk)];
    for (const name of emitter.freeNames) this.freeNames.add(name);
    this.registers?.endBlock();
    this.terminator(node, block, printed as Expression, out, { outOfTime, otherwise });
  }

  /** Where the block goes back: what is sunk out of it. */
  private sunkSets(node: number, block: MicroBlock): readonly SetStatement[] {
    const { liveAtEntry, plan } = this.input;
    const t = block.terminator;
    if (liveAtEntry === undefined) return nothing;
    const targets =
      t === undefined
        ? this.input.successors[node - plan.first]
        : (t.kind === "branch" ? [t.taken, t.fall] : t.kind === "jump" ? [t.target] : nothing).map(constant);
    const back = targets.find((target) => this.isBackEdge(node, target));
    return back === undefined ? nothing : sunkSets(block, liveAtEntry[(this.numbers.get(back) as number) - plan.first]);
  }

  /** Whether the way from `from` to page offset `target` goes back in the region, and leaves only if the slice is used up. */
  private isBackEdge(from: number, target: number): boolean {
    const to = this.numbers.get(target);
    const { first, isRedirected } = this.input.plan;
    if (to === undefined || this.analysis.order[to] > this.analysis.order[from] || isRedirected(from - first, to - first)) return false;
    const known = pagesOf(this.input.blocks[from - first]);
    return pagesOf(this.input.blocks[to - first]).every((k) => k === 0 || known.includes(k));
  }

  /** A check that a block before it on every way to `node` makes. */
  private isCheckedBefore(node: number, callout: CalloutName): boolean {
    const row: CalloutRow = callouts[callout];
    if (row.oncePerBlock !== true || (row.onX87State && this.mmx?.isSteady !== true)) return false;
    const { dominator } = this.analysis;
    const { first } = this.input.plan;
    for (let k = node; k > first; ) {
      k = dominator[k];
      if (k < first) return false;
      if (this.input.blocks[k - first].statements.some(({ s }) => s.kind === "call" && s.callout === callout)) return true;
    }
    return false;
  }

  /** @param value what the terminator looks at, if it does */
  private terminator(node: number, block: MicroBlock, value: Expression, out: Statement[], sunk: SunkStatements): void {
    const t: Terminator | undefined = block.terminator;
    const { first, usesSelector } = this.input.plan;
    const successors = this.input.successors[node - first];
    const { offset, next } = block.instructions[block.instructions.length - 1];
    const { outOfTime, otherwise } = sunk;
    if (t === undefined) return this.edge(node, successors[0], out, false, outOfTime);
    switch (t.kind) {
      case "jump":
      case "call":
        return this.edge(node, constant(t.target), out, t.wraps, outOfTime);
      case "branch": {
        const goesBack = otherwise.length > 0 && this.isBackEdge(node, constant(t.taken));
        const taken = this.edgeAlone(node, constant(t.taken), t.wraps, goesBack ? outOfTime : nothing);
        out.push(js.ifStatement(value, goesBack ? taken : [...otherwise, ...taken]));
        if (goesBack) out.push(...otherwise);
        return this.edge(node, constant(t.fall), out, false, goesBack ? nothing : outOfTime);
      }
      case "again":
        out.push(
          js.ifStatement(value, this.leaveAt(this.codeAddress(js.literal(offset)), 0)),
          js.ifStatement(
            js.mostly(js.binary("!==", this.register(slot.leave), js.literal(0)), false),
            this.leaveAt(this.codeAddress(js.literal(next)), 0),
          ),
        );
        return this.edge(node, next, out);
      case "indirect":
        out.push(js.expressionStatement(js.assign(js.identifier("t"), value)));
        if (usesSelector(node - first)) out.push(...this.toSelector());
        else {
          out.push(...this.computedEdges(node, successors));
          this.goOnBehind(node - first);
          out.push(...this.leaveBy(t.flavour === "return" && this.isLinear ? leaving.returned : leaving.computed));
        }
        return;
      case "proceed":
        out.push(js.ifStatement(js.binary("!==", value, js.literal(0)), this.leaveBy(leaving.dispatch)));
        return this.edge(node, next, out);
      case "dispatch":
        out.push(...this.leaveBy(leaving.dispatch));
    }
  }

  /** Tests of `t` for the successors that are in the region: a few in order, likeliest first; many by a table of where they are, or by bisection. */
  private computedEdges(node: number, successors: readonly number[]): Statement[] {
    const inside = successors.filter((target) => this.numbers.has(target));
    if (inside.length <= 4) {
      return inside.map((target) =>
        js.ifStatement(js.binary("===", js.identifier("t"), this.codeAddress(js.literal(target))), this.edgeAlone(node, target)),
      );
    }
    const sorted = inside.toSorted((a, b) => a - b);
    const table = this.input.hasTables ? jumpTableOf(sorted) : undefined;
    if (table !== undefined) {
      const { first, shift } = table;
      const d = js.identifier(this.name("d"));
      // The selector is not worth a register of the host's for PB.
      const page = node < this.input.plan.first ? this.register(slot.page) : js.identifier("PB");
      const distance = js.toInt32(js.binary("-", js.binary("-", js.identifier("t"), page), js.literal(first)));
      const rotated = js.binary("|", js.binary("<<", d, js.literal(32 - shift)), js.binary(">>>", d, js.literal(shift)));
      const cases = sorted.map((target) => [(target - first) >> shift, this.edgeAlone(node, target)] as const);
      return [js.declare("const", d.name, distance), js.switchStatement(shift === 0 ? d : rotated, cases)];
    }
    const half = sorted.length >> 1;
    const isBelow = js.binary("<", js.toInt32(js.binary("-", js.identifier("t"), js.identifier("PB"))), js.literal(sorted[half]));
    return [js.ifStatement(isBelow, this.computedEdges(node, sorted.slice(0, half)), this.computedEdges(node, sorted.slice(half)))];
  }

  // ---- Target: how statements print here

  field(): Expression {
    throw new Error("a region has no fields");
  }
  slotPlace(ref: SlotRef, type: SlotType): Expression {
    const n = slotNumber(ref);
    if (type === "v128") return this.wholeVectors.vector(n);
    if (type === "f64") {
      this.freeNames.add("F");
      return js.index("F", js.literal(n >> 1));
    }
    if (isVectorSlot(n)) return this.vectors.word(n);
    if (this.isLazy(n)) return this.carry.vector();
    const local = this.nameOf(n);
    return local === undefined ? this.register(n) : js.identifier(local);
  }
  assignSlot(s: SetStatement, print: (v: Value) => Expression): Statement[] | undefined {
    if (s.type !== "i32") return undefined;
    const n = slotNumber(s.slot);
    if (n <= slot.flagCarry) this.atHome &= ~(1 << n);
    if (this.isLazy(n)) return this.carry.assign(s.value, print);
    if (this.registers !== undefined && n >= slot.selector && n < slot.segmentLimit) {
      const value = print(s.value);
      return [...this.registers.beforeSegmentChange(), js.expressionStatement(js.assign(this.register(n) as never, value))];
    }
    return this.whole !== undefined && isVectorSlot(n) ? [this.whole.assignWord(n, print(s.value))] : undefined;
  }
  private get wholeVectors(): WholeVectors {
    if (this.whole === undefined) throw new Error("a vector where there are none");
    return this.whole;
  }
  codeAddress(offset: Expression): Expression {
    return js.toInt32(js.binary("+", js.identifier("PB"), offset));
  }
  tlbHalf(): Expression | undefined {
    return (this.input.mode & mode.user) !== 0 ? js.literal(1 << 20) : undefined;
  }
  slowPath(call: Expression): Expression {
    // (R[faultOffset] = offset, call)
    const note = js.assign(this.register(slot.faultOffset) as never, this.faultPlace());
    return js.sequence(note, ...(this.registers === undefined ? [] : [this.registers.mark()]), ...this.loadHome(), call);
  }
  /**
   * A guarded store (`sg`) refuses, changing nothing, when it would overwrite translated code: the region leaves at this instruction and tier 0, which can stop
   * after any instruction, runs it.
   */
  slowStore(size: number, address: Expression, value: Expression): Statement[] {
    const name = `sg${size}`;
    this.freeNames.add(name);
    const refused = this.slowPath(js.call(name, [address, value]));
    return [js.ifStatement(js.mostly(refused, false), this.leaveAt(this.codeAddress(js.literal(this.offset)), this.unexecuted))];
  }
  beforeStatement(k: number): void {
    this.vectors.move(this.current.statements[k].s);
    const i = this.current.instructions[this.current.statements[k].instruction];
    this.offset = i.offset;
    this.next = i.next;
    this.unexecuted = this.current.instructions.length - this.current.statements[k].instruction;
  }
  /** After the last statement of an instruction with a callout that may have written memory: leave if that was our code. */
  afterStatement(k: number): readonly Statement[] {
    const { statements } = this.current;
    const { s, instruction } = statements[k];
    if (s.kind === "call") {
      const row: CalloutRow = callouts[s.callout];
      // An x87 instruction done in line looks after its slow path itself, as does a store of a whole vector.
      const isInLine = (this.x87 !== undefined && x87ExpansionOf(s.callout) !== undefined) || (this.whole !== undefined && isStoreInLine(s.callout));
      if (row.neverFaults !== true && row.writesMemory !== false && !isInLine) this.calledOut = true;
    }
    const settled = this.settleVectors(k);
    if (k + 1 < statements.length && statements[k + 1].instruction === instruction) return settled;
    // Nearly always.
    if (!this.calledOut && this.behind.length === 0) return settled;
    return [...settled, ...this.afterCallout(instruction), ...this.behind.splice(0)];
  }
  private afterCallout(instruction: number): Statement[] {
    if (!this.calledOut) return [];
    this.calledOut = false;
    // The terminator of the same instruction looks after this itself; a jump behind it does not.
    if (this.current.terminator !== undefined && instruction === this.current.instructions.length - 1) return [];
    return this.leaveIfTold();
  }
  leaveBehind(): Statement[] {
    return this.leaveAt(this.codeAddress(js.literal(this.next)), this.unexecuted - 1);
  }
  afterInstruction(...statements: Statement[]): void {
    this.behind.push(...statements);
  }
  leaveIfTold(): Statement[] {
    const left = js.binary("!==", this.register(slot.leave), js.literal(0));
    return [js.ifStatement(js.mostly(left, false), this.leaveBehind())];
  }
  /** Keeps track of vector words written; after the last one set in a row, numbers that the region has of them follow. */
  private settleVectors(k: number): readonly Statement[] {
    const { statements } = this.current;
    const { s, instruction } = statements[k];
    if (s.kind === "call") return this.vectors.changeHomes();
    if (s.kind !== "set") return nothing;
    const n = slotNumber(s.slot);
    if (!isVectorSlot(n)) return nothing;
    const isZero = s.value.kind === "constant" && s.value.value === 0;
    for (let k = 0; k < wordsOfType[s.type]; k++) this.vectors.noteSet(n + k, isZero);
    const next = statements[k + 1];
    const goesOn = next?.instruction === instruction && next.s.kind === "set" && isVectorSlot(slotNumber(next.s.slot));
    return [...(goesOn ? [] : this.vectors.settle()), ...this.vectors.changeHomes()];
  }
  beforeCall(row: CalloutRow, callout: CalloutName): Statement[] {
    const isGeneral = row.general !== false;
    const out: Statement[] = [...(this.registers?.beforeCall(callout) ?? []), ...this.loadHome().map(js.expressionStatement)];
    if (isGeneral && row.neverFaults !== true) this.callsGeneral = true;
    out.push(js.expressionStatement(js.assign(this.register(slot.faultOffset) as never, this.faultPlace(isGeneral ? faultPlace.inGeneralCall : 0))));
    // Callouts on vector operands do not ask where they are.
    if (row.slots === undefined) {
      out.push(js.expressionStatement(js.assign(this.register(slot.eip) as never, this.codeAddress(js.literal(this.next)))));
    }
    if (!isGeneral) {
      if (row.vectors === true) out.push(...this.writeBack(this.vectors.dirty));
      if (this.mmx?.isSeenBy(callout)) out.push(...this.registersToState(this.mmx.dirty));
      // Guest time is counted in instructions: whoever looks at it needs the budget up to date.
      if (row.readsTime) out.push(this.spillBudget(), this.noteBudget());
      return out;
    }
    out.push(...this.writeBack(this.dirty));
    out.push(this.spillBudget());
    return out;
  }
  afterCall(row: CalloutRow, callout: CalloutName): Statement[] {
    const mmx = row.general === false && this.mmx?.isSeenBy(callout) ? this.readBack(this.mmx.used) : [];
    return [...this.afterGeneralCall(row), ...mmx, ...(this.registers?.afterCall(callout) ?? [])];
  }
  private afterGeneralCall(row: CalloutRow): Statement[] {
    if (row.general !== false) return [...this.reload(), ...this.vectors.reload()];
    // A device may have asked for attention.
    if (row.readsTime) {
      return [js.expressionStatement(js.assign(js.identifier("n"), this.register(slot.budget))), this.noteBudget()];
    }
    return row.vectors === true ? [...this.readBack(this.vectors.used), ...this.vectors.reload()] : [];
  }
  /**
   * A CALL of a function outside, by a JavaScript call of its region if it has one: state goes to R before and comes back after. The function's RET returns `returned`
   * when it pops the return address noted in J; anything else that ends the call (an exit to code without a region, an interrupt, a fault) is passed on to
   * the dispatcher, for this region's state is in R too.
   *
   *     R[..] = ..; const d = J[depth];
   *     x = callee(C[L + k]);                           // shape number of the region there, or 0; R[page] is its page then. Asked only if region-targets.ts does not find it
   *     if (x === 0) { x = k; break X }
   *     J[returnTo] = PB + next; J[depth] = d + 1;
   *     const e = H[x]; x = e();                       // an expression of its own for each CALL: V8 learns which function it calls
   *     J[depth] = d;
   *     if (x !== returned) return x;
   *     J[returnTo] = r; R[page] = PB; eax = R[0]; ...
   */
  subroutine(target: CallTarget): Statement[] {
    const x = js.identifier("x");
    const depth = js.index("J", js.literal(jsCall.depth));
    const set = (place: Expression, value: Expression): Statement => js.expressionStatement(js.assign(place as never, value));
    const out: Statement[] = [
      ...(this.registers?.beforeCall("subroutine") ?? []),
      ...this.writeBack(this.dirty),
      this.spillBudget(),
      this.noteBudget(),
    ];
    this.freeNames.add("J");
    this.freeNames.add("H");
    const callee = this.name("e");
    const outside = this.name("d");
    out.push(
      js.declare("const", outside, depth),
      ...this.findCallee(target, js.identifier(outside)),
      set(js.index("J", js.literal(jsCall.returnTo)), this.codeAddress(js.literal(this.next))),
      set(depth, js.toInt32(js.binary("+", js.identifier(outside), js.literal(1)))),
      js.declare("const", callee, js.index("H", x)),
      set(x, js.call(callee, [])),
      set(depth, js.identifier(outside)),
      js.ifStatement(js.mostly(js.binary("!==", x, js.literal(jsCall.returned)), false), [js.returnStatement(x)]),
      set(js.index("J", js.literal(jsCall.returnTo)), js.identifier("r")),
      set(this.register(slot.page), js.identifier("PB")),
      ...this.reload(),
      ...this.vectors.reload(),
      ...(this.registers?.afterCall("subroutine") ?? []),
    );
    // The pages that the rest of the region takes for granted.
    const leave = this.leaveAt(this.codeAddress(js.literal(this.next)), 0);
    const changed = [0, ...pagesOf(this.current).filter((k) => k !== 0)].map((k) => this.isAnotherPage(k));
    const outOfTime = js.binary("<", js.identifier("n"), js.literal(0));
    out.push(
      js.ifStatement(
        js.mostly(
          [...changed, outOfTime].reduce((a, b) => js.logical("||", a, b)),
          false,
        ),
        leave,
      ),
    );
    return out;
  }
  /** x = the shape number of the region called; leaves where there is none. @param depth of calls around it */
  private findCallee(target: CallTarget, depth: Expression): Statement[] {
    const x = js.identifier("x");
    const set = (place: Expression, value: Expression): Statement => js.expressionStatement(js.assign(place as never, value));
    const isZero = js.mostly(js.binary("===", x, js.literal(0)), false);
    const ask: Statement[] = [];
    const before: Statement[] = [];
    let address: Expression;
    if ("offset" in target) {
      let k = this.exits.indexOf(target.offset);
      if (k < 0) k = this.exits.push(target.offset) - 1;
      this.freeNames.add("callee");
      ask.push(
        set(x, js.call("callee", [js.index("C", js.binary("+", js.identifier("L"), js.literal(k)))])),
        js.ifStatement(isZero, this.leaveBy(k)),
      );
      const a = this.name("a");
      before.push(js.declare("const", a, this.codeAddress(js.literal(target.offset))));
      address = js.identifier(a);
    } else {
      this.freeNames.add("calleeAt");
      const left = [set(js.identifier("t"), target.eip), ...this.leaveBy(leaving.computed)];
      ask.push(set(x, js.call("calleeAt", [target.eip])), js.ifStatement(isZero, left));
      address = target.eip;
    }
    const found = this.target(address);
    if (found === undefined) return ask;
    const isFound = js.mostly(js.logical("&&", found.isFound, js.binary("<", depth, js.literal(deepestCall))), true);
    return [...before, ...found.before, js.ifStatement(isFound, [...found.enter, set(x, found.shape)], ask)];
  }
  get x87(): X87Site | undefined {
    return this.registers?.site;
  }
  get usualEntry(): number | undefined {
    return this.input.usualEntry;
  }
  get hasFlagsForFaults(): boolean {
    return this.input.isCarryLazy;
  }
  noteSet(s: SetStatement): void {
    this.atHome &= ~(1 << slotNumber(s.slot));
  }
  siteOf(access: LoadStatement | StoreStatement): SiteAccess | undefined {
    return this.sites?.of(access);
  }
  mayAlias(a: SlotRef, b: SlotRef): boolean {
    const [m, n] = [slotNumber(a), slotNumber(b)];
    // A vector has all words of its place.
    return m === n || (this.whole !== undefined && isVectorSlot(m) && isVectorSlot(n) && placeOf(m) === placeOf(n));
  }
  name(hint: string): string {
    return `${hint}${this.names++}`;
  }
}

/** Characters that the text of a region will have, about: what its statements come to on the average. */
function estimatedSize(blocks: readonly MicroBlock[]): number {
  let size = 1800;
  for (const { statements } of blocks) {
    size += 180;
    for (const { s } of statements) size += charactersOf[s.kind];
  }
  return size;
}
const charactersOf = Object.freeze({ get: 12, set: 30, fetch: 30, load: 180, store: 290, segment: 145, call: 850 });

function constant(v: Value): number {
  if (v.kind !== "constant") throw new Error("a static target is a constant");
  return v.value;
}

/** The pages, relative to the entry's, that the block's bytes are on. */
function pagesOf(block: MicroBlock): readonly number[] {
  const first = block.offset >> 12;
  const last = (block.instructions[block.instructions.length - 1].next - 1) >> 12;
  return first === last ? [first] : [first, last];
}

/** What a terminator looks at before it goes anywhere. */
function subjectOf(t: Terminator): Value | undefined {
  switch (t.kind) {
    case "branch":
    case "again":
      return t.condition;
    case "indirect":
      return t.target;
    case "proceed":
      return t.unless;
    default:
      return undefined;
  }
}
