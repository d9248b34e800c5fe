/**
 * Micro-op statements to ESTree, for both tiers. What differs between them (how a field, a slot or an address of code is written, what goes around
 * a callout or a slow path) is the `Target`'s; the rest, and above all the in-line memory access, is here once.
 *
 * A value used once stays inside its user's expression; one used more often becomes a `const`. State is read where the statement stands unless nothing
 * in between may change it.
 */
import { type CalloutName, type CalloutRow, callouts } from "../contract/callouts.ts";
import { calloutExit, ringCount } from "../contract/exits.ts";
import { segment, slot } from "../contract/slots.ts";
import { slotNumber } from "../ir/block.ts";
import type {
  CallStatement,
  FetchStatement,
  GetStatement,
  LoadStatement,
  Statement as MicroStatement,
  ResultStatement,
  SetStatement,
  SlotRef,
  SlotType,
  StoreStatement,
  Value,
} from "../ir/micro.ts";
import { operandsOf } from "../ir/micro.ts";
import type { PureOp } from "../ir/pure-ops.ts";
import { sensitiveRowOf } from "../lift/sensitive.ts";
import type { SiteAccess, SiteGroup } from "../region/sites.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { flagsForFaults } from "./fault-flags.ts";
import { isPlainAccess, isUsualAccess, placeAt } from "./plain-access.ts";
import type { PureTemplates } from "./pure-templates.ts";
import { numberOf } from "./simd/accesses.ts";
import { expansionOf } from "./simd/expand.ts";
import { packedExpansionOf } from "./simd/packed.ts";
import type { VectorPlaces } from "./simd/places.ts";
import { x87ExpansionOf } from "./x87/expand.ts";
import type { X87Site } from "./x87/stack.ts";

export interface Target {
  /** Field `index` of the instruction. */
  field(index: number): Expression;
  /** The place that holds a slot: an array element or a local. */
  slotPlace(ref: SlotRef, type: SlotType): Expression;
  /** Writes a slot that is not kept as it is; undefined: it is. */
  assignSlot?(s: SetStatement, print: (v: Value) => Expression): Statement[] | undefined;
  /** EIP at a page offset. */
  codeAddress(offset: Expression): Expression;
  /** The entry that most pages have in the read TLB, if it is known. */
  readonly usualEntry?: number | undefined;
  /** Which half of a TLB: an expression to add to the page number, or undefined for the lower half known statically. */
  tlbHalf(): Expression | undefined;
  /** Flags that only a fault could see are set in the slow paths that may fault. */
  readonly hasFlagsForFaults?: boolean;
  /** A slot is set from here on, though nothing is printed. */
  noteSet?(s: SetStatement): void;
  /** Wraps the call of a memory slow path so that a fault in it finds exact state. */
  slowPath(call: Expression): Expression;
  /** The store's slow path. */
  slowStore(size: number, address: Expression, value: Expression): Statement[];
  /** Statements around a callout: commit state before, reload after. */
  beforeCall(row: CalloutRow, callout: CalloutName): Statement[];
  afterCall(row: CalloutRow, callout: CalloutName): Statement[];
  /** Leaves behind the running instruction if a callout said so. */
  leaveIfTold?(): Statement[];
  /** Told before and after statement number `k` is printed; may add statements after it. */
  beforeStatement?(k: number): void;
  afterStatement?(k: number): readonly Statement[];
  /** Prints the callout `subroutine` for a function at an EIP that is computed, or at a page offset that is known. */
  subroutine?(target: { readonly eip: Expression } | { readonly offset: number }): Statement[];
  /** The site of an access that has one. */
  siteOf?(access: LoadStatement | StoreStatement): SiteAccess | undefined;
  /** Places of groups, which outlive a block. */
  readonly siteBases?: Map<SiteGroup, SiteBase>;
  /** Whether two places may be the same. */
  mayAlias(a: SlotRef, b: SlotRef): boolean;
  /** A fresh local name. */
  name(hint: string): string;
  /** Where vector registers are, if callouts on them are to be done in line. */
  readonly inLineVectors?: VectorPlaces | undefined;
  /** What x87 instructions need to be done in line; absent: they are called. */
  readonly x87?: X87Site;
}

