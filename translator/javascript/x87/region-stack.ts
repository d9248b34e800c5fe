/**
 * The register stack in a region: registers are locals for as long as control stays among x87 instructions, across blocks and around loops.
 *
 * A *position* is a physical register relative to TOP at the start. How far TOP has moved since, and which tags have changed, is known statically wherever the state is
 * *open*; elsewhere the state array has all of it. What code behind the place where it was opened counts on (tags, values in pairs, an FPU that may be used) is asked there
 * once: `xg` has the answer, and `xc` whether the control word suits, too. A fast path needs both; a callout works in any case: it gets the state array up to date and
 * what it changed is read back. If TOP or the tags are not what they were to be then, an exception is pending or a result is no pair, the region is left behind it.
 *
 *     tp, tg        TOP and the tags (by position) at the start        xi            sum of residues; the last one is stored at once
 *     sh0, sl0 ...  the pairs, by position                             xo, xp, xd, xe  FOP, FIP's page offset, linear FDP and its segment register; xo, xe -1: none new
 *     xk            the least magnitude, or NaN if not xc              q             0, or what was known statically where the region was left: see `mark`
 */
import { type X87Double, x87Doubles } from "../../contract/callouts/x87.ts";
import { slot } from "../../contract/slots.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import {
  addressOf,
  controlTest,
  type Demand,
  double,
  type Effects,
  type Emitting,
  element,
  isLiteral,
  magnitude,
  noLow,
  notToInteger,
  or,
  type Pair,
  type Place,
  part,
  type Rounding,
  state,
  statusWordOf,
  storeOperand,
  storeRecord,
  unavailable,
  type X87Stack,
} from "./stack.ts";

/** What code behind a point counts on, and which positions it has to do with: masks of positions. */
export class Facts {
  /** Positions whose tag is asked for, and those of them that are to be empty at the point. */
  known = 0;
  empty = 0;
  /** Positions whose values are needed, and those that get new ones. */
  used = 0;
  dirty = 0;
  hasPushed = false;
  /** Tags changed between the start and the point. */
  readonly toggled: number;

  constructor(toggled: number) {
    this.toggled = toggled;
  }

  /** Counts on a tag where `toggled` tags have changed since the start; false if that contradicts what was counted on before. */
  expect(at: number, isEmpty: boolean, toggled: number): boolean {
    const bit = 1 << at;
    const wanted = isEmpty !== (((this.toggled ^ toggled) & bit) !== 0);
    if ((this.known & bit) !== 0) return wanted === ((this.empty & bit) !== 0);
    this.known |= bit;
    if (wanted) this.empty |= bit;
    return true;
  }
}

/** A value, and a position that has it: copies are free, and a square is known for one. */
interface Value {
  home: number;
  readonly isDouble: boolean;
  pair: Pair;
}

/** The state is open here. */
export interface Point {
  /** Added to TOP since the start, modulo 8. */
  readonly moved: number;
  /** Tags changed since. */
  readonly toggled: number;
  /** What was asked when the state was opened or came together from several ways. */
  readonly facts: Facts;
}

/** What the printer of the region lends. */
export interface RegionSite {
  /** Page offset behind the running instruction, and EIP at one. */
  readonly next: number;
  codeAddress(offset: Expression): Expression;
  /** Leaves behind it. */
  leaveBehind(): Statement[];
  /** Takes statements to print when the rest of the running instruction is. */
  afterInstruction(...statements: Statement[]): void;
}

const local = js.identifier;
const [tp, tg, xg, xc, xk, xi, xo, xp, xd, xe, q] = ["tp", "tg", "xg", "xc", "xk", "xi", "xo", "xp", "xd", "xe", "q"].map(local);
const highs = Array.from({ length: 8 }, (_, at) => local(`sh${at}`));
const lows = Array.from({ length: 8 }, (_, at) => local(`sl${at}`));
const constantNames = Object.keys(x87Doubles) as X87Double[];
const constants = Object.fromEntries(constantNames.map((name, k) => [name, local(`k${k}_`)])) as Record<X87Double, Expression & { name: string }>;
const none = js.literal(-1);
const positions = [0, 1, 2, 3, 4, 5, 6, 7];
const among = (mask: number): number[] => positions.filter((at) => ((mask >>> at) & 1) !== 0);
const mod8 = (e: Expression): Expression => js.binary("&", e, js.literal(7));
const indexOf = (at: number): Expression => (at === 0 ? tp : mod8(js.binary("+", tp, js.literal(at))));
const choose = (test: Expression, yes: Expression, no: Expression): Expression => js.conditional(test, yes, no);
const nan = js.binary("/", js.literal(0), js.literal(0));

