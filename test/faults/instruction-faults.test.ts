/**
 * Page faults at every memory operand of every instruction: the page is missing, read-only, the supervisor's, or the operand straddles into such a page. The state the
 * handler sees is that before the instruction, with error code and CR2 (SDM vol. 3, 4.7), memory untouched; with the page repaired the instruction
 * restarts and ends as if nothing had been.
 */
import { afterAll, describe, expect, it } from "vitest";
import { extensionRows } from "../../translator/decode/tables/extensions.ts";
import { groupRows } from "../../translator/decode/tables/groups.ts";
import { mmxRows } from "../../translator/decode/tables/mmx.ts";
import { oneByteRows } from "../../translator/decode/tables/one-byte.ts";
import { sseRows } from "../../translator/decode/tables/sse.ts";
import { sse2IntegerRows } from "../../translator/decode/tables/sse2-integer.ts";
import { twoByteRows } from "../../translator/decode/tables/two-byte.ts";
import { x87Rows } from "../../translator/decode/tables/x87.ts";
import { Core } from "../support/core.ts";
import { instructionForms } from "./forms.ts";
import { experimentsOf, install, perform, type References } from "./world.ts";

const tables = { oneByteRows, groupRows, twoByteRows, x87Rows, mmxRows, sseRows, sse2IntegerRows, extensionRows };

describe.each([
  { tier: "cold", hot: false },
  { tier: "hot", hot: true },
])("$tier", ({ hot }) => {
  const core = new Core({ hot, memory: 0x40000 });
  let experiments = 0;

  for (const [name, table] of Object.entries(tables)) {
    for (const ring of [3, 0] as const) {
      it(`${name}, ring ${ring}`, () => {
        const wrong: string[] = [];
        for (const form of instructionForms(table)) {
          install(core, form, ring);
          const references: References = new Map();
          for (const experiment of experimentsOf(form, ring)) {
            experiments++;
            const problem = perform(core, form, ring, experiment, references);
            if (problem !== undefined) wrong.push(`${form.text} (${experiment.use.page}, ${experiment.what}): ${problem}`);
          }
        }
        expect(wrong).toEqual([]);
      });
    }
  }
  afterAll(() => {
    expect(experiments).toBeGreaterThan(3000);
    // Each form in each ring has its region.
    if (hot) expect(core.dispatcher.regions.translated).toBeGreaterThan(1000);
  });
});
