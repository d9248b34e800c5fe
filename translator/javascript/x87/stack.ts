/**
 * What is known of the x87 registers along straight-line code.
 *
 * In a region the registers that a block has read or made are locals, TOP and the tags are known relative to what they were, and the state array gets none of it
 * before somebody may look: the end of the block, another instruction that may fault, a callout. A place is a physical register relative to TOP at the start. An
 * instruction that the fast path does not cover goes the way it always went: the state is stored, its callout runs, and what it changed is read back; if TOP or
 * the tags are not what they were expected to be, or an exception is pending, or a result is none that a pair can hold, the region is left behind it.
 *
 * In tier 0 a block is one instruction: everything is read, and stored where the fast path ends.
 */
import { slot } from "../../contract/slots.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";

/** What the emitter of statements lends. */
export interface Emitting {
  push(...statements: Statement[]): void;
  free(name: string): void;
  name(hint: string): string;
}

/** What the printer of the function lends. */
export interface X87Site {
  /** Registers hold plain doubles: see double.ts. */
  readonly inDoubles?: boolean;
  /** EIP behind the running instruction. */
  nextEip(): Expression;
  /** Leaves behind it; absent in tier 0. */
  leaveBehind?(): Statement[];
  /** Takes statements to print when the rest of the running instruction is. */
  afterInstruction?(...statements: Statement[]): void;
}

export interface Place {
  /** Relative to TOP at the start of the block; undefined in tier 0, where the number of a register is not known. */
  readonly at: number | undefined;
  /** The physical register. */
  readonly index: Expression;
}

export interface Pair {
  readonly h: Expression;
  /** `noLow` when it is known to be a double. */
  readonly l: Expression;
  /** Known not to be in integers. */
  readonly isSure?: boolean;
}

/** The low part of a double: see runtime/callouts/x87/registers.ts. */
export const noLow: Expression = Object.freeze(js.literal(-0));

/** The rounding of an operation: the residue and what it belongs to. */
export interface Rounding {
  readonly r: Expression;
  readonly s: Expression;
}

/** What an instruction does on the fast path. */
export interface Effects {
  /** For the last-instruction registers; control instructions leave those alone. */
  readonly info?: Expression;
  /** Linear address of its memory operand. */
  readonly operand?: Expression;
  /** New values. */
  readonly values?: readonly (readonly [Place, Pair])[];
  /** They are other places' values, in whatever form. */
  readonly copies?: boolean;
  /** C1 and PE; absent: C1 cleared; "kept": C1 stays. */
  readonly rounding?: Rounding | "kept";
  /** Places that become empty or valid. */
  readonly tags?: readonly (readonly [Place, isEmpty: boolean])[];
  /** Added to TOP. */
  readonly pops?: number;
  /** More to do. */
  readonly statements?: readonly Statement[];
  /** The instruction has more statements (EFLAGS): it cannot be left before them. */
  readonly goesOn?: boolean;
}

/** Which of the environment's demands an instruction makes. */
export type Demand = "available" | "rounds" | "computes" | "roundsToInteger";

interface Known {
  pair: Pair;
  dirty: boolean;
}

const element = (row: number, index: Expression): Expression =>
  js.index("F", index.type === "Literal" ? js.literal(row / 2 + (index.value as number)) : js.binary("+", index, js.literal(row / 2)));
const state = (n: number): Expression => js.index("R", js.literal(n));
const double = (n: number): Expression => js.index("F", js.literal(n / 2));
const assign = (place: Expression, value: Expression): Statement => js.expressionStatement(js.assign(place as never, value));
const bitOf = (index: Expression): Expression => js.binary("<<", js.literal(1), index);
const or = (list: readonly Expression[]): Expression => list.reduce((a, b) => js.binary("|", a, b));
const mod8 = (n: number): number => n & 7;
const isLiteral = (e: Expression): e is Expression & { type: "Literal"; value: number } => e.type === "Literal";

/**
 * CR0.EM and TS clear, no exception pending; rounding to nearest and precision masked; and precision control 64 bits; rounding to nearest or towards zero, with
 * precision masked.
 */
