/**
 * Random instructions, made from the decoder's own opcode tables: a row, random prefixes and ModRM, and memory operands that mostly point into the scratch area.
 * What the tables say about an encoding is not believed here but by test/decode; here it only matters that the bytes are varied and mostly valid.
 */

import { operandCodes } from "../../translator/decode/operands.ts";
import { type Encoding, parseEncoding, type TableRow } from "../../translator/decode/table-row.ts";
import { extensionRows } from "../../translator/decode/tables/extensions.ts";
import { groupRows } from "../../translator/decode/tables/groups.ts";
import { mmxRows } from "../../translator/decode/tables/mmx.ts";
import { oneByteRows } from "../../translator/decode/tables/one-byte.ts";
import { sseRows } from "../../translator/decode/tables/sse.ts";
import { sse2IntegerRows } from "../../translator/decode/tables/sse2-integer.ts";
import { twoByteRows } from "../../translator/decode/tables/two-byte.ts";
import { x87Rows } from "../../translator/decode/tables/x87.ts";
import { layout } from "./layout.ts";
import type { Random } from "./random.ts";

interface Row {
  readonly encoding: Encoding;
  readonly name: string;
  readonly operands: readonly string[];
  readonly lockable: boolean;
}

/** Branches have targets, which the program's structure chooses (program.ts). */
const structural = /^(j\w+|loop\w*|call|ret)$/;
/** Would leave for somewhere else or stop the machine: harmless in ring 3, where they fault or are rare. */
const disruptive = new Set(["jmp.ind", "call.ind", "jmp.far", "call.far", "ret.far", "iret", "sysenter", "sysexit"]);
/** What ring 0 must not do to the harness. */
const privileged =
  /^(hlt|lgdt|lidt|lldt|ltr|lmsw|clts|invlpg|wrmsr|rdmsr|rdpmc|mov\.cr|mov\.dr|mov\.sreg|pop\.sreg|l[defgs]s|lss|in|out|ins|outs|cli|sti|int|int3|into|icebp|rsm|wbinvd|invd|popf|popa|pop|enter|leave|arpl)$/;
/** What real-mode programs must not do to it. */
const machine = /^(hlt|lgdt|lidt|lldt|ltr|lmsw|clts|invlpg|wrmsr|rdmsr|rdpmc|mov\.cr|mov\.dr|in|out|ins|outs|rsm|wbinvd|invd|sysenter|sysexit)$/;

function rows(table: readonly TableRow[]): Row[] {
  return table
    .filter(([, name]) => !structural.test(name))
    .map(([encoding, name, operands, note]) => ({
      encoding: parseEncoding(encoding),
      name,
      operands: operands === "" ? [] : operands.split(","),
      lockable: note === "lock",
    }));
}

const strings = new Set(["movs", "cmps", "stos", "lods", "scas", "ins", "outs"]);
const extensions = rows(extensionRows);
/** The rows of what came after SSE2 go to those that have the same registers. */
const classOf = ({ name, operands }: Row): "general" | "x87" | "mmx" | "sse" | "packedIntegers" => {
  if (/^(movbe|crc32|popcnt)$/.test(name)) return "general";
  if (name === "fisttp") return "x87";
  if (operands.some((o) => /^[PQ]/.test(o))) return "mmx";
  return operands.some((o) => /^V([ps][sd]|q)$/.test(o)) ? "sse" : "packedIntegers";
};
const later = (kind: ReturnType<typeof classOf>): Row[] => extensions.filter((r) => classOf(r) === kind);
const general = [...rows(oneByteRows), ...rows(groupRows), ...rows(twoByteRows), ...later("general")];
const x87 = [...rows(x87Rows), ...later("x87")];
const mmx = [...rows(mmxRows), ...later("mmx")];
const sse = [...rows(sseRows), ...later("sse")];
const packedIntegers = [...rows(sse2IntegerRows), ...later("packedIntegers")];
/** What a program is mostly made of: a bit of everything, or SSE on few registers, so that results meet. */
export type Flavour = "mixed" | "vectors";

