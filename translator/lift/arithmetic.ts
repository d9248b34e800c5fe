/** Binary arithmetic (SDM vol. 1, 5.1.2). */
import { slot } from "../contract/slots.ts";
import type { Value } from "../ir/micro.ts";
import type { Builder, LiftFunction } from "./builder.ts";

/** a + b (+ carry in): the sum, flags set by `commit`. */
function liftAdd(withCarry: boolean): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    const y = b.read(source);
    const x = b.readForWrite(target);
    const r = withCarry ? b.add(b.add(x, y), b.carry) : b.add(x, y);
    b.write(target, r);
    b.setCarryVector(b.pure("carries", x, y, r), target.size);
    b.setResultFlags(r, target.size);
  };
}

function liftSubtract(withBorrow: boolean): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    const y = b.read(source);
    const x = b.readForWrite(target);
    const r = withBorrow ? b.sub(b.sub(x, y), b.carry) : b.sub(x, y);
    b.write(target, r);
    setSubtractFlags(b, x, y, r, target.size);
  };
}

export function setSubtractFlags(b: Builder, x: Value, y: Value, r: Value, size: number): void {
  b.setCarryVector(b.pure("borrows", x, y, r), size);
  b.setResultFlags(r, size);
}

const liftCompare: LiftFunction = (b, i) => {
  const [left, right] = i.operands;
  const x = b.read(left);
  const y = b.read(right);
  setSubtractFlags(b, x, y, b.sub(x, y), left.size);
};

/** INC and DEC leave CF alone: OF goes to bit 30 relative to the old CF in bit 31. */
function liftStep(step: 1 | -1): LiftFunction {
  return (b, i) => {
    const [target] = i.operands;
    const size = target.size;
    const x = b.readForWrite(target);
    const r = step === 1 ? b.add(x, 1) : b.sub(x, 1);
    const old = b.get(slot.flagCarry);
    b.write(target, r);
    b.setResultFlags(r, size);
    if (size === 4) return b.set(slot.flagCarry, step === 1 ? b.pure("stepped", old, x, r) : b.pure("stepped", old, r, x));
    // bit 31 = old CF; bit 30 = OF ^ old CF; bit 3 = AF. OF: the sign bit alone came up (INC) or went (DEC).
    const changedSign = step === 1 ? b.and(b.pure("not", x), r) : b.and(x, b.pure("not", r));
    const overflow = b.shl(changedSign, 32 - 8 * size);
    const carryAndOverflow = b.or(b.and(old, 1 << 31), b.and(b.shr(b.xor(old, overflow), 1), 1 << 30));
    b.set(slot.flagCarry, b.or(carryAndOverflow, b.and(b.shr(b.xor(x, r), 1), 8)));
  };
}

const liftNegate: LiftFunction = (b, i) => {
  const [target] = i.operands;
  const x = b.readForWrite(target);
  const r = b.pure("neg", x);
  b.write(target, r);
  setSubtractFlags(b, b.constant(0), x, r, target.size);
};

/** MUL and one-operand IMUL: the double-width product; CF = OF = upper half significant. SF, ZF, AF, PF undefined: left as hardware here leaves them. */
function liftMultiply(signed: boolean): LiftFunction {
  return (b, i) => {
    const [source] = i.operands;
    const size = source.size;
    const y = b.read(source);
    const x = b.getRegister(0, size);
    if (size === 4) {
      const low = b.pure("mul", x, y);
      const high = b.pure(signed ? "mulhs" : "mulhu", x, y);
      b.set(slot.eax, low);
      b.set(slot.edx, high);
      setMultiplyFlags(b, b.pure("notEqual", high, signed ? b.sar(low, 31) : b.constant(0)));
      return;
    }
    const product = signed ? b.pure("mul", b.signExtend(x, size), b.signExtend(y, size)) : b.pure("mul", x, y);
    if (size === 1) b.setRegister(0, 2, product);
    else {
      b.setRegister(0, 2, product);
      b.setRegister(2, 2, b.shr(product, 16));
    }
    const narrow = signed ? b.signExtend(product, size) : b.zeroExtend(product, size);
    setMultiplyFlags(b, b.pure("notEqual", product, narrow));
  };
}

/** CF = OF = `overflow`. */
function setMultiplyFlags(b: Builder, overflow: Value): void {
  b.set(slot.flagCarry, b.select(overflow, 1 << 31, 0));
}

/** IMUL with two or three operands: truncated product; CF = OF = it did not fit. */
const liftMultiplyTruncating: LiftFunction = (b, i) => {
  const target = i.operands[0];
  const size = target.size;
  const first = i.operands.length === 3 ? b.read(i.operands[1]) : b.read(target);
  const second = b.read(i.operands[i.operands.length === 3 ? 2 : 1]);
  if (size === 4) {
    const low = b.pure("mul", first, second);
    b.write(target, low);
    setMultiplyFlags(b, b.pure("notEqual", b.pure("mulhs", first, second), b.sar(low, 31)));
    return;
  }
  const product = b.pure("mul", b.signExtend(first, size), b.signExtend(second, size));
  b.write(target, product);
  setMultiplyFlags(b, b.pure("notEqual", product, b.signExtend(product, size)));
};

/** DIV, IDIV: flags are undefined; hardware here leaves them alone. */
function liftDivide(callout: "divide" | "divideSigned"): LiftFunction {
  return (b, i) => {
    const d = b.read(i.operands[0]);
    if (i.operands[0].size < 4) {
      b.call(callout, i.operands[0].size, d);
      return;
    }
    const high = b.get(slot.edx);
    const low = b.get(slot.eax);
    b.call(callout === "divide" ? "checkDivide" : "checkDivideSigned", high, low, d);
    const quotient = b.pure(callout === "divide" ? "divideUnsigned" : "divideSigned", high, low, d);
    b.set(slot.edx, b.sub(low, b.pure("mul", quotient, d)));
    b.set(slot.eax, quotient);
  };
}

export const arithmeticLifts: Record<string, LiftFunction> = {
  add: liftAdd(false),
  adc: liftAdd(true),
  sub: liftSubtract(false),
  sbb: liftSubtract(true),
  cmp: liftCompare,
  inc: liftStep(1),
  dec: liftStep(-1),
  neg: liftNegate,
  mul: (b, i) => liftMultiply(false)(b, i),
  imul: (b, i) => (i.operands.length === 1 ? liftMultiply(true)(b, i) : liftMultiplyTruncating(b, i)),
  div: liftDivide("divide"),
  idiv: liftDivide("divideSigned"),
};
