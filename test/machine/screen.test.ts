/** The screen for programs, with a display whose content the test writes; PNG files are taken apart by Node's zlib and read pixel by pixel. */
import { crc32, inflateSync } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Display, Frame, TextScreen } from "../../runtime/devices/vga/display.ts";
import { codePage437 } from "../../src/machine/code-page.ts";
import { encodePng } from "../../src/machine/png.ts";
import { Screen } from "../../src/machine/screen.ts";

class StubDisplay implements Display {
  kind: "text" | "graphics" | "blank" = "text";
  readonly width = 720;
  readonly height = 400;
  generation = 0;
  readonly characters = new Uint8Array(80 * 25);
  readonly attributes = new Uint8Array(80 * 25).fill(7);
  cursor = { column: 0, row: 0, visible: true };

  text(): TextScreen | undefined {
    const { characters, attributes, cursor } = this;
    return this.kind === "text" ? { columns: 80, rows: 25, characters, attributes, cursor } : undefined;
  }
  render(): Frame {
    return { width: 2, height: 1, pixels: Uint8ClampedArray.of(1, 2, 3, 255, 4, 5, 6, 255) };
  }
  write(row: number, text: string): void {
    for (let i = 0; i < text.length; i++) this.characters[row * 80 + i] = text.charCodeAt(i);
    this.generation++;
  }
}

describe("text", () => {
  it("is lines without the blanks at their ends", () => {
    const display = new StubDisplay();
    display.write(0, "hello   ");
    display.write(24, "\xc9\xcd\xbb \xdb\x01");
    const lines = new Screen(display).text();
    expect(lines).toHaveLength(25);
    expect(lines[0]).toBe("hello");
    expect(lines[1]).toBe("");
    expect(lines[24]).toBe("╔═╗ █☺");
  });

  it("comes with attributes and cursor", () => {
    const display = new StubDisplay();
    display.write(1, "A");
    display.attributes[80] = 0x4e;
    display.cursor = { column: 3, row: 2, visible: false };
    const text = new Screen(display).textWithAttributes()!;
    expect(text.cells[1]![0]).toEqual({ character: "A", attribute: 0x4e });
    expect([text.cells.length, text.cells[0]!.length]).toEqual([25, 80]);
    expect(text.cursor).toEqual({ column: 3, row: 2, visible: false });
  });

  it("is none in graphics modes and without a display", () => {
    const display = new StubDisplay();
    display.kind = "graphics";
    expect(new Screen(display).text()).toEqual([]);
    expect(new Screen(display).textWithAttributes()).toBeUndefined();
    const none = new Screen(undefined);
    expect([none.kind, none.text(), none.png().length > 0]).toEqual(["blank", [], true]);
  });

  it("is code page 437 as the Unicode Consortium maps it", () => {
    // https://www.unicode.org/Public/MAPPINGS/VENDORS/MICSFT/PC/CP437.TXT, samples; and each of its characters but the blanks is there once.
    const samples = { 0x80: "Ç", 0x9b: "¢", 0xb0: "░", 0xb3: "│", 0xc4: "─", 0xda: "┌", 0xdb: "█", 0xe1: "ß", 0xe6: "µ", 0xf1: "±", 0xfe: "■" };
    for (const [code, character] of Object.entries(samples)) expect(codePage437[Number(code)]).toBe(character);
    expect(codePage437).toHaveLength(256);
    expect(codePage437.every((character) => character.length === 1)).toBe(true);
    expect(new Set(codePage437).size).toBe(254);
  });
});

