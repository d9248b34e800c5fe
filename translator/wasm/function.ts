/**
 * The same trees that tier 0 prints as JavaScript, as WebAssembly: a compiler for the small part of ESTree that generated code uses. Where JavaScript has
 * numbers, a value here is an int32, an uint32 (both in an i32) or a double; an operation that could leave the int32 range is done in
 * wrapped integers only where its user wraps it anyway (`| 0`, `>>>`, an array's element), else in doubles, as JavaScript does it.
 *
 * A tree with anything else in it is refused: its JavaScript does the work.
 */
import type { Expression, Node, Statement } from "estree";
import type { ArrayPlace } from "../contract/wasm.ts";
import { Bytes, type FunctionType, type Opcode, opcode, type ValueType, valueType } from "./encoder.ts";

export interface WasmHost {
  readonly arrays: Readonly<Record<string, ArrayPlace>>;
  /** Number of the imported function for a call of `name` with so many int32 arguments; undefined: it cannot be called from here. */
  imported(name: string, parameters: number, hasResult: boolean): number | undefined;
  /** Byte offset of the word that says which instruction is under way. */
  readonly place: number;
  /** What follows a call of `name`: the word that says that it met a guest exception, and the block that is next then. Undefined: it meets none. */
  fault(name: string): { readonly word: number; readonly block: number } | undefined;
}

/** What `return` is in code taken in line: a value for a local, and a jump. */
export interface ReturnTo {
  readonly local: number;
  /** Depth of the label. */
  readonly label: number;
  /** The value is a link: its complement is wanted. */
  readonly isLink: boolean;
  /** Depth of the label where the local is a block's header. */
  readonly blocks: number;
}

export class Refused extends Error {}

type Type = "i32" | "u32" | "f64" | "bool";

const elementShift = { i8: 0, i16: 1, i32: 2, f64: 3 } as const;
const elementLoad = { i8: "i32.load8_s", i16: "i32.load16_s", i32: "i32.load", f64: "f64.load" } as const;
const elementStore = { i8: "i32.store8", i16: "i32.store16", i32: "i32.store", f64: "f64.store" } as const;

const compareSigned: Record<string, Opcode> = {
  "<": "i32.lt_s",
  "<=": "i32.le_s",
  ">": "i32.gt_s",
  ">=": "i32.ge_s",
  "===": "i32.eq",
  "!==": "i32.ne",
};
const compareUnsigned: Record<string, Opcode> = {
  "<": "i32.lt_u",
  "<=": "i32.le_u",
  ">": "i32.gt_u",
  ">=": "i32.ge_u",
  "===": "i32.eq",
  "!==": "i32.ne",
};
const compareDouble: Record<string, Opcode> = { "<": "f64.lt", "<=": "f64.le", ">": "f64.gt", ">=": "f64.ge", "===": "f64.eq", "!==": "f64.ne" };
const bitwise: Record<string, Opcode> = { "&": "i32.and", "|": "i32.or", "^": "i32.xor", "<<": "i32.shl", ">>": "i32.shr_s", ">>>": "i32.shr_u" };
const wrapping: Record<string, Opcode> = { "+": "i32.add", "-": "i32.sub" };
const doubles: Record<string, Opcode> = { "+": "f64.add", "-": "f64.sub", "*": "f64.mul", "/": "f64.div" };

export class WasmFunction {
  readonly body = new Bytes();
  readonly locals: ValueType[] = [];
  private readonly host: WasmHost;
  private readonly names = new Map<string, { index: number; type: Type }>();
  private readonly parameters: number;
  /** Labels around the instruction being written. */
  depth = 0;
  private returnTo: ReturnTo | undefined;
  /** Locals of code taken in line, to be used again by the next: by type, and how many of them are taken. */
  private readonly pools = { i32: [] as number[], f64: [] as number[] };
  private readonly taken = { i32: 0, f64: 0 };

  /** @param parameters names of the int32 parameters */
  constructor(host: WasmHost, parameters: readonly string[]) {
    this.host = host;
    this.parameters = parameters.length;
    parameters.forEach((name, index) => {
      this.names.set(name, { index, type: "i32" });
    });
  }

  get type(): FunctionType {
    return { parameters: Array.from({ length: this.parameters }, () => "i32" as const), results: ["i32"] };
  }

  statements(list: readonly Statement[]): void {
    for (const s of list) this.statement(s);
  }

