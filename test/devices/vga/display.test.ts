/** What is shown, by the documented facts (IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"; FreeVGA); mostly what QEMU does not model. */
import { describe, expect, test } from "vitest";
import {
  crtcPort,
  distinctPalette,
  graphicsPort,
  type ModeName,
  modes,
  sequencerPort,
  setAttribute,
  setMode,
  setPalette,
  VgaRig,
} from "./support.ts";

/** A palette in which red (6 bits) and green (2) tell the DAC index. */
const indexPalette = Array.from({ length: 768 }, (_, i) => (i % 3 === 0 ? Math.floor(i / 3) & 63 : i % 3 === 1 ? Math.floor(i / 3) >> 6 : 0));

function prepared(name: ModeName): VgaRig {
  const rig = new VgaRig();
  setMode(rig, modes[name]);
  setPalette(rig, indexPalette);
  return rig;
}

/** The DAC index of each dot of a line, with indexPalette loaded. */
function dots(rig: VgaRig, y: number, count: number, blinkOn = true): number[] {
  const frame = rig.vga.render(blinkOn);
  return Array.from({ length: count }, (_, x) => {
    const at = 4 * (y * frame.width + x);
    return (frame.pixels[at] >> 2) | ((frame.pixels[at + 1] >> 2) << 6);
  });
}

/** The DAC index of the dot at `x` of each of the first lines. */
function column(rig: VgaRig, x: number, count: number, blinkOn = true): number[] {
  const { width, pixels } = rig.vga.render(blinkOn);
  return Array.from({ length: count }, (_, y) => (pixels[4 * (y * width + x)] >> 2) | ((pixels[4 * (y * width + x) + 1] >> 2) << 6));
}

/** Dots as `#` where they differ from `background`. */
const shape = (indexes: readonly number[], background: number): string => indexes.map((index) => (index === background ? "." : "#")).join("");

/** Writes rows of a character's dots into plane 2. */
function loadCharacter(rig: VgaRig, code: number, rows: readonly number[], font = 0): void {
  rig.set(sequencerPort, 2, 4);
  rig.set(sequencerPort, 4, 6);
  rig.set(graphicsPort, 5, 0);
  rig.set(graphicsPort, 6, 4);
  rows.forEach((row, i) => {
    rig.poke(0xa0000 + font + code * 32 + i, row);
  });
  rig.set(sequencerPort, 2, 3);
  rig.set(sequencerPort, 4, 2);
  rig.set(graphicsPort, 5, 0x10);
  rig.set(graphicsPort, 6, 0x0e);
}

const put = (rig: VgaRig, cell: number, character: number, attribute: number): void => rig.poke(0xb8000 + 2 * cell, (attribute << 8) | character, 2);
const noCursor = (rig: VgaRig): void => rig.set(crtcPort, 0x0a, 0x20);
/** DAC indexes of attribute colours 0-15 in text modes. */
const textColor = modes.text80x25.attribute;

