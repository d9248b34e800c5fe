// The archive writer against the kernel's description of the format, read back here field by field, and against busybox's cpio: the guest's own binary, run
// on this host's processor.

import { execFileSync } from "node:child_process";
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type ArchiveEntry, writeCpioArchive } from "../../src/guest/cpio.ts";
import { fetchLinuxGuest } from "../../src/guest/debian.ts";
import { busyboxApplets, initramfsEntries } from "../../src/guest/initramfs.ts";
import { type Availability, mustSkip } from "./oracle.ts";

const encoder = new TextEncoder();

// Names of lengths that need every amount of padding, and data likewise.
const ENTRIES: ArchiveEntry[] = [
  { kind: "directory", path: "d" },
  { kind: "file", path: "d/a", data: encoder.encode("x") },
  { kind: "file", path: "d/bc", data: encoder.encode("xy"), permissions: 0o755 },
  { kind: "file", path: "d/def", data: encoder.encode("xyz") },
  { kind: "file", path: "d/ghij", data: encoder.encode("wxyz") },
  { kind: "file", path: "d/empty", data: new Uint8Array(0) },
  { kind: "symlink", path: "d/link", target: "a" },
];

// A few bytes stand in for a binary: what counts is the applet table.
const FAKE_BUSYBOX = encoder.encode("\x7fELF...\0[\0[[\0cat\0sh\0zcat\0\0rest");

let busybox = "";
let judge: Availability = { available: false, reason: "not fetched yet" };

beforeAll(async () => {
  try {
    busybox = join(dirname((await fetchLinuxGuest()).kernel), "busybox");
    execFileSync(busybox, ["true"]);
    judge = { available: true };
  } catch (error) {
    judge = { available: false, reason: `busybox cannot be fetched or run here: ${error}` };
  }
}, 240_000);

function cpio(archive: Uint8Array, options: string[], cwd?: string): string {
  return execFileSync(busybox, ["cpio", "-i", ...options], { input: archive, encoding: "utf8", cwd });
}

describe("newc archive", () => {
  test("header of the first entry, byte by byte", () => {
    const archive = Buffer.from(writeCpioArchive([{ kind: "file", path: "ab", data: encoder.encode("12345"), permissions: 0o644 }]));
    const field = (index: number) => Number.parseInt(archive.toString("latin1", 6 + 8 * index, 14 + 8 * index), 16);
    expect(archive.toString("latin1", 0, 6)).toBe("070701");
    expect(field(1)).toBe(0o100644);
    expect(field(6)).toBe(5);
    expect(field(11)).toBe(3);
    expect(archive.toString("latin1", 110, 113)).toBe("ab\0");
    // 110 + 3 is padded to 116.
    expect(archive.toString("latin1", 116, 121)).toBe("12345");
    // 5 bytes of data are padded to 8, then the trailer follows.
    expect(archive.toString("latin1", 124, 130)).toBe("070701");
    expect(archive.toString("latin1", 124 + 110, 124 + 120)).toBe("TRAILER!!!");
  });

  test("cpio unpacks names, contents, permissions and links", () => {
    if (mustSkip("archives against cpio", judge)) return;
    const directory = mkdtempSync(join(tmpdir(), "xlat86-cpio-"));
    try {
      cpio(writeCpioArchive(ENTRIES), ["-d"], directory);
      for (const entry of ENTRIES) {
        const path = join(directory, entry.path);
        if (entry.kind === "directory") expect(lstatSync(path).isDirectory()).toBe(true);
        if (entry.kind === "symlink") expect(readlinkSync(path)).toBe(entry.target);
        if (entry.kind !== "file") continue;
        expect(new Uint8Array(readFileSync(path))).toEqual(entry.data);
        expect(lstatSync(path).mode & 0o777).toBe(entry.permissions ?? 0o644);
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe("initramfs", () => {
  test("a link for every applet of the binary's table", () => {
    expect(busyboxApplets(FAKE_BUSYBOX)).toEqual(["[", "[[", "cat", "sh", "zcat"]);
    expect(() => busyboxApplets(encoder.encode("\x7fELF no table"))).toThrow(/no applet table/);
    expect(initramfsEntries(FAKE_BUSYBOX)).toContainEqual({ kind: "symlink", path: "bin/zcat", target: "busybox" });
  });

  test("the table read from Debian's binary is the list it gives itself", () => {
    if (mustSkip("the applet list against busybox", judge)) return;
    const listed = execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n");
    expect(busyboxApplets(readFileSync(busybox))).toEqual(listed);
  });

  test("cpio lists its init, its console and its links", () => {
    if (mustSkip("the initramfs against cpio", judge)) return;
    const listing = cpio(writeCpioArchive(initramfsEntries(FAKE_BUSYBOX)), ["-tv"]);
    expect(listing).toMatch(/^crw------- .* dev\/console$/m);
    expect(listing).toMatch(/^-rwxr-xr-x .* init$/m);
    expect(listing).toMatch(/^lrwxrwxrwx .* bin\/cat/m);
  });
});
