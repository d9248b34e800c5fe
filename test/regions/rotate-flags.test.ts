/**
 * Flags of rotations as a fault behind them shows them: CF, OF (where it is defined: for a count of 1) and what they leave of the operation before them. Regions keep the word that CF and OF are bits of,
 * and compute them where they are seen. What is expected follows from SDM vol. 2, RCL/RCR/ROL/ROR.
 */
import { describe, expect, it } from "vitest";
import { tiers } from "../support/core.ts";
import { flagsAtFault } from "../support/flags-at-fault.ts";

const [cf, pf, af, zf, sf, of] = [1, 4, 16, 64, 128, 2048];

const words = [0, 1, 2, 3, 0x40, 0x80, 0x7fffffff, 0x80000000, 0x80000001, 0xc0000000, 0x40000000, 0xffffffff, 0x12345678, 0xfffffff0, 0x0000000f];
const pairs = words.flatMap((a) => [0, 1, 0x0f, 0xf0000001, 0x7fffffff].map((b) => [a, b] as const));

/** After a + b: ZF, SF, PF and AF stay as that leaves them. */
function afterSum(a: number, b: number): number {
  const r = (a + b) >>> 0;
  const ones = [...(r & 255).toString(2)].filter((digit) => digit === "1").length;
  return (ones % 2 === 0 ? pf : 0) | ((a ^ b ^ r) & af) | (r === 0 ? zf : 0) | (r >>> 31 !== 0 ? sf : 0);
}
const rol = (x: number, n: number): number => ((x << n) | (x >>> ((32 - n) & 31))) >>> 0;
const ror = (x: number, n: number): number => rol(x, (32 - n) & 31);
const top = (x: number): number => x >>> 31;

/** CF, and OF for a rotation by one. */
function rotation(kind: "rol" | "ror", x: number, n: number): number {
  const r = kind === "rol" ? rol(x, n) : ror(x, n);
  const carry = kind === "rol" ? r & 1 : top(r);
  const overflow = kind === "rol" ? top(r) ^ carry : top(r) ^ ((r >>> 30) & 1);
  return (carry !== 0 ? cf : 0) | (n === 1 && overflow !== 0 ? of : 0);
}

const operations: readonly { text: string; seen: number; flags: (a: number, b: number) => number }[] = [
  ...(["rol", "ror"] as const).flatMap((kind) =>
    [1, 7, 31].map((n) => ({
      text: `add eax, ebx\n ${kind} eax, ${n}`,
      seen: n === 1 ? -1 : ~of,
      flags: (a: number, b: number) => afterSum(a, b) | rotation(kind, (a + b) >>> 0, n),
    })),
  ),
  // AF comes from before them all.
  {
    text: "add eax, ebx\n ror eax, 5\n mov ecx, [edi]\n rol eax, 3\n ror eax, 1",
    seen: -1,
    flags: (a, b) => afterSum(a, b) | rotation("ror", rol(ror((a + b) >>> 0, 5), 3), 1),
  },
  // A fault before the next operation sees the rotation, one behind it does not.
  { text: "ror eax, 9\n mov ecx, [edi]\n add eax, ebx\n rol ebx, 1", seen: -1, flags: (a, b) => afterSum(ror(a, 9), b) | rotation("rol", b, 1) },
  // On two ways to the same place.
  {
    text: "add eax, ebx\n jc over\n rol eax, 1\n jmp there\n over: ror eax, 1\n there: mov ebx, ecx",
    seen: -1,
    flags: (a, b) => afterSum(a, b) | rotation(a + b > 0xffffffff ? "ror" : "rol", (a + b) >>> 0, 1),
  },
  // By a count that is not known: 0 changes nothing.
  {
    text: "mov ecx, ebx\n add eax, ebx\n ror eax, cl\n mov cl, 0\n rol eax, cl",
    seen: ~(of | cf),
    flags: (a, b) => afterSum(a, b),
  },
];

for (const { text, seen, flags } of operations) {
  describe(text.replaceAll("\n", ";"), () => {
    for (const tier of tiers) {
      it(tier.name, () => {
        const mask = (cf | pf | af | zf | sf | of) & seen;
        flagsAtFault(tier, { text, pairs, size: 4 }).forEach(({ vector, eflags }, k) => {
          const [a, b] = pairs[k];
          expect([vector, eflags & mask, a, b]).toEqual([14, flags(a, b) & mask, a, b]);
        });
      });
    }
  });
}
