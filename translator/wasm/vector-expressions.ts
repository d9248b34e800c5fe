/** Expressions on vectors as WebAssembly: calls of the methods that vectors.ts lists. */
import type { Expression } from "estree";
import { ConditionWriter } from "./conditions.ts";
import { literalOf, refuse, type Type } from "./names.ts";
import { type VectorInstruction, type VectorOperand, vectorOperation } from "./vectors.ts";

type Call = Expression & { type: "CallExpression" };

const zeros: readonly number[] = Object.freeze(Array.from({ length: 16 }, () => 0));

export abstract class VectorWriter extends ConditionWriter {
  /** Pushes a vector. */
  protected vectorValue(e: Expression): void {
    if (e.type === "ConditionalExpression")
      return this.choose(
        e.test,
        () => this.vectorValue(e.consequent),
        () => this.vectorValue(e.alternate),
        "v128",
      );
    if (this.value(e) !== "v128") refuse("a vector");
  }

  /** Pushes the result of a method of vectors; undefined: it has none. */
  protected vectorCall(e: Call): Type | undefined {
    const { callee } = e;
    if (callee.type !== "MemberExpression" || callee.object.type !== "Identifier" || callee.property.type !== "Identifier") return refuse("a call");
    const args = e.arguments as Expression[];
    const { name: object } = callee.object;
    const { name } = callee.property;
    const { operands, result } = vectorOperation(object, name) ?? refuse(`${object}.${name}`);
    if (name === "shuffle") this.shuffle(args);
    else if (name === "zero") this.vectorConstant(zeros);
    else if (name === "const") this.vectorConstant(args.map((e) => this.lane(e)));
    else if (name === "splat" && this.constantOf(args[0]) !== undefined) this.splat(object, this.constantOf(args[0]) as number);
    else if (object === "v128" && /^(load|store)/.test(name)) this.transfer(name, args);
    else this.operation(`${object}.${name}` as VectorInstruction, operands, args);
    if (result !== "f32") return result;
    this.op("f64.promote_f32");
    return "f64";
  }

  private operation(instruction: VectorInstruction, operands: readonly VectorOperand[], args: readonly Expression[]): void {
    if (args.length !== operands.length) refuse(instruction);
    let lane: number | undefined;
    operands.forEach((operand, k) => {
      if (operand === "v128") this.vectorValue(args[k]);
      else if (operand === "i32") this.int(args[k]);
      else if (operand === "lane") lane = this.lane(args[k]);
      else {
        this.double(args[k]);
        if (operand === "f32") this.op("f32.demote_f64");
      }
    });
    this.vector(instruction);
    if (lane !== undefined) this.body.byte(lane);
  }

  /** As many lanes as there are arguments behind the vectors: each becomes as many bytes as it has. */
  private shuffle([a, b, ...lanes]: readonly Expression[]): void {
    this.vectorValue(a);
    this.vectorValue(b);
    this.vector("i8x16.shuffle");
    const bytes = 16 / lanes.length;
    for (const e of lanes) {
      const lane = this.lane(e);
      for (let k = 0; k < bytes; k++) this.body.byte(bytes * lane + k);
    }
  }

  private splat(object: string, value: number): void {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    const size = 16 / Number(object.slice(object.indexOf("x") + 1));
    for (let at = 0; at < 16; at += size) {
      if (object === "f64x2") view.setFloat64(at, value, true);
      else if (object === "f32x4") view.setFloat32(at, value, true);
      else if (object === "i32x4") view.setInt32(at, value, true);
      else if (object === "i16x8") view.setInt16(at, value, true);
      else view.setInt8(at, value);
    }
    this.vectorConstant(bytes);
  }

  private vectorConstant(bytes: Iterable<number>): void {
    this.vector("v128.const");
    for (const byte of bytes) this.body.byte(byte);
  }

  /** Between a vector and a slot, or guest memory at a place that was looked at: any byte that has fifteen behind it. */
  private transfer(name: string, [where, vector, half]: readonly Expression[]): void {
    const isSlot = name.endsWith("Slot");
    const { offset } = this.place(isSlot ? "R" : "M8");
    let at = offset;
    if (isSlot) {
      const slot = literalOf(where);
      if (slot === undefined) {
        this.int(where);
        this.constant(2);
        this.op("i32.shl");
      } else {
        this.constant(0);
        at += 4 * slot;
      }
    } else this.int(where);
    const isHalf = name.endsWith("Half");
    if (name.startsWith("store")) {
      this.vectorValue(vector);
      this.vector(isHalf ? "v128.store64_lane" : "v128.store");
    } else this.vector(isHalf ? "v128.load64_zero" : "v128.load");
    // Alignment is a hint.
    this.body.byte(0);
    this.body.unsigned(at);
    if (half !== undefined) this.body.byte(this.lane(half));
  }

  /** A lane's number: a literal, or what operators make of literals (an immediate's bits). */
  private lane(e: Expression): number {
    if (e.type !== "BinaryExpression") return this.constantOf(e) ?? refuse("a lane");
    const a = this.lane(e.left as Expression);
    const b = this.lane(e.right);
    switch (e.operator) {
      case "&":
        return a & b;
      case ">>>":
        return a >>> b;
      case "|":
        return a | b;
      case "+":
        return a + b;
      case "<<":
        return a << b;
      default:
        return refuse("a lane");
    }
  }
}
