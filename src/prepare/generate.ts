/** The build step: handlers for the instructions of shapes.txt, as the text that src/machine/prepared.ts has in a build. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { prepare } from "../../translator/prepared/prepare.ts";
import { usualRequest } from "../machine/tier-request.ts";
import { pack } from "./pack.ts";
import { parseSamples } from "./samples.ts";

const list = new URL("shapes.txt", import.meta.url);
/** The module that has nothing in a checkout, and what it exports. */
const place = fileURLToPath(new URL("../machine/prepared.ts", import.meta.url));
/** Handlers in line in the loop: the rest is a thousandth of what a boot executes on tier 0. */
const mostInLine = 600;

export async function preparedBytes(): Promise<Uint8Array<ArrayBuffer>> {
  return prepare(parseSamples(await readFile(list, "utf8")), usualRequest(), mostInLine);
}

export async function preparedModule(): Promise<string> {
  const bytes = await preparedBytes();
  const text = Buffer.from(pack(bytes)).toString("base64");
  return `export const prepared = { text: ${JSON.stringify(text)}, size: ${bytes.length} };\n`;
}

/** For esbuild (and tsup): the structural part of its `Plugin` that is used. */
export const preparedPlugin = {
  name: "prepared handlers",
  setup(build: {
    onLoad(options: { filter: RegExp }, load: (file: { path: string }) => Promise<{ contents: string; loader: "ts" } | undefined>): void;
  }): void {
    build.onLoad({ filter: /[\\/]machine[\\/]prepared\.ts$/ }, async ({ path }) =>
      path === place ? { contents: await preparedModule(), loader: "ts" } : undefined,
    );
  },
};
