/**
 * Expressions of generated code as WebAssembly. Where JavaScript has numbers, a value here is an int32, an uint32 (both in an i32) or a double; an operation that could
 * leave the int32 range is done in wrapped integers only where its user wraps it anyway (`| 0`, `>>>`, an array's element), in 64 bits where sums of integers are compared, else in doubles, as
 * JavaScript does it.
 */
import type { Expression } from "estree";
import type { ArrayPlace } from "../contract/wasm.ts";
import * as js from "../javascript/estree.ts";
import { nowhere, type PlainAccess } from "../javascript/plain-access.ts";
import type { Opcode, ValueType } from "./encoder.ts";
import type { WasmHost } from "./host.ts";
import { isNotNegative, type Known, literalOf, localType, Names, Refused, refuse, type Type, typeOfNumber, typeOfOperation } from "./names.ts";
import { VectorWriter } from "./vector-expressions.ts";

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

const elementShift = { i8: 0, i16: 1, i32: 2, f32: 2, f64: 3 } as const;
const elementLoad = { i8: "i32.load8_s", i16: "i32.load16_s", i32: "i32.load", f32: "f32.load", f64: "f64.load" } as const;
const elementStore = { i8: "i32.store8", i16: "i32.store16", i32: "i32.store", f32: "f32.store", f64: "f64.store" } as const;

/** Instructions for a binary operator. All fields are there in all rows, for V8 reads them faster then. */
interface Operator {
  /** Of integers, signed or not, with a result of 32 bits. */
  readonly bitwise: Opcode | undefined;
  /** Of integers, its result wrapped. */
  readonly wrapping: Opcode | undefined;
  /** Of doubles, with a double for a result. */
  readonly double: Opcode | undefined;
  readonly comparison: { readonly signed: Opcode; readonly unsigned: Opcode; readonly double: Opcode; readonly long: Opcode } | undefined;
}
const bitwise = (opcode: Opcode): Operator => ({ bitwise: opcode, wrapping: undefined, double: undefined, comparison: undefined });
const arithmetic = (double: Opcode, wrapping?: Opcode): Operator => ({ bitwise: undefined, wrapping, double, comparison: undefined });
const comparison = (signed: Opcode, unsigned: Opcode, double: Opcode, long: Opcode): Operator => ({
  bitwise: undefined,
  wrapping: undefined,
  double: undefined,
  comparison: { signed, unsigned, double, long },
});
const operators: ReadonlyMap<string, Operator> = new Map([
  ["&", bitwise("i32.and")],
  ["|", bitwise("i32.or")],
  ["^", bitwise("i32.xor")],
  ["<<", bitwise("i32.shl")],
  [">>", bitwise("i32.shr_s")],
  [">>>", bitwise("i32.shr_u")],
  ["+", arithmetic("f64.add", "i32.add")],
  ["-", arithmetic("f64.sub", "i32.sub")],
  ["*", arithmetic("f64.mul")],
  ["/", arithmetic("f64.div")],
  ["<", comparison("i32.lt_s", "i32.lt_u", "f64.lt", "i64.lt_s")],
  ["<=", comparison("i32.le_s", "i32.le_u", "f64.le", "i64.le_s")],
  [">", comparison("i32.gt_s", "i32.gt_u", "f64.gt", "i64.gt_s")],
  [">=", comparison("i32.ge_s", "i32.ge_u", "f64.ge", "i64.ge_s")],
  ["===", comparison("i32.eq", "i32.eq", "f64.eq", "i64.eq")],
  ["!==", comparison("i32.ne", "i32.ne", "f64.ne", "i64.ne")],
]);

type Binary = Expression & { type: "BinaryExpression" };

/** Functions of generated code that are instructions here. */
const intrinsics = new Set(["mulhu", "mulhs", "divu", "divs", "isOnSite"]);

