/** An instruction whose opcode, ModRM and SIB were met before, judged by the decoder: shape, length, fields and the instruction itself are what it finds out anew. */
import { expect, it, vi } from "vitest";
import { linearCode, mode } from "../../translator/contract/mode-key.ts";
import { formatInstruction } from "../../translator/decode/format.ts";
import { JavaScriptTranslator } from "../../translator/index.ts";
import { KnownEncodings } from "../../translator/lift/known-encodings.ts";
import { Random } from "../fuzz/random.ts";

const flat = linearCode | mode.stack32 | mode.protected;
const interesting = [0x66, 0x67, 0x0f, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0xc0, 0xc1, 0xe8, 0x0f, 0x70, 0xc8, 0x9a, 0xd9, 0x6b];

it.each([
  ["32-bit, flat", [flat]],
  ["32-bit, with segments", [flat & ~mode.flat]],
  ["16-bit", [0, mode.wide]],
  ["whatever", [flat, 0, flat | mode.user, flat & ~mode.stack32, mode.virtual8086, flat | mode.singleStep]],
])("%s code", (_, keys) => {
  const random = new Random(11);
  const translator = new JavaScriptTranslator();
  const judge = new JavaScriptTranslator({ disabledPasses: new Set(["encodings"]) });
  const find = vi.spyOn(KnownEncodings.prototype, "find");
  const memory = new Uint8Array(0x1000);
  for (let n = 0; n < 120_000; n++) {
    const at = random.below(4) === 0 ? 0x1000 - 1 - random.below(20) : random.below(0xff0);
    for (let k = at; k < Math.min(at + 15, 0x1000); k++) memory[k] = random.below(256);
    // Few heads, and many of each.
    if (random.below(2) === 0) memory[at] = interesting[random.below(interesting.length)];
    if (random.below(2) === 0 && at + 2 < 0x1000)
      memory[at + 1 + random.below(2)] = [0x04, 0x44, 0x84, 0x25, 0xe0, 0xc1, 0x05, 0x45][random.below(8)];
    // Opcodes of three bytes.
    if (random.below(12) === 0 && at + 2 < 0x1000) memory.set([0x66, 0x0f, random.below(2) === 0 ? 0x38 : 0x3a], at);
    // Counts that are 0 modulo 32.
    if (random.below(4) === 0 && at + 3 < 0x1000) memory[at + 2 + random.below(2)] = 0x20;
    const key = keys[random.below(keys.length)];
    const shape = judge.decode(memory, at, 0x1000, key, at);
    const bytes = (): string => `${memory.slice(at, at + 15)} in mode ${key}`;
    if (translator.decode(memory, at, 0x1000, key, at) !== shape) expect.fail(`shape of ${bytes()}`);
    if (translator.length !== judge.length) expect.fail(`length of ${bytes()}`);
    if (shape < 0) continue;
    if (`${translator.fields.slice(0, translator.fieldCount)}` !== `${judge.fields.slice(0, judge.fieldCount)}`) expect.fail(`fields of ${bytes()}`);
    if (n % 8 === 0) expect(formatInstruction(translator.instruction, at)).toBe(formatInstruction(judge.instruction, at));
  }
  const known = find.mock.results.filter(({ value }) => value >= 0).length;
  expect(known).toBeGreaterThan(20_000);
  find.mockRestore();
});
