/** `npm run web`: builds the page and serves it. */

import { readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { preparedPlugin } from "../prepare/generate.ts";
import { buildPage } from "./host/build.ts";
import { copyAssets } from "./host/copy-assets.ts";
import { ServeError, serve } from "./host/server.ts";

const help = `npm run web -- [options]

  --port N     port to listen at (8086; 0: one that is free)
  --host NAME  address to listen at (127.0.0.1: this machine only; 0.0.0.0: the network, too)
  --build      build into dist/web and do not serve it
  --page       the same with the page alone, without firmware and guests: what the package has, for xlat86 run --display web
`;

async function main(): Promise<number> {
  const folder = resolve(fileURLToPath(import.meta.url), "../../../dist/web");
  let options: { port?: string; host?: string; build?: boolean; page?: boolean; help?: boolean };
  try {
    options = parseArgs({
      options: {
        port: { type: "string" },
        host: { type: "string" },
        build: { type: "boolean" },
        page: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    return fail(`${(error as Error).message}\n\n${help}`);
  }
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  const port = Number(options.port ?? 8086);
  if (!/^\d+$/.test(options.port ?? "0") || port > 65535) return fail(`--port: expected 0 to 65535, found "${options.port}"`);

  for (const { path, bytes } of await buildPage(folder, [preparedPlugin])) {
    const packed = gzipSync(await readFile(join(folder, path))).length;
    process.stdout.write(`${path.padEnd(12)} ${kilobytes(bytes)}, ${kilobytes(packed)} gzipped\n`);
  }
  if (!options.page) {
    const { missing } = await copyAssets(folder);
    for (const message of missing) process.stdout.write(`note: ${message}\n`);
  }
  if (options.build || options.page) {
    process.stdout.write(`built ${relative(process.cwd(), folder) || folder}\n`);
    return 0;
  }
  try {
    const { url } = await serve({ folder, host: options.host ?? "127.0.0.1", port });
    process.stdout.write(`\nxlat86 is at ${url} (Ctrl-C ends)\n`);
    return 0;
  } catch (error) {
    if (error instanceof ServeError) return fail(error.message);
    throw error;
  }
}

const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(0).padStart(5)} kB`;

function fail(message: string): number {
  process.stderr.write(`npm run web: ${message}\n`);
  return 2;
}

const code = await main();
if (code !== 0) process.exitCode = code;
