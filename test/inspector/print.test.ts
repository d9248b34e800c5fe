/** The printer of micro-ops: what it must not get wrong is which value a name stands for. */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import type { MicroBlock } from "../../translator/ir/block.ts";
import type { GetStatement, Statement, Value } from "../../translator/ir/micro.ts";
import { printBlock, slotName } from "../../translator/ir/print.ts";

const constant = (value: number): Value => ({ kind: "constant", value });
const ref = (n: number) => ({ base: constant(n), offset: 0 });
const get = (n: number, type: "i32" | "f64" = "i32"): GetStatement => ({ kind: "get", slot: ref(n), type });
const set = (n: number, value: Value, type: "i32" | "f64" = "i32"): Statement => ({ kind: "set", slot: ref(n), type, value });
const result = (statement: GetStatement): Value => ({ kind: "result", statement });
const add = (a: Value, b: Value): Value => ({ kind: "pure", op: "add", args: [a, b], type: "i32" });

function print(...statements: Statement[]): string[] {
  const block: MicroBlock = {
    offset: 0,
    instructions: [{ offset: 0, next: 1 }],
    statements: statements.map((s) => ({ s, instruction: 0 })),
    terminator: undefined,
  };
  return printBlock(block).map(({ text }) => text);
}

describe("a state read", () => {
  it("is the slot's name where nothing writes the slot before its last use", () => {
    const eax = get(slot.eax);
    expect(print(eax, set(slot.ecx, add(result(eax), constant(1))), set(slot.edx, result(eax)))).toEqual(["set ecx = add(eax, 1)", "set edx = eax"]);
  });

  it("has a line of its own where the slot is written in between", () => {
    const eax = get(slot.eax);
    const lines = print(eax, set(slot.eax, constant(5)), set(slot.edx, result(eax)));
    expect(lines).toEqual(["t0 = eax", "set eax = 5", "set edx = t0"]);
  });

  it("may be used by the write itself", () => {
    const eax = get(slot.eax);
    expect(print(eax, set(slot.eax, add(result(eax), constant(-1))))).toEqual(["set eax = add(eax, -1)"]);
  });

  it("knows that a double covers two slots", () => {
    const high = get(slot.xmm + 1);
    const double = get(slot.xmm + 4, "f64");
    const lines = print(high, double, set(slot.xmm, result(double), "f64"), set(slot.eax, result(high)));
    expect(lines).toEqual(["t0 = xmm0[1]", "set f64 xmm0[0] = f64 xmm1[0]", "set eax = t0"]);
  });

  it("has a line of its own where a callout may change the slot", () => {
    const eax = get(slot.eax);
    const call: Statement = { kind: "call", callout: "cpuid", args: [] };
    expect(print(eax, call, set(slot.edx, result(eax)))[0]).toBe("t0 = eax");
    const other: Statement = { kind: "call", callout: "portWrite", args: [constant(1), constant(1), constant(1)] };
    expect(print(eax, other, set(slot.edx, result(eax)))[1]).toBe("set edx = eax");
  });
});

describe("a shared value", () => {
  it("is computed once, before its first user", () => {
    const eax = get(slot.eax);
    const sum = add(result(eax), constant(1));
    expect(print(eax, set(slot.eax, sum), set(slot.flagZero, sum))).toEqual(["t0 = add(eax, 1)", "set eax = t0", "set flagZero = t0"]);
  });
});

describe("names", () => {
  it.each([
    [slot.eip, "eip"],
    [slot.segmentBase + 4, "segmentBase.fs"],
    [slot.selector + 6, "selector.ldtr"],
    [slot.xmm + 7, "xmm1[3]"],
    [slot.fpuMantissaLow + 2, "fpuMantissaLow[2]"],
    [slot.cr0, "cr0"],
  ])("slot %i is %s", (number, name) => {
    expect(slotName(number)).toBe(name);
  });
});