export class ExpressionWriter extends VectorWriter {
  protected readonly host: WasmHost;
  protected names: Names;
  /** Set while code is taken in line. */
  protected returnTo: ReturnTo | undefined;
  /** In a `try`: the depth of the label behind which its handler is. */
  protected handler: number | undefined;
  /** Names that stand for functions of the table: locals with their indices. */
  protected readonly functions = new Map<string, number>();

  /** @param parameters names of the int32 parameters */
  constructor(host: WasmHost, parameters: readonly string[]) {
    super(parameters.length);
    this.host = host;
    this.names = new Names(host, parameters, []);
  }

  /** One or the other. Where a test has parts, each of them branches: a truth put together from them would be tested once more. */
  protected choose(test: Expression, consequent: () => void, alternate: (() => void) | undefined, result?: ValueType): void {
    const isLikely = js.likelihoodOf(test);
    if (!this.hasParts(test)) {
      this.condition(test);
      this.begin("if", result, isLikely);
      consequent();
      if (alternate !== undefined) {
        this.op("else");
        alternate();
      }
      return this.end();
    }
    if (alternate !== undefined) this.begin("block", result);
    const done = this.depth;
    this.begin("block");
    this.branchUnless(test, this.depth, isLikely);
    consequent();
    if (alternate !== undefined) this.branch(done);
    this.end();
    if (alternate === undefined) return;
    alternate();
    this.end();
  }

  private hasParts(e: Expression): boolean {
    if (e.type === "UnaryExpression" && e.operator === "!") return this.hasParts(e.argument);
    return e.type === "LogicalExpression";
  }

  /** @param isLikely whether it mostly holds */
  private branchUnless(e: Expression, label: number, isLikely: boolean | undefined): void {
    if (e.type === "UnaryExpression" && e.operator === "!")
      return this.branchWhen(e.argument, label, opposite(isLikely) ?? js.likelihoodOf(e.argument));
    if (e.type === "LogicalExpression") {
      const [left, right] = likelihoodOfParts(e, isLikely);
      if (e.operator === "&&") {
        this.branchUnless(e.left, label, left);
        return this.branchUnless(e.right, label, right);
      }
      this.begin("block");
      this.branchWhen(e.left, this.depth, left);
      this.branchUnless(e.right, label, right);
      return this.end();
    }
    this.condition(e);
    this.op("i32.eqz");
    this.branchIf(label, opposite(isLikely));
  }

  private branchWhen(e: Expression, label: number, isLikely: boolean | undefined): void {
    if (e.type === "UnaryExpression" && e.operator === "!")
      return this.branchUnless(e.argument, label, opposite(isLikely) ?? js.likelihoodOf(e.argument));
    if (e.type === "LogicalExpression") {
      const [left, right] = likelihoodOfParts(e, isLikely);
      if (e.operator === "||") {
        this.branchWhen(e.left, label, left);
        return this.branchWhen(e.right, label, right);
      }
      this.begin("block");
      this.branchUnless(e.left, this.depth, left);
      this.branchWhen(e.right, label, right);
      return this.end();
    }
    this.condition(e);
    this.branchIf(label, isLikely);
  }

