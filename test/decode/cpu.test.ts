/**
 * The decoder against the CPU underneath: which encodings of all maps raise #UD, and how many bytes each instruction has, by fetching at
 * the edge of a page (cpu.c). The CPU is newer than ours: what iced-x86 knows as a later instruction is left out, and so are
 * opcodes that leave the process (system calls, hypercalls).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, type Instruction } from "iced-x86";
import { afterAll, expect, test } from "vitest";
import { decode, decodeStatus } from "../../translator/decode/decode.ts";
import { type DecodedInstruction, newInstruction } from "../../translator/decode/instruction.ts";
import { invalidRow } from "../../translator/decode/opcode-map.ts";
import { lackedHere } from "../support/host-features.ts";
import { lacksFeature } from "./differences.ts";
import { hex, opcodeMaps } from "./encodings.ts";
import { IcedBatch, slotLength } from "./iced.ts";

const SIGILL = 4;
const folder = mkdtempSync(join(tmpdir(), "xlat86-decode-"));
afterAll(() => rmSync(folder, { recursive: true }));

const prefixSets = [[], [0x66], [0x67], [0xf2], [0xf3], [0xf0], [0x66, 0xf2]];
const prefixBytes = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

interface Case {
  bytes: number[];
  opcodeAt: number;
}

/** ModRM bytes that tell forms apart: every reg with some r/m of each mod (SIB and a bare displacement among them); for the x87 all of them. */
function modrmBytes(opcode: number, map: readonly number[]): number[] {
  if (map.length === 0 && opcode >= 0xd8 && opcode <= 0xdf) return Array.from({ length: 256 }, (_, i) => i);
  const rm = [[0, 4, 5], [4], [0], [1]];
  return Array.from({ length: 256 }, (_, i) => i).filter((i) => rm[i >> 6].includes(i & 7));
}

function leavesProcess(map: readonly number[], opcode: number, modrm: number): boolean {
  // SYSCALL, SYSRET, SYSENTER, SYSEXIT; VMCALL and VMMCALL among 0F 01 with mod 3.
  return map.length === 1 && ([0x05, 0x07, 0x34, 0x35].includes(opcode) || (opcode === 0x01 && modrm >= 0xc0));
}

function allCases(): Case[] {
  const cases: Case[] = [];
  for (const prefixes of prefixSets) {
    for (const map of opcodeMaps) {
      for (let opcode = 0; opcode < 256; opcode++) {
        if (map.length === 0 && (opcode === 0x0f || prefixBytes.has(opcode))) continue;
        if (map.length === 1 && (opcode === 0x38 || opcode === 0x3a)) continue;
        for (const modrm of modrmBytes(opcode, map)) {
          if (!leavesProcess(map, opcode, modrm)) cases.push({ bytes: [...prefixes, ...map, opcode, modrm], opcodeAt: prefixes.length });
        }
      }
    }
  }
  return cases;
}

/**
 * Differences of processors, not of ours: UD0 and UD1 have a ModRM byte on Intel's and none on AMD's; LOCK MOV CR0 is an AMD extension
 * (CR8); LOCK VERW raises no #UD on a Zen 4 under a hypervisor.
 */
function dependsOnProcessor(out: DecodedInstruction, iced: Instruction, bytes: Uint8Array): boolean {
  if (out.row.name === "ud0" || out.row.name === "ud1") return true;
  return iced.code === Code.INVALID && /^f0 (66 )?0f (00|20|22)/.test(hex(bytes));
}

function compileProbe(): string | undefined {
  const program = join(folder, "cpu");
  const source = join(import.meta.dirname, "cpu.c");
  const compiled = spawnSync("gcc", ["-m32", "-O1", "-fno-stack-protector", "-o", program, source], { encoding: "utf8" });
  return process.arch === "x64" && compiled.status === 0 ? program : undefined;
}

test("#UD and length as this CPU has them", (context) => {
  const program = compileProbe();
  if (program === undefined) {
    const message = "the CPU was not asked: needs an x86 processor and `gcc -m32` (Debian: gcc-multilib)";
    if (process.env.CI) throw new Error(message);
    console.warn(message);
    context.skip(message);
    return;
  }
  const isLacked = lackedHere("#UD and length");
  const cases = allCases();
  const bytes = new Uint8Array(cases.length * slotLength);
  for (const [slot, one] of cases.entries()) bytes.set(one.bytes, slot * slotLength);
  const answers = execFileSync(program, { input: bytes, maxBuffer: 1 << 26 });
  expect(answers.length).toBe(cases.length * 2);

  const iced = new IcedBatch(bytes, true);
  const out = newInstruction(invalidRow);
  const found: string[] = [];
  let compared = 0;
  for (const [slot, one] of cases.entries()) {
    const at = slot * slotLength;
    const known = iced.decode(slot, one.opcodeAt);
    if (known.code !== Code.INVALID && (lacksFeature(known) || isLacked(known))) continue;
    const status = decode(bytes, at, at + slotLength, true, out);
    if (dependsOnProcessor(out, known, bytes.subarray(at, at + slotLength))) continue;
    compared++;
    const undefinedHere = status !== decodeStatus.ok || out.row.name === "ud2" || out.row.name === "rsm";
    const undefinedThere = answers[slot * 2] === SIGILL;
    const fetched = answers[slot * 2 + 1];
    const text = hex(bytes.subarray(at, at + Math.max(out.length, fetched)));
    if (undefinedHere !== undefinedThere)
      found.push(`${text}: ${out.row.name} ${out.row.operands}, the CPU ${undefinedThere ? "raises #UD" : "runs it"}`);
    else if ((status === decodeStatus.ok || one.bytes.length > one.opcodeAt + 3) && fetched !== out.length)
      found.push(`${text}: the CPU fetches ${fetched} for ${out.length}`);
  }
  iced.free();
  expect(found.slice(0, 20)).toEqual([]);
  expect(compared).toBeGreaterThan(300_000);
});
