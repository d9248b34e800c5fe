/**
 * Segment registers and far transfers outside protected mode (SDM vol. 3, 20.1.1 and 20.2.1), in line: a load takes the selector, and the base is 16 times it. Real mode
 * keeps limit and rights as they are ("unreal" mode depends on it); in virtual-8086 mode they are the same for all segments anyway. So the mode key does not change, and
 * no table of the machine is looked at: nothing is sensitive here. Only a load of SS by MOV or POP is left to the VMM, for it holds interrupts off.
 */
import { segment, slot } from "../contract/slots.ts";
import { operandKind } from "../decode/instruction.ts";
import type { Value } from "../ir/micro.ts";
import type { Builder } from "./builder.ts";
import type { Shape, ShapeOperand } from "./shape.ts";

/** Whether a load of segment register `s` by MOV or POP is done here. */
export function isPlainLoad(b: Builder, s: number): boolean {
  return !b.isProtected && s !== segment.ss;
}

export function setRealSegment(b: Builder, s: number, selector: Value): void {
  const value = b.zeroExtend(selector, 2);
  b.set(slot.selector + s, value);
  b.set(slot.segmentBase + s, b.shl(value, 4));
}

export function popRealSegment(b: Builder, s: number, size: 2 | 4): void {
  const selector = b.stackTop(size);
  const after = b.popped(size);
  setRealSegment(b, s, selector);
  b.setStackPointer(after);
}

/** LDS and its like. LSS holds nothing off. */
export function loadRealFarPointer(b: Builder, s: number, register: ShapeOperand, offset: Value, selector: Value): void {
  setRealSegment(b, s, selector);
  b.write(register, offset);
}

export function realFarJump(b: Builder, selector: Value, offset: Value): void {
  b.checkTarget(offset);
  setRealSegment(b, segment.cs, selector);
  b.farComputed(offset, "jump");
}

export function realFarCall(b: Builder, size: 2 | 4, selector: Value, offset: Value): void {
  const sp = b.stackPointer();
  const upper = b.stackOffset(b.sub(sp, size));
  const lower = b.stackOffset(b.sub(sp, 2 * size));
  const upperAddress = b.linear(segment.ss, upper, size, true);
  const lowerAddress = b.linear(segment.ss, lower, size, true);
  b.checkTarget(offset);
  b.store(upperAddress, size, b.get(slot.selector + segment.cs));
  b.store(lowerAddress, size, b.nextEip);
  b.setStackPointer(lower);
  setRealSegment(b, segment.cs, selector);
  b.farComputed(offset, "call");
}

export function realFarReturn(b: Builder, i: Shape): void {
  const size = i.operandSize;
  const eip = b.stackTop(size);
  const selector = b.load(b.linear(segment.ss, b.popped(size), size, false), size);
  b.checkTarget(eip);
  const dropped = i.operands.length > 0 && i.operands[0].kind === operandKind.immediate ? b.add(b.read(i.operands[0]), 2 * size) : 2 * size;
  b.setStackPointer(b.popped(dropped));
  setRealSegment(b, segment.cs, selector);
  b.farComputed(eip, "return");
}
