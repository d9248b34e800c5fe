/** Where an instruction's bytes end: the fetch window, the fifteen-byte limit, and what decoding in place leaves behind. */
import { describe, expect, test } from "vitest";
import { decode, decodeStatus } from "../../translator/decode/decode.ts";
import { cloneInstruction, newInstruction } from "../../translator/decode/instruction.ts";
import { invalidRow } from "../../translator/decode/opcode-map.ts";
import { opcodeMaps, randomBytes, sweep } from "./encodings.ts";
import { slotLength } from "./iced.ts";

const out = newInstruction(invalidRow);

describe.each([{ code32: true }, { code32: false }])("code size 32: $code32", ({ code32 }) => {
  test.each(opcodeMaps.map((map) => [map]))("a window shorter than the instruction is truncated, map %j", (map) => {
    // Behind 0F 38 and 0F 3A, most have a mandatory prefix.
    const { bytes } = sweep(map, map.length === 2 ? [0x66] : [], randomBytes(7));
    let valid = 0;
    for (let slot = 0; slot < 65536; slot++) {
      const at = slot * slotLength;
      if (decode(bytes, at, at + slotLength, code32, out) !== decodeStatus.ok) continue;
      valid++;
      const { length } = out;
      const row = out.row;
      expect(decode(bytes, at, at + length, code32, out)).toBe(decodeStatus.ok);
      expect(out.row).toBe(row);
      for (let have = 0; have < length; have++) {
        // What is missing is missed whatever the window leaves out; no byte outside of it is looked at.
        if (decode(bytes, at, at + have, code32, out) !== decodeStatus.truncated) expect(`slot ${slot}, ${have} of ${length}`).toBe("truncated");
        if (out.length !== have) expect(out.length).toBe(have);
      }
    }
    expect(valid).toBeGreaterThan(map.length === 2 ? 5000 : 20_000);
  });
});

test("fifteen bytes are allowed, sixteen are too long", () => {
  for (const instruction of [
    [0x90],
    [0x01, 0xd8],
    [0x81, 0x84, 0x88, 1, 2, 3, 4, 5, 6, 7, 8],
    [0x0f, 0xa2],
    [0x0f, 0x38, 0xc8, 0x84, 0x88, 1, 2, 3, 4],
    [0x0f, 0x3a, 0xcc, 0xc1, 1],
  ]) {
    for (let count = 0; count <= 20; count++) {
      const bytes = Uint8Array.from([...new Array(count).fill(0x3e), ...instruction, ...new Array(8).fill(0x90)]);
      const expected = count + instruction.length <= 15 ? decodeStatus.ok : decodeStatus.tooLong;
      expect(decode(bytes, 0, bytes.length, true, out)).toBe(expected);
      expect(out.length).toBe(Math.min(15, count + instruction.length));
    }
  }
});

test("fifteen prefixes in a window of fifteen bytes are too long already; in fourteen more bytes are wanted", () => {
  const bytes = new Uint8Array(15).fill(0x66);
  expect(decode(bytes, 0, 15, true, out)).toBe(decodeStatus.tooLong);
  expect(decode(bytes, 0, 14, true, out)).toBe(decodeStatus.truncated);
});

test("fetching comes before LOCK's #UD", () => {
  // lock mov eax, imm32: invalid once all of it is there.
  const bytes = Uint8Array.from([0xf0, 0xb8, 1, 2, 3, 4]);
  expect(decode(bytes, 0, 5, true, out)).toBe(decodeStatus.truncated);
  expect(decode(bytes, 0, 6, true, out)).toBe(decodeStatus.invalid);
});

test("behind 0F 38 and 0F 3A even what is not an instruction has ModRM and what belongs to it, and behind 0F 3A an immediate", () => {
  for (const [map, immediates] of [
    [0x38, 0],
    [0x3a, 1],
  ]) {
    for (let opcode = 0; opcode < 256; opcode++) {
      // [EAX + ECX * 4 + disp32]
      const bytes = Uint8Array.from([0xf0, 0x0f, map, opcode, 0x84, 0x88, 1, 2, 3, 4, 5]);
      const whole = bytes.length - 1 + immediates;
      for (let have = 0; have < whole; have++) expect(decode(bytes, 0, have, true, out)).toBe(decodeStatus.truncated);
      expect(decode(bytes, 0, whole, true, out)).toBe(decodeStatus.invalid);
      expect(out.length).toBe(whole);
    }
  }
});

test("what an object held before does not show", () => {
  const { bytes } = sweep([], undefined, randomBytes(99));
  const fresh = newInstruction(invalidRow);
  for (let slot = 0; slot < 65536; slot += 7) {
    const at = slot * slotLength;
    const status = decode(bytes, at, at + slotLength, true, out);
    const other = newInstruction(invalidRow);
    expect(decode(bytes, at, at + slotLength, true, other)).toBe(status);
    if (status !== decodeStatus.ok) continue;
    const meaningful = (i: typeof fresh) => ({ ...i, operands: i.operands.slice(0, i.operandCount) });
    expect(meaningful(out)).toEqual(meaningful(other));
    const kept = cloneInstruction(out);
    decode(Uint8Array.from([0x90]), 0, 1, true, out);
    expect(meaningful(kept)).toEqual(meaningful(other));
  }
});