/** Checks that call only to raise: the condition, over slots and then the arguments. */
const guards: Readonly<Partial<Record<CalloutName, { readonly op: PureOp; readonly slots: readonly number[] }>>> = Object.freeze({
  checkDivide: { op: "divideOverflows", slots: [] },
  checkDivideSigned: { op: "divideSignedMayOverflow", slots: [] },
  checkCodeLimit: { op: "below", slots: [slot.segmentLimit + segment.cs] },
  sseAvailable: { op: "sseUnavailable", slots: [slot.cr0, slot.cr4] },
  mmxAvailable: { op: "mmxNotReady", slots: [slot.cr0, slot.fpuStatus, slot.fpuControl, slot.fpuPairs] },
  pendingFloatException: { op: "x87NotReady", slots: [slot.fpuStatus, slot.fpuControl, slot.fpuPairs] },
});

/** Names of callouts used in text, so that the printer of the function can bind them. */
export function calloutName(name: string): string {
  return `v_${name}`;
}

/** A statement of a block. */
interface Numbered {
  readonly s: MicroStatement;
  readonly instruction: number;
}

/** What is known of a statement's result. */
interface ResultUse {
  count: number;
  /** Index of the last statement that (directly or not) uses it; the number of statements for the terminator. */
  last: number;
  expression: Expression | undefined;
}

/** What is known of a value with parts, or a field. */
interface ValueUse {
  count: number;
  /** Statement up to which it was extended: values are shared, so trees must not be walked again and again. */
  extended: number;
  /** Where it is to be had, if it was bound. */
  expression: Expression | undefined;
}

/** Something bound for a part of the text, and what it was before. */
interface BoundAside {
  readonly use: ResultUse | ValueUse;
  readonly before: Expression | undefined;
}

/** Names of locals: the place of a group's first byte, or -1; and what is to be added to the linear address of another one, where that is no constant. */
export interface SiteBase {
  readonly base: string;
  readonly distance: string | undefined;
  /** A number that says whether the place means anything, by how far into its page the group begins (see `isThere`); undefined: -1 does. */
  readonly inPage: string | undefined;
  /** How many accesses have asked. */
  asked: number;
}

export class StatementEmitter {
  readonly out: Statement[];
  /** Free names of the generated text that the host must bind. */
  readonly freeNames = new Set<string>();
  private readonly target: Target;
  private readonly templates: PureTemplates;
  private readonly values = new Map<Value, ValueUse>();
  private readonly results = new Map<ResultStatement, ResultUse>();
  /** TLB entry local of the latest load for writing, by the text of its address; forgotten when a local named there changes. */
  private readonly writeEntries = new Map<string, string>();

  /** Of groups that were asked for, in this block or one before it. */
  private readonly siteBases: Map<SiteGroup, SiteBase>;

  /** Flags for faults, with the last statement that may fault before they are set again; and those of the statements behind the current one that see them. */
  private forFaults: ReadonlyMap<SetStatement, number> = new Map();
  private pending: readonly SetStatement[] = [];

  /** What `aside` has bound so far, while it is under way. */
  private boundAside: BoundAside[] | undefined;

  /** @param out the list that statements are added to */
  constructor(target: Target, templates: PureTemplates, out: Statement[] = []) {
    this.out = out;
    this.siteBases = target.siteBases ?? new Map();
    this.target = target;
    this.templates = templates;
  }

  /** What expansions of callouts use. */
  private lent(): { push(...statements: Statement[]): void; free(name: string): void; name(hint: string): string } {
    return {
      push: (...statements) => {
        for (const x of statements) this.push(x);
      },
      free: (name) => this.free(name),
      name: (hint) => this.target.name(hint),
    };
  }

  /** Emits `statements`; `tail` are the values the terminator uses afterwards (kept computable). */
  emit(statements: readonly Numbered[], tail: readonly Value[]): void {
    if (this.target.hasFlagsForFaults) this.forFaults = flagsForFaults(statements, (op) => this.templates.get(op).uses);
    for (let k = 0; k < statements.length; k++) this.countOperands(statements[k].s, k);
    for (const v of tail) this.count(v, statements.length);
    for (let k = 0; k < statements.length; k++) {
      this.target.beforeStatement?.(k);
      this.statement(statements[k].s, k, statements);
      const after = this.target.afterStatement?.(k);
      if (after !== undefined) for (let n = 0; n < after.length; n++) this.push(after[n]);
    }
    // State read by the terminator after the last set was bound already (see `keepsValue`).
  }

