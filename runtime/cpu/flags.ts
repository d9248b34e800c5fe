/** EFLAGS to and from the three derived words (see contract/slots.ts). */
import { arithmeticFlags, eflag as eflagImported, slot as slotImported } from "../../translator/contract/slots.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const eflag = eflagImported;
const slot = slotImported;

/** Even parity of the low byte: 1 when the number of set bits in it is even. */
export function evenParity(value: number): number {
  return (0x9669 >>> ((value ^ (value >>> 4)) & 15)) & 1;
}

/** The whole EFLAGS image, bit 1 included. */
export function getEflags(R: Int32Array): number {
  const carry = R[slot.flagCarry];
  const sign = R[slot.flagSign];
  return (
    R[slot.eflags] |
    2 |
    (carry >>> 31) |
    (evenParity(sign) << 2) |
    ((carry & 8) << 1) |
    (R[slot.flagZero] === 0 ? eflag.zf : 0) |
    ((sign >>> 31) << 7) |
    (((carry ^ (carry << 1)) >>> 31) << 11)
  );
}

/** Sets the arithmetic flags alone from an EFLAGS image. */
export function setArithmeticFlags(R: Int32Array, value: number): void {
  const cf = value & 1;
  const of = (value >>> 11) & 1;
  R[slot.flagCarry] = (cf << 31) | ((cf ^ of) << 30) | ((value & eflag.af) >>> 1);
  // Low byte 0 has even parity, 1 odd.
  R[slot.flagSign] = ((value & eflag.sf) << 24) | (value & eflag.pf ? 0 : 1);
  R[slot.flagZero] = value & eflag.zf ? 0 : 1;
}

/** The bits that the slot `eflags` has, but for bit 1, which is always set. */
export const systemBits = ~arithmeticFlags & 0x3f7fd7;

/** Those of an image. */
export function systemPart(value: number): number {
  return (value & systemBits) | 2;
}

/** Sets all of EFLAGS without any check of privilege; the caller updates the mode key if TF or VM changed. */
export function setEflags(R: Int32Array, value: number): void {
  R[slot.eflags] = systemPart(value);
  setArithmeticFlags(R, value);
}
