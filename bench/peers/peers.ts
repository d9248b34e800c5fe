// The peers of the bench, one table row each.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defaultGuestCache, installFile, withDebianTree } from "../../src/guest/debian.ts";
import { progressBar } from "../../src/guest/progress.ts";
import { buildNative } from "../kernels/build.ts";
import type { ChildJob } from "./guest-process.ts";
import { buildChild, buildPackage } from "./package.ts";
import type { Command, Peer } from "./peer.ts";

const DIRECTORY = dirname(fileURLToPath(import.meta.url));
const PROJECT = join(DIRECTORY, "..", "..");
/** SeaBIOS as a distribution installs it; v86 needs it to boot a bzImage. */
const SYSTEM_FIRMWARE = "/usr/share/seabios";
const FIRMWARE_FILES = ["bios.bin", "vgabios.bin"];
const NATIVE_PROGRAM = resolve(process.env.XLAT86_CACHE ?? ".cache", "bench", "native");

/** Each script is built once. */
function nodeChild(script: string): (job: ChildJob) => Command {
  let file: string | undefined;
  return (job) => {
    file ??= buildChild(PROJECT, join(DIRECTORY, script));
    return { program: process.execPath, args: [file, JSON.stringify(job)] };
  };
}
const xlat86Child = nodeChild("run-xlat86.ts");
const v86Child = nodeChild("run-v86.ts");

function packageVersion(file: string): string {
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

function firstLine(program: string, args: string[]): string | null {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n")[0];
  } catch {
    return null;
  }
}

function xlat86(name: string, engine: "translate" | "interpret", warmsUp: boolean, built: () => string): Peer {
  return {
    name,
    warmsUp,
    reportsStats: true,
    missing: async () => {
      built();
      return null;
    },
    version: () => packageVersion(join(PROJECT, "package.json")),
    command: (guest) => xlat86Child({ guest, settings: { engine, package: built() } }),
  };
}

function v86(name: string, interpret: boolean, warmsUp: boolean): Peer {
  let firmware = SYSTEM_FIRMWARE;
  return {
    name,
    warmsUp,
    reportsStats: false,
    async missing() {
      if (!existsSync(join(PROJECT, "node_modules/v86"))) return "the npm package v86 is not installed";
      firmware = await firmwareDirectory();
      return null;
    },
    version: () => packageVersion(join(PROJECT, "node_modules/v86/package.json")),
    command(guest) {
      const settings: ChildJob["settings"] = { interpret };
      if (guest.boot === "linux") {
        settings.bios = join(firmware, "bios.bin");
        settings.vgaBios = join(firmware, "vgabios.bin");
      }
      return v86Child({ guest, settings });
    },
  };
}

/** SeaBIOS in the form that v86 takes, fetched where the host has none. */
export async function firmwareDirectory(): Promise<string> {
  if (FIRMWARE_FILES.every((file) => existsSync(join(SYSTEM_FIRMWARE, file)))) return SYSTEM_FIRMWARE;
  const directory = join(defaultGuestCache(), "seabios");
  if (FIRMWARE_FILES.every((file) => existsSync(join(directory, file)))) return directory;
  await withDebianTree(
    { onProgress: progressBar(process.stderr) },
    async () => ["seabios"],
    async (tree) => {
      await mkdir(directory, { recursive: true });
      for (const file of FIRMWARE_FILES) await installFile(join(tree, "usr/share/seabios", file), join(directory, file));
    },
  );
  return directory;
}

/** What a Goldmont server processor has that xlat86's has not, and SHA, which TCG has not. */
const WITHOUT =
  "pclmulqdq rdrand rdseed erms smep smap fsgsbase xsave xsaveopt xsavec xgetbv1 clflushopt 3dnowprefetch x2apic tsc-deadline spec-ctrl ssbd arch-capabilities rdctl-no skip-l1dfl-vmentry syscall lm sha-ni".split(
    " ",
  );
/** The processor that xlat86 has, as near as may be: the guest's libraries choose their routines by CPUID. */
const QEMU_PROCESSOR = ["Denverton-v2", ...WITHOUT.map((feature) => `-${feature}`)].join(",");

const qemu: Peer = {
  name: "qemu",
  // TCG translates everything once, at first sight.
  warmsUp: false,
  reportsStats: false,
  missing: async () => (firstLine("qemu-system-i386", ["--version"]) ? null : "qemu-system-i386 is not installed (Debian: qemu-system-x86)"),
  version: () => firstLine("qemu-system-i386", ["--version"]) ?? "",
  command(guest) {
    const machine = ["-accel", "tcg", "-cpu", QEMU_PROCESSOR, "-m", `${guest.memoryMiB}`, "-display", "none", "-no-reboot"];
    // The serial line goes through a pipe without a monitor on it.
    const serial = ["-monitor", "none", "-serial", "stdio"];
    const exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
    const images = ["-kernel", guest.kernel, ...(guest.initrd === undefined ? [] : ["-initrd", guest.initrd]), "-append", guest.commandLine];
    return { program: "qemu-system-i386", args: [...machine, ...serial, ...exit, ...images] };
  },
};

const native: Peer = {
  name: "native",
  // Its passes take a few milliseconds, and a marker may be read one late: the mean of several counts.
  warmsUp: true,
  reportsStats: false,
  async missing() {
    try {
      buildNative(NATIVE_PROGRAM);
      execFileSync(NATIVE_PROGRAM, ["passes=0"]);
      return null;
    } catch {
      return "32-bit programs cannot be compiled or run here (Debian: gcc-multilib, on an x86 host)";
    }
  },
  version: () => cpuModel(),
  command: (guest) => (guest.native ? { program: NATIVE_PROGRAM, args: guest.native } : null),
};

/** The host processor, as Linux names it. */
export function cpuModel(): string {
  const info = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "";
  return info.match(/^model name\s*: (.*)$/m)?.[1] ?? process.arch;
}

/** Every peer, in the order of the table's columns. */
export function allPeers(): Peer[] {
  let made: string | undefined;
  const built = (): string => {
    made ??= buildPackage(PROJECT);
    return made;
  };
  return [
    xlat86("xlat86", "translate", true, built),
    v86("v86", false, true),
    xlat86("xlat86-tier0", "interpret", false, built),
    v86("v86-nojit", true, false),
    qemu,
    native,
  ];
}
