/**
 * ADD and SUB with ADC and SBB behind them, and what looks at their flags: regions compare where they can, and compute carries where they are seen. What is expected follows from the definitions of the
 * flags (SDM vol. 1, 3.4.3.1), by integers of any length.
 */
import { describe, expect, it } from "vitest";
import { arithmeticFlags, eflag } from "../../translator/contract/slots.ts";
import { tiers } from "../support/core.ts";
import { flagsAtFault } from "../support/flags-at-fault.ts";

const { cf, pf, af, zf, sf, of } = eflag;

interface Result {
  readonly value: number;
  readonly flags: number;
}

/** a + b + carry, or a - b - carry. */
function arithmetic(kind: "add" | "sub", a: number, b: number, carry: number): Result {
  const sign = kind === "add" ? 1n : -1n;
  const exact = (x: bigint, y: bigint): bigint => x + sign * (y + BigInt(carry));
  const unsigned = exact(BigInt(a >>> 0), BigInt(b >>> 0));
  const signed = exact(BigInt(a | 0), BigInt(b | 0));
  const low = exact(BigInt(a & 15), BigInt(b & 15));
  const value = Number(BigInt.asIntN(32, unsigned));
  const ones = [...(value & 255).toString(2)].filter((digit) => digit === "1").length;
  const flags =
    (unsigned < 0n || unsigned > 0xffffffffn ? cf : 0) |
    (signed !== BigInt(value) ? of : 0) |
    (low < 0n || low > 15n ? af : 0) |
    (ones % 2 === 0 ? pf : 0) |
    (value === 0 ? zf : 0) |
    (value < 0 ? sf : 0);
  return { value, flags };
}
const add = (a: number, b: number, before?: Result): Result => arithmetic("add", a, b, before ? before.flags & cf : 0);
const sub = (a: number, b: number, before?: Result): Result => arithmetic("sub", a, b, before ? before.flags & cf : 0);

/** INC and DEC: CF as it was. */
const step = (kind: "inc" | "dec", a: number, before: Result): Result => {
  const { value, flags } = (kind === "inc" ? add : sub)(a, 1);
  return { value, flags: (flags & ~cf) | (before.flags & cf) };
};

const conditions: Record<string, (flags: number) => boolean> = {
  b: (f) => (f & cf) !== 0,
  ae: (f) => (f & cf) === 0,
  be: (f) => (f & (cf | zf)) !== 0,
  l: (f) => ((f & sf) !== 0) !== ((f & of) !== 0),
  ge: (f) => ((f & sf) !== 0) === ((f & of) !== 0),
  le: (f) => (f & zf) !== 0 || conditions.l(f),
  o: (f) => (f & of) !== 0,
  s: (f) => (f & sf) !== 0,
};

const edges = [0, 1, 2, 15, 16, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff];
const pairs = edges.flatMap((a) => edges.map((b) => [a, b] as const));

function check(text: string, wanted: (a: number, b: number) => number): void {
  describe(text.replaceAll("\n", ";"), () => {
    for (const tier of tiers) {
      it(tier.name, () => {
        flagsAtFault(tier, { text, pairs, size: 4 }).forEach(({ vector, eflags }, k) => {
          const [a, b] = pairs[k];
          expect([vector, eflags & arithmeticFlags, a, b]).toEqual([14, wanted(a, b), a, b]);
        });
      });
    }
  });
}

const chains: Record<string, (a: number, b: number) => Result> = {
  "add eax, ebx\n adc ebx, eax": (a, b) => {
    const low = add(a, b);
    return add(b, low.value, low);
  },
  "add eax, 1\n adc ebx, 0": (a, b) => add(b, 0, add(a, 1)),
  "add eax, ebx\n adc ebx, eax\n adc ebx, 7": (a, b) => {
    const low = add(a, b);
    const middle = add(b, low.value, low);
    return add(middle.value, 7, middle);
  },
  "cmp eax, ebx\n sbb ebx, eax": (a, b) => sub(b, a, sub(a, b)),
  "sub eax, 0x12345678\n sbb ebx, 0": (a, b) => sub(b, 0, sub(a, 0x12345678)),
  "sub eax, ebx\n sbb ebx, 1\n sbb eax, ebx": (a, b) => {
    const low = sub(a, b);
    const middle = sub(b, 1, low);
    return sub(low.value, middle.value, middle);
  },
  "cmp eax, ebx\n sbb eax, eax": (a, b) => sub(a, a, sub(a, b)),
  "add eax, ebx\n sbb ebx, eax": (a, b) => {
    const low = add(a, b);
    return sub(b, low.value, low);
  },
  "cmp eax, ebx\n adc ebx, eax": (a, b) => add(b, a, sub(a, b)),
  "stc\n adc eax, ebx": (a, b) => arithmetic("add", a, b, 1),
  "stc\n sbb eax, ebx": (a, b) => arithmetic("sub", a, b, 1),
  // Through another block.
  "add eax, ebx\n jo over\n over: adc ebx, eax": (a, b) => {
    const low = add(a, b);
    return add(b, low.value, low);
  },
  // What keeps some of the flags that ADC left in another block: INC all but CF, a rotation all but CF and OF.
  "add eax, ebx\n adc ebx, eax\n jo over\n over: inc eax": (a, b) => {
    const low = add(a, b);
    return step("inc", low.value, add(b, low.value, low));
  },
  "add eax, ebx\n adc ebx, eax\n jo over\n over: rol al, 1": (a, b) => {
    const low = add(a, b);
    const top = (low.value >>> 7) & 1;
    const turned = { cf: top, of: top ^ ((low.value >>> 6) & 1) };
    return { value: low.value, flags: (add(b, low.value, low).flags & ~(cf | of)) | (turned.cf ? cf : 0) | (turned.of ? of : 0) };
  },
};

