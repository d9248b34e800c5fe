/** A basic block of micro-ops: instantiated templates of consecutive instructions, for the region tier. */
import type { ResultStatement, SlotRef, Statement, Terminator, Value } from "./micro.ts";

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

type Field = Extract<Value, { kind: "field" }>;
type Pure = Extract<Value, { kind: "pure" }>;
type Result = Extract<Value, { kind: "result" }>;

const asItIs = (v: Value): Value => v;

/**
 * Rebuilds statements and values with some values replaced; sharing is kept, and what has nothing new in it stays what it was. Every value of a region goes through here
 * several times: leaves, which are most of them, are not looked up.
 */
export class ValueMapper {
  private readonly replace: (v: Field | Result) => Value | undefined;
  private readonly after: (v: Pure) => Value;
  private readonly isCopy: boolean;
  /** What values with parts, and leaves that are replaced by new values, have become. */
  private values: Map<Value, Value> | undefined;
  /** The same for statements. */
  private results: Map<Statement, Statement> | undefined;

  /**
   * @param replace answers for leaves; @param after rewrites a pure value whose parts are mapped
   * @param isCopy statements are new ones even where nothing in them is
   */
  constructor(replace: (v: Field | Result) => Value | undefined, after: (v: Pure) => Value = asItIs, isCopy = false) {
    this.replace = replace;
    this.after = after;
    this.isCopy = isCopy;
  }

  value(v: Value): Value {
    if (v.kind === "constant") return v;
    if (v.kind === "result") {
      const replaced = this.replace(v);
      if (replaced !== undefined) return replaced;
      // Seldom: the statement is another one now.
      if (this.results?.get(v.statement) === undefined) return v;
    }
    const known = this.values?.get(v);
    if (known !== undefined) return known;
    const mapped = this.rebuild(v);
    this.values ??= new Map();
    this.values.set(v, mapped);
    return mapped;
  }

  private rebuild(v: Field | Pure | Result | Extract<Value, { kind: "codeAddress" }>): Value {
    switch (v.kind) {
      case "field":
        return this.replace(v) ?? v;
      case "result":
        return { kind: "result", statement: this.results?.get(v.statement) as ResultStatement };
      case "codeAddress": {
        const offset = this.value(v.offset);
        return offset === v.offset ? v : { kind: "codeAddress", offset };
      }
      case "pure": {
        const args = this.list(v.args);
        return this.after(args === v.args ? v : { kind: "pure", op: v.op, args, type: v.type });
      }
    }
  }

  private list(values: readonly Value[]): readonly Value[] {
    let mapped: Value[] | undefined;
    for (let k = 0; k < values.length; k++) {
      if (values[k].kind === "constant") continue;
      const v = this.value(values[k]);
      if (v === values[k]) continue;
      mapped ??= values.slice();
      mapped[k] = v;
    }
    return mapped ?? values;
  }

  private slot(ref: SlotRef): SlotRef {
    if (ref.base.kind === "constant") return ref;
    const base = this.value(ref.base);
    return base === ref.base ? ref : { base, offset: ref.offset };
  }

  statement(s: Statement): Statement {
    const mapped = this.rebuildStatement(s);
    if (mapped === s || s.kind === "set" || s.kind === "store") return mapped;
    this.results ??= new Map();
    this.results.set(s, mapped);
    return mapped;
  }

  private rebuildStatement(s: Statement): Statement {
    switch (s.kind) {
      case "get": {
        const slot = this.slot(s.slot);
        return slot === s.slot && !this.isCopy ? s : { kind: "get", slot, type: s.type };
      }
      case "set": {
        const slot = this.slot(s.slot);
        const value = this.value(s.value);
        return slot === s.slot && value === s.value && !this.isCopy ? s : { kind: "set", slot, type: s.type, value };
      }
      case "load": {
        const address = this.value(s.address);
        return address === s.address && !this.isCopy ? s : { kind: "load", size: s.size, address, forWrite: s.forWrite };
      }
      case "fetch":
        return this.isCopy ? { ...s } : s;
      case "store": {
        const address = this.value(s.address);
        const value = this.value(s.value);
        return address === s.address && value === s.value && !this.isCopy ? s : { kind: "store", size: s.size, address, value };
      }
      case "segment":
        return { ...s, offset: this.value(s.offset) };
      case "call": {
        const args = this.list(s.args);
        return args === s.args && !this.isCopy ? s : { kind: "call", callout: s.callout, args };
      }
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
