import { describe, expect, it } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import { nearest } from "../../src/machine/nearest.ts";

function options(...argv: string[]) {
  const invocation = parseArguments(argv);
  if (invocation.action !== "command") throw new Error("no command");
  return invocation;
}

describe("arguments", () => {
  it("runs the demo without any", () => {
    expect(options()).toMatchObject({
      command: "demo",
      options: { memory: 256 * 2 ** 20, engine: "translate", clock: "host", stats: "no", serial: { kind: "stdio" } },
    });
    expect(options("--stats")).toMatchObject({ command: "demo", options: { stats: "table" } });
  });

  it("takes CPUID's last leaf as it is unless told otherwise", () => {
    expect(options("run", "--kernel", "k", "--cpuid-level", "2")).toMatchObject({ options: { cpuidLevel: 2 } });
    for (const level of ["0", "23", "x", "1.5"]) expect(() => options("run", "--kernel", "k", "--cpuid-level", level)).toThrow("expected 1 to 22");
  });

  it("does x87 arithmetic exactly unless told otherwise", () => {
    expect(options()).toMatchObject({ options: { x87: "exact" } });
    expect(options("run", "--kernel", "k", "--x87", "double")).toMatchObject({ options: { x87: "double" } });
    expect(() => options("--x87", "fast")).toThrow("x87");
  });

  it("takes QEMU's spellings, with or without a command", () => {
    const wanted = {
      command: "run",
      options: { kernel: "k", initrd: "i", append: "a -b", memory: 64 * 2 ** 20, serial: { kind: "none" }, debug: ["int", "exec"], debugFile: "log" },
    };
    const qemu = ["-kernel", "k", "-initrd", "i", "-append", "a -b", "-m", "64", "-serial", "none", "-d", "int,exec", "-D", "log"];
    expect(options(...qemu)).toMatchObject(wanted);
    expect(options("run", ...qemu)).toMatchObject(wanted);
    expect(
      options(
        "run",
        "--kernel=k",
        "--initrd",
        "i",
        "--append=a -b",
        "--memory",
        "64M",
        "--serial",
        "none",
        "--debug",
        "int,exec",
        "--debug-file",
        "log",
      ),
    ).toMatchObject(wanted);
  });

  it.each([
    ["4M", 4 * 2 ** 20],
    ["128", 128 * 2 ** 20],
    ["1G", 2 ** 30],
    ["1.5g", 1.5 * 2 ** 30],
    ["65536k", 64 * 2 ** 20],
    ["64MiB", 64 * 2 ** 20],
  ])("--memory %s", (text, bytes) => {
    expect(options("run", "--memory", text).options.memory).toBe(bytes);
  });

  it("collects modules, takes the last of what is given twice", () => {
    const parsed = options("run", "--kernel", "k", "--module", "a x=1", "--module", "b", "-m", "8", "-m", "16").options;
    expect(parsed.modules).toEqual(["a x=1", "b"]);
    expect(parsed.memory).toBe(16 * 2 ** 20);
  });

  it("help and version, anywhere", () => {
    expect(parseArguments(["--help"])).toEqual({ action: "help" });
    expect(parseArguments(["run", "-m", "8", "-h"])).toEqual({ action: "help", command: "run" });
    expect(parseArguments(["help", "dump"])).toEqual({ action: "help", command: "dump" });
    expect(parseArguments(["--version"])).toEqual({ action: "version" });
  });

  it.each([
    ["--mem", /unknown option --mem; did you mean --memory\?/],
    ["--m", /did you mean --memory\?/],
    ["--screen-shot", /did you mean --screenshot\?/],
    ["-smp", /unknown option -smp: the machine has one CPU; leave it out/],
    ["-enable-kvm", /guest code is always translated/],
    ["-nic", /there is no network adapter/],
    ["--", /unknown option --; see xlat86 run --help/],
    ["--memory=", /--memory needs a value: --memory SIZE/],
    ["--engine=", /--engine needs a value: --engine translate\|interpret/],
  ])("%s is answered by what was meant", (word, message) => expect(() => options("run", word, "5")).toThrow(message));

  it("a value that stands apart from its switch", () => {
    expect(() => options("run", "--kernel", "k", "--stats", "json")).toThrow(/unexpected "json"; did you mean --stats=json\?/);
  });

  it("no text at all is a command line, too", () => {
    expect(options("run", "--kernel", "k", "--append", "").options.append).toBe("");
    expect(options("run", "--kernel", "k", "--append=").options.append).toBe("");
  });

  it("guesses what was meant, but not wildly", () => {
    expect(nearest("kernl", ["kernel", "initrd"])).toBe("kernel");
    expect(nearest("memroy", ["memory", "module"])).toBe("memory");
    expect(nearest("x", ["at", "hot"])).toBeUndefined();
    expect(nearest("nographic", ["append", "debug"])).toBeUndefined();
  });
});
