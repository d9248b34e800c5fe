import { defineConfig } from "tsup";

/** JavaScript only: the declarations come from `tsc -p tsconfig.build.json` (TypeScript 7 has no JavaScript API for tsup to call). */
export default defineConfig({
  entry: { index: "src/index.ts", node: "src/node.ts", cli: "src/cli/main.ts" },
  outDir: "dist",
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
});
