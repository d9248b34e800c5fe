/**
 * The trap flag: #DB after every instruction that began with TF set (SDM vol. 3, 17.3.1.4), with EIP at the next one; after every iteration of a repeated string
 * instruction; not after MOV SS or POP SS, not after an instruction that faulted, nor after INT n, which clears TF.
 */
import { describe, expect, it } from "vitest";
import { eflag, slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, selector, type Tier, tiers } from "../support/core.ts";

interface Case {
  readonly name: string;
  readonly source: string;
  /** Labels that #DB is reported at, in order, until INT3. */
  readonly traps: string;
  readonly ring?: 0;
  /** TF is not set by the harness but by the program. */
  readonly byProgram?: true;
}

const cases: readonly Case[] = [
  { name: "plain instructions", source: "inc eax\na: inc eax\nb: lea ecx, [ecx + 1]\nc: int3", traps: "a b c" },
  { name: "branches, taken and not", source: "test eax, eax\na: jz c\nb: nop\nc: jnz b\nd: jmp f\ne: nop\nf: int3", traps: "a c d f" },
  { name: "calls and returns", source: "call f\na: inc edx\nb: int3\nf: inc eax\ng: ret", traps: "f g a b" },
  { name: "indirect", source: "mov eax, offset b\na: jmp eax\nnop\nb: call c\nnop\nc: pop eax\nd: int3", traps: "a b c d" },
  { name: "a loop", source: "mov ecx, 3\na: inc eax\nb: loop a\nc: int3", traps: "a b a b a b c" },
  {
    name: "REP MOVSB: after each element",
    source: "mov ecx, 3\na: mov esi, 0x20000\nb: mov edi, 0x20100\nc: rep movsb\nd: int3",
    traps: "a b c c c d",
  },
  { name: "REP STOSD with count 0: once", source: "xor ecx, ecx\na: mov edi, 0x20000\nb: rep stosd\nc: int3", traps: "a b c" },
  { name: "REPE SCASB until unequal", source: "mov ecx, 9\na: mov edi, 0x20010\nb: xor eax, eax\nc: repe scasb\nd: int3", traps: "a b c c c d" },
  {
    name: "x87, MMX, SSE",
    source: "fld1\na: fistp dword ptr [0x20000]\nb: movd mm0, eax\nc: emms\nd: addps xmm0, xmm1\ne: int3",
    traps: "a b c d e",
  },
  { name: "PUSHF shows TF", source: "pushfd\na: pop eax\nb: test ah, 1\nc: jnz e\nd: nop\ne: int3", traps: "a b c e" },
  {
    name: "POPF clears TF: the last trap is its own",
    source: "pushfd\na: and dword ptr [esp], 0xfffffeff\nb: popfd\nc: inc eax\nint3",
    traps: "a b c",
  },
  {
    name: "POPF sets TF: the first trap is after the next",
    source: "pushfd\nor dword ptr [esp], 0x100\npopfd\na: inc eax\nb: inc eax\nc: int3",
    traps: "b c",
    byProgram: true,
  },
  {
    name: "POPF sets TF, the next clears it",
    source: "pushfd\npushfd\nor dword ptr [esp], 0x100\npopfd\na: popfd\nb: inc eax\nint3",
    traps: "b",
    byProgram: true,
  },
  {
    name: "POPF leaves TF set: every one traps",
    source: "pushfd\na: pushfd\nb: popfd\nc: popfd\nd: nop\ne: int3",
    traps: "a b c d e",
  },
  {
    name: "IRET sets TF: the first trap is after the next",
    source: `pushfd\nor dword ptr [esp], 0x100\npush ${selector.code0}\npush offset a\niret\nnop\na: inc eax\nb: inc eax\nc: int3`,
    traps: "b c",
    ring: 0,
    byProgram: true,
  },
  {
    name: "IRET with TF set before and after",
    source: `pushfd\na: push ${selector.code0}\nb: push offset d\nc: iret\nnop\nd: inc eax\ne: int3`,
    traps: "a b c d e",
    ring: 0,
  },
  {
    name: "MOV SS: no trap after it",
    source: `mov eax, ${selector.data0}\na: mov ss, eax\nb: inc eax\nc: inc eax\nd: int3`,
    traps: "a c d",
    ring: 0,
  },
  { name: "MOV DS", source: `mov eax, ds\na: mov ds, eax\nb: inc eax\nc: int3`, traps: "a b c" },
  {
    name: "LES and PUSH/POP ES",
    source: "push es\na: pop es\nb: push es\nc: mov eax, [esp]\nd: mov [0x20004], eax\ne: les eax, [0x20000]\nf: int3",
    traps: "a b c d e f",
  },
  { name: "STI and CLI", source: "cli\na: sti\nb: inc eax\nc: inc eax\nd: int3", traps: "a b c d", ring: 0 },
  { name: "MOV CR3 and INVLPG", source: "mov eax, cr3\na: mov cr3, eax\nb: invlpg [0x20000]\nc: int3", traps: "a b c", ring: 0 },
  { name: "far jump", source: `ljmp ${selector.code0}, offset a\nnop\na: inc eax\nb: int3`, traps: "a b", ring: 0 },
  { name: "a store over the next instruction", source: "mov byte ptr [b], 0x40\na: inc eax\nb: nop\nc: int3", traps: "a b c" },
  { name: "a store over itself", source: "a0: mov word ptr [a0], 0x9090\na: inc eax\nb: int3", traps: "a b" },
];

