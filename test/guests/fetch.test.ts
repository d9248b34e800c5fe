// Fetching: what a person is told when it cannot work, and that nothing half done stays behind. No network is used here.

import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fetchFirmware, fetchLinuxGuest, GuestFetchError } from "../../src/guest/debian.ts";
import { progressBar } from "../../src/guest/progress.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "xlat86-fetch-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

describe("fetchLinuxGuest", () => {
  test("without apt-get it says what is missing and leaves no files", async () => {
    vi.stubEnv("PATH", directory);
    const cacheDir = join(directory, "cache");
    const fetching = fetchLinuxGuest({ cacheDir });
    await expect(fetching).rejects.toThrow(GuestFetchError);
    await expect(fetching).rejects.toThrow(/apt-\w+ is not installed; fetching from Debian's packages needs apt-get and dpkg-deb/);
    expect(existsSync(cacheDir) ? readdirSync(cacheDir) : []).toEqual([]);
  });
});

describe("fetchFirmware", () => {
  test("without apt-get it says what is missing and leaves no files", async () => {
    vi.stubEnv("PATH", directory);
    const cacheDir = join(directory, "cache");
    await expect(fetchFirmware({ cacheDir })).rejects.toThrow(GuestFetchError);
    expect(existsSync(cacheDir) ? readdirSync(cacheDir) : []).toEqual([]);
  });
});

describe("progressBar", () => {
  test("on a terminal one line is drawn again and again", () => {
    const written: string[] = [];
    const report = progressBar({ isTTY: true, write: (text) => written.push(text) });
    report({ fraction: 0.5, message: "half" });
    report({ fraction: 1, message: "done" });
    expect(written[0]).toMatch(/^\r\[#{15}\.{15}\] {2}50% {2}half/);
    expect(written[1]).toMatch(/^\r\[#{30}\] 100% {2}done.*\n$/s);
  });

  test("elsewhere each stage is one line", () => {
    const written: string[] = [];
    const report = progressBar({ write: (text) => written.push(text) });
    for (const fraction of [0, 0.1, 0.2]) report({ fraction, message: "first" });
    report({ fraction: 0.3, message: "second" });
    expect(written).toEqual(["fetching the Debian guest: first\n", "fetching the Debian guest: second\n"]);
    progressBar({ write: (text) => written.push(text) }, "SeaBIOS")({ fraction: 0, message: "first" });
    expect(written[2]).toBe("fetching SeaBIOS: first\n");
  });
});
