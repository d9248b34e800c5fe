/** MMX registers of a region are in locals: what x87 instructions of others make of the same registers, and what a fault shows of them. */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, place, tiers } from "../support/core.ts";

const rounds = 400;

function start(core: Core, body: string): Core {
  core.protectedMode(0).load(assemble(body, place.code));
  core.R[slot.eip] = place.code;
  core.R[slot.esp] = place.stack;
  return core;
}
const register = (core: Core, n: number): number[] =>
  [slot.fpuMantissaLow, slot.fpuMantissaHigh, slot.fpuSignExponent].map((at) => core.R[at + n] >>> 0);

for (const tier of tiers) {
  describe(`MMX registers, ${tier.name}`, () => {
    it("are what a function called made of them by x87 instructions", () => {
      // 1.0 in ST(0) is 80000000_00000000h in MM7. The function is called through a pointer, so that it has a region of its own.
      const core = start(
        tier.core(),
        `mov ecx, ${rounds}
         mov edx, offset one
       again:
         movd mm1, ecx
         pxor mm7, mm7
         call edx
         paddd mm7, mm1
         movd eax, mm1
         dec ecx
         jnz again
         int3
       one:
         fninit
         fld1
         ret`,
      );
      expect(core.run().vector).toBe(3);
      expect(register(core, 7)).toEqual([1, 0x80000000, 0xffff]);
      expect([core.R[slot.fpuTop], core.R[slot.fpuEmpty]]).toEqual([0, 0]);
    });

    it("show their last values where a load faults", () => {
      const away = 0x50000;
      const core = start(
        tier.core(),
        `mov ecx, ${rounds}
         mov esi, ${place.data}
       again:
         movd mm0, ecx
         pmuludq mm0, mm0
         paddq mm2, mm0
         cmp ecx, 1
         jne read
         mov esi, ${away}
       read:
         mov eax, [esi]
         psrlq mm0, 1
         dec ecx
         jnz again
         int3`,
      );
      core.map(away, 0, 0);
      core.flush();
      expect(core.run().vector).toBe(14);
      const squares = (rounds * (rounds + 1) * (2 * rounds + 1)) / 6;
      expect(register(core, 0)).toEqual([1, 0, 0xffff]);
      expect(register(core, 2)).toEqual([squares, 0, 0xffff]);
    });

    it("are all empty behind EMMS", () => {
      const core = start(tier.core(), `mov ecx, ${rounds}\nagain: movd mm3, ecx\nemms\ndec ecx\njnz again\nint3`);
      expect(core.run().vector).toBe(3);
      expect(register(core, 3)).toEqual([1, 0, 0xffff]);
      expect([core.R[slot.fpuTop], core.R[slot.fpuEmpty]]).toEqual([0, 255]);
    });
  });
}
