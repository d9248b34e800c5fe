// Where what was fetched is kept: in a checkout beside the sources, so that it goes with them; else where the user's other programs keep such things.

import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The variables that count, and the system; of the process, if nobody says so. */
export interface CacheSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly home: string;
  /** The folder of this package. */
  readonly packageRoot: string | undefined;
}

/**
 * `$XLAT86_CACHE`; else `.cache` in a checkout of the project; else `$XDG_CACHE_HOME/xlat86`, which is `~/.cache/xlat86` if it is not set (XDG Base Directory
 * Specification; a relative path does not count), on macOS `~/Library/Caches/xlat86` and on Windows `%LOCALAPPDATA%\xlat86`.
 */
export function cacheDirectory(around: CacheSurroundings = ofThisProcess()): string {
  const { env, platform, home, packageRoot } = around;
  if (env.XLAT86_CACHE) return resolve(env.XLAT86_CACHE);
  if (packageRoot !== undefined && existsSync(join(packageRoot, ".git"))) return join(packageRoot, ".cache");
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, "xlat86");
  if (platform === "darwin") return join(home, "Library", "Caches", "xlat86");
  if (platform === "win32" && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, "xlat86");
  return join(home, ".cache", "xlat86");
}

function ofThisProcess(): CacheSurroundings {
  return { env: process.env, platform: process.platform, home: homedir(), packageRoot: findPackageRoot(dirname(fileURLToPath(import.meta.url))) };
}

/** The nearest folder above with this package's package.json: the sources and what is built of them lie at different depths. */
function findPackageRoot(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { name } = JSON.parse(readFileSync(join(at, "package.json"), "utf8")) as { name?: string };
      if (name === "xlat86") return at;
    } catch {
      // Not there: look one level up.
    }
    if (dirname(at) === at) return undefined;
  }
}
