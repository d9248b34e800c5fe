/** Runs one machine at the terminal: `run`, `demo` and `guest` differ only in what they boot. */
import { createMachine, type Machine } from "../machine/machine.ts";
import type { GuestImage, MachineOptions } from "../machine/options.ts";
import type { ExitInfo } from "../machine/types.ts";
import type { RunOptions } from "./arguments.ts";
import { Capture } from "./capture.ts";
import { Console, chooseConsole } from "./console.ts";
import { openDebugLog } from "./debug.ts";
import { openDrives } from "./drives.ts";
import { UsageError } from "./error.ts";
import { fileExists, readGuestFile } from "./files.ts";
import { firmwareImages, fontImage } from "./firmware.ts";
import { exitCode } from "./options.ts";
import { RunObserver } from "./run-observer.ts";
import { playScript } from "./script.ts";
import { type HostTime, summary, table } from "./stats.ts";

/** What a kernel is booted with. */
export type KernelImages = Pick<MachineOptions, "initrd" | "append" | "modules"> & { readonly kernel: GuestImage };
/** What `run` boots: such a kernel, or drives by a BIOS. */
export type BootImages = Partial<KernelImages> & Pick<MachineOptions, "bios" | "vgaBios" | "drives" | "boot" | "bootMenu" | "onReset" | "vga">;

/** Reads the files named on the command line. Errors: `UsageError`. */
export function bootImages(command: string, options: RunOptions): KernelImages {
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

/** `xlat86 run`. Errors: `UsageError`, `StorageError`, and what `createMachine` throws. */
export async function run(options: RunOptions): Promise<number> {
  const hasKernel = options.kernel !== undefined;
  if (!hasKernel && options.drives.length === 0 && options.bios === undefined) {
    throw new UsageError("run needs something to boot: --hda FILE, --cdrom FILE, --fda FILE, --virtio FILE, or --kernel FILE");
  }
  for (const name of ["initrd", "append"] as const) {
    if (!hasKernel && options[name] !== undefined) throw new UsageError(`--${name} goes with --kernel FILE`);
  }
  chooseConsole(options, false);
  const kernel = hasKernel ? bootImages("run", options) : {};
  const open = await openDrives(options.drives, options.snapshot);
  try {
    for (const warning of open.warnings) process.stderr.write(`xlat86: ${warning}\n`);
    const { order, menuWait } = options.boot;
    const usesScreen =
      options.display === "text" || options.screenshot !== undefined || options.screenText !== undefined || options.script.length > 0;
    const firmware = hasKernel ? (usesScreen ? await fontImage(options) : {}) : await firmwareImages(options);
    const pc: BootImages = {
      ...firmware,
      drives: open.drives,
      ...(order === undefined ? {} : { boot: order }),
      ...(menuWait === undefined ? {} : { bootMenu: { wait: menuWait } }),
      ...(options.noReboot ? { onReset: "exit" } : {}),
      ...(usesScreen ? { vga: true } : {}),
    };
    return await runAtTerminal({ ...kernel, ...pc }, options);
  } finally {
    await open.close();
  }
}

/** Runs to the end and returns the exit code. Errors: what `createMachine` throws, before anything was started. */
export async function runAtTerminal(images: BootImages, options: RunOptions, more: { summary?: boolean } = {}): Promise<number> {
  const choice = chooseConsole(options, process.stdin.isTTY === true && process.stdout.isTTY === true);
  const observer = new RunObserver(options, images.kernel);
  const debug = openDebugLog(options);
  const capture = new Capture(options);
  let left: number | undefined;
  let machine: Machine | undefined;
  const person = new Console(choice, (code) => {
    left ??= code;
    machine?.pause();
  });
  let captureTimer: NodeJS.Timeout | undefined;
  try {
    const created = createMachine({
      ...images,
      memory: options.memory,
      engine: options.engine,
      clock: options.clock,
      x87: options.x87,
      disable: options.disable,
      ...(observer.sampler ? { sampler: observer.sampler } : {}),
      debug: debug.option,
    });
    machine = created;
    for (const warning of created.warnings) process.stderr.write(`xlat86: ${warning}\n`);
    person.open(created);
    observer.start();
    const { captureAt } = options;
    let captureFailure: unknown;
    const capturing = (): void => {
      try {
        capture.take(created.screen);
      } catch (error) {
        captureFailure = error;
        created.pause();
      }
    };
    if (captureAt !== undefined) captureTimer = setTimeout(capturing, captureAt * 1000);
    let unplayed: string | undefined = options.script.length === 0 ? undefined : "the run ended before all was typed";
    const played = playScript(created, options.script).then(
      () => {
        unplayed = undefined;
      },
      (error: Error) => {
        unplayed = error.message;
      },
    );
    const exit = await created.run(options.timeout === undefined ? {} : { timeout: options.timeout });
    clearTimeout(captureTimer);
    person.closeTerminal();
    if (captureFailure !== undefined) throw captureFailure;
    capture.take(created.screen);
    report(created, exit, options, more.summary === true, await observer.stop());
    // What still waits for the screen is told that the run is over.
    created.destroy();
    await played;
    if (unplayed !== undefined) process.stderr.write(`xlat86: --type: ${unplayed}\n`);
    const code = left ?? codeOf(exit);
    return code === exitCode.success && unplayed !== undefined ? exitCode.different : code;
  } finally {
    clearTimeout(captureTimer);
    person.close();
    capture.close();
    machine?.destroy();
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
