/** MMX, SSE to SSE4.2, AES and SHA against a real CPU: committed outcomes, and fresh ones where this machine can make them. */
import { Decoder, DecoderOptions } from "iced-x86";
import { describe, expect, it } from "vitest";
import { lackedHere } from "../support/host-features.ts";
import { type Batch, generate, inputSize, outcomeSize } from "./cases.ts";
import { describeInput, differences } from "./compare.ts";
import { Engine } from "./engine.ts";
import { buildHarness, canCapture, captureOutcomes } from "./hardware.ts";
import { readVectors } from "./vectors.ts";

/** Reports of the first cases that differ. */
function disagreements({ labels, inputs }: Batch, outcomes: Uint8Array): string[] {
  const engine = new Engine();
  const found = new DataView(new ArrayBuffer(outcomeSize));
  const reports: string[] = [];
  labels.forEach((label, k) => {
    const input = new DataView(inputs.buffer, k * inputSize, inputSize);
    engine.run(input, found);
    const lines = differences(new DataView(outcomes.buffer, outcomes.byteOffset + k * outcomeSize, outcomeSize), found);
    if (lines.length > 0 && reports.length < 20) reports.push(`${describeInput(label, input)}\n  ${lines.join("\n  ")}`);
  });
  return reports;
}

describe("SIMD on a real CPU", () => {
  it("agrees with the committed outcomes", () => {
    const { batch, outcomes, cpu } = readVectors();
    expect(cpu).not.toBe("");
    expect(batch.labels.length).toBeGreaterThan(60_000);
    expect(disagreements(batch, outcomes)).toEqual([]);
  });

  // The bits of RCPPS and RSQRTPS are the vendor's: fresh cases of those only agree on the CPUs the committed ones come from.
  it.skipIf(!canCapture())("agrees with this machine on fresh cases", () => {
    const seed = `fresh ${Date.now()}`;
    const isLacked = lackedHere("SIMD on fresh cases");
    const isHere = (bytes: readonly number[]): boolean => {
      // An immediate may be missing, and more than one byte is not.
      const decoder = new Decoder(32, Uint8Array.from([...bytes, 0]), DecoderOptions.None);
      return !isLacked(decoder.decode());
    };
    const batch = generate(seed, 15, ({ name, bytes }) => /^(?!rcp|rsqrt)/.test(name) && isHere(bytes));
    expect(disagreements(batch, captureOutcomes(buildHarness(), batch.inputs)), `seed "${seed}"`).toEqual([]);
  });
});
