/**
 * WebAssembly made from a tree means what the JavaScript printed from it means. V8's JavaScript is the judge: every pure micro-op over the values that lie at edges and
 * over random ones, and what the statements around them do to memory.
 */
import { describe, expect, test } from "vitest";
import { divs, divu, signedQuotientFits } from "../../runtime/cpu/divide.ts";
import { mulhs, mulhu } from "../../runtime/cpu/multiply.ts";
import { HostMemory } from "../../runtime/memory/host-memory.ts";
import { aesTableWords, fillAesTable } from "../../translator/contract/aes.ts";
import type { WasmLayout, WasmModule } from "../../translator/contract/wasm.ts";
import { type PureOpRow, pureOps } from "../../translator/ir/pure-ops.ts";
import { vectorOps } from "../../translator/ir/vector-ops.ts";
import { helpersModule } from "../../translator/wasm/module.ts";
import { Refused } from "../../translator/wasm/names.ts";
import { Random } from "../differential/random.ts";

const memory = new HostMemory(1 << 16);
const R = memory.int32(64);
const F = memory.float64(16);
const M8 = new Int8Array(memory.buffer, 0x4000, 256);
const M16 = new Int16Array(memory.buffer, 0x4000, 128);
const AT = memory.int32(aesTableWords);
fillAesTable(AT);
const table = new WebAssembly.Table({ initial: 16, maximum: 16, element: "anyfunc" });
const calls: number[][] = [];
const host: Record<string, (...args: number[]) => number> = {
  slow: (...args) => {
    calls.push(args);
    return Math.imul(args[0], 3);
  },
};
const layout: WasmLayout = {
  pages: memory.pages,
  arrays: {
    R: { kind: "i32", offset: R.byteOffset },
    F: { kind: "f64", offset: F.byteOffset },
    M8: { kind: "i8", offset: M8.byteOffset },
    M16: { kind: "i16", offset: M16.byteOffset },
    AT: { kind: "i32", offset: AT.byteOffset },
  },
  place: 8,
  cases: 0x8000,
  firstShape: 0,
  tableSize: 16,
  stopBlock: 8,
  faulted: 16,
  faultBlock: 24,
  mayFault: new Set(),
  functions: new Set(Object.keys(host)),
  doubles: new Set(),
  helpers: new Set(),
  tailCalls: true,
};

function instance({ bytes, imports }: WasmModule): Record<string, (...args: number[]) => number> {
  const m: WebAssembly.ModuleImports = { memory: memory.memory as WebAssembly.Memory, table };
  for (const { key, name } of imports) m[key] = host[name];
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), { m }).exports as never;
}

/** The text as both. */
function both(text: string): { javascript: (...args: number[]) => number; wasm: (...args: number[]) => number } {
  const names = { R, F, M8, M16, AT, mulhu, mulhs, divu, divs, ...host };
  const javascript = new Function(...Object.keys(names), `"use strict"; return (${text});`)(...Object.values(names));
  return { javascript, wasm: instance(helpersModule({ f: text }, layout)).f };
}

const edges = [
  0, 1, 2, 3, 7, 8, 15, 31, 32, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, -0x80000000, -1, -2, -128, -256, -0x8000,
];

const ofTruths = ["logicalAnd", "logicalOr"];
/** Of operands that fit 32 bits in the quotient: anything else is never divided. */
const isDivisible: Readonly<Record<string, (high: number, low: number, d: number) => boolean>> = {
  divideUnsigned: (high, _, d) => high >>> 0 < d >>> 0,
  divideSigned: (high, low, d) => d !== 0 && signedQuotientFits(high, low, d),
};

describe("pure micro-ops", () => {
  // Those on vectors: vectors.test.ts.
  const rows = Object.entries<PureOpRow>(pureOps).filter(([op, row]) => row.type !== "f64" && !(op in vectorOps));

  test("none but those of truths is refused for numbers", () => {
    const refused = rows.filter(([, row]) => {
      try {
        helpersModule({ f: `(${row.parameters.replaceAll(" ", ", ")}) => { return ${row.js}; }` }, layout);
        return false;
      } catch (e) {
        if (e instanceof Refused) return true;
        throw e;
      }
    });
    expect(refused.map(([op]) => op)).toEqual(ofTruths);
    expect(rows.length).toBeGreaterThan(60);
  });

  test.each(rows.filter(([op]) => !ofTruths.includes(op)))("%s", (op, row) => {
    const parameters = row.parameters.split(" ");
    const made = both(`(${parameters.join(", ")}) => { return ${row.js}; }`);
    const random = new Random(86);
    const value = () => (random.below(3) === 0 ? random.pick(edges) : random.next() | 0);
    for (let n = 0; n < 2000; n++) {
      const args = parameters.map(value);
      if (isDivisible[op]?.(args[0], args[1], args[2]) === false) continue;
      expect(made.wasm(...args), `${row.js} of ${args}`).toBe(Number(made.javascript(...args)) | 0);
    }
  });
});

