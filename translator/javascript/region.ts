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
 * Here is its structure, and how statements print in it; region-state.ts has where its state is, region-exits.ts how it is left, region-calls.ts how it calls others.
 */
import { type CalloutName, type CalloutRow, callouts } from "../contract/callouts.ts";
import { mode } from "../contract/mode-key.ts";
import { faultPlace, slot } from "../contract/slots.ts";
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
import { jumpTableOf } from "../region/jump-table.ts";
import { type SiteAccess, type SiteGroup, Sites } from "../region/sites.ts";
import type { SiteBase } from "./accesses.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import type { PureTemplates } from "./pure-templates.ts";
import { type CallTarget, callOfRegion, ownReturn } from "./region-calls.ts";
import { leaving, RegionExits } from "./region-exits.ts";
import { pagesOf, type RegionInput } from "./region-input.ts";
import { RegionScope } from "./region-scope.ts";
import { RegionState, register } from "./region-state.ts";
import { estimatedSize, type RegionParts } from "./region-tree.ts";
import { type Shortcut, shortcutOf } from "./shortcuts.ts";
import { isVectorSlot, placeOf } from "./simd/accesses.ts";
import { isStoreInLine } from "./simd/packed.ts";
import type { VectorPlaces } from "./simd/places.ts";
import type { WholeVectors } from "./simd/whole.ts";
import { StatementEmitter, type Target } from "./statements.ts";
import { tailValues } from "./tier0.ts";
import { x87ExpansionOf } from "./x87/expand.ts";
import type { RegionSite } from "./x87/region-stack.ts";
import { outsideBlocks, RegionX87 } from "./x87/region-x87.ts";
import type { X87Site } from "./x87/stack.ts";

const nothing: readonly never[] = Object.freeze([]);

/** What is sunk out of a block (passes/sink.ts): if its back edge leaves, and on its other way. */
interface SunkStatements {
  readonly outOfTime: readonly Statement[];
  readonly otherwise: readonly Statement[];
}

export function regionParts(input: RegionInput, templates: PureTemplates): RegionParts {
  return new RegionPrinter(input, templates).print();
}

class RegionPrinter implements Target, RegionSite {
  private readonly input: RegionInput;
  private readonly templates: PureTemplates;
  readonly scope: RegionScope;
  readonly state: RegionState;
  readonly exits: RegionExits;
  private readonly numbers = new Map<number, number>();
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
  readonly inLineVectors: VectorPlaces | undefined;
  /** The x87 registers, if they are in locals. */
  readonly registers: RegionX87 | undefined;
  private readonly sites: Sites | undefined;
  readonly siteBases = new Map<SiteGroup, SiteBase>();
  /** What x87 instructions want printed behind the running instruction. */
  private readonly behind: Statement[] = [];

  constructor(input: RegionInput, templates: PureTemplates) {
    const { blocks, plan } = input;
    this.input = input;
    this.templates = templates;
    this.current = blocks[0];
    this.analysis = plan.analysis;
    blocks.forEach((block, k) => {
      this.numbers.set(block.offset, k + plan.first);
    });
    this.callsSubroutines = blocks.some(({ statements }) => statements.some(({ s }) => s.kind === "call" && s.callout === "subroutine"));
    const inside = input.successors.map((list) => list.map((to) => (this.numbers.get(to) ?? -1) - plan.first).filter((to) => to >= 0));
    this.scope = new RegionScope(input);
    this.state = new RegionState(input, inside, templates);
    this.exits = new RegionExits(this.scope, this.state, () => this.marks().map(js.expressionStatement));
    this.inLineVectors = input.inLineVectors ? this.state.vectors : undefined;
    if (input.hasSites) {
      const seed = (input.pageAddress(0) >>> 12) ^ (blocks[0].offset << 8);
      this.sites = new Sites(blocks, inside, plan, input.hasNeighbours, input.givesUp, (input.mode & mode.user) !== 0, seed);
    }
    this.registers = RegionX87.of(this, blocks, inside, plan, input.x87InDoubles === true);
    if (this.registers !== undefined) this.scope.freeNames.add("K");
  }

