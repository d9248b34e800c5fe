/**
 * The committed vectors: outcomes of the seeded cases on a real CPU. The inputs are generated again from the seed; their digest guards against a
 * generator that has changed since. File: brotli over a JSON header line and the outcomes, less what each case's input predicts, byte
 * column by byte column.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { type Batch, generate, inputAt, inputSize, memorySize, outcomeAt, outcomeSize } from "./cases.ts";
import { captureOutcomes } from "./hardware.ts";

const file = new URL("./vectors.bin.br", import.meta.url);
const seed = "simd vectors";
const casesPerEncoding = 60;

interface Header {
  readonly cpu: string;
  readonly digest: string;
  readonly cases: number;
}

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** An outcome in which the instruction changed nothing. */
function predict(input: DataView, out: Uint8Array): void {
  const from = (at: number, size: number) => new Uint8Array(input.buffer, input.byteOffset + at, size);
  out.fill(0);
  out.set(from(inputAt.mxcsr, 4), outcomeAt.mxcsr);
  out.set(from(inputAt.eax, 4), outcomeAt.eax);
  out.set(from(inputAt.xmm0, 32), outcomeAt.xmm0);
  out.set(from(inputAt.mm0, 8), outcomeAt.mm0);
  out.set(from(inputAt.memory, memorySize), outcomeAt.memory);
}

/** Byte columns to rows or back, xored with the prediction. */
function code(batch: Batch, outcomes: Uint8Array, packing: boolean): Uint8Array {
  const cases = batch.labels.length;
  const result = new Uint8Array(outcomes.length);
  const predicted = new Uint8Array(outcomeSize);
  for (let k = 0; k < cases; k++) {
    predict(new DataView(batch.inputs.buffer, k * inputSize, inputSize), predicted);
    for (let column = 0; column < outcomeSize; column++) {
      const row = k * outcomeSize + column;
      const packed = column * cases + k;
      result[packing ? packed : row] = outcomes[packing ? row : packed] ^ predicted[column];
    }
  }
  return result;
}

export function writeVectors(harness: string): void {
  const batch = generate(seed, casesPerEncoding);
  const outcomes = captureOutcomes(harness, batch.inputs);
  const cpu = readFileSync("/proc/cpuinfo", "utf8").match(/^model name\s*: (.*)$/m)?.[1] ?? "?";
  const header: Header = { cpu, digest: digestOf(batch.inputs), cases: batch.labels.length };
  const raw = Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), code(batch, outcomes, true)]);
  const packed = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: raw.length, [constants.BROTLI_PARAM_LGWIN]: 24 } });
  writeFileSync(file, packed);
  console.log(`${batch.labels.length} cases, ${packed.length} bytes, ${cpu}`);
}

export function readVectors(): { batch: Batch; outcomes: Uint8Array; cpu: string } {
  const raw = brotliDecompressSync(readFileSync(file));
  const end = raw.indexOf(10);
  const header = JSON.parse(raw.subarray(0, end).toString()) as Header;
  const batch = generate(seed, casesPerEncoding);
  if (digestOf(batch.inputs) !== header.digest) {
    throw new Error(
      "test/simd/vectors.bin.br was captured from other cases than cases.ts now makes: run `node test/simd/run.ts --write` on a real x86",
    );
  }
  return { batch, outcomes: code(batch, raw.subarray(end + 1), false), cpu: header.cpu };
}
