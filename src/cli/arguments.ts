/** Turns argv into a command with checked option values. Errors: `UsageError`, each naming the option and what it takes. */
import { type OptimisationName, optimisationNames, optimisations, parseOptimisations } from "../../translator/contract/optimisations.ts";
import { nearest } from "../machine/nearest.ts";
import { cpuidLevels, type DebugCategory, debugCategories, maxMemory, minMemory } from "../machine/options.ts";
import { type BootRequest, type DriveRequest, parseBoot, parseDrives } from "./drive-options.ts";
import { UsageError } from "./error.ts";
import { type CommandName, type CommandRow, commandRows, driveOptions, notFromQemu, type OptionName, type OptionRow, optionRows } from "./options.ts";
import { parseScript, type ScriptStep } from "./script.ts";

export interface RunOptions {
  kernel?: string;
  initrd?: string;
  append?: string;
  modules: string[];
  /** Bytes. */
  memory: number;
  serial: { readonly kind: "stdio" | "none" } | { readonly kind: "file"; readonly path: string };
  /** Where it goes was said, not assumed. */
  serialGiven: boolean;
  drives: DriveRequest[];
  /** For all drives. */
  snapshot: boolean;
  /** Of the Debian guest. */
  fresh: boolean;
  bus: "ide" | "virtio";
  boot: BootRequest;
  bios?: string;
  vgaBios?: string;
  /** undefined: whatever suits. */
  display?: "text" | "web" | "none";
  /** Of `--display web`; undefined: one that is free, and this machine only. */
  webPort?: number;
  webHost?: string;
  noReboot: boolean;
  script: ScriptStep[];
  screenshot?: string;
  screenText?: string;
  /** Host seconds after which the screen is written; absent: at exit. */
  captureAt?: number;
  engine: "translate" | "interpret";
  clock: "host" | "virtual";
  x87: "exact" | "double";
  cpuidLevel?: number;
  /** Optimisations to do without. */
  disable: ReadonlySet<OptimisationName>;
  /** The same for what bisect compares with. */
  against: ReadonlySet<OptimisationName>;
  /** Files with names of guest code. */
  symbols: string[];
  profile?: string;
  stats: "no" | "table" | "json";
  /** Seconds. */
  timeout?: number;
  debug: DebugCategory[];
  debugFile?: string;
  at?: number;
  hot?: number;
  /** How far to run before looking. */
  after?: { readonly seconds?: number; readonly instructions?: number };
}

export type Invocation =
  | { readonly action: "help"; readonly command?: CommandName }
  | { readonly action: "version" }
  | { readonly action: "optimisations" }
  | { readonly action: "command"; readonly command: CommandName; readonly operands: readonly string[]; readonly options: RunOptions };

const rows: readonly OptionRow[] = optionRows;
const commands: readonly CommandRow[] = commandRows;

