/** Where fetched files are kept: judged by the XDG Base Directory Specification and the other systems' habits. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, it } from "vitest";
import { cacheDirectory } from "../../src/guest/cache-directory.ts";
import { root } from "../architecture/source.ts";

const checkout = mkdtempSync(join(tmpdir(), "xlat86-cache-"));
mkdirSync(join(checkout, ".git"));
afterAll(() => rmSync(checkout, { recursive: true, force: true }));

const installed = { env: {}, platform: "linux", home: "/home/u", packageRoot: "/usr/lib/node_modules/xlat86" } as const;

it.each([
  [{ ...installed, env: { XLAT86_CACHE: "/big/disk" } }, "/big/disk"],
  [{ ...installed, packageRoot: checkout, env: { XLAT86_CACHE: "here" } }, resolve("here")],
  [{ ...installed, packageRoot: checkout, env: { XDG_CACHE_HOME: "/xdg" } }, join(checkout, ".cache")],
  [{ ...installed, env: { XDG_CACHE_HOME: "/xdg" } }, "/xdg/xlat86"],
  [{ ...installed, env: { XDG_CACHE_HOME: "relative", XLAT86_CACHE: "" } }, "/home/u/.cache/xlat86"],
  [{ ...installed, packageRoot: undefined }, "/home/u/.cache/xlat86"],
  [{ ...installed, platform: "darwin" as const }, "/home/u/Library/Caches/xlat86"],
  [{ ...installed, platform: "win32" as const, env: { LOCALAPPDATA: "/Users/u/AppData/Local" } }, "/Users/u/AppData/Local/xlat86"],
])("%j", (around, wanted) => expect(cacheDirectory(around)).toBe(wanted));

it("is in this checkout, wherever the command is started", () => {
  expect(cacheDirectory({ ...installed, packageRoot: root })).toBe(join(root, ".cache"));
});
