/**
 * Shifts and rotates (SDM vol. 1, 5.1.5). The count is taken modulo 32; a count of 0 changes nothing at all, flags included, which is why every
 * flag word is selected between its old and its new value when the count is not known.
 *
 * OF is defined for counts of 1 only; for others it is given the value the same formula yields.
 */
import { slot } from "../contract/slots.ts";
import { operandKind } from "../decode/instruction.ts";
import type { Value } from "../ir/micro.ts";
import type { Builder, LiftFunction } from "./builder.ts";
import type { ShapeOperand } from "./shape.ts";

/** Reads a shift count: 5 bits. */
function readCount(b: Builder, o: ShapeOperand): Value {
  return b.and(b.read(o), 31);
}

/** Whether the count is 0: an immediate one is known from the shape. */
function isZero(b: Builder, by: ShapeOperand, count: Value): Value {
  return by.kind === operandKind.immediate ? b.constant(by.isZeroCount ? 1 : 0) : b.equal(count, 0);
}

/** CF and CF ^ OF, the bits of `flagCarry` that are theirs. */
const top = 1 << 31;
const second = 1 << 30;

/** The vector with CF and OF in it. */
function vectorOf(b: Builder, cf: Value, of: Value): Value {
  return b.or(b.shl(cf, 31), b.shl(b.xor(cf, of), 30));
}

/** Sets flags only where `count` is not zero. */
function setFlagsUnlessZero(b: Builder, by: ShapeOperand, count: Value, result: Value, size: number, vector: Value): void {
  const none = isZero(b, by, count);
  const extended = b.signExtend(result, size);
  const [carry, zero, sign] = [b.get(slot.flagCarry), b.get(slot.flagZero), b.get(slot.flagSign)];
  b.set(slot.flagCarry, b.select(none, carry, vector));
  b.set(slot.flagZero, b.select(none, zero, extended));
  b.set(slot.flagSign, b.select(none, sign, extended));
}

const liftShiftLeft: LiftFunction = (b, i) => {
  const [target, by] = i.operands;
  const bits = target.size * 8;
  const count = readCount(b, by);
  const x = b.readForWrite(target);
  const r = b.shl(x, count);
  // The last bit out: bit (bits - count), which for narrow operands may lie above the operand once shifted by count - 1.
  const cf = b.and(b.shr(b.shl(x, b.sub(count, 1)), bits - 1), 1);
  b.write(target, r);
  // CF is the sign of what is shifted by one less, CF ^ OF the bit behind it: the result's sign.
  const vector = bits === 32 ? b.and(b.shl(x, b.sub(count, 1)), top | second) : vectorOf(b, cf, b.xor(cf, b.and(b.shr(r, bits - 1), 1)));
  setFlagsUnlessZero(b, by, count, r, target.size, vector);
};

function liftShiftRight(arithmetic: boolean): LiftFunction {
  return (b, i) => {
    const [target, by] = i.operands;
    const bits = target.size * 8;
    const count = readCount(b, by);
    const value = b.readForWrite(target);
    const x = arithmetic ? b.signExtend(value, target.size) : value;
    const op = arithmetic ? "sar" : "shr";
    const r = b.pure(op, x, count);
    const cf = b.and(b.pure(op, x, b.sub(count, 1)), 1);
    const of = arithmetic ? b.constant(0) : b.and(b.shr(value, bits - 1), 1);
    b.write(target, r);
    // CF in both bits, which clears OF as SAR does; SHR's OF is the sign.
    const both = bits === 32 ? b.pure("sar", b.shl(x, b.sub(b.constant(32), count)), b.constant(1)) : undefined;
    const vector = both === undefined ? vectorOf(b, cf, of) : b.and(arithmetic ? both : b.xor(both, b.shr(x, 1)), top | second);
    setFlagsUnlessZero(b, by, count, r, target.size, vector);
  };
}