const demandTests: Readonly<Record<Demand, () => Expression>> = {
  available: () => js.binary("|", js.binary("&", state(slot.cr0), js.literal(12)), js.binary("&", state(slot.fpuStatus), js.literal(0x80))),
  rounds: () => controlTest(0xc20, 0x20),
  computes: () => controlTest(0xf20, 0x320),
  roundsToInteger: () =>
    js.binary(
      "|",
      controlTest(0x20, 0x20),
      js.binary("&", js.binary("^", state(slot.fpuControl), js.binary("<<", state(slot.fpuControl), js.literal(1))), js.literal(0x800)),
    ),
};
function controlTest(mask: number, wanted: number): Expression {
  return js.binary("&", js.binary("^", state(slot.fpuControl), js.literal(wanted)), js.literal(mask));
}

export class X87Stack {
  private readonly emit: Emitting;
  private readonly site: X87Site;
  private readonly keeps: boolean;

  /** Registers hold plain doubles. */
  readonly inDoubles: boolean;

  /** TOP at the start, and what has been added to it since. */
  private base: Expression | undefined;
  private moved = 0;
  private readonly indices = new Map<number, Expression>();
  /** Tags at the start: the word, and places whose state has been looked at. */
  private tags: Expression | undefined;
  private readonly isEmptyAtStart = new Map<number, boolean>();
  private toggled = 0;
  private readonly demands = new Map<Demand, Expression>();
  private readonly known = new Map<number, Known>();
  /** Sum of residues. */
  private inexact: Expression | undefined;
  private inexactDirty = false;
  private rounding: Rounding | undefined;
  private record: { readonly info: Expression; readonly eip: Expression } | undefined;
  private operand: { readonly info: Expression; readonly linear: Expression } | undefined;
  /**
   * TOP or the tags have changed since they were stored; it does not help that they may be what they were again, for a slow path in between has stored what they
   * were then.
   */
  private topDirty = false;
  private tagsDirty = false;
  private hasPushed = false;

  constructor(emit: Emitting, site: X87Site) {
    this.emit = emit;
    this.site = site;
    this.keeps = site.leaveBehind !== undefined;
    this.inDoubles = site.inDoubles === true;
  }

  // ---- reading

  private constant(hint: string, value: Expression): Expression {
    const name = this.emit.name(hint);
    this.emit.push(js.declare("const", name, value));
    return js.identifier(name);
  }

  private top(): Expression {
    // V8 does not know that this is at most 7, and would check bounds.
    this.base ??= this.constant("top", js.binary("&", state(slot.fpuTop), js.literal(7)));
    return this.base;
  }

  /** ST(i). */
  st(i: Expression | number): Place {
    const top = this.top();
    const number = typeof i === "number" ? i : isLiteral(i) ? i.value : undefined;
    if (number === undefined)
      return { at: undefined, index: this.constant("d", js.binary("&", js.binary("+", top, i as Expression), js.literal(7))) };
    const at = mod8(this.moved + number);
    let index = this.indices.get(at);
    if (index === undefined) {
      index = at === 0 ? top : this.constant("d", js.binary("&", js.binary("+", top, js.literal(at)), js.literal(7)));
      this.indices.set(at, index);
    }
    return { at: this.keeps ? at : undefined, index };
  }

  isSame(a: Place, b: Place): boolean {
    return a.at !== undefined ? a.at === b.at : a.index === b.index;
  }

  pair(place: Place): Pair {
    this.emit.free("F");
    const known = place.at === undefined ? undefined : this.known.get(place.at);
    if (known !== undefined) return known.pair;
    const pair = { h: this.constant("h", element(slot.fpuPairHigh, place.index)), l: this.constant("l", element(slot.fpuPairLow, place.index)) };
    if (place.at !== undefined) this.known.set(place.at, { pair, dirty: false });
    return pair;
  }

  /** Whether the tag of a place is known, or need not be: tier 0 stores tags without knowing them. */
  isTagKnown(place: Place): boolean {
    return place.at === undefined || this.isEmptyAtStart.has(place.at);
  }