// INC and DEC behind what they leave CF of, one behind the other, and in front of what takes CF up again.
Object.assign(chains, {
  "cmp eax, ebx\n inc eax": (a, b) => step("inc", a, sub(a, b)),
  "cmp eax, ebx\n dec eax": (a, b) => step("dec", a, sub(a, b)),
  "add eax, ebx\n dec ebx\n inc eax": (a, b) => step("inc", add(a, b).value, add(a, b)),
  "add eax, ebx\n jo over\n over: dec ebx\n jo more\n more: dec eax": (a, b) => step("dec", add(a, b).value, add(a, b)),
  "add al, bl\n setc al\n movzx eax, al\n neg eax\n inc ebx": (a, b) => {
    const carry = (a & 255) + (b & 255) > 255 ? 1 : 0;
    return step("inc", b, sub(0, carry));
  },
  "cmp eax, ebx\n inc eax\n adc ebx, eax": (a, b) => add(b, (a + 1) | 0, sub(a, b)),
  "cmp eax, ebx\n inc eax\n jo over\n over: sbb ebx, eax": (a, b) => sub(b, (a + 1) | 0, sub(a, b)),
  // Loops that count by them; the last round's carry goes around.
  "mov ecx, 5\n add eax, ebx\n round: mov edx, edx\n dec ecx\n jnz round\n inc eax": (a, b) => step("inc", add(a, b).value, add(a, b)),
  "mov ecx, 3\n clc\n round: adc eax, ebx\n inc ecx\n cmp ecx, 7\n cmc\n jnz round": (a, b) => {
    // CMP with a smaller number borrows, with the same one does not; CMC turns that over.
    const first = add(a, b);
    const middle = [0, 1].reduce((value) => add(value, b).value, first.value);
    return { value: add(middle, b).value, flags: sub(7, 7).flags | cf };
  },
  "mov ecx, 4\n clc\n round: adc eax, ebx\n dec ecx\n jnz round\n inc ebx": (a, b) => {
    let sum = add(a, b);
    for (let k = 0; k < 3; k++) sum = add(sum.value, b, sum);
    return step("inc", b, sum);
  },
  // Where there are rotations, too.
  "add eax, ebx\n rol eax, 1\n inc ebx": (a, b) => step("inc", b, { value: 0, flags: add(a, b).value < 0 ? cf : 0 }),
} satisfies typeof chains);

for (const [text, result] of Object.entries(chains)) {
  check(text, (a, b) => result(a, b).flags);
  for (const [name, holds] of Object.entries(conditions)) {
    // CF tells which way it went.
    check(`${text}\n j${name} yes\n sub eax, eax\n jmp done\n yes: or eax, -1\n add eax, eax\n done:`, (a, b) =>
      holds(result(a, b).flags) ? add(-1, -1).flags : sub(0, 0).flags,
    );
  }
}

for (const [name, holds] of Object.entries(conditions)) {
  check(`cmp eax, ebx\n cmov${name} eax, ebx\n cmp eax, 3`, (a, b) => sub(holds(sub(a, b).flags) ? b : a, 3).flags);
  check(`cmp eax, ebx\n sbb ebx, eax\n set${name} al\n movzx eax, al\n cmp eax, 1`, (a, b) => {
    const { flags } = sub(b, a, sub(a, b));
    return sub(holds(flags) ? 1 : 0, 1).flags;
  });
}
