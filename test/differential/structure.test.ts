/**
 * Control flow of every shape that regions have to make structured code of. The results are what the loops' own arithmetic says, or else what tier 0 says; on the
 * hot tiers regions must really have been made.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { assemble } from "../support/assembler.ts";
import { Core, differences, tiers } from "../support/core.ts";

const cases: readonly { name: string; source: string; origin?: number; eax?: number }[] = [
  { name: "a loop", source: "xor eax, eax\nmov ecx, 500\na: add eax, ecx\ndec ecx\njnz a\nint3", eax: (500 * 501) / 2 },
  {
    name: "three nested loops",
    source: "xor eax, eax\nmov ebx, 9\na: mov ecx, 8\nb: mov edx, 7\nc: inc eax\ndec edx\njnz c\ndec ecx\njnz b\ndec ebx\njnz a\nint3",
    eax: 9 * 8 * 7,
  },
  {
    name: "an inner loop left to the outer one's head, and out of both",
    source:
      "xor eax, eax\nmov ebx, 50\na: dec ebx\njz out\nmov ecx, 9\nb: inc eax\ntest eax, 3\njz a\ncmp eax, 400\nja out\ndec ecx\njnz b\njmp a\nout: int3",
  },
  {
    name: "several back edges to one head",
    source:
      "xor eax, eax\nmov ecx, 300\na: dec ecx\njz out\ninc eax\ntest ecx, 1\njz a\nadd eax, 2\ntest ecx, 2\njnz a\nsub eax, 1\njmp a\nout: int3",
  },
  {
    name: "an irreducible loop: two entries",
    source: "xor eax, eax\nmov ecx, 200\ntest ecx, 1\njnz b\na: add eax, 3\ndec ecx\njz out\nb: add eax, 5\ndec ecx\njnz a\nout: int3",
    eax: 200 * 4,
  },
  {
    name: "an irreducible loop entered at both places in turn",
    source: "xor eax, eax\nmov ebx, 30\nouter: mov ecx, 5\ntest ebx, 1\njnz b\na: inc eax\nb: add eax, 7\ndec ecx\njnz a\ndec ebx\njnz outer\nint3",
    eax: 15 * (5 * 8) + 15 * (5 * 8 - 1),
  },
  {
    name: "a loop in the middle of which another begins",
    source: "xor eax, eax\nmov ecx, 60\na: inc eax\nb: add eax, 2\ndec ecx\njz out\ntest ecx, 3\njz a\ntest ecx, 4\njnz b\njmp a\nout: int3",
  },
  {
    name: "a chain of diamonds, flags carried across",
    source:
      "xor eax, eax\nmov ecx, 256\na: test cl, 1\njz b\nadd eax, 0x7fffffff\njmp c\nb: sub eax, 5\nc: adc eax, 0\nseto dl\ntest cl, 2\njz d\nrcl eax, 1\nd: sbb ebx, ebx\ncmovb esi, eax\ntest cl, 4\njnz e\nxor eax, ebx\ne: adc eax, edx\nloop a\nint3",
  },
  {
    name: "a switch by compares",
    source:
      "xor eax, eax\nmov ecx, 400\na: mov edx, ecx\nand edx, 7\ncmp edx, 3\njb low\nje three\ncmp edx, 5\njae high\nadd eax, 40\njmp next\nlow: inc eax\njmp next\nthree: add eax, 300\njmp next\nhigh: add eax, 5000\nnext: dec ecx\njnz a\nint3",
    eax: 50 * (3 * 1 + 300 + 40 + 3 * 5000),
  },
  {
    name: "calls and returns on the page",
    source: "xor eax, eax\nmov ecx, 200\na: call f\ncall g\ndec ecx\njnz a\nint3\nf: add eax, 2\nret\ng: call f\nadd eax, 3\nret 0",
    eax: 200 * 7,
  },
  {
    name: "recursion",
    source:
      "mov eax, 15\ncall fib\nint3\nfib: cmp eax, 2\njb done\npush eax\ndec eax\ncall fib\nxchg eax, [esp]\nsub eax, 2\ncall fib\npop edx\nadd eax, edx\ndone: ret",
    eax: 610,
  },
  {
    name: "a tail of jumps to jumps",
    source: "xor eax, eax\nmov ecx, 100\na: jmp b\nc: jmp d\nb: inc eax\njmp c\nd: dec ecx\njnz a\nint3",
    eax: 100,
  },
  {
    name: "LOOP, LOOPE, JECXZ",
    source:
      "xor eax, eax\nmov ebx, 30\na: mov ecx, 9\nb: inc eax\nloop b\nmov ecx, 5\nc: inc eax\ncmp eax, eax\nloope c\njecxz d\nint3\nd: dec ebx\njnz a\nint3",
    eax: 30 * 14,
  },
  {
    name: "the same bytes decoded from two starts",
    // EB FF C0 40: from `a` JMP to its own second byte, which begins INC EAX (FF C0).
    source: "xor eax, eax\nmov ecx, 100\na: .byte 0xeb, 0xff, 0xc0\nb: inc eax\ndec ecx\njnz a\nint3",
    eax: 200,
  },
  {
    name: "a block of 600 instructions in a loop",
    source: "xor eax, eax\nmov ecx, 20\na:\n.rept 300\nadd eax, ecx\nxor edx, eax\n.endr\ndec ecx\njnz b\nint3\nb: jmp a",
    eax: 300 * 210,
  },
  {
    name: "a loop across a page edge",
    source: "xor eax, eax\nmov ecx, 300\na: add eax, ecx\nlea edx, [eax + 4]\nxor edx, ecx\ndec ecx\njnz a\nint3",
    origin: 0x10ff6,
    eax: (300 * 301) / 2,
  },
  {
    name: "two pages calling each other",
    source: "xor eax, eax\nmov ecx, 150\na: call f\ndec ecx\njnz a\nint3\ng: add eax, 2\nret\n.balign 4096, 0xcc\nf: inc eax\ncall g\nret",
    eax: 450,
  },
  {
    name: "REP strings in a loop",
    source:
      "cld\nxor ebx, ebx\nmov ebp, 40\na: mov edi, 0x20000\nmov eax, ebp\nmov ecx, 50\nrep stosd\nmov esi, 0x20000\nmov edi, 0x20100\nmov ecx, 30\nrep movsw\nmov esi, 0x20000\nmov edi, 0x20100\nmov ecx, 99\nrepe cmpsb\nadd ebx, ecx\nmov edi, 0x20000\nxor eax, eax\nmov ecx, 999\nrepne scasb\nadd ebx, ecx\nmov esi, 0x20000\nmov ecx, 4\nrep lodsd\nadd ebx, eax\ndec ebp\njnz a\nmov eax, ebx\nint3",
  },
  {
    name: "an address register changes between a read-modify-write and a store",
    // The pages are mapped by different distances: see mapApart.
    source:
      "mov esi, 60\nmov edx, 0x22000\na: mov ebx, 0x21000\nxor ebp, ebp\njmp b\nb: add [ebx], esi\nmov ebx, edx\nmov [ebx], esi\nadd [edx], esi\nmov edx, 0x21004\nmov [edx], esi\nmov edx, 0x22000\ndec esi\njnz a\nmov eax, [0x21000]\nadd eax, [0x22000]\nint3",
    eax: 1830 + 2,
  },
  {
    name: "a callout changes the address register between two accesses",
    source:
      "mov esi, 60\na: mov eax, 0x46000\nxor edx, edx\nmov ebx, 2\njmp b\nb: add [eax], esi\ndiv ebx\nmov [eax], esi\nadd [eax + 4], esi\ndec esi\njnz a\nmov eax, [0x23000]\nadd eax, [0x23004]\nadd eax, [0x46000]\nint3",
    eax: 1 + 1830 + 1830,
  },
];

/** Data pages at other places than their addresses say, each by another distance, and empty. */
function mapApart(core: Core): void {
  const at: Record<number, number> = { 0x21000: 0x24000, 0x22000: 0x29000, 0x23000: 0x21000, 0x46000: 0x2a000 };
  for (const [linear, physical] of Object.entries(at)) core.map(Number(linear), physical, 7);
  core.physical.u8.fill(0, 0x20000, 0x2b000);
  core.flush();
}

