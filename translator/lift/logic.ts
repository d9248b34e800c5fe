/** Logical instructions, bit tests and scans, byte set and swap (SDM vol. 1, 5.1.4 and 5.1.6). */
import { eflag, slot } from "../contract/slots.ts";
import { operandKind } from "../decode/instruction.ts";
import type { Value } from "../ir/micro.ts";
import type { PureOp } from "../ir/pure-ops.ts";
import type { Builder, LiftFunction } from "./builder.ts";
import { conditionNames, conditionValue } from "./conditions.ts";
import type { ShapeOperand } from "./shape.ts";

function liftLogic(op: PureOp): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    const y = b.read(source);
    const r = b.pure(op, b.readForWrite(target), y);
    b.write(target, r);
    b.set(slot.flagCarry, 0);
    b.setResultFlags(r, target.size);
  };
}

const liftTest: LiftFunction = (b, i) => {
  const [left, right] = i.operands;
  const r = b.and(b.read(left), b.read(right));
  b.set(slot.flagCarry, 0);
  b.setResultFlags(r, left.size);
};

const liftNot: LiftFunction = (b, i) => {
  const [target] = i.operands;
  b.write(target, b.pure("not", b.readForWrite(target)));
};

/**
 * BT, BTS, BTR, BTC. With a register bit offset a memory operand is a bit string: the offset's upper part moves the address, signed
 * (SDM vol. 2, BT). Only CF changes.
 */
function liftBitTest(change: "none" | "set" | "reset" | "complement"): LiftFunction {
  return (b, i) => {
    const [target, bit] = i.operands;
    const size = target.size as 2 | 4;
    const offset = b.read(bit);
    const writes = change !== "none";
    let old: Value;
    let address: Value | undefined;
    if (target.kind === operandKind.memory && bit.kind === operandKind.register) {
      const signed = b.signExtend(offset, size);
      const moved = b.add(b.offsetOf(target), size === 4 ? b.shl(b.sar(signed, 5), 2) : b.shl(b.sar(signed, 4), 1));
      address = b.linear(target.segment, b.zeroExtend(moved, i.addressSize), size, writes);
      old = b.load(address, size, writes);
    } else old = writes ? b.readForWrite(target) : b.read(target);
    const position = b.and(offset, size * 8 - 1);
    const mask = b.shl(b.constant(1), position);
    const cf = b.and(b.shr(old, position), 1);
    if (writes) {
      const value = change === "set" ? b.or(old, mask) : change === "reset" ? b.and(old, b.pure("not", mask)) : b.xor(old, mask);
      if (address !== undefined) b.store(address, size, value);
      else b.write(target, value);
    }
    setCarryOnly(b, cf);
  };
}

/** Changes CF and keeps OF: bit 30 of flagCarry holds OF ^ CF. */
export function setCarryOnly(b: Builder, cf: Value): void {
  const old = b.get(slot.flagCarry);
  const change = b.xor(b.shr(old, 31), cf);
  b.set(slot.flagCarry, b.xor(old, b.or(b.shl(change, 31), b.shl(change, 30))));
}

/** BSF and BSR: ZF = source is zero, and then the destination keeps its value (as hardware does). Other flags undefined. */
function liftBitScan(reverse: boolean): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    const x = b.read(source);
    const old = b.read(target);
    const index = reverse ? b.sub(b.constant(31), b.pure("clz", x)) : b.sub(b.constant(31), b.pure("clz", b.and(x, b.pure("neg", x))));
    b.write(target, b.select(b.equal(x, 0), old, index));
    b.set(slot.flagZero, x);
  };
}

const liftByteSwap: LiftFunction = (b, i) => {
  const [target] = i.operands;
  // With a 16-bit operand the result is undefined; processors give zero.
  b.write(target, target.size === 4 ? b.pure("bswap", b.read(target)) : b.constant(0));
};

function liftSet(condition: string): LiftFunction {
  return (b, i) => {
    b.write(i.operands[0], b.pure("toInt", conditionValue(b, condition)));
  };
}

function liftConditionalMove(condition: string): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    const y = b.read(source);
    const x = b.read(target as ShapeOperand);
    b.write(target, b.select(conditionValue(b, condition), y, x));
  };
}

const liftComplementCarry: LiftFunction = (b) => setCarryOnly(b, b.xor(b.carry, 1));

export const logicLifts: Record<string, LiftFunction> = {
  and: liftLogic("and"),
  or: liftLogic("or"),
  xor: liftLogic("xor"),
  test: liftTest,
  not: liftNot,
  bt: liftBitTest("none"),
  bts: liftBitTest("set"),
  btr: liftBitTest("reset"),
  btc: liftBitTest("complement"),
  bsf: liftBitScan(false),
  bsr: liftBitScan(true),
  bswap: liftByteSwap,
  clc: (b) => setCarryOnly(b, b.constant(0)),
  stc: (b) => setCarryOnly(b, b.constant(1)),
  cmc: liftComplementCarry,
  cld: (b) => b.set(slot.eflags, b.and(b.get(slot.eflags), ~eflag.df)),
  std: (b) => b.set(slot.eflags, b.or(b.get(slot.eflags), eflag.df)),
  ...Object.fromEntries(conditionNames.map((name) => [`set${name}`, liftSet(name)])),
  ...Object.fromEntries(conditionNames.map((name) => [`cmov${name}`, liftConditionalMove(name)])),
};
