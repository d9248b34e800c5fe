/**
 * Flags of operations on bytes and 16-bit words as a fault behind them shows them: regions keep what carries can be computed from, and compute them where they are seen. What is
 * expected follows from the definitions of the flags (SDM vol. 1, 3.4.3.1).
 */
import { describe, expect, it } from "vitest";
import { arithmeticFlags, eflag } from "../../translator/contract/slots.ts";
import { tiers } from "../support/core.ts";
import { flagsAtFault } from "../support/flags-at-fault.ts";

const { cf, pf, zf, sf, of } = eflag;

/** Of a + b (+1: as a subtraction), `bits` wide. */
function flagsOf(kind: "add" | "sub", bits: 8 | 16, a: number, b: number): number {
  const mask = 2 ** bits - 1;
  const r = (kind === "add" ? a + b : a - b) & mask;
  const top = 2 ** (bits - 1);
  const overflow = kind === "add" ? ~(a ^ b) & (a ^ r) & top : (a ^ b) & (a ^ r) & top;
  const ones = [...(r & 255).toString(2)].filter((digit) => digit === "1").length;
  return (
    ((kind === "add" ? a + b > mask : a < b) ? cf : 0) |
    (ones % 2 === 0 ? pf : 0) |
    ((a ^ b ^ r) & 16) |
    (r === 0 ? zf : 0) |
    ((r & top) !== 0 ? sf : 0) |
    (overflow !== 0 ? of : 0)
  );
}

const edges = [0, 1, 7, 8, 15, 16, 127, 128, 129, 255, 256, 0x7fff, 0x8000, 0x8001, 0xff7f, 0xffff];
const pairs = edges.flatMap((a) => edges.map((b) => [a, b] as const));

const operations = [
  { text: "cmp al, bl", kind: "sub", bits: 8 },
  { text: "add al, bl", kind: "add", bits: 8 },
  { text: "cmp ax, bx", kind: "sub", bits: 16 },
  { text: "add ax, bx", kind: "add", bits: 16 },
  // Another width on the way to the same load.
  { text: "cmp al, bl\n jo over\n over: cmp ax, bx", kind: "sub", bits: 16 },
  { text: "add eax, ebx\n sub eax, ebx\n cmp al, bl", kind: "sub", bits: 8 },
] as const;

for (const { text, kind, bits } of operations) {
  describe(text.replaceAll("\n", ";"), () => {
    for (const tier of tiers) {
      it(tier.name, () => {
        const mask = 2 ** bits - 1;
        flagsAtFault(tier, { text, pairs, size: 2 }).forEach(({ vector, eflags }, k) => {
          const [a, b] = pairs[k];
          const wanted = flagsOf(kind, bits, a & mask, b & mask);
          expect([vector, eflags & arithmeticFlags, a, b]).toEqual([14, wanted, a, b]);
        });
      });
    }
  });
}
