/** `xlat86 run` with drives, through the real command: a floppy of our own that echoes what is typed, driven by --type and --after, looked at through files. */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fetchFirmware } from "../../src/guest/firmware.ts";
import { echoDisk } from "../guests/echo-disk.ts";
import { type Availability, mustSkip } from "../guests/oracle.ts";
import { finish, main, run } from "./command.ts";

const state: Availability = await fetchFirmware().then(
  () => ({ available: true }),
  (error: Error) => ({ available: false, reason: error.message }),
);

let folder: string;
const file = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-pc-"));
  writeFileSync(file("echo.img"), echoDisk(0));
  writeFileSync(file("empty"), "");
  writeFileSync(file("blank.img"), new Uint8Array(1440 * 1024));
  writeFileSync(file("broken.qcow2"), Uint8Array.of(0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3, 0, 0));
  writeFileSync(file("readonly.img"), new Uint8Array(1 << 20));
  chmodSync(file("readonly.img"), 0o444);
  mkdirSync(file("directory"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const boot = (...more: string[]): string[] => ["run", "--fda", file("echo.img"), "--boot", "a", "--memory", "32M", "--timeout", "100", ...more];

describe("a PC from the command line", { timeout: 120_000 }, () => {
  it("is driven by --type and --after, and ends with its screen in files", async () => {
    if (mustSkip("--type and --after", state)) return;
    const args = ["--after", "ready>", "--type", "Hello {{}\\n2nd{Backspace}t", "--after", "/^2nt/m", "--type", "{Esc}"];
    const outcome = await run(boot(...args, "--screenshot", file("at-exit.png"), "--screen-text", file("at-exit.txt")));
    expect(outcome).toMatchObject({ code: 1, stdout: "", stderr: "" });
    expect(readFileSync(file("at-exit.txt"), "utf8")).toMatch(/^ready> Hello \{\}\n2nt$/m);
    expect([...readFileSync(file("at-exit.png")).subarray(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);
  });

  it("writes the screen while it runs with --at, and the guest goes on", async () => {
    if (mustSkip("--at", state)) return;
    const outcome = await run(boot("--screen-text", file("early.txt"), "--at", "0.001", "--type", "{Esc}", "--after", "ready>"));
    // So early there is no text yet; at the end there is.
    expect(outcome).toMatchObject({ code: 1, stdout: "", stderr: "xlat86: --screen-text: the screen is blank\n" });
    expect(readFileSync(file("early.txt"), "utf8")).toBe("");
  });

  it("says what was never typed, with the screen", async () => {
    if (mustSkip("--after that never comes", state)) return;
    const outcome = await run(boot("--after", "ready>", "--type", "{Esc}", "--after", "login:", "--type", "root\\n"));
    expect(outcome.stderr).toMatch(
      /^xlat86: --type: waited for text "login:" on the screen, but the run ended \(debug-exit\); the screen shows:\n(\|.*\n)*\| ready>/,
    );
    expect(outcome.code).toBe(1);
  });

  it("that shuts down starts again, for ever: a word is said, once", async () => {
    if (mustSkip("a reboot loop", state)) return;
    // CLI; LIDT with a limit of 0; INT3.
    const disk = new Uint8Array(1440 * 1024);
    disk.set([0xfa, 0x0f, 0x01, 0x1e, 0x40, 0x7c, 0xcd, 0x03]);
    disk.set([0x55, 0xaa], 510);
    writeFileSync(file("triple.img"), disk);
    const args = ["run", "--fda", file("triple.img"), "--boot", "a", "--memory", "16M"];
    const loop = await run([...args, "--timeout", "3"]);
    const word = "xlat86: the guest's CPU shut down (triple fault), and the PC starts again; --no-reboot ends there and shows the CPU's state\n";
    expect(loop).toMatchObject({ code: 124, stderr: `${word}\nxlat86: stopped after 3 s (--timeout)\n` });
    const once = await run([...args, "--timeout", "60", "--no-reboot"]);
    expect(once.code).toBe(3);
    expect(once.stderr).toMatch(/^\nxlat86: triple fault: .*\n.*real mode/);
  });

  it("leaves the image alone with --snapshot", async () => {
    if (mustSkip("--snapshot", state)) return;
    const before = readFileSync(file("echo.img"));
    await run(boot("--snapshot", "--type", "{Esc}", "--after", "ready>"));
    expect(readFileSync(file("echo.img")).equals(before)).toBe(true);
  });
});

describe("an image that cannot be used: exit code 2, one line, the file and what to do", () => {
  it.each([
    [["--hda", "@nothere.img"], /@nothere\.img: .*check the path/],
    [["--hda", "@directory"], /@directory: .*give the image file itself/],
    [["--hda", "@empty"], /@empty: expected a disk image.*, found an empty file; /],
    [["--cdrom", "@empty"], /@empty: .*found an empty file/],
    [["--hda", "@broken.qcow2"], /@broken\.qcow2: expected /],
    [["--hda", "@blank.img,format=qcow2"], /@blank\.img: expected /],
    [["--fda", "@blank.img", "--bios", "@nothere"], /--bios @nothere: no such file/],
    [["--fda", "@blank.img", "--bios", "@echo.img", "--vga-bios", "@nothere"], /--vga-bios @nothere: no such file/],
    [["--hda", "@blank.img", "--bios", "@empty"], /@empty: expected a BIOS of whole 64 KiB/],
    [["--hda", "@blank.img", "--screenshot", "@nothere/x.png", "--bios", "@blank.img"], /--screenshot @nothere\/x\.png: no such file/],
    [["--hda", "@blank.img", "--append", "quiet"], /--append goes with --kernel FILE/],
  ] as const)("%s", async (args, message) => {
    const { code, stdout, stderr } = await run(["run", ...args.map((a) => a.replaceAll("@", `${folder}/`))]);
    const text = stderr.replaceAll(`${folder}/`, "@");
    expect(text).toMatch(/^xlat86: [^\n]+\n$/);
    expect(text).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("a cache that is no folder", async () => {
    const { code, stderr } = await run(["run", "--hda", file("blank.img")], { env: { XLAT86_CACHE: file("echo.img") } });
    expect(stderr).toMatch(
      /^xlat86: no BIOS to boot the drives with: .*echo\.img\S* cannot keep what is fetched: ENOTDIR.*; XLAT86_CACHE names another place; or name one/m,
    );
    expect(stderr).not.toMatch(/internal error/);
    expect(code).toBe(2);
  });

  it("a BIOS that cannot be fetched", async () => {
    const env = { PATH: folder, XLAT86_CACHE: file("cache") };
    const { code, stderr } = await run(["run", "--hda", file("blank.img")], { env });
    expect(stderr).toMatch(/^xlat86: no BIOS to boot the drives with: .*apt-\w+ is not installed.*; or name one: --bios FILE --vga-bios FILE\n$/m);
    expect(code).toBe(2);
  });

  it.skipIf(process.getuid?.() === 0)("a disk that may not be written asks for --snapshot", async () => {
    const { code, stderr } = await run(["run", "--hda", file("readonly.img")]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/may not be written; make it writable, or add --snapshot/);
  });
});

const hasScript = spawnSync("script", ["--version"]).status === 0 && process.platform === "linux";
if (!hasScript) console.warn("NOT TESTED: --display text at a terminal, for want of script(1) (apt-get install bsdutils)");

describe("--display text at a terminal", { timeout: 120_000 }, () => {
  it("has script(1) in CI", () => {
    if (process.env.CI) expect(hasScript).toBe(true);
  });

  it.skipIf(!hasScript)("draws the screen, passes keys on, lists its own, and puts the terminal back", async () => {
    if (mustSkip("--display text", state)) return;
    const command = `sh -c 'stty rows 30 cols 90; ${process.execPath} ${main} ${boot().join(" ")}; echo "rc=$?"; stty -a'`;
    const child = spawn("script", ["-qec", command, "/dev/null"], { env: { ...process.env, TERM: "xterm" } });
    let shown = "";
    const plain = (): string => shown.replaceAll(/\x1b\[[?0-9;]*[A-Za-z]|\x1b[78]/g, "");
    const typing: [RegExp, string][] = [
      [/ready>/, "pwd!\r"],
      [/pwd!/, "\x01h"],
      [/Ctrl-A D {2}Ctrl-Alt-Delete/, "\x01x"],
    ];
    child.stdout.on("data", (chunk: Buffer) => {
      shown += chunk.toString();
      while (typing.length > 0 && typing[0]![0].test(plain())) child.stdin.write(typing.shift()![1]);
    });
    child.stdin.on("error", () => {});
    await finish(child);
    expect(typing, plain()).toEqual([]);
    expect(shown).toContain("\x1b[?1049h");
    expect(shown.lastIndexOf("\x1b[?1049l")).toBeGreaterThan(shown.indexOf("\x1b[?1049h"));
    // The last screen stays behind.
    expect(shown.slice(shown.lastIndexOf("\x1b[?1049l"))).toContain("ready> pwd!");
    expect(shown).toMatch(/rc=0\r\n/);
    expect(shown).toMatch(/[^-]icanon/);
  });
});
