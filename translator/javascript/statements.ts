/**
 * Micro-op statements to ESTree, for both tiers. What differs between them (how a field, a slot or an address of code is written, what goes around
 * a callout or a slow path) is the `Target`'s; the rest is here once, and in accesses.ts for guest memory.
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
import type { SiteAccess } from "../region/sites.ts";
import { Accesses, type AccessTarget } from "./accesses.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { flagsForFaults } from "./fault-flags.ts";
import type { PureTemplates } from "./pure-templates.ts";
import type { Shortcut } from "./shortcuts.ts";
import { numberOf } from "./simd/accesses.ts";
import { expansionOf } from "./simd/expand.ts";
import { packedExpansionOf } from "./simd/packed.ts";
import type { VectorPlaces } from "./simd/places.ts";
import { x87ExpansionOf } from "./x87/expand.ts";
import type { X87Site } from "./x87/stack.ts";

export interface Target extends AccessTarget {
  /** Field `index` of the instruction. */
  field(index: number): Expression;
  /** The place that holds a slot: an array element or a local. */
  slotPlace(ref: SlotRef, type: SlotType): Expression;
  /** Writes a slot that is not kept as it is; undefined: it is. */
  assignSlot?(s: SetStatement, print: (v: Value) => Expression): Statement[] | undefined;
  /** EIP at a page offset. */
  codeAddress(offset: Expression): Expression;
  /** Flags that only a fault could see are set in the slow paths that may fault. */
  readonly hasFlagsForFaults?: boolean;
  /** A slot is set from here on, though nothing is printed. */
  noteSet?(s: SetStatement): void;
  /** Wraps the call of a memory slow path so that a fault in it finds exact state. */
  slowPath(call: Expression): Expression;
  /** The store's slow path. */
  slowStore(size: number, address: Expression, value: Expression): Statement[];
  /** Leaves the running instruction to tier 0: where it is not left, its accesses are made with no way out. */
  giveUp?(): Statement[];
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
  /** Whether two places may be the same. */
  mayAlias(a: SlotRef, b: SlotRef): boolean;
  /** What to do in a callout's place, where there is less to do than to call. */
  shortcut?(callout: CalloutName, args: readonly Expression[]): Shortcut | undefined;
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

export class StatementEmitter {
  readonly out: Statement[];
  /** Free names of the generated text that the host must bind. */
  readonly freeNames = new Set<string>();
  private readonly target: Target;
  private readonly templates: PureTemplates;
  private readonly values = new Map<Value, ValueUse>();
  private readonly results = new Map<ResultStatement, ResultUse>();
  private readonly accesses: Accesses;

  /** Flags for faults, with the last statement that may fault before they are set again; and those of the statements behind the current one that see them. */
  private forFaults: ReadonlyMap<SetStatement, number> = new Map();
  private pending: readonly SetStatement[] = [];

  /** What `aside` has bound so far, while it is under way. */
  private boundAside: BoundAside[] | undefined;

  /** @param out the list that statements are added to */
  constructor(target: Target, templates: PureTemplates, out: Statement[] = []) {
    this.out = out;
    this.target = target;
    this.templates = templates;
    this.accesses = new Accesses(target, {
      push: (statement) => this.push(statement),
      free: (name) => this.free(name),
      addressOf: (v) => this.addressOf(v),
      slowPath: (call) => this.slowPath(call),
      giveUp: () => this.target.giveUp?.() ?? [],
    });
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
    const shortcut = this.target.shortcut?.(s.callout, args);
    if (shortcut !== undefined) return this.shorten(s, row, args, shortcut);
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
        tlbEntry: (table, address) => js.identifier(this.accesses.entry(table, address)),
        leaveIfTold: () => this.target.leaveIfTold?.() ?? [],
        usualEntry: this.target.usualEntry,
        hasLowPlaces: this.target.hasLowPlaces === true,
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
    this.accesses.forget();
  }

