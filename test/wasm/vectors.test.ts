/** Operations on vectors mean the same as WebAssembly's instructions and in JavaScript: each instruction, and each pure micro-op made of them, over lanes at edges and random ones. */
import { describe, expect, test } from "vitest";
import { vectorOperations } from "../../runtime/callouts/simd/vectors.ts";
import { HostMemory } from "../../runtime/memory/host-memory.ts";
import type { WasmLayout } from "../../translator/contract/wasm.ts";
import type { PureOpRow } from "../../translator/ir/pure-ops.ts";
import { vectorOps } from "../../translator/ir/vector-ops.ts";
import { helpersModule } from "../../translator/wasm/module.ts";
import { Refused } from "../../translator/wasm/names.ts";
import { vectorObjects, vectorOpcode, vectorOperation } from "../../translator/wasm/vectors.ts";
import { Random } from "../differential/random.ts";

const memory = new HostMemory(1 << 16);
const R = memory.int32(32);
const F = memory.float64(4);
const ram = new Uint8Array(memory.buffer, 0x4000, 64);
const layout: WasmLayout = {
  pages: memory.pages,
  arrays: {
    R: { kind: "i32", offset: R.byteOffset },
    F: { kind: "f64", offset: F.byteOffset },
    M8: { kind: "i8", offset: ram.byteOffset },
  },
  place: 8,
  cases: 0x8000,
  firstShape: 0,
  tableSize: 16,
  stopBlock: 8,
  faulted: 16,
  faultBlock: 24,
  mayFault: new Set(),
  functions: new Set(),
  doubles: new Set(),
  helpers: new Set(),
  tailCalls: true,
};
const table = new WebAssembly.Table({ initial: 16, maximum: 16, element: "anyfunc" });
const operations = vectorOperations(R, ram);

type Made = (n: number) => number;
function both(text: string): { javascript: Made; wasm: Made } {
  const names = { ...operations, R, F };
  const javascript = new Function(...Object.keys(names), `"use strict"; return (${text});`)(...Object.values(names));
  const { bytes } = helpersModule({ f: text }, layout);
  const m = { memory: memory.memory as WebAssembly.Memory, table };
  return { javascript, wasm: new WebAssembly.Instance(new WebAssembly.Module(bytes), { m }).exports.f as Made };
}

const integers = [0, 1, -1, 0x7f80_7f80, 0x8000_0000 | 0, 0x7fff_ffff, 0x0080_8000, 0xff00_ff7f | 0, 0x0001_ffff, 0x8001_7ffe | 0];
const doubles = [0, -0, 1, -1.5, 3e-310, 2.5e-308, 1e300, -1e-20, Number.POSITIVE_INFINITY, Number.NaN, 2 ** 127, 1e-40, 123456.75];

/** What the functions find: slots 0, 4 and 8 as vectors, guest memory, doubles in F. */
function fill(random: Random, format: string): void {
  for (let k = 0; k < 12; k++) R[k] = random.below(3) === 0 ? random.pick(integers) : random.next() | 0;
  const bits = new DataView(R.buffer, R.byteOffset, 48);
  for (let at = 0; at < 48; at += 8) {
    if (format === "f64x2") bits.setFloat64(at, random.pick(doubles) * (random.below(2) === 0 ? 1 : (random.next() | 0) / 7), true);
    else if (format === "f32x4")
      for (const k of [0, 4]) bits.setFloat32(at + k, random.pick(doubles) * (random.below(2) === 0 ? 1 : (random.next() | 0) / 7), true);
  }
  for (let k = 0; k < ram.length; k++) ram[k] = random.next();
  for (let k = 0; k < F.length; k++) F[k] = random.pick(doubles);
}

/** Which NaN an operation yields is for the processor to say. */
function withoutNaNs(words: Int32Array, format: string): (number | bigint | string)[] {
  if (format === "f64x2") return [...new Float64Array(words.slice().buffer)].map((x) => (Object.is(x, -0) ? "-0" : `${x}`));
  if (format === "f32x4") return [...new Float32Array(words.slice().buffer)].map((x) => (Object.is(x, -0) ? "-0" : `${x}`));
  return [...words];
}

function compare(text: string, format: string, rounds = 200): void {
  const { javascript, wasm } = both(text);
  const random = new Random(128);
  for (let round = 0; round < rounds; round++) {
    const seed = random.next();
    const n = random.below(4) === 0 ? random.next() | 0 : random.below(70);
    const results = [javascript, wasm].map((f) => {
      fill(new Random(seed), format);
      const result = f(n);
      return { result: Number(result) | 0, vector: withoutNaNs(R.slice(12, 16), format), F: `${F[0]}`, ram: [...ram] };
    });
    expect(results[1], `${text} with ${n}, seed ${seed}`).toEqual(results[0]);
  }
}