  print(): RegionParts {
    const body: Statement[] = [];
    const { registers } = this;
    if (this.input.plan.first === 0) body.push(...(registers?.atEntry() ?? []));
    this.tree(0, body);
    const { state } = this;
    const statements: Statement[] = [
      js.declare("const", "PB", register(slot.page)),
      ...state.declarations(),
      ...(registers?.declarations(body) ?? []),
      ...(this.callsSubroutines ? [ownReturn()] : []),
      ...state.declareBudget(),
      js.declare("let", "x", js.literal(0)),
      js.declare("let", "t", this.input.plan.first === 0 ? js.literal(0) : this.codeAddress(js.literal(this.input.blocks[0].offset))),
      ...state.storeCarries(),
      js.tryCatch([js.labeled("X", js.block(body))], "e", [
        js.expressionStatement(js.call("guestFault", [js.identifier("e")])),
        js.set(js.identifier("x"), js.literal(leaving.fault)),
        // Not to be kept for it.
        ...(this.input.plan.first === 0 ? [] : [js.set(js.identifier("t"), js.literal(0))]),
        ...this.faultInGeneralCall(),
      ]),
      ...state.writeBack(),
      ...(registers?.epilogue() ?? []),
      state.spillBudget(),
      ...this.exits.epilogue(),
    ];
    const ranges = this.input.blocks.flatMap((block) => {
      const end = block.instructions[block.instructions.length - 1].next;
      const boundary = ((block.offset >> 12) + 1) << 12;
      if (end <= boundary) return [[block.offset, end - block.offset] as const];
      return [[block.offset, boundary - block.offset] as const, [boundary, end - boundary] as const];
    });
    const instructions = this.input.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
    return {
      name: this.input.name,
      statements,
      size: estimatedSize(this.input.blocks),
      freeNames: [...new Set([...this.scope.freeNames, ...state.vectors.freeNames])],
      exits: this.exits.offsets,
      wrapping: this.exits.wrapping,
      ranges,
      soft: this.input.soft,
      doubtful: this.input.doubtful,
      instructions,
      isCallable: this.exits.isCallable,
    };
  }

  /** A callout that may change general registers and then fault (a string instruction under way): what it left in R counts, not the locals from before. */
  private faultInGeneralCall(): Statement[] {
    if (!this.callsGeneral) return [];
    const isGeneral = js.binary("!==", js.binary("&", register(slot.faultOffset), js.literal(faultPlace.inGeneralCall)), js.literal(0));
    return [js.ifStatement(isGeneral, this.state.reload())];
  }

  /** The text goes on behind block number `k`, or behind the selector where `k` is less than 0. */
  private goOnBehind(k: number): void {
    this.registers?.behind(k < 0 ? outsideBlocks : k);
    const { homes } = this.state;
    this.state.atHome = (k < 0 ? homes?.all : homes?.atEnd(k)) ?? 0;
  }
  /** What x87 registers in locals need said before something else sees their state. */
  private marks(): Expression[] {
    return this.registers === undefined ? [] : [this.registers.mark()];
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
    if (to === undefined) return void out.push(...this.exits.leaveTo(target, wraps));
    if (from >= first && isRedirected(from - first, to - first)) {
      out.push(js.set(js.identifier("t"), this.codeAddress(js.literal(target))), ...this.toSelector());
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
      if (k !== 0 && !known.includes(k)) out.push(js.ifStatement(js.mostly(this.scope.isAnotherPage(k), false), this.exits.leaveTo(target, wraps)));
    }
  }

