/**
 * Graphics modes of the VGA proper. A character clock loads the shift registers with one word of video memory, eight 4-bit values: one bit
 * of each plane, two bits of two planes (CGA's four colours), or nibble after nibble (256 colours, which the attribute controller pairs).
 */
import { attributeRegister, graphicsRegister, type VgaRegisters } from "./registers.ts";
import type { Scan } from "./scan.ts";

/** Bit n of a byte to bit 4n: the byte's leftmost pixel lands in the leftmost of eight nibbles. */
const spreadBits = Int32Array.from({ length: 256 }, (_, byte) => {
  let word = 0;
  for (let bit = 0; bit < 8; bit++) word |= ((byte >> bit) & 1) << (4 * bit);
  return word;
});
/** Bit pair n of a byte to bit 4n. */
const spreadPairs = Int32Array.from({ length: 256 }, (_, byte) => {
  let word = 0;
  for (let pair = 0; pair < 4; pair++) word |= ((byte >> (2 * pair)) & 3) << (4 * pair);
  return word;
});

const planarNibbles = (word: number): number =>
  spreadBits[word & 0xff] | (spreadBits[(word >> 8) & 0xff] << 1) | (spreadBits[(word >> 16) & 0xff] << 2) | (spreadBits[word >>> 24] << 3);

const pairNibbles = (word: number): number =>
  ((spreadPairs[word & 0xff] | (spreadPairs[(word >> 16) & 0xff] << 2)) << 16) | (spreadPairs[(word >> 8) & 0xff] | (spreadPairs[word >>> 24] << 2));

const swapBytes = (word: number): number => (word << 24) | ((word & 0xff00) << 8) | ((word >> 8) & 0xff00) | (word >>> 24);

const eightBitColor = 0x40;

export function is256Color({ attribute }: VgaRegisters): boolean {
  return (attribute[attributeRegister.mode] & eightBitColor) !== 0;
}

/**
 * Draws one line into `row`, one element a dot, with eight dots more than are shown (for panning).
 * @param colors of the sixteen attribute values
 * @param palette the 256 colours of the DAC
 */
export function drawGraphicsLine(
  registers: VgaRegisters,
  scan: Scan,
  line: number,
  words: Int32Array,
  colors: Uint32Array,
  palette: Uint32Array,
  row: Uint32Array,
): void {
  const shiftMode = (registers.graphics[graphicsRegister.mode] >> 5) & 3;
  const pairsNibbles = is256Color(registers);
  const planeMask = Math.imul(registers.attribute[attributeRegister.colorPlaneEnable] & 15, 0x11111111);
  let at = 0;
  for (let column = 0; column <= scan.columns; column++) {
    const word = words[scan.wordOf(line, column)];
    if (pairsNibbles) {
      const pixels = shiftMode >= 2 ? swapBytes(word) : shiftMode === 1 ? pairNibbles(word) : planarNibbles(word);
      row[at] = row[at + 1] = palette[pixels >>> 24];
      row[at + 2] = row[at + 3] = palette[(pixels >> 16) & 0xff];
      row[at + 4] = row[at + 5] = palette[(pixels >> 8) & 0xff];
      row[at + 6] = row[at + 7] = palette[pixels & 0xff];
    } else {
      const nibbles = (shiftMode === 0 ? planarNibbles(word) : shiftMode === 1 ? pairNibbles(word) : swapBytes(word)) & planeMask;
      for (let dot = 0; dot < 8; dot++) row[at + dot] = colors[(nibbles >>> (28 - 4 * dot)) & 15];
    }
    at += 8;
  }
}
