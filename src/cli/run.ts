/** Runs one machine at the terminal: `run`, `demo` and `guest` differ only in what they boot. */
import { createMachine, type Machine } from "../machine/machine.ts";
import { MediaChanger } from "../machine/media-changer.ts";
import type { Drives, GuestImage, MachineOptions } from "../machine/options.ts";
import type { ExitInfo } from "../machine/types.ts";
import type { RunOptions } from "./arguments.ts";
import { Capture } from "./capture.ts";
import { Console, chooseConsole } from "./console.ts";
import { openDebugLog } from "./debug.ts";
import { Departure } from "./departure.ts";
import type { WebDisplay } from "./display-web.ts";
import type { DriveRequest } from "./drive-options.ts";
import { openDrives, openMedium } from "./drives.ts";
import { UsageError } from "./error.ts";
import { fileExists, readGuestFile } from "./files.ts";
import { firmwareImages, fontImage } from "./firmware.ts";
import { Messages } from "./messages.ts";
import { type MonitorHost, runMonitorCommand } from "./monitor.ts";
import { exitCode } from "./options.ts";
import { refuseOverwriting } from "./overwriting.ts";
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
  if (hasKernel && options.bios !== undefined) {
    throw new UsageError("--bios: a kernel that is booted directly needs no BIOS; leave out --bios, or --kernel");
  }
  chooseConsole(options, false);
  refuseOverwriting(options);
  const kernel = hasKernel ? bootImages("run", options) : {};
  return withDrives(options.drives, options, async (drives, guidance) => {
    const { order, menuWait } = options.boot;
    const { display, screenshot, screenText, script, vgaBios } = options;
    const usesScreen =
      display === "text" || display === "web" || screenshot !== undefined || screenText !== undefined || script.length > 0 || vgaBios !== undefined;
    const firmware = hasKernel ? (usesScreen ? await fontImage(options) : {}) : await firmwareImages(options);
    const pc: BootImages = {
      ...firmware,
      drives,
      ...(order === undefined ? {} : { boot: order }),
      ...(menuWait === undefined ? {} : { bootMenu: { wait: menuWait } }),
      ...(options.noReboot ? { onReset: "exit" } : {}),
      ...(usesScreen ? { vga: true } : {}),
    };
    return runAtTerminal({ ...kernel, ...pc }, options, guidance);
  });
}

/** How the person is spoken to, and how he leaves. */
export interface Guidance {
  readonly messages: Messages;
  readonly departure: Departure;
  /** Closes the medium that a drive had from the start. */
  readonly release?: (place: string) => Promise<void>;
}

/** Opens the drives, and closes them whatever happens. Errors: `UsageError`, `StorageError`, and those of `use`. */
export async function withDrives(
  requests: readonly DriveRequest[],
  options: RunOptions,
  use: (drives: Drives, guidance: Guidance) => Promise<number>,
): Promise<number> {
  const guidance: Guidance = { messages: new Messages(), departure: new Departure() };
  const { messages, departure } = guidance;
  try {
    const open = await openDrives(requests, options.snapshot, messages.say);
    departure.exitAfter(open.close);
    try {
      for (const warning of open.warnings) messages.say(warning);
      return await use(open.drives, { ...guidance, release: open.release });
    } finally {
      await open.close();
    }
  } finally {
    departure.close();
  }
}

