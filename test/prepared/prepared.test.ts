/**
 * Handlers made beforehand are those that would be made at run time, and do what the captured CPU did; where they do not fit, they are not used. A checkout has none: they
 * are made here as the build makes them.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { demoImage } from "../../src/demo/image.ts";
import { createMachine, type MachineOptions } from "../../src/index.ts";
import { usualRequest } from "../../src/machine/tier-request.ts";
import { unpack } from "../../src/machine/unpack.ts";
import { preparedBytes } from "../../src/prepare/generate.ts";
import { pack } from "../../src/prepare/pack.ts";
import { parseSamples } from "../../src/prepare/samples.ts";
import type { OptimisationName } from "../../translator/contract/optimisations.ts";
import type { TierRequest } from "../../translator/contract/wasm.ts";
import { JavaScriptTranslator, type TranslatorOptions } from "../../translator/index.ts";
import { blockPasses } from "../../translator/passes/pipeline.ts";
import { notAnInstruction, PreparedData } from "../../translator/prepared/data.ts";
import type { ShapeSample } from "../../translator/prepared/prepare.ts";
import { families } from "../vectors/format.ts";
import { GuestExecutor } from "../vectors/guest-executor.ts";
import { describeReport, runFamily } from "../vectors/run.ts";
import { functionsOf } from "./wasm-functions.ts";

const samples = parseSamples(readFileSync(new URL("../../src/prepare/shapes.txt", import.meta.url), "utf8"));
const request: TierRequest = usualRequest();
let bytes: Uint8Array<ArrayBuffer>;
let prepared: PreparedData;

beforeAll(async () => {
  bytes = await preparedBytes();
  prepared = new PreparedData(bytes);
});

/** The shape's number. @param fuse for superinstructions: `fusionOf` those that are known */
function decode(translator: JavaScriptTranslator, { parts, mode, offset }: ShapeSample, fuse: "fuse" | "fusionOf" = "fuse"): number {
  const shapes = parts.map((bytes) => translator.decode(bytes, 0, bytes.length, mode, offset));
  return shapes.reduce((first, second) => translator[fuse](first, second));
}

/** Forgets all shapes every so often, as if there had been too many. */
class Forgetful extends JavaScriptTranslator {
  forgotten = 0;
  private asked = 0;

  override get shapeCount(): number {
    return ++this.asked % 97 === 0 ? Number.POSITIVE_INFINITY : super.shapeCount;
  }
  override forgetShapes(): void {
    super.forgetShapes();
    this.forgotten++;
  }
}

describe("prepared shapes", () => {
  it("are most of the list", () => {
    expect(prepared.keys.length).toBeGreaterThan(0.98 * samples.length);
    const instructions = prepared.keys.filter((key) => key !== notAnInstruction);
    expect(new Set(instructions).size).toBe(instructions.length);
    expect(instructions.length + prepared.fusions.length).toBe(prepared.keys.length);
    expect(prepared.fusions.length).toBe(samples.filter(({ parts }) => parts.length > 1).length);
  });

  it("are known as they are when they are lifted", () => {
    const [ready, usual] = [new JavaScriptTranslator({ prepared }), new JavaScriptTranslator()];
    let count = 0;
    for (const sample of samples) {
      const number = decode(ready, sample);
      const code = ready.shape(number);
      const wanted = usual.shape(decode(usual, sample));
      if (number < prepared.keys.length) count++;
      const { layout, exits, endsBlock, size, instructions, parts } = code;
      expect({ layout, exits, endsBlock, size, instructions, parts }).toEqual({
        layout: wanted.layout,
        exits: wanted.exits,
        endsBlock: wanted.endsBlock,
        size: wanted.size,
        instructions: wanted.instructions,
        parts: wanted.parts,
      });
      expect([code.name, code.text, code.freeNames]).toEqual([wanted.name, wanted.text, wanted.freeNames]);
    }
    expect(count).toBe(prepared.keys.length);
  });

  it("have the functions that are made at run time", () => {
    const [ready, usual] = [new JavaScriptTranslator({ prepared }), new JavaScriptTranslator()];
    const { texts, elements } = functionsOf(prepared.tier.bytes);
    expect(elements.size).toBe(prepared.keys.length);
    for (const sample of samples) {
      const number = decode(ready, sample);
      if (number >= prepared.keys.length) continue;
      const { bytes: module } = usual.handlers([decode(usual, sample)], request.layout);
      expect(texts[elements.get(request.layout.firstShape + number) as number], usual.shape(decode(usual, sample)).name).toBe(
        functionsOf(module).texts[0],
      );
    }
  });

  it("are fused of their parts without more ado", () => {
    const translator = new JavaScriptTranslator({ prepared });
    const numbers = samples.filter(({ parts }) => parts.length > 1).map((sample) => decode(translator, sample, "fusionOf"));
    expect(numbers).toEqual(prepared.fusions.map(([number]) => number));
    expect(new JavaScriptTranslator({ prepared, disabledPasses: new Set(["fuse"]) }).fusionOf(prepared.fusions[0][1], prepared.fusions[0][2])).toBe(
      -1,
    );
  });

  it("keep their numbers when shapes are forgotten, and are not counted before they are met", () => {
    const translator = new JavaScriptTranslator({ prepared });
    expect(translator.shapeCount).toBe(0);
    const before = samples.map((sample) => decode(translator, sample));
    expect(translator.shapeCount).toBe(samples.length);
    translator.forgetShapes();
    expect(translator.shapeCount).toBe(0);
    const after = [...samples].reverse().map((sample) => decode(translator, sample));
    const isPrepared = (number: number): boolean => number < prepared.keys.length;
    expect(after.reverse().filter(isPrepared)).toEqual(before.filter(isPrepared));
  });
});