/** Tags by position from those by register, and the other way around. */
const byPosition = (word: Expression): Expression =>
  js.binary("&", js.binary(">>>", js.binary("|", word, js.binary("<<", word, js.literal(8))), tp), js.literal(0xff));
const byRegister = (word: Expression): Expression => {
  const moved = js.binary("<<", word, tp);
  return js.binary("&", js.binary("|", moved, js.binary(">>>", moved, js.literal(8))), js.literal(0xff));
};

export class RegionStack implements X87Stack {
  readonly inDoubles: boolean;
  readonly constants = constants;
  readonly least = xk;
  private readonly site: RegionSite;
  /** Positions that any code of the region needs, and those it writes. */
  private readonly used: number;
  private readonly dirty: number;
  private readonly pushes: boolean;
  private emit: Emitting | undefined;

  private isOpen = false;
  private moved = 0;
  private toggled = 0;
  private facts = new Facts(0);

  // What is known of the straight code since the block began.
  private readonly isEmpty = new Map<number, boolean>();
  private readonly values = new Map<number, Value>();
  /** `xg` holds, for the region would have been left otherwise. */
  private isGood = false;
  /** The last operation was exact. */
  private isExact = false;

  /** @param all what the whole region has to do with */
  constructor(site: RegionSite, inDoubles: boolean, all: Pick<Facts, "used" | "dirty" | "hasPushed">) {
    this.site = site;
    this.inDoubles = inDoubles;
    this.used = all.used | all.dirty;
    this.dirty = all.dirty;
    this.pushes = all.hasPushed;
  }

  /** Where expansions' statements go from now on. */
  attach(emit: Emitting): this {
    this.emit = emit;
    return this;
  }

  // ---- the flow of control

  /** At the start of a block, or behind one: what is known statically; undefined: the state array has everything. */
  at(point: Point | undefined): void {
    this.isOpen = point !== undefined;
    this.forget();
    if (point === undefined) return;
    this.moved = point.moved;
    this.toggled = point.toggled;
    this.facts = point.facts;
  }

  get point(): Point | undefined {
    return this.isOpen ? { moved: this.moved, toggled: this.toggled, facts: this.facts } : undefined;
  }

  private forget(): void {
    this.isEmpty.clear();
    this.values.clear();
    this.isGood = false;
    this.isExact = false;
  }

  /** Locals from the state array. */
  private open(): Statement[] {
    const out = [
      js.set(tp, mod8(js.binary("-", state(slot.fpuTop), js.literal(this.moved)))),
      js.set(tg, js.binary("^", byPosition(state(slot.fpuEmpty)), js.literal(this.toggled))),
    ];
    for (const at of among(this.used)) {
      const index = indexOf(at);
      out.push(js.set(highs[at], element(slot.fpuPairHigh, index)), js.set(lows[at], element(slot.fpuPairLow, index)));
    }
    out.push(js.set(xi, double(slot.fpuInexact)), js.set(xo, none), js.set(xe, none));
    return out;
  }

  /** Asks for what code from here on counts on. */
  private check(): Statement[] {
    const { known, empty, toggled } = this.facts;
    // What an empty register has is nobody's business.
    const used = this.facts.used & known & ~empty;
    const tags = js.binary("&", js.binary("^", tg, js.literal(toggled ^ empty)), js.literal(known));
    const isAvailable = js.binary("===", known === 0 ? unavailable() : js.binary("|", unavailable(), tags), js.literal(0));
    const tests = [isAvailable, ...among(used).map((at) => js.binary("===", highs[at], highs[at]))];
    return [
      js.set(
        xg,
        choose(
          tests.reduce((a, b) => js.logical("&&", a, b)),
          js.literal(1),
          js.literal(0),
        ),
      ),
      ...this.checkControl(),
    ];
  }

