/** The rules are only as good as the reading of the sources. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { read, root } from "./source.ts";

describe("reading sources", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "sample-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const sample = (text: string) => {
    writeFileSync(join(folder, "sample.ts"), text);
    return read(relative(root, join(folder, "sample.ts")));
  };

  it("sees every form of import", () => {
    const { imports } = sample(
      [
        'import a from "one";',
        'import { b,\n  c } from "two";',
        'import type { D } from "three";',
        'export * from "four";',
        'export { e } from "./five.ts";',
        'import "six";',
        'const f = await import("seven");',
        '// import g from "eight";',
        'const text = "import h from nine"; /* import i from "ten"; */',
      ].join("\n"),
    );
    expect(imports.map((name) => name.replace(/^.*\/sample-[^/]*\//, ""))).toEqual(["one", "two", "three", "four", "five.ts", "six", "seven"]);
  });

  it("keeps strings and drops comments", () => {
    const { code } = sample('const a = "// not a comment"; // eval(1)\nconst r = /"/; /* new Function */ const s = `/* kept */`;\n');
    expect(code).toContain('"// not a comment"');
    expect(code).toContain("`/* kept */`");
    expect(code).not.toMatch(/eval|new Function/);
  });
});
