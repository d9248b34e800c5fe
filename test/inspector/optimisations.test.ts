/** Optimisations by name: the one table, how lists of them are read, and that each of them can be done without. */
import { describe, expect, it } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import { createMachine } from "../../src/machine/machine.ts";
import { MachineError } from "../../src/machine/options.ts";
import { describeOptimisations, type OptimisationName, optimisationNames, parseOptimisations } from "../../translator/contract/optimisations.ts";
import { blockPasses } from "../../translator/passes/pipeline.ts";
import { loop } from "../api/kernels.ts";
import { run } from "../cli/command.ts";

const disabled = (text: string): OptimisationName[] => {
  const parsed = parseOptimisations(text);
  if ("unknown" in parsed) throw new Error(parsed.unknown);
  return [...parsed.disabled].sort();
};

describe("lists of optimisations", () => {
  it("apply from left to right", () => {
    expect(disabled("")).toEqual([]);
    expect(disabled("all")).toEqual([]);
    expect(disabled("-dead,-forward")).toEqual(["dead", "forward"]);
    expect(disabled("none")).toEqual([...optimisationNames].sort());
    expect(disabled("none,+regions")).toEqual(optimisationNames.filter((name) => name !== "regions").sort());
    expect(disabled("-dead,all,-links")).toEqual(["links"]);
    expect(parseOptimisations("-dead,-speed")).toEqual({ unknown: "-speed" });
  });

  it("are written as they are read, for any set", () => {
    for (let n = 0; n < 1 << 17; n++) {
      const bits = Math.imul(n, 0x9e3779b1) >>> (32 - optimisationNames.length);
      const set = optimisationNames.filter((_, k) => (bits >> k) & 1).sort();
      expect(disabled(describeOptimisations(new Set(set)))).toEqual(set);
    }
  });

  it("name every pass", () => {
    for (const { name } of blockPasses) expect(optimisationNames).toContain(name);
  });
});

describe("a machine without", () => {
  it.each(optimisationNames)("%s does what one with it does", async (name) => {
    const results = [];
    for (const disable of [[], [name]]) {
      const machine = createMachine({ kernel: loop, memory: 4 << 20, clock: "virtual", disable });
      const output: number[] = [];
      machine.on("serial", (bytes) => output.push(...bytes));
      const exit = await machine.run({ timeout: 50 });
      const { instructions, regions } = machine.stats();
      expect(machine.stats().disabled).toEqual(disable);
      expect(regions > 0).toBe(!disable.includes("regions"));
      results.push({
        exit,
        output: String.fromCharCode(...output),
        instructions: Math.round(instructions / 100),
        eax: machine.registers.read("eax"),
      });
      machine.destroy();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[0]!.output).toBe("ok");
  });

  it("dead keeps the writes that it would drop", async () => {
    const text = async (disable: OptimisationName[]): Promise<string> => {
      const machine = createMachine({ kernel: loop, memory: 4 << 20, clock: "virtual", disable });
      await machine.run({ timeout: 50 });
      const region = machine.blocks().find((block) => block.region !== undefined)!.region!.text;
      machine.destroy();
      return region;
    };
    // INC's flags are overwritten by DEC's, which are written once on each way out of the loop.
    const writes = (js: string): number => js.slice(0, js.indexOf("continue ")).split("fZero =").length;
    expect(writes(await text(["dead"]))).toBeGreaterThan(writes(await text([])));
  });

  it("something that is no optimisation is refused", () => {
    expect(() => createMachine({ kernel: loop, disable: ["speed" as OptimisationName] })).toThrow(MachineError);
  });
});

describe("--opt", () => {
  it("is part of run, demo, guest, dump and bisect", () => {
    for (const words of [["run", "--kernel", "k"], ["demo"], ["guest", "linux"], ["dump", "--kernel", "k"], ["bisect", "--kernel", "k"]]) {
      const invocation = parseArguments([...words, "--opt=-dead,-links"]);
      expect(invocation.action === "command" && [...invocation.options.disable]).toEqual(["dead", "links"]);
    }
    // As a word of its own, too.
    const invocation = parseArguments(["run", "--kernel", "k", "--opt", "-simplify"]);
    expect(invocation.action === "command" && [...invocation.options.disable]).toEqual(["simplify"]);
  });

  it("help lists them all", async () => {
    const { code, stdout } = await run(["run", "--opt=help"]);
    expect(code).toBe(0);
    for (const name of optimisationNames) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, "m"));
  });

  it("says what was meant", async () => {
    expect(await run(["run", "--kernel", "k", "--opt=-simplfy"])).toMatchObject({
      code: 2,
      stderr: 'xlat86: --opt -simplfy: no optimisation "-simplfy"; did you mean -simplify?\n',
    });
  });
});
