/** Decimal arithmetic (SDM vol. 1, 5.1.3): rare, so each is one callout. */
import type { LiftFunction } from "./builder.ts";

export const decimalLifts: Record<string, LiftFunction> = {
  daa: (b) => void b.call("daa"),
  das: (b) => void b.call("das"),
  aaa: (b) => void b.call("aaa"),
  aas: (b) => void b.call("aas"),
  aam: (b, i) => void b.call("aam", b.read(i.operands[0])),
  aad: (b, i) => void b.call("aad", b.read(i.operands[0])),
};