  /** The expression of a value, after `emit`. */
  value(v: Value): Expression {
    return this.expression(v);
  }

  /** Sets of slots as statements for another place behind `emit`, which was told of their values: what is for them alone is computed there. */
  aside(sets: readonly SetStatement[]): Statement[] {
    const from = this.out.length;
    const bound: BoundAside[] = [];
    this.boundAside = bound;
    for (const s of sets) this.assign(s);
    this.boundAside = undefined;
    // Names of that place mean nothing at others.
    for (const { use, before } of bound.reverse()) use.expression = before;
    return this.out.splice(from);
  }

  private resultOf(s: ResultStatement): ResultUse {
    let use = this.results.get(s);
    if (use === undefined) {
      use = { count: 0, last: 0, expression: undefined };
      this.results.set(s, use);
    }
    return use;
  }
  private useOf(v: Value): ValueUse {
    let use = this.values.get(v);
    if (use === undefined) {
      use = { count: 0, extended: -1, expression: undefined };
      this.values.set(v, use);
    }
    return use;
  }
  private bind(v: Value, expression: Expression): void {
    this.bindUse(v.kind === "result" ? this.resultOf(v.statement) : this.useOf(v), expression);
  }
  private bindUse(use: ResultUse | ValueUse, expression: Expression): void {
    this.boundAside?.push({ use, before: use.expression });
    use.expression = expression;
  }

  private countOperands(s: MicroStatement, at: number): void {
    // Those of most statements, with no list made of them.
    if (s.kind === "set") this.countSet(s, at);
    else if (s.kind === "load" || s.kind === "store") {
      this.count(s.address, at);
      const first = this.target.siteOf?.(s)?.group.first;
      if (first !== undefined) this.count(first, at);
      if (s.kind === "store") this.count(s.value, at);
    } else if (s.kind !== "get") for (const v of operandsOf(s)) this.count(v, at);
  }

  private countSet(s: SetStatement, at: number): void {
    const last = this.forFaults.get(s);
    if (last === undefined) return this.count(s.value, at);
    // ZF and SF mostly come from one value: the second is a copy then.
    this.countForFault(s.value, last);
  }
  /** What only slow paths compute is written out in each of them: nothing is to be bound for it. */
  private countForFault(v: Value, at: number): void {
    if (v.kind !== "pure") return this.count(v, at);
    const use = this.useOf(v);
    if (use.count > 0) return this.extendPure(use, v.args, at);
    for (const a of v.args) this.countForFault(a, at);
  }

  private count(v: Value, at: number): void {
    switch (v.kind) {
      case "result": {
        const use = this.resultOf(v.statement);
        use.count++;
        if (at > use.last) use.last = at;
        return;
      }
      case "pure": {
        const use = this.useOf(v);
        if (use.count++ > 0) return this.extendPure(use, v.args, at);
        const { uses } = this.templates.get(v.op);
        for (let k = 0; k < v.args.length; k++) {
          const a = v.args[k];
          this.count(a, at);
          // A meaning that mentions a parameter twice needs a simple expression there.
          if (uses[k] > 1 && (a.kind === "pure" || a.kind === "codeAddress")) this.useOf(a).count++;
        }
        return;
      }
      case "codeAddress":
        if (this.useOf(v).count++ === 0) this.count(v.offset, at);
    }
  }

  /** `v` was counted before; it is used again, later. */
  private extend(v: Value, at: number): void {
    if (v.kind === "pure") return this.extendPure(this.useOf(v), v.args, at);
    if (v.kind !== "result") return;
    const use = this.resultOf(v.statement);
    if (at > use.last) use.last = at;
  }
  private extendPure(use: ValueUse, args: readonly Value[], at: number): void {
    if (use.extended === at) return;
    use.extended = at;
    for (const a of args) this.extend(a, at);
  }

