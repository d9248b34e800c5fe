/** CF, PF, AF, ZF, SF and OF as EFLAGS has them, to and from the three words that they are kept in (contract/slots.ts). */
import { slot } from "../contract/slots.ts";
import type { Value } from "../ir/micro.ts";
import type { Builder } from "./builder.ts";

/** What LAHF loads: all but OF, and bit 1. */
export function statusByte(b: Builder): Value {
  const carry = b.get(slot.flagCarry);
  const sign = b.get(slot.flagSign);
  const zero = b.pure("toInt", b.equal(b.get(slot.flagZero), 0));
  return [
    b.shr(carry, 31),
    b.constant(2),
    b.shl(b.pure("evenParity", sign), 2),
    b.shl(b.and(carry, 8), 1),
    b.shl(zero, 6),
    b.shl(b.shr(sign, 31), 7),
  ].reduce((sum, part) => b.or(sum, part));
}

/** OF as 0 or 1. */
export function overflow(b: Builder): Value {
  return b.and(b.shr(b.pure("overflowSign", b.get(slot.flagCarry)), 31), 1);
}

/** Sets all but OF from the low byte of `image`, OF from 0 or 1. */
export function setStatus(b: Builder, image: Value, of: Value): void {
  const cf = b.and(image, 1);
  b.set(slot.flagCarry, b.or(b.or(b.shl(cf, 31), b.shl(b.xor(cf, of), 30)), b.and(b.shr(image, 1), 8)));
  b.set(slot.flagSign, b.or(b.shl(b.and(image, 128), 24), b.xor(b.and(b.shr(image, 2), 1), 1)));
  b.set(slot.flagZero, b.xor(b.and(b.shr(image, 6), 1), 1));
}