function prepare(core: Core, tier: Tier, c: Case): void {
  core.protectedMode(c.ring ?? tier.ring);
  core.physical.u8.fill(0, 0x20000, 0x20200);
  core.physical.u8[0x20012] = 1;
  core.R[slot.eax] = 0;
}

describe.each(tiers)("$name", (tier) => {
  it.each(cases)("$name", (c) => {
    const program = assemble(c.source);
    const core = tier.core().load(program);
    // Once without TF (the programs that set it themselves end at the first trap), so that hot code exists.
    prepare(core, tier, c);
    core.run(1000);
    if (core.hot) core.promote();

    core.load(program);
    prepare(core, tier, c);
    if (!c.byProgram) core.eflags |= eflag.tf;
    const seen: string[] = [];
    for (let k = 0; k < 40; k++) {
      const stop = core.run(1000);
      if (stop.vector !== 1) {
        expect(stop.vector).toBe(3);
        break;
      }
      seen.push(Object.entries(program.labels).find(([, address]) => address === stop.eip)?.[0] ?? stop.eip.toString(16));
      // DR6.BS; nothing else.
      expect(core.R[slot.dr6] & 0xe00f).toBe(0x4000);
      core.R[slot.dr6] = 0xffff0ff0 | 0;
      core.resume();
    }
    expect(seen.join(" ")).toBe(c.traps);
  });

  it("an instruction that faults does not trap; the handler runs without TF; TF comes back with IRET", () => {
    const program = assemble("inc eax\na: mov ecx, [0x2e000]\nb: inc eax\nc: int3");
    // Maps the page and returns.
    const handler = assemble("add esp, 4\nor dword ptr [0x20b8], 7\ninc edx\niret", 0x18000);
    const core = tier.core().protectedMode(tier.ring).load(program).load(handler);
    core.handler(14, handler.origin);
    core.R[slot.edx] = 0;
    core.map(0x2e000, 0x2e000, 0);
    core.flush();
    core.eflags |= eflag.tf;
    const at: number[] = [];
    for (;;) {
      const stop = core.run(1000);
      if (stop.vector !== 1) break;
      at.push(stop.eip);
      core.resume();
    }
    const { a, b, c } = program.labels;
    expect(at).toEqual([a, b, c]);
    expect(core.reg("edx")).toBe(1);
  });

  it("INT n: the handler runs without TF, the trap comes after the instruction behind INT", () => {
    const program = assemble("inc eax\na: int 0x80\nb: inc eax\nc: int3");
    const handler = assemble("inc edx\ninc edx\niret", 0x18000);
    const core = tier.core().protectedMode(tier.ring).load(program).load(handler);
    core.handler(0x80, handler.origin);
    core.R[slot.edx] = 0;
    core.eflags |= eflag.tf;
    const at: number[] = [];
    for (;;) {
      const stop = core.run(1000);
      if (stop.vector !== 1) break;
      at.push(stop.eip);
      core.resume();
    }
    const { a, c } = program.labels;
    expect(at).toEqual([a, c]);
    expect(core.reg("edx")).toBe(2);
  });
});
