/**
 * Boot sectors that set each video mode through Debian's VGA BIOS, on whole machines: the frame here is the committed reference pixel by pixel, and so is QEMU's.
 * The references were made from QEMU's screendumps and looked at; `XLAT86_UPDATE_REFERENCES=1` makes them anew.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { inflateSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { fetchFirmware } from "../../../src/guest/firmware.ts";
import { createMachine } from "../../../src/index.ts";
import { encodePng } from "../../../src/machine/png.ts";
import { type BootSectorName, bootSector, bootSectorNames, type DerivedSectorName } from "./boot-sectors.ts";
import { type Picture, qemuScreen, skipQemu } from "./qemu-target.ts";

const folder = fileURLToPath(new URL("references/", import.meta.url));
const isUpdate = process.env.XLAT86_UPDATE_REFERENCES === "1";
const referenceFile = (name: BootSectorName): string => `${folder}${name}.png`;
/** Modes whose colours do not come from the DAC. */
const directColor = new Set<BootSectorName>([
  ...(["vbe800x600x32", "vbe640x480x16", "vbe1024x768x24", "vbe1280x1024x32", "vbe1920x1080x32"] as const),
]);

/** The PNG files that encodePng makes: filters None and Sub, a palette or true colour. */
function readPng(file: string): Picture {
  const bytes = readFileSync(file);
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < bytes.length; at += bytes.readUInt32BE(at) + 12)
    chunks.set(bytes.toString("latin1", at + 4, at + 8), bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)));
  const header = chunks.get("IHDR");
  const data = chunks.get("IDAT");
  if (header === undefined || data === undefined) throw new Error(`${file}: not a PNG file of one data chunk`);
  const [width, height, isPalette] = [header.readUInt32BE(0), header.readUInt32BE(4), header[9] === 3];
  const palette = chunks.get("PLTE");
  const rows = inflateSync(data);
  const bytesPerPixel = isPalette ? 1 : 3;
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const start = y * (width * bytesPerPixel + 1);
    const filter = rows[start];
    if (filter > 1) throw new Error(`${file}: filter ${filter}`);
    for (let i = 1 + bytesPerPixel; filter === 1 && i <= width * bytesPerPixel; i++) rows[start + i] += rows[start + i - bytesPerPixel];
    for (let i = 0; i < 3 * width; i++) {
      const at = start + 1;
      rgb[3 * width * y + i] = isPalette && palette !== undefined ? palette[3 * rows[at + Math.floor(i / 3)] + (i % 3)] : rows[at + i];
    }
  }
  return { width, height, rgb };
}

/** QEMU widens a DAC component's 6 bits its own way, and not at all the 5 of 15-bit modes; here as linear as 8 bits can be. */
function normalized(name: BootSectorName, { width, height, rgb }: Picture): Picture {
  if (name === "vbe640x480x15") return { width, height, rgb: rgb.map((value) => (value & 0xf8) | (value >> 5)) };
  return { width, height, rgb: directColor.has(name) ? rgb : rgb.map((value) => (value & 0xfc) | (value >> 6)) };
}

function difference(found: Picture, expected: Picture): string {
  if (found.width !== expected.width || found.height !== expected.height)
    return `${found.width} x ${found.height} instead of ${expected.width} x ${expected.height}`;
  let count = 0;
  let first = "";
  for (let i = 0; i < expected.rgb.length; i += 3) {
    if (found.rgb[i] === expected.rgb[i] && found.rgb[i + 1] === expected.rgb[i + 1] && found.rgb[i + 2] === expected.rgb[i + 2]) continue;
    const [x, y] = [(i / 3) % expected.width, Math.floor(i / 3 / expected.width)];
    if (count++ === 0) first = `x ${x} y ${y}: found ${found.rgb.slice(i, i + 3)}, expected ${expected.rgb.slice(i, i + 3)}`;
  }
  return count === 0 ? "none" : `${count} pixels, first ${first}`;
}

interface Booted {
  readonly picture: Picture;
  /** Without what blinks. */
  readonly blinkedAway: Picture;
  readonly text: string[];
}