  private checkControl(): Statement[] {
    const suits = js.logical("&&", js.binary("!==", xg, js.literal(0)), js.binary("===", controlTest(!this.inDoubles), js.literal(0)));
    const least = js.set(xk, choose(js.binary("!==", xc, js.literal(0)), js.literal(2 ** -900), nan));
    return [js.set(xc, choose(suits, js.literal(1), js.literal(0))), ...(this.inDoubles ? [] : [least])];
  }

  /** Stores everything; the state stays open. */
  private store(): Statement[] {
    return [js.set(state(slot.fpuTop), this.top()), js.set(state(slot.fpuEmpty), this.tags()), ...this.storeRest()];
  }

  private storeRest(): Statement[] {
    const out: Statement[] = [];
    for (const at of among(this.dirty)) {
      const index = indexOf(at);
      out.push(js.set(element(slot.fpuPairHigh, index), highs[at]), js.set(element(slot.fpuPairLow, index), lows[at]));
    }
    out.push(js.set(double(slot.fpuInexact), xi));
    if (this.pushes) out.push(js.set(state(slot.fpuPairs), js.literal(1)));
    out.push(js.ifStatement(js.binary("!==", xo, none), this.lastInstruction()), js.ifStatement(js.binary("!==", xe, none), storeOperand(xe, xd)));
    return out;
  }
  private lastInstruction(): Statement[] {
    return storeRecord(xo, this.site.codeAddress(xp));
  }

  /** Before a segment register changes: FCS, FDS and FDP of the last instructions are with what it was. */
  beforeSegmentChange(): Statement[] {
    if (this.point === undefined) return [];
    return [
      js.ifStatement(js.binary("!==", xo, none), [...this.lastInstruction(), js.set(xo, none)]),
      js.ifStatement(js.binary("!==", xe, none), [...storeOperand(xe, xd), js.set(xe, none)]),
    ];
  }

  /** Stores everything, before anybody may look at the state array or change it. */
  close(): Statement[] {
    if (!this.isOpen) return [js.set(q, js.literal(0))];
    this.isOpen = false;
    return [...this.store(), js.set(q, js.literal(0))];
  }

  /** From the state array, which has everything. */
  reopen(point: Point): Statement[] {
    this.at(point);
    return [...this.open(), ...this.check()];
  }

  /** From `this.point` to what is to be known at the other end of an edge. */
  become(to: Point | undefined): Statement[] {
    const from = this.point;
    if (to === undefined) return from === undefined ? [] : this.close();
    if (from !== undefined && from.moved === to.moved && from.toggled === to.toggled) {
      this.at(to);
      return from.facts === to.facts ? [] : this.check();
    }
    return [...(from === undefined ? [] : this.close()), ...this.reopen(to)];
  }

  /** Tells what is known statically, before the region may be left. */
  mark(): Expression {
    return js.assign(q as never, js.literal(this.isOpen ? (this.toggled << 4) | (this.moved << 1) | 1 : 0));
  }

  /** @param body all that was printed */
  declarations(body: readonly Statement[]): Statement[] {
    const named = namesIn(body);
    const words = [tp, tg, xg, xc, xo, xp, xd, xe, q];
    const doubles = [...(this.inDoubles ? [] : [xk]), xi, ...among(this.used).flatMap((at) => [highs[at], lows[at]])];
    return [
      ...constantNames.flatMap((name, k) => {
        const known = constants[name].name;
        return named.has(known) ? [js.declare("const", known, js.index("K", js.literal(k)))] : [];
      }),
      ...words.map(({ name }) => js.declare("let", name, js.literal(0))),
      ...doubles.map(({ name }) => js.declare("let", name, noLow)),
    ];
  }

  /** Behind all ways out of the region. */
  epilogue(): Statement[] {
    const moved = js.binary("&", js.binary(">>>", q, js.literal(1)), js.literal(7));
    const tags = byRegister(js.binary("^", tg, js.binary(">>>", q, js.literal(4))));
    const top = js.set(state(slot.fpuTop), mod8(js.binary("+", tp, moved)));
    return [js.ifStatement(js.binary("!==", q, js.literal(0)), [top, js.set(state(slot.fpuEmpty), tags), ...this.storeRest()])];
  }

