/** Data transfer, stack and exchange instructions (SDM vol. 1, 5.1.1). */
import { segment, slot } from "../contract/slots.ts";
import { operandKind } from "../decode/instruction.ts";
import type { Value } from "../ir/micro.ts";
import { setSubtractFlags } from "./arithmetic.ts";
import type { Builder, LiftFunction } from "./builder.ts";
import { overflow, setStatus, statusByte } from "./eflags.ts";

const liftMove: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  b.write(target, b.read(source));
};

const liftMoveZeroExtend: LiftFunction = (b, i) => b.write(i.operands[0], b.read(i.operands[1]));
const liftMoveSignExtend: LiftFunction = (b, i) => b.write(i.operands[0], b.signExtend(b.read(i.operands[1]), i.operands[1].size));

const liftLoadEffectiveAddress: LiftFunction = (b, i) => b.write(i.operands[0], b.offsetOf(i.operands[1]));

const liftExchange: LiftFunction = (b, i) => {
  const [left, right] = i.operands;
  // One of the two may be memory, on either side; it is written first so that a fault leaves the register alone.
  const [memory, other] = right.kind === operandKind.memory ? [right, left] : [left, right];
  const x = b.readForWrite(memory);
  const y = b.read(other);
  b.write(memory, y);
  b.write(other, x);
};

const liftPush: LiftFunction = (b, i) => {
  const [source] = i.operands;
  const value = source.kind === operandKind.immediate ? b.field(source.field) : b.read(source);
  b.push(value, i.operandSize);
};

/** POP: a memory destination's address is computed after the stack pointer has moved (SDM vol. 2, POP), yet ESP must not change if the write faults. */
const liftPop: LiftFunction = (b, i) => {
  const [target] = i.operands;
  const size = i.operandSize;
  const value = b.stackTop(size);
  const after = b.popped(size);
  if (target.kind === operandKind.memory) {
    b.store(b.linear(target.segment, offsetWithStackPointer(b, target, after), size, true), size, value);
    b.setStackPointer(after);
    return;
  }
  b.setStackPointer(after);
  b.write(target, value);
};

/** The effective offset of `o` as if ESP already were `after`. ESP as a base is a field like any other, so it is compared when it runs. */
function offsetWithStackPointer(b: Builder, o: (typeof b.shape.operands)[number], after: Value): Value {
  const offset = b.offsetOf(o);
  if (!o.hasBase || b.shape.addressSize === 2) return offset;
  const usesStackPointer = b.equal(b.field(o.field), slot.esp);
  return b.select(usesStackPointer, b.add(offset, b.sub(after, b.stackPointer())), offset);
}

const liftPushAll: LiftFunction = (b, i) => {
  const size = i.operandSize;
  const sp = b.stackPointer();
  // Highest address first, as the processor pushes; all checked before the first write so that a fault leaves memory alone.
  const bottom = b.stackOffset(b.sub(sp, 8 * size));
  const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((r) => b.get(slot.eax + r));
  const slots = registers.map((_, k) => b.linear(segment.ss, b.stackOffset(b.sub(sp, (k + 1) * size)), size, true));
  for (const at of slots) b.call("probeWrite", at, size);
  for (let k = 0; k < 8; k++) b.store(slots[k], size, registers[k]);
  b.setStackPointer(bottom);
};

const liftPopAll: LiftFunction = (b, i) => {
  const size = i.operandSize;
  const sp = b.stackPointer();
  const values: Value[] = [];
  for (let k = 0; k < 8; k++) values.push(b.load(b.linear(segment.ss, b.stackOffset(b.add(sp, k * size)), size, false), size));
  for (let k = 0; k < 8; k++) {
    const register = 7 - k;
    if (register !== slot.esp) b.setRegister(register, size, values[k]);
  }
  b.setStackPointer(b.stackOffset(b.add(sp, 8 * size)));
};

/** ENTER: the callout walks the nesting levels; a plain ENTER n,0 (all that compilers emit) stays in line. */
const liftEnter: LiftFunction = (b, i) => {
  const [bytes, level] = i.operands;
  b.call("enter", i.operandSize, b.read(bytes), b.read(level));
};

