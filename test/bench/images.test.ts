// The committed Multiboot images of the bench: each operation of the nanobenchmarks has its effect as many times as it was asked for, and the growing hot code
// computes the same everywhere: on QEMU, and on both engines.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { passesOf } from "../../bench/measure.ts";
import { NANO_IMAGE } from "../../bench/nano/build.ts";
import { OPERATIONS } from "../../bench/nano/suite.ts";
import { HOT_IMAGE } from "../../bench/scaling/build.ts";
import { createMachine } from "../../src/index.ts";
import { hostProgram, mustSkip } from "../guests/oracle.ts";

const LIMIT_SECONDS = 50;

function resultsOf(output: string, name: string): string[] {
  const lines = output.split("\n").map((text) => ({ text, at: 0, cpu: null }));
  return passesOf(lines, name).map(({ result }) => result);
}

async function onXlat86(image: string, commandLine: string, engine: "translate" | "interpret"): Promise<{ output: string; instructions: number }> {
  const machine = createMachine({ kernel: readFileSync(image), append: commandLine, memory: 64 << 20, engine });
  let output = "";
  machine.on("serial", (bytes) => {
    output += Buffer.from(bytes).toString("latin1");
  });
  try {
    await machine.run({ timeout: LIMIT_SECONDS });
    return { output, instructions: machine.stats().instructions };
  } finally {
    machine.destroy();
  }
}

function onQemu(image: string, commandLine: string): string {
  const machine = ["-accel", "tcg", "-cpu", "n270", "-m", "64", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"];
  const guest = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", image, "-append", commandLine];
  try {
    return execFileSync("qemu-system-i386", [...machine, ...guest], {
      encoding: "utf8",
      stdio: ["pipe", "pipe", "ignore"],
      timeout: LIMIT_SECONDS * 1000,
    });
  } catch (error) {
    // isa-debug-exit makes the status (0 << 1) | 1.
    return (error as { stdout: string }).stdout;
  }
}

function checkOperations(output: string): void {
  expect(output).not.toContain("UNEXPECTED");
  for (const name of Object.keys(OPERATIONS)) {
    const [result] = resultsOf(output, name);
    const [asked, found] = result?.split(" ") ?? [];
    expect(Number(asked), name).toBeGreaterThan(0);
    expect(found, name).toBe(asked);
  }
}

describe("nanobenchmarks: every operation has its effect", () => {
  test("on QEMU", () => {
    if (mustSkip("the nanobenchmarks on QEMU", hostProgram("qemu-system-i386", "qemu-system-x86"))) return;
    checkOperations(onQemu(NANO_IMAGE, "passes=1 percent=1"));
  });
  test.each(["translate", "interpret"] as const)("--engine %s", async (engine) => {
    checkOperations((await onXlat86(NANO_IMAGE, "passes=1 percent=1", engine)).output);
  });
});

describe("growing hot code", () => {
  const commandLine = "instructions=3000 work=6 passes=2";

  test("is as many instructions as it says", async () => {
    const less = await onXlat86(HOT_IMAGE, "instructions=1000 work=2 passes=1", "interpret");
    const more = await onXlat86(HOT_IMAGE, "instructions=1000 work=7 passes=1", "interpret");
    expect((more.instructions - less.instructions) / 5e6).toBeCloseTo(1, 2);
  });
  test("computes the same on QEMU and on both engines", async () => {
    if (mustSkip("the hot code on QEMU", hostProgram("qemu-system-i386", "qemu-system-x86"))) return;
    const expected = resultsOf(onQemu(HOT_IMAGE, commandLine), "hot");
    expect(expected).toHaveLength(2);
    for (const engine of ["translate", "interpret"] as const) {
      expect(resultsOf((await onXlat86(HOT_IMAGE, commandLine, engine)).output, "hot"), engine).toEqual(expected);
    }
  });
});