  /** A condition that holds when the environment is as demanded, and the places are as they should be: parts already known are left out. */
  test(demand: Demand, valid: readonly Place[], empty: readonly Place[] = []): Expression {
    const parts: Expression[] = [];
    for (const d of demand === "available" ? (["available"] as const) : (["available", demand] as const)) {
      let e = this.demands.get(d);
      if (e === undefined) {
        e = this.constant("w", demandTests[d]());
        this.demands.set(d, e);
      }
      parts.push(e);
    }
    this.tags ??= this.constant("e", state(slot.fpuEmpty));
    const bits: Expression[] = [];
    for (const [places, isEmpty] of [[valid, false] as const, [empty, true] as const]) {
      for (const place of places) {
        if (place.at !== undefined) {
          const start = this.isEmptyAtStart.get(place.at);
          const isToggled = ((this.toggled >>> place.at) & 1) !== 0;
          if (start !== undefined) {
            if ((start !== isToggled) !== isEmpty) parts.push(js.literal(1));
            continue;
          }
          this.isEmptyAtStart.set(place.at, isEmpty !== isToggled);
        }
        const bit = js.binary(">>>", this.tags, place.index);
        bits.push(isEmpty ? js.unary("~", bit) : bit);
      }
    }
    if (bits.length > 0) parts.push(js.binary("&", or(bits), js.literal(1)));
    return js.binary("===", or(parts), js.literal(0));
  }

  /** The status word as FNSTSW shows it. */
  statusWord(): Expression {
    this.emit.free("F");
    const x = this.inexact ?? double(slot.fpuInexact);
    const parts = [
      state(slot.fpuStatus),
      js.binary("<<", this.topNow(), js.literal(11)),
      js.binary("<<", js.binary("!==", x, js.literal(0)), js.literal(5)),
    ];
    if (this.rounding !== exact) {
      const { r, s } = this.rounding ?? { r: this.constant("r", double(slot.fpuResidue)), s: double(slot.fpuRounded) };
      const isAway = js.binary("^", js.binary("<", r, js.literal(0)), js.binary("<", s, js.literal(0)));
      parts.push(js.binary("<<", js.binary("&", js.binary("!==", r, js.literal(0)), isAway), js.literal(9)));
    }
    return or(parts);
  }

  /** The control word was loaded. */
  forgetDemands(): void {
    for (const demand of ["rounds", "computes", "roundsToInteger"] as const) this.demands.delete(demand);
  }

  // ---- writing

  /**
   * An instruction: if `condition` holds, `effects`; otherwise its callout.
   * @param callout the call, with what goes around it
   */
  commit(condition: Expression, effects: Effects, callout: Statement[]): void {
    this.emit.free("R");
    this.emit.free("F");
    if (this.keeps) this.commitLater(condition, effects, callout);
    else this.emit.push(js.ifStatement(js.mostly(condition, true), this.stores(effects), callout));
  }

  /** Tier 0: everything at once. */
  private stores(effects: Effects): Statement[] {
    const { values = [], rounding, tags = [], pops = 0, statements = [], info, operand } = effects;
    const out: Statement[] = [...statements];
    for (const [{ index }, pair] of values) out.push(...storePair(index, pair));
    out.push(...storeRounding(rounding));
    if (rounding !== undefined && rounding !== "kept") {
      out.push(assign(double(slot.fpuInexact), js.binary("+", double(slot.fpuInexact), magnitude(rounding.r))));
    }
    if (tags.length > 0) {
      let word = this.tags as Expression;
      for (const [{ index }, isEmpty] of tags)
        word = isEmpty ? js.binary("|", word, bitOf(index)) : js.binary("&", word, js.unary("~", bitOf(index)));
      out.push(assign(state(slot.fpuEmpty), word));
    }
    if (pops !== 0) out.push(assign(state(slot.fpuTop), js.binary("&", js.binary("+", this.top(), js.literal(pops)), js.literal(7))));
    if (pops < 0) out.push(assign(state(slot.fpuPairs), js.literal(1)));
    if (info !== undefined) out.push(...storeRecord(info, this.site.nextEip()));
    if (info !== undefined && operand !== undefined) out.push(...storeOperand(info, operand));
    return out;
  }