  /** An expression whose value nobody wants. */
  protected effect(e: Expression): void {
    if (e.type === "SequenceExpression") {
      for (const x of e.expressions) this.effect(x);
      return;
    }
    if (e.type === "CallExpression" && e.callee.type === "Identifier") {
      const name = e.callee.name;
      if (name === "copyRam" || name === "fillRam") return this.bulk(name, e.arguments as Expression[]);
      if (!this.functions.has(name)) {
        this.calling(e, false);
        return;
      }
    }
    if (e.type === "AssignmentExpression" && e.operator === "=") {
      const { left } = e;
      if (left.type === "Identifier") return this.local("local.set", this.assigned(this.names.of(left.name), e.right));
      if (left.type !== "MemberExpression" || left.object.type !== "Identifier") throw new Refused("assignment");
      const place = this.place(left.object.name);
      const offset = this.element(place, left.property as Expression);
      if (place.kind === "f64" || place.kind === "f32") this.double(e.right);
      else this.int(e.right);
      if (place.kind === "f32") this.op("f32.demote_f64");
      return this.access(elementStore[place.kind], offset);
    }
    if (e.type === "UpdateExpression" && e.operator === "++" && e.argument.type === "MemberExpression" && e.argument.object.type === "Identifier") {
      const place = this.place(e.argument.object.name);
      if (place.kind !== "f64" && place.kind !== "i32") throw new Refused("++");
      const offset = this.element(place, e.argument.property as Expression);
      const at = this.acquire("i32");
      this.local("local.tee", at);
      this.local("local.get", at);
      this.release(at, "i32");
      this.access(elementLoad[place.kind], offset);
      if (place.kind === "f64") {
        this.doubleConstant(1);
        this.op("f64.add");
      } else {
        this.constant(1);
        this.op("i32.add");
      }
      return this.access(elementStore[place.kind], offset);
    }
    if (e.type === "CallExpression" && e.callee.type === "MemberExpression" && this.vectorCall(e) === undefined) return;
    this.value(e);
    this.op("drop");
  }

  /** Pushes what is to be stored in the local of a name, and returns its number. */
  private assigned(known: Known, value: Expression): number {
    const type = known.type ?? this.names.typeOfKnown(known);
    if (type === "f64") this.double(value);
    else if (type === "v128") this.vectorValue(value);
    else {
      if (type === "u32") throw new Refused("assignment to a uint32");
      this.int(value);
    }
    if (known.local < 0) refuse("a name");
    this.used(known, type);
    return known.local;
  }

  /** A name was seen: if never again, its local is free. */
  private used(known: Known, type: Type): void {
    if (--known.references === 0) this.release(known.local, localType(type));
  }

  protected known(name: string): Known {
    return this.names.of(name);
  }
  protected place(array: string): ArrayPlace {
    const place = this.host.arrays[array];
    if (place === undefined) throw new Refused(`array ${array}`);
    return place;
  }

