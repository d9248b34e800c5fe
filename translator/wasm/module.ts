/** Modules: handlers and regions as functions for the host's table, and the loop that runs blocks with the commonest handlers in line. */
import { parseExpressionAt } from "acorn";
import type { ArrowFunctionExpression } from "estree";
import { slot } from "../contract/slots.ts";
import { type HostHandler, loopCase, type WasmImport, type WasmLayout, type WasmModule } from "../contract/wasm.ts";
import type { Statement } from "../javascript/estree.ts";
import type { RegionTree } from "../javascript/region-tree.ts";
import { encodeModule, type FunctionCode, type FunctionType, type ImportedFunction } from "./encoder.ts";
import { WasmFunction } from "./function.ts";
import type { WasmHost } from "./host.ts";
import { Refused } from "./names.ts";

/** A handler: (p) => { ... } */
export interface HandlerTree {
  readonly shape: number;
  /** For people. */
  readonly name: string;
  readonly statements: readonly Statement[];
  /** All ways out of it are links. */
  readonly endsBlock: boolean;
}

export const handlerType: FunctionType = { parameters: ["i32"], results: ["i32"] };

/** The imports of one module, numbered as they are met. */
export class Imports implements WasmHost {
  readonly list: WasmImport[] = [];
  readonly arrays: WasmLayout["arrays"];
  /** Names that stand for numbers in the function being written. */
  constants: Readonly<Record<string, number>> = {};
  readonly place: number;
  readonly faulted: number;
  readonly faultBlock: number;
  readonly tailCalls: boolean;
  /** All functions in the table are handlers, whose type comes first. */
  readonly table = { array: "H", type: 0 } as const;
  protected readonly layout: WasmLayout;
  private readonly numbers = new Map<string, number>();

  constructor(layout: WasmLayout) {
    this.layout = layout;
    this.arrays = layout.arrays;
    this.place = layout.place;
    this.faulted = layout.faulted;
    this.faultBlock = layout.faultBlock;
    this.tailCalls = layout.tailCalls;
  }

  imported(name: string, parameters: number, result: WasmImport["result"]): number | undefined {
    if (!this.layout.functions.has(name)) return undefined;
    const key = `${name}/${parameters}${result === undefined ? "/void" : result === "f64" ? "/f64" : ""}`;
    let number = this.numbers.get(key);
    if (number === undefined) {
      number = this.list.push({ key, name, parameters, result }) - 1;
      this.numbers.set(key, number);
    }
    return number;
  }

  isDouble(name: string): boolean {
    return this.layout.doubles.has(name);
  }
  isHelper(name: string): boolean {
    return this.layout.helpers.has(name);
  }
  mayFault(name: string): boolean {
    return this.layout.mayFault.has(name);
  }

  get functionsImported(): ImportedFunction[] {
    return this.list.map(({ key, parameters, result }) => ({
      name: key,
      type: { parameters: Array.from({ length: parameters }, () => "i32" as const), results: result === undefined ? [] : [result] },
    }));
  }

  /** A module of these functions and what they import. */
  module(functions: readonly FunctionCode[], shapes: readonly number[] = []): WasmModule {
    const { pages, tableSize } = this.layout;
    const imports = this.functionsImported;
    return { bytes: encodeModule({ types: [handlerType], imports, functions, pages, tableSize }), imports: this.list, shapes };
  }
}

/** One function for each handler that can be one. */
export function handlersModule(handlers: readonly HandlerTree[], layout: WasmLayout): WasmModule {
  const imports = new Imports(layout);
  const functions: FunctionCode[] = [];
  const shapes: number[] = [];
  for (const handler of handlers) {
    const code = handlerFunction(imports, handler);
    if (code === undefined) continue;
    functions.push({ ...code, name: `h${shapes.length}` });
    shapes.push(handler.shape);
  }
  return imports.module(functions, shapes);
}

/** A handler's function, not exported; undefined if something in it is not for WebAssembly. */
export function handlerFunction(imports: Imports, { name, statements }: HandlerTree): FunctionCode | undefined {
  const f = new WasmFunction(imports, ["p"]);
  if (!compiled(() => f.statements(statements))) return undefined;
  f.op("unreachable");
  return { type: handlerType, locals: f.locals, hints: f.hints, body: f.body, label: name };
}

/** Regions as functions `r0`, `r1`, ..., but for those with something in them that is not for WebAssembly. */
export function regionsModule(
  regions: readonly { readonly code: Pick<RegionTree, "name" | "statements">; readonly links: number }[],
  layout: WasmLayout,
): WasmModule {
  const imports = new Imports(layout);
  const functions: FunctionCode[] = [];
  const places: number[] = [];
  regions.forEach(({ code: { name, statements }, links }, k) => {
    imports.constants = { L: links };
    const f = new WasmFunction(imports, ["p"]);
    if (!compiled(() => f.statements(statements))) return;
    f.op("unreachable");
    functions.push({ type: handlerType, locals: f.locals, hints: f.hints, body: f.body, name: `r${k}`, label: name });
    places.push(k);
  });
  return imports.module(functions, places);
}

/** Whether it was not refused. */
function compiled(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    return false;
  }
}

/** Functions exported by their names. One that cannot be WebAssembly is a defect. */
export function helpersModule(texts: Readonly<Record<string, string>>, layout: WasmLayout): WasmModule {
  const imports = new Imports(layout);
  return imports.module(Object.entries(texts).map(([name, text]) => helperFunction(imports, name, text)));
}

