/** Bisecting, judged by errors put in on purpose: a pass that gets one thing wrong, in a place that is known. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { demoImage } from "../../src/demo/image.ts";
import { bisect } from "../../src/inspector/bisect.ts";
import { renderBisection } from "../../src/inspector/bisect-report.ts";
import { type OptimisationName, optimisationNames } from "../../translator/contract/optimisations.ts";
import { slot } from "../../translator/contract/slots.ts";
import { type MicroBlock, ValueMapper } from "../../translator/ir/block.ts";
import type { GetStatement, Statement, Value } from "../../translator/ir/micro.ts";
import { blockPasses, type Pass } from "../../translator/passes/pipeline.ts";
import { entry, kernel, loop } from "../api/kernels.ts";
import { run } from "../cli/command.ts";

const memory = 4 << 20;
const none = new Set<OptimisationName>(optimisationNames);
const all = new Set<OptimisationName>();

const le32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
/** A harmless loop of 30,000 turns, then one that takes ECX XOR 1234h from EBX and stores it, then exit. */
const turns = 30_000;
const code = [
  0xb9, ...le32(turns), //                    mov ecx, turns
  0x40, 0x49, 0x75, 0xfc, //                  again: inc eax; dec ecx; jnz again
  0xb9, ...le32(turns), //                    mov ecx, turns
  0x89, 0xca, //                              second: mov edx, ecx
  0x81, 0xf2, ...le32(0x1234), //             xor edx, 1234h
  0x29, 0xd3, //                              sub ebx, edx
  0x89, 0x1d, ...le32(0x180000), //           mov [180000h], ebx
  0x49, 0x75, 0xed, //                        dec ecx; jnz second
  0xb0, 0, 0x66, 0xba, 0xf4, 0, 0xee, 0xfa, 0xf4, // out f4h, 0; cli; hlt
]; // biome-ignore format: one instruction a line
const image = kernel(code);
const second = entry + 14;

const zero: Value = { kind: "constant", value: 0 };
const one: Value = { kind: "constant", value: 1 };
const isXor = (v: Value): boolean => v.kind === "pure" && v.op === "xor" && v.args.some((a) => a.kind === "constant" && a.value === 0x1234);

/** The usual passes; the one called `name` also rewrites the values of its result, of blocks that `applies` to. */
function spoiled(
  name: string,
  rewrite: (v: Value) => Value,
  before: readonly Statement[] = [],
  applies: (block: MicroBlock) => boolean = () => true,
): readonly Pass[] {
  const spoil = (block: MicroBlock): MicroBlock => {
    if (!applies(block)) return block;
    const mapper = new ValueMapper(() => undefined, rewrite);
    const statements = block.statements.map(({ s, instruction }) => ({ s: mapper.statement(s), instruction }));
    const terminator = block.terminator && mapper.terminator(block.terminator);
    return { ...block, statements: [...before.map((s) => ({ s, instruction: 0 })), ...statements], terminator };
  };
  return blockPasses.map((pass) => (pass.name === name ? { name, run: (block, fold) => spoil(pass.run(block, fold)) } : pass));
}

/** "x ^ 1234h" becomes x. */
const withError = (name: string): readonly Pass[] =>
  spoiled(name, (v) => (v.kind === "pure" && isXor(v) ? v.args.find((a) => a.kind !== "constant")! : v));