/** ROL and ROR: CF and OF alone, and only for a count (before taking it modulo the width) other than 0. */
function liftRotate(left: boolean): LiftFunction {
  return (b, i) => {
    const [target, by] = i.operands;
    const bits = target.size * 8;
    const count = readCount(b, by);
    const x = b.readForWrite(target);
    let r: Value;
    if (bits === 32) {
      const back = b.pure("neg", count);
      r = left ? b.or(b.shl(x, count), b.shr(x, back)) : b.or(b.shr(x, count), b.shl(x, back));
      // JavaScript takes both counts modulo 32, so that a count of 0 yields x | x.
    } else {
      const amount = b.and(count, bits - 1);
      const other = b.sub(b.constant(bits), amount);
      r = left ? b.or(b.shl(x, amount), b.shr(x, other)) : b.or(b.shr(x, amount), b.shl(x, other));
    }
    // CF ^ OF is the bit before CF, the way that it came.
    let flags: Value;
    if (bits === 32) flags = b.and(left ? b.pure("rotatedRight1", r) : r, top | second);
    else {
      const cf = left ? b.and(r, 1) : b.and(b.shr(r, bits - 1), 1);
      flags = b.or(b.shl(cf, 31), b.shl(b.and(b.shr(r, left ? bits - 1 : bits - 2), 1), 30));
    }
    b.write(target, r);
    const old = b.get(slot.flagCarry);
    b.set(slot.flagCarry, b.select(isZero(b, by, count), old, b.or(b.and(old, 8), flags)));
  };
}

/** RCL and RCR rotate through CF, modulo 9, 17 or 33: rare, so left to a callout that also sets CF and OF. */
function liftRotateThroughCarry(callout: "rcl" | "rcr"): LiftFunction {
  return (b, i) => {
    const [target, by] = i.operands;
    const count = readCount(b, by);
    const x = b.readForWrite(target);
    if (target.kind === operandKind.memory) {
      // The callout sets flags, so whatever the store may raise must be raised before it.
      b.call("probeWrite", b.address(target, target.size, true), target.size);
    }
    b.write(target, b.call(callout, target.size, x, count));
  };
}

/** SHLD and SHRD. A count above the width of a 16-bit operand is undefined; here the operands repeat, as on current processors. */
function liftDoubleShift(left: boolean): LiftFunction {
  return (b, i) => {
    const [target, source, by] = i.operands;
    const bits = target.size * 8;
    const count = readCount(b, by);
    const y = b.read(source);
    const x = b.readForWrite(target);
    let r: Value;
    let cf: Value;
    if (bits === 32) {
      const none = isZero(b, by, count);
      const back = b.sub(b.constant(32), count);
      const shifted = left ? b.or(b.shl(x, count), b.shr(y, back)) : b.or(b.shr(x, count), b.shl(y, back));
      r = b.select(none, x, shifted);
      cf = left ? b.and(b.shr(x, back), 1) : b.and(b.shr(x, b.sub(count, 1)), 1);
    } else {
      // x:y:x as a 48-bit string, for counts up to 31; 32 bits of it at a time.
      const high = b.or(b.shl(x, 16), y);
      const again = b.or(b.shl(y, 16), x);
      const over = b.pure("lessEqual", b.constant(16), count);
      const rest = b.and(count, 15);
      if (left) {
        const word = b.select(over, again, high);
        r = b.shr(b.shl(word, rest), 16);
        cf = b.and(b.select(b.pure("logicalAnd", over, b.equal(rest, 0)), x, b.shr(word, b.sub(b.constant(32), rest))), 1);
      } else {
        const low = b.or(b.shl(y, 16), x);
        const next = b.or(b.shl(x, 16), y);
        const word = b.select(over, next, low);
        r = b.shr(word, rest);
        cf = b.and(b.select(b.pure("logicalAnd", over, b.equal(rest, 0)), b.shr(x, 15), b.shr(word, b.sub(rest, 1))), 1);
      }
      r = b.pure("zeroExtend16", r);
    }
    const of = b.and(b.shr(b.xor(r, x), bits - 1), 1);
    b.write(target, r);
    setFlagsUnlessZero(b, by, count, r, target.size, vectorOf(b, cf, of));
  };
}

export const shiftLifts: Record<string, LiftFunction> = {
  shl: liftShiftLeft,
  shr: liftShiftRight(false),
  sar: liftShiftRight(true),
  rol: liftRotate(true),
  ror: liftRotate(false),
  rcl: liftRotateThroughCarry("rcl"),
  rcr: liftRotateThroughCarry("rcr"),
  shld: liftDoubleShift(true),
  shrd: liftDoubleShift(false),
};
