/**
 * One seed: the program on tier 0 as it is lifted against tier 0 as it is used and against regions, with all passes and without some; a failing program is reduced before it
 * is shown.
 */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { optimisationNames } from "../../translator/contract/optimisations.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { blockPasses } from "../../translator/passes/pipeline.ts";
import type { PreparedData } from "../../translator/prepared/data.ts";
import { Core } from "../support/core.ts";
import { HeldThread } from "../support/held-thread.ts";
import { makeCommonProgram } from "./common.ts";
import { layOut, makeProgram, type Program } from "./program.ts";
import { compare, runCold, runHot, type Trace } from "./run-program.ts";
import { makeSegmentedProgram, runSegmentedCold, runSegmentedHot, type SegmentedProgram } from "./segmented.ts";

export interface Variant {
  readonly name: string;
  readonly core: Core;
  /** Without regions. */
  readonly isCold?: boolean;
}

export interface Failure {
  readonly seed: number;
  readonly variant: string;
  readonly difference: string;
  readonly listing: string;
}

/** A kind of programs and how to run them. */
interface Suite {
  make(seed: number): Program;
  cold(core: Core, program: Program): Trace;
  hot(core: Core, program: Program): Trace[];
}

export const suites = {
  flat: { make: makeProgram, cold: runCold, hot: runHot },
  common: { make: makeCommonProgram, cold: runCold, hot: runHot },
  segmented: {
    make: makeSegmentedProgram,
    cold: (core, program) => runSegmentedCold(core, program as SegmentedProgram),
    hot: (core, program) => runSegmentedHot(core, program as SegmentedProgram),
  },
} as const satisfies Record<string, Suite>;

/** Regions are made from what was sent to another translator. */
function coreWithThread(): Core {
  const thread = new HeldThread(false);
  const core = new Core({ regionThread: thread });
  thread.layout = core.dispatcher.regions.wasm?.layout;
  return core;
}

export class Differential {
  private readonly suite: Suite;
  /** The reference: tier 0 with every instruction's micro-ops as lifted, and every block looked up. */
  readonly cold = new Core({
    translator: new JavaScriptTranslator({ disabledPasses: new Set(optimisationNames) }),
    disabled: new Set(optimisationNames),
  });
  readonly variants: readonly Variant[];
  private readonly always: number;
  programs = 0;
  inconclusive = 0;
  events = 0;
  regions = 0;
  private readonly prepared: PreparedData;

  constructor(suite: keyof typeof suites, prepared: PreparedData) {
    this.suite = suites[suite];
    this.prepared = prepared;
    const variant = (name: string, disabled: string[], regionLimit = 250): Variant => {
      const translator = new JavaScriptTranslator({ disabledPasses: new Set(disabled), regionLimit });
      return { name, core: new Core({ translator }) };
    };
    const names = blockPasses.map((pass) => pass.name);
    const always: Variant[] = [
      { ...variant("tier 0, instructions fused", []), isCold: true },
      {
        name: "tier 0, prepared",
        core: new Core({ translator: new JavaScriptTranslator({ prepared }), fuseThreshold: Number.POSITIVE_INFINITY }),
        isCold: true,
      },
      variant("all passes", []),
    ];
    this.always = always.length;
    this.variants = [
      ...always,
      variant("all passes, small regions", [], 12),
      { name: "regions made of snapshots", core: coreWithThread() },
      ...names.map((name) => variant(`without ${name}`, [name])),
      variant("without passes", names),
      variant("without vectors in line", ["vectors"]),
    ];
  }

  /** Prepared superinstructions that were run, and all of them. */
  get superinstructions(): { met: number; all: number } {
    const { fusions } = this.prepared;
    const translator = this.variants[1].core.translator as JavaScriptTranslator;
    return { met: fusions.filter(([shape]) => translator.wasMet(shape)).length, all: fusions.length };
  }

  /** Runs the program of `seed`: on tier 0, on regions with all passes, and on one of the other variants in turn. */
  check(seed: number): Failure | undefined {
    const program = this.suite.make(seed);
    this.programs++;
    const cold = this.suite.cold(this.cold, program);
    this.events += cold.events.length;
    if (!cold.ended) this.inconclusive++;
    const others = this.variants.slice(this.always);
    for (const variant of [...this.variants.slice(0, this.always), others[this.programs % others.length]]) {
      const made = variant.core.dispatcher.regions.translated;
      for (const hot of this.run(program, variant)) {
        if (compare(cold, hot) !== undefined) return this.report(program, variant);
      }
      this.regions += variant.core.dispatcher.regions.translated - made;
    }
    return undefined;
  }

  private run(program: Program, { core, isCold }: Variant): Trace[] {
    return isCold ? [this.suite.cold(core, program)] : this.suite.hot(core, program);
  }

  private difference(program: Program, variant: Variant): string | undefined {
    const cold = this.suite.cold(this.cold, program);
    for (const hot of this.run(program, variant)) {
      const found = compare(cold, hot);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private report(program: Program, variant: Variant): Failure {
    const reduced = this.reduce(program, variant);
    return {
      seed: program.seed,
      variant: variant.name,
      difference: this.difference(reduced, variant) ?? "gone after reduction",
      listing: listing(reduced),
    };
  }

  /** Drops items, in ever smaller groups, as long as the rest still fails. */
  private reduce(program: Program, variant: Variant): Program {
    let best = program;
    for (let group = Math.ceil(program.items.length / 2); group >= 1; group = group === 1 ? 0 : Math.ceil(group / 2)) {
      for (let from = 0; from < program.items.length; from += group) {
        const items = best.items.map((item, k) => (k >= from && k < from + group ? undefined : item));
        if (items.every((item, k) => item === best.items[k])) continue;
        const candidate = { ...best, items };
        if (this.difference(candidate, variant) !== undefined) best = candidate;
      }
    }
    return best;
  }
}

export function listing(program: Program): string {
  const { bytes, addresses } = layOut(program);
  const formatter = new Formatter(FormatterSyntax.Nasm);
  const { kind } = program as Partial<SegmentedProgram>;
  const lines = [kind === undefined ? `ring ${program.ring}` : `${kind} ${JSON.stringify((program as SegmentedProgram).segments)}`];
  program.items.forEach((item, k) => {
    if (item === undefined) return;
    const from = addresses[k] - program.origin;
    const end = (addresses[k + 1] ?? program.origin + bytes.length) - program.origin;
    const decoder = new Decoder(program.bits, bytes.subarray(from, end), DecoderOptions.None);
    decoder.ip = BigInt(addresses[k]);
    let at = from;
    while (decoder.canDecode) {
      const instruction = decoder.decode();
      const hex = [...bytes.subarray(at, at + instruction.length)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
      lines.push(`${(program.origin + at).toString(16)}  ${hex.padEnd(30)} ${formatter.format(instruction)}`);
      at += instruction.length;
      instruction.free();
    }
    decoder.free();
  });
  formatter.free();
  return lines.join("\n");
}
