/** Where the page is that `--display web` serves: beside the bundled command it lies built; from source it is built like `npm run web` builds it. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "./error.ts";

export interface PageFolder {
  readonly folder: string;
  close(): Promise<void>;
}

/** Errors: `UsageError`. */
export async function openPageFolder(): Promise<PageFolder> {
  const built = fileURLToPath(new URL("./web", import.meta.url));
  if (existsSync(join(built, "index.html"))) return { folder: built, async close() {} };
  const folder = await mkdtemp(join(tmpdir(), "xlat86-page-"));
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    // The worker is for machines in the browser.
    const { buildPage } = await import("../web/host/build.ts");
    await buildPage(folder);
    return { folder, close };
  } catch (error) {
    await close();
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new UsageError("--display web: the page is not built, and what builds it is not installed: run npm install, or npm run build");
  }
}