  private statement(s: MicroStatement, at: number, all: readonly Numbered[]): void {
    switch (s.kind) {
      case "get":
        return this.get(s, at, all);
      case "set":
        return this.set(s);
      case "load":
        return this.load(s);
      case "fetch":
        return this.fetch(s);
      case "store":
        return this.store(s);
      case "segment": {
        const offset = this.simple(s.offset, "o");
        this.free("checkSegment");
        const check = this.slowPath(js.call("checkSegment", [js.literal(s.segment), offset, js.literal(s.size), js.literal(s.isWrite ? 1 : 0)]));
        const isChecked = js.binary("!==", this.constantSlot(slot.segmentChecked + s.segment), js.literal(0));
        const checked = js.ifStatement(isChecked, [js.expressionStatement(check)]);
        if (!s.wide) return this.push(checked);
        const last = 0x10000 - s.size;
        if (s.offset.kind === "constant" && s.offset.value >>> 0 <= last) return;
        return this.push(js.ifStatement(js.binary(">", js.binary(">>>", offset, js.literal(0)), js.literal(last)), [checked]));
      }
      case "call":
        return this.call(s);
    }
  }

  private call(s: CallStatement): void {
    const row: CalloutRow = callouts[s.callout];
    if (s.callout === "subroutine" && this.target.subroutine !== undefined) return this.subroutine(s.args[0]);
    const args = s.args.map((a) => this.simple(a, "a"));
    if (this.expandX87(s, row, args)) return;
    const { inLineVectors: vectors } = this.target;
    const numbers = vectors === undefined ? [] : s.args.map(numberOf);
    const guard = guards[s.callout];
    if (guard !== undefined) {
      const slots = guard.slots.map((n) => this.constantSlot(n));
      return this.push(js.ifStatement(js.mostly(this.templates.instantiate(guard.op, [...slots, ...args]), false), this.callout(s, row, args)));
    }
    const whole = vectors?.isWhole ? packedExpansionOf(s.callout) : undefined;
    const expand = vectors === undefined ? undefined : (whole ?? expansionOf(s.callout));
    if (vectors !== undefined && expand !== undefined) {
      const result = expand({
        places: vectors,
        args,
        numbers,
        push: (...statements) => {
          for (const x of statements) this.push(x);
        },
        free: (name) => this.free(name),
        name: (hint) => this.target.name(hint),
        callout: (local) =>
          this.callout(s, row, args, local === undefined ? undefined : (r) => js.expressionStatement(js.assign(js.identifier(local), r))),
        tlbEntry: (table, address) => js.identifier(this.entry(table, address)),
        leaveIfTold: () => this.target.leaveIfTold?.() ?? [],
        usualEntry: this.target.usualEntry,
      });
      if (result !== undefined) this.resultOf(s).expression = result;
      return;
    }
    const isUsed = this.isUsed(s);
    const local = isUsed ? this.target.name("r") : "";
    if (isUsed) this.resultOf(s).expression = js.identifier(local);
    for (const x of this.callout(s, row, args, isUsed ? (r) => js.declare("const", local, r) : undefined)) this.push(x);
    for (const x of vectors?.afterCallout(row, numbers) ?? []) this.push(x);
    // Registers may have other values now, and the TLB other entries.
    this.writeEntries.clear();
  }

  private subroutine(target: Value): void {
    const isKnown = target.kind === "codeAddress" && target.offset.kind === "constant";
    const place = isKnown ? { offset: (target.offset as { value: number }).value } : { eip: this.simple(target, "a") };
    for (const x of this.target.subroutine?.(place) ?? []) this.push(x);
    this.writeEntries.clear();
  }

  /** Does an x87 instruction in line. */
  private expandX87(s: CallStatement, row: CalloutRow, args: readonly Expression[]): boolean {
    const site = this.target.x87;
    if (site === undefined) return false;
    const expand = x87ExpansionOf(s.callout, site.inDoubles);
    if (expand === undefined) return false;
    const lent = this.lent();
    const result = expand({
      ...lent,
      stack: site.stack(lent),
      args,
      callout: (local) =>
        this.callout(s, row, args, local === undefined ? undefined : (r) => js.expressionStatement(js.assign(js.identifier(local), r))),
      tlbEntry: (table, address) => js.identifier(this.entry(table, address)),
    });
    if (result !== undefined) this.resultOf(s).expression = result;
    return true;
  }

