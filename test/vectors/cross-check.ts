/**
 * Runs the capture program under QEMU's user-mode emulation and counts by instruction where it differs from the committed vectors.
 * A check on the harness and the masks, not a test: QEMU has deviations of its own (README.md lists them).
 * Usage: node cross-check.ts [family...] [--show N] [--only mnemonic,...] [--completing] [--native]
 */
import { buildHarness } from "./capture.ts";
import { compare, describeInput } from "./compare.ts";
import { disassemble } from "./disassemble.ts";
import { families, loadFamily } from "./format.ts";
import { capture } from "./generate/records.ts";
import { mnemonicOf } from "./undefined-flags.ts";

const args = process.argv.slice(2);
const showAt = args.indexOf("--show");
const show = showAt >= 0 ? Number(args.splice(showAt, 2)[1]) : 0;
const onlyAt = args.indexOf("--only");
const only = onlyAt >= 0 ? args.splice(onlyAt, 2)[1].split(",") : undefined;
/** Only cases that complete: QEMU's user mode knows no segment limits and gives other page fault codes. */
const completing = args.includes("--completing");
/** Only cases that differ in just this: "st", "eflags+memory", ... as the last line of each family lists them. */
const kindAt = args.indexOf("--kind");
const kind = kindAt >= 0 ? args.splice(kindAt, 2)[1] : undefined;
const native = args.includes("--native");
const command = native ? [buildHarness()] : ["qemu-i386", "-cpu", "max", buildHarness()];
for (const family of args.filter((a) => !a.startsWith("-")).length ? args.filter((a) => !a.startsWith("-")) : families()) {
  const groups = [...loadFamily(family).groups()].filter((g) => !only || only.includes(mnemonicOf(g[0])));
  if (!groups.length) continue;
  const results = capture(
    command,
    groups.map((g) => ({
      name: g[0].name,
      bytes: Array.from(g[0].bytes),
      branch: g[0].branch,
      usesFpu: g[0].usesFpu,
      states: g.map((c) => c.input),
    })),
  );
  const wrong = new Map<string, number>();
  const total = new Map<string, number>();
  const kinds = new Map<string, number>();
  let shown = 0;
  for (const [i, g] of groups.entries())
    for (const [j, c] of g.entries()) {
      const mnemonic = mnemonicOf(c);
      total.set(mnemonic, (total.get(mnemonic) ?? 0) + 1);
      if (completing && c.expected.trap) continue;
      const lines = compare(c, results[i][j]);
      if (!lines.length) continue;
      const what = lines
        .map((l) => l.split(":")[0].replace(/[0-9]+$|^memory .*/, (m) => (m.startsWith("memory") ? "memory" : "")))
        .filter((v, k, a) => a.indexOf(v) === k)
        .join("+");
      kinds.set(what, (kinds.get(what) ?? 0) + 1);
      if (kind && what !== kind) continue;
      wrong.set(mnemonic, (wrong.get(mnemonic) ?? 0) + 1);
      if (shown++ < show) console.log(`\n${c.name}: ${disassemble(c.bytes)}\n${describeInput(c)}\n  ${lines.join("\n  ")}`);
    }
  const list = [...wrong].sort((a, b) => b[1] - a[1]).map(([m, n]) => `${m} ${n}/${total.get(m)}`);
  console.log(
    `${family}: ${[...wrong.values()].reduce((a, b) => a + b, 0)} of ${[...total.values()].reduce((a, b) => a + b, 0)} differ${list.length ? `: ${list.join(", ")}` : ""}`,
  );
  if (kinds.size)
    console.log(
      `  by what differs: ${[...kinds]
        .sort((a, b) => b[1] - a[1])
        .map(([k, n]) => `${k} ${n}`)
        .join(", ")}`,
    );
}