describe("text", () => {
  test("a character's dots, its colours, and the ninth dot: background, or the eighth again for C0h-DFh", () => {
    const rig = prepared("text80x25");
    noCursor(rig);
    for (const code of [0x41, 0xbf, 0xc0, 0xdf, 0xe0]) loadCharacter(rig, code, [0b10100101]);
    [0x41, 0xbf, 0xc0, 0xdf, 0xe0].forEach((code, cell) => {
      put(rig, cell, code, 0x1e);
    });
    expect([rig.vga.kind, rig.vga.width, rig.vga.height]).toEqual(["text", 720, 400]);
    const line = dots(rig, 0, 45);
    expect(shape(line, textColor[1])).toBe("#.#..#.#." + "#.#..#.#." + "#.#..#.##" + "#.#..#.##" + "#.#..#.#.");
    expect(line[0]).toBe(textColor[14]);
    // Without line graphics the ninth dot is always background.
    setAttribute(rig, 0x10, 0x08);
    expect(shape(dots(rig, 0, 27), textColor[1])).toBe("#.#..#.#.".repeat(3));
    // Eight-dot cells.
    rig.set(sequencerPort, 1, 0x01);
    expect(rig.vga.width).toBe(640);
    expect(shape(dots(rig, 0, 16), textColor[1])).toBe("#.#..#.#".repeat(2));
  });

  test("bit 7 of the attribute blinks, or is the background's intensity", () => {
    const rig = prepared("text80x25");
    noCursor(rig);
    loadCharacter(rig, 0x41, [0xf0]);
    put(rig, 0, 0x41, 0x9e);
    expect(dots(rig, 0, 9)).toEqual([...new Array(4).fill(textColor[14]), ...new Array(5).fill(textColor[1])]);
    expect(dots(rig, 0, 9, false)).toEqual(new Array(9).fill(textColor[1]));
    setAttribute(rig, 0x10, 0x04);
    for (const blinkOn of [true, false])
      expect(dots(rig, 0, 9, blinkOn)).toEqual([...new Array(4).fill(textColor[14]), ...new Array(5).fill(textColor[9])]);
  });

  test("the cursor: rows from start to end, in the foreground colour, with the blink; off by bit 5, by start behind end", () => {
    const rig = prepared("text80x25");
    put(rig, 81, 0x20, 0x2c);
    rig.set(crtcPort, 0x0a, 13);
    rig.set(crtcPort, 0x0b, 14);
    rig.set(crtcPort, 0x0e, 0);
    rig.set(crtcPort, 0x0f, 81);
    const rows = (blinkOn = true): number[] =>
      column(rig, 9, 32, blinkOn)
        .slice(16)
        .flatMap((index, y) => (index === textColor[12] ? [y] : []));
    expect(rows()).toEqual([13, 14]);
    expect(dots(rig, 16 + 13, 27)).toEqual([0, 12, 0].flatMap((color) => new Array(9).fill(textColor[color])));
    expect(rows(false)).toEqual([]);
    expect(rig.vga.text()?.cursor).toEqual({ column: 1, row: 1, visible: true });
    rig.set(crtcPort, 0x0a, 0x2d);
    expect(rows()).toEqual([]);
    expect(rig.vga.text()?.cursor.visible).toBe(false);
    rig.set(crtcPort, 0x0a, 15);
    expect(rows()).toEqual([]);
    // The skew moves it to the right.
    rig.set(crtcPort, 0x0a, 0);
    rig.set(crtcPort, 0x0b, 0x2f);
    expect(rows()).toEqual([]);
    expect(rig.vga.text()?.cursor).toEqual({ column: 2, row: 1, visible: true });
  });

  test("underline: at the row the register names, for attributes whose foreground is 1 on background 0", () => {
    const rig = prepared("text80x25");
    noCursor(rig);
    rig.set(crtcPort, 0x14, 12);
    put(rig, 0, 0x20, 0x01);
    put(rig, 1, 0x20, 0x09);
    put(rig, 2, 0x20, 0x07);
    expect(shape(dots(rig, 12, 27), textColor[0])).toBe(`${"#".repeat(18)}${".".repeat(9)}`);
    expect(shape(dots(rig, 11, 27), textColor[0])).toBe(".".repeat(27));
  });

  test.each([
    [0x00, 0, 0],
    [0x01, 0x4000, 0],
    [0x04, 0, 0x4000],
    [0x10, 0x2000, 0],
    [0x20, 0, 0x2000],
    [0x13, 0xe000, 0],
    [0x2c, 0, 0xe000],
    [0x36, 0xa000, 0x6000],
  ])("fonts: register %#x puts font B (attribute bit 3 clear) at %#x, font A at %#x", (select, fontB, fontA) => {
    const rig = prepared("text80x25");
    noCursor(rig);
    loadCharacter(rig, 0x41, [0xaa], fontB);
    if (fontA !== fontB) loadCharacter(rig, 0x41, [0x0f], fontA);
    rig.set(sequencerPort, 3, select);
    put(rig, 0, 0x41, 0x07);
    put(rig, 1, 0x41, 0x0f);
    expect(shape(dots(rig, 0, 18), textColor[0])).toBe(fontA === fontB ? "#.#.#.#..#.#.#.#.." : "#.#.#.#......####.");
  });

  test("preset row scan scrolls by lines, pel panning by dots, byte panning and start address by characters", () => {
    const rig = prepared("text80x25");
    noCursor(rig);
    loadCharacter(rig, 0x41, [0x80, 0x40, 0x20, 0x10]);
    loadCharacter(rig, 0x42, [0x01]);
    put(rig, 0, 0x41, 0x07);
    put(rig, 1, 0x42, 0x07);
    const at = (y: number): string => shape(dots(rig, y, 18), textColor[0]);
    expect(at(0)).toBe("#...............#.");
    rig.set(crtcPort, 0x08, 2);
    expect(at(0)).toBe("..#...............");
    expect(at(1)).toBe("...#..............");
    rig.set(crtcPort, 0x08, 0x20);
    expect(at(0)).toBe(".......#..........");
    rig.set(crtcPort, 0x08, 0);
    // Nine dots: 8 is no shift, 0 is one dot, 7 is eight.
    for (const [value, shift] of [
      [8, 0],
      [0, 1],
      [3, 4],
      [7, 8],
    ]) {
      setAttribute(rig, 0x13, value);
      expect(at(0)).toBe(`${"#...............#.".slice(shift)}${".".repeat(shift)}`);
    }
    setAttribute(rig, 0x13, 8);
    rig.set(crtcPort, 0x0d, 1);
    expect(at(0)).toBe(".......#..........");
  });

  test("the screen's characters, from the start address, above and below the split", () => {
    const rig = prepared("text80x25");
    for (let cell = 0; cell < 4000; cell++) put(rig, cell, cell & 0xff, cell >> 8);
    rig.set(crtcPort, 0x0c, 0x03);
    rig.set(crtcPort, 0x0d, 0xe8);
    rig.set(crtcPort, 0x18, 319 & 0xff);
    rig.set(crtcPort, 0x09, 0x0f);
    rig.set(crtcPort, 0x11, 0);
    rig.set(crtcPort, 0x07, 0x1f);
    const screen = rig.vga.text();
    expect([screen?.columns, screen?.rows]).toEqual([80, 25]);
    const cells = Array.from({ length: 2000 }, (_, i) => (i < 20 * 80 ? 1000 + i : i - 20 * 80));
    expect([...(screen?.characters ?? [])]).toEqual(cells.map((cell) => cell & 0xff));
    expect([...(screen?.attributes ?? [])]).toEqual(cells.map((cell) => cell >> 8));
  });

  test("40 columns: every dot twice", () => {
    const rig = prepared("text40x25");
    noCursor(rig);
    loadCharacter(rig, 0x41, [0xa1]);
    put(rig, 0, 0x41, 0x07);
    expect(rig.vga.width).toBe(640);
    expect(shape(dots(rig, 0, 16), 0)).toBe("##..##........##");
  });
});