  /** The call itself. @param bind what to do with its result */
  private callout(s: CallStatement, row: CalloutRow, args: readonly Expression[], bind?: (result: Expression) => Statement): Statement[] {
    if (sensitiveRowOf[s.callout] !== undefined) this.free("X");
    const name = calloutName(s.callout);
    this.free(name);
    this.free("cpu");
    const called = js.call(name, [js.identifier("cpu"), ...args]);
    const vectors = this.target.inLineVectors;
    return [
      ...(vectors?.isWhole ? vectors.beforeCallout(row, s.args.map(numberOf)) : []),
      ...this.target.beforeCall(row, s.callout),
      ...(sensitiveRowOf[s.callout] === undefined ? [] : [this.countExit(s.callout)]),
      // A callout of the contract returns an int32; `| 0` tells V8 so.
      bind === undefined ? js.expressionStatement(called) : bind(js.toInt32(called)),
      ...this.target.afterCall(row, s.callout),
    ];
  }

  /** A sensitive instruction is a VM exit, whether it then faults or not. */
  private countExit(callout: CalloutName): Statement {
    const ring = this.constantSlot(slot.cpl);
    return js.expressionStatement(js.increment(js.index("X", js.binary("+", js.literal(calloutExit(callout) * ringCount), ring))));
  }

  private get(s: GetStatement, at: number, all: readonly Numbered[]): void {
    const use = this.results.get(s);
    if (use === undefined || use.count === 0) return;
    const place = this.target.slotPlace(s.slot, s.type);
    if ((use.count === 1 || place.type === "Identifier") && this.keepsValue(s, at, use.last, all)) use.expression = place;
    else {
      const local = this.target.name("g");
      this.push(js.declare("const", local, place));
      use.expression = js.identifier(local);
    }
  }

  private isUsed(s: ResultStatement): boolean {
    return (this.results.get(s)?.count ?? 0) > 0;
  }

  /** Nothing between statement `from` and statement `to` (the user itself excluded, for its operands are read first) may write the slot. */
  private keepsValue(s: GetStatement, from: number, to: number, all: readonly Numbered[]): boolean {
    for (let k = from + 1; k < Math.min(to, all.length); k++) {
      const other = all[k].s;
      if (other.kind === "call") {
        const row: CalloutRow = callouts[other.callout];
        if (row.general !== false || !isGeneral(s.slot)) return false;
      }
      if (other.kind === "set" && this.target.mayAlias(other.slot, s.slot)) return false;
    }
    return true;
  }

  private set(s: SetStatement): void {
    if (this.pending.length > 0) this.pending = this.pending.filter((other) => slotNumber(other.slot) !== slotNumber(s.slot));
    if (this.forFaults.has(s)) {
      this.target.noteSet?.(s);
      this.pending = [...this.pending, s];
    } else this.assign(s);
  }

  /** Sets the flags that a fault here would show. */
  private flagsForFault(): Expression[] {
    const isCarry = (s: SetStatement): boolean => slotNumber(s.slot) === slot.flagCarry;
    const place = (s: SetStatement): Expression => this.target.slotPlace(s.slot, s.type);
    return this.pending.flatMap((s, k) => {
      const copied = isCarry(s) ? undefined : this.pending.slice(0, k).find((other) => other.value === s.value && !isCarry(other));
      if (copied !== undefined) return [js.assign(place(s) as never, place(copied))];
      const from = this.out.length;
      this.assign(s);
      const last = this.out.findLastIndex((x) => x.type !== "ExpressionStatement");
      return this.out.splice(Math.max(from, last + 1)).map((x) => (x as { expression: Expression }).expression);
    });
  }
  private slowPath(call: Expression): Expression {
    const flags = this.flagsForFault();
    const slow = this.target.slowPath(call);
    return flags.length === 0 ? slow : js.sequence(...flags, slow);
  }
  private slowStore(size: number, address: Expression, value: Expression): Statement[] {
    return [...this.flagsForFault().map(js.expressionStatement), ...this.target.slowStore(size, address, value)];
  }