  // ---- reading

  private top(): Expression {
    return indexOf(this.moved);
  }
  private tags(): Expression {
    return byRegister(js.binary("^", tg, js.literal(this.toggled)));
  }

  st(i: Expression | number): Place {
    const number = typeof i === "number" ? i : isLiteral(i) ? i.value : Number.NaN;
    if (Number.isNaN(number)) throw new Error("a region knows which register it is");
    const at = (this.moved + number) & 7;
    return { at, index: indexOf(at) };
  }

  isSame(a: Place, b: Place): boolean {
    return a.at === b.at;
  }

  pair({ at = 0 }: Place): Pair {
    let value = this.values.get(at);
    if (value === undefined) {
      value = valueAt(at, false);
      this.values.set(at, value);
      this.facts.used |= 1 << at;
    }
    return value.pair;
  }

  isTagKnown({ at = 0 }: Place): boolean {
    return this.isEmpty.has(at);
  }

  get computes(): Expression | undefined {
    return js.binary("!==", xc, js.literal(0));
  }

  test(demand: Demand, valid: readonly Place[], empty: readonly Place[] = []): Expression | undefined {
    let contradicts = false;
    for (const [places, isEmpty] of [[valid, false] as const, [empty, true] as const]) {
      for (const { at = 0 } of places) {
        if (this.isEmpty.get(at) === isEmpty) continue;
        if (!this.facts.expect(at, isEmpty, this.toggled)) contradicts = true;
        this.isEmpty.set(at, isEmpty);
      }
    }
    if (contradicts) return js.binary("!==", js.literal(0), js.literal(0));
    if (demand === "rounds" || (demand === "computes" && this.inDoubles)) return this.computes;
    // `least` says so.
    if (demand === "computes") return undefined;
    const isGood = this.isGood ? [] : [js.binary("!==", xg, js.literal(0))];
    const suits = demand === "roundsToInteger" ? [js.binary("===", notToInteger(), js.literal(0))] : [];
    const tests = [...isGood, ...suits];
    return tests.length === 0 ? undefined : tests.reduce((a, b) => js.logical("&&", a, b));
  }

  statusWord(): Expression {
    return statusWordOf(this.top(), xi, this.isExact ? undefined : { r: this.residue(), s: double(slot.fpuRounded) });
  }

  private residue(): Expression {
    const name = this.emit?.name("r") ?? "";
    this.emit?.push(js.declare("const", name, double(slot.fpuResidue)));
    return local(name);
  }

  controlLoaded(): void {
    this.emit?.push(...this.checkControl());
  }

  // ---- writing

