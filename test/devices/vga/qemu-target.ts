/** QEMU's standard VGA as a target of register programs: its virtual CPU stopped, driven by the qtest protocol, frames by the monitor's screendump. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VgaTarget } from "./support.ts";

const qemu = "qemu-system-i386";
export const qemuAvailable = spawnSync(qemu, ["--version"]).error === undefined;
/** Without QEMU these tests say so, and fail where CI=true. */
export const skipQemu = !qemuAvailable && process.env.CI !== "true";
if (skipQemu) console.warn(`SKIPPED: ${qemu} (Debian: qemu-system-x86) is not installed; the display adapter is not compared with QEMU's`);

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 3 bytes a pixel. */
  readonly rgb: Uint8Array;
}

export function readPpm(file: string): Picture {
  const bytes = readFileSync(file);
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 64));
  if (header === null) throw new Error(`${file}: not a binary PPM of 8 bits a component`);
  return { width: Number(header[1]), height: Number(header[2]), rgb: new Uint8Array(bytes.subarray(header[0].length)) };
}

/** A socket on which QEMU answers what it is sent. */
export class Channel {
  private readonly server: Server;
  private readonly connected: Promise<Socket>;
  private received = "";
  private wake: () => void = () => {};

  constructor(path: string) {
    let resolve: (socket: Socket) => void = () => {};
    this.connected = new Promise((connected) => {
      resolve = connected;
    });
    this.server = createServer((socket) => {
      socket.setEncoding("utf8");
      socket.on("data", (text: string) => {
        this.received += text;
        this.wake();
      });
      socket.on("error", () => {});
      resolve(socket);
    });
    this.server.listen(path);
  }

  async send(text: string): Promise<void> {
    (await this.connected).write(text);
  }

  /** What came, once `isEnough`. */
  async receive(isEnough: (text: string) => boolean): Promise<string> {
    while (!isEnough(this.received)) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const text = this.received;
    this.received = "";
    return text;
  }

  async close(): Promise<void> {
    (await this.connected).destroy();
    this.server.close();
  }
}

export class QemuVga implements VgaTarget {
  private readonly folder = mkdtempSync(join(tmpdir(), "xlat86-vga-"));
  private readonly qtest = new Channel(join(this.folder, "qtest"));
  private readonly monitor = new Channel(join(this.folder, "monitor"));
  private readonly process: ChildProcess;
  private lines: string[] = [];

  constructor() {
    const socket = (name: string): string => `unix:${join(this.folder, name)}`;
    this.process = spawn(
      qemu,
      [
        ...["-machine", "pc", "-accel", "tcg", "-S", "-display", "none", "-nodefaults", "-m", "16", "-vga", "std"],
        ...["-qtest", socket("qtest"), "-qtest-log", "none", "-monitor", socket("monitor")],
      ],
      { stdio: "ignore" },
    );
  }

  out(port: number, value: number, size: 1 | 2 | 4 = 1): void {
    this.lines.push(`out${"?bw?l"[size]} 0x${port.toString(16)} 0x${(value >>> 0).toString(16)}`);
  }

  in(port: number, size: 1 | 2 | 4 = 1): void {
    this.lines.push(`in${"?bw?l"[size]} 0x${port.toString(16)}`);
  }

  poke(address: number, value: number, size: 1 | 2 | 4 = 1): void {
    this.lines.push(`write${"?bw?l"[size]} 0x${address.toString(16)} 0x${(value >>> 0).toString(16)}`);
  }

  peek(address: number, size: 1 | 2 | 4 = 1): void {
    this.lines.push(`read${"?bw?l"[size]} 0x${address.toString(16)}`);
  }

  /** Does what was asked for; gives the value of each access, NaN for writes. */
  async run(): Promise<number[]> {
    const { lines } = this;
    this.lines = [];
    if (lines.length === 0) return [];
    const values: number[] = [];
    // In portions that fit the buffers on the way.
    for (let at = 0; at < lines.length; at += 2000) {
      const portion = lines.slice(at, at + 2000);
      await this.qtest.send(`${portion.join("\n")}\n`);
      let count = 0;
      let seen = 0;
      const text = await this.qtest.receive((all) => {
        for (; seen < all.length; seen++) if (all[seen] === "\n") count++;
        return count >= portion.length;
      });
      for (const line of text.trimEnd().split("\n")) {
        if (!line.startsWith("OK")) throw new Error(`qtest: ${line}`);
        values.push(line === "OK" ? Number.NaN : Number(line.slice(3)));
      }
    }
    return values;
  }

  async screendump(): Promise<Picture> {
    await this.run();
    const file = join(this.folder, "screen.ppm");
    await this.monitor.receive((text) => text.endsWith("(qemu) "));
    await this.monitor.send(`screendump ${file}\n`);
    // The prompt comes again when the file is there; leave it for the next time.
    await this.monitor.receive((text) => text.endsWith("(qemu) "));
    await this.monitor.send("\n");
    return readPpm(file);
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill();
    await ended;
    await this.qtest.close();
    await this.monitor.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What a boot sector leaves on the screen of a whole QEMU, once it has sent its byte on COM1. Needs Debian's `seabios` as QEMU does. */
export async function qemuScreen(sector: Uint8Array): Promise<Picture> {
  const folder = mkdtempSync(join(tmpdir(), "xlat86-vga-"));
  const image = new Uint8Array(1 << 20);
  image.set(sector);
  writeFileSync(join(folder, "disk"), image);
  const serial = new Channel(join(folder, "serial"));
  const monitor = new Channel(join(folder, "monitor"));
  const socket = (name: string): string => `unix:${join(folder, name)}`;
  const qemuProcess = spawn(
    qemu,
    [
      ...["-machine", "pc", "-accel", "tcg", "-display", "none", "-nodefaults", "-m", "32", "-vga", "std", "-boot", "c"],
      ...["-drive", `file=${join(folder, "disk")},format=raw,if=ide`, "-serial", socket("serial"), "-monitor", socket("monitor")],
    ],
    { stdio: "ignore" },
  );
  try {
    await serial.receive((text) => text.includes("K"));
    await monitor.receive((text) => text.endsWith("(qemu) "));
    await monitor.send(`screendump ${join(folder, "screen.ppm")}\n`);
    await monitor.receive((text) => text.endsWith("(qemu) "));
    return readPpm(join(folder, "screen.ppm"));
  } finally {
    const ended = new Promise((resolve) => qemuProcess.once("exit", resolve));
    qemuProcess.kill();
    await ended;
    await serial.close();
    await monitor.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
