/**
 * Moves between vector registers and memory (SDM vol. 1, 5.4.1, 5.5.1.1, 5.6.1.1, 5.6.3). What differs between them is the width, whether
 * memory must be aligned, and what becomes of the rest of the target. Non-temporal hints mean nothing here.
 */
import { segment, slot } from "../../contract/slots.ts";
import { operandKind } from "../../decode/instruction.ts";
import type { Value } from "../../ir/micro.ts";
import type { Builder, LiftFunction } from "../builder.ts";
import type { ShapeOperand } from "../shape.ts";
import {
  enterMmx,
  isMemory,
  isWhole,
  readVector,
  readWords,
  requireMmx,
  requireSse,
  requireVector,
  slotOf,
  writeVector,
  writeWords,
} from "./operands.ts";

const isMmx = (o: ShapeOperand) => o.kind === operandKind.mmx;

/** Sixteen bytes, either direction. */
function moveWhole(aligned: boolean): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    if (isMemory(target)) b.call(aligned ? "store128Aligned" : "store128", b.address(target, 16, true), slotOf(b, source));
    else if (isMemory(source)) b.call(aligned ? "load128Aligned" : "load128", b.address(source, 16), slotOf(b, target));
    else b.call("copy128", slotOf(b, target), slotOf(b, source));
  };
}

function storeHalf(b: Builder, target: ShapeOperand, from: Value): void {
  b.call("store64", b.address(target, 8, true), from);
}

/** MOVSD, and MOVQ between XMM registers and memory: a load clears the upper half, and so does MOVQ (not MOVSD) from a register. */
function moveLow(registerClears: boolean): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    if (isMemory(target)) return storeHalf(b, target, slotOf(b, source));
    if (isMemory(source) && isWhole(b, target)) {
      b.call("load64", b.address(source, 8), slot.scratch);
      return writeVector(b, target, b.pure("lowHalf", b.getAt(b.constant(slot.scratch), 0, "v128")));
    }
    if (isMemory(source)) b.call("load64", b.address(source, 8), slotOf(b, target));
    else b.call("copy64", slotOf(b, target), slotOf(b, source));
    if (!isMemory(source) && !registerClears) return;
    if (isWhole(b, target)) writeVector(b, target, b.pure("lowHalf", readVector(b, target)));
    else for (const k of [2, 3]) b.setAt(b.field(target.field), k, 0);
  };
}
const liftMoveQuadwordXmm = moveLow(true);

/** MOVLPS, MOVLPD, MOVHPS, MOVHPD: one half of the register to or from memory; the other half stays. */
function moveHalfWithMemory(half: 0 | 2): LiftFunction {
  return (b, i) => {
    const [target, source] = i.operands;
    requireSse(b);
    if (isMemory(target)) storeHalf(b, target, slotOf(b, source, half));
    else b.call("load64", b.address(source, 8), slotOf(b, target, half));
  };
}

/** A word, and zeros above it. */
function writeBottom(b: Builder, target: ShapeOperand, value: Value): void {
  if (isWhole(b, target)) writeVector(b, target, b.pure("fromWord", value));
  else writeWords(b, target, isMmx(target) ? [value, 0] : [value, 0, 0, 0]);
}

const liftMoveSingle: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  requireSse(b);
  const [value] = readWords(b, source, 1);
  if (isMemory(target)) b.store(b.address(target, 4, true), 4, value);
  else if (isMemory(source)) writeBottom(b, target, value);
  else writeWords(b, target, [value]);
};

/** MOVD: 32 bits between a general register or memory and the bottom of a vector register, which is otherwise cleared. */
const liftMoveDoubleword: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  const vectorTarget = isMmx(target) || target.kind === operandKind.xmm;
  requireVector(b, vectorTarget ? target : source);
  if (vectorTarget) {
    const value = b.read(source);
    writeBottom(b, target, value);
  } else {
    b.write(target, readWords(b, source, 1)[0]);
    if (isMmx(source)) enterMmx(b);
  }
};

/** Eight bytes from an MMX register. */
function storeMmx(b: Builder, target: ShapeOperand, source: ShapeOperand): void {
  const [low, high] = readWords(b, source, 2);
  b.call("storePair", b.address(target, 8, true), low, high);
  enterMmx(b);
}

const liftMoveQuadwordMmx: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  requireMmx(b);
  if (isMemory(target)) storeMmx(b, target, source);
  else writeWords(b, target, readWords(b, source, 2));
};

const liftMmxToXmm: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  requireSse(b);
  b.call("pendingFloatException");
  const words = readWords(b, source, 2);
  enterMmx(b);
  writeWords(b, target, [...words, 0, 0]);
};
const liftXmmToMmx: LiftFunction = (b, i) => {
  const [target, source] = i.operands;
  requireSse(b);
  b.call("pendingFloatException");
  writeWords(b, target, readWords(b, source, 2));
};

/** MASKMOVQ and MASKMOVDQU: bytes whose mask byte is negative go to DS:(E)DI, the segment overridable. */
const liftMaskMove: LiftFunction = (b, i) => {
  const [data, mask] = i.operands;
  requireVector(b, data);
  const offset = b.zeroExtend(b.get(slot.edi), i.addressSize);
  const address = b.linear(i.segmentOverride < 0 ? segment.ds : i.segmentOverride, offset, data.size, true);
  if (isMmx(data)) {
    // Zen cores switch to the MMX state even if the store then faults.
    b.call("enterMmx");
    b.call("storeMaskedPair", address, ...readWords(b, data, 2), ...readWords(b, mask, 2));
  } else b.call("storeMasked", address, slotOf(b, data), slotOf(b, mask));
};

const liftMoveNonTemporalInteger: LiftFunction = (b, i) => b.write(i.operands[0], b.read(i.operands[1]));

const aligned = moveWhole(true);
const unaligned = moveWhole(false);

export const moveLifts: Record<string, LiftFunction> = {
  movaps: aligned,
  movapd: aligned,
  movdqa: aligned,
  movntps: aligned,
  movntpd: aligned,
  movntdq: aligned,
  movups: unaligned,
  movupd: unaligned,
  movdqu: unaligned,
  movss: liftMoveSingle,
  "movsd.sse": moveLow(false),
  movlps: moveHalfWithMemory(0),
  movlpd: moveHalfWithMemory(0),
  movhps: moveHalfWithMemory(2),
  movhpd: moveHalfWithMemory(2),
  movd: liftMoveDoubleword,
  movq: (b, i) => (i.operands.some(isMmx) ? liftMoveQuadwordMmx : liftMoveQuadwordXmm)(b, i),
  movntq: liftMoveQuadwordMmx,
  lddqu: moveWhole(false),
  movntdqa: moveWhole(true),
  movnti: liftMoveNonTemporalInteger,
  movq2dq: liftMmxToXmm,
  movdq2q: liftXmmToMmx,
  maskmovq: liftMaskMove,
  maskmovdqu: liftMaskMove,
};
