// What translating costs: `node bench/translate.ts [KERNEL,...]`. The bench kernels run until they have hot code; then each region that was made is translated
// again, stage by stage, on the same bytes. Microseconds for one guest instruction: in the first round, by a translator that has met no shape of instruction
// yet, and warm. "compile" is `new Function`, which parses; V8 makes its bytecode at the first call.

import { readFileSync } from "node:fs";
import { compile, type HostNames } from "../runtime/code/compile.ts";
import { type BlockInfo, createMachine } from "../src/index.ts";
import type { RegionCode, RegionRequest } from "../translator/contract/translator.ts";
import { JavaScriptTranslator } from "../translator/index.ts";
import { RegionDecoder } from "../translator/region/decoder.ts";
import { discover } from "../translator/region/discover.ts";
import { KERNELS_CHECKSUMS, KERNELS_IMAGE } from "./kernels/build.ts";

const ROUNDS = 40;
const PAGE = 4096;
const REGION_LIMIT = 400;
const MEMORY = 64 << 20;

type Stage = "decode" | "lift" | "forward" | "simplify" | "dead writes" | "emit and print" | "compile";
const STAGES: Stage[] = ["decode", "lift", "forward", "simplify", "dead writes", "emit and print", "compile"];
/** The stage that ends when the observer hears of a pass. */
const ENDS: Record<string, Stage> = { lifted: "lift", forward: "forward", simplify: "simplify", dead: "dead writes" };

/** Runs one kernel and returns what its regions were made from. */
async function hotRegions(kernel: string): Promise<RegionRequest[]> {
  const machine = createMachine({ kernel: readFileSync(KERNELS_IMAGE), append: `kernel=${kernel} passes=2`, memory: MEMORY });
  await machine.run({ timeout: 60 });
  const blocks = machine.blocks();
  const requests = blocks
    .filter((block) => block.tier === "region")
    .map((block) => requestFor(block, blocks, machine.memory.readPhysical(block.address & ~(PAGE - 1), PAGE)));
  machine.destroy();
  return requests;
}

function requestFor(block: BlockInfo, blocks: readonly BlockInfo[], page: Uint8Array): RegionRequest {
  const onPage = blocks.filter((other) => other.address >>> 12 === block.address >>> 12 && other.mode === block.mode);
  const heats = new Map(onPage.map((other) => [other.address % PAGE, Math.max(other.executions, other.tier === "region" ? 1 : 0)]));
  const name = `f_${block.address.toString(16)}`;
  const base = block.address & ~(PAGE - 1);
  return {
    page: (k) => (k === 0 ? { bytes: page, address: base } : undefined),
    entry: block.address % PAGE,
    mode: block.mode,
    name,
    base,
    followsCalls: false,
    hotCall: 1,
    heat: (offset) => heats.get(offset) ?? 0,
    word: () => undefined,
    segmentBase: () => 0,
  };
}

/** The first stage by itself: which code belongs to the region, decoded. */
function decodeOnly(translator: JavaScriptTranslator, request: RegionRequest): void {
  discover(new RegionDecoder(translator, request), request.entry, REGION_LIMIT);
}

/** Names that generated code binds: any value will do, nothing is run. */
const anyHost: HostNames = new Proxy({}, { has: () => true, get: () => 0 });

/** One translation; adds each stage's milliseconds to `spent`. */
function translateTimed(translator: JavaScriptTranslator, request: RegionRequest, spent: Record<Stage, number>): RegionCode | undefined {
  const before = performance.now();
  decodeOnly(translator, request);
  let last = performance.now();
  const decode = last - before;
  spent.decode += decode;
  // `region` decodes again before its first block is lifted; that much does not count as lifting.
  spent.lift -= decode;
  const take = (stage: Stage) => {
    const now = performance.now();
    spent[stage] += now - last;
    last = now;
  };
  translator.observe = (pass) => take(ENDS[pass]);
  const code = translator.region(request);
  translator.observe = undefined;
  if (code === undefined) return undefined;
  take("emit and print");
  compile(code.text, code.freeNames, anyHost);
  take("compile");
  return code;
}

function round(
  translator: JavaScriptTranslator,
  requests: readonly RegionRequest[],
  number: number,
): { instructions: number; characters: number; spent: Record<Stage, number> } {
  const spent = Object.fromEntries(STAGES.map((stage) => [stage, 0])) as Record<Stage, number>;
  let instructions = 0;
  let characters = 0;
  for (const request of requests) {
    // A name of its own each time: V8 would find the same text in its compilation cache.
    const code = translateTimed(translator, { ...request, name: `${request.name}_${number}` }, spent);
    instructions += code?.instructions ?? 0;
    characters += code?.text.length ?? 0;
  }
  return { instructions, characters, spent };
}

const kernels = process.argv[2]?.split(",") ?? Object.keys(JSON.parse(readFileSync(KERNELS_CHECKSUMS, "utf8")) as Record<string, string>);
const requests: RegionRequest[] = [];
for (const kernel of kernels) requests.push(...(await hotRegions(kernel)));

const translator = new JavaScriptTranslator();
const rounds = Array.from({ length: ROUNDS }, (_, number) => round(translator, requests, number));
const { instructions, characters } = rounds[0];
const warm = rounds.slice(ROUNDS / 2);
const cost = (stage: Stage, list: typeof rounds) => (list.reduce((sum, { spent }) => sum + spent[stage], 0) / list.length / instructions) * 1000;

console.log(
  `${requests.length} regions of ${kernels.length} kernels, ${instructions} guest instructions, ${(characters / instructions).toFixed(0)} characters of JavaScript each\n`,
);
console.log("| stage          | first round (µs) | warm (µs) |\n| -------------- | ---------------: | --------: |");
for (const stage of STAGES)
  console.log(`| ${stage.padEnd(14)} | ${cost(stage, rounds.slice(0, 1)).toFixed(2).padStart(16)} | ${cost(stage, warm).toFixed(2).padStart(9)} |`);
const total = (list: typeof rounds) => STAGES.reduce((sum, stage) => sum + cost(stage, list), 0).toFixed(2);
console.log(`| all            | ${total(rounds.slice(0, 1)).padStart(16)} | ${total(warm).padStart(9)} |`);
