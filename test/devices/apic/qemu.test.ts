/**
 * Small kernels on QEMU's `pc` and on this machine: the same words on the serial line. QEMU's firmware has been there before, so each sets up what it
 * uses. Where QEMU is known to differ from the SDM the kernels stay off that ground: it has no error status, does not mask the LVT while the APIC is
 * disabled by software, takes reserved bits for writable, and its periodic timer takes a count more for each period.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createMachine } from "../../../src/index.ts";
import { kernel, partNames } from "./guest.ts";

const qemu = "qemu-system-i386";
const available = spawnSync(qemu, ["--version"]).error === undefined;
const skip = !available && process.env.CI !== "true";
if (skip) console.warn(`SKIPPED: ${qemu} (Debian: qemu-system-x86) is not installed; the interrupt controllers are not compared with QEMU's`);

function runInQemu(image: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "xlat86-apic-"));
  try {
    writeFileSync(join(folder, "kernel"), image);
    const { status, error, stderr } = spawnSync(
      qemu,
      [
        // Time by instructions: the host may be busy.
        ...["-icount", "shift=4,sleep=off"],
        ...["-machine", "pc,accel=tcg", "-cpu", "pentium3", "-m", "32", "-display", "none", "-monitor", "none", "-no-reboot", "-nodefaults"],
        ...["-serial", "file:log", "-serial", "null", "-kernel", "kernel", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
      ],
      { cwd: folder, encoding: "utf8", timeout: 120_000, input: "" },
    );
    if (error !== undefined) throw error;
    expect(status, stderr).toBe(1);
    return readFileSync(join(folder, "log"), "latin1");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runHere(image: Uint8Array, engine: "translate" | "interpret", clock: "host" | "virtual"): Promise<string> {
  const machine = createMachine({ kernel: image, memory: 32 << 20, engine, clock });
  let output = "";
  machine.on("serial", (bytes) => {
    output += Buffer.from(bytes).toString("latin1");
  });
  const exit = await machine.run({ timeout: 120 });
  machine.destroy();
  expect({ ...exit, output }).toMatchObject({ reason: "debug-exit" });
  return output;
}

describe.skipIf(skip).each(partNames)("%s", (name) => {
  test("the same as on QEMU", async () => {
    const image = kernel(name);
    const expected = runInQemu(image);
    expect(expected).toMatch(/^[\x20-\x7e\n]{20,}$/);
    expect(expected).not.toContain("unexpected");
    expect(await runHere(image, "translate", "host")).toBe(expected);
    expect(await runHere(image, "interpret", "host")).toBe(expected);
    expect(await runHere(image, "translate", "virtual")).toBe(expected);
  }, 600_000);
});
