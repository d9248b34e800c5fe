// The 16-bit kernels (bench/real-mode): what QEMU computes is committed, and asked for again where there is a QEMU; both engines compute the same, in real mode and in
// 16-bit protected mode.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { expectedChecksums, qemuChecksums, REAL_MODE_IMAGE } from "../../bench/real-mode/build.ts";
import { createMachine } from "../../src/index.ts";
import { hostProgram, mustSkip } from "../guests/oracle.ts";

const LIMIT_SECONDS = 100;

async function checksumsOn(engine: "translate" | "interpret"): Promise<Record<string, string>> {
  const machine = createMachine({ kernel: readFileSync(REAL_MODE_IMAGE), append: "passes=1", memory: 64 << 20, engine });
  let output = "";
  machine.on("serial", (bytes) => {
    output += Buffer.from(bytes).toString("latin1");
  });
  try {
    await machine.run({ timeout: LIMIT_SECONDS });
  } finally {
    machine.destroy();
  }
  return Object.fromEntries([...output.matchAll(/^END (\S+) 0 (\S+)$/gm)].map((match) => [match[1], match[2]]));
}

describe("the 16-bit kernels", () => {
  test("the committed checksums are QEMU's", { timeout: 150_000 }, () => {
    if (mustSkip("the 16-bit kernels against QEMU", hostProgram("qemu-system-i386", "qemu-system-x86"))) return;
    expect(qemuChecksums(REAL_MODE_IMAGE)).toEqual(expectedChecksums());
  });

  test.each(["translate", "interpret"] as const)("--engine %s computes them", { timeout: 150_000 }, async (engine) => {
    expect(await checksumsOn(engine)).toEqual(expectedChecksums());
  });
});
