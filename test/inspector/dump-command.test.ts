/** `xlat86 dump` and `--stats` as a person calls them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { demoImage } from "../../src/demo/image.ts";
import { createMachine } from "../../src/machine/machine.ts";
import * as kernels from "../api/kernels.ts";
import { run } from "../cli/command.ts";

let folder: string;
const file = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dump-"));
  writeFileSync(file("loop"), kernels.loop);
  writeFileSync(file("demo"), demoImage());
});
afterAll(() => rmSync(folder, { recursive: true }));

const dump = (kernel: string, ...options: string[]) => run(["dump", "--kernel", file(kernel), "--memory", "16M", ...options]);

describe("dump --at", () => {
  it("shows a block of the image without running it", async () => {
    const { code, stdout } = await dump("loop", "--at", "0x100025");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^block 00100025 \(physical 00100025\): 32-bit protected, supervisor, flat, ESP; 3 instructions, ends with a transfer of control\n/,
    );
    expect(stdout).toMatch(/^ {2}00100026 {2}49 +dec ecx$/m);
    for (const heading of [
      "micro-ops, as lifted",
      "micro-ops, after forward",
      "micro-ops, after simplify",
      "micro-ops, after dead",
      "tier 0: the handler of each shape",
    ]) {
      expect(stdout).toContain(`\n${heading}\n`);
    }
    expect(stdout).toMatch(/^region from 00100025 \(as it would be\): \d+ instructions/m);
  });

  it("shows what the passes that are on do", async () => {
    const { stdout } = await dump("loop", "--at", "0x100025", "--opt=-dead,-forward");
    expect(stdout).toContain("\nmicro-ops, after simplify");
    expect(stdout).not.toMatch(/after (dead|forward)/);
  });

  it("runs first when told to", async () => {
    const { stdout } = await dump("loop", "--at", "0x100025", "--after", "10000i");
    expect(stdout).toMatch(/^the guest ran 10,0\d\d instructions \(timeout\)/);
    expect(stdout).toMatch(/executed 3,\d{3} times/);
  });

  it("marks sensitive instructions with what they are patched into", async () => {
    // The demo's first instruction is CLI.
    const start = createMachine({ kernel: demoImage(), memory: 16 << 20 }).registers.read("eip");
    expect((await dump("demo", "--at", `0x${start.toString(16)}`)).stdout).toMatch(/fa +cli +; VM exit "CLI" -> clearInterruptFlag: masks/);
  });

  it("says which addresses there are", async () => {
    const { code, stderr } = await dump("loop", "--at", "0xf0000000");
    expect(code).toBe(2);
    expect(stderr).toBe("xlat86: --at 0xf0000000: neither mapped by the guest nor inside its 16 MiB of memory\n");
  });
});

describe("dump --hot", () => {
  it("runs the guest and shows where it spent its time", async () => {
    const { code, stdout } = await dump("loop", "--hot", "2");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^the guest ran 3,000,0\d\d instructions \(debug-exit\)/);
    expect(stdout).toMatch(/^#1, 100\.0% of all instructions: block 00100025 .*executed 999,999 times$/m);
    expect(stdout).toMatch(/^#2, 0\.0% /m);
  });

  it("shows the region that runs, on the translating engine", async () => {
    const { stdout } = await dump("loop", "--hot", "1", "--engine", "translate");
    expect(stdout).toMatch(/^region from 00100025: \d+ instructions/m);
  });

  it("takes seconds or instructions, and nothing else", async () => {
    const { code, stderr } = await dump("loop", "--hot", "1", "--after", "soon");
    expect(code).toBe(2);
    expect(stderr).toMatch(/^xlat86: --after soon: expected seconds, or guest instructions as in 1000000i\n$/);
  });
});

describe("--stats", () => {
  it("prints VM exits by reason and ring", async () => {
    const { stderr } = await run(["run", "--kernel", file("demo"), "--memory", "16M", "--clock", "virtual", "--stats"]);
    expect(stderr).toMatch(/VM exits +ring 0 +ring 1 +ring 2 +ring 3 +total +share\n/);
    expect(stderr).toMatch(/^ {2}POPF +\d+ +0 +0 +\d+ +\d+ +\d+\.\d%$/m);
    expect(stderr).toMatch(/^ {2}exception #PF +\d/m);
    expect(stderr).toMatch(/^ {2}port accesses +3fdh [\d,]+, /m);
  });
});