/** Reads argv without the interpreter and script names. */
export function parseArguments(argv: readonly string[]): Invocation {
  const rest = [...argv];
  let command: CommandName | undefined;
  if (rest.length > 0 && !rest[0]!.startsWith("-")) {
    const name = rest.shift()!;
    if (name === "help") return { action: "help", ...(rest[0] === undefined ? {} : { command: commandNamed(rest[0]) }) };
    command = commandNamed(name);
  }
  const given = new Map<OptionName, string[]>();
  /** The same in the order of the command line. */
  const sequence: { name: OptionName; value: string }[] = [];
  const operands: string[] = [];
  while (rest.length > 0) {
    const word = rest.shift()!;
    if (word === "--help" || word === "-h" || word === "-help") return { action: "help", ...(command ? { command } : {}) };
    if (word === "--version" || word === "-V" || word === "-version") return { action: "version" };
    if (!word.startsWith("-") || word === "-") {
      operands.push(word);
      continue;
    }
    const { row, inline } = optionNamed(word, command);
    const name = row.name as OptionName;
    const values = given.get(name) ?? [];
    if (row.value !== undefined) {
      const value = inline ?? takeValue(row, rest);
      if (value.trim() === "" && row.mayBeEmpty !== true) throw needsValue(row);
      values.push(value);
    } else if (inline === undefined) values.push("");
    else if (row.optionalValue?.includes(inline)) values.push(inline);
    else
      throw new UsageError(
        `--${row.name}=${inline}: expected --${row.name}${(row.optionalValue ?? []).map((v) => ` or --${row.name}=${v}`).join("")}`,
      );
    given.set(name, values);
    sequence.push({ name, value: values.at(-1)! });
  }
  // "xlat86 -hda disk.img", as QEMU is called.
  const chosen = command ?? (["kernel", "bios", ...driveOptions].some((name) => given.has(name as OptionName)) ? "run" : "demo");
  const row = commands.find((c) => c.name === chosen)!;
  for (const name of given.keys()) {
    if (!row.options.includes(name)) throw new UsageError(`${chosen} does not take --${name}; see xlat86 ${chosen} --help`);
  }
  for (const name of ["opt", "against"] as const) if (given.get(name)?.includes("help")) return { action: "optimisations" };
  checkOperands(row, operands, given);
  return { action: "command", command: chosen, operands, options: checkValues(given, sequence, chosen) };
}

function commandNamed(name: string): CommandName {
  const row = commands.find((c) => c.name === name);
  if (row) return row.name as CommandName;
  const near = nearest(name, commands.map((c) => c.name)); // biome-ignore format: one thought
  throw new UsageError(`unknown command "${name}"; ${near ? `did you mean ${near}?` : "see xlat86 --help"}`);
}

function optionNamed(word: string, command: CommandName | undefined): { row: OptionRow; inline?: string } {
  const equals = word.indexOf("=");
  const spelled = equals < 0 ? word : word.slice(0, equals);
  const row = rows.find(
    (r) => (spelled === `--${r.name}` || r.aliases?.includes(spelled)) && (r.of === undefined || r.of.includes(command ?? "run")),
  );
  if (row) return { row, ...(equals < 0 ? {} : { inline: word.slice(equals + 1) }) };
  const allowed = rows.filter((r) => !command || commands.find((c) => c.name === command)!.options.includes(r.name as OptionName));
  const why = spelled.startsWith("-") ? notFromQemu[spelled.replace(/^-+/, "")] : undefined;
  if (why !== undefined) throw new UsageError(`unknown option ${spelled}: ${why}; leave it out`);
  const near = nearestOption(spelled.replace(/^-+/, ""), allowed);
  throw new UsageError(`unknown option ${spelled}; ${near ? `did you mean --${near}?` : `see xlat86 ${command ? `${command} ` : ""}--help`}`);
}

/** By letters that were mistaken, or by how the name begins: --mem, --screen-shot, --m (QEMU's -m). */
function nearestOption(word: string, allowed: readonly OptionRow[]): string | undefined {
  const names = [...allowed.map((r) => r.name), "help", "version"];
  const byLetters = nearest(word, names);
  if (byLetters !== undefined || word === "") return byLetters;
  const alias = allowed.find((r) => r.aliases?.includes(`-${word}`));
  return alias?.name ?? names.find((name) => name.startsWith(word)) ?? nearest(word.replaceAll("-", ""), names);
}

function takeValue(row: OptionRow, rest: string[]): string {
  const next = rest[0];
  const isOption = next !== undefined && rows.some((r) => next === `--${r.name}` || r.aliases?.includes(next));
  if (next === undefined || isOption) throw needsValue(row);
  return rest.shift()!;
}

function needsValue(row: OptionRow): UsageError {
  return new UsageError(`--${row.name} needs a value: --${row.name} ${row.choices?.join("|") ?? row.value}`);
}

