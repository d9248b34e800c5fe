/**
 * Captures the vectors: builds the capture program, runs every family of the catalogue on this machine's CPU and writes
 * `data/*.bin.br`. Usage: node capture.ts [family...]. Needs an x86 Linux with `gcc -m32` (Debian: gcc-multilib).
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeFile } from "./format.ts";
import { catalogue, seed } from "./generate/catalogue.ts";
import { Random } from "./generate/random.ts";
import { capture } from "./generate/records.ts";
import { isUnspecified } from "./undefined-flags.ts";

export function buildHarness(): string {
  const out = join(mkdtempSync(join(tmpdir(), "vectors-")), "harness");
  const source = (name: string) => fileURLToPath(new URL(`./capture/${name}`, import.meta.url));
  const flags = ["-m32", "-static", "-O2", "-Wall", "-fno-stack-protector", "-fno-pie", "-no-pie", "-mgeneral-regs-only"];
  execFileSync("gcc", [...flags, source("harness.c"), source("switch.S"), "-o", out], { stdio: "inherit" });
  return out;
}

function cpuName(): string {
  const field = (name: string) => readFileSync("/proc/cpuinfo", "utf8").match(new RegExp(`^${name}\\s*: (.*)$`, "m"))?.[1] ?? "?";
  return `${field("model name")}, family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")}`;
}

function main(wanted: readonly string[]): void {
  const harness = buildHarness();
  const cpu = cpuName();
  let cases = 0;
  let bytes = 0;
  mkdirSync(new URL("./data/", import.meta.url), { recursive: true });
  for (const family of catalogue) {
    if (wanted.length && !wanted.includes(family.name)) continue;
    const start = performance.now();
    const groups = [...family.groups(new Random(`${seed}/${family.name}`))];
    const generated = performance.now();
    const outcomes = capture([harness], groups);
    const specified = groups
      .map((g, i) => {
        const keep = g.states.map((input, j) => !isUnspecified({ name: g.name, input, expected: outcomes[i][j] }));
        return { ...g, states: g.states.filter((_, j) => keep[j]), outcomes: outcomes[i].filter((_, j) => keep[j]) };
      })
      .filter((g) => g.states.length > 0);
    const captured = performance.now();
    const file = encodeFile({ family: family.name, cpu, seed }, specified);
    writeFileSync(new URL(`./data/${family.name}.bin.br`, import.meta.url), file);
    const count = specified.reduce((n, g) => n + g.states.length, 0);
    cases += count;
    bytes += file.length;
    const seconds = (from: number, to: number) => `${((to - from) / 1000).toFixed(1)} s`;
    console.log(
      `${family.name.padEnd(18)} ${String(count).padStart(7)} cases ${String(specified.length).padStart(6)} encodings ${String(file.length).padStart(8)} bytes  generate ${seconds(start, generated)}, run ${seconds(generated, captured)}, pack ${seconds(captured, performance.now())}`,
    );
  }
  console.log(`${"total".padEnd(18)} ${String(cases).padStart(7)} cases ${" ".repeat(17)} ${String(bytes).padStart(8)} bytes`);
}

if (import.meta.main) main(process.argv.slice(2));
