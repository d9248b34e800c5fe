/** CLI, STI, PUSHF and POPF in line (translator/javascript/shortcuts.ts): what changes, what each ring may change (SDM vol. 2 under each), and when they are left to the callouts. */
import { describe, expect, it } from "vitest";
import { eflag, slot } from "../../translator/contract/slots.ts";
import { scenario } from "../self-modifying/scenario.ts";
import { assemble } from "../support/assembler.ts";
import { tiers } from "../support/core.ts";

const arithmetic = 0x8d5;
const settable16 = arithmetic | eflag.df | eflag.nt;
const settable32 = settable16 | eflag.ac | eflag.id;

/** Every bit but TF, alone and with all others; twice each, so that nothing changes then. */
const images = Array.from({ length: 22 }, (_, k) => 1 << k)
  .filter((bit) => bit !== eflag.tf)
  .flatMap((bit) => [bit, bit, ~bit & ~eflag.tf & 0x3fffff, ~bit & ~eflag.tf & 0x3fffff]);

/** What PUSHF shows after POPF of each image, added up with a rotation. */
function sum(operand: 2 | 4, ring: number, iopl: number): number {
  let flags = (iopl << 12) | 2;
  let result = 0;
  for (const image of images) {
    const current: number = (flags >> 12) & 3;
    const mask = (operand === 4 ? settable32 : settable16) | (ring <= current ? eflag.if : 0) | (ring === 0 ? eflag.iopl : 0);
    flags = (flags & ~mask) | (image & mask) | 2;
    result = (((result << 1) | (result >>> 31)) + flags) | 0;
  }
  return result >>> 0;
}

/** All images, over and over: EAX is the last round's sum, and EBX ends as 0 if all rounds had the same. */
const source = (pop: string): string => `
    mov edi, 400
    xor ebx, ebx
  round:
    push dword ptr [ebp]
    popfd
    xor eax, eax
    xor ecx, ecx
  next:
    push dword ptr [esi + 4 * ecx]
    ${pop}
    pushfd
    pop edx
    rol eax, 1
    add eax, edx
    inc ecx
    cmp ecx, ${images.length}
    jb next
    cmp edi, 400
    je first
    mov edx, eax
    xor edx, [ebp + 4]
    or ebx, edx
  first:
    mov [ebp + 4], eax
    cld
    dec edi
    jnz round
    int3`;

describe.each(tiers)("$name", (tier) => {
  const cases = [0, 1, 3].flatMap((iopl) => ([2, 4] as const).map((operand) => ({ iopl, operand })));
  it.each(cases)("POPF with $operand bytes, IOPL $iopl", ({ iopl, operand }) => {
    const { ring } = tier;
    const program = assemble(source(operand === 4 ? "popfd" : "popfw\nlea esp, [esp + 2]"));
    const core = tier.core().protectedMode(ring).load(program);
    const table = 0x20000;
    const start = 0x21000;
    images.forEach((image, k) => {
      core.physical.write4(table + 4 * k, image);
    });
    core.physical.write4(start, (iopl << 12) | 2);
    core.eflags = (iopl << 12) | 2;
    core.R[slot.esi] = table;
    core.R[slot.ebp] = start;
    const stop = core.run(600_000);
    expect({ vector: stop.vector, eax: core.R[slot.eax] >>> 0, ebx: core.R[slot.ebx] }).toEqual({ vector: 3, eax: sum(operand, ring, iopl), ebx: 0 });
  });

  it.each(["cli", "sti"])("%s at ring 3: in line while IOPL is 3, #GP behind it when it is 0", (instruction) => {
    const program = assemble(`
      mov ecx, 3000
    next:
      xor ebx, ecx
    here:
      ${instruction}
      dec ecx
      jnz next
      int3`);
    const core = tier.core().protectedMode(3).load(program);
    for (const iopl of [3, 3, 0]) {
      core.protectedMode(3);
      core.R[slot.eip] = program.origin;
      core.eflags = (iopl << 12) | 2;
      const stop = core.run(40_000);
      const expected = iopl === 3 ? { vector: 3, ecx: 0 } : { vector: 13, ecx: 3000, eip: program.labels.here };
      expect({ vector: stop.vector, ecx: core.R[slot.ecx], ...(iopl === 3 ? {} : { eip: stop.eip }) }).toEqual(expected);
      if (iopl === 3) expect(stop.eflags & eflag.if).toBe(instruction === "sti" ? eflag.if : 0);
    }
  });
});

// They leave the x87 registers where the region has them.
scenario("PUSHF, POPF, CLI and STI among x87 instructions", {
  ring: 0,
  source: `
    mov ecx, 300
    xor eax, eax
    fninit
  next:
    fld1
    pushfd
    fld1
    faddp st(1), st
    popfd
    fld1
    cli
    fstp st(1)
    sti
    fist dword ptr [esp - 8]
    add eax, [esp - 8]
    cli
    fstp st
    dec ecx
    jnz next
    fstsw word ptr [esp - 8]
    movzx ecx, word ptr [esp - 8]
    int3`,
  expected: { eax: 300, ecx: 0 },
});
