/** What people get wrong, through the real command: exit 2, one line that names the file or option and says what to do, nothing on stdout. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bzImage, elf32, multibootHeader } from "../boot/images.ts";
import { run } from "./command.ts";

let folder: string;
const file = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-bad-"));
  const good = bzImage({ initSize: 0x800000 });
  const files: Record<string, Uint8Array> = {
    "good.bz": good,
    "text.txt": Buffer.from("hello\n".repeat(500)),
    empty: new Uint8Array(0),
    "initrd.gz": Uint8Array.from([0x1f, 0x8b, 8, 0, 0, 0]),
    "short.bz": good.subarray(0, 2000),
    "old.bz": bzImage({ version: 0x0200 }),
    "k64.bz": bzImage({ xloadFlags: 1 }),
    vmlinux: elf32(0x100000, [{ virtual: 0x100000, physical: 0x100000, bytes: new Uint8Array(64) }]),
    "mb.elf": elf32(0x10000000, [{ virtual: 0x10000000, physical: 0x10000000, bytes: multibootHeader(0) }]),
    // CLI, HLT, and again, behind a Multiboot header.
    "halt.elf": elf32(0x10000c, [{ virtual: 0x100000, physical: 0x100000, bytes: Uint8Array.of(...multibootHeader(0), 0xfa, 0xf4, 0xeb, 0xfc) }]),
    "big.cpio": new Uint8Array(40 * 2 ** 20),
    unreadable: good,
  };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(file(name), bytes);
  chmodSync(file("unreadable"), 0);
  mkdirSync(file("directory"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The line, with the temporary folder taken out. */
async function mistake(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args.map((a) => a.replaceAll("@", `${folder}/`)));
  const text = stderr.replaceAll(`${folder}/`, "@");
  expect(text, "one line").toMatch(/^xlat86: [^\n]+\n$/);
  expect(text, "no stack trace").not.toMatch(/\bat .*:\d+:\d+|internal error/);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  return text;
}

describe("a kernel that cannot be booted", () => {
  it.each([
    [["@text.txt"], /@text\.txt: expected a Linux bzImage or a Multiboot 1 kernel, found .*; pass a kernel image/],
    [["@empty"], /@empty: .*found an empty file/],
    [["@initrd.gz"], /@initrd\.gz: .*a gzip file; unpack it, or swap --kernel and --initrd/],
    [["@short.bz"], /@short\.bz: expected 5\.5 KiB of kernel.*found the end of the file after 2\.0 KiB; the file is truncated/],
    [["@old.bz"], /@old\.bz: expected boot protocol version 2\.02 or newer at offset 0x206, found version 2\.00/],
    [["@k64.bz"], /@k64\.bz: expected a 32-bit x86 kernel.*found a 64-bit kernel.*linux-image-686/],
    [["@vmlinux"], /@vmlinux: .*32-bit ELF file for i386 without a Multiboot header.*not vmlinux/],
    [["@mb.elf"], /@mb\.elf: .*at least 257M with --memory/],
    [["@nothere"], /--kernel @nothere: no such file/],
    [["@directory"], /--kernel @directory: is a directory/],
    [["@good.bz/inside"], /not a directory/],
    [["@good.bz", "--memory", "16M"], /@good\.bz: expected memory for the kernel up to .*found 16 MiB of memory; give the guest at least 24M/],
    [
      ["@good.bz", "--memory", "32M", "--initrd", "@big.cpio"],
      /@big\.cpio: expected an initrd that fits .*found 40 MiB; give the guest at least 65M/,
    ],
    [["@good.bz", "--initrd", "@nothere"], /--initrd @nothere: no such file/],
    [["@good.bz", "--module", "@text.txt"], /expected a Multiboot kernel, which takes modules, found a Linux bzImage/],
    [["@good.bz", "--append", "x".repeat(3000)], /at most 2047 bytes.*found 3000 bytes; shorten --append/],
  ] as const)("%s", async (args, message) => {
    expect(await mistake(["run", "--kernel", ...args])).toMatch(message);
  });

  it.skipIf(process.platform !== "linux")("that cannot be read", async () => {
    // Opens for its owner, root included, and fails at the first read.
    expect(await mistake(["run", "--kernel", "/proc/self/mem"])).toMatch(/--kernel \/proc\/self\/mem: .*(error|empty)/i);
  });

  it.skipIf(process.getuid?.() === 0)("that may not be read", async () => {
    expect(await mistake(["run", "--kernel", "@unreadable"])).toMatch(/permission denied/);
  });
});

