/** Whether V8 takes the branch hints that modules have: with them code that is seldom run stays behind the rest. */
import { describe, expect, it } from "vitest";
import { HostMemory } from "../../runtime/memory/host-memory.ts";
import { allowBranchHints } from "../../src/machine/branch-hints.ts";
import { Emitter } from "../../translator/wasm/emitter.ts";
import { encodeModule } from "../../translator/wasm/encoder.ts";

/** A module with hints at `shift` bytes from where its branch is. */
function moduleOf(shift: number): Uint8Array<ArrayBuffer> {
  const f = new Emitter(1);
  f.local("local.get", 0);
  f.begin("if", "i32", false);
  f.constant(1);
  f.op("else");
  f.constant(2);
  f.end();
  const hints = f.hints.map((value, k) => (k % 2 === 0 ? value + shift : value));
  const type = { parameters: ["i32"], results: ["i32"] } as const;
  return encodeModule({
    types: [type],
    imports: [],
    functions: [{ type, locals: ["i32", "i32", "f64"], body: f.body, hints, name: "f" }],
    pages: new HostMemory(0).pages,
    tableSize: 1,
  });
}

describe("branch hints", () => {
  it("tells V8 once, without a word about it", () => {
    allowBranchHints();
    allowBranchHints();
    expect(WebAssembly.validate(moduleOf(0))).toBe(true);
  });

  it("name the place of the branch in its function, locals included", () => {
    const bytes = moduleOf(0);
    const name = new TextEncoder().encode("metadata.code.branch_hint");
    const at = bytes.findIndex((_, k) => name.every((b, i) => bytes[k + i] === b)) + name.length;
    // One function, number 0, one hint: offset, size, value.
    expect([...bytes.subarray(at, at + 3)]).toEqual([1, 0, 1]);
    const [offset, size, value] = bytes.subarray(at + 3, at + 6);
    expect([size, value]).toEqual([1, 0]);
    // Section 10: its size, one function, the function's size; then the function.
    const code = at + 6;
    expect(bytes[code]).toBe(10);
    const body = code + 4;
    expect(bytes[body + (offset as number)]).toBe(0x04);
  });
});
