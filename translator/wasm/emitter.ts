/** The body of a WebAssembly function as it grows: instructions, labels, locals. */
import { Bytes, type Opcode, opcode, type ValueType, valueType } from "./encoder.ts";

export class Emitter {
  readonly body = new Bytes();
  readonly locals: ValueType[] = [];
  /** Labels around the instruction being written. */
  depth = 0;
  private readonly parameters: number;
  /** Locals for values that come and go, and those of them that hold none now. */
  private readonly pool = { i32: [] as number[], f64: [] as number[] };
  private free = { i32: [] as number[], f64: [] as number[] };

  constructor(parameters: number) {
    this.parameters = parameters;
  }

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
  /** @param isTail the function's own frame goes before the call */
  call(index: number, isTail = false): void {
    this.op(isTail ? "return_call" : "call");
    this.body.unsigned(index);
  }
  callIndirect(type: number, isTail = false): void {
    this.op(isTail ? "return_call_indirect" : "call_indirect");
    this.body.unsigned(type);
    this.body.unsigned(0);
  }

  op(name: Opcode): void {
    const code = opcode[name];
    if (code > 0xff) this.body.byte(code >>> 8);
    this.body.byte(code & 0xff);
  }
  constant(value: number): void {
    this.op("i32.const");
    this.body.signed(value);
  }
  doubleConstant(value: number): void {
    this.op("f64.const");
    this.body.double(value);
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
    this.free = { i32: [...this.pool.i32], f64: [...this.pool.f64] };
  }
}