export function helperFunction(imports: Imports, name: string, text: string): FunctionCode {
  const { parameters, statements } = parsed(text);
  const f = new WasmFunction(imports, parameters);
  f.statements(statements);
  f.op("unreachable");
  return { type: f.type, locals: f.locals, hints: f.hints, body: f.body, name };
}

/** The text of an arrow function with a block for a body. */
function parsed(text: string): { parameters: string[]; statements: readonly Statement[] } {
  const tree = parseExpressionAt(text, 0, { ecmaVersion: 2022 }) as unknown as ArrowFunctionExpression;
  if (tree.body.type !== "BlockStatement") throw new Error("expected a block");
  return { parameters: tree.params.map((p) => (p as { name: string }).name), statements: tree.body.body };
}

export function loopModule(handlers: readonly HandlerTree[], own: readonly HostHandler[], layout: WasmLayout): WasmModule {
  const imports = new Imports(layout);
  const { code, taken } = loopFunction(imports, handlers, own, layout);
  return imports.module([code], taken);
}

/**
 * run(p): executes the block whose header is at word p of C, and what it leads to, until the stop block. Structure:
 *
 *     loop $block: count the execution, take the block off the budget, `attend(p)` if it is used up
 *       loop $instruction: the case of C[p]'s shape, in line; or its function in the table
 *
 * A handler that ends a block goes to $block with the header its link names, another one to $instruction. The host's number of a shape chooses its case, and not another word
 * that would say which one it has at present: one load less before a jump that the processor often mispredicts. So numbers must mean what they mean as long as the loop runs.
 */
export function loopFunction(
  imports: Imports,
  handlers: readonly HandlerTree[],
  own: readonly HostHandler[],
  layout: WasmLayout,
): { code: FunctionCode; taken: number[] } {
  const attend = imports.imported("attend", 1, "i32") as number;
  const slow = imports.imported("slow", 1, "i32") as number;

  // Which handlers can be cases: tried on their own first.
  const taken = handlers.filter(({ statements }) => compiled(() => new WasmFunction(imports, ["p"]).statements(statements)));
  const cases = [
    ...own.map(({ number, text }) => ({ number, statements: parsed(text).statements, endsBlock: true })),
    ...taken.map(({ shape, statements, endsBlock }) => ({ number: shape + layout.firstShape, statements, endsBlock })),
  ];

  const f = new WasmFunction(imports, ["p"]);
  const C = layout.arrays.C.offset;
  const budget = layout.arrays.R.offset + 4 * slot.budget;
  const word = f.newLocal("i32");
  const left = f.newLocal("i32");
  const p = 0;
  f.begin("loop");
  const toBlock = f.depth;
  f.local("local.get", p);
  f.constant(2);
  f.op("i32.shl");
  f.local("local.tee", word);
  f.local("local.get", word);
  f.access("i32.load", C + 4);
  f.constant(1);
  f.op("i32.add");
  f.access("i32.store", C + 4);
  f.constant(0);
  f.constant(0);
  f.access("i32.load", budget);
  f.local("local.get", word);
  f.access("i32.load", C);
  f.op("i32.sub");
  f.local("local.tee", left);
  f.access("i32.store", budget);
  f.local("local.get", left);
  f.constant(0);
  f.op("i32.lt_s");
  f.begin("if");
  f.local("local.get", p);
  f.call(attend);
  f.local("local.tee", p);
  f.constant(layout.stopBlock);
  f.op("i32.eq");
  f.begin("if");
  f.local("local.get", p);
  f.op("return");
  f.end();
  f.end();
  f.local("local.get", p);
  f.constant(2);
  f.op("i32.add");
  f.local("local.set", p);

  f.begin("loop");
  const toInstruction = f.depth;
  /** Goes on with what a function has returned. */
  const step = (): void => {
    f.local("local.tee", p);
    f.constant(0);
    f.op("i32.ge_s");
    f.branchIf(toInstruction);
    f.local("local.get", p);
    f.constant(-1);
    f.op("i32.xor");
    f.local("local.set", p);
    f.branch(toBlock);
  };
  // One block around each case, the last case's outermost; behind the end of a block comes its case. Inside of them that of what the host does, of what the table does, and
  // of what is one of the two.
  for (let k = 0; k < cases.length + 3; k++) f.begin("block");
  f.local("local.get", p);
  f.constant(2);
  f.op("i32.shl");
  f.access("i32.load16_u", C);
  f.local("local.tee", word);
  const labels = new Map(cases.map(({ number }, k) => [number, k + 3]));
  f.branchTable(
    Array.from({ length: Math.max(...labels.keys()) + 1 }, (_, number) => labels.get(number) ?? 0),
    0,
  );
  f.end();
  f.local("local.get", word);
  f.constant(1);
  f.op("i32.shl");
  f.access("i32.load16_u", layout.cases);
  f.constant(loopCase.table);
  f.op("i32.eq");
  f.branchIf(f.depth - 1);
  f.end();
  f.constant(0);
  f.local("local.get", p);
  f.access("i32.store", layout.place);
  f.local("local.get", p);
  f.call(slow);
  step();
  f.end();
  f.constant(0);
  f.local("local.get", p);
  f.access("i32.store", layout.place);
  f.local("local.get", p);
  f.local("local.get", word);
  f.callIndirect(0);
  step();
  for (const { statements, endsBlock } of cases) {
    f.end();
    f.inline(statements, { local: p, label: endsBlock ? toBlock : toInstruction, isLink: endsBlock, blocks: toBlock });
  }
  f.end();
  f.end();
  f.op("unreachable");
  return { code: { type: handlerType, locals: f.locals, hints: f.hints, body: f.body, name: "run" }, taken: taken.map(({ shape }) => shape) };
}