type Classes = readonly (readonly [weight: number, rows: readonly Row[]])[];
const mixed: Classes = [
  [50, general.filter((r) => !strings.has(r.name) && !disruptive.has(r.name) && !privileged.test(r.name))],
  [4, general.filter((r) => disruptive.has(r.name) || privileged.test(r.name))],
  [8, general.filter((r) => strings.has(r.name))],
  [13, x87],
  [9, mmx],
  [16, [...sse, ...packedIntegers]],
];
const isArithmetic = /^(add|sub|mul|div|sqrt|min|max|cmp|u?comi|cvt|hadd|hsub|round|dp)/;
const vectors: Classes = [
  [14, mixed[0][1]],
  [2, mixed[2][1]],
  [2, x87],
  [6, mmx],
  [30, packedIntegers],
  [12, sse],
  [22, sse.filter((r) => isArithmetic.test(r.name))],
  [18, [...sse, ...packedIntegers].filter((r) => /^(mov|unpck)/.test(r.name))],
];
const classesOf: Readonly<Record<Flavour, Classes>> = { mixed, vectors };

/** A random address for an absolute operand. */
function scratchAddress(random: Random): number {
  const { scratch, scratchPages } = layout;
  switch (random.below(10)) {
    case 0:
      return scratch + random.below(scratchPages * 0x1000);
    case 1:
      return scratch + 0x1000 * (1 + random.below(scratchPages - 1)) - 8 + random.below(16);
    case 2:
      return scratch + 16 * random.below(0x200);
    default:
      return scratch + random.below(0x2000 - 16);
  }
}

const little32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255];
/** A displacement within 127 bytes, mostly aligned. */
const smallDisplacement = (random: Random): number => (random.chance(60) ? 4 * random.below(30) - 56 : random.below(256) - 128) & 255;

/** ModRM, SIB and displacement of a memory operand in 32-bit addressing. */
function memoryOperand(random: Random, reg: number, flavour: Flavour): number[] {
  const field = reg << 3;
  // Aligned, beside the registers and in the pages' own middle.
  if (flavour === "vectors" && random.chance(65)) {
    if (random.chance(40)) return [field | 5, ...little32(layout.scratch + 16 * random.below(0x100))];
    return [0x40 | field | random.pick([3, 5, 6, 7]), (16 * (random.below(16) - 8)) & 255];
  }
  const kind = random.below(20);
  if (kind < 7) return [field | 5, ...little32(scratchAddress(random))];
  // EBX, EBP, ESI and EDI point into the scratch area to begin with.
  const base = random.pick([3, 5, 6, 7]);
  if (kind < 14) return [0x40 | field | base, smallDisplacement(random)];
  if (kind < 15 && base !== 5) return [field | base];
  if (kind < 16) return [0x80 | field | base, ...little32(random.below(64) * 4)];
  // ECX is small to begin with; [ESP + x]; an index without base.
  if (kind < 18) return [0x44 | field, (random.below(4) << 6) | (1 << 3) | base, smallDisplacement(random)];
  if (kind < 19) return [0x44 | field, 0x24, 4 * random.below(16)];
  return [0x04 | field, (random.below(3) << 6) | (1 << 3) | 5, ...little32(scratchAddress(random))];
}

/** Offsets of 16 bits: mostly in the scratch area, where all segments begin; now and then about the end of 64 KiB. */
export function shortOffset(random: Random): number {
  return random.chance(5) ? 0xfff8 + random.below(8) : random.chance(10) ? 0x0ff8 + random.below(16) : random.below(0x1f00);
}

/** ModRM and displacement of a memory operand in 16-bit addressing. */
function shortMemoryOperand(random: Random, reg: number): number[] {
  const field = reg << 3;
  const offset = shortOffset(random);
  const kind = random.below(10);
  if (kind < 4) return [field | 6, offset & 255, offset >> 8];
  // BX, BP, SI and DI point into the scratch area to begin with: alone or two of them together.
  const base = random.chance(75) ? 4 + random.below(4) : random.below(4);
  if (kind < 8) return [0x40 | field | base, smallDisplacement(random)];
  if (kind < 9 && base !== 6) return [field | base];
  return [0x80 | field | base, random.below(64) * 4, random.chance(5) ? 0xff : 0];
}

/** Mostly not one of the registers that hold addresses. */
function register(random: Random, isByte: boolean): number {
  if (isByte) return random.chance(75) ? random.pick([0, 1, 2, 4, 5, 6]) : random.below(8);
  return random.chance(85) ? random.pick([0, 1, 2]) : random.chance(90) ? random.pick([3, 5, 6, 7]) : 4;
}

