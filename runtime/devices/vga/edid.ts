/**
 * What the monitor says of itself (VESA E-EDID Standard 1.3): a digital display of sRGB colours that prefers 1024 x 768 and shows the usual sizes up to
 * 1920 x 1080. Linux's bochs-drm reads it at the start of the PCI function's memory registers.
 */

/** VESA DMT 1024 x 768 at 60 Hz: 65 MHz, negative syncs. Blanking; sync offset and width. */
const preferred = { kilohertz: 65_000, width: 1024, height: 768, horizontal: [320, 24, 136], vertical: [38, 3, 6] } as const;
/** Established timings I and II: 640 x 480, 800 x 600 and 1024 x 768 at 60 Hz. */
const established = [0x21, 0x08, 0x00];
/** Standard timings at 60 Hz: width, aspect code (16:10, 4:3, 5:4, 16:9). */
const standard: readonly (readonly [number, 0 | 1 | 2 | 3])[] = [
  [1280, 0],
  [1280, 2],
  [1280, 3],
  [1440, 0],
  [1600, 1],
  [1680, 0],
  [1920, 3],
  [1152, 1],
];
/** Screen size in millimetres: 96 dots an inch. */
const size = { width: 271, height: 203 } as const;
/** sRGB chromaticities, ten bits each, as E-EDID 3.7 packs them. */
const srgb = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];

/** "XLT" in three five-bit letters, big-endian. */
const manufacturer = (("X".charCodeAt(0) - 64) << 10) | (("L".charCodeAt(0) - 64) << 5) | ("T".charCodeAt(0) - 64);

function detailedTiming(): number[] {
  const { kilohertz, width, height, horizontal, vertical } = preferred;
  const clock = kilohertz / 10;
  const [hBlank, hOffset, hSync] = horizontal;
  const [vBlank, vOffset, vSync] = vertical;
  return [
    ...[clock & 0xff, clock >> 8, width & 0xff, hBlank & 0xff, ((width >> 8) << 4) | (hBlank >> 8)],
    ...[height & 0xff, vBlank & 0xff, ((height >> 8) << 4) | (vBlank >> 8)],
    ...[hOffset, hSync, (vOffset << 4) | vSync, 0],
    ...[size.width & 0xff, size.height & 0xff, ((size.width >> 8) << 4) | (size.height >> 8), 0, 0],
    // Separate digital syncs, both negative.
    0x18,
  ];
}

/** A display descriptor of 13 bytes of text, or of numbers. */
const descriptor = (tag: number, data: readonly number[]): number[] => [0, 0, 0, tag, 0, ...data, ...new Array<number>(13 - data.length).fill(0x20)];
const textOf = (text: string): number[] => [...text, "\n"].map((character) => character.charCodeAt(0));

export function buildEdid(): Uint8Array {
  const bytes = [
    ...[0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00],
    // Product 1, serial 0, week 1 of 2026, version 1.3.
    ...[manufacturer >> 8, manufacturer & 0xff, 1, 0, 0, 0, 0, 0, 1, 2026 - 1990, 1, 3],
    // Digital, size in centimetres, gamma 2.2, sRGB and the preferred timing first.
    ...[0x80, Math.round(size.width / 10), Math.round(size.height / 10), 220 - 100, 0x0e],
    ...srgb,
    ...established,
    ...standard.flatMap(([width, aspect]) => [width / 8 - 31, aspect << 6]),
    ...detailedTiming(),
    // 50-75 Hz, 30-90 kHz, up to 240 MHz; no secondary timing formula.
    ...descriptor(0xfd, [50, 75, 30, 90, 24, 0x00, 0x0a]),
    ...descriptor(0xfc, textOf("xlat86")),
    ...descriptor(0x10, new Array<number>(13).fill(0)),
    0,
  ];
  return Uint8Array.from([...bytes, -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff]);
}
