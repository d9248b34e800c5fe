// What runs in Node runs as its users have it, as JavaScript: types would be taken out of the sources first, at each start. This project is the bundle that `npm run build`
// makes.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";

/** Builds the bundle into a folder that goes when this process ends. @returns its index.js. Errors: those of the build. */
export function buildPackage(project: string): string {
  const folder = folderAmongPackages(project);
  execFileSync(process.execPath, [join(project, "node_modules/tsup/dist/cli-default.js"), "--out-dir", folder, "--silent"], {
    cwd: project,
    stdio: "pipe",
  });
  return join(folder, "index.js");
}

/** Makes a child process's script JavaScript in one file, in a folder that goes when this process ends. @returns that file. Errors: those of the build. */
export function buildChild(project: string, script: string): string {
  const file = join(folderAmongPackages(project), "child.mjs");
  buildSync({ entryPoints: [script], outfile: file, bundle: true, packages: "external", platform: "node", format: "esm", logLevel: "error" });
  return file;
}

/** From where the packages are found. */
function folderAmongPackages(project: string): string {
  const folder = mkdtempSync(join(project, "node_modules", ".bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
