/**
 * QEMU's `pc` over its qtest protocol, one access at a time. Debian's build has no accelerator for tests, in which time would pass when told to; so the CPU
 * gets a BIOS that halts it for good, and time is the host's.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const qemu = "qemu-system-i386";
const available = spawnSync(qemu, ["--version"]).error === undefined;

/** True when there is no QEMU to compare with; loud about it, and never true in CI. */
export function withoutQemu(what: string): boolean {
  if (available || process.env.CI === "true") return false;
  console.warn(`SKIPPED: ${qemu} (Debian: qemu-system-x86) is not installed; ${what} is not compared with QEMU's`);
  return true;
}

/** 64 KiB that end in CLI; HLT; JMP back to the HLT at the reset vector. */
function haltingBios(): Uint8Array {
  const rom = new Uint8Array(0x10000).fill(0xf4);
  rom.set([0xfa, 0xf4, 0xeb, 0xfd], 0xfff0);
  return rom;
}

export class Qtest {
  private readonly child: ChildProcessWithoutNullStreams;
  private text = "";
  private errors = "";
  private readonly waiting: ((line: string) => void)[] = [];
  private ended: Error | undefined;
  private readonly folder = mkdtempSync(join(tmpdir(), "xlat86-qtest-"));

  constructor(args: readonly string[]) {
    const bios = join(this.folder, "halt.bin");
    writeFileSync(bios, haltingBios());
    const common = [
      "-machine",
      "pc",
      "-accel",
      "tcg",
      "-display",
      "none",
      "-nodefaults",
      "-qtest",
      "stdio",
      "-qtest-log",
      "none",
      "-m",
      "64",
      "-bios",
      bios,
    ];
    this.child = spawn(qemu, [...common, ...args]);
    this.child.stdout.setEncoding("utf8").on("data", (text: string) => this.received(text));
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
    const end = (error: Error) => {
      this.ended = error;
      for (const done of this.waiting.splice(0)) done("FAIL");
    };
    this.child.on("error", end).on("exit", (code) => end(new Error(`QEMU ended (${code}): ${this.errors}`)));
    this.child.stdin.on("error", () => {});
    process.once("exit", this.kill);
  }

  /** A test that dies takes its QEMU with it. */
  private readonly kill = (): void => {
    this.child.kill("SIGKILL");
  };

  /** The answer's words after OK. */
  async send(line: string): Promise<string[]> {
    if (this.ended !== undefined) throw this.ended;
    const answer = await new Promise<string>((resolve) => {
      this.waiting.push(resolve);
      this.child.stdin.write(`${line}\n`);
    });
    const [ok, ...words] = answer.trim().split(" ");
    if (ok !== "OK") throw this.ended ?? new Error(`QEMU to "${line}": ${answer}`);
    return words;
  }

  async out(port: number, value: number, size: 1 | 2 | 4 = 1): Promise<void> {
    await this.send(`out${" bw l"[size]} 0x${port.toString(16)} 0x${(value >>> 0).toString(16)}`);
  }

  async in(port: number, size: 1 | 2 | 4 = 1): Promise<number> {
    return Number((await this.send(`in${" bw l"[size]} 0x${port.toString(16)}`))[0]);
  }

  async load(address: number, size: 1 | 2 | 4): Promise<number> {
    return Number((await this.send(`read${" bw l"[size]} 0x${address.toString(16)}`))[0]);
  }

  async store(address: number, size: 1 | 2 | 4, value: number): Promise<void> {
    await this.send(`write${" bw l"[size]} 0x${address.toString(16)} 0x${(value >>> 0).toString(16)}`);
  }

  async peek(address: number, length: number): Promise<Uint8Array> {
    const [hex] = await this.send(`read 0x${address.toString(16)} 0x${length.toString(16)}`);
    return Uint8Array.from(Buffer.from(hex.slice(2), "hex"));
  }

  async poke(address: number, bytes: Uint8Array): Promise<void> {
    await this.send(`write 0x${address.toString(16)} 0x${bytes.length.toString(16)} 0x${Buffer.from(bytes).toString("hex")}`);
  }

  async wait(nanoseconds: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, Math.ceil(nanoseconds / 1e6)));
  }

  async end(): Promise<void> {
    process.removeListener("exit", this.kill);
    if (this.ended !== undefined) return;
    const gone = new Promise<void>((resolve) => this.child.once("exit", () => resolve()));
    this.child.kill("SIGTERM");
    await gone;
    rmSync(this.folder, { recursive: true, force: true });
  }

  private received(text: string): void {
    this.text += text;
    for (let end = this.text.indexOf("\n"); end >= 0; end = this.text.indexOf("\n")) {
      const line = this.text.slice(0, end);
      this.text = this.text.slice(end + 1);
      // Interrupt lines that change are told of in between.
      if (!line.startsWith("IRQ ")) this.waiting.shift()?.(line);
    }
  }
}
