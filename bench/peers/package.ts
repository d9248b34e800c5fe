// What runs in Node runs as its users have it, as JavaScript: types would be taken out of the sources first, at each start. This project is the bundle that `npm run build`
// makes.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, buildSync } from "esbuild";
import { argumentsToBeginAnew } from "../../src/cli/worker-threads.ts";
import { preparedPlugin } from "../../src/prepare/generate.ts";
import { constantsOf } from "../../src/web/host/constants.ts";
import type { Command } from "./peer.ts";

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
  buildSync({ ...asOneFile, entryPoints: [script], outfile: file });
  return file;
}

const asOneFile = { bundle: true, packages: "external", platform: "node", format: "esm", logLevel: "error" } as const;

/** As the command does: V8's bytecode is kept between runs, and on two cores it has one worker thread, which v86 gains by as well. */
const asCommand = [
  ...["--import", "data:text/javascript,import module from 'node:module'; module.enableCompileCache?.()"],
  ...(argumentsToBeginAnew({ cores: availableParallelism(), execArgv: [], nodeOptions: process.env.NODE_OPTIONS ?? "", argv: [] }) ?? []),
];

/**
 * The command for a child process whose script imports this project's sources, which are made part of it as `npm run build` would. @param options Node's own
 * @param job for the script
 */
export async function builtCommand(script: string, job: unknown, options: readonly string[] = []): Promise<Command> {
  let file = built.get(script);
  if (file === undefined) {
    file = await buildChildWithProject(script);
    built.set(script, file);
  }
  return { program: process.execPath, args: ["--no-warnings", ...asCommand, ...options, file, JSON.stringify(job)] };
}
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
/** Scripts are built once. */
const built = new Map<string, string>();

/** @returns the child's file; the script of the thread that makes regions is beside it, as in the package */
async function buildChildWithProject(script: string): Promise<string> {
  const folder = folderAmongPackages(PROJECT);
  const entryPoints = { child: script, "region-worker": join(PROJECT, "src/machine/background/worker.ts") };
  const { outputFiles } = await build({ ...asOneFile, entryPoints, outdir: folder, write: false, plugins: [preparedPlugin] });
  for (const { path, text } of outputFiles) writeFileSync(path, constantsOf(text));
  return join(folder, "child.js");
}

/** From where the packages are found. */
function folderAmongPackages(project: string): string {
  const folder = mkdtempSync(join(project, "node_modules", ".bench-"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
