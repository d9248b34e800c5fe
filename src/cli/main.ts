#!/usr/bin/env node
/** The command: reads argv, runs one command, turns what went wrong into one line and an exit code. */
import nodeModule, { createRequire } from "node:module";
import { BootError } from "../boot/error.ts";
import { MachineError } from "../machine/options.ts";
import { type Invocation, optimisationsHelp, parseArguments } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { exitCode } from "./options.ts";
import { watchOutputs } from "./output-failure.ts";
import { settleWorkerThreads } from "./worker-threads.ts";

type Command = Extract<Invocation, { action: "command" }>;

/** Each command's code is loaded when it is asked for: --help and a mistyped option should answer at once. */
const commands: Readonly<Record<Command["command"], (command: Command) => Promise<number>>> = {
  async run({ options }) {
    const { run } = await import("./run.ts");
    return run(options);
  },
  async demo({ options }) {
    const { runDemo } = await import("./demo.ts");
    return runDemo(options);
  },
  async guest({ operands, options }) {
    const { runDebianGuest, runLinuxGuest } = await import("./guest.ts");
    return operands[0] === "debian" ? runDebianGuest(options) : runLinuxGuest(options);
  },
  async dump({ options }) {
    const { dump } = await import("./dump.ts");
    return dump(options);
  },
  async bisect({ options }) {
    const { bisectKernel } = await import("./bisect.ts");
    return bisectKernel(options);
  },
};

const runsForLong: ReadonlySet<Command["command"]> = new Set(["run", "guest"]);

async function main(argv: readonly string[]): Promise<number> {
  // V8's bytecode of what the commands load, kept between runs where Node can (22.1 and newer): a third off the time to the guest's first instruction.
  nodeModule.enableCompileCache?.();
  const invocation = parseArguments(argv);
  if (invocation.action === "help") {
    process.stdout.write(invocation.command ? commandHelp(invocation.command) : generalHelp());
    return exitCode.success;
  }
  if (invocation.action === "version") {
    process.stdout.write(`xlat86 ${version()}\n`);
    return exitCode.success;
  }
  if (invocation.action === "optimisations") {
    process.stdout.write(optimisationsHelp());
    return exitCode.success;
  }
  if (runsForLong.has(invocation.command)) settleWorkerThreads();
  return commands[invocation.command](invocation);
}

function version(): string {
  // From src/cli and from dist alike: the nearest package.json above.
  const require = createRequire(import.meta.url);
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const found = require(path) as { name?: string; version?: string };
      if (found.name === "xlat86" && found.version) return found.version;
    } catch {
      // Not there: look one level up.
    }
  }
  return "unknown";
}

function isExpected(error: unknown): error is Error {
  if (error instanceof UsageError || error instanceof BootError || error instanceof MachineError) return true;
  return error instanceof Error && ["GuestFetchError", "StorageError"].includes(error.name);
}

const outputs = watchOutputs();
const code = await main(process.argv.slice(2)).catch((error: unknown) => {
  if (isExpected(error)) {
    process.stderr.write(`xlat86: ${error.message.replaceAll("\n", " ")}\n`);
    return exitCode.usage;
  }
  process.stderr.write(`xlat86: internal error, please report it: ${error instanceof Error ? error.stack : String(error)}\n`);
  return exitCode.internal;
});
process.exitCode = outputs.code ?? code;