/** Runs to the end and returns the exit code. Errors: what `createMachine` throws, before anything was started. */
export async function runAtTerminal(
  images: BootImages,
  options: RunOptions,
  { messages, departure, release }: Guidance,
  wantsSummary = false,
): Promise<number> {
  refuseOverwriting(options);
  const choice = chooseConsole(options, process.stdin.isTTY === true && process.stdout.isTTY === true);
  const observer = new RunObserver(options, images.kernel);
  const debug = openDebugLog(options, choice.display === "text");
  const capture = new Capture(options, messages.say);
  let machine: Machine | undefined;
  const person = new Console(choice, messages, departure.leave);
  let captureTimer: NodeJS.Timeout | undefined;
  let web: WebDisplay | undefined;
  let media: MediaChanger | undefined;
  try {
    web = choice.display === "web" ? await openWebDisplay(options) : undefined;
    const sampler = web?.sampler(observer.sampler) ?? observer.sampler;
    const created = createMachine({
      ...images,
      ...(web && images.drives ? { drives: web.watch(images.drives) } : {}),
      memory: options.memory,
      engine: options.engine,
      clock: options.clock,
      x87: options.x87,
      ...(options.cpuidLevel === undefined ? {} : { cpuidLevel: options.cpuidLevel }),
      disable: options.disable,
      ...(sampler ? { sampler } : {}),
      debug: debug.option,
    });
    machine = created;
    for (const warning of created.warnings) messages.say(warning);
    created.on("warning", messages.say);
    sayWhenShutDown(created, messages);
    media = new MediaChanger(created.drives, async (place) => release?.(place));
    if (web) {
      const hasDisplay = images.kernel === undefined || images.vga === true;
      web.show({ machine: created, media, hasDisplay, leave: () => departure.leave(exitCode.success) });
      messages.say(`the machine is at ${web.url}  (Ctrl-C ends)`);
    }
    const monitor: MonitorHost = {
      media,
      openMedium: (place, path) => openMedium(place, path, options.snapshot, messages.say),
      leave: () => departure.leave(exitCode.success),
    };
    person.open(created, (line) => runMonitorCommand(monitor, line));
    observer.start();
    const { captureAt } = options;
    let captureFailure: unknown;
    const stop = (): void => (web === undefined ? created.pause() : web.stop());
    const capturing = (): void => {
      try {
        capture.take(created.screen);
      } catch (error) {
        captureFailure = error;
        stop();
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
    const running = (web ?? created).run(options.timeout === undefined ? {} : { timeout: options.timeout });
    departure.onLeave(stop);
    const exit = await running;
    clearTimeout(captureTimer);
    person.closeTerminal();
    if (captureFailure !== undefined) throw captureFailure;
    // A picture that cannot be written shall not cost the profile.
    const failures = [attempt(() => capture.take(created.screen))];
    const hostTime = await observer.stop().catch((error: unknown) => void failures.push({ error }));
    report(created, exit, options, wantsSummary, hostTime ?? undefined);
    // What still waits for the screen is told that the run is over.
    created.destroy();
    await played;
    if (unplayed !== undefined) messages.say(`--type: ${unplayed}`);
    const failure = failures.find((found) => found !== undefined);
    if (failure !== undefined) throw failure.error;
    const code = departure.code ?? codeOf(exit);
    return code === exitCode.success && unplayed !== undefined ? exitCode.different : code;
  } finally {
    clearTimeout(captureTimer);
    person.close();
    capture.close();
    observer.close();
    machine?.destroy();
    debug.close();
    await web?.close().finally(() => media?.close());
    await media?.close();
  }
}

/** Its code is loaded when it is asked for. Errors: `UsageError`. */
async function openWebDisplay(options: RunOptions): Promise<WebDisplay> {
  const { WebDisplay } = await import("./display-web.ts");
  return WebDisplay.open(options);
}

function attempt(act: () => void): { readonly error: unknown } | undefined {
  try {
    act();
  } catch (error) {
    return { error };
  }
}

/** A PC whose CPU shuts down starts again, and does so for ever where the reason stays: once, that is worth a word. */
function sayWhenShutDown(machine: Machine, { say }: Messages): void {
  const shutDown = (exit: ExitInfo): void => {
    if (exit.reason !== "triple-fault") return;
    machine.off("reset", shutDown);
    say("the guest's CPU shut down (triple fault), and the PC starts again; --no-reboot ends there and shows the CPU's state");
  };
  machine.on("reset", shutDown);
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
