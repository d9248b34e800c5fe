/** STI, MOV SS and POP SS hold interrupts off for one instruction (SDM vol. 3, 6.8.1 and 6.8.3; vol. 2, STI); POPF and IRET do not. */
import { describe, expect, it } from "vitest";
import { assemble } from "../support/assembler.ts";
import { selector, tiers } from "../support/core.ts";

/** The label the interrupt arrives at; every program runs in ring 0 with the interrupt pending from the start. */
const cases: readonly { name: string; source: string; interruptsOn?: true; arrivesAt: string | undefined; afterwards?: Record<string, number> }[] = [
  { name: "STI; INC; INC", source: "cli\nsti\ninc eax\nhere:\ninc eax\nint3", arrivesAt: "here" },
  { name: "STI; CLI: not at all", source: "sti\ncli\ninc eax\ninc eax\nint3", arrivesAt: undefined },
  { name: "STI; JMP", source: "sti\njmp here\nnop\nhere: inc eax\nint3", arrivesAt: "here" },
  { name: "STI; CALL", source: "sti\ncall here\nint3\nhere: inc eax\nret", arrivesAt: "here" },
  { name: "STI; RET", source: "push offset here\nsti\nret\nint3\nhere: inc eax\nint3", arrivesAt: "here" },
  {
    name: "STI; IRET",
    source: `pushfd\npush ${selector.code0}\npush offset here\nor dword ptr [esp + 8], 0x200\nsti\niret\nint3\nhere: inc eax\nint3`,
    arrivesAt: "here",
  },
  { name: "STI while IF was set: no shadow", source: "pushfd\nor dword ptr [esp], 0x200\npopfd\nhere: sti\nnop\nint3", arrivesAt: "here" },
  { name: "STI; STI", source: "sti\nsti\nhere:\ninc eax\nint3", arrivesAt: "here" },
  { name: "POPF sets IF: at once", source: "pushfd\nor dword ptr [esp], 0x200\npopfd\nhere: inc eax\nint3", arrivesAt: "here" },
  {
    name: "IRET sets IF: at once",
    source: `pushfd\nor dword ptr [esp], 0x200\npush ${selector.code0}\npush offset here\niret\nint3\nhere: inc eax\nint3`,
    arrivesAt: "here",
  },
  {
    name: "MOV SS; MOV ESP",
    source: `mov eax, ${selector.data0}\nmov ebx, 0x2e000\nsti\nmov ss, eax\nmov esp, ebx\nhere: inc eax\nint3`,
    arrivesAt: "here",
  },
  { name: "POP SS", source: `push ${selector.data0}\nsti\npop ss\nmov esp, 0x2e000\nhere: inc eax\nint3`, arrivesAt: "here" },
  { name: "a fault in the shadow ends it", source: "sti\nud2\nint3", arrivesAt: undefined },
  { name: "STI; HLT wakes behind HLT", source: "sti\nhlt\nhere: inc eax\nint3", arrivesAt: "here" },
];

describe.each(tiers)("$name", (tier) => {
  it.each(cases)("$name", ({ source, arrivesAt, name }) => {
    const program = assemble(source);
    const core = tier.core().protectedMode(0).load(program);
    for (let round = 0; round < 4; round++) {
      // Later rounds run on what the first ones have translated.
      core.protectedMode(0);
      core.eflags = 0x2;
      core.interrupts.pending = true;
      core.interrupts.acknowledged = 0;
      const stop = core.run(1000);
      if (arrivesAt === undefined) {
        expect(stop.vector).toBe(name.startsWith("a fault") ? 6 : 3);
        expect(core.interrupts.acknowledged).toBe(0);
      } else {
        expect({ vector: stop.vector, eip: stop.eip }).toEqual({ vector: 0x20, eip: program.labels[arrivesAt] });
        expect(stop.eflags & 0x200).toBe(0x200);
        core.resume();
        expect(core.run(1000).vector).toBe(3);
      }
      if (core.hot) core.promote();
    }
  });
});