  private assign(s: SetStatement): void {
    const assigned = this.target.assignSlot?.(s, (v) => this.expression(v));
    if (assigned !== undefined) {
      for (const x of assigned) this.push(x);
      return;
    }
    const value = this.expression(s.value);
    const place = this.target.slotPlace(s.slot, s.type);
    if (place.type === "Identifier") this.writeEntries.delete(place.name);
    this.push(js.expressionStatement(js.assign(place as never, value)));
  }

  private load(s: LoadStatement): void {
    const site = this.target.siteOf?.(s);
    const address = this.addressAt(s.address, site);
    if (site !== undefined) return this.siteLoad(s, address, site);
    const entry = this.entry(s.forWrite ? "TW" : "TR", address);
    if (s.forWrite) this.writeEntries.set(keyOf(address), entry);
    const slow = `${s.forWrite ? "ldw" : "ld"}${s.size}`;
    this.free(slow);
    const { usualEntry } = this.target;
    if (usualEntry !== undefined && !s.forWrite && !isLikelyMisaligned(s)) {
      // The place does not depend on what the TLB says: the processor reads both at once.
      const test = isUsualAccess(js.identifier(entry), address, s.size, usualEntry);
      const fast = this.read(placeAt(usualEntry, address), s.size);
      return this.bindLoad(s, js.conditional(test, fast, this.slowPath(js.call(slow, [address]))));
    }
    this.bindLoad(
      s,
      js.conditional(
        isPlainAccess(js.identifier(entry), address, s.size, isLikelyMisaligned(s)),
        this.read(js.binary("^", js.identifier(entry), address), s.size),
        this.slowPath(js.call(slow, [address])),
      ),
    );
  }

  private bindLoad(s: LoadStatement | FetchStatement, value: Expression): void {
    if (this.isUsed(s)) {
      const local = this.target.name("m");
      this.push(js.declare("const", local, value));
      this.resultOf(s).expression = js.identifier(local);
    } else this.push(js.expressionStatement(value));
  }

  /** Bound where it stands: stores before it are seen, those behind it are not. */
  private fetch(s: FetchStatement): void {
    if (this.isUsed(s)) this.bindLoad(s, this.readAt(s.place, s.size));
  }

  /** Guest memory at a constant place, aligned or not, zero-extended. */
  private readAt(place: number, size: 1 | 2 | 4): Expression {
    if (place % size === 0) return this.read(js.literal(place), size);
    if (size === 2) return js.binary("|", this.readAt(place, 1), js.binary("<<", this.readAt(place + 1, 1), js.literal(8)));
    const bits = 8 * (place & 3);
    const low = js.binary(">>>", this.readAt(place & ~3, 4), js.literal(bits));
    return js.binary("|", low, js.binary("<<", this.readAt((place & ~3) + 4, 4), js.literal(32 - bits)));
  }

  private siteLoad(s: LoadStatement, address: Expression, site: SiteAccess): void {
    const { test, place, inVain } = this.atSite(site, address);
    const slow = `${s.forWrite ? "ldw" : "ld"}${s.size}`;
    this.free(slow);
    const fast = this.read(place, s.size);
    const call = this.slowPath(js.call(slow, [address]));
    this.bindLoad(s, js.conditional(test, fast, inVain === undefined ? call : js.sequence(inVain, call)));
  }

  private siteStore(s: StoreStatement, address: Expression, value: Expression, site: SiteAccess): void {
    const { test, place, inVain } = this.atSite(site, address);
    const fast = js.expressionStatement(js.assign(this.element(place, s.size) as never, value));
    const slow = this.slowStore(s.size, address, value);
    this.push(js.ifStatement(test, [fast], inVain === undefined ? slow : [js.expressionStatement(inVain), ...slow]));
  }

  /** How an access that has a site is made: whether it may be made in line, at which place, and what the site is told if not. */
  private atSite({ group, offset }: SiteAccess, address: Expression): { test: Expression; place: Expression; inVain?: Expression } {
    if (group.size === 1) {
      const { test, place, ask } = this.askSite(group, address);
      return { test, place, inVain: ask };
    }
    const known = this.siteBases.get(group) ?? this.bindSite(group, offset, address);
    const { base, distance } = known;
    const test = js.mostly(isThere(known, 0x1000 - group.bytes), true);
    if (distance !== undefined) return { test, place: js.binary("+", address, js.identifier(distance)) };
    return { test, place: offset === 0 ? js.identifier(base) : js.binary("+", js.identifier(base), js.literal(offset)) };
  }

