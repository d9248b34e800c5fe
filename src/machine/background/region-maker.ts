/** The work of the thread that makes regions: a translator of its own, from snapshot to compiled module. */
import { moduleOf } from "../../../runtime/code/compile.ts";
import type { RegionAnswer, RegionJob } from "../../../runtime/code/region-thread.ts";
import type { X87Arithmetic } from "../../../translator/contract/callouts/x87.ts";
import type { PlacedRegion } from "../../../translator/contract/translator.ts";
import type { WasmLayout } from "../../../translator/contract/wasm.ts";
import { JavaScriptTranslator } from "../../../translator/index.ts";

/** What the thread is told when it begins: plain data. */
export interface RegionMakerOptions {
  readonly disabled: readonly string[];
  readonly x87: X87Arithmetic;
  readonly layout: WasmLayout;
}

/** Jobs that wait are done together, up to so many: the first is late by the time that the others take. */
export const mostTogether = 4;

/** Shapes are cheap, but a guest has as many as it likes. */
const mostShapes = 20_000;

export class RegionMaker {
  private readonly translator: JavaScriptTranslator;
  private readonly layout: WasmLayout;

  constructor({ disabled, x87, layout }: RegionMakerOptions) {
    this.translator = new JavaScriptTranslator({ disabledPasses: new Set(disabled), x87 });
    this.layout = layout;
  }

  /** All as one module: calls and jumps among many small ones wait for the host's caches, for the code of each begins at the same place of a page (docs/PERFORMANCE.md). */
  make(jobs: readonly RegionJob[]): RegionAnswer[] {
    const started = performance.now();
    const { translator, layout } = this;
    if (translator.shapeCount > mostShapes) translator.forgetShapes();
    const trees = jobs.map(({ snapshot, links }) => ({ code: translator.regionFrom(snapshot), links }));
    const regions = trees.flatMap(({ code, links }): PlacedRegion[] => (code === undefined ? [] : [{ code, links }]));
    const { bytes, imports, shapes } = translator.regionsModule(regions, layout);
    const module = shapes.length === 0 ? undefined : moduleOf(bytes);
    const milliseconds = (performance.now() - started) / jobs.length;
    return jobs.map(({ id }, k) => {
      const { code } = trees[k];
      const place = regions.findIndex((region) => region.code === code);
      if (code === undefined || module === undefined || !shapes.includes(place)) return { id, milliseconds };
      const { name, size, freeNames, exits, wrapping, ranges, soft, doubtful, instructions, isCallable } = code;
      const facts = { name, size, freeNames, exits, wrapping, ranges, soft, doubtful, instructions, isCallable };
      return { id, made: { facts, module, imports, name: `r${place}` }, milliseconds };
    });
  }
}