describe("statements and expressions", () => {
  test.each([
    [
      "elements, constant and computed places",
      "(a, b) => { R[3] = a + b | 0; R[a & 7] = R[3] ^ b; R[(b & 7) + 8] = R[3] - 1 | 0; return R[a & 15]; }",
    ],
    ["an element by a shift", "(a, b) => { M16[(a & 254) >>> 1] = b; M8[(b & 127) + 1] = a; return M16[(b & 255) >>> 1] + M8[a & 255] | 0; }"],
    ["choices", "(a, b) => { if ((a | b) >>> 31 !== 0 && a < b) { return a; } else { R[1] = b; } return R[1] === b ? b : 7; }"],
    [
      "unsigned and mixed comparisons",
      "(a, b) => { return (a >>> 0 < b >>> 0 ? 1 : 0) | (a < b >>> 0 ? 2 : 0) | (a + b > 5 ? 4 : 0) | (a - b >= a ? 8 : 0); }",
    ],
    ["sums that leave 32 bits", "(a, b) => { const s = a + b + a - 3 | 0; return a + b + s >>> 1; }"],
    ["unsigned locals", "(a, b) => { const u = a >>> 0; const v = b >>> 0; return (u < v ? 1 : 0) | (u + v > 4294967295 ? 2 : 0); }"],
    ["doubles", "(a, b) => { F[a & 7] = a * 0.5 + b; F[8]++; const d = F[a & 7] - F[8]; return d < 0 ? 1 : d === 0 ? 2 : 3; }"],
    ["a double made an integer", "(a, b) => { const d = a * 1.25 + b; F[1] = d; return d | 0; }"],
    [
      "variables that become doubles, one through the other",
      "(a, b) => { let x = 0; let y = 0; if (a < b) { x = a * 0.5; } const z = y > x ? y : x; y = z; x = y; F[2] = y + x; return y < 0.25 ? 1 : 2; }",
    ],
    [
      "loops and labels",
      "(a, b) => { let n = a & 63; let s = 0; X: { L: for (;;) { s = s + n ^ b; if (s === 5) { s = 77; break X; } n = n - 1 | 0; if (n > 0) { continue L; } break X; } } return s; }",
    ],
    [
      "names that share a local",
      "(a, b) => { let s = 0; const u = a + 1 | 0; if (b > 0) { const v = u + b | 0; s = v; } else { const w = u ^ b; s = w; } const z = s + 1 | 0; return z ^ s; }",
    ],
    [
      "a name from outside a loop",
      "(a, b) => { let n = 4; let s = 0; const k = a ^ b; X: { L: for (;;) { const m = k + n | 0; s = s ^ m; const q = s + 1 | 0; s = q; n = n - 1 | 0; if (n !== 0) { continue L; } break X; } } return s; }",
    ],
    [
      "both truths, whatever they cost",
      "(a, b) => { return (a < b && slow(a) > 0 ? 1 : 0) | (a < b || slow(b) > 0 ? 2 : 0) | (!(a < 0 || b < 0) ? 4 : 0); }",
    ],
    ["assignments as values", "(a, b) => { let n = 0; let m = 0; R[2] = (n = m = a - b | 0, n + 1 | 0); return n + m | 0; }"],
    ["calls", "(a, b) => { slow(a); R[5] = (slow(b, a), 9); return slow(a, b) + R[5] | 0; }"],
  ])("%s", (_, text) => {
    const { javascript, wasm } = both(text);
    const random = new Random(7);
    const fill = (seed: number): void => {
      const r = new Random(seed);
      for (let k = 0; k < R.length; k++) R[k] = r.next();
      for (let k = 0; k < F.length; k++) F[k] = (r.next() | 0) / 8;
      for (let k = 0; k < M8.length; k++) M8[k] = r.next();
      calls.length = 0;
    };
    const state = () => JSON.stringify([[...R], [...F], [...M8], calls]);
    for (let n = 0; n < 1000; n++) {
      const args = [random.below(4) === 0 ? random.pick(edges) : random.next() | 0, random.pick([random.pick(edges), random.next() | 0])];
      fill(n);
      const expected = [Number(javascript(...args)) | 0, state()];
      fill(n);
      expect([wasm(...args), state()], `${args}`).toEqual(expected);
    }
  });

  test.each([
    ["an array that is not there", "(a) => { return Q[a]; }"],
    ["a name that is not there", "(a) => { return a + q; }"],
    ["a function that is not there", "(a) => { return q(a); }"],
    ["a fraction for an integer", "(a) => { R[0] = 0.5; return a; }"],
    ["a loop with a head", "(a) => { L: for (; a > 0; ) { return a; } }"],
    ["a loop without a name", "(a) => { for (;;) { return a; } }"],
    ["an unsigned number for a function", "(a) => { return slow(a >>> 0); }"],
  ])("refuses %s", (_, text) => {
    expect(() => helpersModule({ f: text }, layout)).toThrow(Refused);
  });
});
