/** A real terminal (a pseudo-terminal made by script(1)): raw while the guest runs, put back whatever ends it, Ctrl-A X leaves. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as kernels from "../api/kernels.ts";
import { finish, main } from "./command.ts";
import { diskReader } from "./guests.ts";

const hasScript = spawnSync("script", ["--version"]).status === 0 && process.platform === "linux";
if (!hasScript) console.warn("NOT TESTED: the terminal, for want of script(1) (apt-get install bsdutils)");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-pty-"));
  writeFileSync(join(folder, "echo"), kernels.readyEcho);
  writeFileSync(join(folder, "sleep"), kernels.sleep);
  writeFileSync(join(folder, "triple"), kernels.tripleFault);
  writeFileSync(join(folder, "reader"), diskReader(512));
  writeFileSync(join(folder, "disk.img"), new Uint8Array(1 << 18));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Typing = string | ((shown: string) => string | undefined);

/**
 * Runs the command at a terminal and returns all that was shown. Once the text before a piece of `typing` has appeared, the piece is typed; a function may do
 * something else instead and return nothing. A command that hangs is killed, and the error says where its processes stood.
 */
async function atTerminal(args: string, typing: readonly (readonly [after: string, keys: Typing])[], first = ""): Promise<string> {
  // `exec`, so that the process id the shell shows is the command's own.
  const command = `${first} sh -c 'echo "pid=$$;"; exec ${process.execPath} ${main} ${args}'; echo "rc=$?"; stty -a`;
  const child = spawn("script", ["-qec", command, "/dev/null"], { env: { ...process.env, TERM: "dumb" }, detached: true });
  let shown = "";
  let next = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString("latin1");
    while (next < typing.length && shown.includes(typing[next]![0])) {
      const keys = typing[next++]![1];
      const text = typeof keys === "string" ? keys : keys(shown);
      if (text !== undefined) child.stdin.write(text);
    }
  });
  child.stdin.on("error", () => {});
  let hung: string | undefined;
  const watchdog = setTimeout(() => {
    const pid = pidIn(shown);
    const processes = spawnSync("ps", ["-eLo", "pid,ppid,tid,stat,wchan:32,args"], { encoding: "utf8" }).stdout.split("\n");
    hung = [
      `${args} did not end; it showed ${JSON.stringify(shown)}`,
      ...processes.filter((l) => l.includes("script") || l.includes(`${pid} `)),
    ].join("\n");
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone: what hangs is the terminal around it.
    }
    setTimeout(() => child.kill("SIGKILL"), 500);
  }, 25_000);
  await finish(child);
  clearTimeout(watchdog);
  if (hung !== undefined) throw new Error(hung);
  return shown;
}

function pidIn(shown: string): number {
  return Number(/pid=(\d+);/.exec(shown)![1]);
}

function expectPutBack(shown: string): void {
  expect(shown).toMatch(/[^-]icanon/);
  expect(shown).toMatch(/[^-]isig/);
  expect(shown).toMatch(/[^-]echo /);
}

// Retried, and loudly: Node itself can hang while it shuts down (nodejs/node#54918, #64560).
describe("at a terminal", { retry: 2 }, () => {
  it("has script(1) in CI", () => {
    if (process.env.CI) expect(hasScript).toBe(true);
  });

  it.skipIf(!hasScript)("is raw: keys reach the guest as they are, Ctrl-C and Ctrl-D too; Ctrl-A X leaves", async () => {
    const shown = await atTerminal(`run --kernel ${folder}/echo --memory 8M`, [
      ["ready>", "\x03\x04\x1a.\r"],
      [".\r", "\x01\x01!"],
      ["!", "\x01x"],
    ]);
    expect(shown).toContain("\x03\x04\x1a.\r\x01!");
    expect(shown).toMatch(/rc=0\r\n/);
    expectPutBack(shown);
  });

  it.skipIf(!hasScript)("lists its keys on Ctrl-A H", async () => {
    const shown = await atTerminal(`run --kernel ${folder}/sleep --memory 8M`, [
      ["z", "\x01h"],
      ["Ctrl-A X", "\x01X"],
    ]);
    expect(shown).toContain("Ctrl-A X  leave xlat86");
    expect(shown).toMatch(/rc=0\r\n/);
  });

  it.skipIf(!hasScript)("is put back after a triple fault", async () => {
    const shown = await atTerminal(`run --kernel ${folder}/triple --memory 8M`, []);
    expect(shown).toContain("rc=3\r\n");
    expectPutBack(shown);
  });

  it.skipIf(!hasScript)("is put back after a timeout", async () => {
    const shown = await atTerminal(`run --kernel ${folder}/sleep --memory 8M --timeout 0.3`, []);
    expect(shown).toContain("rc=124\r\n");
    expectPutBack(shown);
  });

  it.skipIf(!hasScript)("is put back after a signal", async () => {
    const kill = (shown: string): undefined => {
      process.kill(pidIn(shown), "SIGTERM");
    };
    const shown = await atTerminal(`run --kernel ${folder}/sleep --memory 8M`, [["z", kill]]);
    expect(shown).toContain("rc=143\r\n");
    expectPutBack(shown);
  });

  it.skipIf(!hasScript)("shows the screen, and an I/O error in its last line; the whole message comes when the terminal is given back", async () => {
    const touch = (): undefined => {
      const later = new Date(Date.now() + 60_000);
      utimesSync(join(folder, "disk.img"), later, later);
    };
    const args = `run --kernel ${folder}/reader --hda ${folder}/disk.img,readonly --memory 8M --display text --timeout 20`;
    const shown = await atTerminal(args, [["\x1b[?1049h", touch]]);
    const [during, after] = [shown.slice(0, shown.lastIndexOf("\x1b[?1049l")), shown.slice(shown.lastIndexOf("\x1b[?1049l"))];
    expect(during).toMatch(/\x1b\[\d+;1H\x1b\[0;7mxlat86: the guest got an I\/O error: /);
    expect(during).not.toMatch(/\nxlat86:/);
    expect(after).toMatch(/xlat86: the guest got an I\/O error: .*disk\.img: expected the file as it was opened .*; something else writes to it/);
    expect(after).toContain("rc=3\r\n");
    expectPutBack(shown);
  });

  it.skipIf(!hasScript)("does not write a debug log over the screen", async () => {
    const shown = await atTerminal(`run --kernel ${folder}/sleep --memory 8M --display text --debug int`, []);
    expect(shown).toMatch(/xlat86: --debug would write over the screen in this terminal: add --debug-file PATH, or --display none\r\nrc=2/);
  });

  it.skipIf(!hasScript)("help fits a terminal's columns", async () => {
    const shown = await atTerminal("run --help", [], "stty rows 20 cols 80;");
    const list = shown.slice(shown.indexOf("Drives and"), shown.indexOf("rc=")).split("\r\n");
    // One word alone may be longer.
    for (const line of list) expect(line.length <= 80 || !line.trim().includes(" "), line).toBe(true);
  });
});
