/** `--profile` and what `--stats` says about time, through the real command, on an ELF kernel whose hot function is known. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CpuProfile } from "../../src/inspector/profile.ts";
import { run } from "../cli/command.ts";
import { hostProgram, mustSkip } from "../guests/oracle.ts";

/** Two functions that do the same, one of them a hundred times as often. */
const source = `
  .section .multiboot, "a"
  .long 0x1badb002, 0, -0x1badb002
  .text
  .globl _start, busy_loop, rare_loop
_start:
  mov $0x200000, %esp
  mov $40, %esi
1: call busy_loop
  call rare_loop
  dec %esi
  jnz 1b
  mov $0, %al
  mov $0xf4, %dx
  out %al, %dx
  cli
  hlt
  .type busy_loop, @function
busy_loop:
  mov $1000000, %ecx
2: add %ecx, %eax
  xor $0x55, %eax
  dec %ecx
  jnz 2b
  ret
  .size busy_loop, . - busy_loop
  .type rare_loop, @function
rare_loop:
  mov $10000, %ecx
3: add %ecx, %ebx
  dec %ecx
  jnz 3b
  ret
  .size rare_loop, . - rare_loop
`;

describe("--profile", () => {
  const gcc = hostProgram("gcc", "gcc-multilib");
  let folder: string;
  const file = (name: string): string => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "profile-"));
    if (!gcc.available) return;
    writeFileSync(file("kernel.s"), source);
    writeFileSync(file("kernel.ld"), "ENTRY(_start) SECTIONS { . = 0x100000; .text : { *(.multiboot) *(.text) } /DISCARD/ : { *(.note*) } }");
    execFileSync("gcc", [
      "-m32",
      "-nostdlib",
      "-static",
      "-no-pie",
      "-Wl,--build-id=none",
      "-T",
      file("kernel.ld"),
      "-o",
      file("kernel"),
      file("kernel.s"),
    ]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Milliseconds by stack, outermost first. */
  function times(profile: CpuProfile): Map<string, number> {
    const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)));
    const names = new Map(profile.nodes.map((node) => [node.id, node.callFrame.functionName]));
    const out = new Map<string, number>();
    profile.samples!.forEach((id, k) => {
      const stack: string[] = [];
      for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) stack.unshift(names.get(at)!);
      const key = stack.slice(1).join(" > ");
      out.set(key, (out.get(key) ?? 0) + (profile.timeDeltas![k + 1] ?? 0) / 1000);
    });
    return out;
  }
  const sum = (of: Map<string, number>, pattern: RegExp): number => [...of].reduce((total, [key, ms]) => total + (pattern.test(key) ? ms : 0), 0);

  it.each([
    ["translate", "regions"],
    ["interpret", "tier 0"],
  ])("shows the guest's functions (--engine %s)", async (engine, tier) => {
    if (mustSkip("the profile of an ELF kernel", gcc)) return;
    const { code } = await run(["run", "--kernel", file("kernel"), "-m", "8", "--engine", engine, "--profile", file("out.cpuprofile")]);
    expect(code).toBe(1);
    const profile = JSON.parse(readFileSync(file("out.cpuprofile"), "utf8")) as CpuProfile;

    // What Chrome's DevTools ask of a profile.
    const ids = profile.nodes.map((node) => node.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(profile.nodes[0]!.callFrame.functionName).toBe("(root)");
    const children = profile.nodes.flatMap((node) => [...(node.children ?? [])]);
    expect(children.sort((a, b) => a - b)).toEqual(ids.filter((id) => id !== profile.nodes[0]!.id).sort((a, b) => a - b));
    expect(profile.samples!.every((id) => ids.includes(id))).toBe(true);
    expect(profile.timeDeltas).toHaveLength(profile.samples!.length);
    expect(profile.nodes.reduce((hits, node) => hits + (node.hitCount ?? 0), 0)).toBe(profile.samples!.length);

    const all = times(profile);
    expect(sum(all, /busy_loop/)).toBeGreaterThan(sum(all, /rare_loop|_start/));
    expect(sum(all, new RegExp(`^${tier} > busy_loop`))).toBeGreaterThan(sum(all, /busy_loop/) / 2);
    const node = profile.nodes.find((n) => n.callFrame.functionName === "busy_loop")!;
    expect(node.callFrame.url).toMatch(/^guest 0010[0-9a-f]{4}$/);
  });

  it("takes names from a file, in place of the kernel's own", async () => {
    if (mustSkip("the profile of an ELF kernel", gcc)) return;
    const listed = execFileSync("nm", [file("kernel")], { encoding: "utf8" });
    writeFileSync(file("System.map"), listed.replaceAll("busy_loop", "named_in_map"));
    execFileSync("objcopy", ["--strip-all", file("kernel"), file("stripped")]);
    await run(["run", "--kernel", file("stripped"), "-m", "8", "--symbols", file("System.map"), "--profile", file("named.cpuprofile")]);
    const all = times(JSON.parse(readFileSync(file("named.cpuprofile"), "utf8")));
    expect(sum(all, /named_in_map/)).toBeGreaterThan(sum(all, /rare_loop|_start/));
  });

  it("says what is wrong before the guest starts", async () => {
    writeFileSync(file("nothing"), "#!/bin/sh\n");
    const no = await run(["run", "--kernel", file("kernel"), "--profile", "x.cpuprofile", "--symbols", file("nothing")]);
    expect(no).toMatchObject({ code: 2, stdout: "" });
    expect(no.stderr).toBe(
      `xlat86: --symbols ${file("nothing")}: no symbols in it; expected an ELF file that is not stripped, System.map or kallsyms\n`,
    );
    expect((await run(["run", "--kernel", file("kernel"), "--profile", file("missing/x")])).stderr).toMatch(/^xlat86: --profile .*no such file/);
  });

  it("--stats tells the same story in numbers", async () => {
    if (mustSkip("the profile of an ELF kernel", gcc)) return;
    const stats = async (...more: string[]) =>
      JSON.parse((await run(["run", "--kernel", file("kernel"), "-m", "8", "--stats=json", ...more])).stderr);
    const translated = await stats();
    // 40 times: 4 instructions a million times and 3 ten thousand times.
    expect(translated.instructions).toBeGreaterThanOrEqual(161_200_000);
    expect(translated.tierZeroInstructions).toBeLessThan(translated.instructions / 10);
    expect(translated.regionEntries).toBeGreaterThan(0);
    expect(translated.hostTime.parts.regions).toBeGreaterThan(translated.hostTime.parts["tier 0"]);
    const interpreted = await stats("--opt=-regions");
    expect(interpreted.tierZeroInstructions).toBeGreaterThan(0.999 * interpreted.instructions);
    expect(interpreted).toMatchObject({ regions: 0, regionEntries: 0, disabled: ["regions"] });
    expect(interpreted.hostTime.parts["tier 0"]).toBeGreaterThan(interpreted.hostTime.parts.regions);
  });
});
