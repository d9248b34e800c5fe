/**
 * Expressions of generated code as WebAssembly. Where JavaScript has numbers, a value here is an int32, an uint32 (both in an i32) or a double. Operators, conditions and calls have files of
 * their own (see tree-writer.ts).
 */
import type { Expression } from "estree";
import type { ArrayPlace } from "../contract/wasm.ts";
import { ArithmeticWriter, type Binary, operators } from "./arithmetic.ts";
import { type Known, literalOf, localType, Refused, refuse, type Type, typeOfNumber } from "./names.ts";

const elementShift = { i8: 0, i16: 1, i32: 2, f32: 2, f64: 3 } as const;
const elementLoad = { i8: "i32.load8_s", i16: "i32.load16_s", i32: "i32.load", f32: "f32.load", f64: "f64.load" } as const;
const elementStore = { i8: "i32.store8", i16: "i32.store16", i32: "i32.store", f32: "f32.store", f64: "f64.store" } as const;

export class ExpressionWriter extends ArithmeticWriter {
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
      case "BinaryExpression":
        return this.wrapped(e);
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

  private integer(value: number): void {
    if (!Number.isInteger(value)) throw new Refused("a fraction as an integer");
    this.constant(value | 0);
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
        return this.binary(e);
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

  /** `M8[...] & 255` and `M16[...] & 65535`. */
  protected loadUnsigned(e: Expression, mask: Expression): boolean {
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
}
