/** Top-level variables of a bundle as constants, wherever that changes nothing. */
import { describe, expect, it } from "vitest";
import { constantsOf } from "../../src/web/host/constants.ts";

describe("constants of a bundle", () => {
  it.each([
    ["var a = 1, b = () => a;\nexport { b };", "const a = 1, b = () => a;\nexport { b };"],
    ["var C = class { x = 1; };", "const C = class { x = 1; };"],
    ["function f() { var a = 1; a = 2; return a; }\nvar b = f();", "function f() { var a = 1; a = 2; return a; }\nconst b = f();"],
  ])("%s", (before, after) => {
    expect(constantsOf(before)).toBe(after);
  });

  it.each([
    "var a = 1; function f() { a = 2; }",
    "var a = 1; a++;",
    "var a = 1; [a] = [2];",
    "var a = 1; ({ x: a = 3 } = {});",
    "var a = 1; for (a of []);",
    "var a; export { a };",
    "var { a } = Math;",
    "var a = 1, b; b = 2;",
  ])("leaves %s", (text) => {
    expect(constantsOf(text)).toBe(text);
  });
});
