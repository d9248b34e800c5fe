/** Bundles the page and its workers into a folder that any web server can serve. All scripts are ES modules; workers are files of their own because they have policies of their own. */
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type OutputFile, type Plugin, transform } from "esbuild";
import { constantsOf } from "./constants.ts";

const sources = join(dirname(fileURLToPath(import.meta.url)), "..");

export interface BuiltFile {
  /** In the folder. */
  readonly path: string;
  readonly bytes: number;
}

/**
 * Empties `folder` and builds the page there; returns what was made, without source maps. Errors: esbuild's, with the place in the source.
 * @param plugins what is built in beyond the source: src/prepare
 */
export async function buildPage(folder: string, plugins: readonly Plugin[] = []): Promise<BuiltFile[]> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const { outputFiles } = await build({
    entryPoints: {
      page: join(sources, "page/main.ts"),
      worker: join(sources, "worker/main.ts"),
      "region-worker": join(sources, "../machine/background/web-worker.ts"),
      style: join(sources, "page/style.css"),
    },
    absWorkingDir: folder,
    outdir: folder,
    bundle: true,
    sourcemap: "inline",
    write: false,
    format: "esm",
    platform: "browser",
    // What module workers, private fields and OPFS's synchronous handles need anyway.
    target: ["chrome111", "firefox114", "safari16.4"],
    loader: { ".svg": "dataurl" },
    logLevel: "error",
    plugins: [...plugins],
  });
  const made: BuiltFile[] = [];
  for (const file of outputFiles) made.push(await finish(file));
  for (const name of ["index.html", "icon.svg"]) await copyFile(join(sources, "page", name), join(folder, name));
  return made;
}

/** Minifies a bundle, and writes it with its map. */
async function finish({ path, text }: OutputFile): Promise<BuiltFile> {
  const isScript = path.endsWith(".js");
  const { code, map } = await transform(isScript ? constantsOf(text) : text, {
    loader: isScript ? "js" : "css",
    format: isScript ? "esm" : undefined,
    minify: true,
    sourcemap: true,
    sourcefile: basename(path),
  });
  const mapName = `${basename(path)}.map`;
  await writeFile(path, `${code}${isScript ? `//# sourceMappingURL=${mapName}` : `/*# sourceMappingURL=${mapName} */`}\n`);
  await writeFile(`${path}.map`, map);
  return { path: basename(path), bytes: Buffer.byteLength(code) };
}
