// This project as its users have it: the bundle that `npm run build` makes. Run from its sources it would spend half a second on their types first.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Builds the bundle into a folder that goes when this process ends. @returns its index.js. Errors: those of the build. */
export function buildPackage(project: string): string {
  // Among the packages, so that it finds those it imports.
  const folder = mkdtempSync(join(project, "node_modules", ".bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  execFileSync(process.execPath, [join(project, "node_modules/tsup/dist/cli-default.js"), "--out-dir", folder, "--silent"], {
    cwd: project,
    stdio: "pipe",
  });
  return join(folder, "index.js");
}
