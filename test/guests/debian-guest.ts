// The Debian disk as people run it: the command in a process of its own, driven over the pipe to its serial line, so that it can be killed. What is on the disk afterwards
// is judged by e2fsprogs and QEMU's tools.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DebianBus, DebianDisk } from "../../src/guest/debian-disk.ts";
import { debianCommandLine } from "../../src/guest/debian-disk.ts";
import { DEBIAN_PROMPT } from "../../src/guest/debian-root.ts";
import { PARTITION_OFFSET } from "../../src/guest/ext4-disk.ts";

const command = join(import.meta.dirname, "../../src/cli/main.ts");
/** A line wide enough that the shell does not wrap what is typed; the kernel's messages stay in its log. */
const settle = "stty cols 3000; dmesg -n 1";

export interface GuestSetup {
  readonly bus: DebianBus;
  readonly image: string;
  readonly format: "raw" | "qcow2";
  /** More words of --drive, as ",readonly=on". */
  readonly words?: string;
  readonly append?: string;
  /** A shell's words before the command: limits. */
  readonly shell?: string;
  readonly engine?: "translate" | "interpret";
}

/** Seconds, for a guest that hangs: what a test does with one takes up to two minutes of an idle host, and the host may be anything but idle. */
export const guestSeconds = 1800;

const guests = new Set<DebianGuest>();

export async function killAllGuests(): Promise<void> {
  for (const guest of guests) await guest.kill();
}

export class DebianGuest {
  output = "";
  errors = "";
  private read = 0;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly ended: Promise<number | null>;
  private hasEnded = false;
  private changed: () => void = () => {};

  constructor(disk: DebianDisk, setup: GuestSetup) {
    const { bus, image, format, words = "", append, shell = "", engine = "translate" } = setup;
    const drive = `file=${image},if=${bus},format=${format}${words}`;
    const boot = ["--kernel", disk.kernel, "--initrd", disk.initrd, "--append", debianCommandLine(bus, append), "--drive", drive];
    const args = [process.execPath, command, "run", ...boot, "--serial", "stdio", "--engine", engine, "--timeout", `${guestSeconds}`];
    this.child = spawn("sh", ["-c", `${shell} exec "$@"`, "sh", ...args], { stdio: "pipe" });
    guests.add(this);
    this.child.stdin.on("error", () => {});
    this.child.stdout.on("data", (bytes: Buffer) => {
      this.output += bytes.toString("latin1");
      this.changed();
    });
    this.child.stderr.on("data", (bytes: Buffer) => {
      this.errors += bytes.toString();
    });
    this.ended = new Promise((done) => {
      this.child.on("close", (code) => {
        this.hasEnded = true;
        guests.delete(this);
        this.changed();
        done(code);
      });
    });
  }

  /** Waits for `text` behind what was waited for before; returns what came before it. */
  async expect(text: string): Promise<string> {
    for (;;) {
      const at = this.output.indexOf(text, this.read);
      if (at >= 0) {
        const before = this.output.slice(this.read, at);
        this.read = at + text.length;
        return before;
      }
      if (this.hasEnded) throw new Error(`the run ended before ${JSON.stringify(text)} came:\n${this.output.slice(-3000)}\n${this.errors}`);
      await new Promise<void>((done) => {
        this.changed = done;
      });
    }
  }

  async booted(): Promise<void> {
    await this.expect(DEBIAN_PROMPT);
    await this.run(settle);
  }

  /** Types a line and returns what came until the next prompt. */
  async run(line: string): Promise<string> {
    this.type(`${line}\n`);
    await this.expect("\r\n");
    return (await this.expect(DEBIAN_PROMPT)).replaceAll("\r\n", "\n").trim();
  }

  type(text: string): void {
    this.child.stdin.write(text);
  }

  /** As a crash of the host's process would: nothing of it runs any more. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  /** Exit code of the command. */
  exit(): Promise<number | null> {
    return this.ended;
  }

  async powerOff(): Promise<number | null> {
    this.type("poweroff\n");
    return this.exit();
  }
}

/** Copies the partition out of a raw image, for tools that know nothing of partitions (e2fsck forgets an offset once it has replayed a journal). */
export function partitionOf(image: string, into: string): string {
  execFileSync("dd", [`if=${image}`, `of=${into}`, `bs=${PARTITION_OFFSET}`, "skip=1", "conv=sparse"], { stdio: "ignore" });
  return into;
}

export function fileSystemCheck(partition: string, ...options: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync("e2fsck", [...options, partition], { encoding: "utf8", env: rootPath() });
  return { status, output: stdout + stderr };
}

/** Status 0: nothing to complain about, and nothing left to replay. */
export const cleanCheck = (partition: string): ReturnType<typeof fileSystemCheck> => fileSystemCheck(partition, "-fn");

/** Copies a directory of the file system to the host. */
export function dumpDirectory(partition: string, path: string, into: string): void {
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  execFileSync("debugfs", ["-R", `rdump ${path} ${into}`, partition], { stdio: "ignore", env: rootPath() });
}

function rootPath(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C" };
}

export function sha256OfFile(path: string): string {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(1 << 20);
  const fd = openSync(path, "r");
  for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) hash.update(buffer.subarray(0, count));
  closeSync(fd);
  return hash.digest("hex");
}

/** The lines of a file that sha256sum wrote, checked against the files beside it; returns how many were right. */
export function checkSums(directory: string, sums: string): number {
  const lines = readFileSync(join(directory, sums), "utf8").trimEnd().split("\n");
  for (const line of lines) {
    const [sum, name] = line.split(/ [ *]/);
    const found = sha256OfFile(join(directory, name!));
    if (found !== sum) throw new Error(`${name}: sha256 ${found}, expected ${sum}`);
  }
  return lines.length;
}
