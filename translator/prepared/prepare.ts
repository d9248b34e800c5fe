/** Makes what data.ts describes: the translator's work on instructions that guests are known to run, done before there is a guest. */
import type { ModeKey } from "../contract/mode-key.ts";
import type { TierRequest, WasmLayout } from "../contract/wasm.ts";
import { JavaScriptTranslator } from "../index.ts";
import { shapeKey } from "../lift/shape.ts";
import { encodeModule, type FunctionCode } from "../wasm/encoder.ts";
import { type HandlerTree, handlerFunction, handlerType, helperFunction, Imports, loopFunction } from "../wasm/module.ts";
import { describeRequest, encodePrepared, notAnInstruction, type ShapeForm } from "./data.ts";

/** An instruction for each shape; for a superinstruction one for each of its parts. */
export interface ShapeSample {
  readonly mode: ModeKey;
  /** In its page; that of each part, if there are several. */
  readonly offset: number;
  readonly parts: readonly Uint8Array[];
}

/**
 * @param samples the commonest first; with a superinstruction those of its parts, and of all its parts but the last
 * @param mostInLine as many of them, at most, are in line in the loop
 */
export function prepare(samples: readonly ShapeSample[], request: TierRequest, mostInLine: number): Uint8Array<ArrayBuffer> {
  const translator = new JavaScriptTranslator();
  const keys: number[] = [];
  const all: HandlerTree[] = [];
  /** Superinstructions: number of the first parts and of the last, in this translator. */
  const fused: (readonly [number, number] | undefined)[] = [];
  const seen = new Set<number>();
  for (const sample of samples) {
    const { shape, key, fusedOf } = numberOf(translator, sample);
    if (seen.has(shape)) throw new Error(`a shape twice: ${translator.shape(shape).name}`);
    seen.add(shape);
    const { name, statements, endsBlock } = translator.shape(shape);
    all.push({ shape, name, statements, endsBlock });
    keys[shape] = key;
    fused[shape] = fusedOf;
  }
  const { layout } = request;
  const possible = all.filter((handler) => handlerFunction(new Imports(layout), handler) !== undefined);
  // Numbered as they will be known.
  const handlers = possible.map((handler, shape) => ({ ...handler, shape }));
  const known = new Map(possible.map(({ shape }, number) => [shape, number]));
  const knownNumber = (shape: number): number => {
    const number = known.get(shape);
    if (number === undefined) throw new Error(`a superinstruction without its part: ${translator.shape(shape).name}`);
    return number;
  };
  const fusions = possible.flatMap(({ shape }, number) => {
    const parts = fused[shape];
    return parts === undefined ? [] : [[number, knownNumber(parts[0]), knownNumber(parts[1])] as const];
  });
  // The first time nothing is known but how many imports there are.
  const count = functionsOf(handlers, request, mostInLine, 0).imports.list.length;
  const { imports, functions, taken } = functionsOf(handlers, request, mostInLine, count);
  const helperCount = functions.length - handlers.length - 1;
  const module = encodeModule({
    types: [handlerType],
    imports: imports.functionsImported,
    functions,
    // As many as there are without guest memory.
    pages: Math.floor(layout.arrays.M8.offset / 0x10000),
    mayHaveMore: true,
    tableSize: layout.tableSize,
    elements: { first: layout.firstShape, functions: handlers.map((_, k) => helperCount + k) },
  });
  const forms: ShapeForm[] = [];
  const numbers = new Map<string, number>();
  const formOf = possible.map(({ shape }) => {
    const { layout, exits, endsBlock, instructions, parts } = translator.shape(shape);
    const form: ShapeForm = { layout, exits, endsBlock, instructions, parts };
    const text = JSON.stringify(form);
    const number = numbers.get(text) ?? forms.push(form) - 1;
    numbers.set(text, number);
    return number;
  });
  const header = {
    request: describeRequest(request),
    imports: imports.list,
    keys: possible.map(({ shape }) => keys[shape]),
    formOf,
    forms,
    fusions,
    inLine: taken,
  };
  return encodePrepared(header, module);
}

/** @throws Error if it is none */
function numberOf(
  translator: JavaScriptTranslator,
  { mode, offset, parts }: ShapeSample,
): { shape: number; key: number; fusedOf: readonly [number, number] | undefined } {
  let shape = -1;
  let fusedOf: readonly [number, number] | undefined;
  for (const bytes of parts) {
    const part = translator.decode(bytes, 0, bytes.length, mode, offset);
    if (part < 0) throw new Error(`not an instruction: ${[...bytes].map((b) => b.toString(16)).join(" ")}`);
    fusedOf = shape < 0 ? undefined : [shape, part];
    shape = shape < 0 ? part : translator.fuse(shape, part);
    if (shape < 0) throw new Error(`not to be fused: ${parts.map((part) => [...part].map((b) => b.toString(16)).join(" ")).join("; ")}`);
  }
  return { shape, key: fusedOf === undefined ? shapeKey(translator.instruction, mode, offset) : notAnInstruction, fusedOf };
}

/** Imports of a module that has the helpers itself. */
class ImportsButHelpers extends Imports {
  private readonly own: ReadonlyMap<string, number>;

  /** @param own numbers of the module's own functions by name */
  constructor(layout: WasmLayout, own: ReadonlyMap<string, number>) {
    super(layout);
    this.own = own;
  }

  override imported(name: string, parameters: number, result: "i32" | "f64" | undefined): number | undefined {
    return this.own.get(name) ?? super.imported(name, parameters, result);
  }
}

/** Helpers, handlers, the loop, in this order. @param count imports there will be */
function functionsOf(handlers: readonly HandlerTree[], { helpers, own, layout }: TierRequest, mostInLine: number, count: number) {
  const texts = helpers.flatMap((group) => Object.entries(group));
  const imports = new ImportsButHelpers(layout, new Map(texts.map(([name], k) => [name, count + k])));
  const functions: FunctionCode[] = texts.map(([name, text]) => helperFunction(imports, name, text));
  for (const handler of handlers) {
    const code = handlerFunction(imports, handler);
    if (code === undefined) throw new Error(`not for WebAssembly: ${handler.name}`);
    // Without its name: profiles of guests show the loop.
    functions.push({ ...code, label: "" });
  }
  const { code, taken } = loopFunction(imports, handlers.slice(0, mostInLine), own, layout);
  functions.push(code);
  return { imports, functions, taken };
}
