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
import { type BootSectorName, bootSector, bootSectorNames } from "./boot-sectors.ts";
import { type Picture, qemuScreen, skipQemu } from "./qemu-target.ts";

const folder = fileURLToPath(new URL("references/", import.meta.url));
const isUpdate = process.env.XLAT86_UPDATE_REFERENCES === "1";
const referenceFile = (name: BootSectorName): string => `${folder}${name}.png`;
/** Modes whose colours do not come from the DAC. */
const directColor = new Set<BootSectorName>(["vbe800x600x32", "vbe640x480x16", "vbe1024x768x24", "vbe1280x1024x32"]);

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

/** QEMU widens a DAC component's 6 bits its own way; here as linear as 8 bits can be. */
function normalized(name: BootSectorName, { width, height, rgb }: Picture): Picture {
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
  async function boot(name: BootSectorName, engine: "translate" | "interpret"): Promise<{ picture: Picture; text: string[] }> {
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
    const { width, height, pixels } = machine.screen.pixels();
    const rgb = new Uint8Array(3 * width * height);
    for (let i = 0, at = 0; i < pixels.length; i++) if ((i & 3) !== 3) rgb[at++] = pixels[i];
    const text = machine.screen.text();
    machine.destroy();
    return { picture: { width, height, rgb }, text };
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
    expect(difference(picture, readPng(referenceFile(name)))).toBe("none");
  });

  test.each(["planar12", "mode13", "vbe800x600x32"] as const)("%s: without translation too", async (name) => {
    if (bios === undefined) return;
    const { picture } = await boot(name, "interpret");
    expect(difference(picture, readPng(referenceFile(name)))).toBe("none");
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