/** The picture with other pixels: `from` says which pixel of which picture. */
function composed({ width, height }: Picture, from: (x: number, y: number) => readonly [picture: Picture, x: number, y: number]): Picture {
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [picture, fromX, fromY] = from(x, y);
      const at = 3 * (fromY * picture.width + fromX);
      rgb.set(picture.rgb.subarray(at, at + 3), 3 * (y * width + x));
    }
  }
  return { width, height, rgb };
}

/** The colours of the BIOS's palette. */
const colors = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) =>
  [0, 0x55].map((bright): Picture => {
    const component = (bit: number) => ((n & bit) !== 0 ? 0xaa : 0) + bright;
    // Brown is no dark yellow.
    const green = n === 6 && bright === 0 ? 0x55 : component(2);
    return { width: 1, height: 1, rgb: Uint8Array.of(component(4), green, component(1)) };
  }),
);
const colorOf = (n: number): Picture => colors[2 * (n & 7) + (n >> 3)];

/** QEMU knows no cells of nine dots that last two clocks each: its 40 columns lack the ninth, which is the background, or the eighth again (C0h-DFh). */
function withNinthDots(reference: Picture): Picture {
  return composed({ width: 720, height: reference.height, rgb: new Uint8Array() }, (x, y) => {
    const [column, dot] = [Math.floor(x / 18), (x % 18) >> 1];
    if (dot < 8) return [reference, column * 16 + 2 * dot, y];
    const cell = column + 40 * (y >> 4);
    const character = (cell + (cell >> 8)) & 0xff;
    return character >= 0xc0 && character <= 0xdf ? [reference, column * 16 + 14, y] : [colorOf((cell >> 4) & 7), 0, 0];
  });
}

