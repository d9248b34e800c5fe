/** Outcomes from this machine's CPU, by way of capture/harness.c. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inputSize, outcomeSize } from "./cases.ts";

/** Builds the capture program; needs an x86 Linux with `gcc -m32` (Debian: gcc-multilib). Returns its path. */
export function buildHarness(): string {
  const out = join(mkdtempSync(join(tmpdir(), "simd-")), "harness");
  const source = fileURLToPath(new URL("./capture/harness.c", import.meta.url));
  execFileSync("gcc", ["-m32", "-O2", "-static", "-fno-pie", "-no-pie", "-Wall", source, "-o", out], { stdio: "inherit" });
  return out;
}

/** Whether this machine can judge. When it cannot, a test that needs it says so, and fails in CI. */
export function canCapture(): boolean {
  const why = process.platform !== "linux" ? "not Linux" : !["x64", "ia32"].includes(process.arch) ? "not an x86" : buildProblem();
  if (why === undefined) return true;
  const message = `SIMD cannot be compared with this machine's CPU: ${why}`;
  if (process.env.CI === "true") throw new Error(message);
  console.warn(message);
  return false;
}

function buildProblem(): string | undefined {
  const probe = spawnSync("gcc", ["-m32", "-static", "-x", "c", "-", "-o", "/dev/null"], { input: "int main(void) { return 0; }" });
  return probe.status === 0 ? undefined : "`gcc -m32` does not work (Debian: apt install gcc gcc-multilib)";
}

export function captureOutcomes(harness: string, inputs: Uint8Array): Uint8Array {
  const expectedLength = (inputs.length / inputSize) * outcomeSize;
  const { stdout, status, error } = spawnSync(harness, { input: inputs, maxBuffer: expectedLength + 4096 });
  if (error) throw error;
  if (status !== 0 || stdout.length !== expectedLength) {
    throw new Error(`the capture program ended with status ${status} after ${stdout.length / outcomeSize} of ${inputs.length / inputSize} cases`);
  }
  return stdout;
}