  /**
   * The place of a group's first byte, or -1, as a local:
   *
   *     const E = isOnSite(k, A, bytes) ? A + SW[k + 2] | 0 : readSite(k, A, bytes);
   *
   * or, where it has no site, as `bindByTlb` says.
   */
  private bindSite(group: SiteGroup, offset: number, address: Expression): SiteBase {
    let first = group.first === undefined ? address : this.addressOf(group.first);
    if (group.first === undefined && offset !== 0) {
      const local = this.target.name("A");
      this.push(js.declare("const", local, js.toInt32(js.binary("-", address, js.literal(offset)))));
      first = js.identifier(local);
    }
    if (group.index < 0) return this.bindByTlb(group, first);
    const { test, place, ask } = this.askSite(group, first);
    const base = this.target.name("E");
    this.push(js.declare("const", base, js.conditional(test, js.toInt32(place), ask)));
    const known: SiteBase = { base, distance: group.first === undefined ? undefined : this.target.name("D"), inPage: undefined, asked: 0 };
    if (known.distance !== undefined) this.push(js.declare("const", known.distance, js.toInt32(js.binary("-", js.identifier(base), first))));
    this.siteBases.set(group, known);
    return known;
  }

  /**
   * The same of one that has no site. The low bits of an entry that is not valid are all set:
   *
   *     const V = (T | A) & 4095; const E = T ^ A;          // asked: V <= 4096 - bytes
   *
   * With the usual entry the place does not depend on what the TLB says, as in `load`.
   */
  private bindByTlb(group: SiteGroup, first: Expression): SiteBase {
    const { isWrite } = group;
    const T = js.identifier(this.entry(isWrite ? "TW" : "TR", first));
    const usual = isWrite ? undefined : this.target.usualEntry;
    const inPage = js.literal(0xfff);
    const low =
      usual === undefined
        ? js.binary("&", js.binary("|", T, first), inPage)
        : js.binary(">>>", js.binary("|", placeAt(usual, T), js.binary("&", first, inPage)), js.literal(0));
    const place = this.target.name("V");
    const base = this.target.name("E");
    this.push(js.declare("const", place, low));
    this.push(js.declare("const", base, js.toInt32(usual === undefined ? js.binary("^", T, first) : placeAt(usual, first))));
    const known: SiteBase = { base, distance: undefined, inPage: place, asked: 0 };
    this.siteBases.set(group, known);
    return known;
  }

  private askSite(group: SiteGroup, first: Expression): { test: Expression; place: Expression; ask: Expression } {
    const args = [js.literal(group.index), first, js.literal(group.bytes)];
    const ask = group.isWrite ? "writeSite" : "readSite";
    for (const name of ["isOnSite", "SW", ask]) this.free(name);
    const place = js.binary("+", first, js.index("SW", js.literal(group.index + 2)));
    return { test: js.mostly(js.call("isOnSite", args), true), place, ask: js.call(ask, args) };
  }

  private store(s: StoreStatement): void {
    const site = this.target.siteOf?.(s);
    const address = this.addressAt(s.address, site);
    const value = this.simple(s.value, "w");
    if (site !== undefined) return this.siteStore(s, address, value, site);
    const entry = this.writeEntries.get(keyOf(address)) ?? this.entry("TW", address);
    const fast = js.expressionStatement(js.assign(this.ramPlace(entry, address, s.size) as never, value));
    this.push(
      js.ifStatement(isPlainAccess(js.identifier(entry), address, s.size, isLikelyMisaligned(s)), [fast], this.slowStore(s.size, address, value)),
    );
  }

  private entry(table: "TR" | "TW", address: Expression): string {
    const name = this.target.name("T");
    this.free(table);
    const page = js.binary(">>>", address, js.literal(12));
    const half = this.target.tlbHalf();
    this.push(js.declare("const", name, js.index(table, half === undefined ? page : js.binary("+", half, page))));
    return name;
  }

  /** Guest memory at a place, zero-extended. */
  private read(place: Expression, size: number): Expression {
    const element = this.element(place, size);
    return size === 4 ? element : js.binary("&", element, js.literal(size === 1 ? 255 : 65535));
  }

