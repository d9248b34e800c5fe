// The userland guest without booting it: the plan of packages, the tree that goes into the archive, and what the workloads are expected to compute, held against
// the same programs on this host's processor.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { INIT_SCRIPT } from "../../bench/userland/guest.ts";
import { treeEntries } from "../../bench/userland/packages.ts";
import { benchText, KEY_FILE, newSigningKey, TEXT_FILE, userlandWorkloads, WORKLOAD_NAMES } from "../../bench/userland/workloads.ts";
import { parseInstallPlan } from "../../src/guest/apt.ts";
import { type Availability, mustSkip } from "../guests/oracle.ts";

/** By the shell's own search: not every program knows --version. */
function programOnHost(name: string): Availability {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { stdio: "ignore" });
    return { available: true };
  } catch {
    return { available: false, reason: `${name} is not installed` };
  }
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "xlat86-userland-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

test("the install plan of apt-get -s", () => {
  const plan = `Reading package lists...
The following NEW packages will be installed:
  gzip libc6
Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [i386]) []
Conf libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [i386])
Inst gzip (1:1.12-1 Debian:12.15/oldstable [i386])
`;
  expect(parseInstallPlan(plan)).toEqual(["libc6=2.36-9+deb12u14", "gzip=1:1.12-1"]);
});

test("a tree becomes entries, parents first, without what is left out", async () => {
  mkdirSync(join(directory, "usr/share/doc"), { recursive: true });
  mkdirSync(join(directory, "bin"));
  writeFileSync(join(directory, "usr/share/doc/readme"), "text");
  writeFileSync(join(directory, "bin/tool"), "data", { mode: 0o755 });
  symlinkSync("tool", join(directory, "bin/link"));
  expect(await treeEntries(directory, ["usr/share/"])).toEqual([
    { kind: "directory", path: "bin", permissions: 0o755 },
    { kind: "symlink", path: "bin/link", target: "tool" },
    { kind: "file", path: "bin/tool", data: Buffer.from("data"), permissions: 0o755 },
    { kind: "directory", path: "usr", permissions: 0o755 },
  ]);
});

test("the data is the same every time", () => {
  const text = benchText();
  expect(text.length).toBe(6_000_000);
  expect(Buffer.from(text.subarray(0, 4000)).toString()).toMatch(/^[a-z]+( [a-z]+)*\n/);
  expect(Buffer.compare(benchText(), text)).toBe(0);
});

describe("the workloads on this processor", () => {
  const text = benchText();
  const key = newSigningKey();
  const workloads = userlandWorkloads(text, key);

  test("have the names that --only knows", () => {
    expect(workloads.map(({ name }) => name)).toEqual([...WORKLOAD_NAMES]);
  });

  // What each needs beside a shell and coreutils.
  const needs: Record<string, string> = {
    "python-loop": "python3",
    "perl-hash": "perl",
    "gzip-sha256": "gzip",
    pipelines: "cut",
    "openssl-sha256": "openssl",
    "openssl-aes": "openssl",
    "openssl-rsa": "openssl",
  };
  test.each(workloads.filter(({ name }) => needs[name]))("$name", ({ name, script, files, expected }) => {
    const program = needs[name];
    if (mustSkip(`the result of ${name}`, programOnHost(program))) return;
    writeFileSync(join(directory, TEXT_FILE), text);
    writeFileSync(join(directory, KEY_FILE), key);
    for (const [file, content] of Object.entries(files ?? {})) writeFileSync(join(directory, file), content);
    const output = execFileSync("sh", ["-c", script], { cwd: directory, encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
    expect(output.trim().split("\n").at(-1)).toBe(expected);
  });

  test("scripts and /init are well-formed", () => {
    for (const script of [INIT_SCRIPT, ...workloads.map((workload) => workload.script)]) execFileSync("sh", ["-n"], { input: script });
  });
});