describe("the VGA BIOS's modes", { timeout: 60_000 }, () => {
  let bios: Uint8Array | undefined;
  let vgaBios: Uint8Array | undefined;

  beforeAll(async () => {
    try {
      const files = await fetchFirmware();
      bios = readFileSync(files.bios);
      vgaBios = readFileSync(files.vgaBios);
    } catch (error) {
      if (process.env.CI === "true") throw error;
      console.warn(`SKIPPED: SeaBIOS cannot be fetched (${error}); video modes are not set through its VGA BIOS`);
    }
  }, 240_000);

  /** Boots from a hard disk with this sector until it has sent its byte. */
  async function boot(name: BootSectorName | DerivedSectorName, engine: "translate" | "interpret"): Promise<Booted> {
    if (bios === undefined || vgaBios === undefined) throw new Error("no firmware");
    const image = new Uint8Array(1 << 20);
    image.set(bootSector(name));
    const storage = {
      size: image.length,
      readOnly: true,
      read: (offset: number, into: Uint8Array) => into.set(image.subarray(offset, offset + into.length)),
      write: () => {},
      flush: () => {},
    };
    const machine = createMachine({ bios, vgaBios, memory: 32 << 20, engine, drives: { hda: { storage, name } }, boot: "c" });
    machine.on("serial", () => machine.pause());
    const exit = await machine.run({ timeout: 30 });
    expect(exit.reason, machine.screen.describe()).toBe("paused");
    const frame = (blinkOn: boolean): Picture => {
      const { width, height, pixels } = machine.screen.pixels(blinkOn);
      const rgb = new Uint8Array(3 * width * height);
      for (let i = 0, at = 0; i < pixels.length; i++) if ((i & 3) !== 3) rgb[at++] = pixels[i];
      return { width, height, rgb };
    };
    const booted = { picture: frame(true), blinkedAway: frame(false), text: machine.screen.text() };
    machine.destroy();
    return booted;
  }

  test.skipIf(skipQemu).each(bootSectorNames)("%s: QEMU shows the reference", async (name) => {
    const picture = normalized(name, await qemuScreen(bootSector(name)));
    if (isUpdate || !existsSync(referenceFile(name))) {
      if (process.env.CI === "true") throw new Error(`no reference ${referenceFile(name)}`);
      const pixels = new Uint8ClampedArray(4 * picture.width * picture.height).fill(255);
      for (let i = 0; i < picture.width * picture.height; i++) pixels.set(picture.rgb.subarray(3 * i, 3 * i + 3), 4 * i);
      mkdirSync(folder, { recursive: true });
      writeFileSync(referenceFile(name), encodePng({ width: picture.width, height: picture.height, pixels }));
    }
    expect(difference(picture, readPng(referenceFile(name)))).toBe("none");
  });

  test.each(bootSectorNames)("%s: the same here", async (name) => {
    if (bios === undefined) return;
    const { picture } = await boot(name, "translate");
    const reference = readPng(referenceFile(name));
    expect(difference(picture, name === "text40x25" ? withNinthDots(reference) : reference)).toBe("none");
  });

  test.each(["planar12", "mode13", "vbe800x600x32"] as const)("%s: without translation too", async (name) => {
    if (bios === undefined) return;
    const { picture } = await boot(name, "interpret");
    expect(difference(picture, readPng(referenceFile(name)))).toBe("none");
  });

  describe("what follows from these pictures", () => {
    const reference = (name: BootSectorName): Picture => readPng(referenceFile(name));

    test("blinking characters are there half of the time", async () => {
      if (bios === undefined) return;
      const { picture, blinkedAway } = await boot("blink", "translate");
      expect(difference(picture, reference("text80x25"))).toBe("none");
      expect(difference(blinkedAway, reference("blinkedAway"))).toBe("none");
    });

    test("the cursor: its rows in the colour of the character, half of the time", async () => {
      if (bios === undefined) return;
      const { picture, blinkedAway } = await boot("cursor", "translate");
      const without = reference("text80x25");
      expect(difference(blinkedAway, without)).toBe("none");
      // The second cell has attribute 1. Nine dots from column 9 on, rows 10 to 12.
      const expected = composed(without, (x, y) => (x >= 9 && x < 18 && y >= 10 && y <= 12 ? [colorOf(1), 0, 0] : [without, x, y]));
      expect(difference(picture, expected)).toBe("none");
    });

    test("sixteen colours by the Bochs interface, whose planes QEMU does not select: what the boot sector computes", async () => {
      if (bios === undefined) return;
      const { picture } = await boot("vbe800x600x4", "translate");
      const byte = (plane: number, address: number): number => {
        const value = (((address >> 5) * 7) ^ (address >> 8)) + plane;
        return ((address & 31) === 0 ? ~value : value) & 0xff;
      };
      const expected = composed({ width: 800, height: 600, rgb: new Uint8Array() }, (x, y) => {
        const address = y * 100 + (x >> 3);
        const color = [0, 1, 2, 3].reduce((sum, plane) => sum | (((byte(plane, address) >> (7 - (x & 7))) & 1) << plane), 0);
        return [colorOf(color), 0, 0];
      });
      expect(difference(picture, expected)).toBe("none");
    });

    test("panning by dots, in a planar mode and in text; by rows of a character", async () => {
      if (bios === undefined) return;
      const [wide, wideNext] = [reference("wideRows"), reference("wideRowsNext")];
      const panned = composed(wide, (x, y) => (x + 3 < wide.width ? [wide, x + 3, y] : [wideNext, x + 3 - 8, y]));
      expect(difference((await boot("panned", "translate")).picture, panned)).toBe("none");
      // With nine dots, 8 is no panning, 0 is by one dot (IBM PS/2 Hardware Interface Technical Reference, "Horizontal PEL Panning").
      const [text, column, row] = [reference("text80x25"), reference("textNextColumn"), reference("textNextRow")];
      const textPanned = composed(text, (x, y) => (x + 4 < text.width ? [text, x + 4, y] : [column, x + 4 - 9, y]));
      expect(difference((await boot("textPanned", "translate")).picture, textPanned)).toBe("none");
      const scrolled = composed(text, (x, y) => (y + 5 < text.height ? [text, x, y + 5] : [row, x, y + 5 - 16]));
      expect(difference((await boot("textRowScan", "translate")).picture, scrolled)).toBe("none");
    });
  });

  test("text that the BIOS wrote and scrolled can be read", async () => {
    if (bios === undefined) return;
    const { text } = await boot("teletype", "translate");
    expect(text).toHaveLength(25);
    // Lines are numbered downwards from 27; the last is 1, its letter 40h + 1.
    expect(text[24]).toBe("The quick brown fox jumps over the lazy dog A");
    expect(text[0]).toBe("The quick brown fox jumps over the lazy dog Y");
  });
});
