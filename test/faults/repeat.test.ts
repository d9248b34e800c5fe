/**
 * REP string instructions that meet a bad page on the way: the registers say exactly how far they got, memory up to there is written, and the restarted instruction goes on
 * from there (SDM vol. 2, REP: "the source and destination registers point to the next string elements to be operated on, ... ECX has the value it held
 * following the last successful iteration").
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, pte, tiers } from "../support/core.ts";

const source = 0x20000;
const target = 0x24000;
const all = pte.present | pte.writable | pte.user;

interface Case {
  readonly text: string;
  readonly size: number;
  readonly reads: boolean;
  readonly writes: boolean;
  /** SCAS and CMPS look at ES:EDI without writing. */
  readonly looks?: boolean;
}

const cases: readonly Case[] = [
  ...(
    [
      ["b", 1],
      ["w", 2],
      ["d", 4],
    ] as const
  ).flatMap(([letter, size]) => [
    { text: `rep movs${letter}`, size, reads: true, writes: true },
    { text: `rep stos${letter}`, size, reads: false, writes: true },
    { text: `rep lods${letter}`, size, reads: true, writes: false },
    { text: `repe scas${letter}`, size, reads: false, writes: false, looks: true },
    { text: `repe cmps${letter}`, size, reads: true, writes: false, looks: true },
  ]),
];

function prepare(core: Core, backward: boolean, c: Case, misaligned: number): void {
  core.protectedMode(3);
  const { R } = core;
  // Equal bytes everywhere, so that REPE goes on.
  core.physical.u8.fill(0x5a, source, source + 0x8000);
  R[slot.eax] = 0x5a5a5a5a;
  R[slot.ecx] = Math.trunc(0x1800 / c.size);
  const start = 0x800 + misaligned + (backward ? 0x1800 - c.size : 0);
  R[slot.esi] = source + start;
  R[slot.edi] = target + start;
  core.eflags = backward ? 0x602 : 0x202;
}

describe.each(tiers)("$name", (tier) => {
  for (const c of cases) {
    for (const backward of [false, true]) {
      for (const misaligned of c.size === 1 ? [0] : [0, 1]) {
        const program = assemble(`inc ebx\nadd edx, 3\n${c.text}\nlea ebx, [ebx + 1]\nint3`);
        const at = program.origin + 4;
        const sides = [...(c.reads ? (["source"] as const) : []), ...(c.writes || c.looks ? (["target"] as const) : [])];
        for (const side of sides) {
          it(`${c.text}${backward ? ", backward" : ""}${misaligned ? ", misaligned" : ""}: the ${side}'s second page missing`, () => {
            const core = tier.core().load(program);
            prepare(core, backward, c, misaligned);
            expect(core.run(30_000).vector).toBe(3);
            const good = core.state();

            prepare(core, backward, c, misaligned);
            const { R } = core;
            // Going up the second page is the next; going down, the first.
            const bad = (side === "source" ? source : target) + (backward ? 0 : 0x1000);
            core.map(bad, bad, 0);
            core.flush();
            if (c.writes) core.physical.u8.fill(0, target, target + 0x2800);
            const [esi, edi, ecx] = [R[slot.esi], R[slot.edi], R[slot.ecx]];
            const stop = core.run(30_000);
            const start = side === "source" ? esi : edi;
            // Elements that lie wholly on the good page.
            const done = backward ? Math.ceil((start + c.size - (bad + 0x1000)) / c.size - (misaligned ? 1 : 0)) : Math.trunc((bad - start) / c.size);
            const step = (backward ? -1 : 1) * c.size * done;
            expect({ vector: stop.vector, eip: stop.eip, errorCode: stop.errorCode }).toEqual({
              vector: 14,
              eip: at,
              errorCode: 4 | (side === "target" && c.writes ? 2 : 0),
            });
            expect({ ecx: core.reg("ecx"), esi: core.reg("esi"), edi: core.reg("edi") }).toEqual({
              ecx: ecx - done,
              esi: c.reads ? esi + step : esi,
              edi: c.writes || c.looks ? edi + step : edi,
            });
            const straddle = misaligned !== 0;
            expect(stop.cr2).toBe(backward ? (straddle ? start + step : bad + 0x1000 - c.size) : straddle ? bad : start + step);

            core.resume();
            core.map(bad, bad, all);
            core.flush();
            expect(core.run(30_000).vector).toBe(3);
            expect(core.state()).toEqual({ ...good, cr2: core.state()["cr2"] });
            const copied = core.physical.u8.slice(target + 0x800 + misaligned, target + 0x2000 + misaligned);
            expect(copied.every((byte) => byte === 0x5a)).toBe(true);
          });
        }
      }
    }
  }
});
