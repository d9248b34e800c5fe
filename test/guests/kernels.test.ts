// The bench kernels as a Multiboot guest: every checksum is the one that the same compiled code gives on a real processor. That processor's answers are
// committed, and asked for again where 32-bit programs can be built.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildNative, KERNELS_CHECKSUMS, KERNELS_IMAGE, nativeChecksums } from "../../bench/kernels/build.ts";
import { createMachine } from "../../src/index.ts";
import { hostProgram, mustSkip } from "./oracle.ts";

const LIMIT_SECONDS = 100;
const expected = JSON.parse(readFileSync(KERNELS_CHECKSUMS, "utf8")) as Record<string, string>;

async function runKernel(name: string, engine: "translate" | "interpret"): Promise<{ output: string; reason: string }> {
  const machine = createMachine({
    kernel: readFileSync(KERNELS_IMAGE),
    append: `kernel=${name} passes=1`,
    memory: 64 << 20,
    engine,
  });
  let output = "";
  machine.on("serial", (bytes) => {
    output += Buffer.from(bytes).toString("latin1");
  });
  try {
    const exit = await machine.run({ timeout: LIMIT_SECONDS });
    return { output, reason: exit.reason };
  } finally {
    machine.destroy();
  }
}

test("the committed checksums are what this processor computes", () => {
  if (mustSkip("checksums against the processor", hostProgram("gcc", "gcc-multilib"))) return;
  const work = mkdtempSync(join(tmpdir(), "xlat86-native-"));
  try {
    const program = join(work, "native");
    try {
      buildNative(program);
    } catch {
      mustSkip("checksums against the processor", { available: false, reason: "gcc -m32 does not work (Debian: gcc-multilib)" });
      return;
    }
    expect(nativeChecksums(program)).toEqual(expected);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});

describe.each(["translate", "interpret"] as const)("bench kernels, --engine %s", (engine) => {
  test.each(Object.keys(expected))(
    "%s",
    async (name) => {
      const { output, reason } = await runKernel(name, engine);
      expect(output).toContain(`END ${name} 0 ${expected[name]}\n`);
      expect(output).toContain("ALL DONE");
      expect(reason).toBe("debug-exit");
    },
    (LIMIT_SECONDS + 20) * 1000,
  );
});
