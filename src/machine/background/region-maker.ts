/** The work of the thread that makes regions: a translator of its own, from snapshot to compiled module. */
import { moduleOf } from "../../../runtime/code/compile.ts";
import type { RegionAnswer, RegionJob } from "../../../runtime/code/region-thread.ts";
import type { X87Arithmetic } from "../../../translator/contract/callouts/x87.ts";
import type { WasmLayout } from "../../../translator/contract/wasm.ts";
import { JavaScriptTranslator } from "../../../translator/index.ts";

/** What the thread is told when it begins: plain data. */
export interface RegionMakerOptions {
  readonly disabled: readonly string[];
  readonly x87: X87Arithmetic;
  readonly layout: WasmLayout;
}

/** Shapes are cheap, but a guest has as many as it likes. */
const mostShapes = 20_000;

export class RegionMaker {
  private readonly translator: JavaScriptTranslator;
  private readonly layout: WasmLayout;

  constructor({ disabled, x87, layout }: RegionMakerOptions) {
    this.translator = new JavaScriptTranslator({ disabledPasses: new Set(disabled), x87 });
    this.layout = layout;
  }

  make({ id, snapshot, links }: RegionJob): RegionAnswer {
    const started = performance.now();
    const { translator, layout } = this;
    if (translator.shapeCount > mostShapes) translator.forgetShapes();
    const code = translator.regionFrom(snapshot);
    const module = code && translator.regionModule(code, links, layout);
    if (code === undefined || module === undefined) return { id, milliseconds: performance.now() - started };
    const { name, size, freeNames, exits, wrapping, ranges, soft, instructions, isCallable } = code;
    const facts = { name, size, freeNames, exits, wrapping, ranges, soft, instructions, isCallable };
    const compiled = moduleOf(module.bytes);
    return { id, made: { facts, module: compiled, imports: module.imports }, milliseconds: performance.now() - started };
  }
}