  /** Pushes the byte address of an element but for a constant part, which it returns. */
  private element(place: ArrayPlace, index: Expression): number {
    const shift = place.isBytewise === true ? 0 : elementShift[place.kind];
    const value = this.constantOf(index);
    if (value !== undefined && value >= 0) {
      this.constant(0);
      return place.offset + value * 2 ** shift;
    }
    if (index.type === "BinaryExpression" && index.operator === "+") {
      let rest = index.left as Expression;
      let more = this.constantOf(index.right);
      if (more === undefined || more < 0) {
        rest = index.right;
        more = this.constantOf(index.left as Expression);
      }
      if (more !== undefined && more >= 0) {
        this.int(rest);
        this.scaled(shift);
        return place.offset + more * 2 ** shift;
      }
    }
    if (index.type === "BinaryExpression" && index.operator === ">>>" && literalOf(index.right as Expression) === shift) {
      // An address over the element's size: where it is known to be a multiple of that, it is what is wanted.
      const address = index.left as Expression;
      if (place.isAligned === true || shift === 0) {
        const more = address.type === "BinaryExpression" && address.operator === "+" ? this.constantOf(address.right) : undefined;
        if (place.isAligned === true && more !== undefined && more >= 0) {
          this.int((address as { left: Expression }).left);
          return place.offset + more;
        }
        this.int(address);
        return place.offset;
      }
      this.int(address);
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

  /** The number that an expression is known to be. */
  private constantOf(e: Expression): number | undefined {
    return e.type === "Identifier" ? this.names.of(e.name).constant : literalOf(e);
  }

  /** Pushes the value modulo 2^32. */
  protected int(e: Expression): void {
    switch (e.type) {
      case "Literal":
        return this.integer(literalOf(e) ?? refuse(e.type));
      case "Identifier": {
        const known = this.names.of(e.name);
        if (known.constant !== undefined) return this.integer(known.constant);
        if (this.fromLocal(known) === "f64") this.wrap();
        return;
      }
      case "BinaryExpression": {
        const row = operators.get(e.operator) ?? refuse(e.operator);
        const operation =
          row.wrapping !== undefined && this.fitsWrapped(e, 0) ? row.wrapping : e.operator === "/" ? this.integerQuotient(e) : undefined;
        if (operation === undefined) {
          if (this.binary(row, e) === "f64") this.wrap();
          return;
        }
        this.int(e.left as Expression);
        this.int(e.right);
        return this.op(operation);
      }
      case "ConditionalExpression":
        return this.chosen(e);
      case "UnaryExpression": {
        if (e.operator !== "-") break;
        const value = literalOf(e);
        if (value !== undefined) return this.integer(value);
        if (this.names.typeOf(e.argument) === "f64") break;
        this.constant(0);
        this.int(e.argument);
        return this.op("i32.sub");
      }
    }
    if (this.value(e) === "f64") this.wrap();
  }

  /** Without a branch where that costs less than a branch that goes the other way now and then. */
  private chosen(e: Expression & { type: "ConditionalExpression" }): void {
    const { test, consequent, alternate } = e;
    if (literalOf(consequent) === 1 && literalOf(alternate) === 0) return this.truth(test);
    if (this.isAtHand(consequent) && this.isAtHand(alternate) && this.isComparison(test)) {
      this.int(consequent);
      this.int(alternate);
      this.condition(test);
      return this.op("select");
    }
    this.choose(
      test,
      () => this.int(consequent),
      () => this.int(alternate),
      "i32",
    );
  }

  /** A local or a constant. */
  private isAtHand(e: Expression): boolean {
    return e.type === "Identifier" ? this.names.typeOf(e) !== "f64" : literalOf(e) !== undefined;
  }

  /** A comparison of what is at hand or computed from it. */
  private isComparison(e: Expression): boolean {
    if (e.type === "UnaryExpression") return this.isComparison(e.argument);
    if (e.type === "BinaryExpression") return this.isComparison(e.left as Expression) && this.isComparison(e.right);
    return this.isAtHand(e);
  }

  private integer(value: number): void {
    if (!Number.isInteger(value)) throw new Refused("a fraction as an integer");
    this.constant(value | 0);
  }

  /** The double that was pushed becomes an integer. */
  private wrap(): void {
    // JavaScript's ToInt32 for magnitudes below 2^63; what is larger here is compared with the number it was, and differs from it either way.
    this.op("i64.trunc_sat_f64_s");
    this.op("i32.wrap_i64");
  }

  /**
   * The instruction for a quotient that is wrapped: of two unsigned numbers (n >>> 0), or of two signed ones. Generated code divides only after it has looked at the divisor
   * and, of signed numbers, at the quotient that overflows.
   */
  private integerQuotient(e: Binary): Opcode | undefined {
    const a = this.names.typeOf(e.left as Expression);
    const b = this.names.typeOf(e.right);
    if (a === "u32" && b === "u32") return "i32.div_u";
    return a === "i32" && b === "i32" ? "i32.div_s" : undefined;
  }

  /** Whether a sum of int32 and uint32 parts is exact in doubles, so that wrapping it is what ToInt32 does: fewer than 2^20 of them. */
  private fitsWrapped(e: Expression, depth: number): boolean {
    if (depth > 16) return false;
    if (e.type === "BinaryExpression" && (e.operator === "+" || e.operator === "-"))
      return this.fitsWrapped(e.left as Expression, depth + 1) && this.fitsWrapped(e.right, depth + 1);
    const value = this.constantOf(e);
    if (value !== undefined) return Number.isInteger(value) && Math.abs(value) <= 2 ** 32;
    return this.names.typeOf(e) !== "f64";
  }

  /** Pushes a double. */
  protected double(e: Expression): void {
    const value = this.constantOf(e);
    if (value !== undefined) return this.doubleConstant(value);
    const operation = e.type === "BinaryExpression" ? operators.get(e.operator)?.double : undefined;
    if (operation !== undefined) return this.doubleOperation(operation, e as Binary);
    if (e.type === "UnaryExpression" && e.operator === "-") {
      this.double(e.argument);
      return this.op("f64.neg");
    }
    if (e.type === "ConditionalExpression")
      return this.choose(
        e.test,
        () => this.double(e.consequent),
        () => this.double(e.alternate),
        "f64",
      );
    const type = this.value(e);
    if (type === "u32") this.op("f64.convert_i32_u");
    else if (type !== "f64") this.op("f64.convert_i32_s");
  }

  private doubleOperation(operation: Opcode, e: Binary): void {
    if (e.operator === "/" && literalOf(e.left as Expression) === 0 && literalOf(e.right) === 0) return this.doubleConstant(Number.NaN);
    this.double(e.left as Expression);
    this.double(e.right);
    this.op(operation);
  }

  /** Pushes 0 or not 0. */
  private condition(e: Expression): void {
    if (e.type === "LogicalExpression" && e.operator !== "??") {
      this.condition(e.left);
      this.begin("if", "i32");
      if (e.operator === "&&") this.truth(e.right);
      else this.constant(1);
      this.op("else");
      if (e.operator === "&&") this.constant(0);
      else this.truth(e.right);
      return this.end();
    }
    if (e.type === "UnaryExpression" && e.operator === "!") {
      this.condition(e.argument);
      return this.op("i32.eqz");
    }
    if (e.type === "BinaryExpression" && (e.operator === "===" || e.operator === "!==") && literalOf(e.right) === 0) {
      if ("bytes" in e) return this.liesInPage(e as PlainAccess);
      const left = e.left as Expression;
      if (this.names.typeOf(left) !== "f64") {
        this.int(left);
        if (e.operator === "===") this.op("i32.eqz");
        return;
      }
    }
    if (this.value(e) === "f64") throw new Refused("a double as a condition");
  }

  /** ((T | A) & 0xfff) <= 0x1000 - bytes, or the same of a place: see ../javascript/plain-access.ts. */
  private liesInPage({ left, bytes }: PlainAccess): void {
    const asked = left as { left: Expression; right: Expression };
    this.int(asked.left);
    this.constant(0xfff | ((literalOf(asked.right) ?? refuse("an access")) & nowhere));
    this.op("i32.and");
    this.constant(0x1000 - bytes);
    this.op("i32.le_u");
  }

  /** Pushes 0 or 1. */
  private truth(e: Expression): void {
    const isTruth =
      e.type === "LogicalExpression" ||
      (e.type === "UnaryExpression" && e.operator === "!") ||
      (literalOf(e) === undefined && this.names.typeOf(e) === "bool");
    if (isTruth && !(e.type === "BinaryExpression" && e.operator === "!==" && literalOf(e.right) === 0)) return this.condition(e);
    this.condition(e);
    this.constant(0);
    this.op("i32.ne");
  }

  /** Pushes the value as it is. */
  protected value(e: Expression): Type {
    switch (e.type) {
      case "Literal":
        return this.number(literalOf(e) ?? refuse(e.type));
      case "Identifier": {
        const known = this.names.of(e.name);
        return known.constant === undefined ? this.fromLocal(known) : this.number(known.constant);
      }
      case "MemberExpression": {
        if (e.object.type !== "Identifier") throw new Refused("member");
        const place = this.place(e.object.name);
        this.access(elementLoad[place.kind], this.element(place, e.property as Expression));
        if (place.kind === "f32") this.op("f64.promote_f32");
        return place.kind === "f64" || place.kind === "f32" ? "f64" : "i32";
      }
      case "BinaryExpression":
        return this.binary(operators.get(e.operator) ?? refuse(e.operator), e);
      case "LogicalExpression":
        for (const part of [e.left, e.right]) if (this.names.typeOf(part) !== "bool") throw new Refused("a logical value");
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
        if (e.argument.type === "Literal") return this.number(literalOf(e) ?? refuse(e.type));
        this.double(e);
        return "f64";
      case "ConditionalExpression": {
        const type = this.names.typeOf(e);
        if (type === "f64") this.double(e);
        else if (type === "v128") this.vectorValue(e);
        else this.int(e);
        return type;
      }
      case "CallExpression":
        return this.instruction(e) ?? this.calling(e, true);
      case "SequenceExpression": {
        for (const x of e.expressions.slice(0, -1)) this.effect(x);
        return this.value(e.expressions[e.expressions.length - 1]);
      }
      case "AssignmentExpression": {
        if (e.operator !== "=" || e.left.type !== "Identifier") throw new Refused("the value of an assignment");
        const known = this.names.of(e.left.name);
        this.local("local.tee", this.assigned(known, e.right));
        return this.names.typeOfKnown(known);
      }
      default:
        throw new Refused(e.type);
    }
  }

  private number(value: number): Type {
    const type = typeOfNumber(value);
    if (type === "f64") this.doubleConstant(value);
    else this.constant(value | 0);
    return type;
  }

  /** Pushes what is in the local of a name. */
  private fromLocal(known: Known): Type {
    const type = known.type ?? this.names.typeOfKnown(known);
    if (known.local < 0) refuse("a name");
    this.local("local.get", known.local);
    this.used(known, type);
    return type;
  }

  private binary(row: Operator, e: Binary): Type {
    const left = e.left as Expression;
    const { right, operator } = e;
    if (row.bitwise !== undefined) {
      if (operator === "&" && this.loadUnsigned(left, right)) return "i32";
      this.int(left);
      // `x | 0` only says that x is wrapped, `x >>> 0` how it is to be read.
      if ((operator === "|" || operator === ">>>") && literalOf(right) === 0) return typeOfOperation(e);
      this.int(right);
      this.op(row.bitwise);
      return typeOfOperation(e);
    }
    if (row.double !== undefined) {
      this.doubleOperation(row.double, e);
      return "f64";
    }
    const { signed, unsigned, double, long } = row.comparison ?? refuse(operator);
    const a = this.names.typeOf(left);
    const b = this.names.typeOf(right);
    if (isSigned(a) && isSigned(b)) {
      this.int(left);
      if (operator === "===" && literalOf(right) === 0) this.op("i32.eqz");
      else {
        this.int(right);
        this.op(signed);
      }
    } else if (this.isUnsigned(a, left) && this.isUnsigned(b, right)) {
      this.int(left);
      this.int(right);
      this.op(unsigned);
    } else if (this.fitsLong(left, 0) && this.fitsLong(right, 0)) {
      this.long(left);
      this.long(right);
      this.op(long);
    } else {
      this.double(left);
      this.double(right);
      this.op(double);
    }
    return "bool";
  }

  /** Whether a value is a sum of a few integers of at most 32 bits. */
  private fitsLong(e: Expression, depth: number): boolean {
    if (isSumOrDifference(e)) return depth < 4 && this.fitsLong(e.left as Expression, depth + 1) && this.fitsLong(e.right, depth + 1);
    const value = this.constantOf(e);
    return value === undefined ? integers.has(this.names.typeOf(e)) : value === (value | 0);
  }

  /** Pushes it as an integer of 64 bits. */
  private long(e: Expression): void {
    const value = this.constantOf(e);
    if (value !== undefined) return this.longConstant(value);
    if (isSumOrDifference(e)) {
      this.long(e.left as Expression);
      this.long(e.right);
      return this.op(e.operator === "+" ? "i64.add" : "i64.sub");
    }
    const type = this.names.typeOf(e);
    this.int(e);
    this.op(type === "i32" ? "i64.extend_i32_s" : "i64.extend_i32_u");
  }

  /** Whether a value may be compared as an uint32. */
  private isUnsigned(type: Type, e: Expression): boolean {
    if (type === "u32" || type === "bool") return true;
    const value = this.constantOf(e);
    return value === undefined ? isNotNegative(e) : type === "i32" && value >= 0;
  }

  /** `M8[...] & 255` and `M16[...] & 65535`. */
  private loadUnsigned(e: Expression, mask: Expression): boolean {
    if (e.type !== "MemberExpression" || e.object.type !== "Identifier") return false;
    const place = this.place(e.object.name);
    const name =
      place.kind === "i8" && literalOf(mask) === 0xff
        ? "i32.load8_u"
        : place.kind === "i16" && literalOf(mask) === 0xffff
          ? "i32.load16_u"
          : undefined;
    if (name === undefined) return false;
    this.access(name, this.element(place, e.property as Expression));
    return true;
  }

  /** Functions of Math, and long multiplication and division, that are instructions. */
  private instruction(e: Expression & { type: "CallExpression" }): Type | undefined {
    const { callee } = e;
    const args = e.arguments as Expression[];
    if (callee.type === "Identifier") return callee.name === "isOnSite" ? this.isOnSite(args) : this.longArithmetic(callee.name, args);
    if (callee.type !== "MemberExpression") return undefined;
    const name = callee.object.type === "Identifier" && callee.object.name === "Math" ? (callee.property as { name: string }).name : "";
    if (name === "") return this.vectorCall(e);
    const [a, b] = args;
    switch (name) {
      case "imul":
        this.int(a);
        this.int(b);
        this.op("i32.mul");
        return "i32";
      case "clz32":
        this.int(a);
        this.op("i32.clz");
        return "i32";
      case "abs":
      case "sqrt":
      case "trunc":
      case "floor":
      case "ceil":
        this.double(a);
        this.op(`f64.${name}`);
        return "f64";
      case "fround":
        this.double(a);
        this.op("f32.demote_f64");
        this.op("f64.promote_f32");
        return "f64";
      case "min":
      case "max": {
        if (this.names.typeOf(e) !== "i32") throw new Refused(`Math.${name} of doubles`);
        const values = [a, b].map((x) => {
          const local = this.acquire("i32");
          this.int(x);
          this.local("local.tee", local);
          return local;
        });
        for (const local of values) this.local("local.get", local);
        this.op(name === "min" ? "i32.lt_s" : "i32.gt_s");
        this.op("select");
        for (const local of values) this.release(local, "i32");
        return "i32";
      }
      default:
        throw new Refused(`Math.${name}`);
    }
  }

  /** copyRam(to, from, bytes), fillRam(to, value, bytes): places of guest memory by the byte. Only helpers name them. */
  private bulk(name: "copyRam" | "fillRam", args: readonly Expression[]): void {
    const { offset } = this.place("M8");
    args.forEach((x, k) => {
      this.int(x);
      if (k === 0 || (k === 1 && name === "copyRam")) {
        this.constant(offset);
        this.op("i32.add");
      }
    });
    this.op(name === "copyRam" ? "memory.copy" : "memory.fill");
    // Memory 0, from memory 0.
    this.body.byte(0);
    if (name === "copyRam") this.body.byte(0);
  }

  /** The host's functions of the same names (ir/pure-ops.ts). */
  private longArithmetic(name: string, args: readonly Expression[]): Type | undefined {
    if (name === "mulhu" || name === "mulhs") {
      for (const x of args) {
        this.int(x);
        this.op(name === "mulhu" ? "i64.extend_i32_u" : "i64.extend_i32_s");
      }
      this.op("i64.mul");
      this.longConstant(32);
      this.op("i64.shr_u");
    } else if (name === "divu" || name === "divs") {
      // Whoever divides has looked whether the quotient fits 32 bits: it is neither a division by zero nor does it overflow here.
      const [high, low, d] = args;
      this.int(high);
      this.op("i64.extend_i32_u");
      this.longConstant(32);
      this.op("i64.shl");
      this.int(low);
      this.op("i64.extend_i32_u");
      this.op("i64.or");
      this.int(d);
      this.op(name === "divu" ? "i64.extend_i32_u" : "i64.extend_i32_s");
      this.op(name === "divu" ? "i64.div_u" : "i64.div_s");
    } else return undefined;
    this.op("i32.wrap_i64");
    return "i32";
  }

  /** isOnSite(k, A, bytes): as 64 bits, A - site's page <= 1000h - bytes; no A is near the page of an empty site (contract/sites.ts). */
  private isOnSite([index, address, bytes]: readonly Expression[]): Type {
    this.int(address);
    this.op("i64.extend_i32_u");
    this.constant(0);
    this.access("i64.load", this.place("SW").offset + 4 * (literalOf(index) ?? refuse("a site")));
    this.op("i64.sub");
    const size = literalOf(bytes) ?? refuse("a site");
    if (size > 0x1000) refuse("a site larger than a page");
    this.longConstant(0x1000 - size);
    this.op("i64.le_u");
    return "bool";
  }

  private longConstant(value: number): void {
    this.op("i64.const");
    this.body.signed(value);
  }

  /** Whether a call whose value is returned needs nothing of this function any more. */
  protected isTailCall({ callee }: Expression & { type: "CallExpression" }): boolean {
    if (!this.host.tailCalls || callee.type !== "Identifier" || intrinsics.has(callee.name)) return false;
    return this.functions.has(callee.name) || (!this.host.mayFault(callee.name) && !this.host.isDouble(callee.name));
  }

  protected calling(e: Expression & { type: "CallExpression" }, hasResult: boolean, isTail = false): Type {
    if (e.callee.type !== "Identifier") throw new Refused("a call");
    const { name } = e.callee;
    const index = this.functions.get(name);
    if (index !== undefined) {
      this.constant(0);
      this.local("local.get", index);
      this.release(index, "i32");
      this.functions.delete(name);
      this.callIndirect(this.host.table?.type ?? refuse("the table"), isTail);
      return "i32";
    }
    // The callouts' first argument is the CPU, which the host knows.
    let count = 0;
    for (const a of e.arguments as Expression[]) {
      if (a.type === "Identifier" && a.name === "cpu") continue;
      if (this.names.typeOf(a) === "u32") throw new Refused("a uint32 as an argument");
      this.int(a);
      count++;
    }
    const result = this.host.isDouble(name) ? "f64" : "i32";
    const yields = hasResult || this.host.isHelper(name);
    this.call(this.host.imported(name, count, yields ? result : undefined) ?? refuse(`call of ${name}`), isTail);
    if (yields && !hasResult) this.op("drop");
    if (this.host.mayFault(name)) this.leaveOnFault();
    return result;
  }

  /** Ends the handler, with the fault block next. An exception of JavaScript would do that too, but it takes a microsecond to pass through here. */
  private leaveOnFault(): void {
    this.constant(0);
    this.access("i32.load", this.host.faulted);
    if (this.handler !== undefined) return this.branchIf(this.handler, false);
    this.begin("if", undefined, false);
    const { returnTo } = this;
    if (returnTo === undefined) {
      this.constant(~this.host.faultBlock);
      this.op("return");
    } else {
      this.constant(this.host.faultBlock);
      this.local("local.set", returnTo.local);
      this.branch(returnTo.blocks);
    }
    this.end();
  }
}

const integers: ReadonlySet<Type> = new Set(["i32", "u32", "bool"]);

function isSumOrDifference(e: Expression): e is Binary {
  return e.type === "BinaryExpression" && (e.operator === "+" || e.operator === "-");
}

/** Whether a value may be compared as an int32. */
function isSigned(type: Type): boolean {
  return type === "i32" || type === "bool";
}

function opposite(isLikely: boolean | undefined): boolean | undefined {
  return isLikely === undefined ? undefined : !isLikely;
}

/** All parts of a conjunction mostly hold if it does; none of a disjunction does if it mostly does not. */
function likelihoodOfParts(e: Expression & { type: "LogicalExpression" }, isLikely: boolean | undefined): (boolean | undefined)[] {
  const ofAll = isLikely === (e.operator === "&&") ? isLikely : undefined;
  return [e.left, e.right].map((part) => js.likelihoodOf(part) ?? ofAll);
}
