/** The sixteen conditions of Jcc, SETcc and CMOVcc as values over the three flag words (SDM vol. 1, appendix B). */
import { slot } from "../contract/slots.ts";
import type { Value } from "../ir/micro.ts";
import type { Builder } from "./builder.ts";

export const conditionNames = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"] as const;

const negative = (b: Builder, v: Value): Value => b.pure("less", v, b.constant(0));

const builders: Record<string, (b: Builder) => Value> = {
  o: (b) => negative(b, b.pure("overflowSign", b.get(slot.flagCarry))),
  b: (b) => negative(b, b.get(slot.flagCarry)),
  e: (b) => b.equal(b.get(slot.flagZero), 0),
  be: (b) => b.pure("logicalOr", negative(b, b.get(slot.flagCarry)), b.equal(b.get(slot.flagZero), 0)),
  s: (b) => negative(b, b.get(slot.flagSign)),
  p: (b) => b.pure("notEqual", b.pure("evenParity", b.get(slot.flagSign)), b.constant(0)),
  // SF != OF
  l: (b) => negative(b, b.xor(b.pure("overflowSign", b.get(slot.flagCarry)), b.get(slot.flagSign))),
  le: (b) => b.pure("logicalOr", builders.l(b), b.equal(b.get(slot.flagZero), 0)),
};

const opposites: Record<string, string> = { no: "o", ae: "b", ne: "e", a: "be", ns: "s", np: "p", ge: "l", g: "le" };

/** A bool value: whether condition `name` holds. */
export function conditionValue(b: Builder, name: string): Value {
  const opposite = opposites[name];
  return opposite === undefined ? builders[name](b) : b.pure("logicalNot", builders[opposite](b));
}
