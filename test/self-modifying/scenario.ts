/**
 * Self-modifying code, one file a scenario. What is expected follows from the architecture alone: one x86 processor executes what is in memory when it gets there, and
 * the instruction after a store sees it (SDM vol. 3, 8.1.3 asks for a jump in between; processors since the Pentium Pro do without, and so must we).
 *
 * Each program runs on every tier. Programs end with INT3 and have their result in registers. Most first do the same stores to a place that is
 * no code (labelled `dummy`), so that regions exist when the first real modification comes.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble, type Program } from "../support/assembler.ts";
import { type Core, type Stop, tiers } from "../support/core.ts";

export type Register = "eax" | "ecx" | "edx" | "ebx" | "esp" | "ebp" | "esi" | "edi";

export interface Scenario {
  readonly source: string;
  readonly origin?: number;
  readonly registers?: Partial<Record<Register, number>>;
  /** After the program is loaded, before it runs. */
  readonly prepare?: (core: Core, program: Program) => void;
  /** Registers at the end. */
  readonly expected: Partial<Record<Register, number>>;
  readonly after?: (core: Core, program: Program, stop: Stop) => void;
  readonly limit?: number;
  /** Which tiers, by name; all unless told. */
  readonly only?: RegExp;
  /** Both rings, unless the program needs one. */
  readonly ring?: 0;
}

export function scenario(title: string, s: Scenario): void {
  describe(title, () => {
    for (const tier of tiers.filter(({ name }) => s.only?.test(name) ?? true)) {
      it(tier.name, () => {
        const program = assemble(s.source, s.origin);
        const core = tier
          .core()
          .protectedMode(s.ring ?? tier.ring)
          .load(program);
        core.R[slot.eip] = program.origin;
        for (const [name, value] of Object.entries(s.registers ?? {})) core.R[slot[name as Register]] = value;
        s.prepare?.(core, program);
        const stop = core.run(s.limit ?? 20_000);
        const { vector } = stop;
        const actual = Object.fromEntries(Object.keys(s.expected).map((name) => [name, core.R[slot[name as Register]] >>> 0]));
        const wanted = Object.fromEntries(Object.entries(s.expected).map(([name, value]) => [name, (value as number) >>> 0]));
        expect({ kind: stop.kind, vector, ...actual }).toEqual({ kind: "exception", vector: 3, ...wanted });
        s.after?.(core, program, stop);
      });
    }
  });
}

/** 1 + 2 + ... + n */
export const sumTo = (n: number): number => (n * (n + 1)) / 2;
