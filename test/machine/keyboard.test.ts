/** What reaches a guest that reads port 60h when a program types. The scan codes are those of set 1 in IBM's tables. */
import { describe, expect, it } from "vitest";
import { parseKeys, parseText } from "../../src/machine/key-layout.ts";
import { createMachine, type Machine } from "../../src/machine/machine.ts";
import { kernel } from "../api/kernels.ts";

/** Sends every byte that the keyboard controller has on COM1: in al, 64h; test al, 1; jz -6; in al, 60h; mov dx, 3f8h; out dx, al; jmp -15. */
const forwards = [0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, 0xe4, 0x60, 0x66, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf1];
/** First enables the mouse: D4h, F4h; waits for the controller to take each (test al, 2; jnz). */
const send = (port: number, value: number): number[] => [0xe4, 0x64, 0xa8, 0x02, 0x75, 0xfa, 0xb0, value, 0xe6, port];
const delay = (loops: number): number[] => [0xb9, loops & 0xff, (loops >> 8) & 0xff, loops >> 16, 0, 0x49, 0x75, 0xfd];

async function session(code: readonly number[], drive: (machine: Machine) => Promise<unknown>, enough: number): Promise<number[]> {
  const machine = createMachine({ kernel: kernel(code), memory: 8 * 2 ** 20 });
  const received: number[] = [];
  machine.on("serial", (bytes) => {
    received.push(...bytes);
    if (received.length >= enough) machine.pause();
  });
  const run = machine.run({ timeout: 50 });
  await drive(machine);
  const exit = await run;
  machine.destroy();
  expect(exit.reason).toBe("paused");
  return received;
}

const typed = (drive: (machine: Machine) => Promise<unknown>, expected: readonly number[]) => async () => {
  expect(await session(forwards, drive, expected.length)).toEqual(expected);
};

describe("machine.keyboard", () => {
  it("types text with shift", typed((m) => m.keyboard.type("aB1!\n"), [0x1e, 0x9e, 0x2a, 0x30, 0xb0, 0xaa, 0x02, 0x82, 0x2a, 0x02, 0x82, 0xaa, 0x1c, 0x9c])); // biome-ignore format: one thought

  it("presses keys together", typed((m) => m.keyboard.press("ControlLeft", "AltLeft", "Delete"), [0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d])); // biome-ignore format: one thought

  it("sends keys by name", typed((m) => m.keyboard.sendKeys("q{Ctrl-c}{F12}{Up}"), [0x10, 0x90, 0x1d, 0x2e, 0xae, 0x9d, 0x58, 0xd8, 0xe0, 0x48, 0xe0, 0xc8])); // biome-ignore format: one thought

  it("loses nothing of a long text to the keyboard's 16-byte buffer, even when the guest is slow", async () => {
    const text = "the quick brown fox";
    // Between two reads the guest is away for many of the keyboard's bytes.
    const slow = [...forwards.slice(0, 13), ...delay(500_000)];
    const codes = await session([...slow, 0xeb, 0x100 - slow.length - 2], (m) => m.keyboard.type(text), 2 * text.length);
    const make = codes.filter((code) => code < 0x80);
    const table: Record<string, number> = { " ": 0x39, t: 0x14, h: 0x23, e: 0x12, q: 0x10, u: 0x16, i: 0x17, c: 0x2e, k: 0x25, b: 0x30, r: 0x13, o: 0x18, w: 0x11, n: 0x31, f: 0x21, x: 0x2d }; // biome-ignore format: a table
    expect(make).toEqual([...text].map((character) => table[character]));
    expect(codes.filter((code) => code >= 0x80).map((code) => code & 0x7f)).toEqual(make);
  });

  it("resolves when the run ends before the guest has read", async () => {
    const machine = createMachine({ kernel: kernel([0xeb, 0xfe]), memory: 8 * 2 ** 20 });
    const run = machine.run({ timeout: 0.3 });
    const typed = machine.keyboard.type("nobody reads this");
    await run;
    machine.destroy();
    await typed;
  });

  it("says what it has no key for", () => {
    const machine = createMachine({ kernel: kernel([0xeb, 0xfe]), memory: 8 * 2 ** 20 });
    expect(() => machine.keyboard.type("naïve")).toThrow(/no key of a US keyboard makes "ï"/);
    expect(() => machine.keyboard.sendKeys("{Hyper-x}")).toThrow(/no key "Hyper"/);
    expect(() => machine.keyboard.down("Fire")).toThrow(/no key "Fire"/);
    machine.destroy();
  });
});

describe("machine.mouse", () => {
  it("moves and clicks once the guest has enabled it", async () => {
    const code = [...send(0x64, 0x60), ...send(0x60, 0x44), ...send(0x64, 0xa8), ...send(0x64, 0xd4), ...send(0x60, 0xf4), ...forwards];
    const drive = async (m: Machine): Promise<void> => {
      await m.waitForSerial(/[\s\S]/, { timeout: 10 });
      m.mouse.move(5, -3);
      m.mouse.click("right");
    };
    const bytes = await session(code, drive, 1 + 6);
    // The acknowledge, then movement with the button down, then the button up.
    expect(bytes).toEqual([0xfa, 0x0a, 5, 3, 0x08, 0, 0]);
  });
});

describe("the keys for text", () => {
  it("has a key for every printable character of ASCII", () => {
    const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, n) => 32 + n));
    expect(parseText(printable)).toHaveLength(95);
    expect(new Set(parseText(printable).map((chord) => chord.join("+"))).size).toBe(95);
    expect(parseText('~"')).toEqual([["ShiftLeft", "Backquote"], ["ShiftLeft", "Quote"]]); // biome-ignore format: one thought
  });

  it("reads names in braces", () => {
    const known = (code: string): boolean => ["Enter", "F12", "ControlLeft", "AltLeft", "Delete", "Escape", "KeyX", "Minus"].includes(code);
    expect(parseKeys("{Ctrl-Alt-Delete}{esc}{{{F12}{Ctrl-x}{Ctrl--}{enter}", known)).toEqual([
      ["ControlLeft", "AltLeft", "Delete"],
      ["Escape"],
      ["ShiftLeft", "BracketLeft"],
      ["F12"],
      ["ControlLeft", "KeyX"],
      ["ControlLeft", "Minus"],
      ["Enter"],
    ]);
  });
});
