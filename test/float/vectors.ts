/**
 * The committed vectors: what this CPU made of the cases that cases.ts derives from a seed. A record is stored as its difference from the state before the
 * instruction, registers in physical order, so that little but the results remains to be compressed.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { arithmeticCodes, makeCases, otherCodes, transcendentalCodes } from "./cases.ts";
import { inputSize, outputSize } from "./engine.ts";
import { makePairCases, pairCodes } from "./pair-cases.ts";

export const vectorGroups = [
  { name: "arithmetic", seed: 20_001, count: 8000, make: makeCases, codes: arithmeticCodes(), tolerance: false },
  { name: "other", seed: 20_002, count: 8000, make: makeCases, codes: otherCodes(), tolerance: false },
  { name: "transcendental", seed: 20_003, count: 2500, make: makeCases, codes: transcendentalCodes(), tolerance: true },
  { name: "pairs", seed: 20_004, count: 8000, make: makePairCases, codes: pairCodes(), tolerance: false },
] as const;

const file = fileURLToPath(new URL("vectors.bin.br", import.meta.url));
const hashSize = 32;

function inputs(): Uint8Array[] {
  return vectorGroups.map((g) => g.make(g.seed, g.count, g.codes));
}

function hashOf(list: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha256");
  for (const bytes of list) hash.update(bytes);
  return hash.digest();
}

/** Offset in an FSAVE image of physical register `r`. */
function registerAt(image: Uint8Array, r: number): number {
  const top = (image[5] >>> 3) & 7;
  return 28 + 10 * ((r - top) & 7);
}

/** Xors the registers and memory of `input` into `output`, which is its own inverse. */
function difference(input: Uint8Array, output: Uint8Array): Uint8Array {
  const result = output.slice();
  for (const i of [0, 1, 4, 5, 8, 9]) result[i] ^= input[i];
  for (let r = 0; r < 8; r++) {
    const from = registerAt(input, r);
    const at = registerAt(output, r);
    for (let i = 0; i < 10; i++) result[28 + 10 * r + i] = output[at + i] ^ input[from + i];
  }
  for (let i = 0; i < 16; i++) result[108 + i] ^= input[108 + i];
  for (let i = 0; i < 4; i++) result[128 + i] ^= input[124 + i];
  return result;
}

function undo(input: Uint8Array, stored: Uint8Array): Uint8Array {
  const result = stored.slice();
  for (const i of [0, 1, 4, 5, 8, 9]) result[i] ^= input[i];
  for (let r = 0; r < 8; r++) {
    const from = registerAt(input, r);
    const at = registerAt(result, r);
    for (let i = 0; i < 10; i++) result[at + i] = stored[28 + 10 * r + i] ^ input[from + i];
  }
  for (let i = 0; i < 16; i++) result[108 + i] ^= input[108 + i];
  for (let i = 0; i < 4; i++) result[128 + i] ^= input[124 + i];
  return result;
}

function mapRecords(records: Uint8Array, others: Uint8Array, f: (input: Uint8Array, other: Uint8Array) => Uint8Array): Uint8Array {
  const count = records.length / inputSize;
  const result = new Uint8Array(count * outputSize);
  for (let i = 0; i < count; i++) {
    const input = records.subarray(i * inputSize, (i + 1) * inputSize);
    result.set(f(input, others.subarray(i * outputSize, (i + 1) * outputSize)), i * outputSize);
  }
  return result;
}

/** Byte k of every record together: like compresses with like. */
function transpose(bytes: Uint8Array, rows: number): Uint8Array {
  const columns = bytes.length / rows;
  const result = new Uint8Array(bytes.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * rows + r] = bytes[r * columns + c];
  return result;
}

export function writeVectors(outputs: readonly Uint8Array[]): number {
  const given = inputs();
  const parts = given.map((input, i) => {
    const cleaned = Uint8Array.from(outputs[i]);
    // The last-instruction registers are addresses in the capture program.
    for (let at = 0; at < cleaned.length; at += outputSize) {
      cleaned.fill(0, at + 12, at + 28);
      for (const k of [2, 3, 6, 7, 10, 11]) cleaned[at + k] = 0;
      // Of EFLAGS the arithmetic flags matter.
      cleaned[at + 128] = (cleaned[at + 128] & 0xd5) | 2;
      cleaned[at + 129] = (cleaned[at + 129] & 8) | 2;
      cleaned[at + 130] = cleaned[at + 131] = 0;
    }
    const differences = mapRecords(input, cleaned, difference);
    return transpose(differences, input.length / inputSize);
  });
  const packed = brotliCompressSync(Buffer.concat([hashOf(given), ...parts]), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
  });
  writeFileSync(file, packed);
  return packed.length;
}

export interface VectorSet {
  readonly name: string;
  readonly tolerance: boolean;
  readonly inputs: Uint8Array;
  readonly outputs: Uint8Array;
}

export function readVectors(): VectorSet[] {
  const given = inputs();
  const bytes = new Uint8Array(brotliDecompressSync(readFileSync(file)));
  if (!hashOf(given).equals(bytes.subarray(0, hashSize))) {
    throw new Error("test/float/cases.ts makes other cases than the vectors hold: capture again with `node test/float/capture.ts`");
  }
  let at = hashSize;
  return vectorGroups.map((group, i) => {
    const size = group.count * outputSize;
    const stored = transpose(bytes.subarray(at, at + size), outputSize);
    at += size;
    return { name: group.name, tolerance: group.tolerance, inputs: given[i], outputs: mapRecords(given[i], stored, undo) };
  });
}