function checkOperands(row: CommandRow, operands: readonly string[], given: ReadonlyMap<OptionName, unknown>): void {
  if (row.operands === undefined) {
    const meant = rows.find((r) => given.has(r.name as OptionName) && r.optionalValue?.includes(operands[0] ?? ""));
    if (meant !== undefined) throw new UsageError(`unexpected "${operands[0]}"; did you mean --${meant.name}=${operands[0]}?`);
    if (operands.length > 0)
      throw new UsageError(
        `unexpected "${operands[0]}"; ${row.name === "run" ? "pass a kernel with --kernel FILE, a disk with --hda FILE" : `see xlat86 ${row.name} --help`}`,
      );
    return;
  }
  const choices = row.operands.split("|");
  if (operands.length !== 1 || !choices.includes(operands[0]!)) {
    const found = operands.length === 0 ? "nothing" : `"${operands.join(" ")}"`;
    throw new UsageError(`${row.name} takes one of: ${choices.join(", ")}; found ${found}`);
  }
}

type Given = { readonly name: OptionName; readonly value: string };

function checkValues(given: ReadonlyMap<OptionName, readonly string[]>, sequence: readonly Given[], command: CommandName): RunOptions {
  const last = (name: OptionName): string | undefined => given.get(name)?.at(-1);
  const choice = <T extends string>(name: OptionName, fallback: T): T => {
    const value = last(name);
    const choices = rows.find((r) => r.name === name)!.choices!;
    if (value === undefined) return fallback;
    if (!choices.includes(value)) throw new UsageError(`--${name} ${value}: expected one of ${choices.join(", ")}`);
    return value as T;
  };
  const options: RunOptions = {
    modules: [...(given.get("module") ?? [])],
    memory: parseMemory(last("memory") ?? "256M"),
    serial: parseSerial(last("serial") ?? "stdio"),
    serialGiven: given.has("serial"),
    drives: parseDrives(sequence.filter(({ name }) => (driveOptions as readonly string[]).includes(name))),
    snapshot: given.has("snapshot"),
    fresh: given.has("fresh"),
    bus: choice("bus", "ide"),
    boot: parseBoot(last("boot") ?? "menu=off"),
    noReboot: given.has("no-reboot"),
    script: command === "run" ? parseScript(sequence.filter(({ name }) => name === "type" || name === "after")) : [],
    // Tier 0 counts every block; a region's own instructions are not counted.
    engine: choice("engine", command === "dump" ? "interpret" : "translate"),
    clock: choice("clock", "host"),
    x87: choice("x87", "exact"),
    disable: parseList("opt", last("opt") ?? "all"),
    against: parseList("against", last("against") ?? "none"),
    symbols: [...(given.get("symbols") ?? [])],
    stats: last("stats") === undefined ? "no" : last("stats") === "json" ? "json" : "table",
    debug: parseDebug(last("debug") ?? ""),
  };
  for (const name of ["kernel", "initrd", "append"] as const) if (last(name) !== undefined) options[name] = last(name)!;
  if (last("cpuid-level") !== undefined) options.cpuidLevel = parseCpuidLevel(last("cpuid-level")!);
  if (last("bios") !== undefined) options.bios = last("bios")!;
  if (last("vga-bios") !== undefined) options.vgaBios = last("vga-bios")!;
  if (given.has("display")) options.display = choice("display", "none");
  else if (given.has("nographic")) options.display = "none";
  for (const name of ["web-port", "web-host"] as const) {
    if (given.has(name) && options.display !== "web") throw new UsageError(`--${name} goes with --display web`);
  }
  if (last("web-port") !== undefined) options.webPort = parsePort(last("web-port")!);
  if (last("web-host") !== undefined) options.webHost = last("web-host")!;
  if (last("screenshot") !== undefined) options.screenshot = last("screenshot")!;
  if (last("screen-text") !== undefined) options.screenText = last("screen-text")!;
  if (last("debug-file") !== undefined) options.debugFile = last("debug-file")!;
  if (last("profile") !== undefined) options.profile = last("profile")!;
  const timeout = last("timeout");
  if (timeout !== undefined) options.timeout = parsePositive("timeout", timeout, "a number of seconds above 0");
  const at = last("at");
  if (at !== undefined && command === "run") options.captureAt = parsePositive("at", at, "a number of seconds above 0");
  else if (at !== undefined) options.at = parseAddress(at);
  const hot = last("hot");
  if (hot !== undefined) options.hot = Math.trunc(parsePositive("hot", hot, "a number of blocks, 1 or more"));
  const after = last("after");
  if (after !== undefined && command !== "run") options.after = parseAfter(after);
  if (options.captureAt !== undefined && options.screenshot === undefined && options.screenText === undefined) {
    throw new UsageError("--at needs --screenshot FILE.png or --screen-text FILE to write");
  }
  return options;
}

