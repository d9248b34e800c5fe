/**
 * The one place where text becomes code. The text is a function expression made by the translator from its closed set of node types; its free names
 * are bound here, once, as constants of the enclosing function, so that V8 sees array bases and lengths as immediates.
 */
export type HostNames = Readonly<Record<string, unknown>>;

/** Words that generated text may use without the host binding them. */
const ambient = new Set(["Math"]);

/**
 * @param text a function expression
 * @param freeNames names in it that `host` binds; an unknown one is a defect and throws
 */
export function compile<T>(text: string, freeNames: readonly string[], host: HostNames): T {
  const bindings: string[] = [];
  for (const name of freeNames) {
    if (ambient.has(name)) continue;
    if (!(name in host)) throw new Error(`generated code names '${name}', which the host does not offer`);
    bindings.push(`${name} = m.${name}`);
  }
  const prologue = bindings.length === 0 ? "" : `const ${bindings.join(", ")};\n`;
  return new Function("m", `"use strict";\n${prologue}return (${text});`)(host) as T;
}

/** The same for WebAssembly, in two steps: a module can come from another thread. */
export function moduleOf(bytes: Readonly<Uint8Array<ArrayBuffer>>): WebAssembly.Module {
  return new WebAssembly.Module(bytes);
}
/** Its exports. @param imports by the names the module has for them, all of the module "m" */
export function instantiate(module: WebAssembly.Module, imports: WebAssembly.ModuleImports): WebAssembly.Exports {
  return new WebAssembly.Instance(module, { m: imports }).exports;
}

/** Whether the host's WebAssembly has vectors and can end a function by a call (return_call), as V8 since 2023 and others later. */
export function hasTailCallsAndVectors(): boolean {
  if (typeof WebAssembly === "undefined") return false;
  // (module (func v128.const 0 drop return_call 0))
  const vector = [0xfd, 0x0c, ...Array.from({ length: 16 }, () => 0), 0x1a];
  const code = [0, ...vector, 0x12, 0, 0x0b];
  const module = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(1, 1, 0x60, 0, 0), ...section(3, 1, 0), ...section(10, 1, code.length, ...code)];
  return WebAssembly.validate(Uint8Array.from(module));
}

const nameBytes = (text: string): number[] => [text.length, ...[...text].map((c) => c.charCodeAt(0))];
const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];
/** Makes of a function `f` of JavaScript one that a table takes: (module (import "m" "f" (func (param i32) (result i32))) (export "f" (func 0))) */
export const wrapper: Readonly<Uint8Array<ArrayBuffer>> = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, 1, 0x60, 1, 0x7f, 1, 0x7f),
  ...section(2, 1, ...nameBytes("m"), ...nameBytes("f"), 0, 0),
  ...section(7, 1, ...nameBytes("f"), 0, 0),
]);
