/**
 * Copies of templates with their fields replaced by constants. A region is made of thousands of them, so the order in which a template's values come is found out once:
 * making a copy is a walk over a list, with nothing to be looked up.
 */
import type { SoftField } from "../region/soft-fields.ts";
import type { MicroStatement } from "./block.ts";
import {
  type MicroTemplate,
  operandsOf,
  operandsOfTerminator,
  type ResultStatement,
  type SlotRef,
  type Statement,
  type Terminator,
  type Value,
} from "./micro.ts";

type Pure = Extract<Value, { kind: "pure" }>;

/** How a value or a statement is made. Parts are numbers of values made before. */
type Step =
  | { readonly kind: "field"; readonly index: number }
  | { readonly kind: "result"; readonly statement: number }
  | { readonly kind: "codeAddress"; readonly offset: number }
  | { readonly kind: "pure"; readonly value: Pure; readonly parts: readonly number[] }
  | { readonly kind: "statement"; readonly statement: Statement; readonly parts: readonly number[] };

export class Instantiator {
  /** Values with no field in them, and no result: those of the template. They come first. */
  private readonly kept: Value[] = [];
  private readonly steps: Step[] = [];
  private readonly terminator: Terminator | undefined;
  private readonly terminatorParts: readonly number[];
  /** While the steps are found: numbers of values, and of statements with results. */
  private readonly values = new Map<Value, number>();
  private readonly statements = new Map<Statement, number>();

  constructor({ statements, terminator }: MicroTemplate) {
    const keep = (v: Value): void => {
      if (this.values.has(v)) return;
      if (!isOpen(v)) this.values.set(v, this.values.size);
      else if (v.kind === "pure") v.args.forEach(keep);
      else if (v.kind === "codeAddress") keep(v.offset);
    };
    for (const statement of statements) operandsOf(statement).forEach(keep);
    if (terminator !== undefined) operandsOfTerminator(terminator).forEach(keep);
    this.kept.push(...this.values.keys());
    for (const statement of statements) {
      const parts = operandsOf(statement).map((v) => this.number(v));
      this.statements.set(statement, this.statements.size);
      this.steps.push({ kind: "statement", statement, parts });
    }
    this.terminator = terminator;
    this.terminatorParts = terminator === undefined ? [] : operandsOfTerminator(terminator).map((v) => this.number(v));
  }

  /** The number of a value, whose steps are noted. */
  private number(v: Value): number {
    let number = this.values.get(v);
    if (number === undefined) {
      const step = this.step(v);
      this.steps.push(step);
      number = this.values.size;
      this.values.set(v, number);
    }
    return number;
  }

  private step(v: Value): Step {
    switch (v.kind) {
      case "field":
        return { kind: "field", index: v.index };
      case "result":
        return { kind: "result", statement: this.statements.get(v.statement) as number };
      case "codeAddress":
        return { kind: "codeAddress", offset: this.number(v.offset) };
      case "pure":
        return { kind: "pure", value: v, parts: v.args.map((a) => this.number(a)) };
      case "constant":
        throw new Error("a constant is kept");
    }
  }

  /**
   * Makes a copy: adds its statements to a block's, as those of its instruction number `instruction`, and returns its terminator. The statements are its own, for a block
   * may have the same instruction twice.
   * @param soft fields that are read from guest memory, before anything else: no instruction sees what it does to itself
   */
  instantiate(fields: ArrayLike<number>, instruction: number, out: MicroStatement[], soft?: readonly SoftField[]): Terminator | undefined {
    const { steps } = this;
    const made = this.kept.slice();
    const fetched = soft && new Map(soft.map((field) => [field.index, fetch(field, instruction, out)]));
    const first = out.length;
    for (let k = 0; k < steps.length; k++) {
      const step = steps[k];
      switch (step.kind) {
        case "field":
          made.push(fetched?.get(step.index) ?? { kind: "constant", value: fields[step.index] });
          break;
        case "statement":
          out.push({ s: copyOf(step.statement, made, step.parts), instruction });
          break;
        case "result":
          made.push({ kind: "result", statement: out[first + step.statement].s as ResultStatement });
          break;
        case "pure":
          made.push({ kind: "pure", op: step.value.op, args: pick(made, step.parts), type: step.value.type });
          break;
        case "codeAddress":
          made.push({ kind: "codeAddress", offset: made[step.offset] });
          break;
      }
    }
    return this.terminator && terminatorOf(this.terminator, made, this.terminatorParts);
  }
}

function fetch({ size, place, extend }: SoftField, instruction: number, out: MicroStatement[]): Value {
  const statement: Statement = { kind: "fetch", size, place };
  out.push({ s: statement, instruction });
  return extend.reduce<Value>((v, op) => ({ kind: "pure", op, args: [v], type: "i32" }), { kind: "result", statement });
}

/** Whether a field or a result is in it. */
function isOpen(v: Value): boolean {
  switch (v.kind) {
    case "constant":
      return false;
    case "field":
    case "result":
      return true;
    case "codeAddress":
      return isOpen(v.offset);
    case "pure":
      return v.args.some(isOpen);
  }
}

function pick(made: readonly Value[], parts: readonly number[]): Value[] {
  // An array that grows from nothing is given room for 17.
  if (parts.length === 2) return [made[parts[0]], made[parts[1]]];
  return parts.length === 1 ? [made[parts[0]]] : parts.map((k) => made[k]);
}

function slotOf(ref: SlotRef, base: Value): SlotRef {
  return base === ref.base ? ref : { base, offset: ref.offset };
}

/** @param parts what `operandsOf` lists */
function copyOf(s: Statement, made: readonly Value[], parts: readonly number[]): Statement {
  switch (s.kind) {
    case "get":
      return { kind: "get", slot: slotOf(s.slot, made[parts[0]]), type: s.type };
    case "set":
      return { kind: "set", slot: slotOf(s.slot, made[parts[0]]), type: s.type, value: made[parts[1]] };
    case "load":
      return { kind: "load", size: s.size, address: made[parts[0]], forWrite: s.forWrite };
    case "fetch":
      return { ...s };
    case "store":
      return { kind: "store", size: s.size, address: made[parts[0]], value: made[parts[1]] };
    case "segment":
      return { ...s, offset: made[parts[0]] };
    case "call":
      return { kind: "call", callout: s.callout, args: pick(made, parts) };
  }
}

function terminatorOf(t: Terminator, made: readonly Value[], [a, b, c]: readonly number[]): Terminator {
  switch (t.kind) {
    case "jump":
    case "indirect":
      return { ...t, target: made[a] };
    case "call":
      return { ...t, target: made[a], returnTo: made[b] };
    case "branch":
      return { ...t, condition: made[a], taken: made[b], fall: made[c] };
    case "again":
      return { ...t, condition: made[a] };
    case "proceed":
      return { ...t, unless: made[a] };
    case "dispatch":
      return t;
  }
}