  private shorten(s: CallStatement, row: CalloutRow, args: readonly Expression[], { before = [], usual, instead, result }: Shortcut): void {
    if (sensitiveRowOf[s.callout] !== undefined) this.push(this.countExit(s.callout));
    for (const x of before) this.push(x);
    let bind: ((called: Expression) => Statement) | undefined;
    if (result !== undefined && this.isUsed(s)) {
      const local = this.target.name("r");
      this.push(js.declare(usual === undefined ? "const" : "let", local, result));
      this.resultOf(s).expression = js.identifier(local);
      bind = (called) => js.expressionStatement(js.assign({ type: "Identifier", name: local }, called));
    }
    if (usual === undefined) for (const x of instead) this.push(x);
    else {
      this.push(js.ifStatement(js.mostly(usual, true), [...instead], this.called(s, row, args, bind)));
      this.accesses.forget();
    }
  }

  private subroutine(target: Value): void {
    const isKnown = target.kind === "codeAddress" && target.offset.kind === "constant";
    const place = isKnown ? { offset: (target.offset as { value: number }).value } : { eip: this.simple(target, "a") };
    for (const x of this.target.subroutine?.(place) ?? []) this.push(x);
    this.accesses.forget();
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
      tlbEntry: (table, address) => js.identifier(this.accesses.entry(table, address)),
    });
    if (result !== undefined) this.resultOf(s).expression = result;
    return true;
  }

  /** The call, counted if it is a VM exit. @param bind what to do with its result */
  private callout(s: CallStatement, row: CalloutRow, args: readonly Expression[], bind?: (result: Expression) => Statement): Statement[] {
    const counted = sensitiveRowOf[s.callout] === undefined ? [] : [this.countExit(s.callout)];
    return this.called(s, row, args, bind, counted);
  }

  private called(
    s: CallStatement,
    row: CalloutRow,
    args: readonly Expression[],
    bind?: (result: Expression) => Statement,
    counted: readonly Statement[] = [],
  ): Statement[] {
    const name = calloutName(s.callout);
    this.free(name);
    this.free("cpu");
    const called = js.call(name, [js.identifier("cpu"), ...args]);
    const vectors = this.target.inLineVectors;
    return [
      ...(vectors?.isWhole ? vectors.beforeCallout(row, s.args.map(numberOf)) : []),
      ...this.target.beforeCall(row, s.callout),
      ...counted,
      // A callout of the contract returns an int32; `| 0` tells V8 so.
      bind === undefined ? js.expressionStatement(called) : bind(js.toInt32(called)),
      ...this.target.afterCall(row, s.callout),
    ];
  }

  /** A sensitive instruction is a VM exit, whether it then faults or not. */
  private countExit(callout: CalloutName): Statement {
    this.free("X");
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
    if (place.type === "Identifier") this.accesses.forgetLocal(place.name);
    this.push(js.expressionStatement(js.assign(place as never, value)));
  }

  private load(s: LoadStatement): void {
    const site = this.target.siteOf?.(s);
    const address = this.addressAt(s.address, site);
    this.bindLoad(
      s,
      this.accesses.load(s, address, site, (call) => this.slowPath(call)),
    );
  }

  private store(s: StoreStatement): void {
    const site = this.target.siteOf?.(s);
    const address = this.addressAt(s.address, site);
    const value = this.simple(s.value, "w");
    this.push(this.accesses.store(s, address, value, site, () => this.slowStore(s.size, address, value)));
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
    if (this.isUsed(s)) this.bindLoad(s, this.accesses.readAt(s.place, s.size));
  }

  /** The address as a local or literal: it is used several times. */
  private addressOf(v: Value): Expression {
    return this.simple(v, "A");
  }

  /** Only the slow path needs it where the place is known: it is computed there. */
  private addressAt(v: Value, site: SiteAccess | undefined): Expression {
    return this.accesses.isPlaceKnown(site) ? this.expression(v) : this.addressOf(v);
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

function unbound(s: ResultStatement): never {
  throw new Error(`a ${s.kind} is used before its statement`);
}

/** General registers and flag words: what callouts with `general: false` leave alone. */
function isGeneral(ref: SlotRef): boolean {
  return ref.base.kind === "constant" ? ref.base.value + ref.offset <= slot.flagCarry : ref.offset < 8;
}
