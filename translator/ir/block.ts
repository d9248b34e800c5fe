/** A basic block of micro-ops: instantiated templates of consecutive instructions, for the region tier. */
import type { MicroTemplate, ResultStatement, SlotRef, Statement, Terminator, Value } from "./micro.ts";

export interface MicroStatement {
  readonly s: Statement;
  /** Index into `instructions` of the instruction this comes from. */
  readonly instruction: number;
}

export interface MicroInstruction {
  /** Page offset of its first byte and of the next instruction. */
  readonly offset: number;
  readonly next: number;
}

export interface MicroBlock {
  /** Page offset of the first instruction. */
  readonly offset: number;
  readonly instructions: readonly MicroInstruction[];
  readonly statements: readonly MicroStatement[];
  /** Undefined: falls through to the block at the last instruction's `next`. */
  readonly terminator: Terminator | undefined;
}

/** Copies a template with its fields replaced by constants. */
export function instantiate(template: MicroTemplate, fields: ArrayLike<number>): { statements: Statement[]; terminator: Terminator | undefined } {
  const mapper = new ValueMapper((v) => (v.kind === "field" ? { kind: "constant", value: fields[v.index] } : undefined));
  const statements = template.statements.map((s) => mapper.statement(s));
  return { statements, terminator: template.terminator && mapper.terminator(template.terminator) };
}

/** Rebuilds statements and values with some values replaced; sharing is kept. */
export class ValueMapper {
  private readonly replace: (v: Value) => Value | undefined;
  private readonly after: (v: Value) => Value;
  private readonly values = new Map<Value, Value>();
  private readonly results = new Map<ResultStatement, Statement>();

  /** @param replace answers for a value before its parts are mapped; @param after rewrites a value whose parts are mapped */
  constructor(replace: (v: Value) => Value | undefined, after: (v: Value) => Value = (v) => v) {
    this.replace = replace;
    this.after = after;
  }

  value(v: Value): Value {
    const known = this.values.get(v);
    if (known !== undefined) return known;
    const replaced = this.replace(v) ?? this.after(this.rebuild(v));
    this.values.set(v, replaced);
    return replaced;
  }

  private rebuild(v: Value): Value {
    switch (v.kind) {
      case "pure": {
        const args = v.args.map((a) => this.value(a));
        return args.every((a, k) => a === v.args[k]) ? v : { ...v, args };
      }
      case "codeAddress": {
        const offset = this.value(v.offset);
        return offset === v.offset ? v : { kind: "codeAddress", offset };
      }
      case "result": {
        const s = this.results.get(v.statement);
        return s === undefined ? v : { kind: "result", statement: s as ResultStatement };
      }
      default:
        return v;
    }
  }

  private slot(ref: SlotRef): SlotRef {
    const base = this.value(ref.base);
    return base === ref.base ? ref : { base, offset: ref.offset };
  }

  statement(s: Statement): Statement {
    const mapped = this.rebuildStatement(s);
    if (mapped.kind !== "set" && mapped.kind !== "store") this.results.set(s as ResultStatement, mapped);
    return mapped;
  }

  private rebuildStatement(s: Statement): Statement {
    switch (s.kind) {
      case "get":
        return { ...s, slot: this.slot(s.slot) };
      case "set":
        return { ...s, slot: this.slot(s.slot), value: this.value(s.value) };
      case "load":
        return { ...s, address: this.value(s.address) };
      case "store":
        return { ...s, address: this.value(s.address), value: this.value(s.value) };
      case "segment":
        return { ...s, offset: this.value(s.offset) };
      case "call":
        return { ...s, args: s.args.map((a) => this.value(a)) };
    }
  }

  terminator(t: Terminator): Terminator {
    switch (t.kind) {
      case "jump":
        return { ...t, target: this.value(t.target) };
      case "call":
        return { ...t, target: this.value(t.target), returnTo: this.value(t.returnTo) };
      case "branch":
        return { ...t, condition: this.value(t.condition), taken: this.value(t.taken), fall: this.value(t.fall) };
      case "indirect":
        return { ...t, target: this.value(t.target) };
      case "again":
        return { ...t, condition: this.value(t.condition) };
      case "proceed":
        return { ...t, unless: this.value(t.unless) };
      case "dispatch":
        return t;
    }
  }
}

/** The slot number of an instantiated reference. */
export function slotNumber(ref: SlotRef): number {
  if (ref.base.kind !== "constant") throw new Error("not instantiated");
  return ref.base.value + ref.offset;
}

/** The slot number of a reference, or -1: a register that a field names (never a flag word). */
export function slotNumberIfKnown(ref: SlotRef): number {
  return ref.base.kind === "constant" ? ref.base.value + ref.offset : -1;
}

export function constantOf(v: Value): number | undefined {
  return v.kind === "constant" ? v.value : undefined;
}
