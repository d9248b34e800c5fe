/**
 * The builder through which lifts state what an instruction means. It offers operands, pure ops, slots, memory and callouts, and keeps the
 * one rule that makes faults exact: no architectural state is written before the instruction's last statement that may fault (checked by
 * the verifier).
 *
 * Conventions: byte and word values are *zero-extended* unless a lift says otherwise; `write` truncates by itself.
 */
import { type CalloutName, callouts } from "../contract/callouts.ts";
import { isLinearCode, type ModeKey, mode } from "../contract/mode-key.ts";
import { segment, slot } from "../contract/slots.ts";
import { operandKind } from "../decode/instruction.ts";
import type { MicroTemplate, ResultStatement, SlotRef, SlotType, Statement, Terminator, Value } from "../ir/micro.ts";
import { type PureOp, pureOps, type ValueType } from "../ir/pure-ops.ts";
import type { Shape, ShapeOperand } from "./shape.ts";

export type LiftFunction = (b: Builder, i: Shape) => void;
export type Size = 1 | 2 | 4;

export class Builder {
  readonly shape: Shape;
  readonly mode: ModeKey;
  private readonly statements: Statement[] = [];
  private terminator: Terminator | undefined;
  private readonly addresses = new Map<ShapeOperand, Value>();

  /** Whether XMM registers are to be worked on as a whole, and not word by word. */
  readonly hasVectors: boolean;

  constructor(shape: Shape, hasVectors = false) {
    this.shape = shape;
    this.mode = shape.mode;
    this.hasVectors = hasVectors;
  }

  finish(): MicroTemplate {
    return { statements: this.statements, terminator: this.terminator, fieldCount: Math.max(this.shape.nextField, this.shape.x87Field) + 1 };
  }

  // ---- mode

  get isProtected(): boolean {
    return (this.mode & mode.protected) !== 0;
  }
  get isVirtual8086(): boolean {
    return (this.mode & mode.virtual8086) !== 0;
  }
  /** Bytes of the stack pointer in use: 4 (ESP) or 2 (SP). */
  get stackSize(): 2 | 4 {
    return this.mode & mode.stack32 ? 4 : 2;
  }
  get isFlat(): boolean {
    return (this.mode & mode.flat) !== 0;
  }
  /** EIP is the linear address. */
  get isLinear(): boolean {
    return isLinearCode(this.mode);
  }
  private get isWide(): boolean {
    return (this.mode & mode.wide) !== 0;
  }

  // ---- values

  constant(value: number): Value {
    return { kind: "constant", value: value | 0 };
  }
  field(index: number): Value {
    return { kind: "field", index };
  }
  pure(op: PureOp, ...args: Value[]): Value {
    const row: { parameters: string; js: string; type?: ValueType } = pureOps[op];
    return { kind: "pure", op, args, type: row.type ?? "i32" };
  }
  add(a: Value, b: Value | number): Value {
    return this.pure("add", a, this.valueOf(b));
  }
  sub(a: Value, b: Value | number): Value {
    return this.pure("sub", a, this.valueOf(b));
  }
  and(a: Value, b: Value | number): Value {
    return this.pure("and", a, this.valueOf(b));
  }
  or(a: Value, b: Value | number): Value {
    return this.pure("or", a, this.valueOf(b));
  }
  xor(a: Value, b: Value | number): Value {
    return this.pure("xor", a, this.valueOf(b));
  }
  shl(a: Value, b: Value | number): Value {
    return this.pure("shl", a, this.valueOf(b));
  }
  shr(a: Value, b: Value | number): Value {
    return this.pure("shr", a, this.valueOf(b));
  }
  sar(a: Value, b: Value | number): Value {
    return this.pure("sar", a, this.valueOf(b));
  }
  select(condition: Value, a: Value | number, b: Value | number): Value {
    return this.pure("select", condition, this.valueOf(a), this.valueOf(b));
  }
  equal(a: Value, b: Value | number): Value {
    return this.pure("equal", a, this.valueOf(b));
  }
  /** Sign-extends the low `size` bytes. */
  signExtend(a: Value, size: number): Value {
    return size === 1 ? this.pure("signExtend8", a) : size === 2 ? this.pure("signExtend16", a) : a;
  }
  zeroExtend(a: Value, size: number): Value {
    return size === 1 ? this.pure("zeroExtend8", a) : size === 2 ? this.pure("zeroExtend16", a) : a;
  }
  valueOf(a: Value | number): Value {
    return typeof a === "number" ? this.constant(a) : a;
  }

