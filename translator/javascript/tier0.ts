/**
 * Tier 0: the handler of a shape. The instruction's template printed with operands left as reads of the code array `C` at index `p`, where
 *
 *     C[p] = shape number | page offset << 16,  C[p + 1 ...] = the fields the text uses,  then one link word for each static exit.
 *
 * A superinstruction (passes/fuse.ts) stores the fields of all its parts; where a part behind the first may fault, its slow paths say which one it is.
 *
 * A handler returns the index of the next instruction of its block, or (negative) a link: ~index of the next block's header.
 */
import type { CalloutRow } from "../contract/callouts.ts";
import { slot } from "../contract/slots.ts";
import type { ExitTarget, ShapeCode } from "../contract/translator.ts";
import type { SlotRef, SlotType, Terminator, Value } from "../ir/micro.ts";
import type { HandlerBody } from "../passes/fuse.ts";
import type { Expression, Statement } from "./estree.ts";
import * as js from "./estree.ts";
import { LocalNames } from "./local-names.ts";
import { print } from "./print.ts";
import type { PureTemplates } from "./pure-templates.ts";
import { StatementEmitter, type Target } from "./statements.ts";
import { OneInstruction } from "./x87/instruction.ts";
import type { X87Site } from "./x87/stack.ts";

class TierZeroTarget implements Target {
  /** Fields used, in order of first use: their place after the shape word. */
  readonly layout: number[] = [];
  readonly freeNames = new Set<string>();
  /** For each part, which word holds its page offset; 0 until needed. */
  readonly parts: number[];
  private readonly body: HandlerBody;
  private part = 0;
  private readonly names = new LocalNames();
  readonly x87: X87Site;

  constructor(body: HandlerBody, x87InDoubles: boolean) {
    this.body = body;
    const nextEip = (): Expression => this.codeAddress(this.field(this.body.nextFields[0]));
    this.x87 = { inDoubles: x87InDoubles, stack: (emit) => new OneInstruction(emit, x87InDoubles, nextEip) };
    this.parts = body.nextFields.map(() => 0);
  }

  field(index: number): Expression {
    let at = this.layout.indexOf(index);
    if (at < 0) at = this.layout.push(index) - 1;
    return js.index("C", js.binary("+", js.identifier("p"), js.literal(at + 1)));
  }
  slotPlace(ref: SlotRef, type: SlotType): Expression {
    const shift = type === "f64" ? 1 : 0;
    const array = type === "f64" ? "F" : "R";
    if (ref.base.kind === "constant") return js.index(array, js.literal((ref.base.value + ref.offset) >> shift));
    const base = this.field(fieldIndex(ref.base));
    const number = ref.offset === 0 ? base : js.binary("+", base, js.literal(ref.offset));
    return js.index(array, shift === 0 ? number : js.binary(">>", number, js.literal(1)));
  }
  codeAddress(offset: Expression): Expression {
    return js.toInt32(js.binary("+", js.index("R", js.literal(slot.page)), offset));
  }
  tlbHalf(): Expression {
    return js.index("R", js.literal(slot.tlbHalf));
  }
  beforeStatement(k: number): void {
    this.part = this.body.statements[k].instruction;
  }
  /** A fault in a superinstruction: which of its parts. */
  private notePart(): Expression | undefined {
    const { part } = this;
    if (this.parts.length === 1) return undefined;
    const place = js.index("R", js.literal(slot.faultOffset));
    if (part === 0) return js.assign(place, js.binary(">>>", js.index("C", js.identifier("p")), js.literal(16)));
    const offset = this.field(this.body.nextFields[part - 1]);
    this.parts[part] = this.layout.indexOf(this.body.nextFields[part - 1]) + 1;
    return js.assign(place, offset);
  }
  slowPath(call: Expression): Expression {
    const note = this.notePart();
    return note === undefined ? call : js.sequence(note, call);
  }
  slowStore(size: number, address: Expression, value: Expression): Statement[] {
    const name = `st${size}`;
    this.freeNames.add(name);
    const note = this.notePart();
    const call = js.expressionStatement(js.call(name, [address, value]));
    return note === undefined ? [call] : [js.expressionStatement(note), call];
  }
  beforeCall(row: CalloutRow): Statement[] {
    if (row.neverFaults && row.general === false) return [];
    const next = this.codeAddress(this.field(this.body.nextFields[0]));
    return [js.expressionStatement(js.assign(js.index("R", js.literal(slot.eip)) as never, next))];
  }
  afterCall(): Statement[] {
    return [];
  }
  mayAlias(a: SlotRef, b: SlotRef): boolean {
    if (a.base.kind === "constant" && b.base.kind === "constant") return a.base.value + a.offset === b.base.value + b.offset;
    if (a.base.kind !== "constant" && b.base.kind !== "constant") {
      // The same register at another lane never aliases itself.
      return fieldIndex(a.base) !== fieldIndex(b.base) || a.offset === b.offset;
    }
    const fixed = (a.base.kind === "constant" ? a.base.value + a.offset : (b.base as { value: number }).value + b.offset) as number;
    // A field names a general register, an x87/MMX register or an XMM word; the control words in between have no numbers.
    return fixed < 8 || (fixed >= slot.fpuMantissaLow && fixed < slot.fpuControl) || (fixed >= slot.xmm && fixed < slot.scratch2);
  }
  name(hint: string): string {
    return this.names.next(hint);
  }
}