describe("an option that is wrong", () => {
  it.each([
    [["run"], /run needs something to boot: --hda FILE, .* or --kernel FILE/],
    [["run", "@good.bz"], /pass a kernel with --kernel FILE, a disk with --hda FILE/],
    [["run", "--kernal", "x"], /unknown option --kernal; did you mean --kernel\?/],
    [["run", "--frobnicate"], /unknown option --frobnicate; see xlat86 run --help/],
    [["-accel"], /unknown option -accel/],
    [["run", "--kernel"], /--kernel needs a value: --kernel FILE/],
    [["run", "--kernel", "--memory", "64M"], /--kernel needs a value/],
    [["rum"], /unknown command "rum"; did you mean run\?/],
    [["xyzzy"], /unknown command "xyzzy"; see xlat86 --help/],
    [["guest"], /guest takes one of: linux, debian; found nothing/],
    [["guest", "windows"], /guest takes one of: linux, debian; found "windows"/],
    [["guest", "linux", "--fresh"], /--fresh: guest linux has no disk; guest debian has one/],
    [["guest", "debian", "--bus", "scsi"], /--bus scsi: expected one of ide, virtio/],
    [["demo", "--kernel", "x"], /demo does not take --kernel/],
    [["run", "--kernel", "@good.bz", "--memory", "1M"], /--memory 1M: expected at least 4M/],
    [["run", "--kernel", "@good.bz", "-m", "lots"], /--memory lots: expected a size such as 64M or 1G/],
    [["run", "--kernel", "@good.bz", "--memory", "8G"], /--memory 8G: expected at most 3584M/],
    [["run", "--kernel", "@good.bz", "--engine", "warp"], /--engine warp: expected one of translate, interpret/],
    [["run", "--kernel", "@good.bz", "--clock", "sun"], /--clock sun: expected one of host, virtual/],
    [["run", "--kernel", "@good.bz", "--serial", "tcp:1"], /--serial tcp:1: expected stdio, none or file:PATH/],
    [["run", "--kernel", "@good.bz", "--serial", "file:@nothere/log"], /--serial @nothere\/log: no such file/],
    [["run", "--kernel", "@good.bz", "--timeout", "soon"], /--timeout soon: expected a number of seconds above 0/],
    [["run", "--kernel", "@good.bz", "--timeout", "-1"], /--timeout -1/],
    [["run", "--kernel", "@good.bz", "--stats=xml"], /--stats=xml: expected --stats or --stats=json/],
    [["run", "--kernel", "@good.bz", "--debug", "exce"], /--debug exce: did you mean exec\?/],
    [["run", "--kernel", "@good.bz", "--debug-file", "@log"], /--debug-file needs --debug/],
    [["run", "--kernel", "@good.bz", "--debug", "int", "--debug-file", "@directory"], /--debug-file @directory: is a directory/],
    [["dump", "--kernel", "@good.bz"], /dump needs --at ADDRESS or --hot N/],
    [["dump", "--kernel", "@good.bz", "--at", "here"], /--at here: expected a 32-bit address such as 0x100000/],
    [["dump", "--kernel", "@good.bz", "--hot", "0"], /--hot 0: expected a number of blocks/],
  ] as const)("%s", async (args, message) => {
    expect(await mistake(args)).toMatch(message);
  });
});

it.each(["--screenshot", "--profile"])("%s on a full device is an error of one line, after the run", async (option) => {
  const { code, stderr } = await run(["run", "--kernel", file("halt.elf"), option, "/dev/full", "--timeout", "1"]);
  expect(stderr).toMatch(new RegExp(`xlat86: ${option} /dev/full: no space left on the device; free some, or choose another path\\n$`));
  expect(stderr).not.toContain("internal error");
  expect(code).toBe(2);
});
