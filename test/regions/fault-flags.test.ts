/**
 * Flags that nothing but a fault sees, of a load or a store: regions compute those that take operations of their own in the slow path. Tier 0, which computes all flags where they stand and is
 * held to hardware vectors, says what they are.
 */
import { describe, expect, it } from "vitest";
import { arithmeticFlags } from "../../translator/contract/slots.ts";
import { tiers } from "../support/core.ts";
import { flagsAtFault } from "../support/flags-at-fault.ts";

const edges = [0, 1, 3, 31, 32, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const pairs = edges.flatMap((a) => edges.map((b) => [a, b] as const));

const texts = [
  "shl eax, 3",
  "shr eax, 1\n shl ebx, 2",
  "mov ecx, ebx\n shl eax, cl",
  "mov ecx, ebx\n add eax, ebx\n shl eax, cl\n sar eax, cl",
  "mov ecx, ebx\n shrd eax, ebx, cl",
  "imul eax, ebx",
  "mov ecx, edx\n mul ebx\n mov edx, ecx",
  "cmp al, bl",
  "add al, bl\n inc eax",
  "add eax, ebx\n adc eax, ebx\n rol eax, 7",
  "add eax, ebx\n adc al, bl\n dec eax",
  "stc\n dec eax\n inc ebx",
  "neg eax\n sbb ebx, ebx",
  "bt eax, 5",
  "add eax, ebx\n rol eax, 7",
  // Seen by SETC as well as by the fault.
  "shl eax, 1\n setc bl",
  // A way out of the region behind FCOMI, whose stack is empty, sees its flags.
  "fninit\n add eax, ebx\n fcomi st, st(1)",
];

for (const access of ["mov ecx, [edx]", "mov [edx], ecx", "add [edx], ecx"] as const) {
  describe(access, () => {
    it.each(texts)("%s", (text) => {
      const [cold, ...others] = tiers.map((tier) =>
        flagsAtFault(tier, { text, pairs, size: 4, access }).map(({ vector, eflags }) => [vector, eflags & arithmeticFlags]),
      );
      expect(cold.every(([vector]) => vector === 14)).toBe(true);
      for (const other of others) expect(other).toEqual(cold);
    });
  });
}
