import { readdir, readFile, writeFile } from "node:fs/promises";
import { defineConfig } from "tsup";
import { preparedPlugin } from "./src/prepare/generate.ts";
import { constantsOf } from "./src/web/host/constants.ts";

/** JavaScript only: the declarations come from `tsc -p tsconfig.build.json` (TypeScript 7 has no JavaScript API for tsup to call). */
export default defineConfig(({ outDir: folder = "dist" }) => ({
  entry: {
    index: "src/index.ts",
    node: "src/node.ts",
    cli: "src/cli/main.ts",
    "region-worker": "src/machine/background/worker.ts",
    "web-region-worker": "src/machine/background/web-worker.ts",
  },
  outDir: folder,
  format: "esm",
  platform: "node",
  target: "node20",
  splitting: true,
  sourcemap: true,
  clean: true,
  treeshake: true,
  // Disassembly for people is a convenience of a development checkout: `dump` falls back to plain bytes where it is not installed.
  // What builds the page is for a checkout as well: the package has the page built (npm run build).
  external: ["iced-x86", "esbuild"],
  removeNodeProtocol: false,
  esbuildPlugins: [preparedPlugin],
  async onSuccess() {
    for (const name of await readdir(folder)) {
      if (name.endsWith(".js")) await writeFile(`${folder}/${name}`, constantsOf(await readFile(`${folder}/${name}`, "utf8")));
    }
  },
}));