  commit(condition: Expression | undefined, effects: Effects, callout: Statement[]): void {
    const { emit, site } = this;
    if (emit === undefined) return;
    emit.free("R");
    emit.free("F");
    const { values = [], copies = false, rounding, tags = [], pops = 0, statements = [], info, operand, otherwise, goesOn = false } = effects;
    const before = condition === undefined ? [] : [...this.store(), js.set(q, js.literal(0))];
    const fast: Statement[] = [...statements];
    const read: Statement[] = [];
    const sources = values.map(([, pair]) => (copies ? this.valueOf(pair) : undefined));
    for (const [k, [{ at = 0 }, { h, l }]] of values.entries()) {
      // All are read before any is written.
      const [newH, newL] = values.length === 1 ? [h, l] : [emit.name("h"), emit.name("l")].map(local);
      if (newH !== h) fast.unshift(js.declare("const", (newH as { name: string }).name, h), js.declare("const", (newL as { name: string }).name, l));
      // The new low part may be the old one with a sign that the old high part tells.
      fast.push(js.set(lows[at], newL), js.set(highs[at], newH));
      read.push(js.set(highs[at], element(slot.fpuPairHigh, indexOf(at))), js.set(lows[at], element(slot.fpuPairLow, indexOf(at))));
      this.facts.dirty |= 1 << at;
      this.values.set(at, sources[k] ?? valueAt(at, l === noLow));
    }
    this.rehome();
    fast.push(...this.round(rounding));
    if (rounding !== "kept") this.isExact = rounding === undefined;
    for (const [{ at = 0 }, isEmpty] of tags) {
      if (this.isEmpty.get(at) === isEmpty) continue;
      this.isEmpty.set(at, isEmpty);
      this.toggled ^= 1 << at;
    }
    this.moved = (this.moved + pops) & 7;
    if (pops < 0) this.facts.hasPushed = true;

    if (condition === undefined) emit.push(...fast);
    else {
      const mismatch = or([
        js.binary("^", state(slot.fpuTop), this.top()),
        js.binary("^", state(slot.fpuEmpty), this.tags()),
        js.binary("&", state(slot.fpuStatus), js.literal(0xc0)),
        state(slot.leave),
        js.binary("^", xg, js.literal(1)),
      ]);
      // What is exact here left no residue; a stack fault does.
      const surprises = rounding === undefined ? [js.binary("!==", double(slot.fpuResidue), js.literal(0))] : [];
      const noPairs = values.map(([{ at = 0 }]) => js.binary("!==", highs[at], highs[at]));
      // The state array has everything.
      const { point } = this;
      this.isOpen = false;
      const leaves = site.leaveBehind();
      this.isOpen = point !== undefined;
      const leaveIf = (value: Expression, ...or: Expression[]): Statement =>
        js.ifStatement(
          js.mostly(
            [js.binary("!==", value, js.literal(0)), ...or].reduce((a, b) => js.logical("||", a, b)),
            false,
          ),
          leaves,
        );
      let check = leaveIf(mismatch, ...noPairs, ...surprises);
      if (goesOn) {
        const flag = emit.name("z");
        emit.push(js.declare("let", flag, js.literal(0)));
        check = js.set(local(flag), mismatch);
        site.afterInstruction(leaveIf(local(flag)));
      }
      const called = [...before, ...callout, ...read, js.set(xi, double(slot.fpuInexact)), check];
      const slow = otherwise === undefined ? called : [js.ifStatement(otherwise.condition, this.instead(otherwise), called)];
      emit.push(
        fast.length > 0 ? js.ifStatement(js.mostly(condition, true), fast, slow) : js.ifStatement(js.mostly(js.unary("!", condition), false), slow),
      );
    }
    this.isGood = true;
    if (info === undefined) return;
    emit.push(js.set(xo, part(info, 0, 0x7ff)), js.set(xp, addressOf(info, site.next)));
    if (operand !== undefined) emit.push(js.set(xe, part(info, 16, 7)), js.set(xd, operand));
  }

  private instead({ values, rounding }: NonNullable<Effects["otherwise"]>): Statement[] {
    return [...values.flatMap(([{ at = 0 }, { h, l }]) => [js.set(lows[at], l), js.set(highs[at], h)]), ...this.round(rounding)];
  }

  private round(rounding: Rounding | "kept" | undefined): Statement[] {
    if (rounding === "kept") return [];
    if (rounding === undefined) return [js.set(double(slot.fpuResidue), js.literal(0))];
    const { r, s } = rounding;
    const sum = isLiteral(r) ? [] : [js.set(xi, js.binary("+", xi, magnitude(r)))];
    return [js.set(double(slot.fpuResidue), r), js.set(double(slot.fpuRounded), s), ...sum];
  }

  private valueOf(pair: Pair): Value | undefined {
    for (const value of this.values.values()) if (value.pair === pair) return value;
    return undefined;
  }

  /** Values whose place has another one now are to be had where a copy is. */
  private rehome(): void {
    for (const [at, value] of this.values) {
      if (this.values.get(value.home) === value) continue;
      value.home = at;
      value.pair = pairAt(at, value.isDouble);
    }
  }
}

function namesIn(node: unknown, names = new Set<string>()): Set<string> {
  if (Array.isArray(node)) for (const part of node) namesIn(part, names);
  else if (typeof node === "object" && node !== null) {
    const { type, name } = node as { type?: string; name?: string };
    if (type === "Identifier") names.add(name as string);
    else for (const part of Object.values(node)) namesIn(part, names);
  }
  return names;
}

const pairAt = (at: number, isDouble: boolean): Pair => ({ h: highs[at], l: isDouble ? noLow : lows[at], isSure: true });
const valueAt = (at: number, isDouble: boolean): Value => ({ home: at, isDouble, pair: pairAt(at, isDouble) });