  /**
   * Handlers' code in the middle of the function. The place of the instruction is noted first if it calls anything.
   */
  inline(list: readonly Statement[], returnTo: ReturnTo): void {
    this.returnTo = returnTo;
    this.taken.i32 = 0;
    this.taken.f64 = 0;
    const names = new Map(this.names);
    if (callsAnything(list)) {
      this.constant(0);
      this.local("local.get", returnTo.local);
      this.access("i32.store", this.host.place);
    }
    this.statements(list);
    this.op("unreachable");
    this.names.clear();
    for (const [name, known] of names) this.names.set(name, known);
    this.returnTo = undefined;
  }

  // ---- encoding

  begin(kind: "block" | "loop" | "if", result?: ValueType): void {
    this.op(kind);
    this.body.byte(result === undefined ? 0x40 : valueType[result]);
    this.depth++;
  }
  end(): void {
    this.depth--;
    this.op("end");
  }
  /** To the label that `depth` was just inside of. */
  branch(label: number): void {
    this.op("br");
    this.body.unsigned(this.depth - label);
  }
  branchIf(label: number): void {
    this.op("br_if");
    this.body.unsigned(this.depth - label);
  }
  /** The number on the stack: 0 to the innermost label, and so on for `count` labels; 0 if it is larger. */
  branchTable(count: number): void {
    this.op("br_table");
    this.body.unsigned(count);
    for (let k = 0; k < count; k++) this.body.unsigned(k);
    this.body.unsigned(0);
  }
  call(index: number): void {
    this.op("call");
    this.body.unsigned(index);
  }
  callIndirect(type: number): void {
    this.op("call_indirect");
    this.body.unsigned(type);
    this.body.unsigned(0);
  }

  op(name: Opcode): void {
    this.body.byte(opcode[name]);
  }
  constant(value: number): void {
    this.op("i32.const");
    this.body.signed(value);
  }
  local(kind: "local.get" | "local.set" | "local.tee", index: number): void {
    this.op(kind);
    this.body.unsigned(index);
  }
  access(name: Opcode, offset: number): void {
    this.op(name);
    // Alignment is a hint.
    this.body.byte(0);
    this.body.unsigned(offset);
  }
  newLocal(type: ValueType): number {
    if (this.returnTo !== undefined) {
      const pool = this.pools[type];
      const k = this.taken[type]++;
      if (k === pool.length) pool.push(this.parameters + this.locals.push(type) - 1);
      return pool[k];
    }
    return this.parameters + this.locals.push(type) - 1;
  }

  // ---- statements

  private statement(s: Statement): void {
    switch (s.type) {
      case "VariableDeclaration": {
        for (const d of s.declarations) {
          if (d.id.type !== "Identifier" || d.init == null) throw new Refused("a declaration without a value");
          const type = this.value(d.init);
          const index = this.newLocal(type === "f64" ? "f64" : "i32");
          this.names.set(d.id.name, { index, type: type === "bool" ? "i32" : type });
          this.local("local.set", index);
        }
        return;
      }
      case "ExpressionStatement":
        return this.effect(s.expression);
      case "ReturnStatement":
        if (s.argument == null) throw new Refused("return");
        this.int(s.argument);
        return this.leave();
      case "BlockStatement":
        return this.statements(s.body);
      case "IfStatement": {
        this.condition(s.test);
        this.begin("if");
        this.statement(s.consequent);
        if (s.alternate != null) {
          this.op("else");
          this.statement(s.alternate);
        }
        return this.end();
      }
      default:
        throw new Refused(s.type);
    }
  }

  private leave(): void {
    const { returnTo } = this;
    if (returnTo === undefined) return this.op("return");
    if (returnTo.isLink) {
      this.constant(-1);
      this.op("i32.xor");
    }
    this.local("local.set", returnTo.local);
    this.branch(returnTo.label);
  }