  private commitLater(condition: Expression, effects: Effects, callout: Statement[]): void {
    const { values = [], copies = false, rounding, tags = [], pops = 0, statements = [], info, operand, goesOn = false } = effects;
    const before = this.pending();
    const fast: Statement[] = [...statements];
    const read: Statement[] = [];
    const variable = (hint: string, value: Expression, from: Expression): Expression => {
      const name = this.emit.name(hint);
      this.emit.push(js.declare("let", name, value));
      read.push(assign(js.identifier(name), from));
      return js.identifier(name);
    };
    const results = values.map(([place, pair]) => {
      if (copies) return [place, pair] as const;
      const h = variable("h", pair.h, element(slot.fpuPairHigh, place.index));
      const l = pair.l === noLow ? noLow : variable("l", pair.l, element(slot.fpuPairLow, place.index));
      return [place, { h, l, isSure: pair.isSure }] as const;
    });
    // What is to be sure has to be; and a copy made in integers may have become a pair, which the original here is not.
    const unsure = results.filter(([, { isSure = false }]) => isSure !== copies).map(([, { h }]) => js.binary("!==", h, h));
    if (rounding === undefined) this.rounding = exact;
    else if (rounding !== "kept") {
      if (this.inexact === undefined) {
        const name = this.emit.name("x");
        this.emit.push(js.declare("let", name, double(slot.fpuInexact)));
        this.inexact = js.identifier(name);
      }
      fast.push(assign(this.inexact, js.binary("+", this.inexact, magnitude(rounding.r))));
      this.inexactDirty = true;
      this.rounding = {
        r: variable("r", rounding.r, double(slot.fpuResidue)),
        s: variable("s", rounding.s, double(slot.fpuRounded)),
      };
    }
    for (const [place, pair] of results) this.known.set(place.at as number, { pair, dirty: true });
    for (const [{ at = 0 }, isEmpty] of tags) {
      const isNow = this.isEmptyAtStart.get(at) !== (((this.toggled >>> at) & 1) !== 0);
      if (isNow !== isEmpty) {
        this.toggled ^= 1 << at;
        this.tagsDirty = true;
      }
      // A value in an empty register may be seen again, but that is for the callouts to find in the state array.
    }
    this.moved += pops;
    if (pops !== 0) this.topDirty = true;
    if (pops < 0) this.hasPushed = true;
    if (info !== undefined) this.record = { info, eip: this.site.nextEip() };
    if (info !== undefined && operand !== undefined) {
      // The address may be a register's local, which an instruction before the flush may change.
      const name = this.emit.name("p");
      this.emit.push(js.declare("const", name, operand));
      this.operand = { info, linear: js.identifier(name) };
    }

    const mismatch = or([
      js.binary("^", state(slot.fpuTop), this.topNow()),
      js.binary("^", state(slot.fpuEmpty), this.tagsNow()),
      js.binary("&", state(slot.fpuStatus), js.literal(0xc0)),
      state(slot.leave),
    ]);
    const leaves = this.site.leaveBehind?.() ?? [];
    const leaveIf = (value: Expression): Statement =>
      js.ifStatement(
        [js.binary("!==", value, js.literal(0)), ...unsure].reduce((a, b) => js.logical("||", a, b)),
        leaves,
      );
    let check = leaveIf(mismatch);
    if (goesOn) {
      const flag = this.emit.name("z");
      this.emit.push(js.declare("let", flag, js.literal(0)));
      check = assign(js.identifier(flag), mismatch);
      this.site.afterInstruction?.(leaveIf(js.identifier(flag)));
    }
    const slow = [...before, ...callout, ...read, check];
    this.emit.push(
      fast.length > 0 ? js.ifStatement(js.mostly(condition, true), fast, slow) : js.ifStatement(js.mostly(js.unary("!", condition), false), slow),
    );
  }

  private topNow(): Expression {
    const at = mod8(this.moved);
    if (at === 0) return this.top();
    return this.indices.get(at) ?? js.binary("&", js.binary("+", this.top(), js.literal(at)), js.literal(7));
  }