/** Few of them meet often. */
const vectorRegister = (random: Random, flavour: Flavour): number => random.below(flavour === "vectors" ? 4 : 8);

const isMemoryCode = (code: string): boolean => /^[EWQM]|^[UN]|^R[dv]/.test(code);

/** One instruction. @param ring 0 leaves out what would take the machine away from the harness; @param bits of the code segment; @param isSegmented segment registers may change too */
export function randomInstruction(random: Random, ring: 0 | 3, flavour: Flavour, bits: 16 | 32 = 32, isSegmented = false): number[] {
  const classes = classesOf[flavour];
  const totalWeight = classes.reduce((sum, [weight]) => sum + weight, 0);
  for (;;) {
    let at = random.below(totalWeight);
    const [, list] = classes.find(([weight]) => (at -= weight) < 0) as Classes[number];
    const row = random.pick(list);
    if (ring === 0 && (isSegmented ? machine.test(row.name) : privileged.test(row.name) || disruptive.has(row.name))) continue;
    return encode(random, row, flavour, bits);
  }
}

function encode(random: Random, row: Row, flavour: Flavour, bits: 16 | 32): number[] {
  const { encoding, operands } = row;
  const bytes: number[] = [];
  // POPCNT and CRC32 have a mandatory prefix, and a size to choose besides.
  const isSized = encoding.prefix === undefined || (/^F/.test(encoding.prefix) && operands.some((o) => o.endsWith("v")));
  let operandSize: 2 | 4 = bits === 32 ? 4 : 2;
  if (encoding.prefix !== undefined && encoding.prefix !== "NP") bytes.push(Number.parseInt(encoding.prefix, 16));
  if (isSized && random.chance(15)) {
    bytes.push(0x66);
    operandSize = bits === 32 ? 2 : 4;
  }
  if (encoding.prefix === "66") operandSize = bits === 32 ? 2 : 4;
  const addressSize = bits === 16 && !random.chance(15) ? 2 : 4;
  if (bits === 16 && addressSize === 4) bytes.push(0x67);
  if (strings.has(row.name) && random.chance(45)) bytes.push(random.pick([0xf2, 0xf3]));
  if (random.chance(2)) bytes.push(random.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]));
  let memoryWanted = random.chance(55);
  if (row.lockable && random.chance(8)) {
    bytes.push(0xf0);
    memoryWanted = true;
  }
  bytes.push(...encoding.escape);
  bytes.push(encoding.opcode | (encoding.plusRegister ? register(random, operands[0] === "Zb") : 0));
  const codes = operands.map((name) => operandCodes[name]);
  if (encoding.modrm !== undefined) bytes.push(encoding.modrm + (encoding.plusStack ? random.below(4) : 0));
  else if (encoding.reg !== undefined || encoding.form !== undefined || codes.some((c) => c !== undefined && c.modrm !== "none")) {
    const isByte = operands.includes("Gb");
    const isVector = operands.some((o) => /^[PVQW]/.test(o));
    const reg = encoding.reg ?? (isVector && !operands.some((o) => o.startsWith("G")) ? vectorRegister(random, flavour) : register(random, isByte));
    const mustBeMemory = encoding.form === "mem" || codes.some((c) => c?.modrm === "memory");
    const mustBeRegister = encoding.form === "reg" || codes.some((c) => c?.modrm === "register");
    if (mustBeMemory || (memoryWanted && !mustBeRegister && operands.some(isMemoryCode)))
      bytes.push(...(addressSize === 2 ? shortMemoryOperand(random, reg) : memoryOperand(random, reg, flavour)));
    else bytes.push(0xc0 | (reg << 3) | (isVector ? vectorRegister(random, flavour) : register(random, operands.includes("Eb"))));
  }
  for (const [k, code] of codes.entries()) {
    if (code === undefined) continue;
    if (/^O/.test(operands[k])) {
      bytes.push(...(addressSize === 2 ? little32(shortOffset(random)).slice(0, 2) : little32(scratchAddress(random))));
      continue;
    }
    const count = code.immediateBytes(operandSize, addressSize);
    bytes.push(...little32(random.value()).slice(0, count), ...little32(random.value()).slice(0, Math.max(0, count - 4)));
  }
  return bytes;
}
