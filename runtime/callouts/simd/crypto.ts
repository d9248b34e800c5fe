/** AES (FIPS 197) and CRC-32C: what is not done in line. The state of AES is column by column in a register. */
import { mixedBack, substitution as substitutionImported } from "../../../translator/contract/aes.ts";
import type { Cpu } from "../../cpu/cpu.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const substitution = Uint8Array.from(substitutionImported);
const mixingBack = Int32Array.from({ length: 256 }, (_, x) => mixedBack(x));

const byteOf = (R: Int32Array, at: number, n: number): number => (R[at + (n >> 2)] >>> (8 * (n & 3))) & 0xff;
const turned = (x: number, bits: number): number => (bits === 0 ? x : (x << bits) | (x >>> (32 - bits)));

function aesimc(cpu: Cpu, target: number, source: number): void {
  const R = cpu.R;
  const { out } = cpu.simd;
  for (let column = 0; column < 4; column++) {
    let word = 0;
    for (let k = 0; k < 4; k++) word ^= turned(mixingBack[byteOf(R, source, 4 * column + k)], 8 * k);
    out[column] = word;
  }
  R.set(out, target);
}

function aeskeygenassist(cpu: Cpu, target: number, source: number, constant: number): void {
  const R = cpu.R;
  const { out } = cpu.simd;
  for (let k = 0; k < 4; k += 2) {
    const word = R[source + 1 + k];
    const substituted =
      substitution[word & 0xff] |
      (substitution[(word >>> 8) & 0xff] << 8) |
      (substitution[(word >>> 16) & 0xff] << 16) |
      (substitution[word >>> 24] << 24);
    out[k] = substituted;
    out[k + 1] = turned(substituted, 24) ^ constant;
  }
  R.set(out, target);
}

/** The polynomial 11EDC6F41h, bits reflected. */
const crcOfByte = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

function crc32(_cpu: Cpu, crc: number, value: number, bytes: number): number {
  let sum = crc;
  for (let k = 0; k < bytes; k++) sum = (sum >>> 8) ^ crcOfByte[(sum ^ (value >>> (8 * k))) & 0xff];
  return sum | 0;
}

export const cryptoImplementations = { aesimc, aeskeygenassist, crc32 };
