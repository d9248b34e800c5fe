/** Command lines of the long runs (node test/<what>/run.ts): `--help`, and an answer in one line for what is not understood. */
import { type ParseArgsConfig, parseArgs } from "node:util";

/** The options given, and what else (`positionals`, if the configuration allows some). Prints the usage and ends the process for `--help`, with exit code 2 for anything unknown. */
export function commandLine<T extends ParseArgsConfig>(usage: string, config: T): ReturnType<typeof parseArgs<T>> {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}
