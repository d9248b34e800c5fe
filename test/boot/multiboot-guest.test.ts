/** A kernel that prints what it was handed, started by QEMU's Multiboot loader and by ours: the same words. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root } from "../architecture/source.ts";

const main = join(root, "src/cli/main.ts");
const missing = ["gcc", "objcopy", "qemu-system-i386"].filter((tool) => spawnSync(tool, ["--version"]).status !== 0);
const hasOracle = missing.length === 0;
if (!hasOracle)
  console.warn(`NOT TESTED: Multiboot against QEMU, for want of ${missing.join(", ")} (apt-get install gcc-multilib binutils qemu-system-x86)`);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-multiboot-"));
  if (!hasOracle) return;
  const source = join(root, "test/boot/report");
  const flags = [
    "-m32",
    "-O1",
    "-ffreestanding",
    "-fno-pic",
    "-no-pie",
    "-fno-stack-protector",
    "-mno-sse",
    "-nostdlib",
    "-static",
    "-Wl,--build-id=none",
  ];
  const build = (name: string, ...more: string[]): unknown =>
    execFileSync("gcc", [...flags, ...more, "-T", join(source, "report.ld"), "-o", join(folder, name), join(source, "report.c")]);
  build("elf");
  build("fields.elf", "-DADDRESS_FIELDS");
  execFileSync("objcopy", ["-O", "binary", join(folder, "fields.elf"), join(folder, "fields")]);
  writeFileSync(join(folder, "one"), "first module");
  writeFileSync(join(folder, "two"), Buffer.alloc(10_000, "xyzzy"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a Multiboot kernel", () => {
  it("has an oracle in CI", () => {
    if (process.env.CI) expect(missing).toEqual([]);
  });

  it.skipIf(!hasOracle).each(["elf", "fields"])("(%s) is handed what QEMU hands it", (image) => {
    const qemu = spawnSync(
      "qemu-system-i386",
      // To a file: at the exit through port f4h QEMU drops what a pipe has not taken yet.
      [
        "-kernel",
        image,
        "-append",
        "a=1 b",
        "-initrd",
        "one x=y,two",
        "-m",
        "64",
        "-display",
        "none",
        "-serial",
        "file:qemu.log",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=4",
        "-no-reboot",
      ],
      { cwd: folder, encoding: "utf8", timeout: 60_000, input: "" },
    );
    expect(qemu.status).toBe(33);
    const expected = readFileSync(join(folder, "qemu.log"), "utf8");
    expect(expected).toMatch(/^magic 2badb002\n/);
    for (const engine of ["translate", "interpret"]) {
      const ours = spawnSync(
        process.execPath,
        [main, "run", "--kernel", image, "--append", "a=1 b", "--module", "one x=y", "--module", "two", "--memory", "64M", "--engine", engine],
        { cwd: folder, encoding: "utf8", timeout: 60_000, input: "" },
      );
      expect(ours.stderr).toBe("");
      expect(ours.stdout).toBe(expected);
      expect(ours.status).toBe(33);
    }
  });
});