const unit: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

function parseMemory(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg])?(?:i?b)?$/i.exec(text);
  if (!match) throw new UsageError(`--memory ${text}: expected a size such as 64M or 1G`);
  const bytes = Math.floor((Number(match[1]) * unit[(match[2] ?? "m").toLowerCase()]!) / 4096) * 4096;
  if (bytes < minMemory) throw new UsageError(`--memory ${text}: expected at least 4M; the default is 256M`);
  if (bytes > maxMemory) throw new UsageError(`--memory ${text}: expected at most ${maxMemory / 2 ** 20}M, where the addresses of devices begin`);
  return bytes;
}

function parseSerial(text: string): RunOptions["serial"] {
  if (text === "stdio" || text === "none") return { kind: text };
  if (text.startsWith("file:") && text.length > 5) return { kind: "file", path: text.slice(5) };
  throw new UsageError(`--serial ${text}: expected stdio, none or file:PATH`);
}

function parseDebug(text: string): DebugCategory[] {
  const words = text.split(",").filter((word) => word !== "");
  for (const word of words) {
    if (debugCategories.includes(word as DebugCategory)) continue;
    const near = nearest(word, debugCategories);
    throw new UsageError(`--debug ${word}: ${near ? `did you mean ${near}?` : `expected any of ${debugCategories.join(",")}`}`);
  }
  return words as DebugCategory[];
}

function parseList(option: "opt" | "against", text: string): ReadonlySet<OptimisationName> {
  const parsed = parseOptimisations(text);
  if ("disabled" in parsed) return parsed.disabled;
  const near = nearest(parsed.unknown.replace(/^[-+]/, ""), optimisationNames);
  throw new UsageError(
    `--${option} ${text}: no optimisation "${parsed.unknown}"; ${near ? `did you mean -${near}?` : `--${option} help lists them`}`,
  );
}

/** What `--opt help` prints. */
export function optimisationsHelp(): string {
  const width = Math.max(...optimisationNames.map((name) => name.length)) + 3;
  const lines = optimisationNames.map((name) => `  ${name.padEnd(width)}${optimisations[name]}\n`);
  return `Optimisations. --opt=-a,-b does without a and b; --opt=none,+a uses a alone.\n\n${lines.join("")}`;
}

function parsePositive(name: string, text: string, expected: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value <= 0 || (name === "hot" && value < 1)) {
    throw new UsageError(`--${name} ${text}: expected ${expected}`);
  }
  return value;
}

function parseCpuidLevel(text: string): number {
  if (/^\d+$/.test(text) && Number(text) >= cpuidLevels.least && Number(text) <= cpuidLevels.most) return Number(text);
  throw new UsageError(`--cpuid-level ${text}: expected ${cpuidLevels.least} to ${cpuidLevels.most}`);
}

function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65535) return Number(text);
  throw new UsageError(`--web-port ${text}: expected 0 (one that is free) to 65535`);
}

/** "2.5", "2.5s": seconds; "1000000i": guest instructions. */
function parseAfter(text: string): NonNullable<RunOptions["after"]> {
  const value = parsePositive("after", text.replace(/[si]$/i, ""), "seconds, or guest instructions as in 1000000i");
  return /i$/i.test(text) ? { instructions: Math.ceil(value) } : { seconds: value };
}

function parseAddress(text: string): number {
  if (!/^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) || Number(text) > 0xffffffff) {
    throw new UsageError(`--at ${text}: expected a 32-bit address such as 0x100000`);
  }
  return Number(text);
}
