/**
 * Functions called by regions that go where nothing can be fetched. The fault is at the address jumped to, with the state that the function left: not what its
 * caller had in mind before the call. Afterwards returns go on as before.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { assemble } from "../support/assembler.ts";
import { Core, pte, tiers } from "../support/core.ts";

const away = 0x50000;
const every = pte.present | pte.writable | pte.user;

/** Regions that take no functions in, so that they call them. */
const calling = [3, 25, 150].map((step) => ({
  name: `hot, regions that call after ${step} instructions`,
  ring: 0 as const,
  core: () => new Core({ hot: true, step, translator: new JavaScriptTranslator({ disabledPasses: new Set(["calls"]) }) }),
}));

/** How the function leaves at `away`: EAX has the address. */
const leaves = {
  "a computed jump": "jmp eax",
  "a return to elsewhere": "push eax\n ret",
  "a call": "call eax\n ret",
} as const;

for (const [title, leave] of Object.entries(leaves)) {
  describe(title, () => {
    for (const tier of [...tiers, ...calling]) {
      it(tier.name, () => {
        const program = assemble(`
          xor edx, edx
          xor esi, esi
          mov ecx, 400
        again:
          call f
          add edx, 1
          dec ecx
          jnz again
          int3
        f:
          add edx, 2
          add esi, ecx
          mov eax, offset there
          test ecx, 127
          jnz here
          mov eax, ${away}
        here:
          ${leave}
        there:
          ret`);
        const core = tier.core().protectedMode(tier.ring).load(program);
        core.R[slot.eip] = program.origin;
        core.physical.write1(away, 0xc3);
        let edx = 0;
        let esi = 0;
        for (let ecx = 400; ecx > 0; ecx--) {
          edx += 2;
          esi += ecx;
          if ((ecx & 127) === 0) {
            core.map(away, 0, 0);
            core.flush();
            const stop = core.run(20_000);
            const now = { edx: core.reg("edx"), esi: core.reg("esi"), ecx: core.reg("ecx") };
            expect({ vector: stop.vector, eip: stop.eip, cr2: stop.cr2, ...now }).toEqual({ vector: 14, eip: away, cr2: away, edx, esi, ecx });
            core.map(away, away, every);
            core.flush();
            core.resume();
            if (ecx > 128) core.run(1);
          }
          edx += 1;
        }
        const stop = core.run(20_000);
        expect({ vector: stop.vector, edx: core.reg("edx"), esi: core.reg("esi"), ecx: core.reg("ecx") }).toEqual({ vector: 3, edx, esi, ecx: 0 });
      });
    }
  });
}

// Neither function nor handler has a branch: the one stays in its region, the other in blocks that tier 0 knows.
describe("a handler that faults, of a fault in a function that a region called", () => {
  for (const tier of [...tiers, ...calling]) {
    it(tier.name, () => {
      const program = assemble(`
          mov ecx, 3000
          mov edx, 8
        again:
          call f
          dec ecx
          jnz again
          int3
        f:
          mov eax, ecx
          shr eax, 3
          xor ebx, ebx
          cmp eax, 125
          sete bl
          mov ebx, [0x20000 + ebx * 4]
          mov eax, [ebx]
          ret
        handler:
          dec edx
          mov esi, edx
          mov edi, edx
          xor edx, edx
          mov eax, 1
        division:
          div esi
          mov edx, edi
          mov ebx, 0x21000
          add esp, 4
          iretd`);
      const core = tier.core().protectedMode(0).load(program);
      core.R[slot.eip] = program.origin;
      core.physical.write4(0x20000, 0x21000);
      core.physical.write4(0x20004, away);
      core.map(away, 0, 0);
      core.flush();
      core.handler(14, program.labels.handler);
      const stop = core.run(100_000);
      expect([stop.vector, stop.eip, core.reg("ecx")]).toEqual([0, program.labels.division, 1000]);
    });
  }
});
