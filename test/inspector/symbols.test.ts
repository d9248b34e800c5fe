/** Names of guest code, judged by what binutils' nm reads from the same file. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSymbols, Symbols } from "../../src/inspector/symbols.ts";
import { hostProgram, mustSkip } from "../guests/oracle.ts";

const text = (lines: string[]): Uint8Array => new TextEncoder().encode(`${lines.join("\n")}\n`);

describe("System.map and kallsyms", () => {
  const symbols = new Symbols(
    readSymbols(
      text([
        "c1000000 T _stext",
        "c1000000 T startup_32",
        "c1000040 t helper",
        "c1000100 D some_data",
        "c1200000 W weak_one",
        "f8a41000 t probe\t[e1000]",
        "00000000c1300000 T wide",
      ]),
    )!,
  );

  it("name the code behind each symbol, up to the next", () => {
    expect(symbols.describe(0xc1000000)).toBe("_stext");
    expect(symbols.describe(0xc100003f)).toBe("_stext+3f");
    expect(symbols.describe(0xc1000044)).toBe("helper+4");
    // Data is no code: what lies behind belongs to the symbol before.
    expect(symbols.describe(0xc1000104)).toBe("helper+c4");
    expect(symbols.describe(0xc1200000)).toBe("weak_one");
    expect(symbols.describe(0xf8a41010)).toBe("probe [e1000]+10");
    expect(symbols.describe(0xc1300001)).toBe("wide+1");
  });

  it("do not name what is before the first or far behind the last", () => {
    expect(symbols.describe(0xc0ffffff)).toBeUndefined();
    expect(symbols.describe(0xf8b41000)).toBeUndefined();
    expect(new Symbols([]).describe(0)).toBeUndefined();
  });

  it("are told from other files", () => {
    expect(readSymbols(text(["#!/bin/sh", "echo no"]))).toBeUndefined();
    expect(readSymbols(Uint8Array.of(0x1f, 0x8b, 8, 0))).toBeUndefined();
  });
});

describe("ELF", () => {
  const gcc = hostProgram("gcc", "gcc-multilib");
  const nm = hostProgram("nm", "binutils");
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "symbols-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("has the functions that nm lists, at their addresses and with their sizes", () => {
    if (mustSkip("symbols of an ELF file", gcc) || mustSkip("symbols of an ELF file", nm)) return;
    const source = join(folder, "a.c");
    const file = join(folder, "a");
    writeFileSync(source, "int table[9]; static __attribute__((noinline)) int twice(int x) { return 2 * x + table[1]; }\nint other(int x) { return twice(x) + 1; }\nvoid _start(void) { for (;;) table[0] = other(table[0]); }\n"); // biome-ignore format: C
    execFileSync("gcc", ["-m32", "-O1", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-o", file, source]);
    const bytes = readFileSync(file);
    const symbols = readSymbols(bytes)!;
    const listed = execFileSync("nm", ["-S", file], { encoding: "utf8" });
    const functions = [...listed.matchAll(/^([0-9a-f]{8}) ([0-9a-f]{8}) [tT] (\S+)$/gm)];
    expect(functions.map(([, , , name]) => name).sort()).toEqual(["_start", "other", "twice"]);
    for (const [, address, size, name] of functions) {
      expect(symbols.find((s) => s.name === name)).toEqual({ address: Number.parseInt(address!, 16), size: Number.parseInt(size!, 16), name });
    }
    const table = new Symbols(symbols);
    const [, address, size] = functions.find(([, , , name]) => name === "other")!;
    expect(table.describe(Number.parseInt(address!, 16) + 1)).toBe("other+1");
    expect(table.describe(Number.parseInt(address!, 16) + Number.parseInt(size!, 16))).not.toMatch(/^other/);
  });
});