  /** An expression whose value nobody wants. */
  private effect(e: Expression): void {
    if (e.type === "SequenceExpression") {
      for (const x of e.expressions) this.effect(x);
      return;
    }
    if (e.type === "CallExpression") {
      this.calling(e, false);
      return;
    }
    if (e.type === "AssignmentExpression" && e.operator === "=") {
      const { left } = e;
      if (left.type === "Identifier") {
        const known = this.names.get(left.name);
        if (known === undefined) throw new Refused(`assignment to ${left.name}`);
        if (known.type === "f64") this.double(e.right);
        else {
          if (known.type === "u32") throw new Refused("assignment to a uint32");
          this.int(e.right);
        }
        return this.local("local.set", known.index);
      }
      if (left.type !== "MemberExpression" || left.object.type !== "Identifier") throw new Refused("assignment");
      const place = this.place(left.object.name);
      const offset = this.element(place, left.property as Expression);
      if (place.kind === "f64") this.double(e.right);
      else this.int(e.right);
      return this.access(elementStore[place.kind], offset);
    }
    if (e.type === "UpdateExpression" && e.operator === "++" && e.argument.type === "MemberExpression" && e.argument.object.type === "Identifier") {
      const place = this.place(e.argument.object.name);
      if (place.kind !== "f64" && place.kind !== "i32") throw new Refused("++");
      const offset = this.element(place, e.argument.property as Expression);
      const at = this.newLocal("i32");
      this.local("local.tee", at);
      this.local("local.get", at);
      this.access(elementLoad[place.kind], offset);
      if (place.kind === "f64") {
        this.op("f64.const");
        this.body.double(1);
        this.op("f64.add");
      } else {
        this.constant(1);
        this.op("i32.add");
      }
      return this.access(elementStore[place.kind], offset);
    }
    this.value(e);
    this.op("drop");
  }

  // ---- expressions

  private place(array: string): ArrayPlace {
    const place = this.host.arrays[array];
    if (place === undefined) throw new Refused(`array ${array}`);
    return place;
  }

  /** Pushes the byte address of an element but for a constant part, which it returns. */
  private element(place: ArrayPlace, index: Expression): number {
    const shift = elementShift[place.kind];
    const value = literalOf(index);
    if (value !== undefined && value >= 0) {
      this.constant(0);
      return place.offset + value * 2 ** shift;
    }
    if (index.type === "BinaryExpression" && index.operator === "+") {
      const more = literalOf(index.right as Expression);
      if (more !== undefined && more >= 0) {
        this.int(index.left as Expression);
        this.scaled(shift);
        return place.offset + more * 2 ** shift;
      }
    }
    if (shift > 0 && index.type === "BinaryExpression" && index.operator === ">>>" && literalOf(index.right as Expression) === shift) {
      this.int(index.left as Expression);
      this.constant(-1 << shift);
      this.op("i32.and");
      return place.offset;
    }
    this.int(index);
    this.scaled(shift);
    return place.offset;
  }

  private scaled(shift: number): void {
    if (shift === 0) return;
    this.constant(shift);
    this.op("i32.shl");
  }

  /** Pushes the value modulo 2^32. */
  private int(e: Expression): void {
    const value = literalOf(e);
    if (value !== undefined) {
      if (!Number.isInteger(value)) throw new Refused("a fraction as an integer");
      return this.constant(value | 0);
    }
    if (e.type === "BinaryExpression") {
      const operator = wrapping[e.operator];
      if (operator !== undefined && this.fitsWrapped(e, 0)) {
        this.int(e.left as Expression);
        this.int(e.right);
        return this.op(operator);
      }
    }
    if (e.type === "ConditionalExpression") {
      this.condition(e.test);
      this.begin("if", "i32");
      this.int(e.consequent);
      this.op("else");
      this.int(e.alternate);
      return this.end();
    }
    if (e.type === "UnaryExpression" && e.operator === "-") {
      this.constant(0);
      this.int(e.argument);
      return this.op("i32.sub");
    }
    if (this.value(e) === "f64") throw new Refused("a double as an integer");
  }

  /** Whether a sum of int32 and uint32 parts is exact in doubles, so that wrapping it is what ToInt32 does: fewer than 2^20 of them. */
  private fitsWrapped(e: Expression, depth: number): boolean {
    if (depth > 16) return false;
    if (e.type === "BinaryExpression" && wrapping[e.operator] !== undefined)
      return this.fitsWrapped(e.left as Expression, depth + 1) && this.fitsWrapped(e.right, depth + 1);
    const value = literalOf(e);
    if (value !== undefined) return Number.isInteger(value) && Math.abs(value) <= 2 ** 32;
    return this.typeOf(e) !== "f64";
  }

  /** Pushes a double. */
  private double(e: Expression): void {
    const value = literalOf(e);
    if (value !== undefined) {
      this.op("f64.const");
      return this.body.double(value);
    }
    if (e.type === "BinaryExpression" && doubles[e.operator] !== undefined) {
      this.double(e.left as Expression);
      this.double(e.right);
      return this.op(doubles[e.operator]);
    }
    if (e.type === "UnaryExpression" && e.operator === "-") {
      this.double(e.argument);
      return this.op("f64.neg");
    }
    const type = this.value(e);
    if (type === "u32") this.op("f64.convert_i32_u");
    else if (type !== "f64") this.op("f64.convert_i32_s");
  }

