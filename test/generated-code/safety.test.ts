/** Generated code is safe: everything the translator emits for every shape of instruction, and regions of random programs, keeps to the contract. */
import { beforeAll, describe, expect, it } from "vitest";
import { calloutImplementations } from "../../runtime/callouts/index.ts";
import { hostNames } from "../../runtime/execute/host-names.ts";
import { mode } from "../../translator/contract/mode-key.ts";
import type { RegionCode } from "../../translator/contract/translator.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { makeProgram } from "../differential/program.ts";
import { runHot } from "../differential/run-program.ts";
import { Core } from "../support/core.ts";
import { freeNames, violations } from "./contract.ts";

const modes = {
  "32-bit flat": mode.code32 | mode.stack32 | mode.flat | mode.protected,
  "32-bit segmented": mode.code32 | mode.stack32 | mode.protected,
  "16-bit protected": mode.protected,
  "32-bit code, 16-bit stack": mode.code32 | mode.protected,
  "16-bit protected, at a segment's edge": mode.protected | mode.edge,
  "16-bit flat": mode.protected | mode.flat,
  real: mode.wide,
  "real, small segments": 0,
  v8086: mode.virtual8086 | mode.user | mode.wide,
} as const;
const prefixes = [[], [0x66], [0x67], [0xf3], [0xf2], [0xf0], [0x64], [0x36, 0x66], [0x66, 0xf3]];

describe("tier 0: every shape that the opcode maps yield", () => {
  it.each(Object.entries(modes))("%s", (name, key) => {
    const translator = new JavaScriptTranslator();
    const bytes = new Uint8Array(24);
    for (const prefix of name === "32-bit flat" ? prefixes : prefixes.slice(0, 2)) {
      for (const map of [[], [0x0f]]) {
        for (let opcode = 0; opcode < 256; opcode++) {
          for (let modrm = 0; modrm < 256; modrm++) {
            // Registers: all of x87's, elsewhere those that make a difference (byte registers' halves).
            if (modrm >= 0xc0 && (opcode & 0xf8) !== 0xd8 && (modrm & 3) !== 0) continue;
            if (modrm < 0xc0 && (modrm & 7) > 6) continue;
            bytes.fill(0x24);
            bytes.set([...prefix, ...map, opcode, modrm]);
            translator.decode(bytes, 0, 24, key, 0x100);
          }
        }
      }
    }
    expect(translator.shapeCount).toBeGreaterThan(1500);
    const wrong: string[] = [];
    for (let shape = 0; shape < translator.shapeCount; shape++) {
      const code = translator.shape(shape);
      const found = violations(code.text, code.freeNames);
      if (found.length > 0) wrong.push(`${code.name}: ${found.join("; ")}`);
    }
    expect(wrong.slice(0, 20)).toEqual([]);
  });
});

describe("regions of random programs", () => {
  const regions: RegionCode[] = [];
  beforeAll(() => {
    for (const disabled of [[], ["forward", "simplify"]]) {
      const core = new Core({ translator: new JavaScriptTranslator({ disabledPasses: new Set(disabled) }) });
      core.dispatcher.regions.made = ({ code }) => void regions.push(code);
      for (let seed = 1; seed <= 12; seed++) runHot(core, makeProgram(70_000 + seed));
    }
  });

  it("keep to the contract", () => {
    expect(regions.length).toBeGreaterThan(50);
    const wrong = regions.flatMap((code) => violations(code.text, code.freeNames).map((problem) => `${problem} in\n${code.text}`));
    expect(wrong.slice(0, 3)).toEqual([]);
  });
});

describe("the check itself", () => {
  it("allows exactly the names that the host binds", () => {
    const core = new Core();
    const callouts = {} as Parameters<typeof hostNames>[2];
    const calls = { follow: () => 0, followTo: () => 0, returnTo: () => 0, callee: () => 0, calleeAt: () => 0 };
    const jumps = { jump: () => 0, jumpSegmented: () => 0, dispatch: () => 0 };
    const returns = { ...calls, ...jumps, moreTime: () => -1, faulted: () => 0, gaveUp: () => 0, guardedStore: () => 0 as const };
    const arrays = { C: new Int32Array(1), H: [], J: new Int32Array(2) };
    const callout = (name: string): boolean => name.startsWith("v_");
    const offered = Object.keys(hostNames(core.cpu, arrays, callouts, returns));
    // L is the region's own.
    expect([...offered, "L"].sort()).toEqual(freeNames.filter((name) => !callout(name)).sort());
    expect(freeNames.filter(callout).sort()).toEqual(
      Object.keys(calloutImplementations)
        .map((name) => `v_${name}`)
        .sort(),
    );
  });

  it.each([
    ["a global", "(function (p) { return globalThis; })"],
    ["a constructor", "(function (p) { return R.constructor; })"],
    ["a computed property name", '(function (p) { return R["constructor"]; })'],
    ["a property of a result", "(function (p) { return jump(p)[0]; })"],
    ["a call of a value", "(function (p) { return p(1); })"],
    ["a store to the code array", "(function (p) { C[p] = 1; return p; })"],
    ["an assignment to a name of the host", "(function (p) { R = p; return p; })"],
    ["this", "(function (p) { return this; })"],
    ["new", "(function (p) { return new R(p); })"],
    ["a string", '(function (p) { return "x"; })'],
    ["a template", "(function (p) { return `x`; })"],
    ["the CPU as a value", "(function (p) { R[0] = cpu; return p; })"],
    ["an endless loop", "(function (p) { L1: for (;;) { continue L1; } })"],
    ["a local that hides an array", "(function (p) { const R = p; return R; })"],
    ["a nested function", "(function (p) { return (function (q) { return q; })(p); })"],
    ["more text", "(function (p) { return p; }), 1"],
    ["an undeclared callout", "(function (p) { v_nothing(cpu); return p; })"],
  ])("refuses %s", (_name, text) => {
    expect(violations(text, ["jump", "cpu", "v_nothing"])).not.toEqual([]);
  });

  it("accepts a handler", () => {
    expect(
      violations("function (p) { const T0 = TR[R[1] >>> 12]; R[C[p + 1]] = (T0 & 1) === 0 ? M8[T0 ^ R[1]] & 255 : ld1(R[1]); return p + 2; }", [
        "TR",
        "M8",
        "ld1",
      ]),
    ).toEqual([]);
  });
});
