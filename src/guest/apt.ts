// An apt of our own beside the host's: same program, own directories. apt-get and dpkg-deb are started as child processes and never as root's business:
// everything they write lies under one directory, and hooks of the host's configuration are not run (its transport settings, such as proxies, are kept).

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export class GuestFetchError extends Error {
  override name = "GuestFetchError";
}

/** One suite of a Debian mirror. */
export interface Suite {
  mirror: string;
  name: string;
}

const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const STDERR_KEPT = 4000;
const STATUS_FD = 3;

interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Receives apt's percentage (0 to 100) from its status file descriptor. */
  onPercent?: (percent: number) => void;
}

/** Runs a host program to its end and returns its standard output; an error names the program and quotes what it said last. */
export function runTool(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: "C", ...options.env },
      stdio: ["ignore", "pipe", "pipe", options.onPercent ? "pipe" : "ignore"],
    });
    let output = "";
    let errors = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-STDERR_KEPT);
    });
    if (options.onPercent) {
      const report = options.onPercent;
      // apt's README.progress-reporting: "dlstatus:<item>:<percent>:<text>".
      createInterface({ input: child.stdio[STATUS_FD] as Readable }).on("line", (line) => {
        const fields = line.split(":");
        if (fields[0] === "dlstatus") report(Number(fields[2]));
      });
    }
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") fail(error);
      else
        fail(
          new GuestFetchError(`${program} is not installed; fetching from Debian's packages needs apt-get and dpkg-deb (a Debian or Ubuntu host)`),
        );
    });
    child.on("close", (code) => {
      if (code === 0) done(output);
      else fail(new GuestFetchError(`${program} ${args.join(" ")}: exit ${code}\n${errors.trim()}`));
    });
  });
}

/** The Debian mirror that the host's apt sources name; Debian's own server where they name none. */
export async function hostMirror(): Promise<string> {
  const partsDirectory = "/etc/apt/sources.list.d";
  const parts = existsSync(partsDirectory) ? await readdir(partsDirectory) : [];
  let text = "";
  for (const file of ["/etc/apt/sources.list", ...parts.map((name) => join(partsDirectory, name))]) {
    if (existsSync(file)) text += `${await readFile(file, "utf8")}\n`;
  }
  const uncommented = text.replace(/^\s*#.*$/gm, "");
  return uncommented.match(/https?:\/\/\S+\/debian\/?(?=\s)/)?.[0] ?? "http://deb.debian.org/debian";
}

/** The `name=version` of each "Inst" line that `apt-get -s install` prints. */
export function parseInstallPlan(plan: string): string[] {
  return [...plan.matchAll(/^Inst (\S+) \((\S+) /gm)].map((match) => `${match[1]}=${match[2]}`);
}

export class PrivateApt {
  readonly directory: string;
  readonly architecture: string;

  constructor(directory: string, architecture: string) {
    this.directory = directory;
    this.architecture = architecture;
  }

  /** Makes the directories, the configuration and the sources, and fetches the package lists. */
  async update(suite: Suite, onPercent: (percent: number) => void): Promise<void> {
    for (const name of ["lists/partial", "cache/archives/partial", "parts", "preferences.d"])
      await mkdir(join(this.directory, name), { recursive: true });
    await writeFile(join(this.directory, "status"), "");
    const signedBy = existsSync(DEBIAN_KEYRING) ? `[signed-by=${DEBIAN_KEYRING}] ` : "";
    await writeFile(join(this.directory, "sources.list"), `deb ${signedBy}${suite.mirror} ${suite.name} main\n`);
    await writeFile(this.configurationFile(), await this.configuration());
    await this.get(["update", "--error-on=any"], onPercent);
  }

  /** The `Depends` field of a package's newest version. */
  async dependencies(packageName: string): Promise<string> {
    const record = await runTool("apt-cache", ["show", "--no-all-versions", packageName], { env: this.environment() });
    return record.match(/^Depends: (.*)$/m)?.[1] ?? "";
  }

  /** The packages and all that they depend on, as `name=version`, in the order in which an empty system would install them. */
  async withDependencies(packages: readonly string[]): Promise<string[]> {
    // -s only tells what would be done; the status file of this apt says that nothing is installed yet.
    const plan = await runTool("apt-get", ["-q", "-s", "--no-install-recommends", "install", ...packages], { env: this.environment() });
    return parseInstallPlan(plan);
  }

  /** Downloads packages into a directory; returns nothing, the directory then holds one .deb file for each. */
  async download(packages: readonly string[], into: string, onPercent: (percent: number) => void): Promise<void> {
    await mkdir(into, { recursive: true });
    await this.get(["download", ...packages], onPercent, into);
  }

  private get(args: readonly string[], onPercent: (percent: number) => void, cwd?: string): Promise<string> {
    return runTool("apt-get", ["-q", "-o", `APT::Status-Fd=${STATUS_FD}`, ...args], { cwd, env: this.environment(), onPercent });
  }

  private environment(): Record<string, string> {
    return { APT_CONFIG: this.configurationFile() };
  }

  private configurationFile(): string {
    return join(this.directory, "apt.conf");
  }

  private async configuration(): Promise<string> {
    const host = await runTool("apt-config", ["dump"]);
    // Only how to reach a mirror is taken over. Hooks (APT::Update::Post-Invoke and the like) would act on the host's own package state.
    const transport = host.split("\n").filter((line) => /^Acquire::(?!IndexTargets|Changelogs|Languages)/.test(line));
    const setting = (name: string, value: string) => `${name} "${value}";`;
    return [
      ...transport,
      setting("APT::Architecture", this.architecture),
      `APT::Architectures { "${this.architecture}"; };`,
      setting("Acquire::Languages", "none"),
      setting("Acquire::PDiffs", "false"),
      setting("Acquire::Retries", "3"),
      // The host's sandbox user may not enter our directory.
      setting("APT::Sandbox::User", ""),
      setting("Dir::State", this.directory),
      setting("Dir::State::lists", join(this.directory, "lists")),
      setting("Dir::State::status", join(this.directory, "status")),
      setting("Dir::Cache", join(this.directory, "cache")),
      setting("Dir::Cache::archives", join(this.directory, "cache/archives")),
      setting("Dir::Etc::sourcelist", join(this.directory, "sources.list")),
      setting("Dir::Etc::sourceparts", join(this.directory, "parts")),
      setting("Dir::Etc::preferences", "/dev/null"),
      setting("Dir::Etc::preferencesparts", join(this.directory, "preferences.d")),
      // This file is read first; without these two lines the host's own configuration would follow it and win.
      setting("Dir::Etc::main", "/dev/null"),
      setting("Dir::Etc::parts", join(this.directory, "parts")),
      "",
    ].join("\n");
  }
}