  /** Pushes 0 or not 0. */
  private condition(e: Expression): void {
    if (e.type === "LogicalExpression" && e.operator !== "??") {
      this.condition(e.left);
      this.begin("if", "i32");
      if (e.operator === "&&") this.condition(e.right);
      else this.constant(1);
      this.op("else");
      if (e.operator === "&&") this.constant(0);
      else this.condition(e.right);
      return this.end();
    }
    if (e.type === "UnaryExpression" && e.operator === "!") {
      this.condition(e.argument);
      return this.op("i32.eqz");
    }
    if (this.value(e) === "f64") throw new Refused("a double as a condition");
  }

  /** The type `value` will leave. */
  private typeOf(e: Expression): Type {
    const value = literalOf(e);
    if (value !== undefined) return Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 32 ? (value < 2 ** 31 ? "i32" : "u32") : "f64";
    switch (e.type) {
      case "Identifier":
        return this.names.get(e.name)?.type ?? refuse(`name ${e.name}`);
      case "MemberExpression":
        return e.object.type === "Identifier" && this.place(e.object.name).kind === "f64" ? "f64" : "i32";
      case "BinaryExpression":
        if (e.operator === ">>>") return isUnsignedShift(e) ? "i32" : "u32";
        if (bitwise[e.operator] !== undefined) return "i32";
        if (doubles[e.operator] !== undefined) return "f64";
        return "bool";
      case "LogicalExpression":
        return "bool";
      case "UnaryExpression":
        return e.operator === "!" ? "bool" : e.operator === "~" ? "i32" : "f64";
      case "ConditionalExpression": {
        const a = this.typeOf(e.consequent);
        const b = this.typeOf(e.alternate);
        if (a === b) return a;
        const isInt = (t: Type, x: Expression) => t === "i32" || t === "bool" || (literalOf(x) ?? -1) >= 0;
        if (isInt(a, e.consequent) && isInt(b, e.alternate)) return "i32";
        return refuse("a choice of two types");
      }
      case "CallExpression":
        return "i32";
      case "SequenceExpression":
        return this.typeOf(e.expressions[e.expressions.length - 1]);
      default:
        return refuse(e.type);
    }
  }

  /** Pushes the value as it is. */
  private value(e: Expression): Type {
    const literal = literalOf(e);
    if (literal !== undefined) {
      const type = this.typeOf(e);
      if (type === "f64") this.double(e);
      else this.constant(literal | 0);
      return type;
    }
    switch (e.type) {
      case "Identifier": {
        const known = this.names.get(e.name);
        if (known === undefined) throw new Refused(`name ${e.name}`);
        this.local("local.get", known.index);
        return known.type;
      }
      case "MemberExpression": {
        if (e.object.type !== "Identifier") throw new Refused("member");
        const place = this.place(e.object.name);
        this.access(elementLoad[place.kind], this.element(place, e.property as Expression));
        return place.kind === "f64" ? "f64" : "i32";
      }
      case "BinaryExpression":
        return this.binary(e.operator, e.left as Expression, e.right, e);
      case "LogicalExpression":
        for (const part of [e.left, e.right]) if (this.typeOf(part) !== "bool") throw new Refused("a logical value");
        this.condition(e);
        return "bool";
      case "UnaryExpression":
        if (e.operator === "!") {
          this.condition(e);
          return "bool";
        }
        if (e.operator === "~") {
          this.int(e.argument);
          this.constant(-1);
          this.op("i32.xor");
          return "i32";
        }
        if (e.operator !== "-") throw new Refused(e.operator);
        this.double(e);
        return "f64";
      case "ConditionalExpression": {
        const type = this.typeOf(e);
        this.condition(e.test);
        this.begin("if", type === "f64" ? "f64" : "i32");
        if (type === "f64") this.double(e.consequent);
        else this.int(e.consequent);
        this.op("else");
        if (type === "f64") this.double(e.alternate);
        else this.int(e.alternate);
        this.end();
        return type;
      }
      case "CallExpression":
        return this.instruction(e) ?? this.calling(e, true);
      case "SequenceExpression": {
        for (const x of e.expressions.slice(0, -1)) this.effect(x);
        return this.value(e.expressions[e.expressions.length - 1]);
      }
      default:
        throw new Refused(e.type);
    }
  }