describe("what is prepared", () => {
  it("is offered to the host it was made for", () => {
    expect(new JavaScriptTranslator({ prepared }).prepared(request)).toBe(prepared.tier);
  });

  const { layout } = request;
  it.each<[string, TierRequest]>([
    ["other numbers of shapes", { ...request, layout: { ...request.layout, firstShape: request.layout.firstShape + 1 } }],
    [
      "an array elsewhere",
      { ...request, layout: { ...layout, arrays: { ...layout.arrays, C: { ...layout.arrays.C, offset: layout.arrays.C.offset + 64 } } } },
    ],
    ["no tail calls", { ...request, layout: { ...layout, tailCalls: !layout.tailCalls } }],
    ["a function more", { ...request, layout: { ...layout, functions: new Set([...layout.functions, "more"]) } }],
    ["functions that fault", { ...request, layout: { ...layout, mayFault: new Set(layout.functions) } }],
    ["fewer helpers", { ...request, helpers: request.helpers.slice(1) }],
    ["other instructions of its own", { ...request, own: request.own.slice(1) }],
  ])("is refused: %s", (_, other) => {
    expect(new JavaScriptTranslator({ prepared }).prepared(other)).toBeUndefined();
  });

  it.each<[string, TranslatorOptions]>([
    ["x87 in doubles", { x87: "double" }],
    ["other passes", { passes: blockPasses }],
    ["a pass of tier 0 left out", { disabledPasses: new Set<OptimisationName>(["simplify"]) }],
    ["told so", { disabledPasses: new Set<OptimisationName>(["prepared"]) }],
  ])("is not for translators with other handlers: %s", (_, options) => {
    const translator = new JavaScriptTranslator({ ...options, prepared });
    expect(translator.prepared(request)).toBeUndefined();
    // As numbers are given: what was prepared has none.
    expect(decode(translator, samples.findLast(({ parts }) => parts.length === 1) as ShapeSample)).toBe(0);
  });

  it("survives packing", () => {
    const again = (data: Uint8Array) => unpack(Buffer.from(pack(data)).toString("base64"), data.length);
    expect(Buffer.compare(again(bytes), bytes)).toBe(0);
    // Runs and lengths about those that take another byte.
    for (const length of [0, 1, 4, 5, 12, 13, 15, 16, 19, 20, 270, 275, 600]) {
      const runs = new Uint8Array(length);
      const mixed = runs.map((_, k) => (k * 2654435761) >>> 24);
      for (const data of [runs, mixed, Uint8Array.of(...mixed, ...runs, ...mixed)]) expect(again(data)).toEqual(data);
    }
  });
});

describe("hardware vectors on prepared handlers", () => {
  it.each([false, true])("cold code, forgetting: %s", { timeout: 300_000 }, (forgets) => {
    const translator = forgets ? new Forgetful({ prepared }) : new JavaScriptTranslator({ prepared });
    const executor = new GuestExecutor({ name: "prepared", translator });
    for (const family of families()) {
      const report = runFamily(executor, family, forgets ? { stride: 4 } : {});
      expect(report.failed, describeReport(report)).toBe(0);
    }
    if (translator instanceof Forgetful) expect(translator.forgotten).toBeGreaterThan(20);
    else {
      // Of the list, 701 when this was written.
      const met = prepared.keys.filter((_, number) => translator.wasMet(number));
      expect(met.length).toBeGreaterThan(600);
    }
  });
});

describe("a guest", () => {
  /** What it prints, and after how many instructions it is over. */
  async function run(options: Partial<MachineOptions>): Promise<{ text: string; instructions: number }> {
    const machine = createMachine({ kernel: demoImage(), memory: 16 << 20, clock: "virtual", ...options });
    let text = "";
    machine.on("serial", (data) => {
      text += Buffer.from(data).toString("latin1");
    });
    try {
      const exit = await machine.run({ timeout: 50 });
      expect(exit.reason).toBe("power-off");
      return { text, instructions: machine.stats().instructions };
    } finally {
      machine.destroy();
    }
  }

  it.each(["translate", "interpret"] as const)("runs as without them, --engine %s", async (engine) => {
    const usual = await run({ engine });
    expect(usual.text.length).toBeGreaterThan(100);
    expect(await run({ engine, prepared })).toEqual(usual);
    expect(await run({ engine, prepared, disable: ["prepared"] })).toEqual(usual);
    // The host's layout is another one then.
    expect(await run({ engine, prepared, debug: { categories: ["callout"], write() {} } })).toEqual(usual);
  });
});