  private ramPlace(entry: string, address: Expression, size: number): Expression {
    return this.element(js.binary("^", js.identifier(entry), address), size);
  }

  /** An element of guest memory by its place. */
  private element(place: Expression, size: number): Expression {
    const array = size === 1 ? "M8" : size === 2 ? "M16" : "M32";
    this.free(array);
    return js.index(array, js.binary(">>>", place, js.literal(size === 1 ? 0 : size === 2 ? 1 : 2)));
  }

  /** The address as a local or literal: it is used several times. */
  private addressOf(v: Value): Expression {
    return this.simple(v, "A");
  }

  /** Where the place of the access's group is known, only its slow path needs the address: it is computed there. */
  private addressAt(v: Value, site: SiteAccess | undefined): Expression {
    const known = site && this.siteBases.get(site.group);
    return known !== undefined && known.distance === undefined ? this.expression(v) : this.addressOf(v);
  }

  private constantSlot(index: number): Expression {
    return this.target.slotPlace({ base: { kind: "constant", value: index }, offset: 0 }, "i32");
  }

  /** The value as an identifier or literal, bound to a const if need be. */
  private simple(v: Value, hint: string): Expression {
    const e = this.expression(v);
    if (e.type === "Identifier" || e.type === "Literal") return e;
    if (e.type === "UnaryExpression" && e.argument.type === "Literal") return e;
    const local = this.target.name(hint);
    this.push(js.declare("const", local, e));
    const name = js.identifier(local);
    this.bind(v, name);
    return name;
  }

  private expression(v: Value): Expression {
    switch (v.kind) {
      case "constant":
        return js.literal(v.value);
      case "field":
        return this.values.get(v)?.expression ?? this.target.field(v.index);
      case "result":
        return this.results.get(v.statement)?.expression ?? unbound(v.statement);
      case "codeAddress": {
        const use = this.useOf(v);
        return use.expression ?? this.shared(use, this.target.codeAddress(this.expression(v.offset)));
      }
      case "pure": {
        const use = this.useOf(v);
        if (use.expression !== undefined) return use.expression;
        const template = this.templates.get(v.op);
        for (const helper of template.helpers) this.free(helper);
        const args = v.args.map((a, k) => (template.uses[k] > 1 ? this.simple(a, "t") : this.expression(a)));
        return this.shared(use, template.instantiate(args));
      }
    }
  }

  /** A const for an expression with several users. */
  private shared(use: ValueUse, e: Expression): Expression {
    if (use.count < 2 || e.type === "Identifier" || e.type === "Literal") return e;
    const local = this.target.name("t");
    this.push(js.declare("const", local, e));
    const name = js.identifier(local);
    this.bindUse(use, name);
    return name;
  }

  private free(name: string): void {
    this.freeNames.add(name);
  }
  private push(s: Statement): void {
    this.out.push(s);
  }
}

/** A table or structure is mostly aligned itself: a displacement that is no multiple of the size leads to where nothing is. */
function isLikelyMisaligned({ address, size }: LoadStatement | StoreStatement): boolean {
  return address.kind === "pure" && address.op === "add" && address.args.some((x) => x.kind === "constant" && (x.value & (size - 1)) !== 0);
}

/**
 * Whether the place of a group means anything. A question that is asked twice is not written alike: of a comparison with several users V8 makes a number first, and compares that with zero.
 */
function isThere(known: SiteBase, last: number): Expression {
  if (known.inPage === undefined) return js.binary("!==", js.identifier(known.base), js.literal(-1));
  const place = js.identifier(known.inPage);
  return known.asked++ % 2 === 0 ? js.binary("<=", place, js.literal(last)) : js.binary("<", place, js.literal(last + 1));
}

function keyOf(e: Expression): string {
  return e.type === "Identifier" ? e.name : e.type === "Literal" ? String(e.value) : JSON.stringify(e);
}

function unbound(s: ResultStatement): never {
  throw new Error(`a ${s.kind} is used before its statement`);
}

/** General registers and flag words: what callouts with `general: false` leave alone. */
function isGeneral(ref: SlotRef): boolean {
  return ref.base.kind === "constant" ? ref.base.value + ref.offset <= slot.flagCarry : ref.offset < 8;
}