  // ---- state slots

  /** Reads slot `index` (a number from contract/slots.ts) now, in program order. */
  get(index: number): Value {
    return this.result({ kind: "get", slot: { base: this.constant(index), offset: 0 }, type: "i32" });
  }
  set(index: number, value: Value | number): void {
    this.statements.push({ kind: "set", slot: { base: this.constant(index), offset: 0 }, type: "i32", value: this.valueOf(value) });
  }
  /** Reads the slot numbered (value of `base`) + offset; `base` is a constant or a field. */
  getAt(base: Value, offset: number, type: SlotType = "i32"): Value {
    return this.result({ kind: "get", slot: { base, offset }, type });
  }
  setAt(base: Value, offset: number, value: Value | number, type: SlotType = "i32"): void {
    this.statements.push({ kind: "set", slot: { base, offset }, type, value: this.valueOf(value) });
  }
  /** General register `number` at `size` bytes (1: low byte), zero-extended. */
  getRegister(number: number, size: number): Value {
    return this.zeroExtend(this.get(slot.eax + number), size);
  }
  setRegister(number: number, size: number, value: Value): void {
    this.setPart({ base: this.constant(slot.eax + number), offset: 0 }, size, false, value);
  }

  // ---- operands

  /** Reads operand `o`, zero-extended from its size. Memory operands are loaded here, in program order. */
  read(o: ShapeOperand): Value {
    switch (o.kind) {
      case operandKind.register: {
        const whole = this.getAt(this.field(o.field), slot.eax);
        return o.high ? this.and(this.shr(whole, 8), 255) : this.zeroExtend(whole, o.size);
      }
      case operandKind.immediate:
        // The decoder has extended it, and truncated it to its size.
        return this.field(o.field);
      case operandKind.memory:
        return this.load(this.address(o, o.size, false), o.size as Size);
      case operandKind.segmentRegister:
        return this.get(slot.selector + o.reg);
      default:
        throw new Error(`${this.shape.row.name}: operand kind ${o.kind} has no plain value`);
    }
  }

  /** Reads a destination that will be written: a memory operand faults as a write (SDM: a read-modify-write is a write). */
  readForWrite(o: ShapeOperand): Value {
    if (o.kind !== operandKind.memory) return this.read(o);
    return this.load(this.address(o, o.size, true), o.size as Size, true);
  }

  /** Writes operand `o`, truncating to its size. */
  write(o: ShapeOperand, value: Value): void {
    if (o.kind === operandKind.memory) this.store(this.address(o, o.size, true), o.size as Size, value);
    else if (o.kind === operandKind.register) this.setPart({ base: this.field(o.field), offset: slot.eax }, o.size, o.high, value);
    else throw new Error(`${this.shape.row.name}: operand kind ${o.kind} cannot be written`);
  }

  private setPart(target: SlotRef, size: number, high: boolean, value: Value): void {
    if (size !== 4) {
      const old = this.result({ kind: "get", slot: target, type: "i32" });
      value = high
        ? this.or(this.and(old, ~0xff00), this.shl(this.and(value, 255), 8))
        : this.or(this.and(old, size === 1 ? ~0xff : ~0xffff), this.zeroExtend(value, size));
    }
    this.statements.push({ kind: "set", slot: target, type: "i32", value });
  }

  /** The offset part of a memory operand's address (what LEA yields), truncated to the address size. */
  offsetOf(o: ShapeOperand): Value {
    let field = o.field;
    let sum: Value | undefined;
    if (o.hasBase) sum = this.getAt(this.field(field++), slot.eax);
    if (o.hasIndex) {
      const index = this.getAt(this.field(field++), slot.eax);
      const scaled = this.shl(index, this.field(field++));
      sum = sum === undefined ? scaled : this.add(sum, scaled);
    }
    const displacement = this.field(field);
    sum = sum === undefined ? displacement : this.add(sum, displacement);
    return this.shape.addressSize === 2 ? this.pure("zeroExtend16", sum) : sum;
  }

