/** Guests with more than 2 GiB: numbers of bytes that are no int32. */
import { describe, expect, test } from "vitest";
import { PhysicalMemory } from "../../runtime/memory/physical.ts";
import { Core, place } from "../support/core.ts";

const gib = 2 ** 30;

describe("3.5 GiB of RAM", () => {
  test("every view reaches its end", () => {
    const memory = new PhysicalMemory(3.5 * gib, 1 << 20);
    expect([memory.u8.length, memory.i8.length, 2 * memory.i16.length, 4 * memory.i32.length]).toEqual(Array(4).fill(3.5 * gib + (1 << 20)));
    memory.write4(3.5 * gib - 4, 0x12345678);
    expect([memory.i32[(3.5 * gib - 4) / 4], memory.i16[(3.5 * gib - 4) / 2], memory.u8[3.5 * gib - 1]]).toEqual([0x12345678, 0x5678, 0x12]);
  });

  // What this CPU has in its registers after it, by the manual.
  const program = [
    ...[0xc7, 0x05, 0xf0, 0xff, 0xff, 0xdf, 0x78, 0x56, 0x34, 0x92], // mov dword [0xdffffff0], 0x92345678
    ...[0xa1, 0xf0, 0xff, 0xff, 0xdf], // mov eax, [0xdffffff0]
    ...[0x0f, 0xb7, 0x0d, 0xf2, 0xff, 0xff, 0xdf], // movzx ecx, word [0xdffffff2]
    ...[0x0f, 0xbe, 0x15, 0xf3, 0xff, 0xff, 0xdf], // movsx edx, byte [0xdffffff3]
    ...[0x8b, 0x1d, 0xf1, 0xff, 0xff, 0xdf], // mov ebx, [0xdffffff1], misaligned
    0xf4,
  ];

  test.each([
    ["WebAssembly", new Set<string>(), false],
    ["JavaScript", new Set(["wasm"]), false],
    ["a region", new Set<string>(), true],
  ])("a guest's accesses at the end of it, as %s", (_, disabled, hot) => {
    const core = new Core({ memory: 3.5 * gib, disabled, hot }).protectedMode(0, false);
    core.physical.writeBytes(place.code, Uint8Array.from(program));
    expect(core.run().kind).toBe("halted");
    expect([core.reg("eax"), core.reg("ecx"), core.reg("edx"), core.reg("ebx")]).toEqual([0x92345678, 0x9234, 0xffffff92, 0x00923456]);
  });
});
