// A suite is one family of benchmarks with its own tables. `npm run bench` picks suites and parts of them by `--only`, finds the peers each can use, and
// prints what they return.

import type { BenchOptions } from "./options.ts";
import { BenchUsageError } from "./options.ts";
import type { Peer } from "./peers/peer.ts";

export interface SuiteContext {
  options: BenchOptions;
  /** Peers that are present, in the order of the columns. */
  peers: readonly Peer[];
  /** A line of progress. */
  log: (text: string) => void;
}

export interface SuiteResult {
  /** Markdown: tables and the sentences that say what they show. */
  text: string;
  /** What was measured, for `--json`. */
  data: unknown;
  /** Failures and disagreements, a sentence each. */
  problems: string[];
}

export interface Suite {
  name: string;
  /** What can be asked for singly, as `--only` spells it. */
  parts: readonly string[];
  /** The peers that are measured unless `--peers` says others. */
  peers: readonly string[];
  run(parts: readonly string[], context: SuiteContext): Promise<SuiteResult>;
}

/** The parts of each suite that `only` asks for: suites by name, parts by theirs. Errors: `BenchUsageError`. */
export function selectParts(suites: readonly Suite[], only: readonly string[]): Map<Suite, string[]> {
  const selected = new Map<Suite, string[]>();
  const unknown = only.filter((word) => !suites.some((suite) => suite.name === word || suite.parts.includes(word)));
  if (unknown.length > 0) {
    const names = suites.flatMap((suite) => [suite.name, ...suite.parts]);
    throw new BenchUsageError(`no benchmark ${unknown.join(", ")}; there are ${[...new Set(names)].join(", ")}`);
  }
  for (const suite of suites) {
    const parts = only.includes(suite.name) ? suite.parts : suite.parts.filter((part) => only.includes(part));
    if (parts.length > 0) selected.set(suite, [...parts]);
  }
  return selected;
}

/** The part of a name after the suite's prefix: `python-loop` of `userland/python-loop`. */
export function withoutPrefix(part: string): string {
  return part.slice(part.indexOf("/") + 1);
}
