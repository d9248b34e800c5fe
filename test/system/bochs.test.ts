/**
 * Segmentation, protection, gates, tasks, paging, debug and virtual-8086 mode of the whole CPU against Bochs, whose report on the same kernel is
 * committed: about 19,700 lines of several cases each (which exception, its error code, where, what was pushed, what changed in the tables).
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createMachine } from "../../src/index.ts";
import { bochsReport, kernelImage } from "./kernel/build.ts";
import { differences } from "./kernel/differences.ts";

const reportAddress = 0x1000000;
const limitSeconds = 110;

async function runKernel(engine: "translate" | "interpret"): Promise<string[]> {
  const machine = createMachine({ kernel: readFileSync(kernelImage), memory: 32 << 20, engine });
  try {
    const exit = await machine.run({ timeout: limitSeconds });
    expect(exit.reason).toBe("debug-exit");
    const length = new DataView(machine.memory.readPhysical(reportAddress, 4).buffer).getUint32(0, true);
    return Buffer.from(machine.memory.readPhysical(reportAddress + 4, length))
      .toString("latin1")
      .split("\n");
  } finally {
    machine.destroy();
  }
}

const expected = gunzipSync(readFileSync(bochsReport)).toString("latin1").split("\n");

/** Outcomes of a line that differ and are not among the justified differences; counts the justified ones in `used`. */
function unjustified(ours: string, theirs: string, used: Set<number>): string[] {
  if (ours === theirs) return [];
  const name = theirs.slice(0, theirs.indexOf(":"));
  const a = ours
    .slice(ours.indexOf(":") + 1)
    .trim()
    .split(" ");
  const b = theirs
    .slice(theirs.indexOf(":") + 1)
    .trim()
    .split(" ");
  if (a.length !== b.length || !ours.startsWith(`${name}:`)) return [`${theirs}\n  but was ${ours}`];
  return b.flatMap((outcome, i) => {
    if (outcome === a[i]) return [];
    const index = differences.findIndex((d) => d.lines.test(name) && d.allows(a[i], outcome));
    used.add(index);
    return index < 0 ? [`${name}, case ${i}: ${outcome} but was ${a[i]}`] : [];
  });
}

describe.each(["translate", "interpret"] as const)("the system test kernel, --engine %s", (engine) => {
  test(
    "reports what Bochs reports",
    async () => {
      const lines = await runKernel(engine);
      expect(lines.slice(-2)).toEqual(["END", ""]);
      const used = new Set<number>();
      const wrong = expected.flatMap((theirs, i) => unjustified(lines[i] ?? "", theirs, used));
      expect(wrong.slice(0, 20)).toEqual([]);
      expect(lines.length - 2).toBe(expected.length);
      // A difference that no longer occurs must leave the list.
      expect([...used].sort()).toEqual(differences.map((_, i) => i));
    },
    (limitSeconds + 30) * 1000,
  );
});