  /**
   * Linear address of memory operand `o`, checked for an access of `size` bytes. Computed once an operand; ask for the widest access (and for a write,
   * if any) first.
   */
  address(o: ShapeOperand, size: number = o.size, isWrite = false): Value {
    let address = this.addresses.get(o);
    if (address === undefined) {
      address = this.linear(o.segment, this.offsetOf(o), size, isWrite);
      this.addresses.set(o, address);
    }
    return address;
  }

  /** Segmentation: linear address of `offset` in segment register `s`, checked for an access of `size` bytes. */
  linear(s: number, offset: Value, size: number, isWrite: boolean): Value {
    // A code segment is never writable: a store through CS faults in flat mode too.
    if (this.needsNoSegmentCheck(s) && !(s === segment.cs && isWrite)) return offset;
    const wide = this.isWideSegment(s, isWrite);
    if (!wide || size > 1 || this.shape.addressSize === 4) this.statements.push({ kind: "segment", segment: s, offset, size, isWrite, wide });
    return this.add(offset, this.get(slot.segmentBase + s));
  }

  /** Whether mode.wide speaks of accesses through segment register `s`. 32-bit code mostly goes beyond 64 KiB: a comparison with that would only cost time. */
  private isWideSegment(s: number, isWrite: boolean): boolean {
    if (!this.isWide || (this.shape.addressSize === 4 && (this.mode & mode.code32) !== 0)) return false;
    return !this.isProtected || (s < segment.fs && !(s === segment.cs && isWrite));
  }

  needsNoSegmentCheck(s: number): boolean {
    return this.isFlat && s < segment.fs;
  }

  // ---- memory, at linear addresses

  load(address: Value, size: Size, forWrite = false): Value {
    return this.result({ kind: "load", size, address, forWrite });
  }
  store(address: Value, size: Size, value: Value | number): void {
    this.statements.push({ kind: "store", size, address, value: this.valueOf(value) });
  }

  // ---- stack

  /** The stack pointer in use, zero-extended. */
  stackPointer(): Value {
    return this.zeroExtend(this.get(slot.esp), this.stackSize);
  }
  setStackPointer(value: Value): void {
    this.setRegister(4, this.stackSize, value);
  }
  /** Wraps a stack offset to the stack's width. */
  stackOffset(value: Value): Value {
    return this.stackSize === 2 ? this.pure("zeroExtend16", value) : value;
  }
  /** Pushes `size` bytes and commits the stack pointer: the last thing that may fault in an instruction. */
  push(value: Value, size: 2 | 4): void {
    const top = this.stackOffset(this.sub(this.stackPointer(), size));
    this.store(this.linear(segment.ss, top, size, true), size, value);
    this.setStackPointer(top);
  }
  /** Reads the top of the stack without moving the pointer; `popped` yields the pointer after it. */
  stackTop(size: 2 | 4): Value {
    return this.load(this.linear(segment.ss, this.stackPointer(), size, false), size);
  }
  popped(bytes: number | Value): Value {
    return this.stackOffset(this.add(this.stackPointer(), bytes));
  }

  // ---- flags

  get carry(): Value {
    return this.shr(this.get(slot.flagCarry), 31);
  }
  /** ZF, SF and PF from a result of `size` bytes. */
  setResultFlags(result: Value, size: number): void {
    const extended = this.signExtend(result, size);
    this.set(slot.flagZero, extended);
    this.set(slot.flagSign, extended);
  }
  /** CF, OF and AF from a carry (or borrow) vector of an operation of `size` bytes. */
  setCarryVector(vector: Value, size: number): void {
    this.set(slot.flagCarry, size === 1 ? this.pure("carryVector8", vector) : size === 2 ? this.pure("carryVector16", vector) : vector);
  }
  /** CF and OF from values 0 or 1 (AF cleared). */
  setCarryOverflow(cf: Value, of: Value): void {
    this.set(slot.flagCarry, this.or(this.shl(cf, 31), this.shl(this.xor(cf, of), 30)));
  }

  // ---- callouts and exits

