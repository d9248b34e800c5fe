/**
 * The decoder against iced-x86 over the whole one-, two- and three-byte opcode space with every ModRM byte: the same instructions valid,
 * of the same length, with the same operands. What differs on purpose is in differences.ts, row by row.
 */
import { Code, FlowControl, type Instruction, Mnemonic } from "iced-x86";
import { describe, expect, test } from "vitest";
import { decode, decodeStatus } from "../../translator/decode/decode.ts";
import { type DecodedInstruction, newInstruction } from "../../translator/decode/instruction.ts";
import { invalidRow, rows } from "../../translator/decode/opcode-map.ts";
import { differences, mnemonics } from "./differences.ts";
import { type Batch, hex, opcodeMaps, prefixSets, randomBytes, sibSweep, sweep } from "./encodings.ts";
import { compareOperand, IcedBatch, slotLength } from "./iced.ts";

const met = new Set<string>();
const reached = new Set<number>();
const out = newInstruction(invalidRow);

function sameMnemonic(i: DecodedInstruction, iced: Instruction): boolean {
  const name = i.row.name;
  const theirs = Mnemonic[iced.mnemonic].toLowerCase();
  if (name in mnemonics) return mnemonics[name].includes(theirs);
  const dot = name.indexOf(".");
  return theirs === (dot < 0 ? name : name.slice(0, dot));
}

/** "" when iced and the decoder agree on a slot, or differ as differences.ts allows. */
function compare(batch: Batch, slot: number, code32: boolean, iced: Instruction): string {
  const at = slot * slotLength;
  const opcodeAt = at + batch.opcodeAt[slot];
  const status = decode(batch.bytes, at, at + slotLength - 1, code32, out);
  if (iced.code === Code.INVALID) {
    if (status === decodeStatus.ok) return `${out.row.name} ${out.row.operands} is invalid`;
    return status === decodeStatus.truncated ? "truncated" : "";
  }
  if (status !== decodeStatus.ok) {
    const allowed = differences.find((d) => d.invalid?.(iced, batch.bytes[opcodeAt], batch.bytes[opcodeAt + 1]));
    if (!allowed) return `${Code[iced.code]} is valid (status ${status})`;
    met.add(allowed.what);
    return "";
  }
  if (iced.length !== out.length) return `length ${iced.length} for ${out.length}`;
  if (!sameMnemonic(out, iced)) return `${Mnemonic[iced.mnemonic]} for ${out.row.name}`;
  if (iced.flowControl !== FlowControl.Next && !out.row.endsBlock) return `${out.row.name} does not end a block`;
  reached.add(out.row.index);

  let first = 0;
  let count = iced.opCount;
  if (count !== out.operandCount) {
    const allowed = differences.find((d) => d.operands?.(out, iced));
    if (!allowed) return `${count} operands for ${out.operandCount}`;
    met.add(allowed.what);
    first = allowed.first ?? 0;
    count = allowed.count ?? 0;
  }
  for (let n = 0; n < count; n++) {
    const difference = compareOperand(out.operands[n], iced, first + n, out);
    if (difference === "") continue;
    const allowed = /^(register|memory) size/.test(difference) ? differences.find((d) => d.size?.(out, iced, n)) : undefined;
    if (!allowed) return `operand ${n} of ${out.row.name} ${out.row.operands}: ${difference}`;
    met.add(allowed.what);
  }
  return "";
}

/** Compare every slot of a batch; returns the first few disagreements. */
function compareBatch(batch: Batch, code32: boolean): string[] {
  const found: string[] = [];
  const iced = new IcedBatch(batch.bytes, code32);
  for (let slot = 0; slot < 65536 && found.length < 10; slot++) {
    const difference = compare(batch, slot, code32, iced.decode(slot, batch.opcodeAt[slot]));
    if (difference !== "") found.push(`${hex(batch.bytes.subarray(slot * slotLength, (slot + 1) * slotLength))}: ${difference}`);
  }
  iced.free();
  return found;
}

describe.each([{ code32: true }, { code32: false }])("code size 32: $code32", ({ code32 }) => {
  test.each(prefixSets.map((prefixes) => ({ prefixes, text: hex(Uint8Array.from(prefixes)) || "none" })))("prefixes $text", ({ prefixes }) => {
    const random = randomBytes(0x2545f491 ^ prefixes.length);
    for (const map of opcodeMaps) expect(compareBatch(sweep(map, prefixes, random), code32)).toEqual([]);
  });

  test.each([1, 2, 3, 4])("random prefixes, seed %i", (seed) => {
    const random = randomBytes(seed * 0x9e3779b1);
    for (const map of opcodeMaps) expect(compareBatch(sweep(map, undefined, random), code32)).toEqual([]);
  });

  test.each([
    [[0x8b]],
    [[0x8d]],
    [[0x80]],
    [[0xc7]],
    [[0xf7]],
    [[0xff]],
    [[0xd9]],
    [[0x0f, 0xba]],
    [[0x0f, 0x6f]],
    [[0xf3, 0x0f, 0x10]],
    [[0x64, 0x03]],
    [[0x67, 0x89]],
  ])("every ModRM and SIB byte after %j", (opcode) => {
    const batch = sibSweep(opcode, randomBytes(opcode[0]));
    expect(compareBatch(batch, code32)).toEqual([]);
  });
});

test("every row of the tables was compared", () => {
  expect(rows.filter((row) => !reached.has(row.index)).map((row) => `${row.name} ${row.operands}`)).toEqual([]);
});

test("every allowed difference was met", () => {
  expect(differences.filter((d) => !met.has(d.what)).map((d) => d.what)).toEqual([]);
});
