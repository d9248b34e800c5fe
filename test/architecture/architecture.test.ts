/** The rules of the house (docs/architecture.md) over the import graph and the text of the sources. */
import { describe, expect, it } from "vitest";
import { closure, type SourceFile, sources } from "./source.ts";

const translator = sources("translator");
const runtime = sources("runtime");
const src = sources("src");
const all = [...translator, ...runtime, ...src];

/** "file -> import" for every import that is not allowed. */
function violations(files: readonly SourceFile[], isAllowed: (target: string, file: SourceFile) => boolean): string[] {
  return files.flatMap((file) => file.imports.filter((target) => !isAllowed(target, file)).map((target) => `${file.path} -> ${target}`));
}

const isWithin = (target: string, folder: string): boolean => target.startsWith(`${folder}/`);

describe("dependency direction", () => {
  it("finds the sources and their imports", () => {
    expect(translator.length).toBeGreaterThan(20);
    expect(runtime.length).toBeGreaterThan(20);
    const slots = runtime.filter((file) => file.imports.includes("translator/contract/slots.ts"));
    expect(slots.length).toBeGreaterThan(3);
  });

  it("translator imports acorn, astring and itself", () => {
    expect(violations(translator, (t) => isWithin(t, "translator") || ["acorn", "astring", "estree"].includes(t))).toEqual([]);
  });

  it("runtime imports translator/contract and itself", () => {
    expect(violations(runtime, (t) => isWithin(t, "runtime") || isWithin(t, "translator/contract") || t === "translator/contract.ts")).toEqual([]);
  });

  it("devices import neither the CPU nor anything else of the machine", () => {
    const devices = runtime.filter((file) => isWithin(file.path, "runtime/devices"));
    expect(violations(devices, (t) => isWithin(t, "runtime/devices"))).toEqual([]);
  });

  it("the contract and the decoder stand on their own", () => {
    const contract = translator.filter((file) => isWithin(file.path, "translator/contract"));
    expect(violations(contract, (t) => isWithin(t, "translator/contract"))).toEqual([]);
    const decoder = translator.filter((file) => isWithin(file.path, "translator/decode"));
    expect(violations(decoder, (t) => isWithin(t, "translator/decode") || isWithin(t, "translator/contract"))).toEqual([]);
  });

  it("only test and bench import src", () => {
    expect(violations([...translator, ...runtime], (t) => !isWithin(t, "src"))).toEqual([]);
  });

  it("only src/machine puts a machine together", () => {
    // Elsewhere in src the machine is used through its own interface; the boot loaders share the register contract, the inspector reads the pipeline. Disk images
    // are what drives are given: they meet in the contract between the two, and in the table of floppy formats.
    const contract = ["runtime/devices/storage/block-storage.ts", "runtime/devices/floppy/formats.ts"];
    const others = src.filter((file) => !["src/machine", "src/inspector"].some((folder) => isWithin(file.path, folder)));
    expect(violations(others, (t, file) => !isWithin(t, "runtime") || (contract.includes(t) && isWithin(file.path, "src/storage")))).toEqual([]);
  });

  it("ESTree, acorn and astring stay in translator/javascript, what makes WebAssembly of its trees, and the table of pure micro-ops", () => {
    const users = all.filter((file) => file.imports.some((t) => ["acorn", "astring"].includes(t))).map((file) => file.path);
    // The last is about our own bundles.
    const homes = ["translator/javascript", "translator/wasm", "translator/ir", "src/web/host"];
    expect(users.filter((path) => !homes.some((home) => isWithin(path, home)))).toEqual([]);
  });
});

describe("what the library is made of", () => {
  it("the API runs in browsers: it reaches no Node module", () => {
    const reached = [...closure("src/index.ts").values()];
    expect(reached.length).toBeGreaterThan(10);
    expect(violations(reached, (t) => !t.startsWith("node:"))).toEqual([]);
  });

  it("packages: acorn, astring and fflate alone", () => {
    // The page and its build have more; nothing of the library imports them.
    const packages = new Set(
      all
        .filter((file) => !isWithin(file.path, "src/web"))
        .flatMap((file) => file.imports.filter((t) => !t.endsWith(".ts") && !t.startsWith("node:"))),
    );
    expect([...packages].filter((p) => !["acorn", "astring", "estree", "fflate", "iced-x86"].includes(p))).toEqual([]);
  });

  it("the page: its worker is made of the library alone, the page itself adds xterm.js and knows the worker by its protocol", () => {
    // The command serves the page as one of its displays.
    const users = all.filter((file) => !isWithin(file.path, "src/web") && !file.path.startsWith("src/cli/display-web"));
    expect(violations(users, (t) => !isWithin(t, "src/web"))).toEqual([]);
    const packagesOf = (start: string) => [...closure(start).values()].flatMap((file) => file.imports).filter((t) => !t.endsWith(".ts"));
    expect(packagesOf("src/web/worker/main.ts").filter((t) => !["acorn", "astring", "estree", "fflate"].includes(t))).toEqual([]);
    expect([...new Set(packagesOf("src/web/page/main.ts"))].sort()).toEqual(["@xterm/addon-fit", "@xterm/xterm"]);
    const page = [...closure("src/web/page/main.ts").values()].filter((file) => !isWithin(file.path, "src/web"));
    expect(page.map((file) => file.path)).toEqual([]);
  });

  it("disk images run in browsers: only src/storage/node.ts and what is its own reach Node modules", () => {
    const reached = [...closure("src/storage/index.ts").values()];
    expect(reached.length).toBeGreaterThan(10);
    expect(violations(reached, (t) => !t.startsWith("node:"))).toEqual([]);
  });

  it("code is compiled in one place", () => {
    const compilers = all.filter((file) =>
      /\bnew\s+WebAssembly\.(?:Module|Instance)\b|\bWebAssembly\.(?:compile|instantiate)|\bnew\s+Function\b|\bFunction\s*\(|\beval\s*\(|\bAsyncFunction\b|["']node:vm["']/.test(
        file.code,
      ),
    );
    expect(compilers.map((file) => file.path)).toEqual(["runtime/code/compile.ts"]);
  });

  it("no module-level variables", () => {
    const variables = all.flatMap((file) =>
      [...file.code.matchAll(/^(?:export\s+)?(?:let|var)\s+\w+/gm)].map((match) => `${file.path}: ${match[0]}`),
    );
    expect(variables).toEqual([]);
  });

  it("guest time comes from a clock, randomness from nowhere", () => {
    // runtime/code may take the host's time to account for its own cost; what a guest can observe may not.
    const guestVisible = [...translator, ...runtime.filter((file) => !isWithin(file.path, "runtime/code"))];
    const hostTime = guestVisible.filter((file) => /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bMath\.random\b/.test(file.code));
    expect(hostTime.map((file) => file.path)).toEqual([]);
  });
});
