/** The byte sequences that the decoder is compared on, in batches of 65536 slots, and a reproducible source of random bytes. */
import { slotLength } from "./iced.ts";

export type Random = () => number;

/** Uniform bytes from a seed (xorshift32). */
export function randomBytes(seed: number): Random {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 11) & 0xff;
  };
}

export const opcodeMaps: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];

/** Each prefix alone, and pairs that contend for being the mandatory one. */
export const prefixSets: readonly (readonly number[])[] = [
  [],
  [0x66],
  [0x67],
  [0xf2],
  [0xf3],
  [0xf0],
  [0x26],
  [0x2e],
  [0x36],
  [0x3e],
  [0x64],
  [0x65],
  [0x66, 0xf2],
  [0xf2, 0x66],
  [0x66, 0xf3],
  [0xf3, 0x66],
  [0xf2, 0xf3],
  [0xf3, 0xf2],
  [0x66, 0x67],
  [0xf0, 0x66],
  [0xf0, 0xf3],
  [0x64, 0x36],
];
const anyPrefix = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];

export interface Batch {
  readonly bytes: Uint8Array;
  /** Where each slot's opcode starts, after its prefixes. */
  readonly opcodeAt: Uint8Array;
}

/** Every opcode of a map with every ModRM byte; behind it random SIB, displacement and immediate. `prefixes`: undefined for 1-4 random ones. */
export function sweep(map: readonly number[], prefixes: readonly number[] | undefined, random: Random): Batch {
  const bytes = new Uint8Array(65536 * slotLength);
  const opcodeAt = new Uint8Array(65536);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random();
  for (let slot = 0; slot < 65536; slot++) {
    let at = slot * slotLength;
    const chosen = prefixes ?? Array.from({ length: 1 + (random() & 3) }, () => anyPrefix[random() % anyPrefix.length]);
    for (const byte of chosen) bytes[at++] = byte;
    opcodeAt[slot] = chosen.length;
    for (const byte of map) bytes[at++] = byte;
    bytes[at++] = slot >> 8;
    bytes[at] = slot & 0xff;
  }
  return { bytes, opcodeAt };
}

/** Opcodes of every addressing method, with every ModRM (its register forms too) and SIB byte. */
export function sibSweep(opcode: readonly number[], random: Random): Batch {
  const batch = sweep([], [], random);
  for (let slot = 0; slot < 65536; slot++) batch.bytes.set([...opcode, slot >> 8, slot & 0xff], slot * slotLength);
  return batch;
}

export const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
