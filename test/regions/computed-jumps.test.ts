/**
 * Threaded code (each handler jumps through the table itself) against tier 0: places found in a table (optimisation `tables`), and state that handlers leave behind and the next one sets anew, which is in memory in
 * between (`homes`) and seen by who leaves there: a fault, the end of a slice, a jump to somewhere else.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { jumpTableOf } from "../../translator/region/jump-table.ts";
import { Random } from "../differential/random.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { Core, place, pte } from "../support/core.ts";

const bytes = 400;
/** Words that handlers work on: the second page is away at times. */
const words = 0x200000;
const next = "movzx eax, byte ptr [esi]\n inc esi\n mov eax, [table + eax * 4]\n jmp eax";
/** The same with the load that may fault first. */
const nextLoading = "mov ecx, [edi]\n movzx eax, byte ptr [esi]\n add esi, 1\n jmp [table + eax * 4]";

const handlers = {
  "plain flags": [
    `add edx, [edi]\n ${next}`,
    `lea edi, [edi + 8]\n mov ecx, edx\n add edx, ecx\n ${next}`,
    `mov ecx, [edi]\n xor ecx, ebx\n sub ebx, 3\n ${next}`,
    `rol ebx, 5\n inc ebx\n ${next}`,
    `mov [edi + 4], edx\n dec dword ptr [edi]\n ${next}`,
    `cmp edx, ebx\n ${nextLoading}`,
    // Reaches a handler as computed jumps do, with flags in locals.
    "xor edx, 1\n jmp op0",
  ],
  "flags of bytes, of rotations, a loop and a call in handlers": [
    `add dl, [edi]\n ${next}`,
    `lea edi, [edi + 8]\n cmp dl, bl\n ${next}`,
    `mov ecx, 3\n inner: add edx, ecx\n dec ecx\n jnz inner\n ${next}`,
    `rol ebx, 5\n ${nextLoading}`,
    `mov [edi + 4], dx\n sub bh, [edi]\n ${next}`,
    `call function\n ${next}`,
    `pushfd\n pop ecx\n add ebx, ecx\n ${next}`,
    "jmp behind",
  ],
} as const;

function programOf(list: readonly string[], aligned: boolean): Program {
  return assemble(`
    ${next}
    .balign 64
    ${list.map((text, k) => `${aligned ? ".balign 16\n" : ""}op${k}: ${text}`).join("\n")}
    ${aligned ? ".balign 16" : ""}
  behind:
    xor edx, [edi + 4]
    ${next}
  function:
    add edx, [edi]
    ret
  end:
    int3
    .balign 4
  table:
    .long ${[...list.map((_, k) => `op${k}`), "end"].join(", ")}`);
}

interface End {
  readonly vector: number;
  readonly state: object;
}

/** Runs both in step: where the one is stopped, the other goes on until it is there, if it stops there at all. */
function run(hot: Core, cold: Core, program: Program, operations: number, seed: number): { found: End; expected: End; compared: number } {
  const steps = new Random(seed).pick([40, 333, 100_000]);
  for (const core of [hot, cold]) prepare(core, program, operations, seed);
  let compared = 0;
  let reached = cold.run(1);
  for (;;) {
    const found = hot.run(steps);
    if (found.kind !== "limit") {
      while (reached.kind === "limit") reached = cold.run(100_000);
      return { found: endOf(hot, found), expected: endOf(cold, reached), compared };
    }
    const isThere = (): boolean => reached.eip === found.eip && [slot.esi, slot.ecx].every((n) => hot.R[n] === cold.R[n]);
    while (reached.kind === "limit" && !isThere() && cold.R[slot.esi] <= hot.R[slot.esi]) reached = cold.run(1);
    if (!isThere()) continue;
    expect(endOf(hot, found)).toEqual(endOf(cold, reached));
    compared++;
  }
}

function endOf({ R }: Core, stop: { readonly vector: number }): End {
  return { vector: stop.vector, state: { ...stop, registers: [...R.slice(0, 8)] } };
}

function prepare(core: Core, program: Program, operations: number, seed: number): void {
  const random = new Random(seed);
  core.reset();
  core.protectedMode(0);
  core.map(words, 0x40000, pte.present | pte.writable);
  core.map(words + 0x1000, 0x41000, random.below(2) === 0 ? 0 : pte.present | pte.writable);
  core.flush();
  for (let at = 0x40000; at < 0x42000; at += 4) core.physical.write4(at, random.next());
  const code = Array.from({ length: bytes }, () => random.below(operations));
  core.load(program);
  [...code, operations].forEach((byte, k) => {
    core.physical.write1(place.data + k, byte);
  });
  const { R } = core;
  R[slot.eip] = place.code;
  R[slot.esi] = place.data;
  R[slot.edi] = words + 0x1000 - 8 * random.below(60);
}

describe.each(Object.entries(handlers))("threaded code: %s", (_, list) => {
  it.each([true, false])("the same as by tier 0, handlers aligned: %s", (aligned) => {
    const program = programOf(list, aligned);
    const texts: string[] = [];
    const hot = new Core({ hot: true });
    hot.dispatcher.regions.made = ({ code }) => void texts.push(code.text);
    const cold = new Core({ slice: 1 });
    const vectors = new Set<number>();
    let stopsCompared = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const { found, expected, compared } = run(hot, cold, program, list.length, seed);
      expect(found, `seed ${seed}`).toEqual(expected);
      expect(hot.bytes(0x40000, 0x2000)).toEqual(cold.bytes(0x40000, 0x2000));
      vectors.add(found.vector);
      stopsCompared += compared;
    }
    expect([...vectors].sort()).toEqual([14, 3]);
    expect(stopsCompared).toBeGreaterThan(50);
    expect(texts.some((text) => text.includes("switch ("))).toBe(true);
    // What was left behind is stored in front of the selector, and loaded by who leaves.
    expect(texts.some((text) => /R\[0\] = eax;\n[^}]*if \(n < 0\)/.test(text) && text.includes(", eax = R[0]"))).toBe(true);
  });
});

describe("tables of places", () => {
  it("go by what places have in common below", () => {
    expect(jumpTableOf([0x830, 0x8e0, 0x930])).toEqual({ first: 0x830, shift: 4 });
    expect(jumpTableOf([7, 9, 11, 19])).toEqual({ first: 7, shift: 1 });
    expect(jumpTableOf([-6, 9])).toEqual({ first: -6, shift: 0 });
  });
  it("are not made of places far from each other", () => {
    expect(jumpTableOf([0, 1, 200])).toBeUndefined();
  });
});