const liftLeave: LiftFunction = (b, i) => {
  const size = i.operandSize;
  const frame = b.zeroExtend(b.get(slot.ebp), b.stackSize);
  const value = b.load(b.linear(segment.ss, frame, size, false), size);
  b.setStackPointer(b.stackOffset(b.add(frame, size)));
  b.setRegister(slot.ebp, size, value);
};

const liftConvertByte: LiftFunction = (b, i) => {
  // CBW: AX from AL; CWDE: EAX from AX.
  b.setRegister(0, i.operandSize, b.signExtend(b.get(slot.eax), i.operandSize / 2));
};
const liftConvertWord: LiftFunction = (b, i) => {
  // CWD: DX:AX; CDQ: EDX:EAX.
  b.setRegister(2, i.operandSize, b.sar(b.signExtend(b.get(slot.eax), i.operandSize), 31));
};

/** XLAT: AL from [EBX + AL]. */
const liftTranslate: LiftFunction = (b, i) => {
  const index = b.add(b.get(slot.ebx), b.getRegister(0, 1));
  const segmentNumber = i.segmentOverride >= 0 ? i.segmentOverride : segment.ds;
  b.setRegister(0, 1, b.load(b.linear(segmentNumber, b.zeroExtend(index, i.addressSize), 1, false), 1));
};

/** CMPXCHG: the destination is written in both cases, as on the bus. */
const liftCompareExchange: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  const size = target.size;
  const old = b.readForWrite(target);
  const accumulator = b.getRegister(0, size);
  const y = b.read(source);
  const same = b.equal(accumulator, old);
  const r = b.sub(accumulator, old);
  const whole = b.get(slot.eax);
  b.write(target, b.select(same, y, old));
  // When the destination is the accumulator itself, the compare succeeds and the source has just been written there.
  const kept = b.get(slot.eax);
  const loaded = size === 4 ? old : b.or(b.and(whole, size === 1 ? ~0xff : ~0xffff), old);
  b.set(slot.eax, b.select(same, kept, loaded));
  setSubtractFlags(b, accumulator, old, r, size);
};

const liftExchangeAdd: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  const x = b.readForWrite(target);
  const y = b.read(source);
  const r = b.add(x, y);
  if (target.kind === operandKind.memory) {
    b.write(target, r);
    b.write(source, x);
  } else {
    // XADD r,r with the same register twice leaves the sum.
    b.write(source, x);
    b.write(target, r);
  }
  b.setCarryVector(b.pure("carries", x, y, r), target.size);
  b.setResultFlags(r, target.size);
};

const liftCompareExchange8: LiftFunction = (b, i) => {
  b.call("cmpxchg8b", b.address(i.operands[0], 8, true));
};

/** LAHF: AH = SF ZF 0 AF 0 PF 1 CF. */
const liftLoadFlags: LiftFunction = (b) => b.set(slot.eax, b.or(b.and(b.get(slot.eax), ~0xff00), b.shl(statusByte(b), 8)));

/** SAHF: OF stays. */
const liftStoreFlags: LiftFunction = (b) => setStatus(b, b.and(b.shr(b.get(slot.eax), 8), 255), overflow(b));

/** SALC, undocumented: AL = CF ? FFh : 0. */
const liftSetAlFromCarry: LiftFunction = (b) => b.setRegister(0, 1, b.sar(b.get(slot.flagCarry), 31));

const liftNothing: LiftFunction = () => {};

export const dataTransferLifts: Record<string, LiftFunction> = {
  mov: liftMove,
  movzx: liftMoveZeroExtend,
  movsx: liftMoveSignExtend,
  lea: liftLoadEffectiveAddress,
  xchg: liftExchange,
  push: liftPush,
  pop: liftPop,
  pusha: liftPushAll,
  popa: liftPopAll,
  enter: liftEnter,
  leave: liftLeave,
  cbw: liftConvertByte,
  cwd: liftConvertWord,
  xlat: liftTranslate,
  cmpxchg: liftCompareExchange,
  xadd: liftExchangeAdd,
  cmpxchg8b: liftCompareExchange8,
  lahf: liftLoadFlags,
  sahf: liftStoreFlags,
  salc: liftSetAlFromCarry,
  nop: liftNothing,
  pause: liftNothing,
};