  private binary(operator: string, left: Expression, right: Expression, e: Expression): Type {
    if (bitwise[operator] !== undefined) {
      this.int(left);
      // `x | 0` only says that x is wrapped.
      if (operator === "|" && literalOf(right) === 0) return "i32";
      this.int(right);
      this.op(bitwise[operator]);
      return this.typeOf(e);
    }
    if (doubles[operator] !== undefined) {
      this.double(e);
      return "f64";
    }
    const a = this.typeOf(left);
    const b = this.typeOf(right);
    const fits = (type: Type, x: Expression, wanted: "i32" | "u32") => {
      const value = literalOf(x);
      if (value !== undefined)
        return Number.isInteger(value) && (wanted === "i32" ? value >= -(2 ** 31) && value < 2 ** 31 : value >= 0 && value < 2 ** 32);
      return type === wanted || type === "bool" || (wanted === "u32" && isNotNegative(x));
    };
    if (fits(a, left, "i32") && fits(b, right, "i32")) {
      this.int(left);
      this.int(right);
      this.op(compareSigned[operator] ?? refuse(operator));
    } else if (fits(a, left, "u32") && fits(b, right, "u32")) {
      this.int(left);
      this.int(right);
      this.op(compareUnsigned[operator] ?? refuse(operator));
    } else {
      this.double(left);
      this.double(right);
      this.op(compareDouble[operator] ?? refuse(operator));
    }
    return "bool";
  }

  /** Functions of Math that are instructions. */
  private instruction(e: Expression & { type: "CallExpression" }): Type | undefined {
    const { callee } = e;
    if (callee.type !== "MemberExpression") return undefined;
    const name = callee.object.type === "Identifier" && callee.object.name === "Math" ? (callee.property as { name: string }).name : "";
    const [a, b] = e.arguments as Expression[];
    if (name === "imul") {
      this.int(a);
      this.int(b);
      this.op("i32.mul");
    } else if (name === "clz32") {
      this.int(a);
      this.op("i32.clz");
    } else throw new Refused(`Math.${name}`);
    return "i32";
  }

  private calling(e: Expression & { type: "CallExpression" }, hasResult: boolean): Type {
    if (e.callee.type !== "Identifier") throw new Refused("a call");
    const { name } = e.callee;
    // The callouts' first argument is the CPU, which the host knows.
    const args = (e.arguments as Expression[]).filter((a) => !(a.type === "Identifier" && a.name === "cpu"));
    for (const a of args) {
      if (this.typeOf(a) === "u32") throw new Refused("a uint32 as an argument");
      this.int(a);
    }
    this.call(this.host.imported(name, args.length, hasResult) ?? refuse(`call of ${name}`));
    const fault = this.host.fault(name);
    if (fault !== undefined) this.leaveOn(fault.word, fault.block);
    return "i32";
  }

  /** If the word is not 0: ends the handler, with the block next. An exception of JavaScript would do that too, but it takes a microsecond to pass through here. */
  private leaveOn(word: number, block: number): void {
    this.constant(0);
    this.access("i32.load", word);
    this.begin("if");
    const { returnTo } = this;
    if (returnTo === undefined) {
      this.constant(~block);
      this.op("return");
    } else {
      this.constant(block);
      this.local("local.set", returnTo.local);
      this.branch(returnTo.blocks);
    }
    this.end();
  }
}

/** Whether anything in a tree can leave it in the middle. */
function callsAnything(node: unknown): boolean {
  if (typeof node !== "object" || node === null) return false;
  if (Array.isArray(node)) return node.some(callsAnything);
  const { type, callee } = node as { type?: string; callee?: { type: string } };
  if (type === "CallExpression" && callee?.type === "Identifier") return true;
  return Object.values(node).some(callsAnything);
}

function refuse(what: string): never {
  throw new Refused(what);
}

function literalOf(e: Node): number | undefined {
  if (e.type === "Literal") return typeof e.value === "number" ? e.value : undefined;
  if (e.type === "UnaryExpression" && e.operator === "-" && e.argument.type === "Literal") return -(e.argument.value as number);
  return undefined;
}

/** x >>> n with n > 0 is an int32 as well. */
function isUnsignedShift(e: Expression & { type: "BinaryExpression" }): boolean {
  const n = literalOf(e.right);
  return n !== undefined && (n & 31) !== 0;
}

function isNotNegative(e: Expression): boolean {
  if (e.type !== "BinaryExpression") return false;
  if (e.operator === ">>>") return true;
  return e.operator === "&" && [e.left, e.right].some((x) => (literalOf(x) ?? -1) >= 0);
}
