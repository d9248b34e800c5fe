// Programs that measure themselves, by the guest's clock: what their output says, as seconds for a fixed amount of work.

import { geometricMean } from "../statistics.ts";

/** KiB a second from the line of averages that `7zz b` prints ("Avr: 8211 77 9503 7316 | 53528 105 4117 4329"); null when it is not there. */
export function sevenZipSpeeds(output: string): { compressing: number; decompressing: number } | null {
  const match = /Avr:\s+(\d+)\s[^|]*\|\s+(\d+)\s/.exec(output);
  return match ? { compressing: Number(match[1]), decompressing: Number(match[2]) } : null;
}

/** Seconds to compress 1 MiB and decompress 4. */
export function sevenZipSeconds(output: string): number {
  const speeds = sevenZipSpeeds(output);
  return speeds === null ? Number.NaN : 1024 / speeds.compressing + (4 * 1024) / speeds.decompressing;
}

/** How many sizes of block `openssl speed` measures a digest or cipher with: 16, 64, 256, 1,024, 8,192 and 16,384 bytes. */
export const SPEED_SIZES = 6;

/**
 * Bytes a second for each size of block, from the last line of what `openssl speed` prints for a digest or cipher ("sha256 1673.20k 13303.36k ..."); null when it is
 * not a line of six speeds.
 */
export function opensslSpeeds(output: string): number[] | null {
  const speeds = [...output.matchAll(/\s([\d.]+)k(?=\s|$)/g)].map((match) => Number(match[1]) * 1000);
  return speeds.length === SPEED_SIZES && speeds.every((speed) => speed > 0) ? speeds : null;
}

/** Seconds for 100 MB at the geometric mean of the six speeds, so that each size of block counts as much as the others. */
export function opensslSeconds(output: string): number {
  const speeds = opensslSpeeds(output);
  return speeds === null ? Number.NaN : 100e6 / geometricMean(speeds);
}

/** Signatures and verifications a second, from the last line of what `openssl speed` prints for RSA ("rsa 2048 bits 0.028108s 0.000850s 35.6 1177.0"); or null. */
export function rsaSpeeds(output: string): { signing: number; verifying: number } | null {
  const match = /^rsa \d+ bits(?:\s+[\d.]+s){2}\s+([\d.]+)\s+([\d.]+)$/.exec(output.trim());
  const [signing, verifying] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  return signing > 0 && verifying > 0 ? { signing, verifying } : null;
}

/** Seconds for 100 signatures and 100 verifications. */
export function rsaSeconds(output: string): number {
  const speeds = rsaSpeeds(output);
  return speeds === null ? Number.NaN : 100 / speeds.signing + 100 / speeds.verifying;
}
