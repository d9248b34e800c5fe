/** A real terminal (a pseudo-terminal made by script(1)): raw while the guest runs, put back whatever ends it, Ctrl-A X leaves. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as kernels from "../api/kernels.ts";
import { finish, main } from "./command.ts";

const hasScript = spawnSync("script", ["--version"]).status === 0 && process.platform === "linux";
if (!hasScript) console.warn("NOT TESTED: the terminal, for want of script(1) (apt-get install bsdutils)");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-pty-"));
  writeFileSync(join(folder, "echo"), kernels.readyEcho);
  writeFileSync(join(folder, "sleep"), kernels.sleep);
  writeFileSync(join(folder, "triple"), kernels.tripleFault);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the command at a terminal, types each piece once the text before it has appeared, and returns all that was shown. */
async function atTerminal(args: string, typing: readonly (readonly [after: string, keys: string])[]): Promise<string> {
  const command = `${process.execPath} ${main} ${args}; echo "rc=$?"; stty -a`;
  const child = spawn("script", ["-qec", command, "/dev/null"], { env: { ...process.env, TERM: "dumb" } });
  let shown = "";
  let next = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString("latin1");
    while (next < typing.length && shown.includes(typing[next]![0])) child.stdin.write(typing[next++]![1]);
  });
  child.stdin.on("error", () => {});
  await finish(child);
  return shown;
}

describe("at a terminal", () => {
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
    expect(shown).toMatch(/[^-]icanon/);
    expect(shown).toMatch(/[^-]isig/);
    expect(shown).toMatch(/[^-]echo /);
  });

  it.skipIf(!hasScript)("lists its keys on Ctrl-A H", async () => {
    const shown = await atTerminal(`run --kernel ${folder}/sleep --memory 8M`, [
      ["z", "\x01h"],
      ["Ctrl-A X", "\x01X"],
    ]);
    expect(shown).toContain("Ctrl-A X  leave xlat86");
    expect(shown).toMatch(/rc=0\r\n/);
  });

  it.skipIf(!hasScript)("is put back after a triple fault, a timeout and a signal", async () => {
    for (const [args, code] of [
      [`run --kernel ${folder}/triple --memory 8M`, 3],
      [`run --kernel ${folder}/sleep --memory 8M --timeout 0.3`, 124],
      [`run --kernel ${folder}/sleep --memory 8M & sleep 2; kill %1; wait %1`, 143],
    ] as const) {
      const shown = await atTerminal(args, []);
      expect(shown).toContain(`rc=${code}\r\n`);
      expect(shown).toMatch(/[^-]icanon/);
      expect(shown).toMatch(/[^-]echo /);
    }
  });
});