describe("graphics", () => {
  test("planar: bit n of each plane is bit p of pixel 7 - n, through color plane enable, palette and colour select", () => {
    const rig = prepared("ega320x200x16");
    [0b10101010, 0b11001100, 0b11110000, 0b11111111].forEach((byte, plane) => {
      rig.set(sequencerPort, 2, 1 << plane);
      rig.poke(0xa0000, byte);
    });
    // 320 pixels are shown by 640 dots.
    const pixels = (): number[] => dots(rig, 0, 16).filter((_, x) => (x & 1) === 0);
    expect(pixels()).toEqual([15, 14, 13, 12, 11, 10, 9, 8]);
    setAttribute(rig, 0x12, 0x05);
    expect(pixels()).toEqual([5, 4, 5, 4, 1, 0, 1, 0]);
    setAttribute(rig, 0x12, 0x0f);
    setAttribute(rig, 0x0f, 0x2a);
    expect(pixels()[0]).toBe(0x2a);
    setAttribute(rig, 0x14, 0x04);
    expect(pixels()[0]).toBe(0x6a);
    setAttribute(rig, 0x10, 0x81);
    setAttribute(rig, 0x14, 0x0d);
    expect(pixels()[0]).toBe(0xda);
  });

  test("a doubled line is the line above it; 200 lines are shown as 400", () => {
    const rig = prepared("vga320x200x256");
    for (let y = 0; y < 200; y++) rig.poke(0xa0000 + 320 * y, y);
    expect([rig.vga.width, rig.vga.height]).toEqual([640, 400]);
    expect(column(rig, 0, 400)).toEqual(Array.from({ length: 400 }, (_, y) => y >> 1));
  });

  test("256 colours: pel panning moves by half a pixel's two dots for each even value", () => {
    const rig = prepared("vga320x200x256");
    for (let x = 0; x < 16; x++) rig.poke(0xa0000 + x, x + 1);
    for (const [value, first] of [
      [0, 1],
      [2, 2],
      [4, 3],
      [6, 4],
    ]) {
      setAttribute(rig, 0x13, value);
      expect(dots(rig, 0, 8)).toEqual([first, first, first + 1, first + 1, first + 2, first + 2, first + 3, first + 3]);
    }
  });

  test("what chained writes leave, unchained reads find where the CRTC's doubleword addressing has it", () => {
    const rig = prepared("vga320x200x256");
    for (let i = 0; i < 0x10000; i++) rig.poke(0xa0000 + i, (i * 13) >> 3);
    const shown = dots(rig, 399, 640);
    // The same frame when the CPU's side is unchained: display does not depend on it.
    rig.set(sequencerPort, 4, 0x06);
    expect(dots(rig, 399, 640)).toEqual(shown);
    // Counter c shows plane address c << 2 | c >> 12: line 199's first is c = 80 * 199.
    const counter = 80 * 199;
    rig.set(graphicsPort, 4, 0);
    expect(rig.peek(0xa0000 + (((counter << 2) & 0xffff) | (counter >> 12)))).toBe(shown[0]);
  });

  test("split screen: from the line after line compare on, memory from 0; panning stops there if the mode register says so", () => {
    const rig = prepared("modeX320x240");
    for (let plane = 0; plane < 4; plane++) {
      rig.set(sequencerPort, 2, 1 << plane);
      for (let x = 0; x < 90; x++) {
        rig.poke(0xa0000 + x, 4 * x + plane);
        rig.poke(0xa8000 + x, 4 * x + plane + 1);
      }
    }
    rig.set(crtcPort, 0x0c, 0x80);
    rig.set(crtcPort, 0x11, 0);
    rig.set(crtcPort, 0x18, 101);
    rig.set(crtcPort, 0x07, 0x2e);
    rig.set(crtcPort, 0x09, 0x01);
    setAttribute(rig, 0x13, 2);
    expect(dots(rig, 0, 4)).toEqual([2, 2, 3, 3]);
    expect(dots(rig, 101, 1)).not.toEqual([1]);
    expect(dots(rig, 102, 4)).toEqual([1, 1, 2, 2]);
    setAttribute(rig, 0x10, 0x61);
    expect(dots(rig, 0, 4)).toEqual([2, 2, 3, 3]);
    expect(dots(rig, 102, 4)).toEqual([0, 0, 1, 1]);
    expect(dots(rig, 103, 4)).toEqual([0, 0, 1, 1]);
  });

  test("the split restarts the row scan in the middle of a pair of lines", () => {
    const rig = prepared("modeX320x240");
    for (let y = 0; y < 4; y++) rig.poke(0xa0000 + 80 * y, 10 + y);
    rig.set(crtcPort, 0x11, 0);
    rig.set(crtcPort, 0x18, 2);
    rig.set(crtcPort, 0x07, 0x2e);
    rig.set(crtcPort, 0x09, 0x01);
    expect(column(rig, 0, 7)).toEqual([10, 10, 11, 10, 10, 11, 11]);
  });

  test("CGA: odd lines are 2000h further, two bits a pixel from the top of the byte", () => {
    const rig = prepared("cga320x200x4");
    rig.poke(0xb8000, 0b00_01_10_11);
    rig.poke(0xba000, 0b11_10_01_00);
    const palette = modes.cga320x200x4.attribute;
    const pixels = (y: number): number[] => dots(rig, y, 8).filter((_, x) => (x & 1) === 0);
    expect(pixels(0)).toEqual([palette[0], palette[1], palette[2], palette[3]]);
    expect(pixels(2)).toEqual([palette[3], palette[2], palette[1], palette[0]]);
  });
});