  private edgeOnPage(from: number, to: number, target: number, out: Statement[], sunk: readonly Statement[]): void {
    const { order, isMerge } = this.analysis;
    // Looked at here rather than at the loop's header, so that only the way out needs the flags.
    out.push(...(this.registers?.edgeTo(to - this.input.plan.first) ?? []));
    const { homes, atHome } = this.state;
    const left = homes === undefined ? 0 : atHome & ~homes.atBegin(to - this.input.plan.first);
    for (const e of this.state.loadHome(left)) out.push(js.expressionStatement(e));
    if (order[to] <= order[from]) {
      out.push(this.exits.outOfTime([...sunk, ...this.exits.leaveAt(this.codeAddress(js.literal(target)), 0)]), js.continueTo(`L${to}`));
    } else if (isMerge[to]) out.push(js.breakTo(`B${to}`));
    else this.tree(to, out);
  }

  /** What R[faultOffset] holds while the current instruction may fault. */
  private faultPlace(flags = 0): Expression {
    return js.literal((this.offset & (faultPlace.inGeneralCall - 1)) | flags | (this.unexecuted << faultPlace.unexecutedShift));
  }

  /** On at EIP t, inside if the selector knows it. */
  private toSelector(): Statement[] {
    const { state } = this;
    const all = state.homes?.all ?? 0;
    const stores = state.storeHome(all & ~state.atHome);
    state.atHome = all;
    return [
      ...(this.registers?.edgeTo(outsideBlocks) ?? []),
      ...stores,
      this.exits.outOfTime(this.exits.leaveBy(leaving.dispatchAt)),
      js.continueTo("L0"),
    ];
  }

