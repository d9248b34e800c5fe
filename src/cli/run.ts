/** Runs one machine at the terminal: `run`, `demo` and `guest` differ only in what they boot. */
import { createMachine, type Machine } from "../machine/machine.ts";
import type { MachineOptions } from "../machine/options.ts";
import type { ExitInfo } from "../machine/types.ts";
import type { RunOptions } from "./arguments.ts";
import { openDebugLog } from "./debug.ts";
import { UsageError } from "./error.ts";
import { fileExists, readGuestFile } from "./files.ts";
import { exitCode } from "./options.ts";
import { RunObserver } from "./run-observer.ts";
import { openSerial } from "./serial.ts";
import { type HostTime, summary, table } from "./stats.ts";
import { Terminal } from "./terminal.ts";

export type BootImages = Pick<MachineOptions, "kernel" | "initrd" | "append" | "modules">;

/** Reads the files named on the command line. Errors: `UsageError`. */
export function bootImages(command: string, options: RunOptions): BootImages {
  if (options.kernel === undefined) throw new UsageError(`${command} needs a kernel: xlat86 ${command} --kernel FILE`);
  return {
    kernel: readGuestFile("kernel", options.kernel),
    ...(options.initrd === undefined ? {} : { initrd: readGuestFile("initrd", options.initrd) }),
    append: options.append ?? "",
    modules: options.modules.map((text) => {
      // "FILE ARGUMENTS": the whole is a file's name if there is such a file.
      const space = fileExists(text) ? -1 : text.indexOf(" ");
      return { image: readGuestFile("module", space < 0 ? text : text.slice(0, space)), commandLine: text };
    }),
  };
}

/** Runs to the end and returns the exit code. Errors: what `createMachine` throws, before anything was started. */
export async function runAtTerminal(images: BootImages, options: RunOptions, more: { summary?: boolean } = {}): Promise<number> {
  const observer = new RunObserver(options, images.kernel);
  const debug = openDebugLog(options);
  let left: number | undefined;
  let machine: Machine | undefined;
  const terminal = new Terminal({
    input: (bytes) => machine?.serial.write(bytes),
    leave(code) {
      left ??= code;
      machine?.pause();
    },
  });
  const serial = openSerial(options.serial, (bytes) => terminal.write(bytes));
  try {
    machine = createMachine({
      ...images,
      memory: options.memory,
      engine: options.engine,
      clock: options.clock,
      disable: options.disable,
      ...(observer.sampler ? { sampler: observer.sampler } : {}),
      debug: debug.option,
    });
    for (const warning of machine.warnings) process.stderr.write(`xlat86: ${warning}\n`);
    machine.on("serial", (bytes) => serial.write(bytes));
    terminal.open(options.serial.kind === "stdio");
    observer.start();
    const exit = await machine.run(options.timeout === undefined ? {} : { timeout: options.timeout });
    terminal.close();
    report(machine, exit, options, more.summary === true, await observer.stop());
    return left ?? codeOf(exit);
  } finally {
    terminal.close();
    machine?.destroy();
    serial.close();
    debug.close();
  }
}

function report(machine: Machine, exit: ExitInfo, options: RunOptions, wantsSummary: boolean, hostTime: HostTime | undefined): void {
  if (exit.reason === "triple-fault") process.stderr.write(`\nxlat86: triple fault: an exception while delivering a double fault\n${exit.state}\n`);
  if (exit.reason === "timeout") process.stderr.write(`\nxlat86: stopped after ${options.timeout} s (--timeout)\n`);
  if (options.stats === "json")
    process.stderr.write(`${JSON.stringify({ exit: exit.reason, ...machine.stats(), ...(hostTime ? { hostTime } : {}) })}\n`);
  else if (options.stats === "table") process.stderr.write(`\n${table(machine.stats(), hostTime)}`);
  else if (wantsSummary) process.stderr.write(`\n${summary(machine.stats())}`);
}

function codeOf(exit: ExitInfo): number {
  switch (exit.reason) {
    case "debug-exit":
      return exit.code & 0xff;
    case "triple-fault":
      return exitCode.tripleFault;
    case "timeout":
      return exitCode.timeout;
    default:
      return exitCode.success;
  }
}
