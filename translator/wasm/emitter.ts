/** The body of a WebAssembly function as it grows: instructions, labels, locals. */
import { Bytes, type Opcode, opcode, type ValueType, valueType } from "./encoder.ts";
import { type VectorInstruction, vectorOpcode } from "./vectors.ts";

const vectorPrefix = 0xfd;

export class Emitter {
  readonly body = new Bytes();
  readonly locals: ValueType[] = [];
  /** Of conditional branches: place in the body, and 1 if it is mostly taken, 0 if seldom. */
  readonly hints: number[] = [];
  /** Labels around the instruction being written. */
  depth = 0;
  private readonly parameters: number;
  /** Locals for values that come and go, and those of them that hold none now. */
  private readonly pool = { i32: [] as number[], f64: [] as number[], v128: [] as number[] };
  private free = { i32: [] as number[], f64: [] as number[], v128: [] as number[] };

  constructor(parameters: number) {
    this.parameters = parameters;
  }

  /** @param isLikely of `if`: whether its condition mostly holds */
  begin(kind: "block" | "loop" | "if", result?: ValueType, isLikely?: boolean): void {
    this.hint(isLikely);
    this.body.pair(opcode[kind], result === undefined ? 0x40 : valueType[result]);
    this.depth++;
  }
  end(): void {
    this.depth--;
    this.op("end");
  }
  /** To the label that `depth` was just inside of. */
  branch(label: number): void {
    this.withNumber(opcode.br, this.depth - label);
  }
  branchIf(label: number, isLikely?: boolean): void {
    this.hint(isLikely);
    this.withNumber(opcode.br_if, this.depth - label);
  }
  /** What is known of the conditional branch that comes next. */
  private hint(isLikely: boolean | undefined): void {
    if (isLikely !== undefined) this.hints.push(this.body.length, isLikely ? 1 : 0);
  }
  /** To the label at the number on the stack, counted from the innermost one; beyond the end to `otherwise`. */
  branchTable(targets: readonly number[], otherwise: number): void {
    this.op("br_table");
    this.body.unsigned(targets.length);
    for (const target of targets) this.body.unsigned(target);
    this.body.unsigned(otherwise);
  }
  /** @param isTail the function's own frame goes before the call */
  call(index: number, isTail = false): void {
    this.withNumber(isTail ? opcode.return_call : opcode.call, index);
  }
  callIndirect(type: number, isTail = false): void {
    this.op(isTail ? "return_call_indirect" : "call_indirect");
    this.body.unsigned(type);
    this.body.unsigned(0);
  }

  op(name: Opcode): void {
    const code = opcode[name];
    if (code > 0xff) this.body.pair(code >>> 8, code & 0xff);
    else this.body.byte(code);
  }
  /** An instruction on vectors. */
  vector(name: VectorInstruction): void {
    this.body.byte(vectorPrefix);
    this.body.unsigned(vectorOpcode[name]);
  }
  /** An instruction, of one byte, and an unsigned number. */
  private withNumber(code: number, operand: number): void {
    this.body.byte(code);
    this.body.unsigned(operand);
  }
  constant(value: number): void {
    if (value >= -0x40 && value < 0x40) return this.body.pair(opcode["i32.const"], value & 0x7f);
    this.body.byte(opcode["i32.const"]);
    this.body.signed(value);
  }
  longConstant(value: number): void {
    this.op("i64.const");
    this.body.signed(value);
  }
  doubleConstant(value: number): void {
    this.op("f64.const");
    this.body.double(value);
  }
  local(kind: "local.get" | "local.set" | "local.tee", index: number): void {
    // Named one by one, for V8 finds what it is told to find by name sooner.
    const code = kind === "local.get" ? opcode["local.get"] : kind === "local.set" ? opcode["local.set"] : opcode["local.tee"];
    if (index < 0x80) this.body.pair(code, index);
    else this.withNumber(code, index);
  }
  access(name: Opcode, offset: number): void {
    // Alignment is a hint.
    this.body.pair(opcode[name], 0);
    this.body.unsigned(offset);
  }

  /** A local of its own. */
  newLocal(type: ValueType): number {
    return this.parameters + this.locals.push(type) - 1;
  }
  /** A local that was released, or one that can be. V8's baseline compiler clears each local whenever the function is entered. */
  acquire(type: ValueType): number {
    const known = this.free[type].pop();
    if (known !== undefined) return known;
    const made = this.newLocal(type);
    this.pool[type].push(made);
    return made;
  }
  release(index: number, type: ValueType): void {
    this.free[type].push(index);
  }
  /** Whatever was acquired is free again. */
  releaseAll(): void {
    const { i32, f64, v128 } = this.pool;
    this.free = { i32: [...i32], f64: [...f64], v128: [...v128] };
  }
}
