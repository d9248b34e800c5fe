/** What a run does at the terminal, through the real command: exit codes, serial port, signals, statistics. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as kernels from "../api/kernels.ts";
import { finish, run, start } from "./command.ts";

let folder: string;
const file = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xlat86-run-"));
  const { resetBy8042, resetByPort92, resetByCf9, tripleFault, spin, sleep, echo, loop } = kernels;
  const images = {
    resetBy8042,
    resetByPort92,
    resetByCf9,
    tripleFault,
    spin,
    sleep,
    echo,
    loop,
    exit0: kernels.debugExit(0),
    exit21: kernels.debugExit(21),
    hello: kernels.say("hello\r\n"),
  };
  for (const [name, bytes] of Object.entries(images)) writeFileSync(file(name), bytes);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const boot = (name: string, ...more: string[]): string[] => ["run", "--kernel", file(name), "--memory", "8M", ...more];

describe.each(["translate", "interpret"])("--engine %s", (engine) => {
  it("exits with (v << 1) | 1 after a write to port f4", async () => {
    expect(await run(boot("exit0", "--engine", engine))).toMatchObject({ code: 1, stdout: "", stderr: "" });
    expect((await run(boot("exit21", "--engine", engine))).code).toBe(43);
  });

  it("passes serial output to stdout and input to the guest", async () => {
    expect(await run(boot("hello", "--engine", engine))).toMatchObject({ code: 1, stdout: "hello\r\n" });
    expect(await run(boot("echo", "--engine", engine), { stdin: `${"0123456789".repeat(20)}q` })).toMatchObject({
      code: 1,
      stdout: `${"0123456789".repeat(20)}q`,
    });
  });

  it("runs a loop", async () => {
    expect(await run(boot("loop", "--engine", engine))).toMatchObject({ code: 1, stdout: "ok" });
  });

  it("exits with 3 after a triple fault and shows the CPU", async () => {
    const { code, stderr } = await run(boot("tripleFault", "--engine", engine));
    expect(code).toBe(3);
    expect(stderr).toMatch(/triple fault/);
    expect(stderr).toMatch(/EAX=12345678/);
    expect(stderr).toMatch(new RegExp(`EIP=${(kernels.entry + 5).toString(16).padStart(8, "0")}`));
    expect(stderr).not.toMatch(/internal error/);
  });

  it.each(["resetBy8042", "resetByPort92", "resetByCf9"])("exits with 0 after %s", async (name) => {
    expect(await run(boot(name, "--engine", engine))).toMatchObject({ code: 0 });
  });
});

describe("running", () => {
  it("stops at the timeout with 124, busy or asleep", async () => {
    for (const name of ["spin", "sleep"]) {
      const { code, stderr } = await run(boot(name, "--timeout", "0.3"));
      expect({ name, code }).toEqual({ name, code: 124 });
      expect(stderr).toMatch(/stopped after 0\.3 s/);
    }
  });

  it("ends on SIGTERM and SIGINT with the signal's code", async () => {
    for (const [signal, code] of [
      ["SIGTERM", 143],
      ["SIGINT", 130],
    ] as const) {
      const child = start(boot("sleep"));
      const done = finish(child);
      await new Promise((resolve) => child.stdout.once("data", resolve));
      child.kill(signal);
      expect(await done).toMatchObject({ code, signal: null });
    }
  });

  it("ends when stdout is closed", async () => {
    const child = start(boot("echo"));
    const done = finish(child);
    child.stdin.on("error", () => {});
    child.stdout.destroy();
    const typing = setInterval(() => child.stdin.write("x"), 50);
    const { code, stderr } = await done;
    clearInterval(typing);
    expect(stderr).toBe("");
    expect(code).toBe(141);
  });

  it("goes on when stdin ends", async () => {
    expect(await run(boot("echo", "--timeout", "0.5"), { stdin: "ab" })).toMatchObject({ code: 124, stdout: "ab" });
  });

  it("keeps the serial port out of the terminal when told to", async () => {
    expect(await run(boot("hello", "--serial", "none"))).toMatchObject({ code: 1, stdout: "" });
    expect(await run(boot("hello", "-serial", `file:${file("log")}`))).toMatchObject({ code: 1, stdout: "" });
    expect(readFileSync(file("log"), "utf8")).toBe("hello\r\n");
  });

  it("prints statistics on stderr", async () => {
    const table = await run(boot("loop", "--stats"));
    expect(table.stdout).toBe("ok");
    expect(table.stderr).toMatch(/guest instructions\s+3,000,0\d\d/);
    expect(table.stderr).toMatch(/VM exits\s+ring 0\s+ring 1\s+ring 2\s+ring 3\s+total/);
    const json = JSON.parse((await run(boot("loop", "--stats=json"))).stderr);
    expect(json).toMatchObject({ exit: "debug-exit", engine: "translate", clock: "host" });
    expect(json.instructions).toBeGreaterThan(3_000_000);
    expect(json.exits.find((e: { reason: string }) => e.reason === "OUT")).toMatchObject({ byRing: [3, 0, 0, 0], total: 3 });
  });

  it("counts the same number of instructions each time under the virtual clock", async () => {
    const runs = [];
    for (let i = 0; i < 2; i++) runs.push(JSON.parse((await run(boot("loop", "--clock", "virtual", "--stats=json"))).stderr));
    expect(runs[0].instructions).toBe(runs[1].instructions);
    expect(runs[0].guestSeconds).toBe(runs[1].guestSeconds);
  });

  it("writes the debug log where it is told", async () => {
    await run(boot("hello", "--debug", "in_asm", "--debug-file", file("debug.log")));
    expect(existsSync(file("debug.log"))).toBe(true);
    expect(readFileSync(file("debug.log"), "utf8")).toMatch(/out/);
  });
});

describe("help and version", () => {
  it("prints them on stdout", async () => {
    expect(await run(["--version"])).toMatchObject({ code: 0, stdout: `xlat86 ${JSON.parse(readFileSync("package.json", "utf8")).version}\n` });
    const help = await run(["--help"]);
    expect(help.code).toBe(0);
    for (const command of ["run", "demo", "guest linux\\|debian", "dump", "bisect"]) expect(help.stdout).toMatch(new RegExp(`^  ${command}\\s`, "m"));
    const forRun = await run(["run", "--help"]);
    for (const option of ["--kernel FILE", "--memory SIZE, -m", "--engine translate|interpret", "--stats[=json]", "--debug LIST, -d", "--hda FILE"]) {
      expect(forRun.stdout).toContain(option);
    }
    expect((await run(["dump", "--help"])).stdout).toMatch(/--at ADDRESS/);
  });
});
