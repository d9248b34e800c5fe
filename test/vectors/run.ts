/**
 * Runs vectors in an executor and reports what differs from the captured CPU, by instruction.
 */
import { pathToFileURL } from "node:url";
import { commandLine } from "../support/arguments.ts";
import { compare, describeInput } from "./compare.ts";
import { disassemble } from "./disassemble.ts";
import type { Executor } from "./executor.ts";
import { families, loadFamily } from "./format.ts";
import type { VectorCase } from "./state.ts";
import { mnemonicOf } from "./undefined-flags.ts";

export interface Report {
  readonly family: string;
  readonly cases: number;
  readonly failed: number;
  /** Failed and all cases by mnemonic, the worst first; only those with failures. */
  readonly byMnemonic: readonly (readonly [mnemonic: string, failed: number, cases: number])[];
  /** The first few failures in full. */
  readonly samples: readonly string[];
}

export interface RunOptions {
  readonly only?: ReadonlySet<string>;
  /** How many failures to describe, at most `perMnemonic` of one instruction. */
  readonly samples?: number;
  readonly perMnemonic?: number;
  /** Every n-th group only. */
  readonly stride?: number;
}

export function runFamily(executor: Executor, family: string, options: RunOptions = {}): Report {
  const all = new Map<string, number>();
  const failed = new Map<string, number>();
  const samples: string[] = [];
  let cases = 0;
  let failures = 0;
  for (const group of loadFamily(family).groups()) {
    const mnemonic = mnemonicOf(group[0]);
    if (options.only && !options.only.has(mnemonic)) continue;
    if (options.stride && group[0].group % options.stride) continue;
    for (const c of group) {
      cases++;
      all.set(mnemonic, (all.get(mnemonic) ?? 0) + 1);
      let lines: string[];
      try {
        lines = compare(c, executor.run(c));
      } catch (e) {
        lines = [`host exception: ${e instanceof Error ? (e.stack ?? e.message).split("\n").slice(0, 4).join(" | ") : String(e)}`];
      }
      if (lines.length === 0) continue;
      failures++;
      const n = (failed.get(mnemonic) ?? 0) + 1;
      failed.set(mnemonic, n);
      if (samples.length < (options.samples ?? 10) && n <= (options.perMnemonic ?? 2)) samples.push(describeFailure(c, lines));
    }
  }
  const byMnemonic = [...failed].sort((a, b) => b[1] - a[1]).map(([m, n]) => [m, n, all.get(m) ?? 0] as const);
  return { family, cases, failed: failures, byMnemonic, samples };
}

export function describeFailure(c: VectorCase, lines: readonly string[]): string {
  return `${c.family} ${c.group}.${c.index} ${c.name}: ${disassemble(c.bytes)}\n${describeInput(c).replace(/^/gm, "    ")}\n  ${lines.join("\n  ")}`;
}

export function describeReport(r: Report): string {
  const head = `${r.family}: ${r.failed} of ${r.cases} cases differ from the captured CPU`;
  const list = r.byMnemonic.map(([m, n, all]) => `${m} ${n}/${all}`).join(", ");
  return [head, ...(list ? [`  ${list}`] : []), ...r.samples].join("\n");
}

const usage = `node test/vectors/run.ts [FAMILY...] [--tier cold|hot] [--only MNEMONIC,...] [--show N]

Runs the captured vectors and compares with the CPU they are from; the first N (3) differences in full. Families: ${families().join(", ")}`;

function badUsage(message: string): never {
  console.error(`${message}\n\n${usage}`);
  process.exit(2);
}

async function main(): Promise<number> {
  const { values, positionals } = commandLine(usage, {
    options: { tier: { type: "string", default: "cold" }, only: { type: "string" }, show: { type: "string", default: "3" } },
    allowPositionals: true,
  });
  const { tier, only } = values;
  if (tier !== "cold" && tier !== "hot") badUsage(`--tier: expected cold or hot, found ${tier}`);
  const unknown = positionals.find((family) => !families().includes(family));
  if (unknown !== undefined) badUsage(`no family of vectors has the name ${unknown}`);
  const { makeExecutor } = await import("./tiers.ts");
  let wrong = 0;
  for (const family of positionals.length ? positionals : families()) {
    const start = performance.now();
    const executor = makeExecutor(tier);
    const report = runFamily(executor, family, { only: only ? new Set(only.split(",")) : undefined, samples: Number(values.show) });
    console.log(
      `${describeReport(report)}\n  ${((performance.now() - start) / 1000).toFixed(1)} s${tier === "hot" ? `, ${executor.regions} of ${executor.encodings} encodings as regions` : ""}`,
    );
    wrong += report.failed;
  }
  return wrong ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = await main();