  private tagsNow(): Expression {
    let word = this.tags ?? state(slot.fpuEmpty);
    for (let at = 0; at < 8; at++) {
      if (((this.toggled >>> at) & 1) === 0) continue;
      const index = this.indices.get(at) ?? js.binary("&", js.binary("+", this.top(), js.literal(at)), js.literal(7));
      word = js.binary("^", word, bitOf(index));
    }
    return word;
  }

  /** Stores of all that the state array does not have yet. */
  private pending(): Statement[] {
    const out: Statement[] = [];
    for (const [at, { pair, dirty }] of this.known) if (dirty) out.push(...storePair(this.indices.get(at) as Expression, pair));
    if (this.rounding !== undefined) out.push(...storeRounding(this.rounding));
    if (this.inexactDirty) out.push(assign(double(slot.fpuInexact), this.inexact as Expression));
    if (this.topDirty) out.push(assign(state(slot.fpuTop), this.topNow()));
    if (this.tagsDirty) out.push(assign(state(slot.fpuEmpty), this.tagsNow()));
    if (this.hasPushed) out.push(assign(state(slot.fpuPairs), js.literal(1)));
    if (this.record !== undefined) out.push(...storeRecord(this.record.info, this.record.eip));
    if (this.operand !== undefined) out.push(...storeOperand(this.operand.info, this.operand.linear));
    return out;
  }

  /** Before anything that may look at the state array. */
  flush(): void {
    for (const s of this.pending()) this.emit.push(s);
    for (const known of this.known.values()) known.dirty = false;
    this.rounding = undefined;
    this.inexactDirty = false;
    this.topDirty = false;
    this.tagsDirty = false;
    this.hasPushed = false;
    this.record = undefined;
    this.operand = undefined;
  }

  /** Before anything that may change it. */
  forget(): void {
    this.flush();
    this.base = undefined;
    this.moved = 0;
    this.indices.clear();
    this.tags = undefined;
    this.isEmptyAtStart.clear();
    this.toggled = 0;
    this.demands.clear();
    this.known.clear();
    this.inexact = undefined;
  }
}

const exact: Rounding = Object.freeze({ r: js.literal(0), s: js.literal(0) });
const magnitude = (r: Expression): Expression =>
  ({
    type: "CallExpression",
    callee: { type: "MemberExpression", object: js.identifier("Math"), property: js.identifier("abs"), computed: false, optional: false },
    arguments: [r],
    optional: false,
  }) as Expression;

function storePair(index: Expression, { h, l }: Pair): Statement[] {
  return [assign(element(slot.fpuPairHigh, index), h), assign(element(slot.fpuPairLow, index), l)];
}

function storeRounding(rounding: Rounding | "kept" | undefined): Statement[] {
  if (rounding === "kept") return [];
  if (rounding === undefined || rounding === exact) return [assign(double(slot.fpuResidue), js.literal(0))];
  return [assign(double(slot.fpuResidue), rounding.r), assign(double(slot.fpuRounded), rounding.s)];
}

const part = (info: Expression, shift: number, mask: number): Expression =>
  isLiteral(info)
    ? js.literal((info.value >>> shift) & mask)
    : js.binary("&", shift === 0 ? info : js.binary(">>>", info, js.literal(shift)), js.literal(mask));
const rowElement = (row: number, at: Expression): Expression =>
  isLiteral(at) ? state(row + at.value) : js.index("R", js.binary("+", at, js.literal(row)));

/** FOP, FIP and FCS. */
function storeRecord(info: Expression, eip: Expression): Statement[] {
  return [
    assign(state(slot.fpuOpcode), part(info, 0, 0x7ff)),
    assign(state(slot.fpuIp), js.toInt32(js.binary("-", eip, part(info, 11, 15)))),
    assign(state(slot.fpuCs), state(slot.selector + 1)),
  ];
}

/** FDP and FDS. */
function storeOperand(info: Expression, linear: Expression): Statement[] {
  const segment = part(info, 16, 7);
  return [
    assign(state(slot.fpuDp), js.toInt32(js.binary("-", linear, rowElement(slot.segmentBase, segment)))),
    assign(state(slot.fpuDs), rowElement(slot.selector, segment)),
  ];
}
