/** Bundles the page and its worker into a folder that any web server can serve. Both are ES modules; the worker is a file of its own because it has a policy of its own. */
import { copyFile, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const sources = join(dirname(fileURLToPath(import.meta.url)), "..");

export interface BuiltFile {
  /** In the folder. */
  readonly path: string;
  readonly bytes: number;
}

/** Empties `folder` and builds the page there; returns what was made, without source maps. Errors: esbuild's, with the place in the source. */
export async function buildPage(folder: string): Promise<BuiltFile[]> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const { metafile } = await build({
    entryPoints: {
      page: join(sources, "page/main.ts"),
      worker: join(sources, "worker/main.ts"),
      style: join(sources, "page/style.css"),
    },
    absWorkingDir: folder,
    outdir: folder,
    bundle: true,
    minify: true,
    sourcemap: true,
    format: "esm",
    platform: "browser",
    // What module workers, private fields and OPFS's synchronous handles need anyway.
    target: ["chrome111", "firefox114", "safari16.4"],
    loader: { ".svg": "dataurl" },
    metafile: true,
    logLevel: "error",
  });
  for (const name of ["index.html", "icon.svg"]) await copyFile(join(sources, "page", name), join(folder, name));
  return Object.entries(metafile.outputs)
    .filter(([path]) => !path.endsWith(".map"))
    .map(([path, { bytes }]) => ({ path, bytes }));
}
