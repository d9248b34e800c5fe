/** What is known of the names in a tree, and of which type its expressions are, before a byte of it is written. */
import type { Expression, Node, Statement } from "estree";
import type { ArrayPlace } from "../contract/wasm.ts";
import type { ValueType } from "./encoder.ts";
import { isVectorObject, vectorOperation } from "./vectors.ts";

export class Refused extends Error {}

export function refuse(what: string): never {
  throw new Refused(what);
}

/** Of a value: an int32, an uint32 (both in an i32), a double, 0 or 1 for a truth, or a vector. */
export type Type = "i32" | "u32" | "f64" | "bool" | "v128";

/** What a local has for it. */
export function localType(type: Type): ValueType {
  return type === "f64" || type === "v128" ? type : "i32";
}

export interface Known {
  /** What it is declared as, and what else is assigned to it: constants, which are most, need no list. */
  first: Expression | undefined;
  others: Expression[] | undefined;
  isConstant: boolean;
  /** Times it is named, its declaration not counted. */
  references: number;
  /** The innermost loop around its declaration, by number. */
  loop: number;
  type: Type | undefined;
  /** Its type is being found out. */
  isAsked: boolean;
  local: number;
  /** The number it stands for, known from the host. */
  readonly constant: number | undefined;
}

interface TypeHost {
  readonly arrays: Readonly<Record<string, ArrayPlace>>;
  readonly constants: Readonly<Record<string, number>>;
  isDouble(name: string): boolean;
}

export class Names {
  private readonly host: TypeHost;
  private readonly known = new Map<string, Known>();
  /** While they are collected: the loop that is gone through (0: none), and how many there were. */
  private loop = 0;
  private loops = 0;
  /** Names whose types are being found out, one for another, and whether one of them came up again. */
  private asking = 0;
  private wentRound = false;

  constructor(host: TypeHost, parameters: readonly string[], list: readonly Statement[]) {
    this.host = host;
    for (const [name, constant] of Object.entries(host.constants)) this.add(name, constant);
    parameters.forEach((name, local) => {
      const known = this.add(name);
      known.isConstant = true;
      known.references = Number.POSITIVE_INFINITY;
      known.loop = 0;
      known.type = "i32";
      known.local = local;
    });
    this.collect(list);
  }

  private add(name: string, constant?: number): Known {
    const known: Known = {
      first: undefined,
      others: undefined,
      isConstant: false,
      references: 0,
      loop: -1,
      type: undefined,
      isAsked: false,
      local: -1,
      constant,
    };
    this.known.set(name, known);
    return known;
  }

  /** What is known of a name: asked once wherever it is met. */
  of(name: string): Known {
    return this.known.get(name) ?? this.add(name);
  }

  private collect(list: readonly Node[]): void {
    for (let k = 0; k < list.length; k++) this.collectFrom(list[k]);
  }

  private collectFrom(n: Node): void {
    // The commonest first: code that is not warm compares with one after the other.
    switch (n.type) {
      case "Identifier":
        return this.refer(this.of(n.name));
      case "BinaryExpression":
      case "LogicalExpression":
        this.collectFrom(n.left);
        // Half of them.
        return n.right.type === "Literal" ? undefined : this.collectFrom(n.right);
      case "ExpressionStatement":
        return this.collectFrom(n.expression);
      case "AssignmentExpression":
        if (n.left.type === "Identifier") {
          const known = this.of(n.left.name);
          addValue(known, n.right);
          this.refer(known);
        } else this.collectFrom(n.left);
        return this.collectFrom(n.right);
      case "MemberExpression":
        // Arrays and Math are no values.
        return n.computed && n.property.type !== "Literal" ? this.collectFrom(n.property) : undefined;
      case "Literal":
        return;
      case "VariableDeclaration":
        for (const { id, init } of n.declarations) {
          if (id.type !== "Identifier" || init == null) continue;
          const known = this.of(id.name);
          addValue(known, init);
          known.isConstant = n.kind === "const";
          known.loop = this.loop;
          this.collectFrom(init);
        }
        return;
      case "IfStatement":
      case "ConditionalExpression":
        this.collectFrom(n.test);
        this.collectFrom(n.consequent);
        return n.alternate == null ? undefined : this.collectFrom(n.alternate);
      case "BlockStatement":
        return this.collect(n.body);
      case "CallExpression":
        return this.collect(n.arguments);
      case "SequenceExpression":
        return this.collect(n.expressions);
      case "UnaryExpression":
      case "UpdateExpression":
        return this.collectFrom(n.argument);
      case "BreakStatement":
      case "ContinueStatement":
        return;
      case "ReturnStatement":
        return n.argument == null ? undefined : this.collectFrom(n.argument);
      case "LabeledStatement":
        return this.collectFrom(n.body);
      case "ForStatement": {
        const { loop } = this;
        this.loop = ++this.loops;
        this.collectFrom(n.body);
        this.loop = loop;
        return;
      }
      case "SwitchStatement":
        this.collectFrom(n.discriminant);
        for (const { consequent } of n.cases) this.collect(consequent);
        return;
      case "TryStatement":
        this.collectFrom(n.block);
        return n.handler == null ? undefined : this.collectFrom(n.handler.body);
      default:
        throw new Refused(n.type);
    }
  }

  private refer(known: Known): void {
    // In a loop that it was not declared in, it is needed again in the next round.
    known.references += known.loop === this.loop ? 1 : Number.POSITIVE_INFINITY;
  }