describe("waitForText", () => {
  afterEach(() => void vi.useRealTimers());

  it("finds what is there, what comes later, and patterns over several lines", async () => {
    const display = new StubDisplay();
    const screen = new Screen(display);
    display.write(0, "login: ");
    expect((await screen.waitForText("login:"))[0]).toBe("login:");
    const later = screen.waitForText(/one\ntwo$/m);
    display.write(3, "one");
    screen.poll();
    display.write(4, "two");
    screen.poll();
    expect((await later)[4]).toBe("two");
    // A pattern with the g flag starts from the beginning each time.
    const pattern = /login/g;
    await screen.waitForText(pattern);
    await screen.waitForText(pattern);
  });

  it("rejects after the timeout, with the screen in the message", async () => {
    const display = new StubDisplay();
    display.write(0, "No bootable device.");
    await expect(new Screen(display).waitForText("login:", { timeout: 0.05 })).rejects.toThrow(
      /waited for text "login:" on the screen, but it did not appear within 0\.05 s; the screen shows:\n\| No bootable device\.$/,
    );
  });

  it("rejects when the run ends, and says when there is no text", async () => {
    const display = new StubDisplay();
    display.kind = "graphics";
    const screen = new Screen(display);
    const waiting = screen.waitForText(/x/);
    screen.ended("the run ended (power-off)");
    await expect(waiting).rejects.toThrow(/but the run ended \(power-off\); the screen is in a graphics mode of 720 x 400, which has no text/);
    await expect(new Screen(undefined).waitForText("x", { timeout: 0.01 })).rejects.toThrow(/the screen is blank/);
  });

  it("looks only when something may have changed", async () => {
    const display = new StubDisplay();
    const screen = new Screen(display);
    const waiting = screen.waitForText("x");
    const text = vi.spyOn(display, "text");
    screen.poll();
    screen.poll();
    screen.poll();
    expect(text.mock.calls.length).toBe(1);
    display.write(0, "x");
    screen.poll();
    await waiting;
  });
});

/** A PNG file's parts, with every checksum looked at. */
function readPng(file: Uint8Array): { width: number; height: number; type: number; pixels: number[][] } {
  expect([...file.subarray(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10]);
  const view = new DataView(file.buffer, file.byteOffset);
  const chunks = new Map<string, Uint8Array>();
  for (let at = 8; at < file.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    expect(view.getUint32(at + 8 + length)).toBe(crc32(file.subarray(at + 4, at + 8 + length)));
    chunks.set(type, file.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const header = chunks.get("IHDR")!;
  const fields = new DataView(header.buffer, header.byteOffset);
  const [width, height, type] = [fields.getUint32(0), fields.getUint32(4), fields.getUint8(9)];
  const palette = chunks.get("PLTE");
  const channels = type === 3 ? 1 : 3;
  const rows = inflateSync(chunks.get("IDAT")!);
  expect(rows.length).toBe(height * (width * channels + 1));
  const pixels: number[][] = [];
  for (let y = 0; y < height; y++) {
    const start = y * (width * channels + 1);
    const filter = rows[start]!;
    for (let i = 0; i < width * channels; i++) {
      if (filter === 1 && i >= channels) rows[start + 1 + i]! += rows[start + 1 + i - channels]!;
      else expect([0, 1]).toContain(filter);
    }
    for (let x = 0; x < width; x++) {
      const at = start + 1 + x * channels;
      pixels.push(palette ? [...palette.subarray(3 * rows[at]!, 3 * rows[at]! + 3)] : [...rows.subarray(at, at + 3)]);
    }
  }
  return { width, height, type, pixels };
}

describe("png", () => {
  const frame = (width: number, height: number, colour: (x: number, y: number) => number): Frame => {
    const pixels = new Uint8ClampedArray(4 * width * height);
    for (let i = 0; i < width * height; i++) {
      const rgb = colour(i % width, Math.floor(i / width));
      pixels.set([rgb >> 16, (rgb >> 8) & 255, rgb & 255, 255], 4 * i);
    }
    return { width, height, pixels };
  };
  const expected = ({ width, height, pixels }: Frame): number[][] =>
    Array.from({ length: width * height }, (_, i) => [...pixels.subarray(4 * i, 4 * i + 3)]);

  it.each([
    ["one pixel", frame(1, 1, () => 0x123456), 3],
    ["256 colours", frame(64, 48, (x, y) => ((x + y * 64) & 255) * 0x010203), 3],
    ["257 colours", frame(257, 3, (x) => x * 0x0301), 2],
    ["true colours", frame(97, 61, (x, y) => Math.imul(x * 8191 + y, 2654435761) & 0xffffff), 2],
  ] as const)("%s come back as they were", (_, picture, type) => {
    const read = readPng(encodePng(picture));
    expect([read.width, read.height, read.type]).toEqual([picture.width, picture.height, type]);
    expect(read.pixels).toEqual(expected(picture));
  });

  it("is the frame the display renders", () => {
    expect(readPng(new Screen(new StubDisplay()).png()).pixels).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });
});
