/** HLT stops the processor until an interrupt; the handler returns behind it. */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { tiers } from "../support/core.ts";

describe.each(tiers)("$name", (tier) => {
  it("waits, wakes behind HLT, again and again", () => {
    const program = assemble("again: hlt\nback: inc edx\ncmp edx, 30\njb again\nint3");
    const handler = assemble("inc dword ptr [0x28000]\niret", 0x18000);
    const core = tier.core().protectedMode(0).load(program).load(handler);
    core.handler(0x20, handler.origin);
    core.R[slot.edx] = 0;
    for (let k = 0; k < 30; k++) {
      const stop = core.run(1000);
      expect({ kind: stop.kind, eip: stop.eip }).toEqual({ kind: "halted", eip: program.labels["back"] });
      expect(core.reg("edx")).toBe(k);
      // Nothing happens without an interrupt.
      expect(core.run(1000).kind).toBe("halted");
      expect(core.physical.read4(0x28000)).toBe(k);
      core.interrupts.pending = true;
      if (core.hot) core.promote();
    }
    expect(core.run(1000).vector).toBe(3);
    expect(core.reg("edx")).toBe(30);
  });

  it("with IF clear no interrupt wakes it", () => {
    const core = tier.core().protectedMode(0).load(assemble("cli\nhlt\nint3"));
    expect(core.run(100).kind).toBe("halted");
    core.interrupts.pending = true;
    expect(core.run(100).kind).toBe("halted");
    expect(core.interrupts.acknowledged).toBe(0);
  });
});