  /** Calls the VMM; yields its result (meaningless if it returns none). A callout that `ends` must be the last thing: follow with `dispatch`. */
  call(callout: CalloutName, ...args: (Value | number)[]): Value {
    if (args.length !== callouts[callout].args) throw new Error(`${callout} takes ${callouts[callout].args} arguments, not ${args.length}`);
    return this.result({ kind: "call", callout, args: args.map((a) => this.valueOf(a)) });
  }
  /** Page offset of the next instruction. */
  get next(): Value {
    return this.field(this.shape.nextField);
  }
  /** EIP of the next instruction, truncated to the code size where that is 16 bits. */
  get nextEip(): Value {
    return this.codeAddress(this.next);
  }
  codeAddress(offset: Value): Value {
    return { kind: "codeAddress", offset };
  }

  /** Whether a relative transfer ends at a fixed page offset. Of 16-bit operand size it does not in 32-bit code, whose pages lie beyond 64 KiB too. */
  get isStatic(): boolean {
    return this.shape.operandSize === 4 ? true : (this.mode & mode.code32) === 0;
  }
  /** For terminators: the EIP of a relative target is taken modulo 64 KiB. */
  private get wrapping(): { wraps?: true } {
    return this.shape.operandSize === 2 ? { wraps: true } : {};
  }
  /** EIP of the target of relative operand 0. */
  get relativeEip(): Value {
    return this.truncateEip(this.codeAddress(this.field(this.shape.operands[0].field)), this.shape.operandSize);
  }
  /** Raises #GP(0) if the target of relative operand 0 lies beyond the code segment's limit and `taken`. On the instruction's own page it cannot, but for a page at the edge. */
  checkRelative(taken?: Value): void {
    if (this.isLinear || !(this.shape.operands[0].leavesPage || (this.mode & mode.edge) !== 0)) return;
    this.checkTarget(taken === undefined ? this.relativeEip : this.select(taken, this.relativeEip, 0));
  }

  /** Ends with a jump to relative operand 0, which has been checked. */
  jump(): void {
    const target = this.field(this.shape.operands[0].field);
    if (this.isStatic) this.terminator = { kind: "jump", target, ...this.wrapping };
    else this.computed(this.relativeEip, "jump");
  }
  branch(condition: Value): void {
    const taken = this.field(this.shape.operands[0].field);
    if (this.isStatic) this.terminator = { kind: "branch", condition, taken, fall: this.next, ...this.wrapping };
    else this.computed(this.select(condition, this.relativeEip, this.nextEip), "jump");
  }
  truncateEip(eip: Value, size: 2 | 4): Value {
    return size === 2 ? this.pure("zeroExtend16", eip) : eip;
  }
  /** Ends at a computed EIP. Call `checkTarget` first, before any state is written. */
  indirect(target: Value, flavour: "jump" | "call" | "return"): void {
    this.checkTarget(target);
    this.computed(target, flavour);
  }
  /** The same for a target that was checked before state was written. */
  computed(target: Value, flavour: "jump" | "call" | "return"): void {
    this.terminator = { kind: "indirect", target, flavour, ...(this.isLinear ? {} : { segmented: true }) };
  }
  /** The same in a code segment just loaded. */
  farComputed(target: Value, flavour: "jump" | "call" | "return"): void {
    this.terminator = { kind: "indirect", target, flavour, segmented: true, far: true };
  }
  /** Ends with a call of relative operand 0; the return address has been pushed. */
  directCall(): void {
    const target = this.field(this.shape.operands[0].field);
    if (this.isStatic) this.terminator = { kind: "call", target, returnTo: this.next, ...this.wrapping };
    else this.computed(this.relativeEip, "call");
  }
  /** Raises #GP(0) if the target, of the operand size, lies beyond the code segment's limit. Costs nothing in flat mode and for 16 bits in 64K segments. */
  checkTarget(eip: Value): void {
    if (!this.isFlat && !(this.isWide && this.shape.operandSize === 2)) this.call("checkCodeLimit", eip);
  }
  /** Ends: back to this very instruction while `condition` holds (a string instruction that stopped early), else on to the next. */
  again(condition: Value): void {
    this.terminator = { kind: "again", condition };
  }
  /** Ends: on to the next, or through the dispatcher if `unless` is not 0. */
  proceed(unless: Value): void {
    this.terminator = { kind: "proceed", unless };
  }
  /** Ends: the callout just made has set EIP or the mode. */
  dispatch(): void {
    this.terminator = { kind: "dispatch" };
  }

  private result(statement: ResultStatement): Value {
    this.statements.push(statement);
    return { kind: "result", statement };
  }
}
