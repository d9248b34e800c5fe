// `npm run bench`: this project and its peers on the same guests, side by side on this machine. Every measurement is a process of its own; the peers take
// turns within a run, so that a busy moment of the host does not fall on one of them alone.

import { writeFileSync } from "node:fs";
import { guestsSuite } from "./guests/suite.ts";
import { kernelsSuite } from "./kernels/suite.ts";
import { memorySuite } from "./memory/suite.ts";
import { nanoSuite } from "./nano/suite.ts";
import { type BenchOptions, BenchUsageError, parseOptions, USAGE } from "./options.ts";
import type { Peer } from "./peers/peer.ts";
import { allPeers, cpuModel } from "./peers/peers.ts";
import { realModeSuite } from "./real-mode/suite.ts";
import { scalingSuite } from "./scaling/suite.ts";
import { type Suite, selectParts } from "./suite.ts";
import { userlandSuite } from "./userland/suite.ts";

const SUITES: Suite[] = [kernelsSuite, userlandSuite, nanoSuite, scalingSuite, memorySuite, realModeSuite, guestsSuite];

function log(text: string): void {
  process.stderr.write(`${text}\n`);
}

function wantedSuites(options: BenchOptions): Map<Suite, string[]> {
  const only = (options.only ?? [kernelsSuite.name]).flatMap((word) => (word === "all" ? SUITES.map((suite) => suite.name) : [word]));
  return selectParts(SUITES, only);
}

/** The peers that the chosen suites want and that can run here. Errors: `BenchUsageError`. */
async function presentPeers(options: BenchOptions, suites: readonly Suite[]): Promise<Peer[]> {
  const all = allPeers();
  const names = all.map((peer) => peer.name);
  const unknown = (options.peers ?? []).filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new BenchUsageError(`no peer ${unknown.join(", ")}; there are ${names.join(", ")}`);
  const present: Peer[] = [];
  for (const peer of all) {
    if (!suites.some((suite) => (options.peers ?? suite.peers).includes(peer.name))) continue;
    const reason = await peer.missing().catch((error: unknown) => String(error));
    if (reason === null) present.push(peer);
    else log(`${peer.name}: left out: ${reason}`);
  }
  return present;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const suites = wantedSuites(options);
  const peers = await presentPeers(options, [...suites.keys()]);
  const versions = Object.fromEntries(peers.map((peer) => [peer.name, peer.version()]));
  const problems: string[] = [];
  const results: Record<string, unknown> = {};

  console.log(`${cpuModel()}, Node ${process.version} (V8 ${process.versions.v8})${options.quick ? "; --quick: the times mean nothing" : ""}`);
  for (const peer of peers) console.log(`- ${peer.name}: ${versions[peer.name]}`);
  for (const [suite, parts] of suites) {
    const usable = peers.filter((peer) => (options.peers ?? suite.peers).includes(peer.name));
    const result = await suite.run(parts, { options, peers: usable, log });
    console.log(`\n${result.text}`);
    results[suite.name] = result.data;
    problems.push(...result.problems);
  }
  console.log(problems.length === 0 ? "\nAll agree on every result." : `\nProblems:\n${problems.map((problem) => `- ${problem}`).join("\n")}`);
  if (options.json) {
    const environment = { cpu: cpuModel(), node: process.version, v8: process.versions.v8, versions };
    writeFileSync(options.json, `${JSON.stringify({ environment, options, rows: results.kernels, results, problems }, null, 2)}\n`);
  }
  return problems.length === 0 ? 0 : 1;
}

try {
  if (process.argv.includes("--help")) console.log(USAGE);
  else process.exitCode = await main();
} catch (error) {
  if (!(error instanceof BenchUsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
