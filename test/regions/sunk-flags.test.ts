/**
 * Flags of loops that set them anew in each round before anything sees them: regions compute them where the loop is left, by its end or because time is up. What is expected follows from the
 * definitions (SDM vol. 1, 3.4.3.1; INC and DEC leave CF as it is).
 */
import { describe, expect, it } from "vitest";
import { arithmeticFlags, eflag, slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, tiers } from "../support/core.ts";
import { flagsAtFault } from "../support/flags-at-fault.ts";

const { cf, pf, af, zf, sf, of } = eflag;

const parity = (r: number): number => ([...(r & 255).toString(2)].filter((digit) => digit === "1").length % 2 === 0 ? pf : 0);
/** Of what came to r by counting down by one, but for CF. */
const counted = (r: number): number => parity(r) | (r === 0 ? zf : 0) | (r < 0 ? sf : 0) | ((r & 15) === 15 ? af : 0) | (r === 0x7fffffff ? of : 0);

const edges = [0, 1, 0x55555555, 0x55555556, 0x7fffffff, 0x80000000, 0xaaaaaaaa, 0xaaaaaaab, 0xffffffff];
const pairs = edges.flatMap((a) => edges.map((b) => [a, b] as const));

describe("left at its end", () => {
  for (const [name, loop, flags] of [
    ["ADD, DEC", "add eax, ebx\n dec ecx\n jnz inner", (a: number, b: number) => (((a + 2 * b) % 2 ** 32) + b >= 2 ** 32 ? cf : 0) | counted(0)],
    ["ADD, CMP", "add eax, ebx\n lea ecx, [ecx - 1]\n cmp ecx, 0\n jne inner", () => counted(0)],
    [
      "ADD, DEC, the other way",
      "add eax, ebx\n dec ecx\n jz out\n jmp inner\n out:",
      (a: number, b: number) => (((a + 2 * b) % 2 ** 32) + b >= 2 ** 32 ? cf : 0) | counted(0),
    ],
  ] as const) {
    for (const tier of tiers) {
      it(`${name}, ${tier.name}`, () => {
        flagsAtFault(tier, { text: `mov ecx, 3\n inner: ${loop}`, pairs, size: 4 }).forEach(({ vector, eflags }, k) => {
          const [a, b] = pairs[k];
          expect([vector, eflags & arithmeticFlags, a, b]).toEqual([14, flags(a, b), a, b]);
        });
      });
    }
  }
});

describe("left because time is up", () => {
  for (const tier of tiers) {
    it(tier.name, () => {
      const program = assemble("inner: add eax, ebx\n dec ecx\n jnz inner\n int3");
      const core: Core = tier.core().protectedMode(tier.ring).load(program);
      const { R } = core;
      R[slot.eip] = program.origin;
      R[slot.ebx] = 0x61c88647;
      R[slot.ecx] = 0x7fffffff + 400;
      let seen = 0;
      for (let n = 0; n < 300; n++) {
        const { kind, eip, eflags } = core.run(20 + (n % 7));
        expect(kind).toBe("limit");
        if (eip !== program.labels["inner"]) continue;
        const carries = R[slot.eax] >>> 0 < R[slot.ebx] >>> 0 ? cf : 0;
        expect([n, eflags & arithmeticFlags]).toEqual([n, carries | counted(R[slot.ecx])]);
        seen++;
      }
      expect(seen).toBeGreaterThan(100);
    });
  }
});