function fieldIndex(v: Value): number {
  if (v.kind !== "field") throw new Error("a slot's base is a constant or a field");
  return v.index;
}

/** The handler as a tree, too: WebAssembly is made from it as well (../wasm). */
export interface TierZeroCode extends ShapeCode {
  readonly statements: readonly Statement[];
}

/** @param x87InDoubles x87 registers hold plain doubles */
export function tierZeroCode(body: HandlerBody, templates: PureTemplates, name: string, x87InDoubles = false): TierZeroCode {
  const target = new TierZeroTarget(body, x87InDoubles);
  const emitter = new StatementEmitter(target, templates);
  const { terminator } = body;
  const next = body.nextFields[body.nextFields.length - 1];
  emitter.emit(body.statements, tailValues(terminator));
  const tail = terminator === undefined ? undefined : tailOf(terminator, emitter);
  const statements = [...emitter.out];
  const exits = terminator === undefined ? [] : exitsOf(terminator, next);
  const linkAt = 1 + target.layout.length;
  const size = linkAt + exits.length;
  const link = (k: number): Expression => js.index("C", js.binary("+", js.identifier("p"), js.literal(linkAt + k)));
  statements.push(js.returnStatement(tail === undefined ? js.binary("+", js.identifier("p"), js.literal(size)) : tail(link)));
  return {
    name,
    statements,
    // Printed when somebody asks: most handlers run as WebAssembly.
    get text(): string {
      return print(js.functionExpression(null, ["p"], statements));
    },
    freeNames: [
      ...emitter.freeNames,
      ...target.freeNames,
      ...(terminator?.kind === "indirect" ? [jumpName(terminator)] : []),
      ...(terminator?.kind === "dispatch" || terminator?.kind === "proceed" ? ["dispatch"] : []),
    ],
    layout: target.layout,
    exits,
    endsBlock: terminator !== undefined,
    size,
    instructions: body.nextFields.length,
    parts: target.parts.slice(1),
  };
}

export function tailValues(t: Terminator | undefined): Value[] {
  if (t === undefined) return [];
  if (t.kind === "branch" || t.kind === "again") return [t.condition];
  if (t.kind === "proceed") return [t.unless];
  return t.kind === "indirect" ? [t.target] : [];
}

type Tail = (link: (k: number) => Expression) => Expression;

function tailOf(t: Terminator, emitter: StatementEmitter): Tail {
  switch (t.kind) {
    case "jump":
    case "call":
      return (link) => link(0);
    case "branch":
    case "again": {
      const condition = emitter.value(t.condition);
      return (link) => js.conditional(condition, link(0), link(1));
    }
    case "indirect": {
      const target = emitter.value(t.target);
      return () => js.call(jumpName(t), [target]);
    }
    case "proceed": {
      const unless = emitter.value(t.unless);
      return (link) => js.conditional(js.binary("!==", unless, js.literal(0)), js.call("dispatch", []), link(0));
    }
    case "dispatch":
      return () => js.call("dispatch", []);
  }
}

/** The host's entry for computed jumps. */
export function jumpName(t: Extract<Terminator, { kind: "indirect" }>): string {
  return t.segmented ? "jumpSegmented" : "jump";
}

function exitsOf(t: Terminator, nextField: number): ExitTarget[] {
  const exit = (offset: Value, wraps = false): ExitTarget => {
    if (offset.kind === "field" && offset.index === nextField) return { kind: "next" };
    if (offset.kind !== "field") throw new Error("a static exit is a field");
    return wraps ? { kind: "field", field: offset.index, wraps } : { kind: "field", field: offset.index };
  };
  switch (t.kind) {
    case "jump":
    case "call":
      return [exit(t.target, t.wraps)];
    case "branch":
      return [exit(t.taken, t.wraps), exit(t.fall)];
    case "again":
      return [{ kind: "self" }, { kind: "next" }];
    case "proceed":
      return [{ kind: "next" }];
    default:
      return [];
  }
}
