/** The package as users get it: built, packed and installed, then imported and type-checked from outside. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root } from "../architecture/source.ts";

let folder: string;
const bin = (name: string): string => join(root, "node_modules/.bin", name);
const node = process.execPath;
const installed = (): string => join(folder, "node_modules/xlat86");
const exec = (command: string, args: readonly string[], cwd = folder): string =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-package-"));
  const dist = join(installed(), "dist");
  mkdirSync(dist, { recursive: true });
  exec(node, [bin("tsup"), "--out-dir", dist, "--silent"], root);
  exec(bin("tsc"), ["-p", "tsconfig.build.json", "--outDir", join(dist, "types")], root);
  cpSync(join(root, "package.json"), join(installed(), "package.json"));
  for (const name of ["acorn", "astring", "fflate"]) symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the package", () => {
  it("has the files its package.json names, with source maps", () => {
    const { bin: commands, exports, types } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const named = [".", "./node", "./region-worker"].flatMap((name) => [exports[name].default, exports[name].types]);
    for (const file of [commands.xlat86, types, ...named]) expect(existsSync(join(installed(), file)), file).toBe(true);
    for (const file of ["dist/index.js.map", "dist/cli.js.map"]) expect(existsSync(join(installed(), file)), file).toBe(true);
    expect(readFileSync(join(installed(), commands.xlat86), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it("imports nothing of Node from the library", () => {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const text = readFileSync(file, "utf8");
      const names = [...text.matchAll(/^(?:import|export)\b[^'"\n]*['"]([^'"]+)['"]/gm), ...text.matchAll(/\bimport\(['"]([^'"]+)['"]\)/g)];
      for (const [, name] of names) {
        if (name!.startsWith(".")) visit(join(dirname(file), name!));
        else packages.add(name!);
      }
    };
    for (const file of ["dist/index.js", "dist/web-region-worker.js"]) visit(join(installed(), file));
    expect([...packages].sort()).toEqual(["acorn", "astring", "fflate"]);
  });

  it("can be imported and runs a guest", () => {
    const kernels = join(root, "test/api/kernels.ts");
    writeFileSync(
      join(folder, "use.mjs"),
      `import { createMachine } from "xlat86";
      import { say } from ${JSON.stringify(kernels)};
      const machine = createMachine({ kernel: say("packaged", 3), memory: 8 * 2 ** 20 });
      machine.on("serial", (bytes) => process.stdout.write(bytes));
      process.exitCode = (await machine.run()).value;`,
    );
    try {
      exec(node, ["use.mjs"]);
      expect.unreachable("exit code 0");
    } catch (error) {
      const { status, stdout } = error as { status: number; stdout: string };
      expect({ status, stdout }).toEqual({ status: 3, stdout: "packaged" });
    }
    expect(exec(node, [join(installed(), "dist/cli.js"), "--version"])).toMatch(/^xlat86 \d+\.\d+\.\d+\n$/);
  });

  it("has the script of a browser's region worker, which bundlers take in", async () => {
    writeFileSync(join(folder, "region-worker.mjs"), 'import "xlat86/region-worker";\n');
    const { outputFiles } = await build({
      entryPoints: [join(folder, "region-worker.mjs")],
      ...{ bundle: true, write: false, format: "esm", platform: "browser", treeShaking: true, logLevel: "error" },
    });
    const bundle = join(folder, "bundled.mjs");
    writeFileSync(bundle, outputFiles[0]!.contents);
    writeFileSync(
      join(folder, "begin.mjs"),
      `globalThis.postMessage = (message) => process.stdout.write(message.kind);
      await import("./bundled.mjs");
      globalThis.onmessage({ data: { kind: "begin", options: { disabled: [], x87: "exact", layout: {} } } });`,
    );
    expect(exec(node, ["begin.mjs"])).toBe("ready");
  });

  it("has the commonest handlers ready", () => {
    writeFileSync(
      join(folder, "prepared.mjs"),
      `import { createMachine } from "xlat86";
      import { say } from ${JSON.stringify(join(root, "test/api/kernels.ts"))};
      const { Module } = WebAssembly;
      const modules = async (disable) => {
        const sizes = [];
        WebAssembly.Module = function (bytes) {
          sizes.push(bytes.length);
          return new Module(bytes);
        };
        await createMachine({ kernel: say("packaged", 3), memory: 8 * 2 ** 20, disable }).run();
        return sizes;
      };
      process.stdout.write(JSON.stringify([await modules([]), await modules(["prepared"])]));`,
    );
    const [ready, usual] = JSON.parse(exec(node, ["prepared.mjs"])) as number[][];
    // One module instead of those for helpers, the loop, and each new instruction.
    expect(Math.max(...ready)).toBeGreaterThan(100_000);
    expect(Math.max(...usual)).toBeLessThan(100_000);
    expect(ready.length).toBeLessThan(usual.length / 2);
  });

  it("ships types that a strict program can use", () => {
    writeFileSync(
      join(folder, "use.ts"),
      `import { createMachine, type ExitInfo } from "xlat86";
      const machine = createMachine({ kernel: new Uint8Array(4), memory: 2 ** 24 });
      machine.on("serial", (bytes) => { const n: number = bytes.length; void n; });
      const exit: ExitInfo = await machine.run({ timeout: 1 });
      if (exit.reason === "debug-exit") { const code: number = exit.code; void code; }
      createMachine({ kernel: new Uint8Array(4), regionWorker: () => new Worker("region-worker.js", { type: "module" }) });
      // @ts-expect-error no such event
      machine.on("nothing", () => {});
      // @ts-expect-error a reason is a word
      const wrong: number = exit.reason;
      void wrong;`,
    );
    for (const options of [
      ["--module", "nodenext"],
      ["--module", "esnext", "--moduleResolution", "bundler"],
    ]) {
      expect(exec(bin("tsc"), ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--types", "", ...options, "use.ts"])).toBe("");
    }
  });
});
