/** The register stack in tier 0, one instruction at a time: what it needs is read, and what it changes stored where its fast path ends. */
import { type X87Double, x87Doubles } from "../../contract/callouts/x87.ts";
import { slot } from "../../contract/slots.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import {
  addressOf,
  bitOf,
  controlTest,
  type Demand,
  double,
  type Effects,
  type Emitting,
  element,
  isLiteral,
  magnitude,
  notToInteger,
  or,
  type Pair,
  type Place,
  part,
  state,
  statusWordOf,
  storeOperand,
  storePair,
  storeRecord,
  unavailable,
  type X87Stack,
} from "./stack.ts";

const constants = Object.fromEntries(Object.entries(x87Doubles).map(([name, value]) => [name, js.literal(value)])) as Record<X87Double, Expression>;

export class OneInstruction implements X87Stack {
  readonly inDoubles: boolean;
  readonly constants = constants;
  readonly least = js.literal(2 ** -900);
  readonly computes = undefined;
  private readonly emit: Emitting;
  private readonly nextEip: () => Expression;
  private base: Expression | undefined;
  private readonly indices = new Map<number, Expression>();
  private tags: Expression | undefined;

  /** @param nextEip EIP behind the instruction */
  constructor(emit: Emitting, inDoubles: boolean, nextEip: () => Expression) {
    this.emit = emit;
    this.inDoubles = inDoubles;
    this.nextEip = nextEip;
  }

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

  st(i: Expression | number): Place {
    const top = this.top();
    const number = typeof i === "number" ? i : isLiteral(i) ? i.value : undefined;
    if (number === undefined)
      return { at: undefined, index: this.constant("d", js.binary("&", js.binary("+", top, i as Expression), js.literal(7))) };
    const at = number & 7;
    let index = this.indices.get(at);
    if (index === undefined) {
      index = at === 0 ? top : this.constant("d", js.binary("&", js.binary("+", top, js.literal(at)), js.literal(7)));
      this.indices.set(at, index);
    }
    return { at: undefined, index };
  }

  isSame(a: Place, b: Place): boolean {
    return a.index === b.index;
  }

  pair(place: Place): Pair {
    this.emit.free("F");
    return { h: this.constant("h", element(slot.fpuPairHigh, place.index)), l: this.constant("l", element(slot.fpuPairLow, place.index)) };
  }

  isTagKnown(): boolean {
    return true;
  }

  test(demand: Demand, valid: readonly Place[], empty: readonly Place[] = []): Expression {
    const parts = [this.constant("w", unavailable())];
    if (demand === "roundsToInteger") parts.push(this.constant("w", notToInteger()));
    else if (demand !== "available") parts.push(this.constant("w", controlTest(demand === "computes")));
    this.tags ??= this.constant("e", state(slot.fpuEmpty));
    const bits: Expression[] = [];
    for (const [places, isEmpty] of [[valid, false] as const, [empty, true] as const]) {
      for (const { index } of places) {
        const bit = js.binary(">>>", this.tags, index);
        bits.push(isEmpty ? js.unary("~", bit) : bit);
      }
    }
    if (bits.length > 0) parts.push(js.binary("&", or(bits), js.literal(1)));
    return js.binary("===", or(parts), js.literal(0));
  }

  statusWord(): Expression {
    this.emit.free("F");
    const rounding = { r: this.constant("r", double(slot.fpuResidue)), s: double(slot.fpuRounded) };
    return statusWordOf(this.top(), double(slot.fpuInexact), rounding);
  }

  controlLoaded(): void {}

  commit(condition: Expression | undefined, effects: Effects, callout: Statement[]): void {
    this.emit.free("R");
    this.emit.free("F");
    const stores = this.stores(effects);
    const { otherwise } = effects;
    const slow = otherwise === undefined ? callout : [js.ifStatement(otherwise.condition, this.stores({ ...effects, ...otherwise }), callout)];
    if (condition === undefined) this.emit.push(...stores);
    else this.emit.push(js.ifStatement(js.mostly(condition, true), stores, slow));
  }

  private stores(effects: Effects): Statement[] {
    const { values = [], rounding, tags = [], pops = 0, statements = [], info, operand } = effects;
    const out: Statement[] = [...statements];
    for (const [{ index }, pair] of values) out.push(...storePair(index, pair));
    if (rounding === undefined) out.push(js.set(double(slot.fpuResidue), js.literal(0)));
    else if (rounding !== "kept") {
      out.push(js.set(double(slot.fpuResidue), rounding.r), js.set(double(slot.fpuRounded), rounding.s));
      if (!isLiteral(rounding.r)) out.push(js.set(double(slot.fpuInexact), js.binary("+", double(slot.fpuInexact), magnitude(rounding.r))));
    }
    if (tags.length > 0) {
      let word = this.tags as Expression;
      for (const [{ index }, isEmpty] of tags)
        word = isEmpty ? js.binary("|", word, bitOf(index)) : js.binary("&", word, js.unary("~", bitOf(index)));
      out.push(js.set(state(slot.fpuEmpty), word));
    }
    if (pops !== 0) out.push(js.set(state(slot.fpuTop), js.binary("&", js.binary("+", this.top(), js.literal(pops)), js.literal(7))));
    if (pops < 0) out.push(js.set(state(slot.fpuPairs), js.literal(1)));
    if (info !== undefined) {
      out.push(...storeRecord(part(info, 0, 0x7ff), addressOf(info, this.nextEip())));
      if (operand !== undefined) out.push(...storeOperand(part(info, 16, 7), operand));
    }
    return out;
  }
}