describe("Bochs display interface", () => {
  const dispi = (rig: VgaRig, index: number, value: number): void => {
    rig.out(0x1ce, index, 2);
    rig.out(0x1cf, value, 2);
  };

  test("8-bit DAC components while its flag is set", () => {
    const rig = prepared("vga640x480x16");
    dispi(rig, 1, 64);
    dispi(rig, 2, 1);
    dispi(rig, 3, 8);
    dispi(rig, 4, 0x21);
    setPalette(rig, [0x81, 0xfe, 0x03], 5);
    rig.vga.memory[0] = 5;
    expect(VgaRig.pixel(rig.vga.render(true), 0, 0)).toBe(0x81fe03);
    rig.out(0x3c7, 5);
    expect([1, 2, 3].map(() => rig.in(0x3c9))).toEqual([0x81, 0xfe, 0x03]);
  });

  test("switching on clears the screen unless told not to; off, the VGA's own mode is back", () => {
    const rig = prepared("vga640x480x16");
    rig.vga.memory.fill(0x77);
    dispi(rig, 1, 320);
    dispi(rig, 2, 100);
    dispi(rig, 3, 32);
    dispi(rig, 4, 0xc1);
    expect(rig.vga.memory[0]).toBe(0x77);
    expect([rig.vga.kind, rig.vga.width, rig.vga.height]).toEqual(["graphics", 320, 100]);
    dispi(rig, 4, 0);
    expect([rig.vga.width, rig.vga.height]).toEqual([640, 480]);
    dispi(rig, 4, 0x41);
    expect(rig.vga.memory.subarray(0, 128_000).every((byte) => byte === 0)).toBe(true);
    expect(rig.vga.memory[128_000]).toBe(0x77);
  });

  test("the window shows the bank as RAM", () => {
    const rig = prepared("vga640x480x16");
    dispi(rig, 1, 640);
    dispi(rig, 2, 480);
    dispi(rig, 3, 8);
    dispi(rig, 4, 1);
    expect(rig.windowStart).toBe(0);
    dispi(rig, 5, 3);
    expect(rig.windowStart).toBe(0x30000);
    rig.vga.window.write(0x1234, 1, 0x99);
    expect(rig.vga.memory[0x31234]).toBe(0x99);
    dispi(rig, 4, 0);
    expect(rig.windowStart).toBe(-1);
  });
});