  private block(node: number, out: Statement[]): void {
    const { first, selected, isNest } = this.input.plan;
    if (node < first) {
      if (isNest) {
        const target = this.input.blocks[0].offset;
        this.goOnBehind(node - first);
        this.pageChecks(node, first, target, false, out);
        return this.edgeOnPage(node, first, target, out, nothing);
      }
      const targets = selected.map((k) => this.input.blocks[k].offset);
      out.push(...this.computedEdges(node, targets));
      this.goOnBehind(node - first);
      out.push(...this.exits.leaveBy(leaving.computed));
      return;
    }
    const block = this.input.blocks[node - first];
    const count = js.literal(block.instructions.length);
    out.push(js.set(js.identifier("n"), js.toInt32(js.binary("-", js.identifier("n"), count))));
    const emitter = new StatementEmitter(this, this.templates, out);
    out.push(...(this.registers?.beginBlock(node - first) ?? []));
    const sunk = this.sunkSets(node, block);
    const now = block.statements.filter(({ s }) =>
      s.kind === "set" ? !sunk.includes(s) : s.kind !== "call" || !this.isCheckedBefore(node, s.callout),
    );
    this.current = { ...block, statements: now };
    this.calledOut = false;
    this.state.atHome = this.state.homes?.atBegin(node - first) ?? 0;
    emitter.emit(now, [...tailValues(block.terminator), ...sunk.map(({ value }) => value)]);
    // Before other blocks' code comes behind this one's.
    const { terminator } = block;
    const value = terminator && subjectOf(terminator);
    const printed = value && emitter.value(value);
    const [outOfTime, otherwise] = sunk.length === 0 ? [nothing, nothing] : [emitter.aside(sunk), emitter.aside(sunk)];
    for (const name of emitter.freeNames) this.scope.freeNames.add(name);
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
    if (row.oncePerBlock !== true || (row.onX87State && this.state.mmx?.isSteady !== true)) return false;
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
          js.ifStatement(value, this.exits.leaveAt(this.codeAddress(js.literal(offset)), 0)),
          js.ifStatement(
            js.mostly(js.binary("!==", register(slot.leave), js.literal(0)), false),
            this.exits.leaveAt(this.codeAddress(js.literal(next)), 0),
          ),
        );
        return this.edge(node, next, out);
      case "indirect":
        out.push(js.set(js.identifier("t"), value));
        if (usesSelector(node - first)) out.push(...this.toSelector());
        else {
          out.push(...this.computedEdges(node, successors));
          this.goOnBehind(node - first);
          out.push(...this.exits.leaveBy(t.flavour === "return" && this.scope.isLinear ? leaving.returned : leaving.computed));
        }
        return;
      case "proceed":
        out.push(js.ifStatement(js.binary("!==", value, js.literal(0)), this.exits.leaveBy(leaving.dispatch)));
        return this.edge(node, next, out);
      case "dispatch":
        out.push(...this.exits.leaveBy(leaving.dispatch));
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
      const page = node < this.input.plan.first ? register(slot.page) : js.identifier("PB");
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
      this.scope.freeNames.add("F");
      return js.index("F", js.literal(n >> 1));
    }
    if (isVectorSlot(n)) return this.state.vectors.word(n);
    if (this.state.isLazy(n)) return this.state.carry.vector();
    const local = this.state.nameOf(n);
    return local === undefined ? register(n) : js.identifier(local);
  }
  assignSlot(s: SetStatement, print: (v: Value) => Expression): Statement[] | undefined {
    if (s.type !== "i32") return undefined;
    const n = slotNumber(s.slot);
    this.state.noteSet(n);
    if (this.state.isLazy(n)) return this.state.carry.assign(s.value, print);
    if (this.registers !== undefined && n >= slot.selector && n < slot.segmentLimit) {
      const value = print(s.value);
      return [...this.registers.beforeSegmentChange(), js.set(register(n), value)];
    }
    return this.state.whole !== undefined && isVectorSlot(n) ? [this.state.whole.assignWord(n, print(s.value))] : undefined;
  }
  private get wholeVectors(): WholeVectors {
    if (this.state.whole === undefined) throw new Error("a vector where there are none");
    return this.state.whole;
  }
  codeAddress(offset: Expression): Expression {
    return this.scope.codeAddress(offset);
  }
  tlbHalf(): Expression | undefined {
    return this.scope.tlbHalf();
  }
  slowPath(call: Expression): Expression {
    // (R[faultOffset] = offset, call)
    const note = js.assign(register(slot.faultOffset) as never, this.faultPlace());
    return js.sequence(note, ...this.marks(), ...this.state.loadHome(), call);
  }
  /**
   * A guarded store (`sg`) refuses, changing nothing, when it would overwrite translated code: the region leaves at this instruction and tier 0, which can stop
   * after any instruction, runs it.
   */
  slowStore(size: number, address: Expression, value: Expression): Statement[] {
    const name = `sg${size}`;
    this.scope.freeNames.add(name);
    const refused = this.slowPath(js.call(name, [address, value]));
    return [js.ifStatement(js.mostly(refused, false), this.exits.leaveAt(this.codeAddress(js.literal(this.offset)), this.unexecuted))];
  }
  get mayGiveUp(): boolean {
    // What it has called out for would be done twice.
    return this.input.givesUp && !this.calledOut && !this.input.doubtful.has(this.offset);
  }
  giveUp(): Statement[] {
    return this.exits.leaveAt(this.codeAddress(js.literal(this.offset)), this.unexecuted, leaving.gaveUp);
  }
  beforeStatement(k: number): void {
    this.state.vectors.move(this.current.statements[k].s);
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
      const isInLine =
        (this.x87 !== undefined && x87ExpansionOf(s.callout) !== undefined) || (this.state.whole !== undefined && isStoreInLine(s.callout));
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
    return this.exits.leaveAt(this.codeAddress(js.literal(this.next)), this.unexecuted - 1);
  }
  afterInstruction(...statements: Statement[]): void {
    this.behind.push(...statements);
  }
  leaveIfTold(): Statement[] {
    const left = js.binary("!==", register(slot.leave), js.literal(0));
    return [js.ifStatement(js.mostly(left, false), this.leaveBehind())];
  }
  /** Keeps track of vector words written; after the last one set in a row, numbers that the region has of them follow. */
  private settleVectors(k: number): readonly Statement[] {
    const { statements } = this.current;
    const { s, instruction } = statements[k];
    if (s.kind === "call") return this.state.vectors.changeHomes();
    if (s.kind !== "set") return nothing;
    const n = slotNumber(s.slot);
    if (!isVectorSlot(n)) return nothing;
    const isZero = s.value.kind === "constant" && s.value.value === 0;
    for (let k = 0; k < wordsOfType[s.type]; k++) this.state.vectors.noteSet(n + k, isZero);
    const next = statements[k + 1];
    const goesOn = next?.instruction === instruction && next.s.kind === "set" && isVectorSlot(slotNumber(next.s.slot));
    return [...(goesOn ? [] : this.state.vectors.settle()), ...this.state.vectors.changeHomes()];
  }
  beforeCall(row: CalloutRow, callout: CalloutName): Statement[] {
    const { state } = this;
    const isGeneral = row.general !== false;
    const out: Statement[] = [...(this.registers?.beforeCall(callout) ?? []), ...state.loadHome().map(js.expressionStatement)];
    if (isGeneral && row.neverFaults !== true) this.callsGeneral = true;
    out.push(js.set(register(slot.faultOffset), this.faultPlace(isGeneral ? faultPlace.inGeneralCall : 0)));
    // Callouts on vector operands do not ask where they are.
    if (row.slots === undefined) {
      out.push(js.set(register(slot.eip), this.codeAddress(js.literal(this.next))));
    }
    if (!isGeneral) {
      if (row.vectors === true) out.push(...state.writeVectors());
      if (state.mmx?.isSeenBy(callout)) out.push(...state.writeMmx());
      // Guest time is counted in instructions: whoever looks at it needs the budget up to date.
      if (row.readsTime) out.push(state.spillBudget(), state.noteBudget());
      return out;
    }
    out.push(...state.writeBack(), state.spillBudget());
    return out;
  }
  afterCall(row: CalloutRow, callout: CalloutName): Statement[] {
    const mmx = row.general === false && this.state.mmx?.isSeenBy(callout) ? this.state.readMmx() : [];
    return [...this.afterGeneralCall(row), ...mmx, ...(this.registers?.afterCall(callout) ?? [])];
  }
  private afterGeneralCall(row: CalloutRow): Statement[] {
    const { state } = this;
    if (row.general !== false) return [...state.reload(), ...state.vectors.reload()];
    // A device may have asked for attention.
    if (row.readsTime) return state.readBudget();
    return row.vectors === true ? [...state.readVectors(), ...state.vectors.reload()] : [];
  }
  shortcut(callout: CalloutName, args: readonly Expression[]): Shortcut | undefined {
    if (!this.input.hasShortcuts) return undefined;
    const { freeNames } = this.scope;
    return shortcutOf(callout, {
      args,
      slot: register,
      budget: js.identifier("n"),
      name: (hint) => this.name(hint),
      free: (name) => freeNames.add(name),
    });
  }
  subroutine(target: CallTarget): Statement[] {
    return callOfRegion(this, target, this.next, pagesOf(this.current));
  }
  get x87(): X87Site | undefined {
    return this.registers?.site;
  }
  get usualEntry(): number | undefined {
    return this.input.usualEntry;
  }
  get hasLowPlaces(): boolean {
    return this.input.hasLowPlaces;
  }
  get hasFlagsForFaults(): boolean {
    return this.input.isCarryLazy;
  }
  noteSet(s: SetStatement): void {
    this.state.noteSet(slotNumber(s.slot));
  }
  siteOf(access: LoadStatement | StoreStatement): SiteAccess | undefined {
    return this.sites?.of(access);
  }
  mayAlias(a: SlotRef, b: SlotRef): boolean {
    const [m, n] = [slotNumber(a), slotNumber(b)];
    // A vector has all words of its place.
    return m === n || (this.state.whole !== undefined && isVectorSlot(m) && isVectorSlot(n) && placeOf(m) === placeOf(n));
  }
  name(hint: string): string {
    return this.scope.name(hint);
  }
}

function constant(v: Value): number {
  if (v.kind !== "constant") throw new Error("a static target is a constant");
  return v.value;
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