  /** The type of what a name stands for. */
  typeOfName(name: string): Type {
    return this.typeOfKnown(this.of(name));
  }
  typeOfKnown(known: Known): Type {
    if (known.type === undefined) return this.findType(known);
    if (known.isAsked) this.wentRound = true;
    return known.type;
  }

  private findType(known: Known): Type {
    if (known.first === undefined) return refuse("a name");
    // Asked again while it is being found out, it says int32, which decides nothing: but then no answer that rests on this one is remembered, unless it is a double.
    known.type = "i32";
    known.isAsked = true;
    this.asking++;
    const first = this.typeOf(known.first);
    if (first === "v128") {
      this.asking--;
      known.type = first;
      known.isAsked = false;
      return first;
    }
    let isDouble = first === "f64";
    let isUnsigned = first === "u32";
    for (const e of known.others ?? []) {
      const type = this.typeOf(e);
      if (type === "f64") isDouble = true;
      else if (type === "u32") isUnsigned = true;
    }
    this.asking--;
    if (!known.isConstant && !isDouble && isUnsigned) throw new Refused("a variable of uint32");
    const type: Type = isDouble ? "f64" : known.isConstant && first === "u32" ? "u32" : "i32";
    known.type = isDouble || !this.wentRound || this.asking === 0 ? type : undefined;
    known.isAsked = false;
    if (this.asking === 0) this.wentRound = false;
    return type;
  }

  /** The type that an expression's value has. */
  typeOf(e: Expression): Type {
    switch (e.type) {
      case "Identifier": {
        const known = this.of(e.name);
        return known.constant === undefined ? this.typeOfKnown(known) : typeOfNumber(known.constant);
      }
      case "Literal":
        return typeof e.value === "number" ? typeOfNumber(e.value) : refuse(e.type);
      case "MemberExpression": {
        const kind = e.object.type === "Identifier" ? this.host.arrays[e.object.name]?.kind : undefined;
        return kind === "f64" || kind === "f32" ? "f64" : "i32";
      }
      case "BinaryExpression":
        return typeOfOperation(e);
      case "LogicalExpression":
        return "bool";
      case "UnaryExpression": {
        if (e.operator === "!") return "bool";
        if (e.operator === "~") return "i32";
        const value = literalOf(e);
        return value === undefined ? "f64" : typeOfNumber(value);
      }
      case "ConditionalExpression": {
        const a = this.typeOf(e.consequent);
        const b = this.typeOf(e.alternate);
        if (a === b) return a;
        if (a === "v128" || b === "v128") return refuse("a choice of two types");
        if (a === "f64" || b === "f64") return "f64";
        const isInt = (t: Type, x: Expression) => t === "i32" || t === "bool" || isNotNegative(x);
        if (isInt(a, e.consequent) && isInt(b, e.alternate)) return "i32";
        return refuse("a choice of two types");
      }
      case "CallExpression":
        return this.typeOfCall(e);
      case "SequenceExpression":
        return this.typeOf(e.expressions[e.expressions.length - 1]);
      case "AssignmentExpression":
        return e.left.type === "Identifier" ? this.typeOfName(e.left.name) : this.typeOf(e.right);
      default:
        return refuse(e.type);
    }
  }

  private typeOfCall(e: Expression & { type: "CallExpression" }): Type {
    const { callee } = e;
    if (callee.type === "Identifier") return this.host.isDouble(callee.name) ? "f64" : "i32";
    if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return refuse("a call");
    const { name } = callee.property;
    if (callee.object.type === "Identifier" && isVectorObject(callee.object.name)) {
      const { result = "i32" } = vectorOperation(callee.object.name, name) ?? refuse(name);
      return result === "f32" ? "f64" : result;
    }
    if (name === "imul" || name === "clz32") return "i32";
    if (name === "min" || name === "max") return (e.arguments as Expression[]).every((a) => this.typeOf(a) === "i32") ? "i32" : "f64";
    return "f64";
  }
}

export function typeOfNumber(value: number): Type {
  // -0 is a double.
  if ((value | 0) === value) return value === 0 && Object.is(value, -0) ? "f64" : "i32";
  return value >>> 0 === value ? "u32" : "f64";
}

/** The type of what an operator yields, whatever it is applied to. */
export function typeOfOperation(e: Expression & { type: "BinaryExpression" }): Type {
  switch (e.operator) {
    case "&":
    case "|":
    case "^":
    case "<<":
    case ">>":
      return "i32";
    case ">>>":
      return isUnsignedShift(e) ? "i32" : "u32";
    case "+":
    case "-":
    case "*":
    case "/":
      return "f64";
    default:
      return "bool";
  }
}

function addValue(known: Known, value: Expression): void {
  if (known.first === undefined) known.first = value;
  else if (known.others === undefined) known.others = [value];
  else known.others.push(value);
}

export function literalOf(e: Node): number | undefined {
  if (e.type === "Literal") return typeof e.value === "number" ? e.value : undefined;
  if (e.type === "UnaryExpression" && e.operator === "-" && e.argument.type === "Literal") return -(e.argument.value as number);
  return undefined;
}

/** x >>> n with n > 0 is an int32 as well. */
function isUnsignedShift(e: Expression & { type: "BinaryExpression" }): boolean {
  const n = literalOf(e.right);
  return n !== undefined && (n & 31) !== 0;
}

export function isNotNegative(e: Expression): boolean {
  const value = literalOf(e);
  if (value !== undefined) return value >= 0 && value < 2 ** 31;
  if (e.type !== "BinaryExpression") return false;
  if (e.operator === ">>>") return isUnsignedShift(e);
  return e.operator === "&" && [e.left, e.right].some((x) => (literalOf(x) ?? -1) >= 0);
}