describe("generation", () => {
  test("changes with what is shown, through the window, through RAM, through registers; and only then", () => {
    const rig = prepared("vga640x480x16");
    const { vga } = rig;
    const settle = (): number => {
      vga.generation;
      return vga.generation;
    };
    let last = settle();
    expect(vga.generation).toBe(last);
    const changes = (what: () => void): void => {
      what();
      expect(vga.generation).not.toBe(last);
      last = settle();
      expect(vga.generation).toBe(last);
    };
    changes(() => rig.poke(0xa0000, 1));
    changes(() => setPalette(rig, [1, 2, 3]));
    changes(() => rig.set(crtcPort, 0x0d, 1));
    changes(() => setMode(rig, modes.vga320x200x256));
    changes(() => {
      vga.memory[63_999]++;
    });
    rig.out(0x1ce, 1, 2);
    rig.out(0x1cf, 1024, 2);
    rig.out(0x1ce, 2, 2);
    rig.out(0x1cf, 768, 2);
    rig.out(0x1ce, 3, 2);
    rig.out(0x1cf, 32, 2);
    rig.out(0x1ce, 4, 2);
    rig.out(0x1cf, 0x41, 2);
    last = settle();
    for (const byte of [0, 1, 4, 1024 * 384 * 4 + 2, 4 * 1024 * 768 - 5]) {
      if (byte >= vga.memory.length) continue;
      changes(() => {
        vga.memory[byte] ^= 0x10;
      });
    }
    rig.in(0x3da);
    rig.peek(0xa0000, 4);
    expect(vga.generation).toBe(last);
  });

  test.each(["text80x25", "vga640x480x16", "modeX320x240", "vga320x200x256"] as const)(
    "in %s, changes with what is written through the linear framebuffer, characters' fonts included",
    (name) => {
      const { vga } = prepared(name);
      vga.framebufferShown = true;
      vga.generation;
      let last = vga.generation;
      expect(vga.generation).toBe(last);
      for (const byte of [0, 2, 0x12345, 0x2ffff, 0x3ffff]) {
        vga.memory[byte] ^= 0x10;
        expect(vga.generation, `byte ${byte}`).not.toBe(last);
        last = vga.generation;
      }
      // What no VGA mode can show does not count.
      vga.memory[0x40000] ^= 1;
      expect(vga.generation).toBe(last);
    },
  );
});

describe("save and restore", () => {
  test.each(["text80x25", "vga320x200x256", "modeX320x240"] as const)("in %s, in the middle of index and data, of a colour, with latches", (name) => {
    const rig = prepared(name);
    for (let i = 0; i < 0x8000; i += 4) rig.poke((name === "text80x25" ? 0xb8000 : 0xa0000) + i, Math.imul(i, 0x9e3779b1) >>> 0, 4);
    rig.peek(0xa0010);
    rig.in(0x3da);
    rig.out(0x3c0, 0x31);
    rig.out(0x3c8, 7);
    rig.out(0x3c9, 1);
    const copy = new VgaRig();
    copy.vga.memory.set(rig.vga.memory);
    copy.vga.restore(structuredClone(rig.vga.save()));
    expect(copy.vga.save()).toEqual(rig.vga.save());
    expect(copy.windowStart).toBe(rig.windowStart);
    for (const each of [rig, copy]) {
      each.out(0x3c0, 0x05);
      each.out(0x3c9, 2);
      each.out(0x3c9, 3);
      each.set(graphicsPort, 5, 0x41);
      each.poke(0xa4000, 0);
    }
    expect(Buffer.compare(Buffer.from(copy.vga.render(true).pixels), Buffer.from(rig.vga.render(true).pixels))).toBe(0);
    expect(Buffer.compare(copy.vga.memory, rig.vga.memory)).toBe(0);
  });
});

test("a new palette recolours what is shown", () => {
  const rig = prepared("vga320x200x256");
  rig.poke(0xa0000, 200);
  const before = VgaRig.pixel(rig.vga.render(true), 0, 0);
  setPalette(rig, distinctPalette);
  expect(VgaRig.pixel(rig.vga.render(true), 0, 0)).not.toBe(before);
});