describe("bisect", () => {
  it.each(blockPasses.map((pass) => pass.name))("names %s when it is wrong, and the block", (name) => {
    const { parting } = bisect({ machine: { kernel: image, memory, passes: withError(name) }, subject: all, reference: none, interval: 1 << 14 });
    expect(parting).toMatchObject({ address: second, tier: "region", isExact: true, culprit: name });
    // The difference is in what the XOR gave and what came of it: EDX itself first.
    expect(parting!.differences.find((d) => d.name === "edx")?.writtenAt).toBe(second + 2);
    expect(parting!.differences.map((d) => d.name)).toContain("0x180000");
    const verdict = Object.fromEntries(parting!.verdicts.map((v) => [v.name, v]));
    expect(verdict[name]).toMatchObject({ goneWithout: true, thereWithIt: true });
    expect(verdict["regions"]).toMatchObject({ goneWithout: true });
    expect(verdict["links"]).toMatchObject({ goneWithout: false });
  });

  it("shows the block from its bytes to its JavaScript", () => {
    const result = bisect({ machine: { kernel: image, memory, passes: withError("simplify") }, subject: all, reference: none });
    const text = renderBisection(result, { subject: "all", reference: "none" });
    const at = second.toString(16).padStart(8, "0");
    expect(text).toMatch(new RegExp(`^"all" and "none" part after [\\d,]+ instructions, in the block at ${at}, which runs in a region\n`));
    expect(text).toMatch(/^ {2}edx {13}[0-9a-f]{8} {3}[0-9a-f]{8} {3}written by [0-9a-f]{8} {2}xor edx, 0x1234$/m);
    expect(text).toMatch(/^ {2}simplify {8}gone {14}there too$/m);
    expect(text).toContain(`look at: simplify, and what it makes of the block at ${at}`);
    for (const heading of ["81 f2 34 12 00 00", "micro-ops, as lifted", "micro-ops, after simplify", `region from ${at}`])
      expect(text).toContain(heading);
  });

  it("finds what is wrong in tier 0 as well", () => {
    // Immediates are no constants there: an error in every XOR.
    const passes = spoiled("simplify", (v) => (v.kind === "pure" && v.op === "xor" ? { ...v, op: "or" } : v));
    const { parting } = bisect({ machine: { kernel: image, memory, passes }, subject: new Set<OptimisationName>(["regions"]), reference: none });
    expect(parting).toMatchObject({ tier: "tier 0", isExact: true, culprit: "simplify" });
  });

  it("says so when the difference hides from stops", () => {
    // Wrong only where the slice began with more instructions than a piece of an interval has.
    const budget: GetStatement = { kind: "get", slot: { base: { kind: "constant", value: slot.budget }, offset: 0 }, type: "i32" };
    const isLong: Value = {
      kind: "pure",
      op: "less",
      args: [
        { kind: "constant", value: 4000 },
        { kind: "result", statement: budget },
      ],
      type: "i32",
    };
    const less: Value = { kind: "pure", op: "select", args: [isLong, one, zero], type: "i32" };
    const rewrite = (v: Value): Value => (isXor(v) ? { kind: "pure", op: "sub", args: [v, less], type: "i32" } : v);
    const passes = spoiled("simplify", rewrite, [budget], (block) => block.instructions.length >= 3);
    const { parting } = bisect({ machine: { kernel: image, memory, passes }, subject: new Set<OptimisationName>(["fuse"]), reference: none });
    expect(parting).toMatchObject({ isExact: false, culprit: "simplify" });
    expect(parting!.differences.length).toBeGreaterThan(0);
    expect(renderBisection({ instructions: 0, ended: undefined, parting }, { subject: "a", reference: "b" })).toContain("without a stop");
  });

  it.each([
    ["a loop", loop],
    ["the embedded guest", demoImage()],
  ] as const)("finds nothing in %s, to its end", (_, guest) => {
    const result = bisect({ machine: { kernel: guest, memory: 16 << 20 }, subject: all, reference: none });
    expect(result.parting).toBeUndefined();
    expect(result.ended).toBeDefined();
    expect(result.instructions).toBeGreaterThan(3_000_000);
  });

  it("finds nothing where interrupts come at other intervals", () => {
    for (const interval of [1000, 12_345]) {
      const result = bisect({ machine: { kernel: demoImage(), memory: 16 << 20 }, subject: all, reference: none, interval, instructions: 3_000_000 });
      expect(result.parting).toBeUndefined();
    }
  });
});

describe("the command", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bisect-"));
    writeFileSync(join(folder, "loop"), loop);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("compares two lists of optimisations", async () => {
    const { code: exit, stdout } = await run(["bisect", "--kernel", join(folder, "loop"), "-m", "8", "--opt=-dead", "--against", "none,+regions"]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(
      /^no difference between "-dead" and "none,\+regions" in 3,0\d\d,\d\d\d instructions, to the guest's end \(debug-exit\)\n$/,
    );
  });

  it("wants two that differ", async () => {
    const { code: exit, stderr } = await run(["bisect", "--kernel", join(folder, "loop"), "--opt=none"]);
    expect(exit).toBe(2);
    expect(stderr).toBe('xlat86: --opt and --against both are "none": give two that differ\n');
  });
});
