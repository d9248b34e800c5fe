// Child process: one guest from media on QEMU, whose monitor is asked for the text screen's memory.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { LOOK_EVERY_MS, say, screenJob, TEXT_SCREEN, TEXT_WINDOW_BYTES, textOf } from "./child.ts";

const job = screenJob();
const folder = mkdtempSync(join(tmpdir(), "xlat86-bench-"));
const dump = join(folder, "screen");
const place = { hda: "if=ide,index=0", hdc: "if=ide,index=2", fda: "if=floppy,index=0" } as const;
const drives = Object.entries(job.drives).flatMap(([name, file]) => {
  const media = file.endsWith(".iso") ? ",media=cdrom" : "";
  return ["-drive", `format=raw,snapshot=on,file=${file},${place[name as keyof typeof place]}${media}`];
});
const machine = ["-machine", "pc", "-accel", "tcg", "-m", `${job.memoryMiB}`, "-display", "none", "-vga", "std", "-nic", "none", "-serial", "none"];
const child = spawn("qemu-system-i386", [...machine, "-boot", job.boot, "-qmp", "stdio", ...drives], { stdio: ["pipe", "pipe", "inherit"] });

/** QEMU goes before the harness hears anything: it kills this process and knows nothing of that one. */
function finish(status: number): never {
  child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
  if (status === 0) say(job);
  process.exit(status);
}
setTimeout(() => finish(1), job.seconds * 1000);

const landmark = new RegExp(job.landmark);
const ask = (command: object): void => void child.stdin.write(`${JSON.stringify(command)}\n`);
const look = (): void => ask({ execute: "pmemsave", arguments: { val: TEXT_SCREEN.address, size: TEXT_WINDOW_BYTES, filename: dump } });
// The greeting, then the answer to qmp_capabilities, then one to each look.
let answers = 0;
createInterface({ input: child.stdout }).on("line", (line) => {
  const message = JSON.parse(line) as { QMP?: unknown; return?: unknown; error?: { desc: string } };
  if (message.error) {
    console.error(message.error.desc);
    finish(1);
  }
  if (message.QMP) return ask({ execute: "qmp_capabilities" });
  if (!("return" in message)) return;
  if (answers++ > 0 && landmark.test(textOf(readFileSync(dump)))) finish(0);
  setTimeout(look, LOOK_EVERY_MS);
});
child.on("exit", () => finish(1));
