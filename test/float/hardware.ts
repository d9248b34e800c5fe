/** Builds hardware.c and runs records through it. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { outputSize } from "./engine.ts";

/** Path of the built program; undefined (with the reason) where this machine has no compiler or no x86 CPU. */
export function buildHardware(): { program: string } | { reason: string } {
  if (process.arch !== "x64") return { reason: `this is ${process.arch}, not x64` };
  const program = join(mkdtempSync(join(tmpdir(), "xlat86-x87-")), "hardware");
  try {
    execFileSync("gcc", ["-O1", "-mno-red-zone", "-o", program, fileURLToPath(new URL("hardware.c", import.meta.url))], { stdio: "pipe" });
  } catch (e) {
    return { reason: `gcc failed: ${e instanceof Error ? e.message : e}` };
  }
  return { program };
}

export function runHardware(program: string, input: Uint8Array): Uint8Array {
  const stdout = run(program, [], input);
  if (stdout.length % outputSize !== 0) throw new Error("hardware program wrote a partial record");
  return stdout;
}

/** Bytes of a record of the "images" mode, and where its parts lie: an FSAVE image at 0. */
export const imageRecord = { size: 640, code: 112, memory: 128 } as const;

/** Bytes of a record of the "sequences" mode, and where its parts lie: an FSAVE image at 0. */
export const sequenceRecord = { size: 640, eax: 112, flags: 116, code: 120, codeSize: 264, memory: 384, memorySize: 256 } as const;

export function runSequences(program: string, input: Uint8Array): Uint8Array {
  const stdout = run(program, ["sequences"], input);
  if (stdout.length !== input.length) throw new Error("hardware program wrote a partial record");
  return stdout;
}

export function runImages(program: string, input: Uint8Array): Uint8Array {
  const stdout = run(program, ["images"], input);
  if (stdout.length !== input.length) throw new Error("hardware program wrote a partial record");
  return stdout;
}

function run(program: string, args: readonly string[], input: Uint8Array): Uint8Array {
  const { stdout, status, signal, error } = spawnSync(program, args, { input, maxBuffer: 1 << 30 });
  if (error || status !== 0) throw error ?? new Error(`hardware program ended with ${status ?? signal}`);
  return stdout;
}
