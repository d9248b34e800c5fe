// The embedded guest's output as QEMU gives it, and what of it may differ from processor to processor and from run to run.
// `node test/demo/qemu.ts` captures it anew into expected.txt.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { demoImage } from "../../src/demo/image.ts";

export const EXPECTED_OUTPUT = join(dirname(fileURLToPath(import.meta.url)), "expected.txt");

/** The demo's whole output, run without a terminal. */
export function runInQemu(): string {
  const work = mkdtempSync(join(tmpdir(), "xlat86-demo-"));
  try {
    const image = join(work, "demo.bin");
    writeFileSync(image, demoImage());
    const machine = ["-accel", "tcg", "-cpu", "pentium3", "-m", "32", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"];
    const result = spawnSync("qemu-system-i386", [...machine, "-kernel", image], { encoding: "latin1", timeout: 60_000 });
    if (result.status !== 0) throw new Error(`qemu-system-i386: ${result.error ?? `exit ${result.status}`}\n${result.stderr}`);
    return result.stdout;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Blanks out what is a property of the processor or of time, and nothing else. */
export function masked(output: string): string {
  return (
    output
      .replaceAll("\r\n", "\n")
      .replace(/^(processor {8}).*$/m, "$1(vendor, family, model, stepping)")
      .replace(/^( {2}CPUID +)[0-9a-f]{8}( +)[0-9a-f]{8}/m, "$1signature$2signature")
      // QEMU has no performance counters at all and answers #UD in ring 0; other processors have some or raise #GP.
      .replace(/^( {2}RDPMC +)(done {6}|#UD {7}|#GP\(0000\) )/m, "$1(any)     ")
      .replace(/^In all: \d+ timer ticks, \d+ task switches, \d+ system calls, /m, "In all: T timer ticks, S task switches, C system calls, ")
      .replace(/\d+ faults provoked/, "F faults provoked")
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(EXPECTED_OUTPUT, masked(runInQemu()));
  console.log("test/demo/expected.txt: captured from QEMU");
}
