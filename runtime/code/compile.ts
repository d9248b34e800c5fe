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

/** The same for WebAssembly: its exports. @param imports by the names the module has for them, all of the module "m" */
export function instantiate(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.ModuleImports): WebAssembly.Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: imports }).exports;
}