describe.each(tiers)("$name", (tier) => {
  it.each(cases)("$name", ({ source, origin, eax }) => {
    const program = assemble(source, origin);
    const prepare = (core: Core): Core => {
      core.protectedMode(tier.ring);
      mapApart(core);
      core.R[slot.eip] = program.origin;
      return core;
    };
    const cold = prepare(tiers[0].core().load(program));
    cold.run(60_000);
    const reference = cold.state();
    for (const core of [tier.core(), variants[tier.name]?.()]) {
      if (core === undefined) continue;
      prepare(core.load(program));
      expect(core.run(60_000).vector).toBe(3);
      if (eax !== undefined) expect(core.reg("eax")).toBe(eax);
      expect(differences(reference, core.state())).toBe("");
      // Again, all of it on regions now.
      prepare(core);
      if (core.hot) core.promote();
      expect(core.run(60_000).vector).toBe(3);
      expect(differences(reference, core.state())).toBe("");
      if (core.hot) expect(core.dispatcher.regions.translated).toBeGreaterThan(0);
    }
  });
});

const small = new Core({ hot: true, step: 60, translator: new JavaScriptTranslator({ regionLimit: 7 }) });
const unforwarded = new Core({ hot: true, step: 60, translator: new JavaScriptTranslator({ disabledPasses: new Set(["forward"]) }) });
/** Along with some tiers: regions of seven instructions at most, so that structures are cut anywhere; and every register read where it stands. */
const variants: Readonly<Record<string, () => Core>> = {
  [tiers[3].name]: () => small.reset(),
  [tiers[4].name]: () => unforwarded.reset(),
};
