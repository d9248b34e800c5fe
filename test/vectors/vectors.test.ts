/**
 * Hardware vectors: every tier must do what the captured CPU did (README.md). Also the checks on the vectors themselves: that they cover
 * the instruction set by iced-x86's list, and that this machine's own CPU agrees with them where it can be asked.
 */
import { spawnSync } from "node:child_process";
import { Code, CodeExt, CpuidFeature, Decoder, DecoderOptions, Instruction } from "iced-x86";
import { describe, expect, it } from "vitest";
import { lackedHere } from "../support/host-features.ts";
import { buildHarness } from "./capture.ts";
import { compare } from "./compare.ts";
import { decodeFile, encodeFile, families, loadFamily } from "./format.ts";
import { capture } from "./generate/records.ts";
import { describeFailure, describeReport, runFamily } from "./run.ts";
import type { VectorCase } from "./state.ts";
import { makeExecutor, tierNames } from "./tiers.ts";

describe.each(tierNames)("hardware vectors, %s code", (tier) => {
  it.each(families())("%s", { timeout: 300_000 }, (family) => {
    const executor = makeExecutor(tier);
    const report = runFamily(executor, family);
    expect(report.failed, describeReport(report)).toBe(0);
    // Segmented code stays cold; everything else is to have run as a region.
    if (tier === "hot") expect(executor.regions, "regions made").toBeGreaterThan(executor.encodings * 0.5);
  });
});

describe("the committed vectors", () => {
  it("are at least 200,000 cases", () => {
    expect(families().reduce((n, family) => n + loadFamily(family).header.cases, 0)).toBeGreaterThanOrEqual(200_000);
  });

  it("survive encoding again", () => {
    const { header, groups } = loadFamily("alignment");
    const all = [...groups()];
    const again = decodeFile(
      encodeFile(
        header,
        all.map((g) => ({ ...g[0], states: g.map((c) => c.input), outcomes: g.map((c) => c.expected) })),
      ),
    );
    expect([...again.cases()]).toEqual(all.flat());
    expect(again.header.cases).toBe(all.flat().length);
  });

  it("cover every user-mode instruction form up to SSE4.2, AES and SHA", () => {
    const covered = new Set<number>();
    for (const family of families()) for (const [first] of loadFamily(family).groups()) covered.add(codeOf(first));
    const missing = instructionForms()
      .filter((code) => !covered.has(code))
      .map((code) => Code[code])
      .filter((name) => !notCaptured.some((e) => e.test(name)));
    expect(missing).toEqual([]);
  });

  it("agree with the CPU of this machine", { timeout: 120_000 }, (context) => {
    const probe = spawnSync("gcc", ["-m32", "-static", "-x", "c", "-", "-o", "/dev/null"], { input: "int main(void) { return 0; }" });
    if (process.platform !== "linux" || process.arch !== "x64" || probe.status !== 0) {
      console.warn("SKIPPED: needs x86 Linux with `gcc -m32` (Debian: gcc-multilib) to run the capture program");
      expect(process.env.CI, "the capture program cannot be built here").not.toBe("true");
      return context.skip();
    }
    const lacked = lackedHere("part of the vectors against this CPU");
    const isLacked = (c: VectorCase) => withInstruction(c, lacked);
    const command = [buildHarness()];
    const differing: string[] = [];
    for (const family of families()) {
      const groups = [...loadFamily(family).groups()].filter(([first]) => !isLacked(first));
      const found = capture(
        command,
        groups.map((g) => ({ ...g[0], bytes: Array.from(g[0].bytes), states: g.map((c) => c.input) })),
      );
      for (const [i, g] of groups.entries())
        for (const [j, c] of g.entries()) {
          const lines = compare(c, found[i][j]);
          if (lines.length) differing.push(describeFailure(c, lines));
        }
    }
    expect(differing.length, differing.slice(0, 5).join("\n")).toBe(0);
  });
});

/** Forms that iced-x86 lists and the vectors leave out, with the reason. */
const notCaptured: readonly RegExp[] = [
  /^(Rdtsc|Cpuid|Sysenter|Syscall)$/, // their results are the machine's, or they enter the kernel
  /^(Sgdt|Sidt|Sldt|Str|Smsw)_/, // the kernel answers for them where the CPU has UMIP
  /^Int1$/, // under a hypervisor the saved EIP may be the hypervisor's
  /^(Popw_CS|Cmpxchg486|Storeall|Loadall|Lss_r16_m1616$)/, // other processors' (POP CS: the 8086's), or 16-bit stacks
  /^(Fstenv|Fstcw|Feni|Fdisi|Fclex|Finit|Fsetpm|Fsave|Fstsw)/, // FWAIT and the FN form, two instructions
  /^Reservednop_rm(16|32)_r(16|32)_0F(0D|18|1A|1B)$/, // other instructions on later processors
  /^(Ud0|Ud1_r16|Bswap_r16)/, // undefined by definition
];

const features = new Set([
  "INTEL8086",
  "INTEL8086_ONLY",
  "INTEL186",
  "INTEL286",
  "INTEL286_ONLY",
  "INTEL386",
  "INTEL386_ONLY",
  "INTEL486",
  "INTEL486_A_ONLY",
  "FPU",
  "FPU287",
  "FPU387",
  "CMOV",
  "CX8",
  "MMX",
  "SSE",
  "SSE2",
  "FXSR",
  "SEP",
  "TSC",
  "CPUID",
  "CLFSH",
  "MULTIBYTENOP",
  "PAUSE",
  "MSR",
  "SYSCALL",
  "SSE3",
  "SSSE3",
  "SSE4_1",
  "SSE4_2",
  "POPCNT",
  "MOVBE",
  "AES",
  "SHA",
]);

function withInstruction<T>(c: VectorCase, ask: (iced: Instruction) => T): T {
  const decoder = new Decoder(32, c.bytes, DecoderOptions.None);
  const instruction = decoder.decode();
  const answer = ask(instruction);
  instruction.free();
  decoder.free();
  return answer;
}
const codeOf = (c: VectorCase): number => withInstruction(c, ({ code }) => code);

/** All 32-bit codes of those features that ring 3 may run. */
function instructionForms(): number[] {
  const result: number[] = [];
  for (const code of Object.values(Code)) {
    if (typeof code !== "number") continue;
    const info = CodeExt.opCode(code);
    const wanted = info.isInstruction && info.mode32 && !info.isPrivileged;
    info.free();
    if (!wanted) continue;
    const instruction = new Instruction();
    instruction.code = code;
    if ([...instruction.cpuidFeatures()].every((f) => features.has(CpuidFeature[f]))) result.push(code);
    instruction.free();
  }
  return result;
}
