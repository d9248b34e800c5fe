/** How many worker threads V8 has under the command. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { argumentsToBeginAnew, type NodeStart } from "../../src/cli/worker-threads.ts";
import * as kernels from "../api/kernels.ts";
import { finish, start } from "./command.ts";

const here: NodeStart = { cores: 2, execArgv: ["--no-warnings"], nodeOptions: "", argv: ["/a/cli.js", "run", "--hda", "x"] };

describe("the command begins anew", () => {
  it("with one worker thread on two cores, and with all the arguments that it had", () => {
    expect(argumentsToBeginAnew(here)).toEqual(["--v8-pool-size=1", "--no-warnings", "/a/cli.js", "run", "--hda", "x"]);
  });

  it("not on others, and not where somebody has said how many there are to be: it has once it has begun anew", () => {
    for (const cores of [1, 3, 4, 64]) expect(argumentsToBeginAnew({ ...here, cores })).toBeUndefined();
    expect(argumentsToBeginAnew({ ...here, execArgv: ["--v8-pool-size=3"] })).toBeUndefined();
    expect(argumentsToBeginAnew({ ...here, execArgv: ["--v8-pool-size", "3"] })).toBeUndefined();
    expect(argumentsToBeginAnew({ ...here, nodeOptions: "--no-warnings --v8-pool-size=2" })).toBeUndefined();
  });
});

describe.runIf(process.platform === "linux")("a run", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "xlat86-threads-"));
    writeFileSync(join(folder, "echo"), kernels.echo);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is the process that was started, and gets what was written to it meanwhile", async () => {
    const child = start(["run", "--kernel", join(folder, "echo"), "--memory", "8M"], { env: { NODE_OPTIONS: "" } });
    child.stdin.write("before");
    const said = await new Promise<string>((resolve) => {
      let text = "";
      child.stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (text.length >= 6) resolve(text);
      });
    });
    const pool = readFileSync(`/proc/${child.pid}/cmdline`, "utf8")
      .split("\0")
      .filter((argument) => argument.startsWith("--v8-pool-size"));
    const isSettled = availableParallelism() === 2 && typeof process.execve === "function";
    child.stdin.end("q");
    expect((await finish(child)).code).toBe(1);
    expect(said).toBe("before");
    expect(pool).toEqual(isSettled ? ["--v8-pool-size=1"] : []);
  });
});
