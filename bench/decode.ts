/**
 * Speed of the decoder: `node bench/decode.ts [FILE]`. Decodes a stream of instructions, warm, and prints nanoseconds per instruction. The
 * stream is FILE's bytes taken as 32-bit code, or a built-in mix as compilers emit it: moves, arithmetic, branches, addresses of every form.
 */
import { readFileSync } from "node:fs";
import { decode, decodeStatus } from "../translator/decode/decode.ts";
import { formatInstruction } from "../translator/decode/format.ts";
import { newInstruction } from "../translator/decode/instruction.ts";
import { invalidRow } from "../translator/decode/opcode-map.ts";

const mix = [
  [0x55],
  [0x89, 0xe5],
  [0x53],
  [0x83, 0xec, 0x14],
  [0x8b, 0x45, 0x08],
  [0x8b, 0x44, 0x98, 0x10],
  [0x0f, 0xb6, 0x04, 0x0a],
  [0x85, 0xc0],
  [0x74, 0x12],
  [0x8d, 0x74, 0x26, 0x00],
  [0xc7, 0x44, 0x24, 0x04, 1, 0, 0, 0],
  [0xe8, 0x10, 0x20, 0x00, 0x00],
  [0x0f, 0x84, 0, 1, 0, 0],
  [0x39, 0xd8],
  [0x66, 0x89, 0x43, 0x0c],
  [0x65, 0xa1, 0x14, 0, 0, 0],
  [0x81, 0xe2, 0xff, 0x0f, 0, 0],
  [0xc1, 0xe0, 0x02],
  [0xf3, 0xa5],
  [0x0f, 0xaf, 0xc2],
  [0xdd, 0x45, 0xf8],
  [0xd8, 0xc1],
  [0xf2, 0x0f, 0x10, 0x45, 0xf0],
  [0x66, 0x0f, 0xef, 0xc0],
  [0x5b],
  [0xc9],
  [0xc3],
];

function streamOf(file: string | undefined): Uint8Array {
  if (file !== undefined) return readFileSync(file);
  const bytes: number[] = [];
  for (let n = 0; bytes.length < 1 << 20; n = (n * 7 + 3) % 1009) bytes.push(...mix[n % mix.length]);
  return Uint8Array.from(bytes);
}

const bytes = streamOf(process.argv[2]);
const out = newInstruction(invalidRow);
for (let round = 0; round < 8; round++) {
  let count = 0;
  let invalid = 0;
  const before = process.hrtime.bigint();
  for (let at = 0; at < bytes.length; ) {
    if (decode(bytes, at, bytes.length, true, out) !== decodeStatus.ok) invalid++;
    at += out.length;
    count++;
  }
  const nanoseconds = Number(process.hrtime.bigint() - before);
  console.log(`decode: ${count} instructions (${invalid} invalid), ${(nanoseconds / count).toFixed(1)} ns each`);
}

let characters = 0;
let formatted = 0;
const before = process.hrtime.bigint();
for (let at = 0; at < bytes.length && formatted < 100_000; at += out.length, formatted++) {
  if (decode(bytes, at, bytes.length, true, out) === decodeStatus.ok) characters += formatInstruction(out, at).length;
}
console.log(`decode and format: ${(Number(process.hrtime.bigint() - before) / formatted).toFixed(1)} ns each, ${characters} characters`);
