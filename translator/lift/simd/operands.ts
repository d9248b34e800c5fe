/**
 * What all vector lifts share: the availability checks, and vector operands as lists of 32-bit words.
 *
 * A vector is read as its words (two for MMX, four for XMM) and written the same way, or, an XMM register in a region, as a whole; wide operands of floating-point callouts are named by
 * slot instead, memory ones staged in `slot.scratch`. A lift reads every source word before it writes any, so that operands may coincide.
 */
import { slot } from "../../contract/slots.ts";
import { operandKind } from "../../decode/instruction.ts";
import type { Value } from "../../ir/micro.ts";
import type { Builder } from "../builder.ts";
import type { ShapeOperand } from "../shape.ts";

/** #UD and #NM of SSE instructions. A mode-key bit for "CR0.EM = CR0.TS = 0 and CR4.OSFXSR = 1" would make this nothing. */
export function requireSse(b: Builder): void {
  b.call("sseAvailable");
}

/** #UD, #NM and #MF of instructions on MMX registers. */
export function requireMmx(b: Builder): void {
  b.call("mmxAvailable");
}

/** The checks of an instruction whose vector operands are of this kind. */
export function requireVector(b: Builder, o: ShapeOperand): void {
  if (o.kind === operandKind.mmx) requireMmx(b);
  else requireSse(b);
}

/**
 * Every MMX instruction but EMMS marks all x87 registers valid and zeroes TOP (SDM vol. 1, 9.5.1). Comes after the last statement that may
 * fault.
 */
export function enterMmx(b: Builder): void {
  b.set(slot.fpuTop, 0);
  b.set(slot.fpuEmpty, 0);
}

export const isMemory = (o: ShapeOperand): boolean => o.kind === operandKind.memory;

/** Words in a vector register of operand `o`. */
export const wordsOf = (o: ShapeOperand): number => (o.kind === operandKind.mmx ? 2 : 4);

/** Whether the register is to be worked on as a whole. */
export const isWhole = (b: Builder, o: ShapeOperand): boolean => b.hasVectors && o.kind === operandKind.xmm;

/** A register, or 16 aligned bytes of memory, as a whole. */
export function readVector(b: Builder, o: ShapeOperand): Value {
  if (!isMemory(o)) return b.getAt(b.field(o.field), 0, "v128");
  b.call("load128Aligned", b.address(o, 16), slot.scratch);
  return b.getAt(b.constant(slot.scratch), 0, "v128");
}
export function writeVector(b: Builder, o: ShapeOperand, value: Value): void {
  b.setAt(b.field(o.field), 0, value, "v128");
}

/** Reads `count` words of operand `o`. A memory operand of 16 bytes must be aligned; several words come by way of the staging area. */
export function readWords(b: Builder, o: ShapeOperand, count: number): Value[] {
  const words: Value[] = [];
  if (isMemory(o)) {
    const address = b.address(o, 4 * count);
    if (count === 1) words.push(b.load(address, 4));
    else {
      b.call(count === 4 ? "load128Aligned" : "load64", address, slot.scratch);
      for (let k = 0; k < count; k++) words.push(b.get(slot.scratch + k));
    }
  } else if (o.kind === operandKind.mmx) {
    words.push(b.getAt(b.field(o.field), slot.fpuMantissaLow));
    if (count > 1) words.push(b.getAt(b.field(o.field), slot.fpuMantissaHigh));
  } else for (let k = 0; k < count; k++) words.push(b.getAt(b.field(o.field), k));
  return words;
}

/** Writes the first words of vector register `o`; an MMX register gets its exponent of all ones as well. */
export function writeWords(b: Builder, o: ShapeOperand, words: readonly (Value | number)[]): void {
  if (o.kind === operandKind.mmx) {
    enterMmx(b);
    b.setAt(b.field(o.field), slot.fpuMantissaLow, words[0]);
    b.setAt(b.field(o.field), slot.fpuMantissaHigh, words[1]);
    b.setAt(b.field(o.field), slot.fpuSignExponent, 0xffff);
  } else for (let k = 0; k < words.length; k++) b.setAt(b.field(o.field), k, words[k]);
}

/** Writes all words of an XMM register. */
export function writeAll(b: Builder, o: ShapeOperand, words: readonly Value[]): void {
  if (isWhole(b, o)) writeVector(b, o, b.pure("ofWords", ...words));
  else writeWords(b, o, words);
}

/** Slot of the first word of an XMM register or of a memory operand staged in `slot.scratch`; 16 bytes of memory must be aligned. */
export function sourceSlot(b: Builder, o: ShapeOperand): Value {
  if (!isMemory(o)) return b.field(o.field);
  const address = b.address(o, o.size);
  if (o.size === 4) b.set(slot.scratch, b.load(address, 4));
  else b.call(o.size === 8 ? "load64" : "load128Aligned", address, slot.scratch);
  return b.constant(slot.scratch);
}

/** The slot of word `k` of XMM register `o`. */
export function slotOf(b: Builder, o: ShapeOperand, k = 0): Value {
  return k === 0 ? b.field(o.field) : b.add(b.field(o.field), k);
}