/** (n) => { ... } around an expression of a type; it may name a, b and n. */
function withResult(expression: string, type: string | undefined): string {
  const head = "const a = v128.loadSlot(0); const b = v128.loadSlot(4); const c = v128.loadSlot(8);";
  if (type === "v128") return `(n) => { ${head} v128.storeSlot(12, ${expression}); return 0; }`;
  if (type === "f64" || type === "f32") return `(n) => { ${head} F[0] = ${expression}; return 0; }`;
  if (type === undefined) return `(n) => { ${head} ${expression}; return 0; }`;
  return `(n) => { ${head} return ${expression}; }`;
}

const lanesOf: Readonly<Record<string, number>> = { i8x16: 16, i16x8: 8, i32x4: 4, i64x2: 2, f32x4: 4, f64x2: 2 };

describe("instructions", () => {
  // Written for other names: loads and stores of slots and places, lanes of any width, constants.
  const inside = new Set(["v128.load", "v128.store", "v128.load64_zero", "v128.store64_lane", "v128.const", "i8x16.shuffle"]);
  const random = new Random(1);
  test.each(Object.keys(vectorOpcode).filter((name) => !inside.has(name)))("%s", (name) => {
    const [object, method] = name.split(".");
    const operation = vectorOperation(object, method);
    expect(operation).toBeDefined();
    const { operands, result } = operation as NonNullable<typeof operation>;
    const lane = random.below(lanesOf[object] ?? 1);
    const vectors = ["a", "b", "c"];
    const args = operands.map((kind) => (kind === "v128" ? vectors.shift() : kind === "lane" ? lane : kind === "i32" ? "n" : "F[1]"));
    const format = name === "f32x4.demote_f64x2_zero" ? "f64x2" : name === "f64x2.promote_low_f32x4" ? "f32x4" : object;
    // What comes out as singles is looked at as such.
    compare(withResult(`${name}(${args.join(", ")})`, result), format);
  });

  test.each(Object.entries(lanesOf).filter(([object]) => object.startsWith("i")))("%s.shuffle", (object, lanes) => {
    for (let k = 0; k < 5; k++)
      compare(withResult(`${object}.shuffle(a, b, ${Array.from({ length: lanes }, () => random.below(2 * lanes)).join(", ")})`, "v128"), "");
  });

  test.each([
    ["v128.zero()", "v128"],
    ["v128.const(0, 1, 2, 3, 128, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)", "v128"],
    ["f64x2.splat(1.5)", "v128"],
    ["f32x4.splat(0.1)", "v128"],
    ["i32x4.splat(-7)", "v128"],
    ["i16x8.splat(300)", "v128"],
    ["i8x16.splat(200)", "v128"],
    ["v128.loadPlace(n & 31)", "v128"],
    ["v128.loadHalf(n & 31)", "v128"],
    ["v128.storePlace(n & 31, a)", undefined],
    ["v128.storeHalf(n & 31, a, 0)", undefined],
    ["v128.storeHalf(n & 31, a, 1)", undefined],
    ["n > 20 ? a : b", "v128"],
  ])("%s", (expression, type) => compare(withResult(expression, type), ""));

  test("names and lanes that are none are refused", () => {
    expect(vectorOperation("i64x2", "min_s")).toBeUndefined();
    expect(vectorOperation("Math", "shuffle")).toBeUndefined();
    for (const wrong of ["i64x2.min_s(a, b)", "i32x4.extract_lane(a, n)", "i32x4.add(a, n)", "i32x4.add(a)", "n > 0 ? a : n"])
      expect(() => helpersModule({ f: withResult(wrong, "v128") }, layout), wrong).toThrow(Refused);
  });

  test("variables hold vectors, in loops as well", () => {
    const text = `(n) => {
      let x = v128.loadSlot(0); let k = n & 7; let d = 0.5; const y = v128.loadSlot(4);
      X: { L: for (;;) { x = i32x4.add(x, y); const z = v128.xor(x, y); if (k < 3) { x = z; } d = d + 1; k = k - 1 | 0; if (k > 0) { continue L; } break X; } }
      F[0] = d; v128.storeSlot(12, x); return i32x4.extract_lane(x, 2);
    }`;
    compare(text, "");
  });
});

describe("pure micro-ops", () => {
  test.each(Object.entries<PureOpRow>(vectorOps))("%s", (_, { parameters, js, type = "i32" }) => {
    // An immediate is a literal where it says which lanes.
    const literals = /shuffle\(.*\bn\b|_lane(_u)?\(.*\bn\b/.test(js) ? [0, 27, 0xe4, 0xb1, 0x1b, 0xff, 0x4e, 5] : ["n"];
    const places: Readonly<Record<string, string>> = { low: "a", high: "b", w: "(n | 0)", x: "(n ^ 5)", y: "(n << 3)", z: "~n" };
    for (const literal of literals) {
      const bound = parameters
        .split(" ")
        .reduce((text, p) => text.replaceAll(new RegExp(`\\b${p}\\b(?!\\()`, "g"), p === "n" ? `${literal}` : (places[p] ?? p)), js);
      compare(withResult(bound, type), "", 60);
    }
  });

  test("name no objects but those of vectors", () => {
    for (const { js } of Object.values<PureOpRow>(vectorOps))
      for (const [, object] of js.matchAll(/(\w+)\.\w+\(/g)) expect(vectorObjects).toContain(object);
  });
});
